package detect

// wholeIdentifier looks at a text that is a UUID, or hexadecimal digits that
// are no number: of an object, a hash, a trace. Without a hint that is nothing:
// all of it is one row of groups, which no form has, and there is no IBAN that
// ends where one of them does. It is false for all others, and where the field's
// name says something else.
func (s *scan) wholeIdentifier() (decided bool) {
	text := s.text
	if len(text) < 16 || len(text) > 2*maxWord || !s.outlook.identifier || beginsKey(text[0], text[1]) {
		return false
	}
	n := len(text)
	if n == 36 {
		if n = 32; !isUUIDRow(text) {
			return false
		}
	} else {
		k := uint8(0)
		for _, c := range text {
			if !isHex(c) {
				return false
			}
			k |= kinds[c]
		}
		if k != digitKind|lowerKind {
			return false
		}
		if ibanSize(text) == n || hasPrefix(text, "bc1") {
			return false // it may be an IBAN, or a wallet
		}
	}
	if n > longest {
		return true
	}
	f, l := &s.outlook.field, &s.mixed[n]
	return len(l.alone) == 0 && !f.own.overlaps(&l.of) && !f.shared.overlaps(&l.of)
}

// isUUIDRow reports whether a text of 36 bytes is a UUID of which all is one row
// of groups: each has a digit, and one a letter.
func isUUIDRow(text []byte) bool {
	all, k := uint8(0), uint8(0)
	for i, c := range text {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' || k&digitKind == 0 || ibanSize(text[i+1:])%4 == 0 {
				return false
			}
			k = 0
			continue
		}
		if !isHex(c) {
			return false
		}
		k |= kinds[c]
		all |= k
	}
	return k&digitKind != 0 && all != digitKind && ibanSize(text)%4 != 0
}
