package detect

import "math/bits"

// maxNumber is the longest text that is looked at as one number: 19 digits in
// eight groups, and a sign.
const maxNumber = 27

// number is a text that is digits in groups with one separator between each
// two, perhaps behind a sign: what a field for a number has, mostly.
type number struct {
	candidate // of all groups
	sign      byte
	groups    int
	sizes     [8]uint8 // of the groups
	// separator is what stands between the first two groups, and differ is true
	// where another one stands between others.
	separator byte
	differ    bool
	digits    [maxNumber]byte
}

// read is false where the text is anything else.
func (n *number) read(text []byte) bool {
	if len(text) == 0 || len(text) > maxNumber {
		return false
	}
	n.start, n.sign = 0, 0
	if c := text[0]; c == '+' || c == '-' {
		n.start, n.sign = 1, c
	}
	n.gaps, n.separators, n.separator, n.differ, n.groups = 0, 0, 0, false, 0
	size, count := 0, 0
	for _, c := range text[n.start:] {
		if isDigit(c) {
			n.digits[count] = c
			count++
			size++
			continue
		}
		if size == 0 || n.groups == len(n.sizes)-1 || c != ' ' && c != '-' && c != '.' {
			return false
		}
		if n.groups == 0 {
			n.separator = c
		}
		n.differ = n.differ || c != n.separator
		n.sizes[n.groups] = uint8(size)
		n.groups++
		n.gaps |= 1 << count
		n.separators = n.separators<<8 | uint64(c)
		size = 0
	}
	if size == 0 {
		return false
	}
	n.sizes[n.groups] = uint8(size)
	n.groups++
	n.n, n.end = count, len(text)
	return true
}

// wholeNumber looks at a text that is one number, by what the name of its field
// says. It reports whether that decides on the text: numbers that may be
// several things, or of which a part may be something, are looked at as all
// others are. It finds what they would.
func (s *scan) wholeNumber() bool {
	n := &s.single
	if !n.read(s.text) || n.n >= 20 {
		return false
	}
	f := &s.outlook.field
	switch {
	case n.sign == '+':
		return s.wholePhone(n, f)
	case n.sign == 0 && n.groups == 4 && n.separator == '.' && !n.differ:
		return s.wholeIPv4(n, f)
	case n.sign == 0 && n.n >= 12 && f.own.has(idCreditCard):
		return s.wholeCard(n)
	case n.sign == 0 && n.n >= 4 && f.own.overlaps(&s.digits[n.n].of):
		return s.wholeHinted(n, f)
	}
	return s.noNumber(n, f)
}

// isPlain reports whether a text is a number of few digits, perhaps with a sign
// or a fraction, that is nothing under its field's name: noNumber is true of
// such a one.
func (o *outlook) isPlain(text []byte) bool {
	if len(text) > maxPlain+2 {
		return false
	}
	i := 0
	if len(text) > 0 && text[0] == '-' {
		i++
	}
	from, dot := i, -1
	for ; i < len(text); i++ {
		if c := text[i]; isDigit(c) {
			continue
		} else if c != '.' || dot >= 0 || i == from || i == len(text)-1 {
			return false
		}
		dot = i
	}
	n := len(text) - from
	if dot > 0 {
		if n--; n >= 7 && text[from] == '0' {
			return false // 00 and a calling code
		}
	}
	return n > 0 && o.plain>>n&1 != 0
}

// noNumber reports whether a number of one group, or with a fraction, is
// nothing that is looked for: nothing speaks for it, and it has not the form
// of what needs no hint.
func (s *scan) noNumber(n *number, f *field) bool {
	if n.groups > 2 || n.groups == 2 && n.separator != '.' || n.n >= 12 {
		return false
	}
	if n.groups == 2 && n.n >= 7 && n.digits[0] == '0' {
		return false // 00 and a calling code
	}
	if l := &s.digits[n.n]; f.own.overlaps(&s.numberSet) || f.shared.overlaps(&s.numberSet) || f.own.overlaps(&l.of) || f.shared.overlaps(&l.of) || l.aloneLike(&n.candidate) != nil {
		return false
	}
	return true
}

// wholePhone: +1 202 555 0143, in a field for telephone numbers or any other.
func (s *scan) wholePhone(n *number, f *field) bool {
	hinted := f.own.has(idPhone)
	d := n.digits[:n.n]
	if !s.want.has(idPhone) || n.n <= 8 || n.n > 15 || n.n >= 12 && (!hinted || f.own.has(idCreditCard)) || n.groups == 4 && n.separator == '.' || n.mayBeDate() || same(d) {
		return false
	}
	p, national := international(d)
	if p == nil || !p.valid(national) {
		return false
	}
	score := 0.85
	if hinted {
		score = 1
	}
	s.add(0, n.end, idPhone, score)
	return true
}

// mayBeDate reports whether the groups are as long as those of a date, or of a
// range of years.
func (n *number) mayBeDate() bool {
	g := &n.sizes
	switch n.groups {
	case 2:
		return g[0] == 4 && g[1] == 4
	case 3, 4, 5:
		return g[1] <= 2 && (g[0] == 4 && g[2] <= 2 || g[0] <= 2 && g[2] == 4)
	}
	return false
}

// wholeIPv4: 192.0.2.1.
func (s *scan) wholeIPv4(n *number, f *field) bool {
	if !s.want.has(idIPAddress) || !n.isDottedDecimal() {
		return false
	}
	switch {
	case f.own.has(idIPAddress):
		s.add(0, n.end, idIPAddress, 1)
	case f.own.has(flagVersion):
		return false
	default:
		s.add(0, n.end, idIPAddress, 0.75)
	}
	return true
}

// wholeCard: 4111 1111 1111 1111 in a field for it.
func (s *scan) wholeCard(n *number) bool {
	if !s.want.has(idCreditCard) || n.differ || n.sizes[0] < 4 || !isCard(n.digits[:n.n]) {
		return false
	}
	for _, size := range n.sizes[1:n.groups] {
		if size < 3 {
			return false
		}
	}
	s.add(0, n.end, idCreditCard, 1)
	return true
}

// wholeHinted looks for an entity that the field's name speaks for, whose form
// the number has and whose check holds: nothing scores more.
func (s *scan) wholeHinted(n *number, f *field) bool {
	l := &s.digits[n.n]
	n.chars, n.checked = n.digits[:n.n], nil
	for w := range l.of {
		for of := l.of[w] & f.own[w]; of != 0; of &= of - 1 {
			e := l.formsOf(uint8(w<<6 + bits.TrailingZeros64(of)))
			for _, m := range e.forms {
				if m.gaps == n.gaps && m.separators == n.separators && m.rec.check != nil && n.check(m.rec.recogniser) {
					s.add(0, n.end, e.id, 1)
					return true
				}
			}
		}
	}
	return false
}

// isDottedDecimal reports whether the groups of a number are those of an IPv4
// address.
func (n *number) isDottedDecimal() bool {
	i := 0
	for _, size := range n.sizes[:n.groups] {
		d := n.digits[i : i+int(size)]
		if size > 3 || size > 1 && d[0] == '0' || decimal(d) > 255 {
			return false
		}
		i += int(size)
	}
	return n.groups == 4
}
