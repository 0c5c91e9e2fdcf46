package transform

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/expr"
)

// maxPaths is how many paths a step's stream can tell apart.
const maxPaths = 64

// fields changes headers, query parameters and the members of a JSON body.
type fields struct {
	headers
	ops []operation
	// paths are all paths the stream wants to see. For an operation that may
	// create members they include the objects on the way.
	paths   []string
	targets []uint64 // by operation: the bit of its own path
	creates []creation
}

// creation is what an operation creates where it is missing: names[i] in the
// objects that the path with bit parents[i] selects.
type creation struct {
	op      int
	parents []uint64
	names   []string
}

// plan works out the paths.
func (f *fields) plan() {
	f.paths, f.targets, f.creates = planPaths(f.ops)
}

func planPaths(ops []operation) (paths []string, targets []uint64, creates []creation) {
	bits := map[string]uint64{}
	bit := func(path string) uint64 {
		b, ok := bits[path]
		if !ok {
			b = 1 << len(paths)
			bits[path] = b
			paths = append(paths, path)
		}
		return b
	}
	for i := range ops {
		o := &ops[i]
		targets = append(targets, bit(o.target))
		if o.verb > add {
			continue
		}
		prefixes, names := splitTail(o.target)
		if len(names) == 0 {
			continue
		}
		c := creation{op: i, names: names}
		for _, p := range prefixes {
			c.parents = append(c.parents, bit(p))
		}
		creates = append(creates, c)
	}
	return paths, targets, creates
}

// countPaths returns how many paths the operations need.
func countPaths(ops []Operation) int {
	compiled := make([]operation, len(ops))
	for i := range ops {
		compiled[i].verb, compiled[i].target, _ = ops[i].parse()
	}
	paths, _, _ := planPaths(compiled)
	return len(paths)
}

// Needs implements filters.Filter.
func (f *fields) Needs(d filters.Direction) filters.Needs {
	n := expr.Needs(d, f.programs...)
	n.Immediate = true
	n.Headers = len(f.headers.headers)+len(f.query) > 0
	if n.Body == filters.NoBody {
		n.Body = filters.StreamedBody
	}
	n.Paths, n.Exact, n.Unparsed = f.paths, true, filters.PassUnparsed
	return n
}

// Open implements filters.Streamer.
func (f *fields) Open(_ context.Context, ex *filters.Exchange, _ filters.Direction) (filters.Stream, error) {
	s := &stream{f: f, values: make([][]byte, len(f.ops)), open: make([][][]bool, len(f.creates))}
	for i := range f.creates {
		s.open[i] = make([][]bool, len(f.creates[i].names))
	}
	for i := range f.ops {
		o := &f.ops[i]
		s.values[i] = o.json
		if o.cel == nil {
			continue
		}
		v, err := o.cel.Eval(ex)
		if err != nil {
			return nil, &filters.Failure{Reason: "expression", Err: err}
		}
		b, err := json.Marshal(v)
		if err != nil {
			return nil, &filters.Failure{Reason: "expression", Err: fmt.Errorf("writing the value: %w", err)}
		}
		s.values[i] = b
	}
	return s, nil
}

// stream is the work on one body.
type stream struct {
	f      *fields
	values [][]byte
	// open has, by creation and depth of its names, a flag for each selected
	// object that is open: whether the wanted member was in it.
	open [][][]bool
	did  int
}

// Value implements filters.Stream.
func (s *stream) Value(_ context.Context, v *filters.Value) error {
	if v.Inside || v.Kind == filters.Text || v.Kind == filters.Name {
		return nil
	}
	s.mark(v)
	for i := range s.f.ops {
		if v.Paths&s.f.targets[i] == 0 {
			continue
		}
		switch o := &s.f.ops[i]; o.verb {
		case set:
			v.ReplaceJSON(s.values[i])
			s.did++
		case remove:
			v.Remove()
			s.did++
		case rename:
			v.Rename(o.to)
			s.did++
		}
	}
	if verb, _ := v.Outcome(); verb != filters.Keep && v.Kind == filters.Object {
		s.pop(v.Paths) // it is gone, and so is its end
	}
	return nil
}

// mark notes that a member is there, and opens the objects that may get one.
func (s *stream) mark(v *filters.Value) {
	for i := range s.f.creates {
		c := &s.f.creates[i]
		for depth := range c.names {
			member := s.f.targets[c.op]
			if depth+1 < len(c.parents) {
				member = c.parents[depth+1]
			}
			stack := s.open[i][depth]
			if v.Paths&member != 0 && len(stack) > 0 {
				stack[len(stack)-1] = true
			}
		}
		if v.Kind != filters.Object {
			continue
		}
		for depth, parent := range c.parents {
			if v.Paths&parent != 0 {
				s.open[i][depth] = append(s.open[i][depth], false)
			}
		}
	}
}

func (s *stream) pop(paths uint64) {
	for i := range s.f.creates {
		for depth, parent := range s.f.creates[i].parents {
			if stack := s.open[i][depth]; paths&parent != 0 && len(stack) > 0 {
				s.open[i][depth] = stack[:len(stack)-1]
			}
		}
	}
}

// End implements filters.Shaper: it creates what was missing.
func (s *stream) End(_ context.Context, o *filters.ObjectEnd) error {
	var missing member
	for i := range s.f.creates {
		c := &s.f.creates[i]
		for depth, parent := range c.parents {
			stack := s.open[i][depth]
			if o.Paths&parent == 0 || len(stack) == 0 {
				continue
			}
			if seen := stack[len(stack)-1]; !seen {
				missing.put(c.names[depth:], s.values[c.op])
				s.did++
			}
		}
	}
	for _, m := range missing.members {
		o.Add(m.name, m.json())
	}
	s.pop(o.Paths)
	return nil
}

// member is a member to create: a value, or an object of further members.
// Operations that create below the same name share one.
type member struct {
	name    string
	value   []byte
	members []*member
}

func (m *member) put(names []string, value []byte) {
	if len(names) == 0 {
		m.value = value
		return
	}
	for _, c := range m.members {
		if c.name == names[0] {
			c.put(names[1:], value)
			return
		}
	}
	c := &member{name: names[0]}
	c.put(names[1:], value)
	m.members = append(m.members, c)
}

func (m *member) json() []byte {
	if m.value != nil {
		return m.value
	}
	b := []byte{'{'}
	for i, c := range m.members {
		if i > 0 {
			b = append(b, ',')
		}
		name, _ := json.Marshal(c.name)
		b = append(append(append(b, name...), ':'), c.json()...)
	}
	return append(b, '}')
}

// Close implements filters.Stream.
func (s *stream) Close(context.Context, *filters.Ledger) (filters.Decision, error) {
	return decision(s.did), nil
}
