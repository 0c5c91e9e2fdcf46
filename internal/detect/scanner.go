package detect

import (
	"fmt"
	"slices"
)

// Bounds of single findings and of what is held.
const (
	maxUserinfo = 512
	maxToken    = 8 << 10
	maxPEM      = 16 << 10
	maxLocal    = 64 // of an e-mail address, RFC 5321
	maxDomain   = 255
	maxRun      = 64 // of digits and separators
	tailBytes   = 64 // of an unfinished word that is held
	contextSize = 64 // of text before a candidate that is looked at
)

// Scanner finds entities. It is immutable, and used by many at once.
type Scanner struct {
	want     map[Entity]bool
	minScore float64
	regions  []string
}

// New returns a scanner.
func New(opt Options) (*Scanner, error) {
	s := &Scanner{want: map[Entity]bool{}, minScore: opt.MinScore, regions: opt.PhoneRegions}
	if s.minScore == 0 {
		s.minScore = 0.5
	}
	if len(s.regions) == 0 {
		s.regions = defaultRegions
	}
	known := map[Entity]bool{}
	for _, i := range Entities() {
		known[i.Entity] = true
		if len(opt.Entities) == 0 {
			s.want[i.Entity] = true
		}
	}
	for _, e := range opt.Entities {
		if !known[e] {
			return nil, fmt.Errorf("there is no entity %s", e)
		}
		s.want[e] = true
	}
	return s, nil
}

// scan is one pass over a text.
type scan struct {
	*Scanner
	ctx  Context
	text []byte
	more bool
	key  keyHints
	out  []Finding
	from int // where this scan's findings begin in out
	// live is where the earliest candidate begins that more text may decide
	// on.
	live int
	// cut is not to be inside of these: what was looked at as one.
	spans [40]span
	nspan int
}

type span struct{ start, end int }

// Classes of bytes that lead to candidates.
const (
	plainByte uint8 = iota
	digitByte
	atByte
	upperByte // A-Z
	lowerByte // a-z
	colonByte
	dashByte
	plusByte
)

var classes = func() (c [256]uint8) {
	for b := range c {
		switch {
		case b >= '0' && b <= '9':
			c[b] = digitByte
		case b >= 'A' && b <= 'Z':
			c[b] = upperByte
		case b >= 'a' && b <= 'z':
			c[b] = lowerByte
		}
	}
	c['@'], c[':'], c['-'], c['+'], c['('] = atByte, colonByte, dashByte, plusByte, plusByte
	return c
}()

// Scan appends the findings in text to dst, in ascending order and without
// overlap, and says how much of text is settled. With more false that is all
// of it. With more true, text[settled:] is to be shown again with what comes
// behind it, and with what stood before it in ctx.Before; every finding ends
// at or before settled.
func (s *Scanner) Scan(dst []Finding, ctx Context, text []byte, more bool) (findings []Finding, settled int) {
	sc := scan{Scanner: s, ctx: ctx, text: text, more: more, out: dst, from: len(dst), live: len(text)}
	sc.run()
	return sc.settle()
}

func (s *scan) run() {
	text := s.text
	for i := 0; i < len(text); {
		switch classes[text[i]] {
		case plainByte:
			i++
			continue
		case atByte:
			s.email(i)
			i++
			continue
		case colonByte:
			if s.beginsWord(i) && i+1 < len(text) && text[i+1] == ':' {
				s.hexRun(i)
			}
			s.urlCredentials(i)
			i++
			continue
		case dashByte:
			if !s.isAt(i-1, '-') {
				i = max(i+1, s.privateKey(i))
				continue
			}
			i++
			continue
		case plusByte:
			if i+1 < len(text) && !isDigit(text[i+1]) && text[i+1] != '(' {
				i++
				continue
			}
			if end := s.numberRun(i); end > i {
				i = end
				continue
			}
			i++
			continue
		case digitByte:
			if s.letterBefore(i) {
				i = s.wordEnd(i)
				continue
			}
			if s.beginsWord(i) {
				s.hexRun(i)
			}
			i = max(i+1, s.numberRun(i))
			continue
		case upperByte, lowerByte:
			if s.beginsWord(i) {
				s.word(i)
			}
			i = s.wordEnd(i)
			continue
		}
		i++
	}
}

// word looks at what may begin with a letter at i, the beginning of a word.
func (s *scan) word(i int) {
	c := s.text[i]
	if c == 'e' && s.want[JWT] {
		s.token(i)
	}
	if c >= 'A' && c <= 'Z' && s.want[IBAN] {
		s.iban(i)
	}
	if c|0x20 <= 'f' {
		s.hexRun(i)
	}
}

// wordEnd returns the end of the letters and digits from i on.
func (s *scan) wordEnd(i int) int {
	for i < len(s.text) {
		if c := classes[s.text[i]]; c != digitByte && c != upperByte && c != lowerByte {
			break
		}
		i++
	}
	return i
}

// at returns the byte at i, which may lie before the text; 0 at its start.
func (s *scan) at(i int) byte {
	if i >= 0 {
		if i < len(s.text) {
			return s.text[i]
		}
		return 0
	}
	if i += len(s.ctx.Before); i >= 0 {
		return s.ctx.Before[i]
	}
	return 0
}

func (s *scan) isAt(i int, c byte) bool { return s.at(i) == c && (i >= 0 || i+len(s.ctx.Before) >= 0) }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// beginsWord reports whether no letter or digit stands before i.
func (s *scan) beginsWord(i int) bool {
	c := s.at(i - 1)
	return !isAlnum(c) && c != '_' && c < 0x80
}

func (s *scan) letterBefore(i int) bool {
	c := s.at(i - 1)
	return c == '_' || c >= 0x80 || isAlnum(c) && !isDigit(c)
}

// endsWord reports whether no letter or digit stands at i, and keeps i live
// where that is not known yet.
func (s *scan) endsWord(i, start int) bool {
	if i >= len(s.text) {
		s.touch(start, i)
		return true
	}
	c := s.text[i]
	return !isAlnum(c) && c != '_' && c < 0x80
}

// touch notes that text[start:end] was looked at as one. Where it reaches the
// end, more text may change it.
func (s *scan) touch(start, end int) {
	if end >= len(s.text) && s.more {
		s.live = min(s.live, start)
	}
	// Only what is near the end can be cut.
	if end > len(s.text)-tailBytes-1 && s.nspan < len(s.spans) {
		s.spans[s.nspan] = span{start, end}
		s.nspan++
	}
}

// add notes a finding.
func (s *scan) add(start, end int, e Entity, score float64) {
	if s.want[e] && score >= s.minScore && end > start {
		s.out = append(s.out, Finding{start, end, e, min(score, 1)})
	}
}

// settle resolves overlaps and decides how much is settled.
func (s *scan) settle() ([]Finding, int) {
	settled := len(s.text)
	if s.more {
		settled = min(s.live, s.tail())
		for again := true; again; {
			again = false
			for _, sp := range s.spans[:s.nspan] {
				if sp.start < settled && settled < sp.end {
					settled, again = sp.start, true
				}
			}
			for _, f := range s.out[s.from:] {
				if f.Start < settled && settled < f.End {
					settled, again = f.Start, true
				}
			}
		}
	}
	mine := s.out[s.from:]
	kept := mine[:0]
	for _, f := range mine {
		if f.Start < settled || !s.more {
			kept = append(kept, f)
		}
	}
	if len(kept) > 1 {
		kept = resolve(kept)
	}
	return s.out[:s.from+len(kept)], settled
}

// tail is where the last, unfinished word begins; no more than so much of it
// is held as may open something.
func (s *scan) tail() int {
	i := len(s.text)
	for i > 0 && len(s.text)-i < tailBytes && s.text[i-1] > ' ' {
		i--
	}
	// Never within a UTF-8 sequence.
	for i > 0 && i < len(s.text) && s.text[i]&0xC0 == 0x80 {
		i--
	}
	return i
}

// resolve keeps of findings that overlap the one with the better score, then
// the longer one, then the first, and sorts them.
func resolve(fs []Finding) []Finding {
	slices.SortStableFunc(fs, func(a, b Finding) int {
		switch {
		case a.Score != b.Score:
			if a.Score > b.Score {
				return -1
			}
			return 1
		case a.End-a.Start != b.End-b.Start:
			return (b.End - b.Start) - (a.End - a.Start)
		}
		return a.Start - b.Start
	})
	kept := fs[:0]
	for _, f := range fs {
		if !slices.ContainsFunc(kept, func(k Finding) bool { return k.Start < f.End && f.Start < k.End }) {
			kept = append(kept, f)
		}
	}
	slices.SortFunc(kept, func(a, b Finding) int { return a.Start - b.Start })
	return kept
}
