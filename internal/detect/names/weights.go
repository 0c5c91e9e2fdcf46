package names

import "math"

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
	top := e[1]
	for _, v := range e[2:] {
		top = max(top, v)
	}
	return e[0] - top
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
	for p := range m.Move {
		for l, v := range m.Move[p] {
			odds, way := float32(math.Exp(float64(v))), int32(math.Round(float64(v/m.Scale)*pathScale))<<labelBits
			if p == Labels {
				m.odds.first[l], m.way.first[l] = odds, way
				continue
			}
			m.odds.from[l][p], m.way.from[l][p] = odds, way
			m.odds.to[p][l] = odds
		}
	}
	for d := range m.exps {
		m.exps[d] = float32(math.Exp(-float64(d) * float64(m.Scale)))
	}
	m.bonus = m.steps(rememberedBonus)
}

// steps gives a weight in steps of the model's scale.
func (m *Model) steps(v float64) int32 { return int32(math.Round(v / float64(m.Scale))) }

// exp is e to the power of -d steps of the scale.
func (m *Model) exp(d int32) float32 {
	if uint32(d) < uint32(len(m.exps)) {
		return m.exps[d]
	}
	return 0
}
