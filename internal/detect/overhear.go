package detect

import "math/bits"

// overheard is what the words of plain prose from the beginning of a text on may
// say, be they near a candidate or not: less is looked at than by reader, and
// most numbers in prose stand behind words that say nothing.
type overheard struct {
	to   int // the words before are known
	said set
	off  bool // there is more than plain prose
}

// overhear finds what the words before p may say, all that reader is told and
// perhaps more. It is false where something other than prose is before p: what
// may be a field's name, an escape, letters beyond ASCII, capitals in a word; or
// where p is in a word.
func (s *scan) overhear(p int) bool {
	o := &s.prose
	if o.off || p > readWindow || len(s.before) > 0 || isLetter(s.at(p-1)) && isLetter(s.at(p)) {
		return false
	}
	for o.to < p {
		n := s.overhearSome(o, p)
		if n < 0 {
			o.off = true
			return false
		}
		if n == 0 {
			break // a word that goes on
		}
		o.to += n
	}
	return true
}

// overhearSome looks at up to 64 bytes from o.to on, which end at p or before,
// and returns how many of them are done with; -1 where they are no plain prose.
func (s *scan) overhearSome(o *overheard, p int) int {
	text := s.text[o.to:p]
	n := min(len(text), 64)
	var letters, capitals, harm uint64
	for i := 0; i < n; i += 8 {
		x := s.eight(o.to + i)
		l, low := letterBits(x), x&^highs
		quote, slash := low^'"'*ones, low^'\\'*ones
		names := (low + (0x80-':')*ones) &^ (low + (0x80-'>'-1)*ones)
		h := (x | names | ^(quote + 0x7F*ones) | ^(slash + 0x7F*ones)) & highs
		letters |= bitsOf(l) << i
		capitals |= bitsOf(l&^(x<<2)) << i
		harm |= bitsOf(h) << i
	}
	within := ^uint64(0) >> (64 - n)
	letters, capitals = letters&within, capitals&within
	smalls := letters &^ capitals
	if harm&within != 0 || capitals&(smalls<<1|capitals<<1&(smalls>>1)) != 0 {
		return -1
	}
	done := n
	if n < len(text) || letters>>(n-1) != 0 {
		// The last word may go on. Where the text ends at p it is looked at all
		// the same, and then again.
		done = bits.Len64(^letters & within)
		if done == 0 && n == 64 {
			return -1
		}
	}
	for left := letters; left != 0; {
		from := bits.TrailingZeros64(left)
		size := bits.TrailingZeros64(^(left >> from))
		left &^= (1<<size - 1) << from
		h := uint64(0)
		for at := from; size > 0; at, size = at+8, size-8 {
			chunk := s.eight(o.to+at) | 0x20*ones
			if size < 8 {
				chunk &= 1<<(8*size) - 1
			}
			h = hashChunk(h, chunk)
		}
		s.dict.hear(&o.said, h)
	}
	return done
}

// bitsOf gathers the highest bits of eight bytes.
func bitsOf(x uint64) uint64 { return x >> 7 * 0x0102040810204080 >> 56 }

// hear adds all that a word may say, alone or as the last of a phrase.
func (d *dictionary) hear(said *set, h uint64) {
	if d.some[h>>55]>>(h>>49&63)&1 == 0 {
		return
	}
	if k := d.lookup(h); k != 0 {
		said.or(&d.phrases[k-1].own)
		said.or(&d.phrases[k-1].shared)
	}
	if d.ends(h) {
		of := d.endings[h]
		said.or(&of)
	}
}
