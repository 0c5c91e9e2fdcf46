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
	first, last := s.named(n)
	if first == n {
		return dst
	}
	m.marginals(s, first, last, n)
	for k := first; k <= last; {
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

// named gives the first and the last of the n tokens that are of a name; first
// is n where none is.
func (s *Tagger) named(n int) (first, last int) {
	first = n
	for k, l := range s.label[:n] {
		if kind := KindOf(int(l)); kind != None && kind != Other {
			first, last = min(first, k), k
		}
	}
	return first, last
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
	}
	return m.gains(s.scores[:n])
}

// gains reports whether tokens may win with another label than 0: whether there
// is a row of one kind that does, by the best moves to it, in it and from it.
func (m *Model) gains(scores [][Labels]int32) bool {
	g := &m.gain
	won := g.outset // by the best rows that end with the token before
	for k := range scores {
		e := &scores[k]
		for x := range won {
			begin, on := e[2*x+1]-e[0]+g.to[x], e[2*x+2]-e[0]+g.on[x]
			if won[x] = max(begin, won[x]+on); won[x]+g.from[x] >= 0 {
				return true
			}
		}
	}
	return false
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

// follows are the labels that may stand behind any other; of each kind the one
// that goes on stands behind those of its own kind only.
const follows = 1 + (Labels-1)/2

// goesOnAs is the label that goes on behind one that is of a kind.
func goesOnAs(label int) int { return (label + 1) &^ 1 }

// path finds the best labels of the n tokens, and reports whether there is any
// but 0 among them.
func (m *Model) path(s *Tagger, n int) bool {
	best := &s.best
	for l, v := range s.scores[0] {
		best[l] = m.way.first[l] + v*pathUnit + lastLabel - int32(l)
	}
	for k := 1; k < n; k++ {
		e, to := &s.scores[k], &s.ways[k]
		m.ahead(to, best)
		for l, v := range to {
			best[l] = v&^lastLabel + e[l]*pathUnit + lastLabel - int32(l)
		}
	}
	l := uint8(lastLabel - greatest(best)&lastLabel)
	any := l
	for k := n - 1; k >= 0; k-- {
		s.label[k] = l
		any |= l
		l = uint8(lastLabel - s.ways[k][l]&lastLabel)
	}
	return any != 0
}

// ahead gives, for each label, the best of the ways on to it.
func (m *Model) ahead(now, best *[Labels]int32) {
	top := greatest(best)
	v0, v1, v3, v5, v7, v9 := least, least, least, least, least, least
	for p, v := range best {
		if v < top-m.way.reach[p] {
			continue // as most are
		}
		w := &m.way.next[p]
		v0, v1, v3 = max(v0, v+w[0]), max(v1, v+w[1]), max(v3, v+w[2])
		v5, v7, v9 = max(v5, v+w[3]), max(v7, v+w[4]), max(v9, v+w[5])
	}
	on := &m.way.on
	now[0], now[1], now[3], now[5], now[7], now[9] = v0, v1, v3, v5, v7, v9
	for l := 2; l < Labels; l += 2 {
		now[l] = max(best[l-1]+on[l-1], best[l]+on[l])
	}
}

// least is less than any way is worth.
const least int32 = math.MinInt32

// greatest is the greatest of them. Inlined where it leads to an address, it
// would branch at each of them, and mostly wrong.
//
//go:noinline
func greatest(a *[Labels]int32) int32 { return max(a[0], best(a)) }

// marginals works out, with the forward and backward sums, how likely each of
// the tokens from first to last, of n, is to be of a name of any kind. A float64
// holds the sums of the longest island as they are.
func (m *Model) marginals(s *Tagger, first, last, n int) {
	for k := range n {
		e, emit := &s.scores[k], &s.emit[k]
		top := greatest(e)
		for l, v := range e {
			emit[l] = m.exp(top - v)
		}
	}
	for l, v := range s.emit[0] {
		s.alpha[0][l] = m.odds.first[l] * v
	}
	for k := 1; k <= last; k++ {
		m.forward(&s.alpha[k], &s.alpha[k-1], &s.emit[k])
	}
	beta := [Labels]float64{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
	for k := n - 1; k > last; k-- {
		m.backward(&beta, &s.emit[k], false)
	}
	all := product(&s.alpha[last], &beta)
	for k := last; ; k-- {
		alpha := &s.alpha[k]
		none := alpha[0]*beta[0] + alpha[other]*beta[other] + alpha[other+1]*beta[other+1]
		s.sure[k] = float32(1 - none/all)
		if k == first {
			return
		}
		m.backward(&beta, &s.emit[k], k-1 == first)
	}
}

// other is the label that begins what is no name to be told of.
const other = int(Other)*2 - 1

// product is the inner product.
func product(a, b *[Labels]float64) float64 {
	v := a[0]*b[0] + a[4]*b[4] + a[8]*b[8]
	w := a[1]*b[1] + a[5]*b[5] + a[9]*b[9]
	x := a[2]*b[2] + a[6]*b[6] + a[10]*b[10]
	y := a[3]*b[3] + a[7]*b[7]
	return (v + w) + (x + y)
}

// forward gives, for each label, what all the ways on to it make.
func (m *Model) forward(to, from, emit *[Labels]float64) {
	var v0, v1, v3, v5, v7, v9 float64
	for p, v := range from {
		o := &m.odds.next[p]
		v0 += v * o[0]
		v1 += v * o[1]
		v3 += v * o[2]
		v5 += v * o[3]
		v7 += v * o[4]
		v9 += v * o[5]
	}
	on := &m.odds.on
	to[0] = v0 * emit[0]
	to[1] = v1 * emit[1]
	to[2] = (from[1]*on[1] + from[2]*on[2]) * emit[2]
	to[3] = v3 * emit[3]
	to[4] = (from[3]*on[3] + from[4]*on[4]) * emit[4]
	to[5] = v5 * emit[5]
	to[6] = (from[5]*on[5] + from[6]*on[6]) * emit[6]
	to[7] = v7 * emit[7]
	to[8] = (from[7]*on[7] + from[8]*on[8]) * emit[8]
	to[9] = v9 * emit[9]
	to[10] = (from[9]*on[9] + from[10]*on[10]) * emit[10]
}

// backward gives, for each label, what comes of those that may be behind it; or
// only for those that are of no name to be told of.
func (m *Model) backward(b, emit *[Labels]float64, none bool) {
	for l, v := range emit {
		b[l] *= v
	}
	if none {
		b[0], b[other], b[other+1] = m.behind(b, 0), m.behind(b, other), m.behind(b, other+1)
		return
	}
	v0, v1, v3, v5, v7, v9 := b[0], b[1], b[3], b[5], b[7], b[9]
	on := &m.odds.on
	b[9], b[10] = b[10]*on[9], b[10]*on[10]
	b[7], b[8] = b[8]*on[7], b[8]*on[8]
	b[5], b[6] = b[6]*on[5], b[6]*on[6]
	b[3], b[4] = b[4]*on[3], b[4]*on[4]
	b[0], b[1], b[2] = 0, b[2]*on[1], b[2]*on[2]
	for l := range b {
		o := &m.odds.next[l]
		b[l] += (v0*o[0] + v1*o[1] + v3*o[2]) + (v5*o[3] + v7*o[4] + v9*o[5])
	}
}

// behind gives what comes of those that may be behind a label.
func (m *Model) behind(b *[Labels]float64, label int) float64 {
	o := &m.odds.next[label]
	return (b[0]*o[0] + b[1]*o[1] + b[3]*o[2]) + (b[5]*o[3] + b[7]*o[4] + b[9]*o[5]) + b[goesOnAs(label)]*m.odds.on[label]
}

// temperature is by how much the model is too sure of itself on texts of other
// kinds than those that it was trained on.
const temperature = 1.3

func tempered(p float32) float32 {
	odds := power(float64(p) / max(1-float64(p), 1e-9))
	return float32(odds / (1 + odds))
}

// power is x to the power of 1/temperature, to nine digits, for what odds are:
// up to 1e9. What is less than 2^-64 is 0.
func power(x float64) float64 {
	const a = 1 / temperature
	b := math.Float64bits(x)
	e := b>>52 - (1023 - 64)
	if e >= uint64(len(powers)) {
		return 0
	}
	// x is 2^e times the middle of a step times 1+r.
	step := b >> (52 - stepBits) % (1 << stepBits)
	r := (math.Float64frombits(b&(1<<52-1)|1023<<52) - middle(step)) * steps[step].inverse
	return powers[e] * steps[step].power * (1 + a*r*(1+(a-1)/2*r*(1+(a-2)/3*r*(1+(a-3)/4*r))))
}

const stepBits = 4 // of those from a power of 2 to the next

func middle(step uint64) float64 { return 1 + (float64(step)+0.5)/(1<<stepBits) }

// powers and steps are what power needs of powers of 2, and of the middle of
// each step.
var powers, steps = func() (p [96]float64, s [1 << stepBits]struct{ inverse, power float64 }) {
	for e := range p {
		p[e] = math.Pow(2, float64(e-64)/temperature)
	}
	for i := range s {
		s[i].inverse, s[i].power = 1/middle(uint64(i)), math.Pow(middle(uint64(i)), 1/temperature)
	}
	return p, s
}()
