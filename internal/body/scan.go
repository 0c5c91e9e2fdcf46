package body

import (
	"encoding/binary"
	"math/bits"

	"github.com/sluice-proxy/sluice/filters"
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// notPlain marks, by their highest bits, the bytes of w that a JSON string does
// not hold as they are: the first of them for sure, and behind that perhaps
// others.
func notPlain(w uint64) uint64 {
	quote := w ^ ones*'"'
	slash := w ^ ones*'\\'
	// The classic test for a zero byte; for control characters, for a byte
	// below 0x20. Bytes from 0x80 on are none of them. Only the borrow of a hit
	// can make a byte behind it look like one.
	return ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*0x20)&^w) & highs
}

// plainEnd returns the index of the first byte of b, from i on, that a JSON
// string does not hold as it is: a quote, a backslash or a control character;
// len(b) where there is none. It looks at eight bytes at a time.
func plainEnd(b []byte, i int) int {
	for i+8 <= len(b) {
		if hit := notPlain(binary.LittleEndian.Uint64(b[i:])); hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
		i += 8
	}
	if n := len(b) - i; n > 0 && len(b) >= 8 {
		// The last bytes, moved to the beginning of eight: what is behind them is
		// zero, which is not plain.
		return i + bits.TrailingZeros64(notPlain(binary.LittleEndian.Uint64(b[len(b)-8:])>>(64-8*n)))/8
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= 0x20 {
		i++
	}
	return i
}

// anyNotPlain reports whether b has a byte that a JSON string does not hold as it
// is.
func anyNotPlain(b []byte) bool {
	if len(b) < 8 {
		return plainEnd(b, 0) < len(b)
	}
	found := notPlain(binary.LittleEndian.Uint64(b[len(b)-8:]))
	for i := 0; i+8 <= len(b); i += 8 {
		found |= notPlain(binary.LittleEndian.Uint64(b[i:]))
	}
	return found != 0
}

// contentEnd is plainEnd for what is in a string, and tells whether the bytes
// before are what filters.Value calls plain.
func contentEnd(b []byte, i int) (end int, plain bool) {
	var other uint64
	for i+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[i:])
		percent, amp := w^ones*'%', w^ones*'&'
		odd := (w | (percent-ones)&^percent | (amp-ones)&^amp) & highs
		if hit := notPlain(w); hit != 0 {
			return i + bits.TrailingZeros64(hit)/8, other|odd&(hit&-hit-1) == 0
		}
		other |= odd
		i += 8
	}
	return plainEnd(b, i), false
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
func isNumber(b []byte) bool { return len(b) > 0 && numberEnd(b, 0) == len(b) }

// numberEnd returns where the number that begins at b[i] ends, or -1 where
// none does.
func numberEnd(b []byte, i int) int {
	if b[i] == '-' {
		i++
	}
	start := i
	if i = digitsEnd(b, i); i == start || b[start] == '0' && i > start+1 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		start = i + 1
		if i = digitsEnd(b, start); i == start {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		start = i
		if i = digitsEnd(b, start); i == start {
			return -1
		}
	}
	return i
}

func digitsEnd(b []byte, i int) int {
	for i < len(b) && b[i]-'0' < 10 {
		i++
	}
	return i
}

// scalarEnd finds the end of the scalar at b[i], where that is all there and
// followed by what may follow it; otherwise end is -1. Whether a long one is
// too long is not looked at.
func scalarEnd(b []byte, i int) (kind filters.Kind, end int, escaped bool) {
	switch b[i] {
	case '"':
		for end = plainEnd(b, i+1); end < len(b) && b[end] == '\\'; end = plainEnd(b, end) {
			n := escapeLen(b[end:], false)
			if n <= 0 {
				return filters.String, -1, true
			}
			escaped = true
			end += n
		}
		if end == len(b) || b[end] != '"' {
			return filters.String, -1, escaped
		}
		return filters.String, end + 1, escaped
	case 't':
		kind, end = filters.Bool, i+4
		if end >= len(b) || string(b[i:end]) != "true" {
			return kind, -1, false
		}
	case 'f':
		kind, end = filters.Bool, i+5
		if end >= len(b) || string(b[i:end]) != "false" {
			return kind, -1, false
		}
	case 'n':
		kind, end = filters.Null, i+4
		if end >= len(b) || string(b[i:end]) != "null" {
			return kind, -1, false
		}
	default:
		kind, end = filters.Number, numberEnd(b, i)
	}
	if end < 0 || end == len(b) || !isDelimiter(b[end]) {
		return kind, -1, false
	}
	return kind, end, false
}

// isSpace is JSON's white space.
func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// spaceEnd returns where the white space at b[i] ends.
func spaceEnd(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && isSpace(b[i]) {
		i++
	}
	return i
}

// isDelimiter reports whether c can stand behind a number or literal.
func isDelimiter(c byte) bool {
	return isSpace(c) || c == ',' || c == ']' || c == '}' || c == ':' || c == '"' || c == '[' || c == '{' || c == 0x1e
}
