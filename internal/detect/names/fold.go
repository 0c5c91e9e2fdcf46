package names

import (
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// folds maps what is written with a Latin letter and a mark to the letter
// alone: José and Jose are one name. Built when first asked for.
var folds = sync.OnceValue(func() map[rune]string {
	m := map[rune]string{
		'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'ł': "l", 'đ': "d", 'ð': "d", 'þ': "th", 'ı': "i", 'ŀ': "l", 'ħ': "h",
		'ə': "e", 'ʻ': "", 'ʼ': "", '’': "'", '‘': "'",
	}
	add := func(from, to rune) {
		for r := from; r <= to; r++ {
			l := unicode.ToLower(r)
			if s, ok := m[l]; ok {
				m[r] = s
				continue
			}
			d, _ := utf8.DecodeRuneInString(norm.NFD.String(string(l)))
			if d < 0x80 && d != l {
				m[r] = string(d)
			}
		}
	}
	add(0xC0, 0x24F)
	add(0x1E00, 0x1EFF)
	return m
})

// folder writes words in their folded form.
type folder struct{ table map[rune]string }

func newFolder() folder { return folder{folds()} }

// fold appends a word in lower case and without marks.
func (f folder) fold(dst, word []byte) []byte {
	for i := 0; i < len(word); {
		c := word[i]
		if c < 0x80 {
			if c >= 'A' && c <= 'Z' {
				c |= 0x20
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRune(word[i:])
		i += n
		if s, ok := f.table[r]; ok {
			dst = append(dst, s...)
		} else if r < 0x300 || r > 0x36F { // marks on their own are left out
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
		}
	}
	return dst
}

const (
	offset64 = 14695981039346656037
	prime64  = 1099511628211
)

// hashOf is the identity of a folded word.
func hashOf(folded []byte) uint64 {
	h := uint64(offset64)
	for _, c := range folded {
		h = (h ^ uint64(c)) * prime64
	}
	return mixed(h)
}

// hash is the identity of a word as it is written. scratch is for what has to
// be folded.
func (f folder) hash(scratch, word []byte) (h uint64, used []byte) {
	h = offset64
	for _, c := range word {
		if c >= 0x80 {
			scratch = f.fold(scratch[:0], word)
			return hashOf(scratch), scratch
		}
		if classOf[c] == upperClass {
			c |= 0x20
		}
		h = (h ^ uint64(c)) * prime64
	}
	return mixed(h), scratch
}

func mixed(h uint64) uint64 {
	h ^= h >> 32
	h *= 0x9E3779B97F4A7C15
	return h ^ h>>29
}

// joined is the identity of two words in a row.
func joined(a, b uint64) uint64 { return mixed(a*3 + b) }
