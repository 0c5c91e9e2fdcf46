package detect

// A text that is a date or a point in time as ISO 8601 and RFC 3339 write them
// is the most usual one with a number of this kind. It is a date of birth, or
// nothing.

// wholeTime looks at a text of which isTime is true.
func (s *scan) wholeTime() {
	f := &s.outlook.field
	if !f.own.has(idDateOfBirth) {
		return
	}
	if t := s.text; isYear(decimal(t[:4])) && date(decimal(t[5:7]), decimal(t[8:10])) {
		score := 0.95
		if f.about {
			score = 0.9
		}
		s.add(0, 10, idDateOfBirth, score)
	}
}

// isTime: 2026-01-31, 2026-01-31T10:30:00Z, 2026-01-31 10:30:00.123+02:00.
func isTime(t []byte) bool {
	if len(t) < 10 || t[4] != '-' || t[7] != '-' || t[0] == '0' || !areDigits(t[:4]) || !areDigits(t[5:7]) || !areDigits(t[8:10]) {
		return false
	}
	if len(t) == 10 {
		return true
	}
	if len(t) < 16 || t[10] != 'T' && t[10] != ' ' || t[13] != ':' || !areDigits(t[11:13]) || !areDigits(t[14:16]) {
		return false
	}
	t = t[16:]
	if len(t) < 3 || t[0] != ':' || !areDigits(t[1:3]) {
		return isZone(t)
	}
	n := fraction(t[3:])
	if n > 5 && t[1] == '0' && t[len(t)-1] != 'Z' {
		return false // 00.534877685 may be a telephone number
	}
	return isZone(t[3+n:])
}

// maxFraction is how many digits of a second's fraction are looked at.
const maxFraction = 9

// fraction returns the size of the fraction of a second that t begins with.
func fraction(t []byte) int {
	n := 0
	for n < len(t) && n <= maxFraction && (isDigit(t[n]) || n == 0 && t[n] == '.') {
		n++
	}
	if n < 2 {
		return 0
	}
	return n
}

// isZone: nothing, Z, +02:00, -0500.
func isZone(t []byte) bool {
	switch len(t) {
	case 0:
		return true
	case 1:
		return t[0] == 'Z'
	case 5:
		return (t[0] == '+' || t[0] == '-') && areDigits(t[1:])
	case 6:
		return (t[0] == '+' || t[0] == '-') && t[3] == ':' && areDigits(t[1:3]) && areDigits(t[4:])
	}
	return false
}

func areDigits(t []byte) bool {
	for _, c := range t {
		if !isDigit(c) {
			return false
		}
	}
	return true
}

// findTimes fills in timeSet, what a number in isTime may be by a hint, and
// quietTimes: without one it is nothing.
func (s *Scanner) findTimes() {
	s.timeSet = s.numberSet
	s.timeSet.add(idPassword)
	for n := range 4 + 2 + 2 + 2 + maxFraction + 4 {
		s.timeSet.or(&s.digits[n].of)
		s.timeSet.or(&s.mixed[n].of)
	}
	s.timeSet.remove(idDateOfBirth)
	// The rows of groups that may be one number.
	rows := []string{"9999-99-99", "9999-99-99A99", "9999-99-99 99"}
	const nines = "999999999"
	for n := range maxFraction + 1 {
		second := "99"
		if n > 0 {
			second += "." + nines[:n]
		}
		rows = append(rows, second, second+"A", second+"-99", second+"-9999")
	}
	s.quietTimes = s.dict.lookup(hashT) == 0
	for _, row := range rows {
		s.quietTimes = s.quietTimes && !s.needsNoHint(row)
	}
}

var hashT, _ = hashPhrase("t")

// needsNoHint reports whether a form that needs no hint may fit a number that
// is written as shape.text is.
func (s *Scanner) needsNoHint(text string) bool {
	var c candidate
	list := &s.digits
	for i := range len(text) {
		switch text[i] {
		case 'A':
			c.letters |= 1 << c.n
			list = &s.mixed
			c.n++
		case '9':
			c.n++
		default:
			c.gaps |= 1 << c.n
			c.separators = c.separators<<8 | uint64(text[i])
		}
	}
	return c.fitsOne(list[c.n].aloneLike(&c))
}
