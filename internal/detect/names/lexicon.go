package names

import (
	"encoding/binary"
	"errors"
	"sort"
)

// Attrs is what a list says of a word.
type Attrs uint32

// The attributes. Levels are two bits: 0 is not in the list, 3 is frequent.
const (
	firstShift  = 0
	lastShift   = 2
	cityShift   = 4
	commonShift = 6

	// PlacePart is a word of a place name that has several.
	PlacePart Attrs = 1 << (8 + iota)
	// PlaceName is several words that are together the name of a place.
	PlaceName
	// Country is a country, a state or a region.
	Country
	// National is an adjective of a nation, a people, a religion or a party.
	National
	// OrgWord is a word by which organisations are called: Ltd, Bank.
	OrgWord
	// StreetWord is a word of an address: Street, Apt.
	StreetWord
	// Title is a form of address: Mr, Frau.
	Title
	// Thing is a product, a brand, a technology.
	Thing
	// Calendar is a month or a day of the week.
	Calendar
	// Particle joins the parts of a name: van, de, bin.
	Particle
	// PersonKey, PlaceKey and OrgKey are names of fields.
	PersonKey
	PlaceKey
	OrgKey
	// Joiner joins words of a name from inside: of, and.
	Joiner
	// PostalKey is a name of fields with postal codes.
	PostalKey
)

// First, Last, City and Common give the attribute of a level from 1 to 3.
func First(level int) Attrs  { return Attrs(level) << firstShift }
func Last(level int) Attrs   { return Attrs(level) << lastShift }
func City(level int) Attrs   { return Attrs(level) << cityShift }
func Common(level int) Attrs { return Attrs(level) << commonShift }

func (a Attrs) first() int  { return int(a>>firstShift) & 3 }
func (a Attrs) last() int   { return int(a>>lastShift) & 3 }
func (a Attrs) city() int   { return int(a>>cityShift) & 3 }
func (a Attrs) common() int { return int(a>>commonShift) & 3 }

// slotBits is the size of the table: twice the words that it holds and more.
const slotBits = 18

// Lexicon is a set of words with attributes. It keeps 16 bits of a word's
// hash in place of the word: one in 40,000 unknown words is taken for another.
type Lexicon struct {
	slots [1 << slotBits]uint32 // print<<16 | index into attrs; 0 is free
	attrs []Attrs
	// postal has a bit for each print of a PostalKey: there are few.
	postal [1 << 16 / 64]uint64
}

// see takes note of a slot that was filled.
func (l *Lexicon) see(slot uint32) {
	if l.attrs[slot&0xFFFF]&PostalKey != 0 {
		l.postal[slot>>22] |= 1 << (slot >> 16 & 63)
	}
}

// isPostalKey reports whether the word of a field's name with the hash is a
// PostalKey.
func (l *Lexicon) isPostalKey(h uint64) bool {
	h = joined(keySalt, h)
	print := h>>48 | 1
	return l.postal[print>>6]>>(print&63)&1 != 0 && l.lookup(h)&PostalKey != 0
}

func (l *Lexicon) lookup(h uint64) Attrs {
	print := uint32(h>>48) | 1
	for at := uint32(h) & (1<<slotBits - 1); ; at = (at + 1) & (1<<slotBits - 1) {
		s := l.slots[at]
		if s == 0 {
			return 0
		}
		if s>>16 == print {
			return l.attrs[s&0xFFFF]
		}
	}
}

// Builder collects the words of a Lexicon.
type Builder struct {
	fold  folder
	words map[uint64]Attrs
}

// NewBuilder returns an empty one.
func NewBuilder() *Builder { return &Builder{newFolder(), map[uint64]Attrs{}} }

// Add says something of a word, or of the words of a place.
func (b *Builder) Add(word string, a Attrs) {
	h := uint64(0)
	for i, w := range splitWords(word) {
		wh := hashOf(b.fold.fold(nil, w))
		if i == 0 {
			h = wh
		} else {
			h = joined(h, wh)
		}
	}
	if h != 0 {
		b.words[h] = merge(b.words[h], a)
	}
}

// merge keeps the higher of two levels.
func merge(a, b Attrs) Attrs {
	out := (a | b) &^ 0xFF
	for _, shift := range []int{firstShift, lastShift, cityShift, commonShift} {
		out |= max(a>>shift&3, b>>shift&3) << shift
	}
	return out
}

// splitWords gives the words of a phrase as the tokens of a text are cut.
func splitWords(s string) [][]byte {
	var out [][]byte
	ts := tokens{folder: newFolder()}
	for _, t := range ts.cut(append([]byte(s), make([]byte, padding)...), 0, len(s), true) {
		if t.kind == wordToken || t.kind == numberToken {
			out = append(out, []byte(s[t.start:t.end]))
		}
	}
	return out
}

// Build makes the table.
func (b *Builder) Build() (*Lexicon, error) {
	if len(b.words) > 1<<slotBits*7/10 {
		return nil, errors.New("the lexicon has too many words")
	}
	hashes := make([]uint64, 0, len(b.words))
	for h := range b.words {
		hashes = append(hashes, h)
	}
	sort.Slice(hashes, func(i, j int) bool { return hashes[i] < hashes[j] })
	l := &Lexicon{attrs: []Attrs{0}}
	index := map[Attrs]uint32{0: 0}
	for _, h := range hashes {
		a := b.words[h]
		n, ok := index[a]
		if !ok {
			n = uint32(len(l.attrs))
			index[a] = n
			l.attrs = append(l.attrs, a)
		}
		at := uint32(h) & (1<<slotBits - 1)
		for l.slots[at] != 0 {
			at = (at + 1) & (1<<slotBits - 1)
		}
		l.slots[at] = (uint32(h>>48)|1)<<16 | n
		l.see(l.slots[at])
	}
	if len(l.attrs) > 1<<16 {
		return nil, errors.New("the lexicon has too many kinds of words")
	}
	return l, nil
}

func (l *Lexicon) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(l.attrs)))
	for _, a := range l.attrs {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(a))
	}
	for _, s := range l.slots {
		dst = binary.LittleEndian.AppendUint32(dst, s)
	}
	return dst
}

var errShort = errors.New("the model is cut short")

func (l *Lexicon) read(b []byte) (rest []byte, err error) {
	if len(b) < 4 {
		return nil, errShort
	}
	n := int(binary.LittleEndian.Uint32(b))
	b = b[4:]
	if n > 1<<16 || len(b) < 4*n+4*len(l.slots) {
		return nil, errShort
	}
	l.attrs = make([]Attrs, n)
	for i := range l.attrs {
		l.attrs[i] = Attrs(binary.LittleEndian.Uint32(b[4*i:]))
	}
	b = b[4*n:]
	for i := range l.slots {
		l.slots[i] = binary.LittleEndian.Uint32(b[4*i:])
		if l.slots[i]&0xFFFF >= uint32(n) {
			return nil, errors.New("the lexicon is broken")
		}
		l.see(l.slots[i])
	}
	return b[4*len(l.slots):], nil
}
