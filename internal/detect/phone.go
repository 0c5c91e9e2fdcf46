package detect

// maxDialled is how many digits are looked at as a telephone number.
const maxDialled = 24

var extensionWords = []string{"extension", "ext.", "ext", "x.", "x", "#"}

// extension returns the end of an extension at i: x123, ext. 123, #123. It
// returns i where there is none.
func (s *scan) extension(i int) int {
	j := i
	for j < len(s.text) && j-i < 2 && (s.text[j] == ' ' || s.text[j] == ',') {
		j++
	}
	from := j
	if j == len(s.text) {
		return i
	}
	switch s.text[j] | 0x20 {
	case 'e', 'x', '#':
	default:
		return i
	}
	for _, w := range extensionWords {
		if len(s.text)-j >= len(w) && equalFold(s.text[j:j+len(w)], w) {
			j += len(w)
			break
		}
	}
	if j == from {
		return i
	}
	if j < len(s.text) && s.text[j] == ' ' {
		j++
	}
	digits := j
	for j < len(s.text) && isDigit(s.text[j]) && j-digits < 7 {
		j++
	}
	if j == digits || j-digits > 6 || j < len(s.text) && (isAlnum(s.text[j]) || s.text[j] == '_') {
		return i
	}
	return j
}

// phones looks for a telephone number in a run: with its country code, in a
// form that is usual, or of any form where the field's name or a word says
// that it is one.
func (s *scan) phones(r *run, first int) {
	if !s.want.has(idPhone) {
		return
	}
	// Only digits, from the first group on.
	last := first
	for last < r.n && r.groups[last].digits() {
		last++
	}
	if last == first {
		return
	}
	start := r.groups[first].start
	plus := false
	switch s.at(start - 1) {
	case '+':
		start, plus = start-1, true
	case '(':
		if start--; s.at(start-1) == '+' {
			start, plus = start-1, true
		}
	case '-', '_', '/', '@':
		if s.at(start-1) != '/' || isDigit(s.at(start-2)) {
			return
		}
	case '.':
		if isAlnum(s.at(start - 2)) {
			return
		}
	}
	if start < 0 || s.live <= start { // it is shown again with what comes
		return
	}
	n := 0
	for i := first; i < last; i++ {
		g := &r.groups[i]
		if n+g.len() > maxDialled {
			last = i
			break
		}
		n += g.len()
	}
	if n < 7 && last-first < 2 || last-first == 1 && n > 15 {
		return
	}
	usual := !plus && s.usualForm(r, first, start)
	trunk := last-first >= 2 && s.text[r.groups[first].start] == '0'
	k := s.around(start)
	id := idPhone
	hinted := k.key.has(id) || k.near.has(id) && !k.near.has(flagNumber) || k.own.has(id) && !k.near.has(flagNumber) && !k.near.has(flagDate) && !k.near.overlaps(&s.openSet) && (!k.keyed || k.key.empty())
	bracket := !plus && start < r.groups[first].start && s.bracketed(r, first)
	label := s.labelBehind(r.groups[last-1].end, r, last)
	hinted = hinted || label
	if !plus && !hinted && !usual && !trunk && !bracket || !hinted && k.key.has(flagNumber) && !plus {
		return
	}
	// Groups at the end that make it no number are left: "+1 202 555 0143 4".
	score, count := 0.0, 0
	w := s.spell(r)
	for c := last - first; c > 0; c-- {
		if !s.endsNumber(r, first+c-1) && !(first+c == r.n && (r.extension.end > 0 || label)) {
			continue
		}
		d := w.chars[w.from[first] : w.from[first+c-1]+r.groups[first+c-1].len()]
		if len(d) > 15 {
			continue
		}
		if len(d) < 6 {
			break
		}
		sc := s.phoneScore(d, r, first, c, plus, hinted, usual || bracket, trunk, k)
		if sc > score {
			score, count = sc, c
		}
		if sc >= 0.85 {
			break
		}
	}
	if count == 0 {
		return
	}
	end := r.groups[first+count-1].end
	if first+count == r.n && r.extension.end > 0 {
		end = r.extension.end
	} else {
		if start < r.groups[first].start && s.at(end) == ')' && count == 1 && !plus {
			end++
		}
		if e := s.extension(end); e > end {
			s.touch(start, e)
			end = e
		} else {
			s.touch(start, min(end+12, len(s.text)))
		}
	}
	s.add(start, end, idPhone, score)
	if plus && score >= 0.85 {
		s.covered = span{start, end}
	}
}

// bracketed: (85) 5986-8343. An area code in brackets, and groups of three
// digits or more.
func (s *scan) bracketed(r *run, first int) bool {
	g := r.groups[first]
	if g.len() < 2 || g.len() > 5 || s.at(g.end) != ')' || r.n-first < 2 {
		return false
	}
	n := 0
	for i := first + 1; i < r.n; i++ {
		if !r.groups[i].digits() || r.groups[i].len() < 2 {
			break
		}
		n += r.groups[i].len()
	}
	return n >= 6 && n <= 9 && n+g.len() >= 8
}

// numberLabels are words behind a number that say what it is.
var numberLabels = []string{"office", "fax", "mobile", "cell", "home", "work", "phone", "tel", "mobil", "handy", "direct"}

// labelBehind reports whether a word behind the number says what it is:
// "555 0143 (mobile)", "555-0143-Fax".
func (s *scan) labelBehind(end int, r *run, last int) bool {
	if last < r.n {
		return false
	}
	if r.extension.end == 0 {
		// Most numbers have no word right behind them that begins as one of
		// the labels does.
		k := end
		for k < len(s.text) && k-end < 3 && (s.text[k] == ' ' || s.text[k] == '-' || s.text[k] == '(' || s.text[k] == ',') {
			k++
		}
		if k < len(s.text) {
			switch s.text[k] | 0x20 {
			case 'o', 'f', 'm', 'c', 'h', 'w', 'p', 't', 'd', 'x', 'e', '#':
			default:
				s.touch(r.groups[0].start, k+1)
				return false
			}
		}
	}
	if r.extension.end > 0 {
		end = r.extension.end
	} else {
		end = s.extension(end)
	}
	i := end
	for i < len(s.text) && i-end < 3 && (s.text[i] == ' ' || s.text[i] == '-' || s.text[i] == '(' || s.text[i] == ',') {
		i++
	}
	s.touch(r.groups[0].start, min(i+8, len(s.text)))
	if i == end {
		return false
	}
	j := i
	for j < len(s.text) && kinds[s.text[j]]&(upperKind|lowerKind) != 0 && j-i < 8 {
		j++
	}
	w := s.text[i:j]
	for _, label := range numberLabels {
		if len(w) == len(label) && equalFold(w, label) {
			return true
		}
	}
	return false
}

// phoneScore says how much the first count groups are a number.
func (s *scan) phoneScore(d []byte, r *run, first, count int, plus, hinted, usual, trunk bool, k *clues) float64 {
	if s.isDate(r, first, count) && !(k.key.has(idPhone) && !plus && count == 3 && len(d) > 8) {
		return 0
	}
	if same(d) {
		return 0
	}
	if plus || hasPrefix(d, "00") && len(d) > 9 {
		x := d
		if !plus {
			x = d[2:]
		}
		p, national := international(x)
		if p == nil {
			if hinted && len(d) >= 8 {
				return 0.6
			}
			return 0
		}
		// +44 (0) 20: the national prefix is written and not dialled.
		if p.valid(national) || len(national) > 6 && national[0] == '0' && p.valid(national[1:]) {
			switch {
			case hinted:
				return 1
			case plus:
				return 0.85
			}
			return 0.55
		}
		switch {
		case hinted && len(d) >= 8:
			return 0.8
		case plus && len(d) >= 9 && len(d) <= 15:
			return 0.6
		}
		return 0
	}
	valid, north := s.dialling.national(d)
	weak := k.near.has(flagNumber) || k.key.has(flagNumber) || k.near.has(flagVersion)
	switch {
	case hinted && valid && len(d) >= 7:
		return 0.95
	case hinted && len(d) >= 7:
		return 0.7
	case hinted && len(d) == 6 && count >= 2:
		return 0.6
	case usual && count <= 4 && !weak:
		if north {
			return 0.7
		}
		return 0.6
	case trunk && valid && len(d) >= 9 && !weak && s.phoneGroups(r, first, count):
		return 0.55
	}
	return 0
}

// phoneGroups: a number in national form begins with an area code of two to
// five digits, and has groups of two digits or more, with one kind of
// separator but around the area code.
func (s *scan) phoneGroups(r *run, first, count int) bool {
	for i, g := range r.groups[first : first+count] {
		if g.len() < 2 || i == 0 && g.len() > 6 || g.len() > 8 {
			return false
		}
		if i > 0 {
			if c := s.gap(r, first+i); c == '.' && count == 2 {
				return false
			}
		}
	}
	return true
}

// isDate reports whether the groups are a date or a range of years.
func (s *scan) isDate(r *run, first, count int) bool {
	g := r.groups[first : first+count]
	if count < 2 || count > 5 {
		return false
	}
	num := func(i int) int { return decimal(s.text[g[i].start:g[i].end]) }
	if count == 2 {
		return g[0].len() == 4 && g[1].len() == 4 && isYear(num(0)) && isYear(num(1))
	}
	switch {
	case g[0].len() == 4 && g[1].len() <= 2 && g[2].len() <= 2:
		return isYear(num(0)) && date(num(1), num(2))
	case g[0].len() <= 2 && g[1].len() <= 2 && g[2].len() == 4:
		return isYear(num(2)) && (date(num(0), num(1)) || date(num(1), num(0)))
	}
	return false
}

// usualForm: (202) 555-0143, 202-555-0143, 202.555.0143: three, three and
// four digits. Nothing else is grouped so.
func (s *scan) usualForm(r *run, first, start int) bool {
	gs := r.groups[first:r.n]
	at := first
	if len(gs) >= 4 && s.text[gs[0].end-1] == '1' && (gs[0].len() == 1 || gs[0].len() == 3 && hasPrefix(s.text[gs[0].start:], "001")) {
		gs = gs[1:]
		at++
	}
	if len(gs) < 3 || len(gs) > 3 && gs[2].end+1 == gs[3].start && s.text[gs[2].end] != ' ' {
		return false
	}
	for i, want := range [3]int{3, 3, 4} {
		if gs[i].len() != want || !gs[i].digits() {
			return false
		}
	}
	if c := s.text[gs[0].start]; c < '2' && s.at(gs[0].start-1) != '(' && at == first {
		return false
	}
	if s.at(gs[0].start-1) == '(' && s.at(gs[0].end) == ')' {
		return true
	}
	a, b := s.gap(r, at+1), s.gap(r, at+2)
	return a != 0 && a == b && a != '/' && a != ' '
}
