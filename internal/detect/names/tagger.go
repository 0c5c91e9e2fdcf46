package names

import "bytes"

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
	// Field is the one that the text is in, or nil.
	Field *Field
	// More says that the text goes on.
	More bool
	// Bias is added to the log-odds of a word being part of a name.
	Bias float64
	// Memory is that of the document, or nil.
	Memory *Memory
}

// Extent is a piece of text that is not to be cut.
type Extent struct{ Start, End int }

// Tagger looks for names, and keeps what it works with from one text to the
// next. It is for one goroutine.
type Tagger struct {
	m      *Model
	lex    *Lexicon
	folder folder
	buf    []byte // what is cut into tokens
	last   []byte // what was it before, for a text that goes on from there
	// base is where the text begins in buf, which is cut from skip on, and
	// settled how much of the text is decided: the next one mostly goes on there.
	base, skip, settled int
	ts                  tokens
	toks                []token
	cursor              int // in ts.starts
	scratch             []byte
	keys                keys
	values              values
	field               *Field
	mem                 *Memory
	against             int32  // the bias, in steps of the model's scale
	island              island // that is looked at
	feats               []uint32
	// dropWord hides a word's identity from the model, in training.
	dropWord func(i int) bool

	owns   owns
	memos  struct{ field, left, right, place memo }
	sums   [maxIslandTokens]sum
	scores [maxIslandTokens][Labels]int32 // in steps of the model's scale
	best   [Labels]int32                  // see path
	ways   [maxIslandTokens][Labels]int32
	label  [maxIslandTokens]uint8
	sure   [maxIslandTokens]float32 // that a token is of a name
	alpha  [maxIslandTokens][Labels]float64
	emit   [maxIslandTokens][Labels]float64
}

func newTagger(lex *Lexicon, f folder) *Tagger {
	return &Tagger{lex: lex, folder: f, ts: tokens{lex: lex, folder: f}}
}

// Tagger returns one that is free. It takes 250 KB: it is to be held for the
// texts at hand, and not for those to come.
func (m *Model) Tagger() *Tagger {
	s, _ := m.taggers.Get().(*Tagger)
	if s == nil {
		s = newTagger(m.Lexicon, m.folder)
		s.m, s.ts.words = m, new(vocabulary)
	}
	return s
}

// Close frees the tagger, which refers to nothing of its caller's any more.
func (s *Tagger) Close() {
	s.mem, s.field = nil, nil
	s.m.taggers.Put(s)
}

// Tag is a tagger's, for one text.
func (m *Model) Tag(dst []Span, extents []Extent, in Input) (spans []Span, ext []Extent, settled int) {
	if in.whole() && !in.Field.Wants(in.Text) {
		return dst, extents, len(in.Text)
	}
	s := m.Tagger()
	spans, ext, settled = s.Tag(dst, extents, &in)
	s.Close()
	return spans, ext, settled
}

// whole reports whether nothing stands before or behind the text.
func (in *Input) whole() bool { return !in.More && len(in.Before) == 0 }

// Tag appends the names in a text to dst, in ascending order, and the extents
// of what was decided on as one to extents. Where the text goes on, settled is
// up to where it is decided; the rest is to be shown again with what follows.
// In a whole one that the field does not want there is none: it takes longer here
// to find that out.
func (s *Tagger) Tag(dst []Span, extents []Extent, in *Input) (spans []Span, ext []Extent, settled int) {
	whole := in.whole()
	s.begin(in)
	kept := whole && len(in.Text) <= maxValue && s.recalls()
	had, remembered := len(dst), s.mem.count()
	var h uint64
	if kept {
		h = s.hashOfValue(in)
		if dst, known := s.recall(dst, h); known {
			return dst, extents, len(in.Text)
		}
	}
	for at := 0; ; {
		end := min(at+pieceSize, len(in.Text))
		more := in.More || end < len(in.Text)
		var n int
		dst, extents, n = s.piece(dst, extents, in, at, end, more)
		if at += n; end == len(in.Text) {
			if kept {
				s.keep(h, dst[had:], remembered)
			}
			return dst, extents, at
		}
	}
}

// begin starts with an input.
func (s *Tagger) begin(in *Input) {
	s.mem, s.field = in.Memory, in.Field
	if s.field == nil {
		s.field = &noField
	}
	s.against = 0
	if in.Bias != 0 {
		s.against = s.m.steps(in.Bias)
	}
}

// fill cuts text with what stands before it into tokens, and returns the
// offset of text in the buffer, its first token, and how many tokens can be
// decided on.
func (s *Tagger) fill(before, more, text []byte, goesOn bool) (base, first, lim int) {
	total := len(before) + len(more)
	if total > 0 {
		s.last, s.buf = s.buf, s.last
	}
	s.buf = s.buf[:0]
	s.buf = appendTail(s.buf, before, max(0, lookBack-len(more)))
	s.buf = appendTail(s.buf, more, lookBack)
	base = len(s.buf)
	skip := 0
	if total > base {
		// The first word may have begun before.
		for skip < base && s.buf[skip] > ' ' {
			skip++
		}
		if skip == base || skip > maxToken {
			skip = 0 // a barrier is one without its beginning too
		}
	}
	s.buf = append(s.buf, text...)
	n := len(s.buf)
	s.buf = append(s.buf, make([]byte, padding)...)[:n]
	s.cursor = 0
	from := skip
	if d := s.base + s.settled - base; total > 0 && s.goesOn(d, skip) {
		from = s.ts.again(len(s.last), d, skip)
	} else {
		s.ts.begin()
	}
	s.toks = s.ts.cutOn(s.buf[:n+padding], from, n, !goesOn)
	s.base, s.skip, s.settled = base, skip, 0
	for first < len(s.toks) && int(s.toks[first].start) < base {
		first++
	}
	lim = len(s.toks)
	for goesOn && lim > 0 && !s.toks[lim-1].done {
		lim--
	}
	return base, min(first, lim), lim
}

// goesOn reports whether the buffer begins with the last one from d on, and the
// tokens of that do not depend on where it is cut from: from the same place, or
// from where a space begins.
func (s *Tagger) goesOn(d, skip int) bool {
	n, at := len(s.last)-d, d+skip
	if d < 0 || n <= skip || n > len(s.buf) || at < s.skip {
		return false
	}
	if at > s.skip && (classOf[s.last[at]] != spaceClass || classOf[s.last[at-1]] == spaceClass) {
		return false
	}
	return bytes.Equal(s.buf[:n], s.last[d:])
}

func appendTail(dst, b []byte, n int) []byte { return append(dst, b[max(0, len(b)-n):]...) }

// piece looks at Text[at:end] and returns how many bytes of it are decided.
func (s *Tagger) piece(dst []Span, ext []Extent, in *Input, at, end int, more bool) ([]Span, []Extent, int) {
	is := &s.island
	base, i, lim := s.fill(in.Before, in.Text[:at], in.Text[at:end], more)
	for {
		held, ok := s.next(is, i, lim, !more)
		if !ok {
			settled := len(s.buf)
			if more && held < len(s.toks) {
				settled = max(int(s.toks[held].start), base)
			}
			s.settled = settled - base
			return dst, ext, s.settled
		}
		s.describe(is)
		dst = s.m.decode(s, dst, is, at-base)
		ext = append(ext, Extent{int(s.toks[is.from].start) + at - base, int(s.toks[is.to-1].end) + at - base})
		i = is.to
	}
}

// describe finds the island's key and form, and what is next to it.
func (s *Tagger) describe(is *island) {
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
			is.key = s.readKey(s.buf[from:s.toks[j].end])
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
	s.cues(is)
}
