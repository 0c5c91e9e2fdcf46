package names

// FeatureBits is the size of the model's table: features are hashed into it. It
// fits into the caches of a processor, as a table twice the size did not: most
// of the time goes into reading it.
const FeatureBits = 18

// edge stands for what lies before the first token and behind the last one.
var edge = token{kind: breakToken, shape: breakShape, hash: edgeHash}
var barrier = token{kind: longToken, shape: longShape, hash: longHash}

// tok returns the token at i for the features of the token at at. What lies
// behind a barrier is not seen.
func (s *Tagger) tok(i int) *token {
	if i < 0 {
		return &edge
	}
	if i >= len(s.toks) {
		return &edge
	}
	return &s.toks[i]
}

// around returns the two tokens before the one at i and the two behind it.
func (s *Tagger) around(i int) (p2, p1, n1, n2 *token) {
	p2, p1, n1, n2 = &barrier, s.tok(i-1), s.tok(i+1), &barrier
	if p1.kind != longToken {
		p2 = s.tok(i - 2)
	}
	if n1.kind != longToken {
		n2 = s.tok(i + 2)
	}
	return p2, p1, n1, n2
}

// class is what the lists and its form say of a token, in few bits.
func class(t *token) uint64 { return uint64(t.attrs)<<4 | uint64(t.shape) }

// A class has 31 bits, and the last of them are the shape.
const (
	classBits = 31
	shapeMask = 15
)

// feature is the number of a feature: which it is, and of what. Of some that
// were tried, and did no good, the numbers are left out.
func feature(id, a, b uint64) uint32 {
	h := (a+id*0x9E3779B97F4A7C15)*0xD6E8FEB86659FD93 ^ b*0xA0761D6478BD642F
	h ^= h >> 32
	h *= 0xD6E8FEB86659FD93
	return uint32(h >> (64 - FeatureBits))
}

const none = 0

// features appends the features of the token at index i of the island.
func (s *Tagger) features(dst []uint32, is *island, i int) []uint32 {
	dst = s.islandFeatures(dst, is)
	dst = s.ownFeatures(dst, is, &s.toks[i], s.hashOf(i))
	t, c := &s.toks[i], class(&s.toks[i])
	p2, p1, n1, n2 := s.around(i)
	if is.key.words.n > 0 {
		dst = fieldFeatures(dst, is, c, is.position(i))
	}
	dst = leftFeatures(dst, p1, c)
	dst = rightFeatures(dst, n1, c)
	dst = placeFeatures(dst, placeOf(is, i, t, p1, n1), c)
	return s.moreFeatures(dst, is, i, p2, n2)
}

// hashOf is the hash of the token at i, unless its word is hidden.
func (s *Tagger) hashOf(i int) uint64 {
	if s.dropWord != nil && s.dropWord(i) {
		return 0x0DD
	}
	return s.toks[i].hash
}

// islandFeatures are those that all tokens of an island share: what stands
// around it.
func (s *Tagger) islandFeatures(dst []uint32, is *island) []uint32 {
	return append(dst,
		feature(40, is.left, none),
		feature(43, is.right, none))
}

// ownFeatures are those that are of a token alone, and of the island's form.
func (s *Tagger) ownFeatures(dst []uint32, is *island, t *token, hash uint64) []uint32 {
	sh, form := uint64(t.shape), is.form()
	dst = append(dst,
		feature(1, none, none),
		feature(2, hash, none),
		feature(11, sh, lengthOf(t)),
		feature(15, class(t), none),
		feature(45, form, class(t)),
		feature(46, form, hash))
	if t.kind != wordToken {
		return dst
	}
	// How the word ends and begins.
	word := s.folder.fold(s.scratch[:0], s.buf[t.start:t.end])
	s.scratch = word
	n := len(word)
	for k, m := range [...]int{2, 3, 4} {
		if n > m {
			dst = append(dst, feature(24+uint64(k), hashOf(word[n-m:]), sh))
		}
	}
	if n > 3 {
		dst = append(dst, feature(27, hashOf(word[:3]), sh), feature(28, hashOf(word[:2]), sh))
	}
	return dst
}

// fieldFeatures are those of a token of the class c and of the name of the
// field, which is there.
func fieldFeatures(dst []uint32, is *island, c, pos uint64) []uint32 {
	k := &is.key.words
	sh, d := c&shapeMask, uint64(is.keyDist)
	size := is.size()
	return append(dst,
		feature(31, k.full, d),
		feature(32, k.last, d),
		feature(33, k.last, d<<32|c<<2),
		feature(34, k.first, d),
		feature(35, k.full, d<<16|sh<<8|pos<<4|size),
		feature(36, k.last, d<<16|sh<<8|pos),
		feature(38, uint64(k.attrs), d<<16|sh<<8|pos),
		feature(39, uint64(k.attrs), c<<2|d))
}

// position is which of the island's tokens the one at i is, and size is how
// many there are, as far as fieldFeatures count.
func (is *island) position(i int) uint64 { return uint64(min(i-is.from, 3)) }
func (is *island) size() uint64          { return uint64(min(is.to-is.from, 5)) }

// leftFeatures are those of a token of the class c and of the one before it,
// and rightFeatures those of it and of the one behind it.
func leftFeatures(dst []uint32, p *token, c uint64) []uint32 {
	return append(dst,
		feature(3, p.hash, none),
		feature(16, class(p), c),
		feature(18, uint64(p.attrs), none),
		feature(20, p.hash, c))
}

func rightFeatures(dst []uint32, n *token, c uint64) []uint32 {
	return append(dst,
		feature(4, n.hash, none),
		feature(17, c, class(n)),
		feature(19, uint64(n.attrs), none),
		feature(21, n.hash, c))
}

// placeFeatures are those of a token of the class c, and of how it touches what
// it stands between, p and n.
func placeFeatures(dst []uint32, place place, c uint64) []uint32 {
	sh := c & shapeMask
	return append(dst,
		feature(14, uint64(place.before)<<8|sh, uint64(place.behind)),
		feature(30, place.glue, sh),
		feature(49, place.at, sh),
		feature(50, place.at, c))
}

// place is where a token stands.
type place struct {
	before, behind shape
	glue           uint64 // what it touches, in 24 bits
	at             uint64 // where in the island and the text, in 6 bits
}

func placeOf(is *island, i int, t, p, n *token) (w place) {
	w.before, w.behind = p.shape, n.shape
	if !t.space {
		w.glue |= 1 | uint64(p.punct)<<8
	}
	if !n.space {
		w.glue |= 2 | uint64(n.punct)<<16
	}
	if i == is.from {
		w.at |= 1
	}
	if i == is.to-1 {
		w.at |= 2
	}
	if p.kind == breakToken {
		w.at |= 4
	}
	if n.kind == breakToken {
		w.at |= 8
	}
	if p == &edge {
		w.at |= 16
	}
	if n == &edge {
		w.at |= 32
	}
	return w
}

// moreFeatures are the others of a token and of what stands around it.
func (s *Tagger) moreFeatures(dst []uint32, is *island, i int, p2, n2 *token) []uint32 {
	t := &s.toks[i]
	dst = append(dst,
		feature(5, p2.hash, none),
		feature(6, n2.hash, none),
		feature(42, is.left, class(t)))
	// Places of several words.
	if in := s.phrase(i, is); in != 0 {
		dst = append(dst, feature(47, in, uint64(t.shape)), feature(48, in, none))
	}
	if t.kind == numberToken && s.zipped() && s.postalBefore(i) {
		dst = append(dst, feature(55, uint64(t.shape), lengthOf(t)))
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

// cues finds the nearest word, or mark, before an island and what is behind it.
func (s *Tagger) cues(is *island) {
	is.left, is.right = 0, s.tok(is.to).hash
	for d := 1; d <= 3; d++ {
		t := s.tok(is.from - d)
		if t.kind == punctToken && t.punct != ':' && t.punct != '=' && t.punct != '.' {
			continue
		}
		is.left = t.hash
		return
	}
}

// phrase reports whether the token at i is in the name of a place of several
// words: 1 begins it, 2 goes on.
func (s *Tagger) phrase(i int, is *island) uint64 {
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
