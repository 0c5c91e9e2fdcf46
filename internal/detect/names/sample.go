package names

// Gold is a name in a text of which it is known.
type Gold struct {
	Start, End int
	Kind       Kind
}

// Sample is an island for training: the features of each token, and its label.
type Sample struct {
	Features [][]uint32
	Labels   []uint8
}

// Sampler makes samples of texts.
type Sampler struct{ s *Tagger }

// NewSampler returns a sampler with a lexicon.
func NewSampler(l *Lexicon) *Sampler {
	return &Sampler{newTagger(l, newFolder())}
}

// Samples appends the islands of a text to dst. hide, if it is not nil, is
// asked for each word of a name whether it is to be unknown. missed is how
// many of the names' tokens are in no island.
func (sm *Sampler) Samples(dst []Sample, text []byte, key string, gold []Gold, hide func() (word, attrs bool)) (samples []Sample, missed int) {
	s := sm.s
	f := s.Field(key)
	s.begin(&Input{Field: &f})
	s.buf = s.buf[:0] // tokens are changed below
	_, i, lim := s.fill(nil, nil, text, false)
	labels := make([]uint8, len(s.toks))
	hidden := make([]bool, len(s.toks))
	for _, g := range gold {
		first := true
		for j := range s.toks {
			if t := &s.toks[j]; int(t.start) < g.End && g.Start < int(t.end) {
				l := BeginLabel(g.Kind)
				if !first {
					l++
				}
				labels[j] = uint8(l)
				first = false
				if hide != nil && t.kind == wordToken {
					word, attrs := hide()
					hidden[j] = word
					if attrs {
						t.attrs &= Common(3) | Particle | Joiner
						t.role = roleOf(t)
					}
				}
			}
		}
	}
	s.ts.starts = s.ts.starts[:0]
	for j := range s.toks {
		if s.toks[j].opens() {
			s.ts.starts = append(s.ts.starts, int32(j))
		}
	}
	s.dropWord = func(i int) bool { return hidden[i] }
	defer func() { s.dropWord = nil }()
	covered := 0
	for {
		is := &s.island
		if _, ok := s.next(is, i, lim, true); !ok {
			break
		}
		s.describe(is)
		var one Sample
		prev := None
		for j := is.from; j < is.to; j++ {
			one.Features = append(one.Features, append([]uint32(nil), s.features(nil, is, j)...))
			l := int(labels[j])
			if k := KindOf(l); k != None {
				if k != Other {
					covered++
				}
				if l == BeginLabel(k)+1 && prev != k {
					l--
				}
				prev = k
			} else {
				prev = None
			}
			one.Labels = append(one.Labels, uint8(l))
		}
		dst = append(dst, one)
		i = is.to
	}
	for _, l := range labels {
		if k := KindOf(int(l)); k != None && k != Other {
			missed++
		}
	}
	return dst, missed - covered
}
