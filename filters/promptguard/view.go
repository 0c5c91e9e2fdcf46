package promptguard

import (
	"encoding/base64"
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
	if d, ok := decoded(s); ok {
		vs = append(vs, readings(d)...)
	}
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

// decoded is what a prompt says that is base64 as a whole.
func decoded(s string) (string, bool) {
	s = strings.TrimRight(strings.Join(strings.Fields(s), ""), "=")
	if len(s) < least {
		return "", false
	}
	enc := base64.RawStdEncoding
	if strings.ContainsAny(s, "-_") {
		enc = base64.RawURLEncoding
	}
	b, err := enc.DecodeString(s)
	if err != nil || !utf8.Valid(b) {
		return "", false
	}
	d := string(b)
	if strings.ContainsFunc(d, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) }) {
		return "", false
	}
	return d, true
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
