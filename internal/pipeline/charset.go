package pipeline

import "github.com/sluice-proxy/sluice/internal/body"

// toUTF8 returns a chunk of the plain body in UTF-8, which is what the steps
// see.
func (l *lane) toUTF8(chunk []byte, end bool) []byte {
	if l.chars == nil {
		return chunk
	}
	text := l.chars.Decode(l.text[:0], chunk, end)
	if l.chars.Converts() {
		l.text = text
	}
	if l.chars.Unknown() {
		l.typ.Format = body.Unreadable
	}
	return text
}

// fromUTF8 returns what goes on in the body's own charset.
func (l *lane) fromUTF8(text []byte, end bool) []byte {
	if l.chars == nil || !l.chars.Converts() {
		return text
	}
	l.wire = l.chars.Encode(l.wire[:0], text, end)
	return l.wire
}

// unreadable says why a body of the type is not read.
func unreadable(t body.Type) string {
	if !t.Known {
		return "content type"
	}
	return "charset"
}
