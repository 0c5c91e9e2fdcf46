package names

import (
	"encoding/binary"
	"math"
)

// rowBytes is the weights of a feature: one byte a label, and one to spare.
const rowBytes = Labels + 1

// sum is the weights of features, added up label by label. Weights are bytes,
// 128 more than they count; four of them are added at once, in lanes of 16
// bits, which hold the sum of 257.
type sum struct {
	even, odd, last uint64
	rows            int32
}

const lanes = 0x00FF00FF00FF00FF

// add adds the weights of features.
func (m *Model) add(s *sum, feats []uint32) {
	even, odd, last := s.even, s.odd, s.last
	for _, f := range feats {
		row := m.rows[int(f)*rowBytes:]
		row = row[:rowBytes]
		a := binary.LittleEndian.Uint64(row)
		even += a & lanes
		odd += a >> 8 & lanes
		b := uint64(binary.LittleEndian.Uint32(row[8:]))
		last += b&0x00FF00FF | (b>>8&0xFF)<<32
	}
	s.even, s.odd, s.last = even, odd, last
	s.rows += int32(len(feats))
}

// join adds another sum.
func (s *sum) join(o *sum) {
	s.even += o.even
	s.odd += o.odd
	s.last += o.last
	s.rows += o.rows
}

// labels gives the sum of each label.
func (s *sum) labels(e *[Labels]int32) {
	off := s.rows * 128
	for k := range 4 {
		e[2*k] = int32(s.even>>(16*k)&0xFFFF) - off
		e[2*k+1] = int32(s.odd>>(16*k)&0xFFFF) - off
	}
	e[8] = int32(s.last&0xFFFF) - off
	e[9] = int32(s.last>>32&0xFFFF) - off
	e[10] = int32(s.last>>16&0xFFFF) - off
}

// ownBits is the size of owns.
const ownBits = 9

// owns keeps the sums of the features that are of a token alone, for the tokens
// that were met last.
type owns [1 << ownBits]struct {
	hash uint64
	what uint64 // the rest of what the features are made of
	sum  sum
}

// own returns the sum of the features that are of the token alone.
func (m *Model) own(s *state, is *island, t *token) *sum {
	what := class(t)<<3 | is.form()<<1 | 1
	what = what<<8 | uint64(t.len())
	e := &s.owns[(t.hash^what)*0x9E3779B97F4A7C15>>(64-ownBits)]
	if e.hash != t.hash || e.what != what {
		e.hash, e.what, e.sum = t.hash, what, sum{}
		s.feats = s.ownFeatures(s.feats[:0], is, t, t.hash)
		m.add(&e.sum, s.feats)
	}
	return &e.sum
}

// prepare makes what the tagger reads of what the model is written as.
func (m *Model) prepare(weights []byte) {
	m.rows = make([]byte, rowBytes<<FeatureBits)
	for f := range 1 << FeatureBits {
		row := m.rows[f*rowBytes:]
		for l, v := range weights[f*Labels : f*Labels+Labels] {
			row[l] = v ^ 0x80
		}
	}
	for p := range m.Move {
		for l, v := range m.Move[p] {
			m.moveExp[p][l] = float32(math.Exp(float64(v)))
			way := int32(math.Round(float64(v/m.Scale)*pathScale)) << labelBits
			if p == Labels {
				m.way[Labels][l] = way
			} else {
				m.way[l][p] = way
			}
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
