package body

import (
	"context"

	"github.com/sluice-proxy/sluice/filters"
)

// beforeBytes is how much text is kept for a stage as context for the next
// piece of a value.
const beforeBytes = 256

// Kinds is a set of kinds of values.
type Kinds uint16

// KindsOf returns the set of some kinds.
func KindsOf(kinds ...filters.Kind) (set Kinds) {
	for _, k := range kinds {
		set |= 1 << k
	}
	return set
}

// Stage is one step's work on one body.
type Stage struct {
	Stream filters.Stream
	// Paths select what the stream is shown; nil is everything.
	Paths *Paths
	// Join are the strings of a stream of events that go on from event to
	// event, besides those that are known. What is joined for one stage is
	// for all.
	Join *Paths
	// Ignores are the kinds of values that the stream does nothing about, and
	// need not be shown.
	Ignores Kinds
	// SameNames: what the stream does about a member's name depends on the name
	// alone, and not on what else it has been shown. One of up to sixteen bytes
	// that it left as it is may then not be shown again in the same body.
	SameNames bool
	// Names are those that the stage is known to leave as they are in any body. It
	// is not shown them where SameNames is set.
	Names *Names
	// Exact: a selected container does not stand for what is beneath it.
	Exact bool
	// Unparsed is what the step wants when the body does not parse; scan as
	// text where empty.
	Unparsed filters.Unparsed
	// Files says what the stream is shown of files in a multipart body.
	Files filters.Files
	// OnUnparsed is called once then, where Unparsed is deny: an error ends the
	// edit, nil drops the stage.
	OnUnparsed func(context.Context) error
}

// runner is a stage at work.
type runner struct {
	stage  Stage
	match  matcher
	shaper filters.Shaper
	// steady is there where the stream is, and state the last that was noted.
	steady  filters.Steady
	state   int
	value   filters.Value
	dropped bool
	// carry is what the stage holds of a value that comes in pieces, and
	// before what stood ahead of it.
	carry  flow
	before []byte
	// cut: it held on to a value for too long.
	cut bool
	// left are names that it left as they are: those of Stage.Names, which are
	// others' too, or own.
	left, own *shortNames
	trail     trail // of those that forOnly need not show
}

// begin begins the work of a stage, on a runner that is empty.
func (r *runner) begin(s Stage) {
	r.stage, r.match = s, newMatcher(s.Paths, s.Exact)
	if s.SameNames && s.Names != nil {
		r.left = s.Names.known.Load()
	}
	r.shaper, _ = s.Stream.(filters.Shaper)
	if s.Paths == nil {
		r.shaper = nil // it selects no object
	}
	if steady, is := s.Stream.(filters.Steady); is {
		if _, is = steady.State(); is {
			r.steady = steady
		}
	}
}

// same notes the stage's state, and reports whether it is the one that was
// noted before.
func (r *runner) same() bool {
	if r.steady == nil || r.dropped {
		return true
	}
	n, ok := r.steady.State()
	ok = ok && n == r.state
	r.state = n
	return ok
}

// looks reports whether the stage is to see the value at depth.
func (r *runner) looks(depth int) bool {
	if r.dropped {
		return false
	}
	if r.stage.Paths == nil {
		return true
	}
	l := &r.match.levels[depth]
	return l.any || l.inside
}

// leave takes note of a name that the stage left as it is.
func (r *runner) leave(name []byte) {
	if r.own == nil {
		r.own = new(shortNames)
	}
	if r.left != r.own {
		if r.left != nil {
			*r.own = *r.left
		}
		r.left = r.own
	}
	r.own.add(name, true)
}

// forgetNames: the stage is shown the names again that it left as they were.
func (r *runner) forgetNames() {
	if r.own != nil && r.left == r.own {
		*r.own = shortNames{}
	}
	r.left = nil
	r.trail.forget()
}

// shows reports whether the stage is to be shown the value at depth, which is
// of that kind.
func (r *runner) shows(kind filters.Kind, depth int) bool {
	return r.stage.Ignores>>kind&1 == 0 && r.looks(depth)
}

// level is what the value at depth is to the stage; nil where it sees
// everything.
func (r *runner) level(depth int) *level {
	if r.stage.Paths == nil {
		return nil
	}
	return &r.match.levels[depth]
}

// prepare fills in the value that the stage is shown.
func (r *runner) prepare(kind filters.Kind, key []byte, l *level) *filters.Value {
	v := &r.value
	v.Reset()
	v.Kind, v.Key, v.Paths, v.Inside = kind, stringOf(key), ^uint64(0), false
	v.Text, v.Before, v.More, v.Plain = nil, nil, false, false
	if r.stage.Paths != nil {
		v.Paths, v.Inside = l.bits, !l.any
		if v.Inside {
			v.Paths = l.insideBits
		}
	}
	return v
}

// piece shows the stage its carry with more behind it, and returns what it
// settles: in out, or in itself where the stage leaves all of it as it is.
func (r *runner) piece(ctx context.Context, v *filters.Value, in *flow, more bool, limit int, s syntax, out *flow) (*flow, error) {
	held := len(r.carry.text)
	all := in
	if held > 0 {
		all = &r.carry
		all.append(in, 0, len(in.text))
	}
	v.Text, v.Before, v.More = all.text, r.before, more
	if len(v.Text) == 0 {
		return out, nil
	}
	if held >= limit {
		v.More, r.cut = false, r.cut || more // it has held on for long enough
	}
	if err := r.stage.Stream.Value(ctx, v); err != nil {
		return nil, err
	}
	upto := v.Settled()
	r.remember(all.text[:upto])
	if held == 0 && upto == len(all.text) && len(v.Edits()) == 0 {
		return in, nil
	}
	out.edit(all, v.Edits(), upto, s)
	switch {
	case held > 0:
		r.carry.dropFront(upto)
	case in.rawFrom(upto) == in.rawTo(upto):
		r.carry.append(in, upto, len(in.text))
	default: // within an escape
		r.carry.append(in, 0, len(in.text))
		r.carry.dropFront(upto)
	}
	return out, nil
}

func (r *runner) remember(text []byte) {
	if len(text) >= beforeBytes {
		r.before = append(r.before[:0], text[len(text)-beforeBytes:]...)
		return
	}
	if over := len(r.before) + len(text) - beforeBytes; over > 0 {
		r.before = append(r.before[:0], r.before[over:]...)
	}
	r.before = append(r.before, text...)
}

func (r *runner) forget() {
	r.carry.reset()
	r.before = r.before[:0]
}

// pieces sends one piece of a value through the stages that are on, each
// getting what the one before it settled, and returns what the last settled.
// The flow is valid until the next call.
type pieces struct {
	stages []*runner
	flows  [2]flow
	syntax syntax
	limit  int
	held   int
}

func (p *pieces) start(s syntax, limit int) {
	p.stages, p.syntax, p.limit, p.held = p.stages[:0], s, limit, 0
}

func (p *pieces) add(r *runner) {
	r.forget()
	p.stages = append(p.stages, r)
}

// push gives a piece to the first stage. prepare fills in each stage's value;
// outcome looks at it afterwards and says whether to go on.
func (p *pieces) push(ctx context.Context, in *flow, more bool, prepare func(*runner) *filters.Value, outcome func(*runner, *filters.Value) bool) (*flow, error) {
	cur := in
	p.held = 0
	for i, r := range p.stages {
		if r.dropped {
			continue
		}
		out := &p.flows[i%2]
		if cur == out {
			out = &p.flows[(i+1)%2]
		}
		out.reset()
		v := prepare(r)
		var err error
		if cur, err = r.piece(ctx, v, cur, more, p.limit, p.syntax, out); err != nil {
			return nil, err
		}
		p.held += len(r.carry.raw)
		if outcome != nil && !outcome(r, v) {
			break
		}
	}
	return cur, nil
}
