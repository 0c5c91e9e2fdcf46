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
	digits    [32]byte // maxNumber at most
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
	var gaps, separators uint64
	separator, differ := byte(0), false
	count, from, groups := 0, 0, 0
	for _, c := range text[n.start:] {
		if isDigit(c) {
			n.digits[count&(len(n.digits)-1)] = c
			count++
			continue
		}
		if count == from || groups == len(n.sizes)-1 || c != ' ' && c != '-' && c != '.' {
			return false
		}
		if groups == 0 {
			separator = c
		}
		differ = differ || c != separator
		n.sizes[groups&(len(n.sizes)-1)] = uint8(count - from)
		groups++
		gaps |= 1 << count
		separators = separators<<8 | uint64(c)
		from = count
	}
	if count == from {
		return false
	}
	n.sizes[groups&(len(n.sizes)-1)] = uint8(count - from)
	n.gaps, n.separators, n.separator, n.differ, n.groups = gaps, separators, separator, differ, groups+1
	n.n, n.end = count, len(text)
	return true
}

// readBracketed reads (202) 555-0143, as if a hyphen stood behind the area code;
// ( is its sign.
func (n *number) readBracketed(text []byte) bool {
	if len(text) < 8 || len(text) > maxNumber || text[0] != '(' {
		return false
	}
	k := 1
	for k < 6 && isDigit(text[k]) {
		k++
	}
	if text[k] != ')' {
		return false
	}
	var plain [maxNumber]byte
	size := copy(plain[:], text[1:k])
	plain[size] = '-'
	if k++; text[k] == ' ' || text[k] == '-' {
		k++
	}
	size += 1 + copy(plain[size+1:], text[k:])
	if !isDigit(plain[0]) || !n.read(plain[:size]) {
		return false
	}
	n.sign, n.end = '(', len(text)
	return true
}

// wholeNumber looks at a text that is one number, by what the name of its field
// says. It reports whether that decides on the text: numbers that may be
// several things, or of which a part may be something, are looked at as all
// others are. It finds what they would.
func (s *scan) wholeNumber() bool {
	n := &s.single
	if !n.read(s.text) && !n.readBracketed(s.text) || n.n >= 20 {
		return false
	}
	f := &s.outlook.field
	switch {
	case n.sign == '(' || n.sign == 0 && n.n >= 7 && s.outlook.phone:
		return s.wholeNational(n)
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

// isPlain reports whether a text is a number, perhaps with a sign or a fraction,
// that is nothing under its field's name: an amount, a count, an identifier.
func (o *outlook) isPlain(text []byte) bool {
	if len(text) > maxPlain+2 {
		return false
	}
	from := 0
	if len(text) > 0 && text[0] == '-' {
		from = 1
	}
	dot := -1
	for i := from; i < len(text); i++ {
		if isDigit(text[i]) {
			continue
		}
		if text[i] != '.' || dot >= 0 || i == from || i == len(text)-1 {
			return false
		}
		dot = i
	}
	d := text[from:]
	switch {
	case dot < 0:
		return len(d) > 0 && o.plain>>len(d)&1 != 0 && (len(d) < minCard || !isCard(d))
	case o.fraction>>(len(d)-1)&1 == 0:
		return false
	}
	// 00 and a calling code, or a card with a dot in its number.
	zeros := d[0] == '0' && (d[1] == '0' || d[1] == '.' && d[2] == '0')
	return !(zeros && len(d) > 8) && (dot-from < 4 || len(d) <= minCard)
}

// noNumber reports whether a number of one group, or with a fraction, is
// nothing that is looked for: nothing speaks for it, and it is none of what
// needs no hint.
func (s *scan) noNumber(n *number, f *field) bool {
	d := n.digits[:n.n]
	switch {
	case n.groups > 2 || n.groups == 2 && (n.separator != '.' || n.n >= minCard || n.n >= 7 && d[0] == '0'):
		return false // 00 and a calling code, or others
	case n.n >= minCard && (isCard(d) || f.own.has(idCreditCard)):
		return false
	}
	l := &s.digits[n.n]
	if f.own.overlaps(&s.numberSet) || f.shared.overlaps(&s.numberSet) || f.own.overlaps(&l.of) || f.shared.overlaps(&l.of) {
		return false
	}
	n.chars, n.checked = d, nil
	for _, m := range l.aloneLike(&n.candidate) {
		if n.check(m.rec.recogniser) {
			return false
		}
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

// wholeNational: (202) 555-0143, 030 1234567, in a field for telephone numbers
// and nothing else.
func (s *scan) wholeNational(n *number) bool {
	d := n.digits[:n.n]
	if !s.outlook.phone || n.n < 7 || n.n > 15 || n.groups >= 4 && (n.separator == '.' || n.differ) || n.mayBeDate() || same(d) || hasPrefix(d, "00") {
		return false
	}
	if valid, _ := s.dialling.national(d); !valid {
		return false
	}
	s.add(0, n.end, idPhone, 0.95)
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
