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

// shape is what is kept of an event to make others like it: its name, how it
// writes data and ends lines, its document, and where in that the joined
// texts stand. The channels that it brought something share it.
type shape struct {
	lead, prefix, ending []byte
	doc                  []byte
	texts                []int // ascending
	users                int
}

func (sh *shape) size() int {
	return len(sh.lead) + len(sh.prefix) + len(sh.ending) + len(sh.doc) + 8*len(sh.texts)
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

// part takes the string that the walker stands before where it is a part of a
// joined value.
func (s *events) part(ctx context.Context, w *walker) (bool, error) {
	slots := s.outline.slots
	for s.next < len(slots) && slots[s.next].at < w.pos {
		s.next++ // it was in what a stage removed
	}
	if s.next == len(slots) || slots[s.next].at != w.pos {
		return false, nil
	}
	sl := &slots[s.next]
	ch, err := s.channel(ctx, s.outline.item, &sl.id)
	if err != nil {
		return false, err
	}
	depth := len(w.frames)
	for i, r := range s.e.stages {
		if r.looks(depth) {
			ch.looks[i], ch.runners[i].match.levels[0] = true, r.level(depth)
		}
	}
	if key := w.key(); !bytes.Equal(ch.key, key) {
		ch.key = append(ch.key[:0], key...)
	}
	s.scratch = s.in.decode(w.data[sl.at+1:sl.end], s.scratch)
	before := ch.held
	s.naming = w.hasName
	out, err := s.push(ctx, ch, &s.in, !sl.final && !ch.alone && (s.next < maxFromLong || len(w.data) <= s.e.limits.PieceBytes))
	s.naming = false
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
	return r.prepare(filters.String, s.now.key, r.match.levels[0])
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

// setShape gives a channel another shape, or none.
func (s *events) setShape(ch *channel, sh *shape) {
	if old := ch.shape; old != nil {
		if old.users--; old.users == 0 {
			s.shapeBytes -= old.size()
			s.unused = old
		}
	}
	if ch.shape = sh; sh != nil {
		sh.users++
	}
}

// remember keeps the shape of an event for the channels that hold text of it.
func (s *events) remember(raw, out []byte) {
	var sh *shape
	keep := func(ch *channel, at int) {
		if ch.held == 0 {
			s.setShape(ch, nil)
			return
		}
		if sh == nil {
			sh = s.shapeOf(raw, out)
		}
		s.setShape(ch, sh)
		ch.at = at
	}
	if s.plainTo != nil {
		keep(s.plainTo, 0)
	}
	for i := range s.outline.slots {
		if sl := &s.outline.slots[i]; sl.ch != nil {
			keep(sl.ch, sl.out)
		}
	}
}

func (s *events) shapeOf(raw, out []byte) *shape {
	sh := s.unused
	if s.unused = nil; sh == nil {
		sh = &shape{}
	}
	sh.lead, sh.texts = sh.lead[:0], sh.texts[:0]
	for i := range s.lines {
		l := &s.lines[i]
		switch {
		case l.kind == dataLine:
			sh.prefix = append(sh.prefix[:0], raw[l.from:l.text]...)
		case l.kind != eventNameLine || l.removed:
		case l.edited:
			sh.lead = append(sh.lead, raw[l.from:l.text]...)
			sh.lead = append(sh.lead, s.texts[l.newFrom:l.newTo]...)
			sh.lead = append(sh.lead, raw[l.end:l.next]...)
		default:
			sh.lead = append(sh.lead, raw[l.from:l.next]...)
		}
	}
	sh.ending = append(sh.ending[:0], s.lineEnding(raw)...)
	sh.doc = sh.doc[:0]
	if s.plainTo == nil {
		sh.doc = append(sh.doc, out...)
	}
	for i := range s.outline.slots {
		if at := s.outline.slots[i].out; at >= 0 {
			sh.texts = append(sh.texts, at)
		}
	}
	s.shapeBytes += sh.size()
	return sh
}

// appendDocument writes a document with text where the one at at stood: what
// leads to it and the numbers and names beside it, without what else was in
// it and what is only to be told once.
func (sh *shape) appendDocument(dst []byte, at int, text []byte) []byte {
	from := 0
	for from < len(sh.doc) && isSpace(sh.doc[from]) {
		from++
	}
	return sh.appendValue(dst, from, at, nil, text)
}

func (sh *shape) appendValue(dst []byte, from, at int, key, text []byte) []byte {
	switch {
	case from+1 == at || from >= len(sh.doc):
		dst = append(append(dst, '"'), text...)
		return append(dst, '"')
	case sh.doc[from] == '{':
		dst = append(dst, '{')
		empty := true
		for m := range members(sh.doc, from) {
			leads := at > m.from && at <= m.to
			if !leads && (sh.doc[m.from] == '{' || sh.doc[m.from] == '[' || sh.isText(m.from+1) || once(key, m.name)) {
				continue
			}
			if !empty {
				dst = append(dst, ',')
			}
			empty = false
			dst = append(append(append(dst, '"'), m.name...), '"', ':')
			if leads {
				dst = sh.appendValue(dst, m.from, at, m.name, text)
			} else {
				dst = append(dst, sh.doc[m.from:m.to]...)
			}
		}
		return append(dst, '}')
	}
	dst = append(dst, '[')
	start := len(dst)
	for m := range members(sh.doc, from) {
		if at > m.from && at <= m.to {
			if numbered(sh.doc, m.from) {
				dst = dst[:start] // it says itself which one it is
			}
			dst = sh.appendValue(dst, m.from, at, key, text)
			break
		}
		if m.to-m.from+len(dst)-start > maxBefore {
			dst = append(dst, "{},"...)
			continue
		}
		dst = append(sh.appendBlank(dst, m.from, m.to), ',')
	}
	return append(dst, ']')
}

// maxBefore is up to how many bytes of the elements before a text's own are
// written. Further ones are empty objects, to keep its place.
const maxBefore = 1 << 10

func (sh *shape) isText(at int) bool {
	_, is := slices.BinarySearch(sh.texts, at)
	return is
}

// appendBlank writes a part of the document without the joined texts in it.
func (sh *shape) appendBlank(dst []byte, from, to int) []byte {
	i, _ := slices.BinarySearch(sh.texts, from)
	for ; i < len(sh.texts) && sh.texts[i] <= to; i++ {
		dst = append(dst, sh.doc[from:sh.texts[i]]...)
		from, _ = stringEnd(sh.doc, sh.texts[i])
	}
	return append(dst, sh.doc[from:to]...)
}

// once reports whether a member of an object called key is told once at a
// text's beginning: clients put together what comes again.
func once(key, name []byte) bool {
	switch string(key) {
	case "delta":
		return string(name) == "role"
	case "tool_calls":
		return string(name) == "id" || string(name) == "type"
	case "function", "function_call", "custom":
		return string(name) == "name"
	}
	return false
}

// numbered reports whether the value at from is an object with a member
// index.
func numbered(doc []byte, from int) bool {
	if doc[from] != '{' {
		return false
	}
	for member := range members(doc, from) {
		if string(member.name) == "index" {
			return true
		}
	}
	return false
}

// member is a member of an object or an element of an array: the value is
// doc[from:to], the name as it is written.
type member struct {
	name     []byte
	from, to int
}

// members yields the members of the container that begins at from. The
// document has been checked.
func members(doc []byte, from int) func(yield func(member) bool) {
	object := doc[from] == '{'
	return func(yield func(member) bool) {
		for i := from + 1; ; {
			for i < len(doc) && (isSpace(doc[i]) || doc[i] == ',') {
				i++
			}
			if i >= len(doc) || doc[i] == '}' || doc[i] == ']' {
				return
			}
			var m member
			if object {
				end, _ := stringEnd(doc, i+1)
				m.name = doc[i+1 : end]
				for i = end + 1; i < len(doc) && (isSpace(doc[i]) || doc[i] == ':'); i++ {
				}
			}
			m.from, m.to = i, valueEnd(doc, i)
			if m.to <= m.from || !yield(m) {
				return
			}
			i = m.to
		}
	}
}

// valueEnd returns where the value that begins at i ends.
func valueEnd(doc []byte, i int) int {
	for depth := 0; i < len(doc); {
		switch c := doc[i]; {
		case c == '"':
			end, _ := stringEnd(doc, i+1)
			i = min(end+1, len(doc))
		case c == '{' || c == '[':
			depth++
			i++
			continue
		case c == '}' || c == ']':
			depth--
			i++
		case depth > 0 && (isSpace(c) || c == ',' || c == ':'):
			i++
			continue
		default:
			for i < len(doc) && !isDelimiter(doc[i]) {
				i++
			}
		}
		if depth <= 0 {
			return i
		}
	}
	return len(doc)
}
