package body

import "encoding/binary"

// plainEnd returns the index of the first byte of b, from i on, that a JSON
// string does not hold as it is: a quote, a backslash or a control character;
// len(b) where there is none. It looks at eight bytes at a time.
func plainEnd(b []byte, i int) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	for i+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[i:])
		quote := w ^ ones*'"'
		slash := w ^ ones*'\\'
		// The classic test for a zero byte; for control characters, for a byte
		// below 0x20. Bytes from 0x80 on are none of them.
		hit := ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*0x20)&^w) & highs
		if hit != 0 {
			break
		}
		i += 8
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= 0x20 {
		i++
	}
	return i
}

// escapeLen returns the length of the escape at b[0], a surrogate pair
// counting as one: 0 where more bytes are needed to tell, -1 where it is none.
func escapeLen(b []byte, end bool) int {
	if len(b) < 2 {
		return short(end)
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
	default:
		return -1
	}
	for i := 2; i < 6; i++ {
		if i >= len(b) {
			return short(end)
		}
		if !isHex(b[i]) {
			return -1
		}
	}
	if hi := hexRune(b[2:6]); hi < 0xD800 || hi > 0xDBFF {
		return 6
	}
	// A high surrogate: is the low one behind it?
	for i, want := range []byte{'\\', 'u'} {
		if 6+i >= len(b) {
			return short2(end)
		}
		if b[6+i] != want {
			return 6
		}
	}
	for i := 8; i < 12; i++ {
		if i >= len(b) {
			return short2(end)
		}
		if !isHex(b[i]) {
			return 6 // the next escape is not one, which is found out there
		}
	}
	if lo := hexRune(b[8:12]); lo >= 0xDC00 && lo <= 0xDFFF {
		return 12
	}
	return 6
}

func short(end bool) int {
	if end {
		return -1
	}
	return 0
}

func short2(end bool) int {
	if end {
		return 6
	}
	return 0
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// isNumber reports whether b is a number of RFC 8259, section 6.
func isNumber(b []byte) bool {
	i := 0
	digits := func() bool {
		start := i
		for i < len(b) && b[i] >= '0' && b[i] <= '9' {
			i++
		}
		return i > start
	}
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if !digits() {
		return false
	}
	if i < len(b) && b[i] == '.' {
		i++
		if !digits() {
			return false
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if !digits() {
			return false
		}
	}
	return i == len(b)
}

// isSpace is JSON's white space.
func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }
