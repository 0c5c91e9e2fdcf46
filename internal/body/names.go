package body

import "sync/atomic"

// Names are names of members that a step leaves as they are, whatever the body.
// Bodies that are edited at once share them. The zero value is empty and ready
// to use.
type Names struct{ known atomic.Pointer[shortNames] }

// Add adds a name where there is a place for it: those that are there stay.
func (n *Names) Add(name []byte) {
	for {
		known := n.known.Load()
		more := known.clone()
		if len(name) > maxShortName || known.holds(name) || !more.add(name, false) {
			return
		}
		if n.known.CompareAndSwap(known, more) {
			return
		}
	}
}

const (
	// maxShortName is the length of the longest name in shortNames.
	maxShortName = 16
	// namePlaces is how many places there are, and nameTries in how many of them a
	// name may be.
	namePlaces, nameTries = 128, 4
)

// shortNames remembers names of up to sixteen bytes, by hash.
type shortNames [namePlaces]shortName

type shortName struct {
	head, tail uint64
	length     int // and one; 0 is no name
}

func shortNameOf(name []byte) shortName {
	return shortName{nameWord(name), nameWord(name[max(0, len(name)-8):]), len(name) + 1}
}

func hashOfName(head, tail uint64, length int) uint64 {
	return nameHash(head^tail<<1, length)
}

// clone returns a copy; an empty table for nil.
func (s *shortNames) clone() *shortNames {
	c := new(shortNames)
	if s != nil {
		*c = *s
	}
	return c
}

func (s *shortNames) holds(name []byte) bool {
	n := shortNameOf(name)
	return len(name) <= maxShortName && s.has(n.head, n.tail, len(name))
}

// has is holds for a name of so many bytes by its first and its last eight.
func (s *shortNames) has(head, tail uint64, length int) bool {
	if s == nil {
		return false
	}
	at := hashOfName(head, tail, length) / (1 << 64 / namePlaces)
	e := &s[at]
	return e.head == head && e.tail == tail && e.length == length+1 || s.hasBehind(at, head, tail, length)
}

func (s *shortNames) hasBehind(at, head, tail uint64, length int) bool {
	n := shortName{head, tail, length + 1}
	for i := at + 1; i < at+nameTries && s[i%namePlaces].length > 0; i++ {
		if s[i%namePlaces] == n {
			return true
		}
	}
	return false
}

// add adds a name, and reports whether it did. Where there is no place for it,
// it takes that of another if it may.
func (s *shortNames) add(name []byte, instead bool) bool {
	if len(name) > maxShortName {
		return false
	}
	n := shortNameOf(name)
	at := hashOfName(n.head, n.tail, len(name)) / (1 << 64 / namePlaces)
	for i := at; i < at+nameTries; i++ {
		if e := &s[i%namePlaces]; e.length == 0 || *e == n {
			*e = n
			return true
		}
	}
	if instead {
		s[at] = n
	}
	return instead
}
