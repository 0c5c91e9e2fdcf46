package names

import (
	"encoding/binary"
	"math"
)

// Bounds of what is looked at around a decision.
const (
	lookBack  = 192  // bytes before a text that are looked at
	pieceSize = 4096 // a text is worked on in pieces of this size
	keyBack   = 96   // bytes before an island in which its key is looked for
)

// Span is a name that was found.
type Span struct {
	Start, End int // byte offsets
	Kind       Kind
	Score      float64 // how sure it is that this is a name, 0 to 1
}

// Input is a text to look at.
type Input struct {
	Text []byte
	// Before is what stood before it, at least the last 192 bytes if there
	// were so many.
	Before []byte
	// Key is the name of the field that the text is in.
	Key string
	// More says that the text goes on.
	More bool
	// Bias is added to the log-odds of a word being part of a name.
	Bias float64
	// Memory is that of the document, or nil.
	Memory *Memory
}

// Extent is a piece of text that is not to be cut.
type Extent struct{ Start, End int }

// state is what one call works with.
type state struct {
	lex     *Lexicon
	folder  folder
	buf     []byte
	ts      tokens
	toks    []token
	scratch []byte
	keys    keys
	blanks  blanks
	field   keyWords
	keyed   bool // the field's name says that there is a name in it
	postal  bool // or a postal code
	mem     *Memory
	feats   []uint32
	// dropWord hides a word's identity from the model, in training.
	dropWord func(i int) bool

	scores [maxIslandTokens][Labels]float32
	label  [maxIslandTokens]uint8
	sure   [maxIslandTokens]float32
}

func newState(lex *Lexicon, f folder) *state {
	return &state{lex: lex, folder: f, ts: tokens{lex: lex, folder: f}}
}

func (m *Model) state() *state {
	s, _ := m.states.Get().(*state)
	if s == nil {
		s = newState(m.Lexicon, m.folder)
		s.ts.words = new(vocabulary)
	}
	return s
}

// Tag appends the names in a text to dst, in ascending order, and the extents
// of what was decided on as one to extents. Where the text goes on, settled is
// up to where it is decided; the rest is to be shown again with what follows.
func (m *Model) Tag(dst []Span, extents []Extent, in Input) (spans []Span, ext []Extent, settled int) {
	whole := !in.More && len(in.Before) == 0
	lettered := !whole || hasLetter(in.Text)
	if !lettered && in.Key == "" {
		return dst, extents, len(in.Text)
	}
	s := m.state()
	defer m.states.Put(s)
	key := s.begin(in)
	if !lettered && !s.postal {
		return dst, extents, len(in.Text)
	}
	short := whole && len(in.Text) <= maxBlank
	var h uint64
	if short {
		if h = hashOfValue(key, in.Bias, in.Text); s.isBlank(h) {
			return dst, extents, len(in.Text)
		}
	}
	had := len(dst)
	for at := 0; ; {
		end := min(at+pieceSize, len(in.Text))
		more := in.More || end < len(in.Text)
		var n int
		dst, extents, n = m.piece(s, dst, extents, in, at, end, more)
		if at += n; end == len(in.Text) {
			if short && len(dst) == had {
				s.setBlank(h)
			}
			return dst, extents, at
		}
	}
}

// begin starts with an input, and returns the hash of its field's name.
func (s *state) begin(in Input) (key uint64) {
	s.mem, s.field = in.Memory, keyWords{}
	if in.Key != "" {
		s.scratch = append(s.scratch[:0], in.Key...)
		s.field, key = s.readKey(s.scratch)
	}
	s.keyed = s.field.attrs&(PersonKey|PlaceKey) != 0
	s.postal = s.field.attrs&PostalKey != 0
	return key
}

// fill cuts text with what stands before it into tokens, and returns the
// offset of text in the buffer, its first token, and how many tokens can be
// decided on.
func (s *state) fill(before, more, text []byte, goesOn bool) (base, first, lim int) {
	s.buf = s.buf[:0]
	total := len(before) + len(more)
	s.buf = appendTail(s.buf, before, max(0, lookBack-len(more)))
	s.buf = appendTail(s.buf, more, lookBack)
	base = len(s.buf)
	skip := 0
	if total > base {
		// The first word may have begun before.
		for skip < base && s.buf[skip] > ' ' {
			skip++
		}
		if skip == base {
			skip = 0
		}
	}
	s.buf = append(s.buf, text...)
	n := len(s.buf)
	s.buf = append(s.buf, make([]byte, padding)...)[:n]
	s.toks = s.ts.cut(s.buf[:n+padding], skip, n, !goesOn)
	for first < len(s.toks) && int(s.toks[first].start) < base {
		first++
	}
	lim = len(s.toks)
	for goesOn && lim > 0 && !s.toks[lim-1].done {
		lim--
	}
	return base, min(first, lim), lim
}

func appendTail(dst, b []byte, n int) []byte { return append(dst, b[max(0, len(b)-n):]...) }

// piece looks at Text[at:end] and returns how many bytes of it are decided.
func (m *Model) piece(s *state, dst []Span, ext []Extent, in Input, at, end int, more bool) ([]Span, []Extent, int) {
	base, i, lim := s.fill(in.Before, in.Text[:at], in.Text[at:end], more)
	for {
		is, held, ok := s.next(i, lim, !more)
		if !ok {
			settled := len(s.buf)
			if more && held < len(s.toks) {
				settled = max(int(s.toks[held].start), base)
			}
			return dst, ext, settled - base
		}
		s.describe(&is)
		dst = m.decode(s, dst, &is, in.Bias, at-base)
		ext = append(ext, Extent{int(s.toks[is.from].start) + at - base, int(s.toks[is.to-1].end) + at - base})
		i = is.to
	}
}

// describe finds the island's key and form.
func (s *state) describe(is *island) {
	is.key, is.keyDist = s.field, 2
	first := &s.toks[is.from]
	colon := -1
	for j := is.from - 1; j >= 0 && j >= is.from-8 && s.toks[j].start >= first.start-keyBack; j-- {
		t := &s.toks[j]
		if t.kind == breakToken || t.kind == longToken || t.kind == punctToken && (t.punct == ';' || t.punct == '!' || t.punct == '?') {
			break
		}
		if t.kind == punctToken && (t.punct == ':' || t.punct == '=') {
			colon = j
			break
		}
	}
	if colon > 0 {
		j := colon - 1
		if s.toks[j].kind == punctToken && s.toks[j].punct == '"' || s.toks[j].punct == '\'' {
			j--
		}
		if j >= 0 && (s.toks[j].kind == wordToken || s.toks[j].kind == codeToken) && s.toks[j].start >= first.start-keyBack {
			from := s.toks[j].start
			if j > 0 && s.toks[j-1].kind == wordToken && from-s.toks[j-1].end == 1 && s.toks[j-1].start >= first.start-keyBack && s.buf[s.toks[j-1].end] != '\n' {
				from = s.toks[j-1].start
			}
			is.key, _ = s.readKey(s.buf[from:s.toks[j].end])
			is.keyDist = 1
			quoted := colon+1 < is.from && s.toks[colon+1].kind == punctToken && colon+2 == is.from
			if colon+1 == is.from || quoted {
				is.keyDist = 0
			}
		}
	}
	is.lower, is.upper = true, true
	see := func(j int) (on bool) {
		if j < 0 || j >= len(s.toks) || s.toks[j].kind == longToken {
			return false
		}
		switch s.toks[j].shape {
		case lowerShape:
			is.upper = false
		case titleShape, mixedShape:
			is.upper, is.lower = false, false
		case upperShape, initialShape:
			is.lower = false
		}
		return true
	}
	for j := is.from - 1; j >= is.from-reach && see(j); j-- {
	}
	for j := is.from; j < is.to+reach && see(j); j++ {
	}
}

// rowBytes is the weights of a feature: one byte a label, and one to spare.
const rowBytes = Labels + 1

// emissions sums the weights of the token's features up. Weights are bytes, 128
// more than they count; four of them are added at once, in lanes of 16 bits,
// which hold the sum of 257.
func (m *Model) emissions(e *[Labels]float32, feats []uint32) {
	const lanes = 0x00FF00FF00FF00FF
	var even, odd, last uint64
	for _, f := range feats {
		row := m.rows[int(f)*rowBytes:]
		a := binary.LittleEndian.Uint64(row)
		even += a & lanes
		odd += a >> 8 & lanes
		b := uint64(binary.LittleEndian.Uint32(row[8:rowBytes]))
		last += b&0x00FF00FF | (b>>8&0xFF)<<32
	}
	off := int32(len(feats)) * 128
	for k := range 4 {
		e[2*k] = float32(int32(even>>(16*k)&0xFFFF)-off) * m.Scale
		e[2*k+1] = float32(int32(odd>>(16*k)&0xFFFF)-off) * m.Scale
	}
	e[8] = float32(int32(last&0xFFFF)-off) * m.Scale
	e[9] = float32(int32(last>>32&0xFFFF)-off) * m.Scale
	e[10] = float32(int32(last>>16&0xFFFF)-off) * m.Scale
}

// decode finds the names in an island. Offsets are moved by shift.
func (m *Model) decode(s *state, dst []Span, is *island, bias float64, shift int) []Span {
	n := is.to - is.from
	plain := true
	for k := range n {
		s.feats = s.features(s.feats[:0], is, is.from+k)
		e := &s.scores[k]
		m.emissions(e, s.feats)
		e[0] -= float32(bias)
		if bias < 0 {
			// What is not to be taken for a name is not either because it was
			// taken for a product before.
			e[BeginLabel(Other)] -= float32(bias)
			e[BeginLabel(Other)+1] -= float32(bias)
		}
		if s.mem.has(s.toks[is.from+k].hash) {
			e[BeginLabel(Person)] += rememberedBonus
			e[BeginLabel(Person)+1] += rememberedBonus
		}
		for _, v := range e[1:] {
			plain = plain && v < e[0]-m.margin
		}
	}
	if plain {
		// No way through any other label can be worth more than what two steps
		// between labels differ by.
		return dst
	}
	var back [maxIslandTokens][Labels]uint8
	best := m.Move[Labels]
	for l := range best {
		best[l] += s.scores[0][l]
	}
	for k := 1; k < n; k++ {
		var now [Labels]float32
		for l := range now {
			from, score := 0, float32(math.Inf(-1))
			lo, hi := 0, Labels-1
			if l > 0 && l%2 == 0 { // goes on: only behind the same kind
				lo, hi = l-1, l
			}
			for p := lo; p <= hi; p++ {
				if v := best[p] + m.Move[p][l]; v > score {
					from, score = p, v
				}
			}
			now[l] = score + s.scores[k][l]
			back[k][l] = uint8(from)
		}
		best = now
	}
	last := 0
	for l := range best {
		if best[l] > best[last] {
			last = l
		}
	}
	any := false
	for k := n - 1; k >= 0; k-- {
		s.label[k] = uint8(last)
		any = any || last != 0
		last = int(back[k][last])
	}
	if !any {
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
		j, score := k+1, s.sure[k]
		for j < n && int(s.label[j]) == BeginLabel(kind)+1 {
			score = min(score, s.sure[j])
			j++
		}
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

// rememberedBonus is added for a word of a name that was found before.
const rememberedBonus = 2.5

// marginals works out, with the forward and backward sums, how likely each
// token is to be a part of a name of any kind.
func (m *Model) marginals(s *state, n int) {
	var alpha, emit [maxIslandTokens][Labels]float32
	for k := range n {
		top := s.scores[k][0]
		for _, v := range s.scores[k][1:] {
			top = max(top, v)
		}
		for l, v := range s.scores[k] {
			if d := v - top; d > -20 {
				emit[k][l] = float32(math.Exp(float64(d)))
			}
		}
	}
	move := &m.moveExp
	for k := range n {
		sum := float32(0)
		for l := range Labels {
			v := float32(0)
			switch {
			case k == 0:
				v = move[Labels][l]
			case l > 0 && l%2 == 0:
				v = alpha[k-1][l-1]*move[l-1][l] + alpha[k-1][l]*move[l][l]
			default:
				for p := range Labels {
					v += alpha[k-1][p] * move[p][l]
				}
			}
			v *= emit[k][l]
			alpha[k][l] = v
			sum += v
		}
		for l := range Labels {
			alpha[k][l] /= sum
		}
	}
	var beta [Labels]float32
	for l := range beta {
		beta[l] = 1
	}
	for k := n - 1; k >= 0; k-- {
		if k < n-1 {
			var next [Labels]float32
			for q := range next {
				next[q] = emit[k+1][q] * beta[q]
			}
			sum := float32(0)
			for l := range Labels {
				v := move[l][0] * next[0]
				for q := 1; q < Labels; q += 2 {
					v += move[l][q] * next[q]
				}
				if l > 0 {
					on := l + l%2 // the label that goes on with this kind
					v += move[l][on] * next[on]
				}
				beta[l] = v
				sum += v
			}
			for l := range Labels {
				beta[l] /= sum
			}
		}
		total := float32(0)
		for l := range Labels {
			total += alpha[k][l] * beta[l]
		}
		other := BeginLabel(Other)
		none := alpha[k][0]*beta[0] + alpha[k][other]*beta[other] + alpha[k][other+1]*beta[other+1]
		s.sure[k] = tempered(1 - none/total)
	}
}

// temperature is by how much the model is too sure of itself on texts of other
// kinds than those that it was trained on.
const temperature = 1.3

func tempered(p float32) float32 {
	odds := math.Pow(float64(p)/max(1-float64(p), 1e-9), 1/temperature)
	return float32(odds / (1 + odds))
}
