package body

import "slices"

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

// setShape gives a channel another shape, or none.
func (s *events) setShape(ch *channel, sh *shape) {
	if ch.shape == sh {
		return
	}
	if old := ch.shape; old != nil {
		if old.users--; old.users == 0 {
			s.shapeBytes -= old.size()
			old.doc = spare(old.doc)
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
