package promptguard

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"html"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// views are the ways in which a prompt can be read: what it says when its
// disguises are taken off. White space within a line is one space, and between
// lines one line end.
func views(s string) []string {
	vs := readings(s)
	add := func(disguised string, ok bool) {
		if !ok {
			return
		}
		for _, v := range readings(disguised) {
			if !slices.Contains(vs, v) {
				vs = append(vs, v)
			}
		}
	}
	add(alike(s))
	add(unspaced(s))
	add(unescaped(s))
	add(decodedWithin(s))
	add(decoded(s)) // last: it is what the prompt says, where there is one
	return vs
}

// readings are a text without its invisible characters, and where there were
// any, the same with a space in the place of each: they may stand within words
// or between them.
func readings(s string) []string {
	v := fold(s, "")
	if w := fold(s, " "); w != v {
		return []string{v, w}
	}
	return []string{v}
}

// fold is a text in compatibility form (NFKC) and lower case. Tag characters
// are read as the ASCII that they stand for; other characters that cannot be
// seen become gap.
func fold(s, gap string) string {
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range norm.NFKC.String(s) {
		switch {
		case r >= 0xE0020 && r <= 0xE007E:
			b.WriteRune(r - 0xE0000)
		case invisible(r):
			b.WriteString(gap)
		default:
			b.WriteRune(r)
		}
	}
	lines := strings.FieldsFunc(b.String(), func(r rune) bool { return r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029' })
	kept := lines[:0]
	for _, l := range lines {
		if l = strings.Join(strings.Fields(l), " "); l != "" {
			kept = append(kept, l)
		}
	}
	return strings.ToLower(strings.Join(kept, "\n"))
}

func invisible(r rune) bool {
	if r < 0x20 {
		return r != '\t' && r != '\n' && r != '\r'
	}
	return r > 0x7e && (unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Variation_Selector, r) || r >= 0x7f && r < 0xa0 && r != 0x85 || r == 0x3164 || r == 0x115f || r == 0x1160 || r == 0x034f)
}

// flat is a view on one line, as patterns see it.
func flat(view string) string { return strings.ReplaceAll(view, "\n", " ") }

// least is how long base64 is at least to be taken for it: words are too.
const least = 16

// decoded is what a prompt says that is base64, or hexadecimal, as a whole.
func decoded(s string) (string, bool) {
	s = strings.TrimRight(strings.Join(strings.Fields(s), ""), "=")
	if len(s) < least {
		return "", false
	}
	b, err := hex.DecodeString(s)
	if err != nil || !legible(b) {
		enc := base64.RawStdEncoding
		if strings.ContainsAny(s, "-_") {
			enc = base64.RawURLEncoding
		}
		b, err = enc.DecodeString(s)
	}
	if err != nil || !legible(b) {
		return "", false
	}
	return string(b), true
}

// legible reports whether bytes are a text.
func legible(b []byte) bool {
	return utf8.Valid(b) && !bytes.ContainsFunc(b, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) })
}

// cut is the beginning of a text of at most n bytes, at a character's edge.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// within is how many such pieces are decoded in a prompt, and leastWithin
// how long one is at least: identifiers are long, too.
const (
	within      = 16
	leastWithin = 24
)

// decodedWithin is a text with what is base64 or hexadecimal in it decoded,
// where that is words.
func decodedWithin(s string) (string, bool) {
	var b strings.Builder
	found := 0
	for len(s) > 0 && found < within {
		start := strings.IndexFunc(s, base64Rune)
		if start < 0 {
			break
		}
		b.WriteString(s[:start])
		s = s[start:]
		end := strings.IndexFunc(s, func(r rune) bool { return !base64Rune(r) })
		if end < 0 {
			end = len(s)
		}
		piece := s[:end]
		s = s[end:]
		if len(piece) >= leastWithin {
			if d, ok := decoded(piece); ok && len(strings.Fields(d)) >= leastWords {
				b.WriteString(" " + d + " ")
				found++
				continue
			}
		}
		b.WriteString(piece)
	}
	if found == 0 {
		return "", false
	}
	b.WriteString(s)
	return b.String(), true
}

func base64Rune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("+/-_=", r)
}

// unescaped is a text without the escapes of HTML and of addresses.
func unescaped(s string) (string, bool) {
	t := html.UnescapeString(s)
	if strings.Count(t, "%") >= leastWords {
		if u, err := url.PathUnescape(t); err == nil && utf8.ValidString(u) {
			t = u
		}
	}
	return t, t != s
}

// lookAlike are letters of other scripts that look like Latin ones.
var lookAlike = strings.NewReplacer(
	"а", "a", "е", "e", "о", "o", "р", "p", "с", "c", "у", "y", "х", "x", "і", "i", "ј", "j", "ѕ", "s", "ԁ", "d", "һ", "h", "ӏ", "l", "ԛ", "q", "ԝ", "w", "ո", "n", "ս", "u", "ց", "g",
	"А", "A", "В", "B", "Е", "E", "К", "K", "М", "M", "Н", "H", "О", "O", "Р", "P", "С", "C", "Т", "T", "У", "Y", "Х", "X", "І", "I", "Ј", "J", "Ѕ", "S",
	"α", "a", "ο", "o", "ρ", "p", "ν", "v", "ι", "i", "κ", "k", "υ", "u", "ɡ", "g", "ı", "i", "ɩ", "i",
	"Α", "A", "Β", "B", "Ε", "E", "Η", "H", "Ι", "I", "Κ", "K", "Μ", "M", "Ν", "N", "Ο", "O", "Ρ", "P", "Τ", "T", "Υ", "Y", "Χ", "X", "Ζ", "Z",
)

// alike is a text with the letters that look like Latin ones as those, where
// there are Latin ones beside them: one in another script is left alone.
func alike(s string) (string, bool) {
	latin := strings.ContainsFunc(s, func(r rune) bool { return r < utf8.RuneSelf && unicode.IsLetter(r) })
	if !latin || !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x250 && r < 0x590 }) {
		return "", false
	}
	t := lookAlike.Replace(s)
	return t, t != s
}

// apart is how many letters stand by themselves where a word is spaced out.
const apart = 4

// unspaced is a text with the words put together whose letters stand apart:
// i g n o r e, or d-i-s-r-e-g-a-r-d.
func unspaced(s string) (string, bool) {
	rs := []rune(s)
	var b strings.Builder
	found := false
	for i := 0; i < len(rs); {
		n := spaced(rs[i:])
		if i > 0 && unicode.IsLetter(rs[i-1]) || n < apart {
			b.WriteRune(rs[i])
			i++
			continue
		}
		found = true
		for k := range n {
			b.WriteRune(rs[i+2*k])
		}
		i += 2*n - 1
	}
	return b.String(), found
}

// spaced is how many letters follow each other with the same separator between
// every two of them.
func spaced(rs []rune) int {
	n := 0
	for i := 0; i < len(rs) && unicode.IsLetter(rs[i]); i += 2 {
		n++
		last := i+1 >= len(rs)
		if last || !strings.ContainsRune(" .-_*|", rs[i+1]) || n > 1 && rs[i+1] != rs[i-1] {
			// A letter that a word begins with is not one of them.
			if !last && unicode.IsLetter(rs[i+1]) {
				n--
			}
			break
		}
	}
	return n
}
