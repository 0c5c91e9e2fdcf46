package names

import "hash/maphash"

// Field is what the name of a field says of the text in it. The zero value is
// that of no name.
type Field struct {
	words  keyWords
	hash   uint64 // of the name, with the process's seed
	keyed  bool   // the name says that there is a name in the text
	postal bool   // or a postal code
}

var noField Field

// Field reads the name of a field, which "" is none.
func (m *Model) Field(name string) Field {
	if name == "" {
		return Field{}
	}
	var read [maxKey]byte
	return fieldOf(m.Lexicon.readKey(m.folder, read[:copy(read[:], name)]), maphash.String(seed, name))
}

func fieldOf(k keyWords, hash uint64) Field {
	return Field{words: k, hash: hash, keyed: k.attrs&(PersonKey|PlaceKey) != 0, postal: k.attrs&PostalKey != 0}
}

// Wants reports whether there may be a name in a text of the field, with
// nothing before or behind it: a name has a word, unless it is a postal code.
// The field may be nil.
func (f *Field) Wants(text []byte) bool {
	return hasWord(text) || f != nil && f.postal
}

// Bounds of what is read of a field's name.
const (
	maxKey      = 64 // bytes
	maxKeyWords = 8
)

// keyWords is what is made of the name of a field: shippingAddress,
// shipping_address and Shipping-Address are the same.
type keyWords struct {
	full, first, last uint64
	attrs             Attrs // of all its words
	n                 int
}

// readKey reads a field's name.
func (l *Lexicon) readKey(f folder, key []byte) (k keyWords) {
	key = key[:min(len(key), maxKey)]
	var buf [96]byte
	start := 0
	flush := func(end int) {
		if end > start && k.n < maxKeyWords {
			h := hashOf(f.fold(buf[:0], key[start:end]))
			if k.n == 0 {
				k.first = h
			}
			k.last = h
			k.full = joined(k.full, h)
			k.attrs |= l.lookup(joined(keySalt, h)) & (PersonKey | PlaceKey | OrgKey | PostalKey)
			k.n++
		}
	}
	for i, c := range key {
		switch classOf[c] {
		case upperClass:
			lowerBefore := i > start && classOf[key[i-1]] != upperClass
			lowerNext := i+1 < len(key) && classOf[key[i+1]] == lowerClass
			if i > start && (lowerBefore || lowerNext) {
				flush(i)
				start = i
			}
		case lowerClass, highClass:
		case digitClass: // line1 is line
			flush(i)
			start = i + 1
		default:
			flush(i)
			start = i + 1
		}
	}
	flush(len(key))
	return k
}

const keySalt = 0x6B6579

// AddKey says something of a word of a field's name.
func (b *Builder) AddKey(word string, a Attrs) {
	b.words[joined(keySalt, hashOf(b.fold.fold(nil, []byte(word))))] |= a
}
