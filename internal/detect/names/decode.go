package names

import "math"

// rememberedBonus is added for a word of a name that was found before.
const rememberedBonus = 2.5

// decode finds the names in an island. Offsets are moved by shift.
func (m *Model) decode(s *Tagger, dst []Span, is *island, shift int) []Span {
	n := is.to - is.from
	if !m.score(s, is) || !m.path(s, n) {
		return dst
	}
	m.marginals(s, n)
	for k := 0; k < n; {
		l := int(s.label[k])
		kind := KindOf(l)
		if kind == None || kind == Other {
			k++
			continue
		}
		j, sure := k+1, s.sure[k]
		for j < n && int(s.label[j]) == BeginLabel(kind)+1 {
			sure = min(sure, s.sure[j])
			j++
		}
		if kind == Organization && initials(s.toks[is.from+k:is.from+j]) {
			k = j // Q&A, R&D
			continue
		}
		score := tempered(sure)
		a, b := &s.toks[is.from+k], &s.toks[is.from+j-1]
		dst = append(dst, Span{int(a.start) + shift, int(b.end) + shift, kind, float64(score)})
		if kind == Person && score >= 0.8 {
			for x := k; x < j; x++ {
				t := &s.toks[is.from+x]
				if t.rare() && t.len() > 2 {
					s.mem.add(t.hash, int(a.start)+shift)
				}
			}
		}
		k = j
	}
	return dst
}

// initials reports whether tokens have no word but single letters.
func initials(toks []token) bool {
	for i := range toks {
		if t := &toks[i]; t.kind != punctToken && t.shape != initialShape {
			return false
		}
	}
	return true
}

// plainGap is by how many steps of the model's scale no name at all has to be
// ahead of the best name, by a part of the features, for a word to be plain. Of
// the texts for development none loses a name by it.
const plainGap = 60

// score sums up what speaks for each label of the tokens of an island. Where
// the words by themselves, or with the field and what stands around the island,
// are all plain, or where no label is worth it at the end, it reports false:
// there is no name in it.
func (m *Model) score(s *Tagger, is *island) bool {
	n := is.to - is.from
	toks, sums := s.toks[is.from:is.to], s.sums[:is.to-is.from]
	against := s.against
	plain := true
	for k := range toks {
		o := m.own(s, is, &toks[k])
		sums[k] = o.sum
		plain = plain && o.gap-against >= plainGap && !s.remembers(&toks[k])
	}
	if plain {
		return false
	}
	var shared sum
	s.feats = s.islandFeatures(s.feats[:0], is)
	m.add(&shared, s.feats)
	plain = true
	for k := range sums {
		sums[k].join(&shared)
		if is.key.words.n > 0 {
			m.addField(s, &sums[k], is, is.from+k)
		}
		plain = plain && sums[k].gap()-against >= plainGap && !s.remembers(&toks[k])
	}
	if plain {
		return false
	}
	idle := true
	for k := range n {
		m.addNear(s, &sums[k], is, is.from+k)
		e := &s.scores[k]
		sums[k].labels(e)
		e[0] -= against
		if against < 0 {
			// What is not to be taken for a name is not either because it was
			// taken for a product before.
			e[BeginLabel(Other)] -= against
			e[BeginLabel(Other)+1] -= against
		}
		if s.remembers(&toks[k]) {
			e[BeginLabel(Person)] += m.bonus
			e[BeginLabel(Person)+1] += m.bonus
		}
		idle = idle && e[0]-best(e) > m.idle
	}
	return !idle
}

// best is what the best label but 0 is worth.
func best(e *[Labels]int32) int32 {
	v := max(max(e[1], e[2]), max(e[3], e[4]))
	w := max(max(e[5], e[6]), max(e[7], e[8]))
	return max(max(v, w), max(e[9], e[10]))
}

// The best way to a token and a label is worth a whole number, so that the
// label that it came by fits in behind it, and the greatest of several is found
// together with that label. Labels are counted from the end: of ways that are
// worth the same, that by the first label is taken.
const (
	labelBits = 4
	pathScale = 256 // of a step of the model's scale
	pathUnit  = pathScale << labelBits
	lastLabel = 1<<labelBits - 1
)

// path finds the best labels of the n tokens, and reports whether there is any
// but 0 among them.
func (m *Model) path(s *Tagger, n int) bool {
	var best [Labels]int32
	for l := range best {
		best[l] = m.way.first[l] + s.scores[0][l]*pathUnit + lastLabel - int32(l)
	}
	for k := 1; k < n; k++ {
		e, back := &s.scores[k], &s.back[k]
		var now [Labels]int32
		for l := 0; l < Labels; l++ {
			var top int32
			if l > 0 && l%2 == 0 { // goes on: only behind the same kind
				top = max(best[l-1]+m.way.from[l][l-1], best[l]+m.way.from[l][l])
			} else {
				top = greatest(&best, &m.way.from[l])
			}
			back[l] = uint8(lastLabel - top&lastLabel)
			now[l] = top&^lastLabel + e[l]*pathUnit + lastLabel - int32(l)
		}
		best = now
	}
	top := best[0]
	for _, v := range best[1:] {
		top = max(top, v)
	}
	l := uint8(lastLabel - top&lastLabel)
	any := l
	for k := n - 1; k >= 0; k-- {
		s.label[k] = l
		any |= l
		l = s.back[k][l]
	}
	return any != 0
}

// greatest is the greatest sum of two that stand at the same place.
func greatest(a, b *[Labels]int32) int32 {
	v := max(a[0]+b[0], a[1]+b[1])
	w := max(a[2]+b[2], a[3]+b[3])
	x := max(a[4]+b[4], a[5]+b[5])
	y := max(a[6]+b[6], a[7]+b[7])
	z := max(a[8]+b[8], a[9]+b[9])
	return max(max(v, w), max(x, y), max(z, a[10]+b[10]))
}

// product is the inner product.
func product(a, b *[Labels]float64) float64 {
	v := a[0]*b[0] + a[4]*b[4] + a[8]*b[8]
	w := a[1]*b[1] + a[5]*b[5] + a[9]*b[9]
	x := a[2]*b[2] + a[6]*b[6] + a[10]*b[10]
	y := a[3]*b[3] + a[7]*b[7]
	return (v + w) + (x + y)
}

// marginals works out, with the forward and backward sums, how likely each of
// the n tokens is to be of a name of any kind. A float64 holds the sums of the
// longest island as they are.
func (m *Model) marginals(s *Tagger, n int) {
	for k := range n {
		e, emit, alpha := &s.scores[k], &s.emit[k], &s.alpha[k]
		top := e[0]
		for _, v := range e[1:] {
			top = max(top, v)
		}
		for l, v := range e {
			emit[l] = m.exp(top - v)
		}
		if k == 0 {
			for l := range alpha {
				alpha[l] = m.odds.first[l] * emit[l]
			}
			continue
		}
		before := &s.alpha[k-1]
		alpha[0] = product(before, &m.odds.from[0]) * emit[0]
		for l := 1; l < Labels; l += 2 {
			on := &m.odds.from[l+1] // only behind the same kind
			alpha[l] = product(before, &m.odds.from[l]) * emit[l]
			alpha[l+1] = (before[l]*on[l] + before[l+1]*on[l+1]) * emit[l+1]
		}
	}
	const other = int(Other)*2 - 1
	var beta [Labels]float64
	for l := range beta {
		beta[l] = 1
	}
	for k := n - 1; ; k-- {
		alpha := &s.alpha[k]
		none := alpha[0]*beta[0] + alpha[other]*beta[other] + alpha[other+1]*beta[other+1]
		s.sure[k] = float32(1 - none/product(alpha, &beta))
		if k == 0 {
			return
		}
		emit := &s.emit[k]
		for l := range beta {
			beta[l] *= emit[l]
		}
		beta = m.behind(&beta)
	}
}

// behind gives, for each label, what comes of those that may be behind it. Of
// those that go on only the one of the same kind may.
func (m *Model) behind(b *[Labels]float64) (to [Labels]float64) {
	b0, b1, b3, b5, b7, b9 := b[0], b[1], b[3], b[5], b[7], b[9]
	for l := range to {
		o := &m.odds.to[l]
		to[l] = (b0*o[0] + b1*o[1] + b3*o[3]) + (b5*o[5] + b7*o[7] + b9*o[9])
		if l > 0 {
			on := (l + 1) &^ 1
			to[l] += b[on] * o[on]
		}
	}
	return to
}

// temperature is by how much the model is too sure of itself on texts of other
// kinds than those that it was trained on.
const temperature = 1.3

func tempered(p float32) float32 {
	odds := math.Exp(math.Log(float64(p)/max(1-float64(p), 1e-9)) / temperature)
	return float32(odds / (1 + odds))
}
