package names

// maxKeyWords of a field's name are read.
const maxKeyWords = 8

// keyWords is what is made of the name of a field: shippingAddress,
// shipping_address and Shipping-Address are the same.
type keyWords struct {
	full, first, last uint64
	attrs             Attrs // of all its words
	n                 int
}

// readKey reads a field's name.
func (l *Lexicon) readKey(f folder, key []byte) (k keyWords) {
	if len(key) > 64 {
		key = key[:64]
	}
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
