package body

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// The paths of a step are an automaton. A state is a path and the number of
// its segments that are matched; what is known of a value is the set of states
// that it has reached. The sets that names and elements can lead to are few,
// so they are worked out when the paths are compiled, and a body only walks
// from one to the next. Where they are not few, the matcher works them out
// value by value.

// maxNodes and maxEdges are what counts as few; indices are tried up to
// maxIndex.
const (
	maxNodes = 512
	maxEdges = 8192
	maxIndex = 8
)

// state is what a path has left to match.
type state struct {
	segment *segment // nil: the path is matched
	bit     uint64
}

// node is a set of states that go on.
type node struct {
	set   []uint64
	empty bool
	// counts: where an element leads depends on its index.
	counts   bool
	elements edge
	// names is a hash table of the members that lead elsewhere than the others
	// do. Its length is a power of two.
	names  []edge
	shift  uint8
	others edge
}

// edge leads to a member or an element.
type edge struct {
	name string
	word uint64 // the name's
	to   *node
	any  bool
	bits uint64
}

// nameWord is the first eight bytes of a name, with zeros behind a shorter one.
func nameWord(b []byte) uint64 {
	switch n := len(b); {
	case n >= 8:
		return binary.LittleEndian.Uint64(b)
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<(8*n-32)
	case n > 0:
		return uint64(b[0]) | uint64(b[n/2])<<(n/2*8) | uint64(b[n-1])<<(8*n-8)
	}
	return 0
}

func nameHash(word uint64, length int) uint64 {
	return (word ^ uint64(length)<<56) * 0x9E3779B97F4A7C15
}

// member returns the edge of a member.
func (n *node) member(name []byte) *edge {
	if len(n.names) == 0 {
		return &n.others
	}
	word := nameWord(name)
	for i := nameHash(word, len(name)) >> n.shift; ; i++ {
		e := &n.names[i&uint64(len(n.names)-1)]
		switch {
		case e.to == nil:
			return &n.others
		case e.word == word && len(e.name) == len(name) && (len(name) <= 8 || e.name == string(name)):
			return e
		}
	}
}

// compile works the automaton out; there is none where it would be large.
func (ps *Paths) compile() {
	ps.nodes = map[string]*node{}
	start := make([]uint64, ps.words())
	ps.start(start)
	ps.top.any, ps.top.bits = ps.take(start)
	ps.top.to = ps.node(start)
	queue, edges := []*node{ps.top.to}, 0
	for ; len(queue) > 0; queue = queue[1:] {
		n := queue[0]
		lead := func(name []byte, index int) edge {
			set := make([]uint64, ps.words())
			ps.step(n.set, set, name, nil, index)
			e := edge{name: string(name), word: nameWord(name)}
			e.any, e.bits = ps.take(set)
			known := len(ps.nodes)
			if e.to = ps.node(set); len(ps.nodes) > known {
				queue = append(queue, e.to)
			}
			return e
		}
		names, longest := map[string]bool{}, 0
		for i := range ps.states {
			seg := ps.states[i].segment
			if seg == nil || n.set[i/64]>>(i%64)&1 == 0 {
				continue
			}
			for _, sel := range seg.selectors {
				n.counts = n.counts || sel.kind == byIndex || sel.kind == bySlice
				if sel.kind == byName {
					names[sel.name], longest = true, max(longest, len(sel.name))
				}
			}
		}
		if edges += len(names) + maxIndex; edges > maxEdges || len(ps.nodes) > maxNodes {
			ps.top.to, ps.nodes = nil, nil
			return
		}
		n.others, n.elements = lead(make([]byte, longest+1), 0), lead(nil, 0)
		for i := 1; n.counts && i < maxIndex; i++ {
			lead(nil, i) // only for what it leads to
		}
		if len(names) == 0 {
			continue
		}
		size := bits.Len(uint(len(names))) + 1
		n.names, n.shift = make([]edge, 1<<size), uint8(64-size)
		for name := range names {
			e := lead([]byte(name), 0)
			at := nameHash(e.word, len(name)) >> n.shift
			for n.names[at&uint64(len(n.names)-1)].to != nil {
				at++
			}
			n.names[at&uint64(len(n.names)-1)] = e
		}
	}
}

func (ps *Paths) words() int { return (len(ps.states) + 63) / 64 }

// start fills in the states of the document's top.
func (ps *Paths) start(set []uint64) {
	clear(set)
	for i := range ps.paths {
		b := ps.paths[i].base
		set[b/64] |= 1 << (b % 64)
	}
}

// step fills in the states that a value reaches from those of the container
// around it: by its name, the other name that it goes by, or its index.
func (ps *Paths) step(from, to []uint64, name, other []byte, index int) {
	clear(to)
	for w, word := range from {
		for ; word != 0; word &= word - 1 {
			n := w*64 + bits.TrailingZeros64(word)
			seg := ps.states[n].segment
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

// take takes the states of matched paths out of a set and returns what they
// say.
func (ps *Paths) take(set []uint64) (any bool, all uint64) {
	for w, word := range set {
		for ; word != 0; word &= word - 1 {
			n := w*64 + bits.TrailingZeros64(word)
			if s := &ps.states[n]; s.segment == nil {
				any, all = true, all|s.bit
				set[w] &^= 1 << (n % 64)
			}
		}
	}
	return any, all
}

// node returns the node of a set, a new one where there is none yet.
func (ps *Paths) node(set []uint64) *node {
	n := ps.nodes[setKey(set)]
	if n == nil {
		n = &node{set: set, empty: isEmpty(set)}
		ps.nodes[setKey(set)] = n
	}
	return n
}

func setKey(set []uint64) string {
	if len(set) == 0 {
		return ""
	}
	return unsafe.String((*byte)(unsafe.Pointer(&set[0])), 8*len(set))
}

func isEmpty(set []uint64) bool {
	for _, word := range set {
		if word != 0 {
			return false
		}
	}
	return true
}
