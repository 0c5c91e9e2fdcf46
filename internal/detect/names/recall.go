package names

import (
	"hash/maphash"
	"math"
)

// What a state keeps of the values and the names of fields that it met last:
// documents repeat them. They are known again by a hash with a seed of its own
// for each process, and their text is not kept.

const (
	keyPlaces   = 64  // names of fields that are kept
	blankPlaces = 512 // values that are kept
	maxBlank    = 64  // bytes of a value that is kept
)

var seed = maphash.MakeSeed()

// keys keeps what was made of the names of fields.
type keys [keyPlaces]Field

// blanks keeps whole values that have no names in them.
type blanks [blankPlaces]struct {
	hash uint64
	// words has a bit set for each of the words, as Memory has: one that is
	// remembered by now may be a name.
	words uint64
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

func hashOfValue(key uint64, bias float64, text []byte) uint64 {
	h := maphash.Bytes(seed, text)
	return mixed(h^math.Float64bits(bias)) ^ key
}

// isBlank reports whether there was no name in the value with the hash h.
func (s *Tagger) isBlank(h uint64) bool {
	e := &s.blanks[h%blankPlaces]
	return e.hash == h && (s.mem == nil || s.mem.some&e.words == 0)
}

// setBlank notes that there is no name in the value with the hash h, which is
// the one that was cut last. Where a word of it is remembered, that may be why.
func (s *Tagger) setBlank(h uint64) {
	words := uint64(0)
	for i := range s.toks {
		words |= bitOf(s.toks[i].hash)
	}
	if s.mem == nil || s.mem.some&words == 0 {
		e := &s.blanks[h%blankPlaces]
		e.hash, e.words = h, words
	}
}
