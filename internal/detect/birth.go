package detect

// shortNumber looks at a number that is too short for most: an age, a card's
// code or expiry, a PIN, coordinates.
func (s *scan) shortNumber(r *run, first int) {
	if first >= r.n || !r.groups[first].digits() {
		return
	}
	g := r.groups[first]
	if r.n-first >= 2 && s.gap(r, first+1) == '.' {
		return
	}
	n := g.len()
	alone := r.n-first == 1
	if alone && n <= 3 && s.want.has(idAge) {
		s.age(g)
	}
	if n > 8 || alone && n < 3 || !alone && n > 2 {
		return
	}
	if !s.mayHear(g.start).overlaps(&s.shortSet) {
		return
	}
	k := s.around(g.start)
	says := func(id uint8) bool { return k.key.has(id) || k.near.has(id) }
	switch {
	case alone && n <= 4 && says(idCVV):
		s.add(g.start, g.end, idCVV, 0.9)
	case alone && n >= 4 && says(idPIN):
		s.add(g.start, g.end, idPIN, 0.8)
	}
	if !alone && r.n-first == 2 && says(idCardExpiry) {
		year := r.groups[first+1]
		if c := s.gap(r, first+1); (c == '/' || c == '-') && (year.len() == 2 || year.len() == 4) && year.digits() {
			if m := decimal(s.text[g.start:g.end]); m >= 1 && m <= 12 {
				s.add(g.start, year.end, idCardExpiry, 0.85)
			}
		}
	}
}

// yearsOld are what stands behind an age.
var yearsOld = [...]string{" years old", "-year-old", " year old", " yrs old", " years of age", " y/o", "yo ", " jahre alt", " ans ", " años", " anos de", " anni "}

// maySayYears reports whether one of yearsOld may begin with two bytes.
func maySayYears(a, b byte) bool {
	switch b |= 0x20; a {
	case ' ':
		return b == 'y' || b == 'j' || b == 'a'
	case '-', 'y', 'Y':
		return b == 'y' || b == 'o'
	}
	return false
}

// age looks at a number up to 120.
func (s *scan) age(g group) {
	v := decimal(s.text[g.start:g.end])
	if v < 1 || v > 120 || s.text[g.start] == '0' {
		return
	}
	behind := s.text[g.end:min(len(s.text), g.end+16)]
	s.touch(g.start, g.end+16)
	if s.live <= g.start {
		return // it is shown again with what comes
	}
	if len(behind) > 2 && maySayYears(behind[0], behind[1]) {
		for _, w := range yearsOld {
			if len(behind) >= len(w) && equalFold(behind[:len(w)], w) {
				s.add(g.start, g.end, idAge, 0.8)
				return
			}
		}
	}
	if !s.mayHear(g.start).has(idAge) {
		return
	}
	k, id := s.around(g.start), idAge
	switch {
	case k.key.has(id) && !k.key.has(flagNumber) && !k.about:
		s.add(g.start, g.end, idAge, 0.8)
	case k.near.has(id) && s.wordBefore(g.start, "aged", "age", "alter", "edad", "âge", "is"):
		s.add(g.start, g.end, idAge, 0.7)
	}
}

// wordBefore reports whether one of the words stands right before i.
func (s *scan) wordBefore(i int, words ...string) bool {
	i--
	for s.at(i) == ' ' || s.at(i) == ':' {
		i--
	}
	for _, w := range words {
		ok := true
		for k := range len(w) {
			c := s.at(i - len(w) + 1 + k)
			if kinds[c] == upperKind {
				c |= 0x20
			}
			ok = ok && c == w[k]
		}
		if ok && kinds[s.at(i-len(w))] == 0 {
			return true
		}
	}
	return false
}

// dates looks for a date of birth in the groups of a run.
func (s *scan) dates(r *run, first int) {
	if !s.want.has(idDateOfBirth) {
		return
	}
	// Digits alone say nothing: what was said is the same for all groups up to
	// the first with letters.
	begin := r.groups[first].start
	silent := !s.more && s.looked && s.lookedAt == begin && !s.mayHear(begin).has(idDateOfBirth)
	if silent && r.kinds == digitKind {
		return
	}
	for a := first; a < r.n; a++ {
		g := r.groups[a]
		if silent {
			silent = g.digits()
			continue
		}
		if kinds[s.text[g.start]] != digitKind {
			continue
		}
		start, end := s.date(r, a)
		if end == 0 {
			continue
		}
		k, id := s.around(start), idDateOfBirth
		switch {
		case k.key.has(id) && !k.about:
			s.add(start, end, idDateOfBirth, 0.95)
		case k.near.has(id):
			s.add(start, end, idDateOfBirth, 0.9)
		case k.own.has(id) && !k.near.has(flagDate):
			s.add(start, end, idDateOfBirth, 0.6)
		default:
			continue
		}
		return
	}
}

// date finds a date that has the group a as its first number; 0 is none.
func (s *scan) date(r *run, a int) (start, end int) {
	g := r.groups[a]
	text := s.text
	if a+2 < r.n && g.digits() {
		m, y := r.groups[a+1], r.groups[a+2]
		c := s.gap(r, a+1)
		if c != 0 && c != '(' && c == s.gap(r, a+2) && m.digits() && m.len() <= 2 {
			second := decimal(text[m.start:m.end])
			yend := y.end
			switch {
			case g.len() == 4:
				// 1990-01-31, perhaps with T10:00:00 behind it.
				if y.kinds != digitKind {
					yend = y.start + 2
					if y.len() < 3 || text[yend] != 'T' {
						return 0, 0
					}
				}
				if isYear(decimal(text[g.start:g.end])) && yend-y.start <= 2 && date(second, decimal(text[y.start:yend])) {
					return g.start, yend
				}
			case g.len() <= 2 && y.digits() && (y.len() == 4 && isYear(decimal(text[y.start:y.end])) || y.len() == 2 && c != ' '):
				first := decimal(text[g.start:g.end])
				if date(second, first) || date(first, second) {
					return g.start, y.end
				}
			}
		}
	}
	if g.digits() && g.len() == 8 && a == 0 && r.n == 1 {
		d := text[g.start:g.end]
		if isYear(decimal(d[:4])) && date(two(d, 4), two(d, 6)) || isYear(decimal(d[4:])) && (ddmmyy(d) || date(two(d, 0), two(d, 2))) {
			return g.start, g.end
		}
		return 0, 0
	}
	return s.writtenDate(g)
}

func isYear(y int) bool { return y >= 1900 && y <= 2035 }

// writtenDate finds a date with the month as a word around the day's group.
func (s *scan) writtenDate(g group) (start, end int) {
	text := s.text
	day := 0
	dend := g.start
	for dend < g.end && isDigit(text[dend]) {
		day = day*10 + digit(text[dend])
		dend++
		if dend-g.start > 2 {
			return 0, 0
		}
	}
	if day < 1 || day > 31 {
		return 0, 0
	}
	// "21st of June 1990", "3. März 1990", "21 de junio de 1990", "22-Mar-1991".
	i := dend
	if i+1 < len(text) && kinds[text[i]] == lowerKind {
		for i < len(text) && kinds[text[i]] == lowerKind && i-dend < 3 {
			i++
		}
	}
	j := i
	for j < len(text) && j-i < 3 && (text[j] == ' ' || text[j] == '.' || text[j] == '-' || text[j] == '/') {
		j++
	}
	s.touch(g.start, min(j+1, len(text)))
	if j > i {
		j = s.skipWord(j, "of ", "de ")
		m := j
		for m < len(text) && isLetter(text[m]) && m-j < 12 {
			m++
		}
		if m-j >= 3 && isMonth(text[j:m]) {
			y := m
			for y < len(text) && y-m < 3 && (text[y] == ' ' || text[y] == '.' || text[y] == ',' || text[y] == '-' || text[y] == '/') {
				y++
			}
			if y > m {
				y = s.skipWord(y, "de ", "del ", "of ")
			}
			if e := s.yearAt(y); e > 0 {
				s.touch(g.start, e)
				return g.start, e
			}
			s.touch(g.start, min(y+5, len(text)+1))
		} else if m == len(text) {
			s.touch(g.start, m)
		}
	}
	// "June 21, 1990", "Jun. 21st 1990".
	k := g.start
	for k > 0 && g.start-k < 2 && (text[k-1] == ' ' || text[k-1] == '.' || text[k-1] == '-') {
		k--
	}
	w := k
	for w > 0 && k-w < 12 && isLetter(text[w-1]) {
		w--
	}
	if k == g.start || k-w < 3 || !isMonth(text[w:k]) || w == 0 && k-w < 12 && isLetter(s.at(-1)) {
		return 0, 0 // or the word has begun before the text
	}
	y := i
	for y < len(text) && y-i < 2 && (text[y] == ' ' || text[y] == ',' || text[y] == '-') {
		y++
	}
	s.touch(w, min(y+5, len(text)+1))
	if e := s.yearAt(y); y > i && e > 0 {
		return w, e
	}
	return 0, 0
}

func (s *scan) skipWord(i int, words ...string) int {
	for _, w := range words {
		if hasPrefix(s.text[i:], w) {
			return i + len(w)
		}
	}
	return i
}

// yearAt returns the end of the year at i; 0 where there is none.
func (s *scan) yearAt(i int) int {
	n, v := 0, 0
	for i+n < len(s.text) && isDigit(s.text[i+n]) && n < 5 {
		v = v*10 + digit(s.text[i+n])
		n++
	}
	if n == 4 && isYear(v) || n == 2 && !isAlnum(s.at(i+2)) && s.at(i+2) != ':' {
		return i + n
	}
	return 0
}

// isMonth looks at the first three letters of a word: a month in English,
// German, French, Spanish, Italian, Portuguese or Dutch.
func isMonth(w []byte) bool {
	var low [4]byte
	n := 0
	for _, c := range w {
		if n == len(low) || n == 3 && low[2] < 0x80 && low[1] < 0x80 && low[0] < 0x80 {
			break
		}
		low[n] = fold(c, n > 0 && low[n-1] == 0xC3)
		n++
	}
	switch string(low[:3]) {
	case "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
		"mai", "okt", "dez", "avr", "jui", "ene", "abr", "ago", "dic", "gen", "mag", "giu", "lug", "set", "ott", "fev", "out", "mrt", "mei":
		return true
	}
	switch string(low[:4]) {
	case "fév", "aoû", "déc", "mär", "jän":
		return true
	}
	return false
}

// coordinates looks at a decimal fraction in a field for positions, and the
// one behind it.
func (s *scan) coordinates(r *run, first int) {
	if !s.want.has(idCoordinates) || r.n-first < 2 || s.gap(r, first+1) != '.' {
		return
	}
	g, f := r.groups[first], r.groups[first+1]
	if !g.digits() || !f.digits() || g.len() > 3 || f.len() < 4 || r.n-first > 2 && s.gap(r, first+2) != ' ' {
		return
	}
	k, id := s.around(g.start), idCoordinates
	if !k.key.has(id) && !k.near.has(id) {
		return
	}
	start, end := g.start, f.end
	if s.at(start-1) == '-' && start > 0 {
		start--
	}
	i := end
	for i < len(s.text) && i-end < 3 && (s.text[i] == ',' || s.text[i] == ' ') {
		i++
	}
	if i < len(s.text) && s.text[i] == '-' {
		i++
	}
	j, dot := i, 0
	for j < len(s.text) && j-i < 12 && (isDigit(s.text[j]) || s.text[j] == '.' && dot == 0) {
		if s.text[j] == '.' {
			dot = j
		}
		j++
	}
	s.touch(start, j)
	score := 0.55
	if i > end && dot > 0 && j-dot > 4 {
		end, score = j, 0.75
	}
	s.add(start, end, idCoordinates, score)
}
