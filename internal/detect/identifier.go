package detect

// isIdentifier reports whether a text is a UUID, or hexadecimal digits that are
// no number: of an object, a hash, a trace; and nothing else under its field's
// name. Without a hint that is nothing: all of it is one row of groups, which no
// form has, no IBAN ends where one of them does, and no word is in it.
func (s *Scanner) isIdentifier(o *outlook, text []byte) bool {
	n := len(text)
	if n < 16 || n > 2*maxWord || !o.identifier || hexKinds[text[0]] == 0 || beginsKey(text[0], text[1]) {
		return false
	}
	if n == 36 {
		if n = 32; !isUUIDRow(text) {
			return false
		}
	} else if hexKindsOf(text) != digitKind|lowerKind || ibanSize(text) == n || hasPrefix(text, "bc1") {
		return false // a number, or perhaps a wallet or an IBAN
	}
	if n > longest {
		return true
	}
	l := &s.mixed[n]
	return len(l.alone) == 0 && !o.own.overlaps(&l.of) && !o.shared.overlaps(&l.of)
}

// isUUIDRow reports whether a text of 36 bytes is a UUID of which all is one row
// of groups: each has a digit, and one a letter.
func isUUIDRow(text []byte) bool {
	all := uint8(0)
	for i := 0; i < 36; {
		size := 4
		switch i {
		case 0:
			size = 8
		case 24:
			size = 12
		}
		g := text[i : i+size]
		k := hexKindsOf(g)
		if k&digitKind == 0 || k != digitKind && ibanSize(text[i:])%4 == 0 || size < 12 && text[i+size] != '-' {
			return false
		}
		all |= k
		i += size + 1
	}
	return all != digitKind
}

// hexKinds are the kinds of hexadecimal digits.
var hexKinds = func() (t [256]uint8) {
	for c := range t {
		if isHex(byte(c)) {
			t[c] = kinds[c]
		}
	}
	return t
}()

// hexKindsOf returns which kinds of hexadecimal digits a text is made of; 0
// where it has anything else in it.
func hexKindsOf(text []byte) (all uint8) {
	for _, c := range text {
		k := hexKinds[c]
		if k == 0 {
			return 0
		}
		all |= k
	}
	return all
}
