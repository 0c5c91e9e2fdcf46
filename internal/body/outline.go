package body

import (
	"bytes"
	"slices"
)

// joinedFields are the strings that the streams of models spread over events:
// OpenAI's chat completions and completions, and what is compatible with
// them, Anthropic's messages, and OpenAI's responses. The first is only one
// where the event's type ends in delta.
var joinedFields = func() *Paths {
	ps, err := CompilePaths([]string{
		"$.delta",
		"$",
		"$.choices[*].delta['content','refusal','reasoning_content','reasoning']",
		"$.choices[*].delta.content[*].text",
		"$.choices[*].delta.reasoning_details[*]['text','summary']",
		"$.choices[*].delta.tool_calls[*].function.arguments",
		"$.choices[*].delta.tool_calls[*].custom.input",
		"$.choices[*].delta.function_call.arguments",
		"$.choices[*].delta.audio.transcript",
		"$.choices[*].text",
		"$.delta['text','thinking','partial_json']",
	})
	if err != nil {
		panic(err)
	}
	return ps
}()

const byType = 1 // the bit of $.delta

// joinedPaths returns joinedFields and what the stages name besides.
func joinedPaths(stages []*runner) *Paths {
	ps := joinedFields
	for _, r := range stages {
		switch {
		case r.stage.Join == nil:
		case ps == joinedFields:
			ps = r.stage.Join.joined
		default:
			ps = ps.with(r.stage.Join)
		}
	}
	return ps
}

// with returns ps, which are joinedFields at least, and others.
func (ps *Paths) with(others *Paths) *Paths {
	all := &Paths{}
	for _, p := range slices.Concat(ps.paths, others.paths) {
		if len(all.paths) >= len(ps.paths) {
			p.bit = len(joinedFields.paths) // only the first is told apart
		}
		all.add(p)
	}
	return all
}

// maxElements is how many arrays may stand around a joined string.
const maxElements = 6

// noNumber stands for a number that is not there.
const noNumber = -1

// identity tells one joined value from another: the path of names that leads
// to it, and the numbers that events carry to say whose text theirs is.
type identity struct {
	text bool // plain text, not a string in JSON
	path uint64
	// root are the numbers at the document's top: see rootNumbers.
	root [4]int32
	// elements are, for each array around the string, the index that the
	// element says it has, or its place.
	elements [maxElements]int32
	arrays   uint8
}

var noNumbers = [4]int32{noNumber, noNumber, noNumber, noNumber}

var rootNumbers = [4]string{"index", "output_index", "content_index", "summary_index"}

// outline is what has to be known of an event's document before it is shown
// to anyone: whether it is JSON at all, which of its strings are parts of
// joined values, and which of those it ends.
type outline struct {
	match  matcher
	frames []outlineFrame
	slots  []slot
	kind   []byte // the event's type
	item   []byte // its item_id
	root   [4]int32
	done   bool    // it ends everything
	ends   []int32 // elements of the outermost array that are finished, ascending
	name   []byte
	// The value that comes.
	value outlineValue
	// fixed: the only slot says nothing but its text, and last is the document.
	// The next one is often the same but for that.
	fixed   bool
	last    []byte
	lastEnd int // where the text ends in it
}

// maxLast is how long a document may be to be compared with the next one.
const maxLast = 4 << 10

type outlineValue struct {
	live bool // there can be joined strings in it
	any  bool
	bits uint64
	path uint64
}

type outlineFrame struct {
	array    bool
	finished bool
	next     int
	index    int32 // what it says its index is
	place    int32
	arrays   int // around its values
	slots    int // how many there were when it began
	value    outlineValue
}

// maxSlots is how many parts of joined values an event may bring. Further
// strings are looked at each by itself.
const maxSlots = 1024

// slot is a part of a joined value: the string whose opening quote is at at,
// its content up to end.
type slot struct {
	at, end int
	bits    uint64
	id      identity
	tells   bool // its text says something to us
	final   bool // nothing of the value follows
	out     int  // where its content is in what goes out, or -1
	ch      *channel
}

func newOutline(stages []*runner) outline {
	ps := joinedPaths(stages)
	return outline{match: newMatcher(ps, true), frames: make([]outlineFrame, 0, 8)}
}

func (o *outline) reset() {
	o.frames, o.slots, o.ends = o.frames[:0], o.slots[:0], o.ends[:0]
	o.kind, o.item, o.done = nil, nil, false
	o.root, o.fixed = noNumbers, false
}

// read reads a document and reports whether it is JSON. The slots are there
// up to where it is not, a string that is cut off included.
func (o *outline) read(doc []byte, lim *Limits) bool {
	o.match.root()
	o.value = o.reached(0, 14695981039346656037)
	ok := o.scan(doc, lim)
	for !ok && len(o.frames) > 0 {
		o.closeFrame()
	}
	kept := o.slots[:0]
	for _, sl := range o.slots {
		sl.id.root = o.root
		if sl.bits == byType && !isDelta(o.kind) {
			continue
		}
		kept = append(kept, sl)
	}
	o.slots = kept
	slices.Sort(o.ends)
	if o.fixed = ok && len(kept) == 1 && !kept[0].tells && len(doc) <= maxLast; o.fixed {
		o.last, o.lastEnd = append(o.last[:0], doc...), kept[0].end
		for _, part := range []*[]byte{&o.kind, &o.item} {
			if *part != nil { // it is a part of doc, which goes
				at := cap(doc) - cap(*part)
				*part = o.last[at : at+len(*part)]
			}
		}
	}
	return ok
}

// again reports whether a document is the last one but for the text in its
// only slot. The outline is then as it was, but for that text's end.
func (o *outline) again(doc []byte) bool {
	if !o.fixed {
		return false
	}
	sl := &o.slots[0]
	rest := o.last[o.lastEnd:]
	if len(doc) <= sl.at+len(rest) || !bytes.Equal(doc[:sl.at+1], o.last[:sl.at+1]) {
		return false
	}
	end, ok := stringEnd(doc, sl.at+1)
	if !ok || !bytes.Equal(doc[end:], rest) {
		return false
	}
	sl.end, sl.out, sl.ch = end, -1, nil
	return true
}

// isDelta reports whether an event of this type brings a part of a text in its
// member delta. Sound is no text.
func isDelta(kind []byte) bool {
	stem, last := lastWord(kind)
	if string(last) != "delta" {
		return false
	}
	if len(stem) > 0 {
		_, before := lastWord(stem[:len(stem)-1])
		return string(before) != "audio" && !bytes.HasSuffix(before, []byte("_audio"))
	}
	return true
}

// lastWord cuts the last word from an event's type, which is written with
// dots, hyphens or underscores.
func lastWord(kind []byte) (stem, last []byte) {
	i := bytes.LastIndexAny(kind, "._-") + 1
	return kind[:i], kind[i:]
}

func (o *outline) reached(depth int, path uint64) outlineValue {
	m := &o.match
	l := &m.levels[depth]
	return outlineValue{any: l.any, bits: l.bits, path: path, live: m.goes(depth)}
}

const fnvPrime = 1099511628211

// enter moves to a member of the innermost container, or to its next element.
func (o *outline) enter(name []byte) {
	depth := len(o.frames)
	top := &o.frames[depth-1]
	index := top.next
	top.next++
	if !top.value.live {
		o.value = outlineValue{}
		return
	}
	member := name
	if top.array {
		member = nil
	}
	o.match.child(depth, member, index)
	if o.value = o.reached(depth, 0); !o.value.live && !o.value.any {
		return
	}
	path := (top.value.path ^ 0x100) * fnvPrime
	for _, c := range name {
		path = (path ^ uint64(c)) * fnvPrime
	}
	o.value.path = path
}

func (o *outline) scan(doc []byte, lim *Limits) bool {
	state := expectValue
	for i := 0; i < len(doc); {
		c := doc[i]
		if isSpace(c) {
			i++
			continue
		}
		depth := len(o.frames)
		switch state {
		case expectFirstElement, expectValue:
			if c == ']' && state == expectFirstElement {
				i++
				state = o.closeFrame()
				continue
			}
			if depth > 0 && o.frames[depth-1].array {
				o.enter(nil)
			}
			switch c {
			case '{', '[':
				if depth >= lim.Depth {
					return false
				}
				state = o.openFrame(c == '[')
				i++
				continue
			case '"':
				end, ok := stringEnd(doc, i+1)
				o.string(doc, i, end)
				if !ok {
					return false
				}
				i = end + 1
			default:
				end := i + 1
				for end < len(doc) && !isDelimiter(doc[end]) {
					end++
				}
				if !o.scalar(doc[i:end]) {
					return false
				}
				i = end
			}
			state = expectCommaOrEnd
			if depth == 0 {
				state = expectNothing
			}
		case expectFirstName, expectName:
			if c == '}' && state == expectFirstName {
				i++
				state = o.closeFrame()
				continue
			}
			if c != '"' {
				return false
			}
			end, ok := stringEnd(doc, i+1)
			if !ok || end-i-1 > lim.NameBytes {
				return false
			}
			o.name = doc[i+1 : end]
			if bytes.IndexByte(o.name, '\\') >= 0 {
				var f flow
				o.name = f.decode(o.name, nil)
			}
			o.enter(o.name)
			i = end + 1
			state = expectColon
		case expectColon:
			if c != ':' {
				return false
			}
			i++
			state = expectValue
		case expectCommaOrEnd:
			top := &o.frames[depth-1]
			switch {
			case c == ',' && top.array:
				state = expectValue
			case c == ',':
				state = expectName
			case c == ']' && top.array, c == '}' && !top.array:
				state = o.closeFrame()
			default:
				return false
			}
			i++
		default:
			return false
		}
	}
	return state == expectNothing
}

func (o *outline) openFrame(array bool) expect {
	f := outlineFrame{array: array, index: noNumber, slots: len(o.slots), value: o.value}
	if depth := len(o.frames); depth > 0 {
		up := &o.frames[depth-1]
		f.arrays = up.arrays
		if up.array {
			f.place = int32(up.next - 1)
		}
	}
	if array {
		f.arrays++
	}
	o.frames = append(o.frames, f)
	if array {
		return expectFirstElement
	}
	return expectFirstName
}

func (o *outline) closeFrame() expect {
	depth := len(o.frames) - 1
	f := &o.frames[depth]
	o.frames = o.frames[:depth]
	if depth == 0 {
		return expectNothing
	}
	if up := &o.frames[depth-1]; up.array && !f.array {
		if f.index != noNumber && f.arrays <= maxElements {
			for i := f.slots; i < len(o.slots); i++ {
				o.slots[i].id.elements[f.arrays-1] = f.index
			}
		}
		if f.finished {
			n := f.place
			if f.index != noNumber {
				n = f.index
			}
			o.ends = append(o.ends, n)
		}
	}
	return expectCommaOrEnd
}

// string takes note of the string with its quote at at, and its end at end.
func (o *outline) string(doc []byte, at, end int) {
	depth := len(o.frames)
	text := doc[at+1 : end]
	if depth > 0 && !o.frames[depth-1].array {
		switch {
		case depth == 1:
			switch string(o.name) {
			case "type":
				o.kind = text
			case "item_id":
				o.item = text
			}
			o.done = o.done || o.finishes(text)
		case depth == 3 && o.frames[1].array && o.finishes(text):
			o.frames[2].finished = true
		}
	}
	if !o.value.any || len(o.slots) == maxSlots {
		return
	}
	sl := slot{at: at, end: end, bits: o.value.bits, out: -1}
	switch string(o.name) {
	case "type", "item_id", "finish_reason", "finishReason", "stop_reason":
		sl.tells = true
	}
	sl.id.path = o.value.path
	if depth > 0 {
		n := o.frames[depth-1].arrays
		if n > maxElements {
			return
		}
		sl.id.arrays = uint8(n)
	}
	for i := range o.frames {
		if f := &o.frames[i]; f.array {
			sl.id.elements[f.arrays-1] = int32(f.next - 1)
		}
	}
	o.slots = append(o.slots, sl)
}

// finishes reports whether the member at hand says why a text has ended.
func (o *outline) finishes(text []byte) bool {
	switch string(o.name) {
	case "finish_reason", "finishReason", "stop_reason":
		return len(text) > 0 && string(text) != "null"
	}
	return false
}

// scalar takes note of a number or literal, and reports whether it is one.
func (o *outline) scalar(raw []byte) bool {
	depth := len(o.frames)
	switch string(raw) {
	case "true":
		if depth == 1 && (string(o.name) == "done" || string(o.name) == "stop") {
			o.done = true
		}
		return true
	case "false", "null":
		return true
	}
	if len(raw) > maxScalar || !isNumber(raw) {
		return false
	}
	if depth == 0 || o.frames[depth-1].array {
		return true
	}
	if depth > 1 {
		if o.frames[depth-2].array && string(o.name) == "index" {
			o.frames[depth-1].index = smallNumber(raw)
		}
		return true
	}
	for i, name := range &rootNumbers {
		if string(o.name) == name {
			o.root[i] = smallNumber(raw)
		}
	}
	return true
}

// smallNumber reads the numbers that count choices and blocks.
func smallNumber(raw []byte) int32 {
	if len(raw) > 9 {
		return noNumber
	}
	n := int32(0)
	for _, c := range raw {
		if c < '0' || c > '9' {
			return noNumber
		}
		n = n*10 + int32(c-'0')
	}
	return n
}

// stringEnd finds the closing quote of the JSON string whose content begins
// at i. Where it is none, end is up to where it is.
func stringEnd(b []byte, i int) (end int, ok bool) {
	for {
		if i = plainEnd(b, i); i >= len(b) {
			return i, false
		}
		switch b[i] {
		case '"':
			return i, true
		case '\\':
			n := escapeLen(b[i:], true)
			if n <= 0 {
				return i, false
			}
			i += n
		default:
			return i, false
		}
	}
}
