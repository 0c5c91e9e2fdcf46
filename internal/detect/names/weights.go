package names

import (
	"math"
	"math/bits"
	"slices"
)

// row is the weights of a feature for the labels. Weights are bytes, 128 more
// than they count.
type row struct {
	low  uint64 // those of the first eight labels
	high uint64 // and of the others, in lanes of 16 bits
}

// sum is the weights of features, added up label by label, in lanes of 16 bits
// that hold the sum of 257.
type sum struct {
	even, odd, high uint64
	rows            int32
}

const lanes = 0x00FF00FF00FF00FF

// add adds the weights of features.
func (m *Model) add(s *sum, feats []uint32) {
	rows := m.rows
	even, odd, high := s.even, s.odd, s.high
	for _, f := range feats {
		r := &rows[f%(1<<FeatureBits)]
		even += r.low & lanes
		odd += r.low >> 8 & lanes
		high += r.high
	}
	s.even, s.odd, s.high = even, odd, high
	s.rows += int32(len(feats))
}

// join adds another sum.
func (s *sum) join(o *sum) {
	s.even += o.even
	s.odd += o.odd
	s.high += o.high
	s.rows += o.rows
}

// labels gives the sum of each label.
func (s *sum) labels(e *[Labels]int32) {
	off := s.rows * 128
	for k := range 4 {
		e[2*k] = int32(s.even>>(16*k)&0xFFFF) - off
		e[2*k+1] = int32(s.odd>>(16*k)&0xFFFF) - off
	}
	for k := range Labels - 8 {
		e[8+k] = int32(s.high>>(16*k)&0xFFFF) - off
	}
}

// gap is by how much no name is ahead of the best name.
func (s *sum) gap() int32 {
	var e [Labels]int32
	s.labels(&e)
	return e[0] - best(&e)
}

// ownBits is the size of owns.
const ownBits = 9

// owns keeps the sums of the features that are of a token alone, for the tokens
// that were met last.
type owns [1 << ownBits]ownEntry

type ownEntry struct {
	hash uint64
	what uint64 // the rest of what the features are made of
	sum  sum
	gap  int32
}

// own returns the sum of the features that are of the token alone.
func (m *Model) own(s *Tagger, is *island, t *token) *ownEntry {
	what := class(t)<<3 | is.form()<<1 | 1
	what = what<<8 | uint64(t.len())
	e := &s.owns[(t.hash^what)*0x9E3779B97F4A7C15>>(64-ownBits)]
	if e.hash != t.hash || e.what != what {
		e.hash, e.what, e.sum = t.hash, what, sum{}
		s.feats = s.ownFeatures(s.feats[:0], is, t, t.hash)
		m.add(&e.sum, s.feats)
		e.gap = e.sum.gap()
	}
	return e
}

// memo keeps the sums of features, by all that they are made of.
type memo [1 << memoBits]memoEntry

const memoBits = 9

type memoEntry struct {
	a, b uint64
	sum  sum
}

// at returns the entry of two numbers, of which b is not 0. Where it was not
// known, its sum is to be made.
func (o *memo) at(a, b uint64) (e *memoEntry, known bool) {
	e = &o[(a^bits.RotateLeft64(b, 31))*0x9E3779B97F4A7C15>>(64-memoBits)]
	if e.a == a && e.b == b {
		return e, true
	}
	e.a, e.b, e.sum = a, b, sum{}
	return e, false
}

// addField adds the features of the token at i and of the field's name.
func (m *Model) addField(s *Tagger, sum *sum, is *island, i int) {
	c, pos := class(&s.toks[i]), is.position(i)
	e, known := s.memos.field.at(is.key.hash, ((c<<2|pos)<<3|is.size())<<2|uint64(is.keyDist))
	if !known {
		s.feats = fieldFeatures(s.feats[:0], is, c, pos)
		m.add(&e.sum, s.feats)
	}
	sum.join(&e.sum)
}

// addNear adds the features of the token at i and of what stands around it.
func (m *Model) addNear(s *Tagger, sum *sum, is *island, i int) {
	t, c := &s.toks[i], class(&s.toks[i])
	p2, p1, n1, n2 := s.around(i)
	e, known := s.memos.left.at(p1.hash, class(p1)<<classBits|c)
	if !known {
		s.feats = leftFeatures(s.feats[:0], p1, c)
		m.add(&e.sum, s.feats)
	}
	sum.join(&e.sum)
	e, known = s.memos.right.at(n1.hash, class(n1)<<classBits|c)
	if !known {
		s.feats = rightFeatures(s.feats[:0], n1, c)
		m.add(&e.sum, s.feats)
	}
	sum.join(&e.sum)
	w := placeOf(is, i, t, p1, n1)
	e, known = s.memos.place.at(((w.at<<24|w.glue)<<4|uint64(w.before))<<4|uint64(w.behind), c)
	if !known {
		s.feats = placeFeatures(s.feats[:0], w, c)
		m.add(&e.sum, s.feats)
	}
	sum.join(&e.sum)
	s.feats = s.moreFeatures(s.feats[:0], is, i, p2, n2)
	m.add(sum, s.feats)
}

// prepare makes what the tagger reads of what the model is written as.
func (m *Model) prepare(weights []byte) {
	m.rows = new([1 << FeatureBits]row)
	for f := range m.rows {
		r := &m.rows[f]
		for l, v := range weights[f*Labels : f*Labels+Labels] {
			if w := uint64(v ^ 0x80); l < 8 {
				r.low |= w << (8 * l)
			} else {
				r.high |= w << (16 * (l - 8))
			}
		}
	}
	way := func(p, l int) int32 { return int32(math.Round(float64(m.Move[p][l]/m.Scale)*pathScale)) << labelBits }
	odds := func(p, l int) float64 { return math.Exp(float64(m.Move[p][l])) }
	for p := range Labels {
		m.way.first[p], m.odds.first[p] = way(Labels, p), odds(Labels, p)
		if p > 0 {
			m.way.on[p], m.odds.on[p] = way(p, goesOnAs(p)), odds(p, goesOnAs(p))
		}
		for i := range follows {
			l := max(0, 2*i-1)
			m.way.next[p][i], m.odds.next[p][i] = way(p, l), odds(p, l)
		}
	}
	for q := range Labels {
		for p := range Labels {
			for i := range follows {
				m.way.reach[p] = max(m.way.reach[p], m.way.next[p][i]-m.way.next[q][i])
			}
		}
	}
	for d := range m.exps {
		m.exps[d] = math.Exp(-float64(d) * float64(m.Scale))
	}
	m.bonus = m.steps(rememberedBonus)
	for x := range m.gain.to {
		begin, on := 2*x+1, 2*x+2
		gain := func(ways ...int32) int32 { return slices.Max(ways)/pathUnit + 1 } // rounded up
		to := way(Labels, begin) - way(Labels, 0)
		for p := range Labels {
			to = max(to, way(p, begin)-way(0, 0))
		}
		m.gain.to[x] = gain(to)
		m.gain.on[x] = gain(way(begin, on)-way(0, 0), way(on, on)-way(0, 0))
		m.gain.from[x] = gain(0, way(begin, 0)-way(0, 0), way(on, 0)-way(0, 0))
		m.gain.outset[x] = gain(way(Labels, on)-way(Labels, 0)) - m.gain.on[x]
	}
}

// steps gives a weight in steps of the model's scale.
func (m *Model) steps(v float64) int32 { return int32(math.Round(v / float64(m.Scale))) }

// exp is e to the power of -d steps of the scale.
func (m *Model) exp(d int32) float64 {
	if uint32(d) < uint32(len(m.exps)) {
		return m.exps[d]
	}
	return 0
}
