package filters

// Kind is what sort of value a Value is.
type Kind uint8

// The kinds. Object and Array stand for a whole container at its start: a
// stream sees them only where one of its paths selects the container itself,
// and can remove or replace it; what is inside follows value by value. Objects
// that tell a text again token by token (logprobs) are shown so to every stream
// that looks at what is in them.
const (
	String Kind = iota // a JSON string, escapes decoded
	Number             // a JSON number, as it was written
	Bool               // true or false
	Null               // null
	Name               // the name of an object's member
	Text               // plain text, or what could not be parsed
	Object
	Array
)

// Value is one value of a body on its way through a step, or a piece of one
// when it is long. The stream reads it and puts its edits on it. It is only
// valid during the call, and so is Text.
type Value struct {
	Kind Kind
	// Key is the nearest object member name around the value, decoded: the
	// member's own, or for an array's element that of the array. "" at the
	// top level and in plain text.
	Key string
	// Paths has a bit for each of the step's first 64 paths (Needs.Paths)
	// that selects the value; for a value beneath a selected container, the
	// container's. All bits are set where the step named no paths.
	Paths uint64
	// Inside is true where a path selects a container around the value and
	// not the value itself.
	Inside bool
	// Text is the decoded text, or a piece of it. Nil for Object and Array.
	Text []byte
	// Before is decoded text that stood directly before Text in the same
	// value, for context; at most a few hundred bytes, and nil at the value's
	// start. Edits cannot reach it.
	Before []byte
	// More is true when the value goes on after Text. The stream then says by
	// Hold from where on it wants to see the text again.
	More bool

	// Plain is true where it is known that there is nothing in Text but bytes
	// from 0x20 to 0x7F, and none of them %, & or \.
	Plain bool

	edits   []Edit
	held    int
	holding bool
	raw     []byte
	rename  string
	verb    Verb
}

// Edit replaces Text[Start:End] by With.
type Edit struct {
	Start, End int
	With       []byte
}

// Verb is what is to become of a value as a whole.
type Verb uint8

// The verbs.
const (
	Keep    Verb = iota // it stays, with its edits
	Remove              // the member or element goes away
	Replace             // it is replaced by JSON of the stream's making
)

// Reset makes the value ready for the next step: the edits go, the text
// stays. It is the runner's.
func (v *Value) Reset() {
	v.edits, v.held, v.holding, v.raw, v.rename, v.verb = v.edits[:0], 0, false, nil, "", Keep
}

// Edit replaces Text[start:end] by with. Edits must not overlap and must come
// in ascending order, and lie before what is held. A number or literal that
// is edited is written as a JSON string.
func (v *Value) Edit(start, end int, with []byte) {
	v.edits = append(v.edits, Edit{start, end, with})
}

// Hold says that Text[from:] is not settled: it may be the beginning of
// something that goes on after it. It is shown again, with more text behind
// it. It has no effect unless More. Hold at 0 with an ever growing text meets
// the runner's bound, and the value is then shown with More false.
func (v *Value) Hold(from int) { v.held, v.holding = from, true }

// Remove takes the value away: an object's member with its name, an array's
// element. At the top level and in plain text it leaves nothing (JSON: null).
func (v *Value) Remove() { v.verb = Remove }

// ReplaceJSON puts a JSON text in the value's place. The stream answers for
// it being valid JSON.
func (v *Value) ReplaceJSON(json []byte) { v.verb, v.raw = Replace, json }

// Rename gives the member that holds this value another name. It has no
// effect on an array's element.
func (v *Value) Rename(name string) { v.rename = name }

// Edits returns the edits so far.
func (v *Value) Edits() []Edit { return v.edits }

// Outcome returns what is to become of the whole value, and the JSON text of
// a Replace.
func (v *Value) Outcome() (Verb, []byte) { return v.verb, v.raw }

// Renamed returns the new name, or "" where there is none.
func (v *Value) Renamed() string { return v.rename }

// Settled returns how much of Text need not be shown again.
func (v *Value) Settled() int {
	if v.More && v.holding {
		return max(0, min(v.held, len(v.Text)))
	}
	return len(v.Text)
}

// Touched reports whether anything at all is to be changed.
func (v *Value) Touched() bool { return len(v.edits) > 0 || v.verb != Keep || v.rename != "" }

// OnlyEdited reports whether nothing is to be changed but by edits.
func (v *Value) OnlyEdited() bool { return v.verb == Keep && v.rename == "" }

// Release takes a Hold back: all of Text is settled. It is the runner's.
func (v *Value) Release() { v.holding = false }

// Discard takes back every change and leaves what is held. It is the
// runner's, for a step that only observes.
func (v *Value) Discard() { v.edits, v.raw, v.rename, v.verb = v.edits[:0], nil, "", Keep }
