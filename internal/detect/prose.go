package detect

import (
	"encoding/binary"
	"math/bits"
)

// readProse reads on over the words of a sentence, behind one that was read:
// letters of ASCII with no capital but the first, and a space before each, or a
// comma and a space. They change no more than what is known of the last words,
// which is kept here till one may end a phrase. It stops well before p, and what
// it leaves is for readOn.
func (s *scan) readProse(p int) {
	r := &s.reader
	if r.end < 0 || r.line.kind == equalsKey || r.callQuote >= r.end-nameWindow {
		return
	}
	text, some := s.text[:min(p, len(s.text))], &s.dict.some
	words, starts, end, phrase := r.words, r.starts, r.end, r.lastPhrase
	for i := end + 1; i+8 <= len(text); i = end + 1 {
		if text[i-1] != ' ' {
			if text[i-1] != ',' || text[i] != ' ' {
				break
			}
			if i++; i+8 > len(text) {
				break
			}
		}
		x := binary.LittleEndian.Uint64(text[i:])
		n, small, capitals := lettersOf(x)
		if n == 0 || capitals>>8 != 0 {
			break
		}
		j, h := i+n, hashChunk(0, small)
		if n == 8 {
			var ok bool
			if j, h, ok = longProse(text, j, h); !ok {
				break
			}
		} else if text[j] >= 0x80 {
			break
		}
		if some[h>>55]>>(h>>49&63)&1 == 0 {
			phrase = 0
		} else if h == hashString || h == hashStr {
			break
		} else {
			r.words, r.starts = words, starts
			phrase = s.note(i, h)
		}
		words[0], words[1], words[2] = h, words[0], words[1]
		starts[0], starts[1], starts[2] = i, starts[0], starts[1]
		end = j
	}
	if end > r.end {
		r.words, r.starts, r.end, r.lastPhrase = words, starts, end, phrase
		r.at, r.nameStart, r.beforeType, r.lastWordLetters = end, starts[0], starts[0], end-starts[0]
		r.typed = false
	}
}

// letterBits has the high bit of each byte set that is a letter of ASCII.
func letterBits(x uint64) uint64 {
	low := (x | 0x20*ones) &^ highs
	return (low + (0x80-'a')*ones) &^ (low + (0x80-'z'-1)*ones) &^ x & highs
}

// lettersOf reads eight bytes: how many of them, from the first on, are letters
// of ASCII, these in lower case, and the bits that are missing in capitals.
func lettersOf(x uint64) (n int, small, capitals uint64) {
	small = x | 0x20*ones
	n = bits.TrailingZeros64(^letterBits(x)&highs) >> 3
	mask := uint64(1)<<(8*n) - 1
	return n, small & mask, ^x & (0x20 * ones) & mask
}

// longProse goes on at j with a word of letters of ASCII, of which h is the hash
// so far, up to the end of the text, which has eight bytes or more. It is false
// where there are others.
func longProse(text []byte, j int, h uint64) (end int, hash uint64, ok bool) {
	for {
		var x uint64
		if n := len(text); j+8 <= n {
			x = binary.LittleEndian.Uint64(text[j:])
		} else {
			x = binary.LittleEndian.Uint64(text[n-8:]) >> (8 * (j + 8 - n))
		}
		n, small, capitals := lettersOf(x)
		if capitals != 0 || n < 8 && x>>(8*n)&0x80 != 0 {
			return 0, 0, false
		}
		if n > 0 {
			h = hashChunk(h, small)
		}
		if j += n; n < 8 {
			return j, h, true
		}
	}
}
