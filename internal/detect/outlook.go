package detect

import (
	"encoding/binary"
	"math/bits"

	"github.com/sluice-proxy/sluice/internal/detect/names"
)

// outlook is what the name of a field says of a text in it, ready to be asked.
type outlook struct {
	field
	// value: the name alone may make something of a text. secret: it may be a
	// password.
	value, secret bool
	// unsure: something may be found where nothing else would be.
	unsure bool
	// time, identifier: what isTime and isIdentifier tell is nothing else under
	// the name.
	time, identifier bool
	// phone: the name is that of a telephone number, and of nothing else.
	phone bool
	// plain has a bit for each count of digits that are nothing here, but for a
	// card's number; fraction has that for those with a dot between two of them.
	plain, fraction uint64
	guess           guess
	names           names.Field
	name            knownName
}

// places is how many names are remembered, each in its place.
const places = 64

// nameWords are the bytes of a name of up to 16, and some of a longer one.
type nameWords struct {
	n           int // bytes, and 1
	first, last uint64
}

func wordsOf(name []byte) nameWords {
	n := len(name)
	w := nameWords{n: n + 1}
	switch {
	case n >= 8:
		w.first, w.last = binary.LittleEndian.Uint64(name), binary.LittleEndian.Uint64(name[n-8:])
	case n >= 4:
		w.first = uint64(binary.LittleEndian.Uint32(name)) | uint64(binary.LittleEndian.Uint32(name[n-4:]))<<32
	case n > 0:
		w.first = uint64(name[0]) | uint64(name[n/2])<<8 | uint64(name[n-1])<<16
	}
	return w
}

// place is that of the name.
func (w nameWords) place() uint64 {
	return (uint64(w.n)<<56 ^ w.first ^ bits.RotateLeft64(w.last, 29)) * hashPrime >> 58
}

// knownName is a field's name that was read before, of up to nameWindow bytes.
type knownName struct {
	words nameWords
	long  [nameWindow]byte // where words are not all of it
}

func (k *knownName) is(w nameWords, name []byte) bool {
	return k.words == w && (len(name) <= 16 || string(k.long[:len(name)]) == string(name))
}

func (k *knownName) set(w nameWords, name []byte) {
	k.words = w
	copy(k.long[:], name)
}

// lookUp returns the outlook of a field's name. The bodies of an API have few
// names, and many of each: the last ones are remembered.
func (s *scan) lookUp(name string) *outlook {
	if name == "" {
		return &s.unnamed
	}
	if len(name) > nameWindow {
		s.longOutlook = s.outlookOf(name)
		return &s.longOutlook
	}
	b := []byte(name)
	w := wordsOf(b)
	at := w.place()
	p := &s.outlooks[at]
	if p.name.is(w, b) {
		return p
	}
	// A name has a second place: where two that stand in turns have one between
	// them, both would be read anew each time.
	switch other := &s.outlooks[at^1]; {
	case other.name.is(w, b):
		return other
	case p.name.words != nameWords{} && other.name.words == nameWords{}:
		p = other
	}
	*p = s.outlookOf(name)
	p.name.set(w, b)
	return p
}

// outlookOf reads a field's name.
func (s *Scanner) outlookOf(name string) (p outlook) {
	if name != "" {
		var b [2 * nameWindow]byte
		p.field = s.readName(b[:copy(b[:], name)])
	}
	if s.model != nil {
		p.names = s.model.Field(name)
	}
	p.value = p.own.overlaps(&s.valueSet) || p.shared.has(idAPIKey) && s.want.has(idAPIKey)
	p.unsure = p.value || p.own.has(idDateOfBirth) || len(s.custom) > 0
	p.secret = p.own.has(idPassword) || p.shared.has(idPassword)
	said := p.own
	said.or(&p.shared)
	others := said
	others.remove(idPhone)
	p.phone = p.own.has(idPhone) && s.want.has(idPhone) && !others.overlaps(&s.all)
	if p.names.Wants(nil) {
		return p // what has no word may be a postal code
	}
	p.time = s.quietTimes && !said.overlaps(&s.timeSet)
	if said.overlaps(&s.numberSet) {
		return p
	}
	p.identifier = !p.secret && !said.has(idCrypto)
	p.plain, p.fraction = s.quiet, s.quietFraction
	for n := range maxPlain + 1 {
		if said.overlaps(&s.digits[n].of) {
			p.plain &^= 1 << n
			p.fraction &^= 1 << n
		}
	}
	if said.has(idCreditCard) {
		p.plain &= 1<<minCard - 1
		p.fraction &= 1<<minCard - 1
	}
	return p
}

// maxPlain is how many digits a number has, at most, that outlook.plain is of.
const maxPlain = 19

// findQuiet fills in quiet and quietFraction: a number of so many digits is
// nothing without a hint.
func (s *Scanner) findQuiet() {
	for n := 1; n <= maxPlain; n++ {
		loud, dotted := false, false
		for _, a := range s.digits[n].alone {
			loud = loud || a.gaps == 0
			dotted = dotted || a.gaps&(a.gaps-1) == 0 && a.separators == '.'
		}
		if !loud {
			s.quiet |= 1 << n
		}
		if !dotted {
			s.quietFraction |= 1 << n
		}
	}
}
