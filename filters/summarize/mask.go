package summarize

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sluice-proxy/sluice/internal/detect"
)

// masker replaces what the detectors find by the entity's name.
type masker struct{ scanner *detect.Scanner }

// mask masks the value of a field. more: the text goes on beyond what is
// there; what cannot be decided without the rest is left out.
func (m masker) mask(name, s string, more bool) string {
	return m.in(detect.Context{Key: name}, s, more)
}

func (m masker) in(ctx detect.Context, s string, more bool) string {
	found, settled := m.scanner.Scan(nil, ctx, []byte(s), more)
	if len(found) == 0 {
		return s[:settled]
	}
	var b strings.Builder
	at := 0
	for _, f := range found {
		b.WriteString(s[at:f.Start])
		b.WriteString("<" + string(f.Entity) + ">")
		at = f.End
	}
	b.WriteString(s[at:settled])
	return b.String()
}

// name masks the name of a field.
func (m masker) name(s string) string {
	return m.line(m.in(detect.Context{Name: true}, s, false), maxName)
}

// clean makes a text that nobody vouches for fit to be written down: one line,
// masked, of at most limit bytes.
func (m masker) clean(s string, limit int) string {
	// What is hidden between invisible characters is looked at without them.
	return m.line(m.mask("", m.line(s, 4*limit), false), limit)
}

// line makes one line of at most limit bytes of s: white space becomes a
// space, and characters that cannot be seen go.
func (masker) line(s string, limit int) string {
	var b strings.Builder
	space := false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = b.Len() > 0
			continue
		case r == utf8.RuneError, unicode.In(r, unicode.C, unicode.Zl, unicode.Zp):
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
		if b.Len() > limit {
			break
		}
	}
	s = b.String()
	if len(s) <= limit {
		return s
	}
	const more = "…"
	cut := limit - len(more)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	s = s[:cut]
	// A name in angle brackets is not cut in two.
	if i := strings.LastIndexByte(s, '<'); i > strings.LastIndexByte(s, '>') {
		s = s[:i]
	}
	return strings.TrimRight(s, " ,;:") + more
}
