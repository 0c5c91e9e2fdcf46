package body

import (
	"bytes"
	"context"
	"slices"

	"github.com/sluice-proxy/sluice/filters"
)

// channel is one value that goes over several events, at work: what the
// stages hold of it, and the shape of the last event that brought a part.
//
// What a stage settles goes out in the event that is at hand, what it holds
// with the next part. When the value ends with nothing more of it coming, an
// event is made for what is left.
type channel struct {
	id         identity
	kind, item string
	key        []byte
	runners    []*runner
	looks      []bool // the stages that look at it
	used       uint64
	held       int
	// alone: the value is not followed to other events.
	alone bool
	// gone: a stage removed or replaced the value, and what still comes of it
	// is dropped.
	gone bool
	// tail is what would have stood in an event that the body's end cuts off.
	tail []byte

	// shape is the last event's, at where in its document the text stood. Nil
	// where nothing is held.
	shape *shape
	at    int
}

// maxFromLong is how many texts of an event that is longer than a piece may be
// held: each may cost another look through that event's document.
const maxFromLong = 16

// closing finds out what the event at hand ends.
func (s *events) closing() {
	if s.kind = s.outline.kind; len(s.kind) == 0 {
		s.kind = s.name
	}
	s.stem = nil
	stem, last := lastWord(s.kind)
	if s.closes = isEnd(last); !s.closes {
		return
	}
	for _, ch := range s.channels {
		if isFamily(ch.kind, stem) {
			s.stem = stem
			if s.stem == nil {
				s.stem = []byte{}
			}
		}
	}
}

// isEnd reports whether an event whose type ends in this word ends texts.
func isEnd(word []byte) bool {
	switch string(word) {
	case "stop", "end", "done", "complete", "completed", "finish", "finished", "failed", "incomplete", "cancelled", "error":
		return true
	}
	return false
}

// isFamily reports whether an event of this kind brings the parts of what
// one with the same stem ends: content_block_delta and content_block_stop.
func isFamily(kind string, stem []byte) bool {
	const delta = "delta"
	return len(kind) == len(stem)+len(delta) && kind[len(stem):] == delta && kind[:len(stem)] == string(stem)
}

// ended reports whether the event at hand ends a value.
func (s *events) ended(kind, item string, id *identity) bool {
	o := &s.outline
	if s.cut || o.done {
		return true
	}
	if id.arrays > 0 && kind == string(s.kind) {
		if _, ended := slices.BinarySearch(o.ends, id.elements[0]); ended {
			return true
		}
	}
	if !s.closes || s.stem != nil && !isFamily(kind, s.stem) {
		return false
	}
	// What the event names, the value must have; what it does not, it means
	// all of.
	for i, n := range &o.root {
		if n != noNumber && n != id.root[i] {
			return false
		}
	}
	return len(o.item) == 0 || item == string(o.item)
}

// channel returns the channel of a value, a new one where there is none.
func (s *events) channel(ctx context.Context, item []byte, id *identity) (*channel, error) {
	s.used++
	for _, ch := range s.channels {
		if ch.id == *id && ch.kind == string(s.kind) && ch.item == string(item) {
			ch.used = s.used
			return ch, nil
		}
	}
	full := len(s.channels) >= s.e.limits.Channels
	if full {
		// Where all of them have a part in the event at hand, the value that
		// comes is not followed.
		if old := s.oldest(); old.used <= s.usedBefore {
			if err := s.release(ctx, old); err != nil {
				return nil, err
			}
			full = false
		}
	}
	ch := &channel{id: *id, kind: string(s.kind), item: string(item), used: s.used,
		runners: make([]*runner, len(s.e.stages)), looks: make([]bool, len(s.e.stages))}
	for i, r := range s.e.stages {
		ch.runners[i] = &runner{stage: r.stage, match: matcher{levels: make([]level, 1)}}
	}
	if !full {
		s.channels = append(s.channels, ch)
	} else {
		ch.alone = true
	}
	return ch, nil
}

// oldest returns the channel that has been quiet for longest.
func (s *events) oldest() *channel {
	return slices.MinFunc(s.channels, func(a, b *channel) int { return int(int64(a.used - b.used)) })
}

// kept is how many bytes the channels keep.
func (s *events) kept() int {
	n := s.shapeBytes
	for _, ch := range s.channels {
		n += ch.held + len(ch.tail) + len(ch.kind) + len(ch.item)
	}
	return n
}

// trim releases the channels that have been quiet for longest until the
// others keep no more than an event may hold.
func (s *events) trim(ctx context.Context) error {
	s.early = s.early[:0]
	for len(s.channels) > 0 && s.kept() > s.e.limits.EventBytes {
		if err := s.release(ctx, s.oldest()); err != nil {
			return err
		}
	}
	s.e.out(s.early)
	return nil
}

// isPart reports whether the string at pos is a part of a joined value.
func (s *events) isPart(pos int) bool {
	slots := s.outline.slots
	for s.next < len(slots) && slots[s.next].at < pos {
		s.next++ // it was in what a stage removed
	}
	return s.next < len(slots) && slots[s.next].at == pos
}

// part takes the string that the walker stands before where it is a part of a
// joined value.
func (s *events) part(ctx context.Context, w *walker) (bool, error) {
	slots := s.outline.slots
	if !s.isPart(w.pos) {
		return false, nil
	}
	sl := &slots[s.next]
	ch, err := s.channel(ctx, s.outline.item, &sl.id)
	if err != nil {
		return false, err
	}
	depth := len(w.frames)
	for i, r := range s.e.stages {
		if r.shows(filters.String, depth) {
			ch.looks[i] = true
			if l := r.level(depth); l != nil {
				ch.runners[i].match.levels[0] = *l
			}
		}
	}
	if key := w.key(); !bytes.Equal(ch.key, key) {
		ch.key = append(ch.key[:0], key...)
	}
	s.scratch = s.in.decode(w.data[sl.at+1:sl.end], s.scratch)
	before := ch.held
	if s.naming, s.nameTo = w.hasName, 0; s.naming {
		s.nameFrom, s.nameTo = w.nameFrom, w.nameTo
	}
	out, err := s.push(ctx, ch, &s.in, !sl.final && !ch.alone && (s.next < maxFromLong || len(w.data) <= s.e.limits.PieceBytes))
	s.naming, w.behind = false, true
	if err != nil {
		return false, err
	}
	w.commit()
	w.emit(sl.at + 1)
	if s.cut && before > 0 {
		// A client may not read an event that is cut off, and what was held
		// back must reach it.
		ch.tail = append(ch.tail, out.raw...)
	} else {
		sl.ch, sl.out = ch, len(s.e.dst)
		s.e.out(out.raw)
	}
	w.mark, w.pos = sl.end, sl.end
	if sl.end < len(w.data) && w.data[sl.end] == '"' {
		w.pos++
	}
	w.afterValue()
	return true, nil
}

// push passes a part of a value through the stages. What it returns is valid
// until the next call.
func (s *events) push(ctx context.Context, ch *channel, in *flow, more bool) (*flow, error) {
	s.gone.reset()
	if ch.gone {
		return &s.gone, nil
	}
	p := &s.parts
	p.stages, p.syntax, p.limit = ch.runners, jsonString, 4*s.e.limits.PieceBytes
	if ch.id.text {
		p.syntax = verbatim
	}
	for i, r := range ch.runners {
		r.dropped = !ch.looks[i] || s.e.stages[i].dropped
	}
	s.now, s.instead = ch, nil
	piece := s.e.limits.PieceBytes
	var out *flow
	if len(in.text) <= piece {
		var err error
		if out, err = p.push(ctx, in, more, s.prepare, s.outcome); err != nil {
			return nil, err
		}
	} else {
		s.long.reset()
		for at := 0; at < len(in.text) && !ch.gone; {
			to := at + wholeCharacters(in.text[at:min(at+piece, len(in.text))])
			if to == at || len(in.text)-at <= piece {
				to = len(in.text)
			}
			var cut flow
			cut.append(in, at, to)
			settled, err := p.push(ctx, &cut, more || to < len(in.text), s.prepare, s.outcome)
			if err != nil {
				return nil, err
			}
			s.long.append(settled, 0, len(settled.text))
			at = to
		}
		out = &s.long
	}
	ch.held = p.held
	if !ch.gone {
		return out, nil
	}
	for _, r := range ch.runners {
		r.forget()
	}
	ch.held = 0
	s.gone.raw = append(s.gone.raw, s.instead...)
	return &s.gone, nil
}

func (s *events) prepareValue(r *runner) *filters.Value {
	if s.now.id.text {
		return s.preparePlain(r)
	}
	return r.prepare(filters.String, s.now.key, &r.match.levels[0])
}

// judge carries out what a stage wants of a joined value as a whole: removed,
// its text goes, here and in the events to come; replaced, the text of what
// replaces it stands here. Another name is given to the member at hand.
func (s *events) judge(_ *runner, v *filters.Value) bool {
	if name := v.Renamed(); name != "" && s.naming {
		s.walker.rename(name)
	}
	verb, json := v.Outcome()
	if verb == filters.Keep {
		return true
	}
	s.now.gone = true
	if verb == filters.Replace {
		var f flow
		if len(json) >= 2 && json[0] == '"' {
			f.decode(json[1:len(json)-1], nil)
		} else {
			f.insert(json, jsonString)
		}
		if s.instead = append([]byte(nil), f.raw...); s.now.id.text {
			s.instead = append([]byte(nil), f.text...)
		}
	}
	return false
}

// release takes a value as complete: what is left of it goes out in an event
// of its own.
func (s *events) release(ctx context.Context, ch *channel) error {
	if i := slices.Index(s.channels, ch); i >= 0 {
		s.channels = slices.Delete(s.channels, i, i+1)
	}
	var none flow
	out, err := s.push(ctx, ch, &none, false)
	if err != nil {
		return err
	}
	text := append(ch.tail, out.raw...)
	if len(text) == 0 {
		s.setShape(ch, nil)
		return nil
	}
	sh := ch.shape
	if sh == nil {
		// The text is of an event that went wrong half-way.
		sh = &shape{prefix: []byte("data: "), ending: lineFeed}
	}
	doc := text
	if !ch.id.text {
		doc = sh.appendDocument(nil, ch.at, text)
	}
	s.early = append(s.early, sh.lead...)
	for open := true; open; {
		var line []byte
		line, doc, open = cutLine(doc)
		s.early = appendData(s.early, sh.prefix, line)
		s.early = append(s.early, sh.ending...)
	}
	s.early = append(s.early, sh.ending...)
	s.setShape(ch, nil)
	return nil
}

func (s *events) releaseAll(ctx context.Context) error {
	for len(s.channels) > 0 {
		if err := s.release(ctx, s.channels[0]); err != nil {
			return err
		}
	}
	return nil
}
