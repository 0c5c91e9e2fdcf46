package body

import "math/bits"

// matcher follows the paths of one step through a document: at each depth the
// set of states that the value there has reached. A state is a path and the
// number of its segments that are matched.
type matcher struct {
	paths *Paths
	exact bool
	words int
	// sets has words words for each depth; states names what each state means.
	sets   []uint64
	states []state
	levels []level
	// reached is room for element.
	reached []uint64
}

type state struct {
	segment *segment // nil: the path is matched
	bit     uint64
}

// level is what a value at one depth is to the step.
type level struct {
	// any: some path selects the value; bits tells which of the first 64.
	any  bool
	bits uint64
	// inside: a path selects a container around the value.
	inside     bool
	insideBits uint64
	// place is where the value stands in the tree of located values.
	place *place
}

func newMatcher(p *Paths, exact bool) matcher {
	m := matcher{paths: p, exact: exact}
	if p == nil {
		return m
	}
	m.words = (p.states + 63) / 64
	m.states = make([]state, p.states)
	for i := range p.paths {
		pa := &p.paths[i]
		var bit uint64
		if pa.bit < 64 {
			bit = 1 << pa.bit
		}
		for k := range pa.segments {
			m.states[pa.base+k].segment = &pa.segments[k]
		}
		m.states[pa.base+len(pa.segments)].bit = bit
	}
	return m
}

// root starts at the document's top.
func (m *matcher) root() {
	if m.paths == nil {
		return
	}
	m.grow(0)
	set := m.sets[:m.words]
	clear(set)
	for i := range m.paths.paths {
		b := m.paths.paths[i].base
		set[b/64] |= 1 << (b % 64)
	}
	m.settle(0, m.paths.located)
}

func (m *matcher) grow(depth int) {
	for len(m.levels) <= depth {
		m.levels = append(m.levels, level{})
		for range m.words {
			m.sets = append(m.sets, 0)
		}
	}
}

// child moves to a value at depth, below the one at depth-1: a member by its
// name, or an element by its index (name nil).
func (m *matcher) child(depth int, name []byte, index int) {
	if m.paths == nil {
		return
	}
	m.step(depth, name, nil, index)
	m.settle(depth, m.levels[depth-1].place.child(name, index))
}

// step fills in the states that the value at depth reaches: by its name, the
// other name that it goes by, or its index.
func (m *matcher) step(depth int, name, other []byte, index int) {
	m.grow(depth)
	from := m.sets[(depth-1)*m.words : depth*m.words]
	to := m.sets[depth*m.words : (depth+1)*m.words]
	clear(to)
	for w, word := range from {
		for ; word != 0; word &= word - 1 {
			n := w*64 + bits.TrailingZeros64(word)
			seg := m.states[n].segment
			if seg == nil {
				continue
			}
			if seg.descendant {
				to[w] |= 1 << (n % 64)
			}
			if seg.selects(name, index) || other != nil && seg.selects(other, index) {
				to[(n+1)/64] |= 1 << ((n + 1) % 64)
			}
		}
	}
}

// element moves to a value that goes by two names and may repeat: an index,
// slice or wildcard behind its name selects it too, as the index-th of that
// name.
func (m *matcher) element(depth int, name, other []byte, index int) {
	if m.paths == nil {
		return
	}
	m.step(depth, name, other, 0)
	set := m.sets[depth*m.words : (depth+1)*m.words]
	m.reached = append(m.reached[:0], set...)
	for w, word := range m.reached {
		for ; word != 0; word &= word - 1 {
			n := w*64 + bits.TrailingZeros64(word)
			if seg := m.states[n].segment; seg != nil && !seg.descendant && seg.selects(nil, index) {
				set[(n+1)/64] |= 1 << ((n + 1) % 64)
			}
		}
	}
	m.settle(depth, nil)
}

// reaches reports whether any path leads to the value at depth, or on to what
// is in it.
func (m *matcher) reaches(depth int) bool {
	if m.paths == nil {
		return true
	}
	for _, word := range m.sets[depth*m.words : (depth+1)*m.words] {
		if word != 0 {
			return true
		}
	}
	return m.levels[depth].any || m.levels[depth].inside
}

func (m *matcher) settle(depth int, at *place) {
	l := level{place: at}
	if at != nil {
		l.any, l.bits = at.any, at.bits
	}
	if depth > 0 && !m.exact {
		up := &m.levels[depth-1]
		l.inside = up.inside || up.any
		l.insideBits = up.insideBits | up.bits
	}
	for w, word := range m.sets[depth*m.words : (depth+1)*m.words] {
		for ; word != 0; word &= word - 1 {
			if s := &m.states[w*64+bits.TrailingZeros64(word)]; s.segment == nil {
				l.any = true
				l.bits |= s.bit
			}
		}
	}
	m.levels[depth] = l
}

func (s *segment) selects(name []byte, index int) bool {
	for i := range s.selectors {
		switch sel := &s.selectors[i]; sel.kind {
		case byWildcard:
			return true
		case byName:
			if name != nil && string(name) == sel.name {
				return true
			}
		case byIndex:
			if name == nil && index == sel.index {
				return true
			}
		case bySlice:
			if name == nil && sel.step > 0 && index >= sel.start && (sel.end < 0 || index < sel.end) && (index-sel.start)%sel.step == 0 {
				return true
			}
		case byDocument:
		}
	}
	return false
}
