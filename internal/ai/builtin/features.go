package builtin

import (
	_ "embed"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// maxWords is how much of a text is looked at.
const maxWords = 2048

// featureSet says what of a text a model looks at.
type featureSet struct {
	// bits is the number of buckets, as a power of 2: features are hashed into
	// them.
	bits uint8
	// kinds: what words are about (data/kinds.txt), parts of words and how the
	// text begins are looked at, too.
	kinds bool
}

func (s featureSet) buckets() int { return 1 << s.bits }

// feature is a bucket and how much of it a text has.
type feature struct {
	bucket int32
	value  float32
}

//go:embed data/kinds.txt
var kindsFile string

// wordKinds are what words are about: bit i stands for the i-th kind of
// data/kinds.txt.
var wordKinds = sync.OnceValue(func() map[string]uint32 {
	kinds := map[string]uint32{}
	bit := uint32(1)
	for line := range strings.Lines(kindsFile) {
		if _, list, ok := strings.Cut(line, "\t"); ok && line[0] != '#' {
			for w := range strings.FieldsSeq(list) {
				kinds[w] |= bit
			}
			bit <<= 1
		}
	}
	return kinds
})

// reading is a text as it is looked at. Its memory is used again.
type reading struct {
	text     []byte // the words in lower case, one after the other
	ends     []int32
	features []feature
	padded   []byte
}

var readings = sync.Pool{New: func() any { return new(reading) }}

// word returns the i-th word.
func (r *reading) word(i int) []byte {
	start := int32(0)
	if i > 0 {
		start = r.ends[i-1]
	}
	return r.text[start:r.ends[i]]
}

func (r *reading) note(s featureSet, kind byte, a, b []byte, weight float32) {
	r.features = append(r.features, feature{bucketOf(kind, a, b) & int32(s.buckets()-1), weight})
}

var start = []byte("^")

// featuresOf returns the features of a text, by bucket: its words, pairs of
// neighbours, beginnings of longer words, and its length; with kinds also what
// the words are about and after which word, parts of words, and how the text
// begins. A number is known by its number of digits, so that 4,950 and 8210
// are alike and 12 is not. The vector has length 1. It is good until the
// reading is used again.
func (r *reading) featuresOf(text string, s featureSet) []feature {
	r.split(text)
	r.features = r.features[:0]
	prev := start
	for i := range r.ends {
		w := r.word(i)
		r.note(s, 'w', w, nil, 1)
		r.note(s, 'p', prev, w, 0.7)
		if len(w) > 5 {
			r.note(s, 'b', w[:5], nil, 0.5)
		}
		if s.kinds {
			r.noteKinds(s, i, prev, w)
		}
		prev = w
	}
	var digits [4]byte
	r.note(s, 'l', strconv.AppendInt(digits[:0], int64(math.Log2(float64(len(r.ends)+1))), 10), nil, 1.5)
	return r.normal()
}

// noteKinds notes what is looked at of a word with kinds.
func (r *reading) noteKinds(s featureSet, i int, prev, w []byte) {
	var kind [1]byte
	about := wordKinds()[string(w)]
	for k := byte(0); about>>k != 0; k++ {
		if about>>k&1 != 0 {
			kind[0] = k
			r.note(s, 'k', kind[:], nil, 1)
			r.note(s, 'q', prev, kind[:], 0.5)
		}
	}
	r.padded = append(append(append(r.padded[:0], '^'), w...), '$')
	for n := 4; n <= 5; n++ {
		for j := 0; j+n <= len(r.padded); j++ {
			r.note(s, 'c', r.padded[j:j+n], nil, 0.35)
		}
	}
	switch i {
	case 0:
		r.note(s, 'f', w, nil, 0.7)
	case 1:
		r.note(s, 'f', prev, w, 0.7)
	}
}

// normal makes the features a vector of length 1. A feature is there or not:
// repetition says nothing.
func (r *reading) normal() []feature {
	slices.SortFunc(r.features, func(a, b feature) int { return int(a.bucket - b.bucket) })
	r.features = slices.CompactFunc(r.features, func(a, b feature) bool { return a.bucket == b.bucket })
	var sum float64
	for _, f := range r.features {
		sum += float64(f.value) * float64(f.value)
	}
	norm := float32(1 / math.Sqrt(max(sum, 1)))
	for i := range r.features {
		r.features[i].value *= norm
	}
	return r.features
}

// bucketOf is FNV-1a.
func bucketOf(kind byte, a, b []byte) int32 {
	h := uint32(2166136261)
	mix := func(c byte) { h = (h ^ uint32(c)) * 16777619 }
	mix(kind)
	for _, c := range a {
		mix(c)
	}
	mix(0)
	for _, c := range b {
		mix(c)
	}
	h ^= h >> 15
	return int32(h & math.MaxInt32)
}

// words splits a text into its words.
func words(text string) []string {
	r := readings.Get().(*reading)
	defer readings.Put(r)
	r.split(text)
	out := make([]string, len(r.ends))
	for i := range out {
		out[i] = string(r.word(i))
	}
	return out
}

// split splits a text into its words in lower case, and its numbers as #
// with the count of their digits. A question mark is a word of its own.
func (r *reading) split(text string) {
	r.text, r.ends = r.text[:0], r.ends[:0]
	end := func() { r.ends = append(r.ends, int32(len(r.text))) }
	for i := 0; i < len(text) && len(r.ends) < maxWords; {
		c, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case c == '?':
			r.text = append(r.text, '?')
			end()
			i += n
		case unicode.IsDigit(c):
			digits, width := number(text[i:])
			r.text = strconv.AppendInt(append(r.text, '#'), int64(digits), 10)
			end()
			i += max(width, n)
		case unicode.IsLetter(c):
			i += r.letters(text[i:], end)
		default:
			i += n
		}
	}
}

// number returns how many digits a number has before its decimals, and its
// width; both are 0 for digits of another script.
func number(text string) (digits, width int) {
	decimals := false
	next := func(i int) bool { return i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9' }
	for i := range len(text) {
		switch c := text[i]; {
		case c >= '0' && c <= '9':
			if !decimals {
				digits++
			}
		case c == '.' && next(i):
			decimals = true
		case c != ',' || !next(i):
			return digits, i
		}
	}
	return digits, len(text)
}

// letters reads a run of letters, which is several words where it is
// camelCase, and returns its width.
func (r *reading) letters(text string, end func()) int {
	i, runes := 0, 0
	lower := false // the last letter was one of lower case
	for i < len(text) {
		c, n := utf8.DecodeRuneInString(text[i:])
		apostrophe := c == '\'' || c == '’'
		if !unicode.IsLetter(c) && !apostrophe {
			break
		}
		if unicode.IsUpper(c) && runes > 0 && lower {
			end()
			runes = 0
		}
		if !apostrophe && runes < 32 {
			r.text = utf8.AppendRune(r.text, unicode.ToLower(c))
			runes++
		}
		lower = unicode.IsLower(c)
		i += n
	}
	if runes > 0 {
		end()
	}
	return i
}
