package body

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/bits"

	"github.com/sluice-proxy/sluice/filters"
)

type lineKind uint8

const (
	otherLine lineKind = iota
	dataLine
	eventNameLine
	blankLine
)

// eventLine is a line of an event: raw[from:next], its text raw[text:end]
// behind the field's name and before the line end.
type eventLine struct {
	kind                  lineKind
	from, text, end, next int
	edited, removed       bool
	newFrom, newTo        int // in events.texts
}

// lineEnd returns the index of the first CR or LF of b, from i on; len(b)
// where there is none. It looks at eight bytes at a time.
func lineEnd(b []byte, i int) int {
	for i+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[i:])
		lf := w ^ ones*'\n'
		cr := w ^ ones*'\r'
		if hit := ((lf-ones)&^lf | (cr-ones)&^cr) & highs; hit != 0 {
			return i + bits.TrailingZeros64(hit)/8
		}
		i += 8
	}
	for i < len(b) && b[i] != '\n' && b[i] != '\r' {
		i++
	}
	return i
}

var fieldData, fieldEvent, fieldID = []byte("data"), []byte("event"), []byte("id")

// split takes an event apart into its lines and returns its data.
func (s *events) split(raw []byte) (doc []byte, has bool) {
	s.lines, s.name = s.lines[:0], nil
	several := false
	for at := 0; at < len(raw); {
		l := eventLine{from: at, end: lineEnd(raw, at)}
		l.next = l.end
		if l.next < len(raw) {
			l.next++
			if raw[l.end] == '\r' && l.next < len(raw) && raw[l.next] == '\n' {
				l.next++
			}
		}
		at = l.next
		line := raw[l.from:l.end]
		colon := bytes.IndexByte(line, ':')
		field := line
		l.text = l.end
		if colon >= 0 {
			field = line[:colon]
			l.text = l.from + colon + 1
			if colon > 0 && l.text < l.end && raw[l.text] == ' ' {
				l.text++
			}
		}
		switch {
		case len(line) == 0:
			l.kind = blankLine
		case bytes.Equal(field, fieldData):
			l.kind = dataLine
			text := raw[l.text:l.end]
			switch {
			case !has:
				doc, has = text, true
			case !several:
				s.joined = append(append(append(s.joined[:0], doc...), '\n'), text...)
				doc, several = s.joined, true
			default:
				s.joined = append(append(s.joined, '\n'), text...)
				doc = s.joined
			}
		case bytes.Equal(field, fieldEvent):
			l.kind, s.name = eventNameLine, raw[l.text:l.end]
		case colon != 0 && !bytes.Equal(field, fieldID):
			l.text = l.from // what clients do not know is looked at as a whole
		}
		s.lines = append(s.lines, l)
	}
	return doc, has
}

// showLine shows a comment or a line of another field as text, and what names
// an event as the name that it is, to the stages that look at everything.
func (s *events) showLine(ctx context.Context, raw []byte, l *eventLine) error {
	text := raw[l.text:l.end]
	if len(text) == 0 {
		return nil
	}
	s.alone.start(verbatim, 4*s.e.limits.PieceBytes)
	for _, r := range s.e.stages {
		if !r.dropped && r.stage.Paths == nil {
			s.alone.add(r)
		}
	}
	in := flow{text: text, raw: text}
	prepare := s.preparePlain
	if l.kind == eventNameLine {
		prepare = prepareName
	}
	out, err := s.alone.push(ctx, &in, false, prepare, func(_ *runner, v *filters.Value) bool {
		verb, _ := v.Outcome()
		l.removed = l.removed || verb == filters.Remove
		return !l.removed
	})
	if err != nil || l.removed || bytes.Equal(out.raw, text) {
		return err
	}
	l.edited, l.newFrom = true, len(s.texts)
	s.texts = append(s.texts, out.raw...)
	l.newTo = len(s.texts)
	for i, c := range s.texts[l.newFrom:l.newTo] {
		if c == '\n' || c == '\r' {
			s.texts[l.newFrom+i] = ' ' // it would begin another line
		}
	}
	return nil
}

// compose writes the event with out as its data.
func (s *events) compose(raw, doc, out []byte) {
	same, edited := bytes.Equal(doc, out), false
	last := -1
	for i := range s.lines {
		l := &s.lines[i]
		edited = edited || l.edited || l.removed
		if l.kind == dataLine {
			last = i
		}
	}
	if same && !edited {
		s.e.out(raw)
		return
	}
	rest, open := out, true
	for i := range s.lines {
		l := &s.lines[i]
		switch {
		case l.removed:
		case l.edited:
			s.e.out(raw[l.from:l.text])
			s.e.out(s.texts[l.newFrom:l.newTo])
			s.e.out(raw[l.end:l.next])
		case l.kind != dataLine || same:
			s.e.out(raw[l.from:l.next])
		case i < last:
			if open {
				var line []byte
				line, rest, open = cutLine(rest)
				s.e.dst = appendData(s.e.dst, raw[l.from:l.text], line)
				s.e.out(raw[l.end:l.next])
			}
		default:
			for open {
				var line []byte
				line, rest, open = cutLine(rest)
				s.e.dst = appendData(s.e.dst, raw[l.from:l.text], line)
				if open {
					s.e.dst = append(s.e.dst, s.lineEnding(raw)...)
				}
			}
			s.e.out(raw[l.end:l.next])
		}
	}
}

// cutLine returns the first line of text, and what is behind it where there
// is more.
func cutLine(text []byte) (line, rest []byte, more bool) {
	end := lineEnd(text, 0)
	if end == len(text) {
		return text, nil, false
	}
	next := end + 1
	if text[end] == '\r' && next < len(text) && text[next] == '\n' {
		next++
	}
	return text[:end], text[next:], true
}

// appendData writes a line of data. Its text must not lose a space that it
// begins with: the first behind the colon does not count.
func appendData(dst, prefix, line []byte) []byte {
	dst = append(dst, prefix...)
	if len(line) > 0 {
		switch prefix[len(prefix)-1] {
		case ':':
			if line[0] == ' ' {
				dst = append(dst, ' ')
			}
		case 'a':
			dst = append(dst, ": "...)
		}
	}
	return append(dst, line...)
}

var lineFeed = []byte{'\n'}

// lineEnding is how the event ends its lines.
func (s *events) lineEnding(raw []byte) []byte {
	if l := &s.lines[0]; l.next > l.end {
		return raw[l.end:l.next]
	}
	return lineFeed
}
