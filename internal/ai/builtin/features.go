package builtin

import (
	"math"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// buckets is how many features there are. Words are hashed into them.
const buckets = 1 << 13

// maxWords is how much of a text is looked at.
const maxWords = 2048

// feature is a bucket and how much of it a text has.
type feature struct {
	bucket int32
	value  float32
}

// featuresOf returns the features of a text: its words, pairs of neighbours,
// beginnings of longer words, and its length. A number is known by its number
// of digits, so that 4,950 and 8210 are alike and 12 is not. The vector has
// length 1.
func featuresOf(text string) []feature {
	ws := words(text)
	counts := make(map[int32]float32, 3*len(ws))
	note := func(kind byte, a, b string, weight float32) {
		counts[bucketOf(kind, a, b)] = weight // there or not: repetition says nothing
	}
	prev := "^"
	for _, w := range ws {
		note('w', w, "", 1)
		note('p', prev, w, 0.7)
		if n := len(w); n > 5 {
			note('b', w[:5], "", 0.5)
		}
		prev = w
	}
	note('l', strconv.Itoa(int(math.Log2(float64(len(ws)+1)))), "", 1.5)
	fs := make([]feature, 0, len(counts))
	var sum float64
	for b, v := range counts {
		fs = append(fs, feature{b, v})
		sum += float64(v) * float64(v)
	}
	slices.SortFunc(fs, func(a, b feature) int { return int(a.bucket - b.bucket) })
	norm := float32(1 / math.Sqrt(max(sum, 1)))
	for i := range fs {
		fs[i].value *= norm
	}
	return fs
}

// bucketOf is FNV-1a.
func bucketOf(kind byte, a, b string) int32 {
	h := uint32(2166136261)
	mix := func(c byte) { h = (h ^ uint32(c)) * 16777619 }
	mix(kind)
	for i := range len(a) {
		mix(a[i])
	}
	mix(0)
	for i := range len(b) {
		mix(b[i])
	}
	h ^= h >> 15
	return int32(h % buckets)
}

// words splits a text into its words in lower case, and its numbers as #
// with the count of their digits. A question mark is a word of its own.
func words(text string) []string {
	var out []string
	for i := 0; i < len(text) && len(out) < maxWords; {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == '?':
			out = append(out, "?")
			i += n
		case unicode.IsDigit(r):
			digits, decimals := 0, false
			for i < len(text) {
				c := text[i]
				if c >= '0' && c <= '9' {
					if !decimals {
						digits++
					}
				} else if c == '.' && i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9' {
					decimals = true
				} else if c != ',' || i+1 >= len(text) || text[i+1] < '0' || text[i+1] > '9' {
					break
				}
				i++
			}
			if digits == 0 { // digits of another script
				i += n
			}
			out = append(out, "#"+strconv.Itoa(digits))
		case unicode.IsLetter(r):
			start := i
			var w []rune
			for i < len(text) {
				r, n := utf8.DecodeRuneInString(text[i:])
				if !unicode.IsLetter(r) && r != '\'' && r != '’' {
					break
				}
				// camelCase is several words.
				if unicode.IsUpper(r) && i > start && len(w) > 0 {
					if p, _ := utf8.DecodeLastRuneInString(text[:i]); unicode.IsLower(p) {
						out, w = append(out, string(w)), w[:0]
					}
				}
				if r != '\'' && r != '’' && len(w) < 32 {
					w = append(w, unicode.ToLower(r))
				}
				i += n
			}
			if len(w) > 0 {
				out = append(out, string(w))
			}
		default:
			i += n
		}
	}
	return out
}
