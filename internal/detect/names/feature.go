package names

// FeatureBits is the size of the model's table: features are hashed into it.
const FeatureBits = 19

// edge stands for what lies before the first token and behind the last one.
var edge = token{kind: breakToken, shape: breakShape, hash: edgeHash}
var barrier = token{kind: longToken, shape: longShape, hash: longHash}

// tok returns the token at i for the features of the token at at. What lies
// behind a barrier is not seen.
func (s *state) tok(i int) *token {
	if i < 0 {
		return &edge
	}
	if i >= len(s.toks) {
		return &edge
	}
	return &s.toks[i]
}

// around returns the tokens from at-3 to at+3.
func (s *state) around(at int, w *[7]*token) {
	w[3] = s.tok(at)
	for d := 1; d <= 3; d++ {
		if w[3-d+1].kind == longToken {
			w[3-d] = &barrier
		} else {
			w[3-d] = s.tok(at - d)
		}
		if w[3+d-1].kind == longToken {
			w[3+d] = &barrier
		} else {
			w[3+d] = s.tok(at + d)
		}
	}
}

// class is what the lists and its form say of a token, in few bits.
func class(t *token) uint64 { return uint64(t.attrs)<<4 | uint64(t.shape) }

// features appends the features of the token at index i of the island.
func (s *state) features(dst []uint32, is *island, i int) []uint32 {
	var w [7]*token
	s.around(i, &w)
	t, p1, p2, n1, n2 := w[3], w[2], w[1], w[4], w[5]
	f := func(id, a, b uint64) {
		h := (a+id*0x9E3779B97F4A7C15)*0xD6E8FEB86659FD93 ^ b*0xA0761D6478BD642F
		h ^= h >> 32
		h *= 0xD6E8FEB86659FD93
		dst = append(dst, uint32(h>>(64-FeatureBits)))
	}
	const none = 0
	h0, hp1, hp2, hn1, hn2 := t.hash, p1.hash, p2.hash, n1.hash, n2.hash
	if s.dropWord != nil && s.dropWord(i) {
		h0 = 0x0DD
	}
	sh, shp, shn := uint64(t.shape), uint64(p1.shape), uint64(n1.shape)
	gp, gn := uint64(p1.attrs), uint64(n1.attrs)

	f(1, none, none)
	f(2, h0, none)
	f(3, hp1, none)
	f(4, hn1, none)
	f(5, hp2, none)
	f(6, hn2, none)
	f(7, hp1, h0)
	f(8, h0, hn1)
	f(9, hp2, hp1)
	f(10, hn1, hn2)
	f(11, sh, lengthOf(t))
	f(12, shp, sh)
	f(13, sh, shn)
	f(14, shp<<8|sh, shn)
	f(15, class(t), none)
	f(16, class(p1), class(t))
	f(17, class(t), class(n1))
	f(18, gp, none)
	f(19, gn, none)
	f(20, hp1, class(t))
	f(21, hn1, class(t))
	f(22, hp1, hn1)
	f(23, gp<<20^gn, sh)

	// How the word ends and begins.
	if t.kind == wordToken {
		word := s.folder.fold(s.scratch[:0], s.buf[t.start:t.end])
		s.scratch = word
		n := len(word)
		ends := [...]int{2, 3, 4}
		for k, m := range ends {
			if n > m {
				f(24+uint64(k), hashOf(word[n-m:]), sh)
			}
		}
		if n > 3 {
			f(27, hashOf(word[:3]), sh)
			f(28, hashOf(word[:2]), sh)
		}
		if n > 4 {
			f(29, hashOf(word[n-3:]), gp<<4|shp)
		}
	}

	// What it touches.
	var glue uint64
	if !t.space {
		glue |= 1 | uint64(p1.punct)<<8
	}
	if !n1.space {
		glue |= 2 | uint64(n1.punct)<<16
	}
	f(30, glue, sh)

	// The field.
	if k := &is.key; k.n > 0 {
		d := uint64(is.keyDist)
		pos := uint64(min(i-is.from, 3))
		size := uint64(min(is.to-is.from, 5))
		f(31, k.full, d)
		f(32, k.last, d)
		f(33, k.last, d<<32|class(t)<<2)
		f(34, k.first, d)
		f(35, k.full, d<<16|sh<<8|pos<<4|size)
		f(36, k.last, d<<16|sh<<8|pos)
		f(38, uint64(k.attrs), d<<16|sh<<8|pos)
		f(39, uint64(k.attrs), class(t)<<2|d)
	}

	// What stands around the island.
	l1, l2, r1, r2 := s.cues(is)
	f(40, l1, none)
	f(41, l1, l2)
	f(42, l1, class(t))
	f(43, r1, none)
	f(44, r1, r2)
	var form uint64
	if is.lower {
		form |= 1
	}
	if is.upper {
		form |= 2
	}
	f(45, form, class(t))
	f(46, form, h0)

	// Places of several words.
	if in := s.phrase(i, is); in != 0 {
		f(47, in, sh)
		f(48, in, none)
	}
	// Where in the text.
	var at uint64
	if i == is.from {
		at |= 1
	}
	if i == is.to-1 {
		at |= 2
	}
	if p1.kind == breakToken {
		at |= 4
	}
	if n1.kind == breakToken {
		at |= 8
	}
	if p1 == &edge {
		at |= 16
	}
	if n1 == &edge {
		at |= 32
	}
	f(49, at, sh)
	f(50, at, class(t))
	f(51, class(p2), class(p1)<<3^class(t))
	f(52, class(t), class(n1)<<3^class(n2))
	f(53, hp2, sh)
	f(54, w[0].hash, sh)
	if t.kind == numberToken && s.postalBefore(i) {
		f(55, sh, lengthOf(t))
	}
	return dst
}

func lengthOf(t *token) uint64 {
	n := t.len()
	switch {
	case n <= 6:
		return uint64(n)
	case n <= 9:
		return 7
	}
	return 8
}

// cues are the nearest words, or marks, before and behind an island.
func (s *state) cues(is *island) (l1, l2, r1, r2 uint64) {
	var got [2]uint64
	n := 0
	for d := 1; d <= 3 && n < 2; d++ {
		t := s.tok(is.from - d)
		if t.kind == punctToken && t.punct != ':' && t.punct != '=' && t.punct != '.' {
			continue
		}
		got[n] = t.hash
		n++
		if t.kind == longToken || t == &edge {
			break
		}
	}
	l1, l2 = got[0], got[1]
	got, n = [2]uint64{}, 0
	for d := 0; d < reach && n < 2; d++ {
		t := s.tok(is.to + d)
		got[n] = t.hash
		n++
		if t.kind == longToken || t == &edge {
			break
		}
	}
	return l1, l2, got[0], got[1]
}

// phrase reports whether the token at i is in the name of a place of several
// words: 1 begins it, 2 goes on.
func (s *state) phrase(i int, is *island) uint64 {
	if s.toks[i].attrs&PlacePart == 0 {
		return 0
	}
	for from := i; from >= is.from && from > i-4; from-- {
		if s.toks[from].attrs&PlacePart == 0 && s.toks[from].kind != punctToken {
			break
		}
		if s.toks[from].kind == punctToken {
			continue
		}
		h := s.toks[from].hash
		for to := from + 1; to < is.to && to < from+5; to++ {
			t := &s.toks[to]
			if t.kind == punctToken && (t.punct == '-' || t.punct == '.' || t.punct == '\'') {
				continue
			}
			if t.attrs&PlacePart == 0 {
				break
			}
			h = joined(h, t.hash)
			if to >= i && s.lex.lookup(h)&PlaceName != 0 {
				if from == i {
					return 1
				}
				return 2
			}
		}
	}
	return 0
}
