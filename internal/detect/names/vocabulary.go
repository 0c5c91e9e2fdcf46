package names

import (
	"encoding/binary"
	"math/bits"
)

// vocabularyBits is the size of a vocabulary.
const vocabularyBits = 10

// vocabulary keeps what was found out about the words that were met last: a
// text has few words that it has not had before. A word of up to 16 ASCII
// letters has one place, and drives another from it.
type vocabulary [1 << vocabularyBits]wordEntry

// wordEntry is a word as it is written, and the token that it is somewhere.
type wordEntry struct {
	low, high uint64 // its letters, and zeros behind them
	token            // not done where it was not looked up yet
}

// at returns the place of the word at buf[i] and its size, which is 0 where it
// is no word of so many ASCII letters and nothing else.
func (v *vocabulary) at(buf []byte, i int) (w *wordEntry, size int) {
	low, high := binary.LittleEndian.Uint64(buf[i:]), uint64(0)
	if m := noLetters(low); m != 0 {
		size = bits.TrailingZeros64(m) >> 3
		low &= 1<<(8*size) - 1
	} else {
		high = binary.LittleEndian.Uint64(buf[i+8:])
		if m = noLetters(high); m == 0 {
			return nil, 0
		}
		size = bits.TrailingZeros64(m) >> 3
		high &= 1<<(8*size) - 1
		size += 8
	}
	if goesOn[buf[i+size]] {
		return nil, 0
	}
	w = &v[(low^bits.RotateLeft64(high, 23))*0x9E3779B97F4A7C15>>(64-vocabularyBits)]
	if w.low != low || w.high != high {
		*w = wordEntry{low: low, high: high}
	}
	return w, size
}

// noLetters has the high bit of each byte set that is no ASCII letter.
func noLetters(x uint64) uint64 {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	y := (x | 0x20*ones) &^ high
	from, past := y+(0x80-'a')*ones, y+(0x80-'z'-1)*ones
	return (^from | past | x) & high
}

// goesOn is true for what may be a part of a word behind its ASCII letters.
var goesOn = func() (t [256]bool) {
	for c := range t {
		switch classOf[c] {
		case digitClass, underClass, highClass:
			t[c] = true
		}
	}
	t['\''] = true
	return t
}()
