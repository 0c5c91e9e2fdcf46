package detect

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// Custom is a recogniser beside those of the package: a pattern, a list of
// terms, or both.
type Custom struct {
	// Entity is what it finds; one of the package's own, or a new one.
	Entity Entity
	// Pattern is a regular expression (RE2), and MaxLength the most bytes that
	// a match may have: a text comes in pieces, and so much of it is held.
	Pattern   string
	MaxLength int
	// Checksum names a check over the letters and digits of a match.
	Checksum string
	// Words are words and field names that speak for it.
	Words []string
	// Score is that of a match, 0 to 1; words raise it by 0.35. 0 is 0.6.
	Score float64
	// Allow are matches that are none.
	Allow []string
	// Terms are found where they stand as words, in any case.
	Terms []string
}

// MaxCustom is how many new entities a scanner may have.
const MaxCustom = 64

// checksums are the checks that a Custom may name.
var checksums = map[string]func([]byte) bool{
	"luhn":     digitsOnly(luhn),
	"verhoeff": digitsOnly(verhoeff),
	"mod97":    func(c []byte) bool { return len(c) > 4 && mod97(c) },
	"mod11_10": digitsOnly(mod11x10),
	"gs1":      digitsOnly(ean),
	"icao9303": icao,
}

// Checksums are the names of the checks, sorted.
func Checksums() []string {
	var names []string
	for n := range checksums {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func digitsOnly(check func([]byte) bool) func([]byte) bool {
	return func(c []byte) bool {
		for _, x := range c {
			if !isDigit(x) {
				return false
			}
		}
		return len(c) > 1 && check(c)
	}
}

// customRecogniser is a compiled Custom.
type customRecogniser struct {
	id uint8
	// pattern is anchored at the byte before the match, and atStart at its
	// beginning, for one at the beginning of a text.
	pattern, atStart *regexp.Regexp
	prefix           []byte
	first, need      *[256]bool
	maxLength        int
	check            func([]byte) bool
	score            float64
	allow            map[string]bool
}

// customise compiles the custom recognisers, and gives numbers to their
// entities.
func (s *Scanner) customise(custom []*Custom, known map[Entity]uint8) error {
	if len(custom) == 0 {
		return nil
	}
	words := builtinHints()
	for _, c := range custom {
		id, ok := known[c.Entity]
		if !ok {
			if len(s.names) >= len(entities)+MaxCustom {
				return fmt.Errorf("there are more than %d entities of recognisers", MaxCustom)
			}
			id = uint8(len(s.names))
			known[c.Entity] = id
			s.names = append(s.names, c.Entity)
		}
		s.want.add(id)
		words.add(strings.ToLower(strings.Join(c.Words, "|")), id, false)
		r, err := c.compile(id)
		if err != nil {
			return fmt.Errorf("recogniser %s: %w", c.Entity, err)
		}
		s.custom = append(s.custom, r)
		for _, t := range c.Terms {
			if t = strings.TrimSpace(t); t != "" {
				s.terms.add(t, uint8(len(s.custom)-1))
			}
		}
	}
	s.terms.finish()
	s.dict = words.dictionary()
	return nil
}

func (c *Custom) compile(id uint8) (*customRecogniser, error) {
	r := &customRecogniser{id: id, maxLength: c.MaxLength, score: c.Score}
	if r.score == 0 {
		r.score = 0.6
	}
	if c.Checksum != "" {
		if r.check = checksums[c.Checksum]; r.check == nil {
			return nil, fmt.Errorf("there is no checksum %q", c.Checksum)
		}
	}
	if len(c.Allow) > 0 {
		r.allow = map[string]bool{}
		for _, a := range c.Allow {
			r.allow[a] = true
		}
	}
	if c.Pattern == "" {
		if len(c.Terms) == 0 {
			return nil, errors.New("it has neither a pattern nor terms")
		}
		return r, nil
	}
	tree, err := syntax.Parse(c.Pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	tree = tree.Simplify()
	switch {
	case c.MaxLength < 1 || c.MaxLength > maxValue:
		return nil, fmt.Errorf("the longest match must have 1 to %d bytes", maxValue)
	case hasAnchor(tree):
		return nil, errors.New("^ and $ have no meaning in a text that comes in pieces: write \\b")
	case matchesNothing(tree):
		return nil, errors.New("it matches the empty text")
	}
	if r.pattern, err = regexp.Compile(`\A(?s:.)(?:` + c.Pattern + `)`); err != nil {
		return nil, err
	}
	r.atStart = regexp.MustCompile(`\A(?:` + c.Pattern + `)`)
	prefix, _ := regexp.MustCompile(c.Pattern).LiteralPrefix()
	r.prefix = []byte(prefix)
	r.first = firstBytes(tree)
	r.need = neededBytes(tree)
	return r, nil
}

// hasAnchor reports whether a pattern looks at the ends of a text or line.
func hasAnchor(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText:
		return true
	}
	return slices.ContainsFunc(re.Sub, hasAnchor)
}

// matchesNothing reports whether a pattern matches the empty text.
func matchesNothing(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpStar, syntax.OpQuest, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return true
	case syntax.OpConcat:
		return !slices.ContainsFunc(re.Sub, func(x *syntax.Regexp) bool { return !matchesNothing(x) })
	case syntax.OpAlternate:
		return slices.ContainsFunc(re.Sub, matchesNothing)
	case syntax.OpCapture, syntax.OpPlus:
		return matchesNothing(re.Sub[0])
	case syntax.OpRepeat:
		return re.Min == 0 || matchesNothing(re.Sub[0])
	}
	return false
}

// firstBytes are those that a match may begin with.
func firstBytes(re *syntax.Regexp) *[256]bool {
	t := &[256]bool{}
	switch re.Op {
	case syntax.OpLiteral:
		addRune(t, re.Rune[0], re.Flags&syntax.FoldCase != 0)
	case syntax.OpCharClass:
		addClass(t, re.Rune)
	case syntax.OpCapture, syntax.OpPlus, syntax.OpStar, syntax.OpQuest, syntax.OpRepeat:
		return firstBytes(re.Sub[0])
	case syntax.OpConcat:
		for _, x := range re.Sub {
			or(t, firstBytes(x))
			if !matchesNothing(x) {
				return t
			}
		}
	case syntax.OpAlternate:
		for _, x := range re.Sub {
			or(t, firstBytes(x))
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		for i := range t {
			t[i] = true
		}
	}
	return t
}

// neededBytes are some of which every match has one: the fewest that a part of
// the pattern takes. nil is any.
func neededBytes(re *syntax.Regexp) *[256]bool {
	switch re.Op {
	case syntax.OpLiteral, syntax.OpCharClass:
		return firstBytes(re)
	case syntax.OpCapture, syntax.OpPlus:
		return neededBytes(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return neededBytes(re.Sub[0])
		}
	case syntax.OpConcat:
		var best *[256]bool
		for _, x := range re.Sub {
			if t := neededBytes(x); t != nil && (best == nil || count(t) < count(best)) {
				best = t
			}
		}
		return best
	case syntax.OpAlternate:
		all := &[256]bool{}
		for _, x := range re.Sub {
			t := neededBytes(x)
			if t == nil {
				return nil
			}
			or(all, t)
		}
		return all
	}
	return nil
}

func or(t, o *[256]bool) {
	for i := range t {
		t[i] = t[i] || o[i]
	}
}

func count(t *[256]bool) (n int) {
	for _, x := range t {
		if x {
			n++
		}
	}
	return n
}

func addRune(t *[256]bool, r rune, fold bool) {
	t[string(r)[0]] = true
	if fold {
		t[strings.ToUpper(string(r))[0]] = true
		t[strings.ToLower(string(r))[0]] = true
	}
}

func addClass(t *[256]bool, ranges []rune) {
	for i := 0; i+1 < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1] && r < 0x80; r++ {
			t[r] = true
		}
		if ranges[i+1] >= 0x80 {
			for b := 0xC2; b < 0xF5; b++ {
				t[b] = true
			}
		}
	}
}

// runCustom looks for what the custom recognisers find.
func (s *scan) runCustom() {
	for _, r := range s.custom {
		if r.pattern != nil {
			s.runPattern(r)
		}
	}
	if s.terms.nodes != nil {
		s.runTerms()
	}
}

func (s *scan) runPattern(r *customRecogniser) {
	text := s.text
	need := -1 // the next byte of those that every match has one of
	for i := 0; i < len(text); {
		if len(r.prefix) > 0 {
			k := bytes.Index(text[i:], r.prefix)
			if k < 0 {
				// A part of it may stand at the end.
				s.touch(max(i, len(text)-len(r.prefix)+1), len(text))
				return
			}
			i += k
		} else if !r.first[text[i]] {
			i++
			continue
		}
		if r.need != nil && need < i {
			for need = i; need < len(text) && !r.need[text[need]]; {
				need++
			}
		}
		if need >= i+r.maxLength && r.need != nil {
			i = need - r.maxLength + 1
			continue
		}
		end := s.matchAt(r, i)
		if end == 0 {
			i++
			continue
		}
		i = end
	}
}

// matchAt tries the pattern at i. It returns the end of a match; 0 where there
// is none.
func (s *scan) matchAt(r *customRecogniser, i int) int {
	if s.text[i]&0xC0 == 0x80 {
		return 0 // within a character
	}
	limit := i + r.maxLength + 4
	if limit > len(s.text) {
		limit = len(s.text)
		s.touch(i, limit)
	}
	var loc []int
	skip := 1
	switch {
	case i > 0:
		loc = r.pattern.FindIndex(s.text[i-1 : limit])
	case len(s.before) > 0:
		// The byte before is in another piece.
		s.window = append(append(s.window[:0], s.before[len(s.before)-1]), s.text[:limit]...)
		loc = r.pattern.FindIndex(s.window)
	default:
		skip = 0
		loc = r.atStart.FindIndex(s.text[:limit])
	}
	if loc == nil || loc[1]-skip > r.maxLength || loc[1] == skip {
		return 0
	}
	end := i + loc[1] - skip
	s.touch(i, min(end+4, len(s.text)))
	value := s.text[i:end]
	if r.check != nil && !r.check(compact(value)) || r.allow[string(value)] {
		return end
	}
	s.add(i, end, r.id, s.customScore(r, i))
	return end
}

func (s *scan) customScore(r *customRecogniser, at int) float64 {
	if s.around(at).own.has(r.id) {
		return min(1, r.score+0.35)
	}
	return r.score
}

// compact is the letters and digits of a value, letters as capitals.
func compact(value []byte) []byte {
	c := make([]byte, 0, 64)
	for _, x := range value {
		switch kinds[x] {
		case lowerKind:
			x -= 'a' - 'A'
		case 0:
			continue
		}
		c = append(c, x)
	}
	return c
}
