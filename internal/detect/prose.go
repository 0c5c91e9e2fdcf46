package detect

import (
	"encoding/binary"
	"math/bits"
)

// readProse reads on over the words of a sentence, behind one that was read:
// letters of ASCII with no capital but the first, and a space before each, or a
// comma and a space. They change no more than what is noted of each word, which
// is what takes so little. It stops well before p, and what it leaves is for
// readOn.
func (s *scan) readProse(p int) {
	r := &s.reader
	if r.end < 0 || r.line.kind == equalsKey || r.callQuote >= r.end-nameWindow {
		return
	}
	text := s.text[:min(p, len(s.text))]
	for {
		i := r.end + 1
		if i >= len(text) {
			break
		}
		if text[i-1] == ',' && text[i] == ' ' {
			i++
		} else if text[i-1] != ' ' {
			break
		}
		j, h := plainWord(text, i)
		if j == i || h == hashString || h == hashStr {
			break
		}
		s.note(i, j, h)
		r.nameStart, r.beforeType = i, i
		r.typed = false
	}
	r.at = r.end
}

// lettersOf reads eight bytes: how many of them, from the first on, are letters
// of ASCII, these in lower case, and the bits that are missing in capitals.
func lettersOf(x uint64) (n int, small, capitals uint64) {
	small = x | 0x20*ones
	low := small &^ highs
	letters := (low + (0x80-'a')*ones) &^ (low + (0x80-'z'-1)*ones) &^ x & highs
	n = bits.TrailingZeros64(^letters&highs) >> 3
	mask := uint64(1)<<(8*n) - 1
	return n, small & mask, ^x & (0x20 * ones) & mask
}

// plainWord reads a word of ASCII with no capital but the first, and more behind
// it. It returns i where it is none, or too close to the end of the text.
func plainWord(text []byte, i int) (end int, h uint64) {
	for j, first := i, true; j+8 <= len(text); j, first = j+8, false {
		x := binary.LittleEndian.Uint64(text[j:])
		n, small, capitals := lettersOf(x)
		if first {
			capitals >>= 8
		}
		if capitals != 0 || n < 8 && x>>(8*n)&0x80 != 0 {
			return i, 0
		}
		if n > 0 {
			h = hashChunk(h, small)
		}
		if n < 8 {
			return j + n, h
		}
	}
	return i, 0
}
