package names

import "math"

// rememberedBonus is added for a word of a name that was found before.
const rememberedBonus = 2.5

// decode finds the names in an island. Offsets are moved by shift.
func (m *Model) decode(s *Tagger, dst []Span, is *island, bias float64, shift int) []Span {
	n := is.to - is.from
	if !m.score(s, is, bias) || !m.path(s, n) {
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
				if t.kind == wordToken && t.len() > 2 && t.attrs.common() == 0 && t.attrs&(Title|Particle|Calendar) == 0 {
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
// are all plain, it reports false: there is no name in it.
func (m *Model) score(s *Tagger, is *island, bias float64) bool {
	n := is.to - is.from
	toks, sums := s.toks[is.from:is.to], s.sums[:is.to-is.from]
	against := m.steps(bias)
	plain := true
	for k := range toks {
		o := m.own(s, is, &toks[k])
		sums[k] = o.sum
		plain = plain && o.gap-against >= plainGap && !s.mem.has(toks[k].hash)
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
		if is.key.n > 0 {
			s.feats = s.fieldFeatures(s.feats[:0], is, is.from+k)
			m.add(&sums[k], s.feats)
		}
		plain = plain && sums[k].gap()-against >= plainGap && !s.mem.has(toks[k].hash)
	}
	if plain {
		return false
	}
	for k := range n {
		s.feats = s.nearFeatures(s.feats[:0], is, is.from+k)
		m.add(&sums[k], s.feats)
		e := &s.scores[k]
		sums[k].labels(e)
		e[0] -= against
		if bias < 0 {
			// What is not to be taken for a name is not either because it was
			// taken for a product before.
			e[BeginLabel(Other)] -= against
			e[BeginLabel(Other)+1] -= against
		}
		if s.mem.has(toks[k].hash) {
			e[BeginLabel(Person)] += m.bonus
			e[BeginLabel(Person)+1] += m.bonus
		}
	}
	return true
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
func product(a, b *[Labels]float32) float32 {
	v := a[0]*b[0] + a[4]*b[4] + a[8]*b[8]
	w := a[1]*b[1] + a[5]*b[5] + a[9]*b[9]
	x := a[2]*b[2] + a[6]*b[6] + a[10]*b[10]
	y := a[3]*b[3] + a[7]*b[7]
	return (v + w) + (x + y)
}

// marginals works out, with the forward and backward sums, how likely each of
// the n tokens is to be of a name of any kind.
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
		sum := float32(0)
		for l := range alpha {
			switch {
			case k == 0:
				alpha[l] = m.odds.first[l] * emit[l]
			case l > 0 && l%2 == 0: // goes on: only behind the same kind
				before, odds := &s.alpha[k-1], &m.odds.from[l]
				alpha[l] = (before[l-1]*odds[l-1] + before[l]*odds[l]) * emit[l]
			default:
				alpha[l] = product(&s.alpha[k-1], &m.odds.from[l]) * emit[l]
			}
			sum += alpha[l]
		}
		sum = 1 / sum
		for l := range alpha {
			alpha[l] *= sum
		}
	}
	const other = int(Other)*2 - 1
	var beta [Labels]float32
	for l := range beta {
		beta[l] = 1
	}
	for k := n - 1; ; k-- {
		alpha := &s.alpha[k]
		none := alpha[0]*beta[0] + alpha[other]*beta[other] + alpha[other+1]*beta[other+1]
		s.sure[k] = 1 - none/product(alpha, &beta)
		if k == 0 {
			return
		}
		emit := &s.emit[k]
		for l := range beta {
			beta[l] *= emit[l]
		}
		var before [Labels]float32
		sum := float32(0)
		for l := range before {
			before[l] = product(&beta, &m.odds.to[l])
			sum += before[l]
		}
		sum = 1 / sum
		for l := range beta {
			beta[l] = before[l] * sum
		}
	}
}

// temperature is by how much the model is too sure of itself on texts of other
// kinds than those that it was trained on.
const temperature = 1.3

func tempered(p float32) float32 {
	odds := math.Pow(float64(p)/max(1-float64(p), 1e-9), 1/temperature)
	return float32(odds / (1 + odds))
}
