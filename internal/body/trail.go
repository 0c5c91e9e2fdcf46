package body

import "encoding/binary"

// trail remembers what came behind the name of a member the last time: the
// objects of a body are alike, and where the next name is the one of the last
// time, one look at the bytes says so. What it holds is looked at byte by byte,
// and never wrong.
type trail struct {
	// steps is nil before the first look: a stage that sees all of a document alone
	// has one. By itself in memory, each step lies in one line of the cache.
	steps *[trailSteps]trailStep
	// at is the step of the last name.
	at uint8
}

// forget leaves nothing but room.
func (t *trail) forget() {
	if t.at = 0; t.steps != nil {
		*t.steps = [trailSteps]trailStep{}
	}
}

// trailSteps is how many names are remembered, and trailBytes how much of each
// with what is before and behind it.
const (
	trailSteps = 32
	trailBytes = 24
)

// trailStep is a name with all that stands between the value before it and its
// own: white space, a comma, the quotes, a colon.
type trailStep struct {
	hash       uint64 // of the name
	word, mask [trailBytes / 8]uint64
	kind       trailKind
	// Places behind the value before: of the comma or first quote, the name, its
	// end, and the value.
	first, name, nameEnd, value uint8
	next                        uint8 // the step of the name that came behind it
}

// trailKind tells the first name of an object, which has no comma.
type trailKind uint8

const (
	noTrail trailKind = iota
	firstMember
	laterMember
)

func kindOf(begun bool) trailKind {
	if begun {
		return firstMember
	}
	return laterMember
}

// is reports whether what stands at data[i], 24 bytes and more, is the step.
func (s *trailStep) is(data []byte, i int) bool {
	b := (*[trailBytes]byte)(data[i:])
	return (binary.LittleEndian.Uint64(b[:])^s.word[0])&s.mask[0]|
		(binary.LittleEndian.Uint64(b[8:])^s.word[1])&s.mask[1]|
		(binary.LittleEndian.Uint64(b[16:])^s.word[2])&s.mask[2] == 0
}

// tell takes note of a name that need not be shown: of data[from:to], it is
// data[name:nameEnd].
func (t *trail) tell(kind trailKind, data []byte, from, first, name, nameEnd, to int) {
	hash := hashOfName(nameWord(data[name:nameEnd]), nameWord(data[max(name, nameEnd-8):nameEnd]), nameEnd-name)
	at := uint8(hash / (1 << 64 / trailSteps))
	for i := range uint8(nameTries) {
		if s := &t.steps[(at+i)%trailSteps]; s.kind == noTrail || s.hash == hash {
			at = (at + i) % trailSteps
			break
		}
	}
	s, n := &t.steps[at], to-from
	t.steps[t.at].next, t.at = at, at
	if n > trailBytes || s.kind == kind && int(s.value) == n && from+trailBytes <= len(data) && s.is(data, from) {
		return
	}
	var b, m [trailBytes]byte
	copy(b[:], data[from:to])
	for i := range n {
		m[i] = 0xFF
	}
	for i := range s.word {
		s.word[i], s.mask[i] = binary.LittleEndian.Uint64(b[8*i:]), binary.LittleEndian.Uint64(m[8*i:])
	}
	s.hash, s.kind, s.first, s.name, s.nameEnd, s.value = hash, kind, uint8(first-from), uint8(name-from), uint8(nameEnd-from), uint8(n)
}
