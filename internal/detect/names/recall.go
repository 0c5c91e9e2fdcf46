package names

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"math/bits"
	"slices"
)

// What a tagger keeps of the values and the names of fields that it met last:
// documents repeat them. They are known again by a hash with a seed of its own
// for each process, and their text is not kept.

const (
	keyPlaces   = 64   // names of fields that are kept
	valuePlaces = 1024 // values that are kept
	maxValue    = 255  // bytes of a value that is kept
)

var seed = maphash.MakeSeed()

// keys keeps what was made of the names of fields.
type keys [keyPlaces]Field

// values keeps what was found in whole values.
type values [valuePlaces]foundValue

// foundValue is what was found in a value. That depends on which of its words
// were remembered.
type foundValue struct {
	hash uint64
	// words are the n different words in it that may be remembered, in order. Of
	// before and taken a bit is for each: that it was remembered before, and
	// that it is since, as of at.
	n, before, taken uint8
	found            uint8 // how many spans there are
	at               [6]uint8
	words            [6]uint64
	spans            [5]foundSpan
}

type foundSpan struct {
	start, end uint8
	kind       Kind
	score      float32
}

// manyWords stands for more than are kept: nothing is to be remembered then.
const manyWords = 255

// at is the place of a value with some words that were remembered before. Its
// words are to be had, too, where it is with none.
func (v *values) at(hash uint64, before uint8) *foundValue {
	return &v[(hash+uint64(before)*0x9E3779B97F4A7C15)%valuePlaces]
}

// Field is as Model.Field, and cheaper for a name that was met before.
func (s *Tagger) Field(name string) Field {
	if name == "" {
		return Field{}
	}
	s.scratch = append(s.scratch[:0], name...)
	return *s.readKey(s.scratch)
}

// readKey reads the name of a field.
func (s *Tagger) readKey(name []byte) *Field {
	h := maphash.Bytes(seed, name)
	f := &s.keys[h%keyPlaces]
	if f.hash != h {
		*f = fieldOf(s.lex.readKey(s.folder, name), h)
	}
	return f
}

// hashOfValue is that of a text, which has no more than maxValue bytes, and of
// all else that decides on what is found in it, but for what is remembered.
// The model looks at how many digits there are and not at which, except in a
// word with an underscore.
func (s *Tagger) hashOfValue(in *Input) uint64 {
	h, ok := hashOfForm(in.Text)
	if !ok {
		h = maphash.Bytes(seed, in.Text)
	}
	h = mixed(h^math.Float64bits(in.Bias)) ^ s.field.hash
	if s.mem.takes() {
		h = ^h
	}
	return h
}

// keys of hashOfForm, as random as the seed.
var formKeys = [2]uint64{maphash.String(seed, "text"), maphash.String(seed, "sum")}

// hashOfForm hashes a text as if all of its digits were the same, by products of
// 128 bits that nobody can tell who does not know the keys. It is false where it
// matters which the digits are.
func hashOfForm(text []byte) (h uint64, ok bool) {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	h = uint64(len(text))
	for i := 0; i < len(text); i += 8 {
		x := eightOf(text, i)
		if line := x ^ '_'*ones; (line-ones)&^line&high != 0 {
			return 0, false
		}
		up, low := bits.Mul64(x&^(digitsIn(x)>>7*0x0F)^formKeys[0], h^formKeys[1])
		h = up ^ low
	}
	return h, true
}

// eightOf returns the eight bytes from i on, as far as they are there.
func eightOf(text []byte, i int) uint64 {
	n := len(text)
	switch {
	case i+8 <= n:
		return binary.LittleEndian.Uint64(text[i:])
	case n >= 8:
		return binary.LittleEndian.Uint64(text[n-8:]) >> (8 * (i + 8 - n))
	}
	x := uint64(0)
	for k := n - 1; k >= i; k-- {
		x = x<<8 | uint64(text[k])
	}
	return x
}

// digitsIn has the high bit of each byte set that is a digit.
func digitsIn(x uint64) uint64 {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	y := x &^ high
	from, past := y+(0x80-'0')*ones, y+(0x80-'9'-1)*ones
	return from &^ past &^ x & high
}

// takes reports whether all words of a value that is kept can be remembered.
// Where they cannot, it is as if there were no memory, or nothing is kept.
func (m *Memory) takes() bool {
	return m != nil && len(m.words) <= maxRemembered-len(foundValue{}.words)
}

// recalls reports whether values are looked up and kept.
func (s *Tagger) recalls() bool {
	return s.mem == nil || s.mem.takes() || len(s.mem.words) == maxRemembered
}

// recall appends what was found in the value with the hash h, if it is known.
func (s *Tagger) recall(dst []Span, h uint64) ([]Span, bool) {
	v := s.values.at(h, 0)
	if v.hash != h {
		return dst, false
	}
	before := uint8(0)
	if s.mem.any() {
		if v.n == manyWords {
			return dst, false
		}
		for i, w := range v.words[:v.n] {
			if s.mem.has(w) {
				before |= 1 << i
			}
		}
	}
	if v.before != before {
		if v = s.values.at(h, before); v.hash != h || v.before != before {
			return dst, false
		}
	}
	if v.taken != 0 {
		for i, w := range v.words[:v.n] {
			if v.taken>>i&1 != 0 {
				s.mem.add(w, int(v.at[i]))
			}
		}
	}
	for _, f := range v.spans[:v.found] {
		dst = append(dst, Span{int(f.start), int(f.end), f.kind, float64(f.score)})
	}
	return dst, true
}

// keep keeps what was found in the value with the hash h, which is the one that
// was cut last. Before it, had words were remembered.
func (s *Tagger) keep(h uint64, found []Span, had int) {
	var v foundValue
	if len(found) > len(v.spans) {
		return
	}
	v.hash, v.found = h, uint8(len(found))
	for i, f := range found {
		v.spans[i] = foundSpan{uint8(f.Start), uint8(f.End), f.Kind, float32(f.Score)}
	}
	taken := had
	for i := range s.toks {
		t := &s.toks[i]
		if !t.rare() || slices.Contains(v.words[:v.n], t.hash) {
			continue
		}
		if int(v.n) == len(v.words) {
			if s.mem.any() {
				return
			}
			v.n = manyWords
			break
		}
		if s.mem.any() {
			if where := s.mem.where(t.hash); where > had {
				if taken++; where != taken {
					return // not in the order of the text
				}
				v.taken |= 1 << v.n
				v.at[v.n] = uint8(s.mem.at[where-1])
			} else if where > 0 {
				v.before |= 1 << v.n
			}
		}
		v.words[v.n] = t.hash
		v.n++
	}
	*s.values.at(h, v.before) = v
	if first := s.values.at(h, 0); first.hash != h {
		*first = v
	}
}
