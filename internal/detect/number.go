package detect

import "net/netip"

// group is a group of digits in a run.
type group struct{ start, end int }

// isSeparator is what may stand between the digits of one number.
func isSeparator(c byte) bool {
	switch c {
	case ' ', '-', '.', '(', ')', '/':
		return true
	}
	return false
}

// numberRun looks at the digits and separators from i on, and returns their
// end: at most maxRun bytes, and at most two separators in a row.
func (s *scan) numberRun(i int) int {
	var groups [maxRun]group
	n, j, separators := 0, i, 0
	if s.text[j] == '+' {
		j++
	}
	for j < len(s.text) && j-i < maxRun {
		c := s.text[j]
		if isDigit(c) {
			if n == 0 || groups[n-1].end != j {
				groups[n] = group{j, j}
				n++
			}
			groups[n-1].end = j + 1
			separators = 0
		} else if isSeparator(c) && separators < 2 {
			separators++
		} else {
			break
		}
		j++
	}
	s.touch(i, j)
	if n == 0 {
		return j - separators
	}
	gs := groups[:n]
	last := gs[n-1].end
	if j-i >= maxRun && j < len(s.text) && isDigit(s.text[j]) && last == j {
		// The run was broken off within a group: it goes on in the next.
		return j
	}
	if last < len(s.text) && (isAlnum(s.text[last]) || s.text[last] == '_' || s.text[last] >= 0x80) {
		gs = gs[:n-1] // the last group is a part of a word
	}
	if len(gs) > 0 {
		s.numbers(i, gs)
	}
	return max(last, i+1)
}

// numbers looks for numbers in the groups of a run.
func (s *scan) numbers(start int, gs []group) {
	if s.want[IPAddress] {
		s.ipv4(gs)
	}
	if s.want[CreditCard] {
		s.cards(gs)
	}
	if s.want[USSSN] {
		s.ssns(gs)
	}
	if s.want[Phone] {
		s.phones(start, gs)
	}
}

// between returns the separator between groups a and a+1, where it is one
// byte; 0 otherwise.
func (s *scan) between(gs []group, a int) byte {
	if gs[a+1].start-gs[a].end != 1 {
		return 0
	}
	return s.text[gs[a].end]
}

// number returns the value of a short group.
func (s *scan) number(g group) int {
	n := 0
	for _, c := range s.text[g.start:g.end] {
		n = n*10 + int(c-'0')
	}
	return n
}

func (s *scan) ipv4(gs []group) {
	for a := 0; a+3 < len(gs); a++ {
		dots := 0
		for b := a; b+1 < len(gs) && s.between(gs, b) == '.'; b++ {
			dots++
		}
		if dots != 3 {
			a += dots // an object identifier, or a version of more parts
			continue
		}
		if a > 0 && s.between(gs, a-1) == '.' || s.isAt(gs[a].start-1, '.') {
			continue
		}
		start, end := gs[a].start, gs[a+3].end
		if _, err := netip.ParseAddr(string(s.text[start:end])); err != nil {
			continue
		}
		score := 0.75
		h := s.hints()
		switch {
		case h.ip:
			score = 1
		case h.version || s.before(start, versionWords):
			score = 0.2
		case s.before(start, ipWords):
			score = 0.95
		}
		s.add(start, end, IPAddress, score)
	}
}

// cards looks for payment card numbers: 12 to 19 digits in one group, or in
// groups with one kind of separator.
func (s *scan) cards(gs []group) {
	for a := range gs {
		if s.isAt(gs[a].start-1, '.') && a == 0 {
			continue
		}
		var digits [19]byte
		n, best := 0, -1
		var sep byte
		for b := a; b < len(gs); b++ {
			if b > a {
				c := s.between(gs, b-1)
				if c != ' ' && c != '-' || sep != 0 && c != sep {
					break
				}
				sep = c
			}
			size := gs[b].end - gs[b].start
			if n+size > len(digits) || b > a && size < 3 || b == a && size < 4 {
				break
			}
			n += copy(digits[n:], s.text[gs[b].start:gs[b].end])
			if isCard(digits[:n]) && (b+1 == len(gs) || s.between(gs, b) != sep || sep == 0) {
				best = b
			}
		}
		if best < 0 {
			continue
		}
		start, end := gs[a].start, gs[best].end
		score := 0.7
		if best > a {
			score = 0.9
		}
		h := s.hints()
		switch {
		case h.card || s.before(start, cardWords):
			score = 1
		case h.id || s.before(start, idWords):
			score -= 0.35
		}
		s.add(start, end, CreditCard, score)
	}
}

// isCard checks length, issuer prefix and checksum (ISO/IEC 7812-1).
func isCard(d []byte) bool {
	if len(d) < 13 || len(d) > 19 {
		return false
	}
	prefix := func(n int) int {
		v := 0
		for _, c := range d[:n] {
			v = v*10 + int(c-'0')
		}
		return v
	}
	p2, p3, p4 := prefix(2), prefix(3), prefix(4)
	n := len(d)
	ok := false
	switch {
	case d[0] == '4':
		ok = n == 13 || n == 16 || n == 19
	case p2 >= 51 && p2 <= 55, p4 >= 2221 && p4 <= 2720:
		ok = n == 16
	case p2 == 34 || p2 == 37:
		ok = n == 15
	case p4 == 6011 || p2 == 64 || p2 == 65 || p2 == 62 || p2 == 81:
		ok = n >= 16
	case p4 >= 3528 && p4 <= 3589:
		ok = n >= 16
	case p3 >= 300 && p3 <= 305, p2 == 36, p2 == 38, p2 == 39:
		ok = n >= 14
	case p2 == 50 || p2 >= 56 && p2 <= 58 || p2 == 63 || p2 == 67 || p2 == 60:
		ok = n >= 16 // Maestro, RuPay and others; shorter ones are too common
	}
	return ok && luhn(d)
}

func luhn(d []byte) bool {
	sum, same := 0, true
	for i := range d {
		v := int(d[len(d)-1-i] - '0')
		if i%2 == 1 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
		same = same && d[i] == d[0]
	}
	return sum%10 == 0 && !same
}

// ssns looks for US social security numbers.
func (s *scan) ssns(gs []group) {
	for a := range gs {
		g := gs[a]
		size := g.end - g.start
		if size == 9 {
			if a > 0 && s.between(gs, a-1) != 0 && s.between(gs, a-1) != ' ' || a+1 < len(gs) && s.between(gs, a) != 0 && s.between(gs, a) != ' ' || s.isAt(g.start-1, '+') {
				continue
			}
			v := s.number(g)
			if (s.hints().ssn || s.before(g.start, ssnWords)) && isSSN(v/1000000, v/10000%100, v%10000) {
				s.add(g.start, g.end, USSSN, 0.9)
			}
			continue
		}
		if size != 3 || a+2 >= len(gs) || gs[a+1].end-gs[a+1].start != 2 || gs[a+2].end-gs[a+2].start != 4 {
			continue
		}
		sep := s.between(gs, a)
		if sep != '-' && sep != ' ' && sep != '.' || s.between(gs, a+1) != sep {
			continue
		}
		if a > 0 && s.between(gs, a-1) == sep && sep != ' ' || a+3 < len(gs) && s.between(gs, a+2) == sep && sep != ' ' || s.isAt(g.start-1, '-') || s.isAt(g.start-1, '+') {
			continue
		}
		if !isSSN(s.number(g), s.number(gs[a+1]), s.number(gs[a+2])) {
			continue
		}
		score := 0.85
		if sep != '-' {
			score = 0.55
		}
		h := s.hints()
		switch {
		case h.ssn || s.before(g.start, ssnWords):
			score = 1
		case h.id || s.before(g.start, idWords):
			score -= 0.4
		}
		s.add(g.start, gs[a+2].end, USSSN, score)
	}
}

// isSSN knows what the Social Security Administration never issues.
func isSSN(area, group, serial int) bool {
	return area > 0 && area != 666 && area < 900 && group > 0 && serial > 0
}
