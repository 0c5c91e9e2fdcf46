package body

import (
	"bytes"
	"context"
	"slices"

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
	// same: its document is the last one but for the text in its only slot.
	// quiet: of that one, nothing but the text, which went to was, need be shown
	// to anyone as long as the stages' states are the same; its member's name is
	// at nameFrom, where it has one.
	same, quiet      bool
	was              *channel
	nameFrom, nameTo int
	early            []byte // what goes out before it
	out              []byte
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
		if len(data) == 0 {
			s.pending = spare(s.pending)
		}
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
	err = s.trim(ctx)
	s.out, s.early, s.texts, s.joined = spare(s.out), spare(s.early), spare(s.texts), spare(s.joined)
	if cap(s.lines) > 1024 {
		s.lines = nil
	}
	return err
}

// spare gives memory back that a large event has taken.
func spare(b []byte) []byte {
	if cap(b) > 64<<10 {
		return nil
	}
	return b[:0]
}

func (s *events) preparePlain(r *runner) *filters.Value {
	v := r.prepare(filters.Text, nil, &level{})
	v.Paths, v.Inside = ^uint64(0), false
	return v
}

// prepareName prepares an event's name: clients go by it.
func prepareName(r *runner) *filters.Value {
	v := r.prepare(filters.Name, nil, &level{})
	v.Paths, v.Inside = ^uint64(0), false
	return v
}

// data shows an event's data to the stages and returns what becomes of it.
// What has to go out before the event is in early.
func (s *events) data(ctx context.Context, doc []byte, has bool) (out []byte, err error) {
	o := &s.outline
	s.same = o.again(doc)
	if !s.same {
		o.reset()
	}
	trimmed := bytes.Trim(doc, " \t\n") // there is no CR in it
	switch {
	case s.same:
		s.closing()
		out, err = s.document(ctx, doc)
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
	// Also where they do not matter now, the states are noted.
	if s.steady() && s.same && s.quiet && !s.cut && s.follows() {
		return s.repeat(ctx, doc)
	}
	w := s.walker
	if w == nil {
		w = newWalker(s.e, false)
		w.events, s.walker = s, w
	}
	w.restart()
	w.data, w.end, w.mark, w.pos, w.scan, w.shown, w.behind = doc, true, 0, 0, 0, false, false
	s.next, s.quiet = 0, false
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
	if s.quiet = parsed && s.outline.fixed && !w.shown; s.quiet {
		s.was = s.outline.slots[0].ch
	}
	return s.e.dst, nil
}

// steady notes the states of the stages, and reports whether they are those
// that were noted before.
func (s *events) steady() bool {
	same := true
	for _, r := range s.e.stages {
		same = r.same() && same
	}
	return same
}

// follows reports whether the text of the event at hand goes where that of the
// last one went.
func (s *events) follows() bool {
	sl, ch := &s.outline.slots[0], s.was
	return ch == nil || ch.id == sl.id && ch.kind == string(s.kind) && ch.item == string(s.outline.item) && slices.Contains(s.channels, ch)
}

// repeat does what document does where nobody looks at anything but the text
// that is new.
func (s *events) repeat(ctx context.Context, doc []byte) (out []byte, err error) {
	sl, ch, w := &s.outline.slots[0], s.was, s.walker
	if ch == nil {
		return doc, nil
	}
	s.used++
	ch.used = s.used
	s.scratch = s.in.decode(doc[sl.at+1:sl.end], s.scratch)
	s.naming, w.newName = s.nameTo > 0, nil
	text, err := s.push(ctx, ch, &s.in, !sl.final)
	s.naming = false
	if err != nil {
		return nil, err
	}
	out, from := s.out[:0], 0
	if w.newName != nil {
		out = append(append(out, doc[:s.nameFrom]...), w.newName...)
		from = s.nameTo
	}
	out = append(out, doc[from:sl.at+1]...)
	sl.ch, sl.out = ch, len(out)
	out = append(append(out, text.raw...), doc[sl.end:]...)
	s.out = out
	return out, nil
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
