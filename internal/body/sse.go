package body

import (
	"bytes"
	"context"
	"encoding/binary"

	"github.com/sluice-proxy/sluice/filters"
)

// events is the codec of Server-Sent Events (WHATWG HTML, 9.2).
//
// An event is held until its blank line, for a client cannot use a part of
// one, and then goes out at once. Its data is a JSON document of its own, or
// text. Strings that go on from event to event are one value: see channel.
type events struct {
	e       *Editor
	walker  *walker
	outline outline
	// everything: some stage looks at everything, so also at comments, names
	// and identifiers.
	everything bool

	pending []byte // an event that is not complete
	// What is known of the event being read: up to where it was scanned, where
	// its open line begins, and whether a line feed there still belongs to the
	// line before.
	scan, line int
	afterCR    bool
	// skipLF: a line feed that comes next belongs to the blank line before.
	skipLF bool
	// over: the event is beyond its bound, and goes by as text.
	over  bool
	alone pieces // for what does not parse

	channels []*channel
	used     uint64 // counts the parts of joined values
	// usedBefore is how many there were before the event at hand.
	usedBefore uint64
	shapeBytes int    // of all the shapes that channels have
	unused     *shape // one that none has any more
	parts      pieces
	now        *channel // whose text is in parts
	naming     bool     // the walker is at the name of its member
	instead    []byte
	in, long   flow
	gone       flow
	prepare    func(*runner) *filters.Value
	outcome    func(*runner, *filters.Value) bool

	// The event at hand.
	lines   []eventLine
	texts   []byte // what is written in place of lines
	joined  []byte // the data, where it is on several lines
	scratch []byte
	name    []byte
	kind    []byte // its type: the document's, or else its name
	closes  bool   // it ends channels
	stem    []byte // only those of its family, where not nil
	cut     bool   // the body ends in it
	next    int    // the slot that comes
	plainTo *channel
	early   []byte // what goes out before it
	out     []byte
}

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

func newEvents(e *Editor) *events {
	s := &events{e: e, outline: newOutline(e.stages)}
	for _, r := range e.stages {
		s.everything = s.everything || r.stage.Paths == nil
	}
	s.prepare, s.outcome = s.prepareValue, s.judge
	return s
}

// likeEvents reports whether a body that begins like this is a stream of
// events with data in JSON; known is false where more of it has to be seen.
func likeEvents(b []byte, end bool) (yes, known bool) {
	const longestName = 128
	if rest, name := bytes.CutPrefix(b, []byte("event:")); name {
		at := lineEnd(rest, 0)
		if at == len(rest) {
			return false, end || at > longestName
		}
		b = bytes.TrimLeft(rest[at:], "\r\n")
	} else if bytes.HasPrefix([]byte("event:"), b) {
		return false, end
	}
	rest, data := bytes.CutPrefix(b, []byte("data:"))
	if !data {
		return false, end || !bytes.HasPrefix([]byte("data:"), b)
	}
	if rest = bytes.TrimPrefix(rest, []byte{' '}); len(rest) == 0 {
		return false, end
	}
	return rest[0] == '{' || rest[0] == '[', true
}

func (s *events) held() int { return len(s.pending) + s.kept() + s.alone.held }

// feed implements codec: whatever comes is a stream of events.
func (s *events) feed(ctx context.Context, chunk []byte, end bool) (rest []byte, parsed bool, err error) {
	return nil, true, s.write(ctx, chunk, end)
}

func (s *events) write(ctx context.Context, chunk []byte, end bool) error {
	data := chunk
	if len(s.pending) > 0 {
		s.pending = append(s.pending, chunk...)
		data = s.pending
	}
	all := len(data)
	for len(data) > 0 {
		if s.skipLF {
			s.skipLF = false
			if data[0] == '\n' {
				s.e.out(data[:1])
				data = data[1:]
				continue
			}
		}
		n, whole := s.boundary(data)
		if !s.over && n > s.e.limits.EventBytes {
			s.e.reached.Event = true
			if err := s.beginOver(ctx); err != nil {
				return err
			}
		}
		switch {
		case s.over:
			used, err := s.goOver(ctx, data[:n], whole)
			if err != nil {
				return err
			}
			data = data[used:]
			s.scan -= used
			s.line -= used
		case whole || end:
			if err := s.event(ctx, data[:n], !whole); err != nil {
				return err
			}
			data = data[n:]
		}
		if !whole {
			break
		}
		s.scan, s.line, s.afterCR, s.over = 0, 0, false, false
	}
	if len(s.pending) == 0 || len(data) < all {
		s.pending = append(s.pending[:0], data...)
	}
	if end {
		if s.over {
			if _, err := s.goOver(ctx, s.pending, true); err != nil {
				return err
			}
		}
		s.pending = s.pending[:0]
		s.early = s.early[:0]
		if err := s.releaseAll(ctx); err != nil {
			return err
		}
		s.e.out(s.early)
	}
	return nil
}

// boundary finds the end of the event that data begins with: behind its blank
// line, where whole, otherwise n is all of data. Of a blank line that ends in
// CR LF the line feed is left: it may not be there yet.
func (s *events) boundary(data []byte) (n int, whole bool) {
	for {
		if s.afterCR && s.line < len(data) {
			if data[s.line] == '\n' {
				s.line++
			}
			s.afterCR = false
		}
		at := lineEnd(data, max(s.scan, s.line))
		s.scan = at
		if at == len(data) {
			return at, false
		}
		if at == s.line {
			s.skipLF = data[at] == '\r'
			return at + 1, true
		}
		s.line, s.scan, s.afterCR = at+1, at+1, data[at] == '\r'
	}
}

// lineEnd returns the index of the first CR or LF of b, from i on; len(b)
// where there is none. It looks at eight bytes at a time.
func lineEnd(b []byte, i int) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	for i+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[i:])
		lf := w ^ ones*'\n'
		cr := w ^ ones*'\r'
		if ((lf-ones)&^lf|(cr-ones)&^cr)&highs != 0 {
			break
		}
		i += 8
	}
	for i < len(b) && b[i] != '\n' && b[i] != '\r' {
		i++
	}
	return i
}

// event deals with one event. cut: the body ended before its blank line.
func (s *events) event(ctx context.Context, raw []byte, cut bool) error {
	s.usedBefore = s.used
	s.cut, s.early, s.texts, s.plainTo = cut, s.early[:0], s.texts[:0], nil
	doc, has := s.split(raw)
	if s.everything {
		for i := range s.lines {
			if l := &s.lines[i]; l.kind == otherLine || l.kind == eventNameLine {
				if err := s.showLine(ctx, raw, l); err != nil {
					return err
				}
			}
		}
	}
	out, err := s.data(ctx, doc, has)
	if err != nil {
		return err
	}
	s.e.out(s.early)
	s.compose(raw, doc, out)
	s.remember(raw, out)
	return s.trim(ctx)
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

// showLine shows a comment, a name, an identifier or a line of another field
// as text to the stages that look at everything.
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
	out, err := s.alone.push(ctx, &in, false, s.preparePlain, func(_ *runner, v *filters.Value) bool {
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

func (s *events) preparePlain(r *runner) *filters.Value {
	v := r.prepare(filters.Text, nil, level{})
	v.Paths, v.Inside = ^uint64(0), false
	return v
}

// data shows an event's data to the stages and returns what becomes of it.
// What has to go out before the event is in early.
func (s *events) data(ctx context.Context, doc []byte, has bool) (out []byte, err error) {
	o := &s.outline
	o.reset()
	trimmed := bytes.Trim(doc, " \t\n") // there is no CR in it
	switch {
	case len(trimmed) == 0:
		s.closing()
		out = doc
	case string(trimmed) == "[DONE]":
		return doc, s.releaseAll(ctx)
	case (trimmed[0] == '{' || trimmed[0] == '[' || trimmed[0] == '"') && (o.read(doc, &s.e.limits) || s.cut):
		s.closing()
		out, err = s.document(ctx, doc)
	default:
		o.reset()
		s.closing()
		out, err = s.plain(ctx, doc)
	}
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(s.channels); {
		if ch := s.channels[i]; !s.ended(ch.kind, ch.item, &ch.id) {
			i++
		} else if err := s.release(ctx, ch); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// document passes a JSON document through the walker.
func (s *events) document(ctx context.Context, doc []byte) (out []byte, err error) {
	s.markFinal()
	w := s.walker
	if w == nil {
		w = newWalker(s.e, false)
		w.events, s.walker = s, w
	}
	w.restart()
	w.data, w.end, w.mark, w.pos, w.scan = doc, true, 0, 0, 0
	s.next = 0
	dst := s.e.dst
	s.e.dst = s.out[:0]
	defer func() { s.out, s.e.dst, w.data = s.e.dst[:0], dst, nil }()
	parsed, err := w.run(ctx)
	if err != nil {
		return nil, err
	}
	parsed = parsed && w.complete()
	settled := w.settled()
	if w.drop >= 0 {
		w.mark = settled
	}
	w.emit(settled)
	if !parsed {
		if w.state == inPieces && w.drop < 0 {
			left, err := w.pushPiece(ctx, nil, false, nil)
			if err != nil {
				return nil, err
			}
			s.e.out(left.raw)
		}
		w.parts.held = 0
		if err := s.unparsed(ctx); err != nil {
			return nil, err
		}
		if _, err := s.goOver(ctx, doc[settled:], true); err != nil {
			return nil, err
		}
	}
	return s.e.dst, nil
}

// markFinal finds the slots that are their values' last.
func (s *events) markFinal() {
	o := &s.outline
	var later map[identity]bool // where there are too many to compare
	if len(o.slots) > 16 {
		later = make(map[identity]bool, len(o.slots))
	}
	for i := len(o.slots) - 1; i >= 0; i-- {
		sl := &o.slots[i]
		sl.final = s.ended(stringOf(s.kind), stringOf(o.item), &sl.id)
		if later != nil {
			sl.final = sl.final && !later[sl.id]
			later[sl.id] = true
			continue
		}
		for j := i + 1; sl.final && j < len(o.slots); j++ {
			sl.final = o.slots[j].id != sl.id
		}
	}
}

// plain passes an event's text through its channel: to the stages that look
// at everything, to the others as they ask.
func (s *events) plain(ctx context.Context, doc []byte) ([]byte, error) {
	for _, r := range s.e.stages {
		if !r.dropped && r.stage.Paths != nil && r.stage.Unparsed == filters.DenyUnparsed {
			if err := s.refuse(ctx, r); err != nil {
				return nil, err
			}
		}
	}
	id := identity{text: true, root: noNumbers}
	ch, err := s.channel(ctx, nil, &id)
	if err != nil {
		return nil, err
	}
	s.plainTo = ch
	for i, r := range s.e.stages {
		ch.looks[i] = r.stage.Paths == nil || r.stage.Unparsed != filters.PassUnparsed
	}
	in := flow{text: doc, raw: doc}
	before := ch.held
	out, err := s.push(ctx, ch, &in, !s.ended(ch.kind, "", &id))
	if err != nil {
		return nil, err
	}
	if s.cut && before > 0 {
		ch.tail = append(ch.tail, out.raw...)
		return nil, nil
	}
	s.out = append(s.out[:0], out.raw...)
	return s.out, nil
}

// refuse tells a stage that wants no body that does not parse. Where it is
// not the exchange's end, the stage sees nothing more of the body.
func (s *events) refuse(ctx context.Context, r *runner) error {
	if err := s.releaseAll(ctx); err != nil {
		return err
	}
	if r.stage.OnUnparsed != nil {
		if err := r.stage.OnUnparsed(ctx); err != nil {
			return err
		}
	}
	r.dropped = true
	return nil
}

// unparsed prepares to show what does not parse to the stages that want it.
func (s *events) unparsed(ctx context.Context) error {
	s.e.unparsed = true
	for _, r := range s.e.stages {
		if !r.dropped && r.stage.Unparsed == filters.DenyUnparsed {
			if err := s.refuse(ctx, r); err != nil {
				return err
			}
		}
	}
	s.alone.start(verbatim, 4*s.e.limits.PieceBytes)
	for _, r := range s.e.stages {
		if !r.dropped && r.stage.Unparsed != filters.PassUnparsed {
			s.alone.add(r)
		}
	}
	return nil
}

// beginOver starts to pass an event by as text that is beyond its bound.
func (s *events) beginOver(ctx context.Context) error {
	s.over, s.early = true, s.early[:0]
	if err := s.releaseAll(ctx); err != nil {
		return err
	}
	if err := s.unparsed(ctx); err != nil {
		return err
	}
	s.e.out(s.early)
	return nil
}

// goOver shows text that does not parse, whole characters at a time, and
// returns how much of it that was.
func (s *events) goOver(ctx context.Context, text []byte, end bool) (int, error) {
	if len(s.alone.stages) == 0 {
		s.e.out(text)
		return len(text), nil
	}
	n := len(text)
	if !end {
		n = wholeCharacters(text)
	}
	in := flow{text: text[:n], raw: text[:n]}
	out, err := s.alone.push(ctx, &in, !end, s.preparePlain, nil)
	if err != nil {
		return 0, err
	}
	s.e.out(out.raw)
	return n, nil
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
