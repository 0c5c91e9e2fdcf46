package body

import "math/bits"

// matcher follows the paths of one step through a document.
type matcher struct {
	paths  *Paths
	exact  bool
	levels []level
	// sets has the states of each level that has no node.
	sets []uint64
	// reached is room for element.
	reached []uint64
}

// level is what a value at one depth is to the step.
type level struct {
	// any: some path selects the value; bits tells which of the first 64.
	any  bool
	bits uint64
	// inside: a path selects a container around the value.
	inside     bool
	insideBits uint64
	// node has the states that the value has reached; where it is nil, the
	// matcher's set at its depth has.
	node *node
	// place is where the value stands in the tree of located values.
	place *place
}

func newMatcher(p *Paths, exact bool) matcher {
	m := matcher{paths: p, exact: exact}
	if p != nil {
		m.levels = make([]level, 0, 8)
	}
	return m
}

// root starts at the document's top.
func (m *matcher) root() {
	if m.paths == nil {
		return
	}
	m.grow(0)
	if top := &m.paths.top; top.to != nil {
		m.levels[0] = level{any: top.any, bits: top.bits, node: top.to}
		return
	}
	m.paths.start(m.set(0))
	m.settle(0, m.paths.located)
}

func (m *matcher) grow(depth int) {
	for len(m.levels) <= depth {
		m.levels = append(m.levels, level{})
	}
}

// set is room for the states of the value at depth.
func (m *matcher) set(depth int) []uint64 {
	words := m.paths.words()
	for len(m.sets) < (depth+1)*words {
		m.sets = append(m.sets, 0)
	}
	return m.sets[depth*words : (depth+1)*words]
}

// child moves to a value at depth, below the one at depth-1: a member by its
// name, or an element by its index (name nil).
func (m *matcher) child(depth int, name []byte, index int) {
	if m.paths == nil {
		return
	}
	m.grow(depth)
	up, to := &m.levels[depth-1], &m.levels[depth]
	n := up.node
	if n == nil || name == nil && n.counts {
		m.step(depth, name, nil, index)
		m.settle(depth, up.place.child(name, index))
		to.node = m.paths.nodes[setKey(m.set(depth))]
		return
	}
	e := &n.elements
	if name != nil {
		e = n.member(name)
	}
	to.any, to.bits, to.node, to.place = e.any, e.bits, e.to, nil
	if to.inside, to.insideBits = up.inside || up.any, up.insideBits|up.bits; m.exact {
		to.inside, to.insideBits = false, 0
	}
}

// step fills in the states that the value at depth reaches.
func (m *matcher) step(depth int, name, other []byte, index int) {
	m.set(depth)
	from := m.set(depth - 1)
	if n := m.levels[depth-1].node; n != nil {
		from = n.set
	}
	m.paths.step(from, m.set(depth), name, other, index)
}

// element moves to a value that goes by two names and may repeat: an index,
// slice or wildcard behind its name selects it too, as the index-th of that
// name.
func (m *matcher) element(depth int, name, other []byte, index int) {
	if m.paths == nil {
		return
	}
	m.grow(depth)
	m.step(depth, name, other, 0)
	set := m.set(depth)
	m.reached = append(m.reached[:0], set...)
	for w, word := range m.reached {
		for ; word != 0; word &= word - 1 {
			n := w*64 + bits.TrailingZeros64(word)
			if seg := m.paths.states[n].segment; seg != nil && !seg.descendant && seg.selects(nil, index) {
				set[(n+1)/64] |= 1 << ((n + 1) % 64)
			}
		}
	}
	m.settle(depth, nil)
}

// settle fills in the level at depth from the set there.
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
	set := m.set(depth)
	any, all := m.paths.take(set)
	l.any, l.bits = l.any || any, l.bits|all
	m.levels[depth] = l
}

// goes reports whether any path leads on to what is in the value at depth.
func (m *matcher) goes(depth int) bool {
	l := &m.levels[depth]
	if l.place != nil {
		return true
	}
	if l.node != nil {
		return !l.node.empty
	}
	return !isEmpty(m.set(depth))
}

// reaches reports whether any path leads to the value at depth, or on to what
// is in it.
func (m *matcher) reaches(depth int) bool {
	if m.paths == nil {
		return true
	}
	return m.goes(depth) || m.levels[depth].any || m.levels[depth].inside
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
