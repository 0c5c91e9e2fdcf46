package pii

import (
	"strconv"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// char is one character of a text that may be meant otherwise than it is
// written.
type char struct {
	kind  kind
	form  form
	size  int // in the text; 0 where there is nothing
	ascii [1]byte
	raw   []byte // itself, as UTF-8
}

// kind is what a character is read as.
type kind uint8

const (
	other kind = iota // itself
	same              // an ASCII character that it looks like or stands for
	joint             // the same, but only within a number
	drop              // nothing: it is not seen
	mark              // nothing, where it stands on a digit
)

// readChar reads what begins at b[i], one of the leads. cut: more text is
// needed to tell.
func readChar(b []byte, i int, more bool, in codings) (c char, cut bool) {
	var r rune
	switch {
	case b[i] >= 0x80:
		if !in.has(unicodeForms) {
			return char{}, false
		}
		rr, n := utf8.DecodeRune(b[i:])
		if rr == utf8.RuneError && n <= 1 {
			return char{}, more && !utf8.FullRune(b[i:])
		}
		r, c = rr, char{form: folded, size: n, raw: b[i : i+n]}
	case b[i] == '%':
		if !in.has(urlEscapes) {
			return char{}, false
		}
		r, c, cut = readPercent(b, i, more)
	case b[i] == '&':
		if !in.has(htmlEntities) {
			return char{}, false
		}
		r, c, cut = readEntity(b, i, more)
	default:
		if !in.has(jsonDocuments) {
			return char{}, false
		}
		r, c, cut = readEscape(b, i, more)
	}
	if c.size == 0 || cut {
		return char{}, cut
	}
	c.ascii[0], c.kind = fold(r)
	if !in.has(unicodeForms) && r >= 0x80 {
		c.kind = other
	}
	return c, false
}

// digitFollows reports whether the next character from i on that is seen is a
// digit.
func digitFollows(b []byte, i int, more bool, in codings) (yes, cut bool) {
	for i < len(b) {
		if isDigit(b[i]) {
			return true, false
		}
		if !leads[b[i]] {
			return false, false
		}
		c, cut := readChar(b, i, more, in)
		switch {
		case cut:
			return false, true
		case c.size > 0 && c.kind == drop:
			i += c.size
		default:
			return c.kind == same && isDigit(c.ascii[0]), false
		}
	}
	return false, more
}

// readPercent reads the percent-encoded character at b[i], all the bytes of
// its UTF-8 sequence (RFC 3986, 2.1).
func readPercent(b []byte, i int, more bool) (r rune, c char, cut bool) {
	var seq [utf8.UTFMax]byte
	for n := 0; n < len(seq); n++ {
		at := i + 3*n
		for k := at; k < at+3; k++ {
			switch {
			case k >= len(b):
				return 0, char{}, more
			case k == at && b[k] != '%', k > at && !isHex(b[k]):
				return 0, char{}, false
			}
		}
		seq[n] = unhex(b[at+1])<<4 | unhex(b[at+2])
		if utf8.FullRune(seq[:n+1]) {
			r, size := utf8.DecodeRune(seq[:n+1])
			if r == utf8.RuneError || size != n+1 {
				return 0, char{}, false
			}
			return r, char{form: percent, size: 3 * (n + 1), raw: append([]byte(nil), seq[:n+1]...)}, false
		}
	}
	return 0, char{}, false
}

// maxEntity is the longest HTML entity that is read, from & to ;.
const maxEntity = 12

// entities are those by name that stand for what numbers and addresses are
// made of (HTML, 13.5).
var entities = map[string]rune{
	"commat": '@', "period": '.', "nbsp": 0xA0, "shy": 0xAD, "hyphen": 0x2010, "dash": 0x2010, "ndash": 0x2013, "mdash": 0x2014,
	"minus": 0x2212, "lowbar": '_', "plus": '+', "lpar": '(', "rpar": ')', "sol": '/', "colon": ':', "num": '#', "amp": '&', "lt": '<', "gt": '>',
	"quot": '"', "apos": '\'', "ensp": 0x2002, "emsp": 0x2003, "thinsp": 0x2009, "middot": 0xB7, "zwnj": 0x200C, "zwj": 0x200D,
}

func readEntity(b []byte, i int, more bool) (r rune, c char, cut bool) {
	end := i + 1
	for end < len(b) && end-i < maxEntity && (isAlnum(b[end]) || b[end] == '#') {
		end++
	}
	if end == len(b) && end-i < maxEntity {
		return 0, char{}, more
	}
	if end >= len(b) || b[end] != ';' || end == i+1 {
		return 0, char{}, false
	}
	name := string(b[i+1 : end])
	r, ok := entities[name]
	if name[0] == '#' {
		digits, base := name[1:], 10
		if len(digits) > 1 && digits[0]|0x20 == 'x' {
			digits, base = digits[1:], 16
		}
		n, err := strconv.ParseUint(digits, base, 32)
		r, ok = rune(n), err == nil && n > 0 && n <= unicode.MaxRune
	}
	if !ok || !utf8.ValidRune(r) {
		return 0, char{}, false
	}
	return r, char{form: entity, size: end + 1 - i, raw: utf8.AppendRune(nil, r)}, false
}

// readEscape reads the \u escape at b[i], or the surrogate pair of two (RFC
// 8259, 7).
func readEscape(b []byte, i int, more bool) (r rune, c char, cut bool) {
	r, ok, cut := unit16(b, i, more)
	if !ok {
		return 0, char{}, cut
	}
	size := 6
	if r >= 0xD800 && r < 0xDC00 {
		lo, ok, cut := unit16(b, i+6, more)
		if cut {
			return 0, char{}, true
		}
		if !ok || lo < 0xDC00 || lo > 0xDFFF {
			return 0, char{}, false
		}
		r, size = (r-0xD800)<<10+(lo-0xDC00)+0x10000, 12
	}
	if !utf8.ValidRune(r) {
		return 0, char{}, false
	}
	return r, char{form: escaped, size: size, raw: utf8.AppendRune(nil, r)}, false
}

func unit16(b []byte, i int, more bool) (r rune, ok, cut bool) {
	for k := range 6 {
		switch {
		case i+k >= len(b):
			return 0, false, more
		case k == 0 && b[i] != '\\', k == 1 && b[i+1] != 'u', k > 1 && !isHex(b[i+k]):
			return 0, false, false
		case k > 1:
			r = r<<4 | rune(unhex(b[i+k]))
		}
	}
	return r, true, false
}

// fold returns what a character is read as: digits of any script, and
// characters that Unicode says are compatible with one of ASCII, as that.
// Letters of other scripts that look Latin stay: they are what words in those
// scripts are made of.
func fold(r rune) (byte, kind) {
	switch {
	case r < 0x80:
		return byte(r), same
	case isUnseen(r):
		return 0, drop
	case r >= 0x300 && r <= 0x36F, r >= 0x20D0 && r <= 0x20F0, r >= 0xFE20 && r <= 0xFE2F:
		return 0, mark
	case r > 0xBF && r < 0x300 && r != 0x2D7, r >= 0x2018 && r <= 0x201F:
		return 0, other // letters, and quotation marks: what there is most of
	case r >= 0x2010 && r <= 0x2015:
		return '-', joint
	}
	if t := unicode.Nd; unicode.Is(t, r) {
		return '0' + digitOf(t, r), same
	}
	for _, e := range enclosed {
		if r >= e.first && r < e.first+9 {
			return '1' + byte(r-e.first), same
		}
	}
	switch r {
	case 0x24EA, 0x24FF:
		return '0', same
	case 0x2D7, 0x2212, 0x2043:
		return '-', joint
	case 0xB7, 0x2022, 0x2024, 0x2025, 0x2026, 0x2027, 0x2219, 0x22C5, 0x3002, 0x30FB, 0xFF61, 0xFF65:
		return '.', joint
	case 0x2044, 0x2215:
		return '/', joint
	case 0x1680, 0x2028, 0x2029:
		return ' ', same
	}
	if unicode.Is(unicode.Pd, r) {
		return '-', joint
	}
	var buf [utf8.UTFMax]byte
	d := norm.NFKC.Properties(utf8.AppendRune(buf[:0], r)).Decomposition()
	if len(d) == 1 && d[0] >= ' ' && d[0] < 0x7F {
		return d[0], same
	}
	return 0, other
}

// enclosed are the runs of one to nine in circles, parentheses or with a full
// stop that Unicode does not count as digits.
var enclosed = []struct{ first rune }{
	{0x2460}, {0x2474}, {0x2488}, {0x24F5}, {0x2776}, {0x2780}, {0x278A},
}

// isUnseen: soft hyphens, joiners, marks of direction, variation selectors,
// fillers and tags.
func isUnseen(r rune) bool {
	switch {
	case r == 0xAD, r == 0x34F, r == 0x61C, r == 0x115F, r == 0x1160, r == 0x17B4, r == 0x17B5, r >= 0x180B && r <= 0x180F,
		r >= 0x200B && r <= 0x200F, r >= 0x202A && r <= 0x202E, r >= 0x2060 && r <= 0x206F, r == 0x3164,
		r >= 0xFE00 && r <= 0xFE0F, r == 0xFEFF, r == 0xFFA0, r >= 0xFFF9 && r <= 0xFFFB, r >= 0xE0000 && r <= 0xE0FFF:
		return true
	}
	return false
}

// digitOf returns the value of a decimal digit: they come in runs of ten.
func digitOf(t *unicode.RangeTable, r rune) byte {
	for _, x := range t.R16 {
		if r >= rune(x.Lo) && r <= rune(x.Hi) {
			return byte((r - rune(x.Lo)) % 10)
		}
	}
	for _, x := range t.R32 {
		if r >= rune(x.Lo) && r <= rune(x.Hi) {
			return byte((r - rune(x.Lo)) % 10)
		}
	}
	return 0
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isAlnum(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'z' }

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

func unhex(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
