package detect

import (
	"slices"
	"strings"
)

// terms is a trie of many thousand terms. A term begins and ends with a word,
// and its letters may be of any case.
type terms struct {
	nodes []termNode
	edges []termEdge
	// first are the first two bytes of the terms: most words of a text have
	// others.
	first [1 << 10]uint64
	list  []listedTerm
}

type termNode struct {
	from, to uint32 // its edges
	of       int16  // the recogniser whose term ends here, and 1; 0 is none
}

type termEdge struct {
	c    byte
	node uint32
}

type listedTerm struct {
	text string
	of   uint8
}

func (t *terms) add(text string, of uint8) {
	b := []byte(strings.Join(strings.Fields(text), " "))
	for i := range b {
		b[i] = fold(b[i], i > 0 && b[i-1] == 0xC3)
	}
	t.list = append(t.list, listedTerm{string(b), of})
}

// finish builds the trie from the terms.
func (t *terms) finish() {
	if len(t.list) == 0 {
		return
	}
	slices.SortStableFunc(t.list, func(a, b listedTerm) int { return strings.Compare(a.text, b.text) })
	t.nodes = make([]termNode, 1, len(t.list)*4)
	t.build(0, t.list, 0)
	for _, l := range t.list {
		if len(l.text) > 1 {
			k := pair(l.text[0], l.text[1])
			t.first[k>>6] |= 1 << (k & 63)
			continue
		}
		for c := range 256 {
			k := pair(l.text[0], byte(c))
			t.first[k>>6] |= 1 << (k & 63)
		}
	}
	t.list = nil
}

func pair(a, b byte) uint { return uint(a)<<8 | uint(b) }

// build makes the node for the terms, which have depth bytes in common.
func (t *terms) build(node uint32, list []listedTerm, depth int) {
	if len(list[0].text) == depth {
		t.nodes[node].of = int16(list[0].of) + 1
		for len(list) > 0 && len(list[0].text) == depth {
			list = list[1:]
		}
	}
	type part struct {
		list []listedTerm
		node uint32
	}
	var parts []part
	t.nodes[node].from = uint32(len(t.edges))
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].text[depth] == list[0].text[depth] {
			n++
		}
		child := uint32(len(t.nodes))
		t.nodes = append(t.nodes, termNode{})
		t.edges = append(t.edges, termEdge{list[0].text[depth], child})
		parts = append(parts, part{list[:n], child})
		list = list[n:]
	}
	t.nodes[node].to = uint32(len(t.edges))
	for _, p := range parts {
		t.build(p.node, p.list, depth+1)
	}
}

// step goes on by a byte; it is false where no term does.
func (t *terms) step(node uint32, c byte) (uint32, bool) {
	n := &t.nodes[node]
	edges := t.edges[n.from:n.to]
	if len(edges) > 8 {
		k, ok := slices.BinarySearchFunc(edges, c, func(e termEdge, c byte) int { return int(e.c) - int(c) })
		if !ok {
			return 0, false
		}
		return edges[k].node, true
	}
	for _, e := range edges {
		if e.c == c {
			return e.node, true
		}
	}
	return 0, false
}

// runTerms looks for the terms at the beginning of each word.
func (s *scan) runTerms() {
	text := s.text
	for i := 0; i < len(text); {
		c := text[i]
		if kinds[c] == 0 && c < 0x80 {
			i++
			continue
		}
		if end := s.termAt(i); end > 0 {
			i = end
			continue
		}
		i++
		for kinds[c] != 0 && i < len(text) && kinds[text[i]] != 0 {
			i++ // the rest of the word; behind what is not ASCII one may begin
		}
	}
}

// termAt looks for the longest term at i, and returns its end.
func (s *scan) termAt(i int) int {
	text := s.text
	if !s.beginsWord(i) {
		return 0
	}
	prev := s.at(i - 1)
	f := func(k int) byte {
		before := prev
		if k > i {
			before = text[k-1]
		}
		return fold(text[k], before == 0xC3)
	}
	if i+1 < len(text) {
		if k := pair(f(i), f(i+1)); s.terms.first[k>>6]>>(k&63)&1 == 0 {
			return 0
		}
	}
	node, end, of := uint32(0), 0, int16(0)
	j := i
	for j < len(text) {
		next, ok := s.terms.step(node, f(j))
		if !ok {
			break
		}
		node = next
		j++
		if n := &s.terms.nodes[node]; n.of > 0 && s.endsWord(j, i) {
			end, of = j, n.of
		}
	}
	if j >= len(text) {
		s.touch(i, j)
	}
	if end == 0 {
		return 0
	}
	s.touch(i, end+1)
	r := s.custom[of-1]
	if r.allow[string(text[i:end])] {
		return end
	}
	score := max(r.score, 0.85)
	s.add(i, end, r.id, score)
	return end
}
