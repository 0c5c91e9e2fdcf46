package detect

import (
	"math/bits"
	"slices"
)

// recogniser says how an entity that is made of digits and letters looks, what
// has to hold for it, and which words speak for it. An entity may have more
// than one; its row in the reference is that of the first.
type recogniser struct {
	entity Entity
	// what and holds are for the reference: what it is, and what has to hold.
	what, holds string
	// hints are words and phrases, divided by |, that speak for the entity in
	// the name of a field or before a value: written in lower case, without
	// separators in a word.
	hints string
	// shared are hints that also speak for others: they count only where the
	// check holds.
	shared string
	// shapes are how it is written.
	shapes []shape
	// check is over the characters without separators, letters as capitals.
	check func([]byte) bool
	// lower: it is also written in small letters.
	lower bool
	// loose is the score where a hint of its own is there and the check fails;
	// 0 where it then is none.
	loose float64
	// open describes what is found by a hint alone.
	open open
	// size is the longest finding in bytes, where shapes and open do not say.
	size int
}

// shape is one way to write it: 9 stands for a digit, A for a letter, X for
// either; other characters stand for themselves.
type shape struct {
	text string
	// alone is the score without a hint, where the check holds.
	alone float64
}

// open is a run of letters and digits of no fixed shape. Only a hint near it
// makes it a finding.
type open struct {
	min, max, digits int // characters, and how many have to be digits
	spaces           bool
	score            float64
}

// form is a compiled shape.
type form struct {
	rec                   *compiled
	mustDigit, mustLetter uint64 // a bit for each character
	gaps                  uint64 // a bit for each character that has a separator before it
	separators            uint64 // as a candidate has them
	alone                 float64
}

// formList are the forms of one length.
type formList struct {
	alone  []aloneForms  // that need no hint, by how they are separated
	hinted []entityForms // all of them, by entity in ascending order
	of     set           // the entities of hinted
}

// aloneForms are the forms of a list with the same separators.
type aloneForms struct {
	gaps, separators uint64
	forms            []*form
}

// entityForms are the forms of an entity in a list.
type entityForms struct {
	id    uint8
	forms []*form
}

func (l *formList) add(f *form, minScore float64) {
	if f.alone >= minScore {
		l.addAlone(f)
	}
	id := f.rec.id
	if !l.of.has(id) {
		at := l.of.below(id)
		l.of.add(id)
		l.hinted = slices.Insert(l.hinted, at, entityForms{id: id})
	}
	e := l.formsOf(id)
	e.forms = append(e.forms, f)
}

// formsOf returns the forms of an entity that has some.
func (l *formList) formsOf(id uint8) *entityForms { return &l.hinted[l.of.below(id)] }

func (l *formList) addAlone(f *form) {
	for i := range l.alone {
		if e := &l.alone[i]; e.gaps == f.gaps && e.separators == f.separators {
			e.forms = append(e.forms, f)
			return
		}
	}
	l.alone = append(l.alone, aloneForms{f.gaps, f.separators, []*form{f}})
}

// aloneLike returns the forms that need no hint and have the separators of the
// candidate.
func (l *formList) aloneLike(c *candidate) []*form {
	for i := range l.alone {
		if e := &l.alone[i]; e.gaps == c.gaps && e.separators == c.separators {
			return e.forms
		}
	}
	return nil
}

// compiled is a recogniser with its entity's number.
type compiled struct {
	*recogniser
	id    uint8
	forms []form
}

// longest is the most characters, without separators, that a shape has.
const longest = 34

// compile reads the shapes.
func (r *recogniser) compile(id uint8) *compiled {
	c := &compiled{recogniser: r, id: id}
	for _, sh := range r.shapes {
		f := form{rec: c, alone: sh.alone}
		n := 0
		for i := range len(sh.text) {
			switch sh.text[i] {
			case '9':
				f.mustDigit |= 1 << n
				n++
			case 'A':
				f.mustLetter |= 1 << n
				n++
			case 'X':
				n++
			default:
				f.gaps |= 1 << n
				f.separators = f.separators<<8 | uint64(sh.text[i])
			}
		}
		if seps := len(sh.text) - n; n > longest || seps > 8 || bits.OnesCount64(f.gaps) != seps {
			panic("detect: a shape of " + string(r.entity) + " is too long, or has too many separators or two in a row")
		}
		c.forms = append(c.forms, f)
	}
	return c
}

func (sh shape) chars() (n int) {
	for i := range len(sh.text) {
		if c := sh.text[i]; c == '9' || c == 'A' || c == 'X' {
			n++
		}
	}
	return n
}

// set is a set of hints: a bit for each entity, and for each kind of field
// that speaks against one.
type set [3]uint64

func (s *set) add(id uint8) { s[id>>6] |= 1 << (id & 63) }

func (s *set) remove(id uint8) { s[id>>6] &^= 1 << (id & 63) }

func (s *set) has(id uint8) bool { return s[id>>6]>>(id&63)&1 != 0 }

// below is how many numbers below id are in the set.
func (s *set) below(id uint8) int {
	n := bits.OnesCount64(s[id>>6] & (1<<(id&63) - 1))
	for w := range id >> 6 {
		n += bits.OnesCount64(s[w])
	}
	return n
}

func (s *set) or(o *set) {
	s[0] |= o[0]
	s[1] |= o[1]
	s[2] |= o[2]
}

func (s *set) overlaps(o *set) bool { return (s[0]&o[0])|(s[1]&o[1])|(s[2]&o[2]) != 0 }

func (s *set) empty() bool { return s[0]|s[1]|s[2] == 0 }
