package detect

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// group is a run of letters and digits without anything between them.
type group struct {
	start, end int
	kinds      uint8
	// separator is what stands between the group before and this one, where
	// that is one byte; 0 otherwise.
	separator byte
}

func (g group) len() int { return g.end - g.start }

func (g group) digits() bool { return g.kinds == digitKind }

// maxGroups is how many groups of a run are looked at as one number.
const maxGroups = 20

// isSeparator is what may stand between the groups of one number.
func isSeparator(c byte) bool {
	const all = 1<<' ' | 1<<'-' | 1<<'.' | 1<<'(' | 1<<')' | 1<<'/'
	return uint64(all)>>c&1 != 0
}

// run is groups with separators between them: what numbers are written in.
type run struct {
	groups    [maxGroups]group
	n         int
	extension group // of a telephone number: x123
	end       int   // of what was looked at
	// total is how many characters the groups have.
	total int
	kinds uint8 // of all of them
	spelt bool
}

// digitAt looks at the word with the digit at i, and what numbers it begins.
// It returns the end of what was looked at.
func (s *scan) digitAt(i int) int {
	text := s.text
	start, end, kind := i, i+1, digitKind
	for start > 0 && i-start < maxWord && kinds[text[start-1]] != 0 {
		start--
		kind |= kinds[text[start]]
	}
	for end < len(text) && kinds[text[end]] != 0 {
		kind |= kinds[text[end]]
		end++
	}
	before, after := s.at(start-1), byte(0)
	if end < len(text) {
		after = text[end]
	}
	under := false
	if kinds[before] != 0 || mayBeWord(before) || before == '\\' || mayBeWord(after) {
		// The word has other characters, or begins in an escape or before.
		var ok bool
		start, ok = s.wordStart(i)
		for end < len(text) {
			c := text[end]
			if kinds[c] == 0 {
				if c == '_' || c >= 0x80 && c < 0xE2 && c != 0xC2 && text[end-1] < 0x80 {
					under = true
				} else if c < 0x80 || !under {
					break
				}
			}
			end++
		}
		if !ok {
			s.touch(i, end)
			return end
		}
		kind = 0
		for _, c := range text[start:end] {
			kind |= kinds[c]
		}
		for _, c := range text[start:i] {
			under = under || c == '_' || c >= 0x80
		}
		before, after = s.at(start-1), s.at(end)
	}
	if kinds[text[start]]&digitKind == 0 || end-start >= 20 {
		if e := s.provider(s.tokenStart(start)); e > 0 {
			return e
		}
	}
	if under || end-start > 2*maxWord {
		s.touch(start, end)
		s.spoken(start, end)
		return end
	}
	mixed := kind != digitKind
	if mixed || s.table != nil {
		if end-start == 5 && text[end-1] == 'Q' && end < len(text) && text[end] == '~' && isDigit(text[start+3]) {
			if e := s.azure(start); e > 0 {
				return e
			}
		}
		s.spoken(start, end)
	} else if isSymbol(after) || isSymbol(before) {
		s.spoken(start, end)
	}
	return s.number(start, end, kind)
}

// isSymbol is what stands in passwords and seldom beside numbers.
func isSymbol(c byte) bool {
	const low = 1<<'!' | 1<<'#' | 1<<'$' | 1<<'%' | 1<<'&' | 1<<'*'
	return uint64(low)>>c&1 != 0 || c == '@' || c == '^'
}

// mayBeWord is what words have beside letters and digits, perhaps.
func mayBeWord(c byte) bool { return c == '_' || c >= 0x80 }

// tokenStart goes back over the . of a key: SG.x, dp.pt.x.
func (s *scan) tokenStart(i int) int {
	j := i
	for j > 0 && s.text[j-1] == '.' && i-j < 16 {
		k := j - 1
		for k > 0 && i-k < 16 && (isAlnum(s.text[k-1]) || s.text[k-1] == '_') {
			k--
		}
		if k == j-1 || !s.beginsWord(k) {
			break
		}
		j = k
	}
	return j
}

// wordStart returns where the word with the byte at i begins. It is false
// where that is before the text, or too far off.
func (s *scan) wordStart(i int) (int, bool) {
	start := i
	for start > 0 && i-start < maxWord && kinds[s.text[start-1]] != 0 {
		start--
	}
	for {
		c := s.at(start - 1)
		if kinds[c] == 0 && c != '_' && (c < 0x80 || c >= 0xE2 || s.beginsWord(start)) {
			break
		}
		if start--; i-start > maxWord {
			return 0, false
		}
	}
	// The letter of an escape is not of the word: \n123.
	if s.at(start-1) == '\\' && s.at(start-2) != '\\' && start < i {
		switch s.at(start) {
		case 'n', 'r', 't', 'b', 'f':
			start++
		case 'u':
			if start+5 <= i {
				start += 5
			}
		}
	}
	return start, start >= 0
}

// number looks for numbers in the run that begins with the word from start to
// end, of letters and digits of these kinds.
func (s *scan) number(start, end int, kind uint8) int {
	r := &s.run
	r.n, r.extension, r.end, r.total, r.spelt = 0, group{}, 0, 0, false
	text := s.text
	// Up to four capitals before the digits may be of the number: AP 34 01 13 A.
	if k := start - 1; k > 0 && (text[k] == ' ' || text[k] == '-') {
		j := k
		for j > 0 && k-j < 9 && text[j-1] >= 'A' && text[j-1] <= 'Z' {
			j--
		}
		if j < k && (k-j <= 4 || k-j <= 8 && text[k] == '-') && s.beginsWord(j) {
			r.groups[0] = group{start: j, end: k, kinds: upperKind}
			r.n, r.total, r.kinds = 1, k-j, upperKind
		}
	}
	s.groupsOf(r, start, end, kind)
	if s.more {
		from := r.groups[0].start
		for k := 0; k < 3 && from > 0 && (text[from-1] == '+' || text[from-1] == '(' || text[from-1] == '-'); k++ {
			from--
		}
		s.touch(from, r.end)
	}
	last := r.groups[r.n-1].end
	s.numbers(r)
	return max(last, r.extension.end, start+1)
}

// groupsOf reads the groups from start on. The word there ends at end.
func (s *scan) groupsOf(r *run, start, end int, kind uint8) {
	text := s.text
	n, total, all := r.n, r.total, r.kinds
	j, separator := start, byte(0)
	if n == 0 {
		// The first group is the word.
		r.groups[0] = group{start: start, end: end, kinds: kind}
		n, total, all = 1, end-start, kind
		if j = s.nextGroup(r, end); j == end {
			r.n, r.total, r.kinds = n, total, all
			return
		}
		if j-end == 1 {
			separator = text[end]
		}
	} else {
		separator = text[start-1]
	}
	for n < maxGroups && j-start < maxRun {
		from, k := j, uint8(0)
		for j < len(text) && isDigit(text[j]) {
			j++
		}
		c := s.at(j)
		if j > from {
			k = digitKind
		}
		if kinds[c] != 0 {
			if c == 'x' && j-from >= 3 {
				// 555-0143x16: an extension.
				if e := s.extension(j); e > j {
					r.extension = group{start: j, end: e, kinds: digitKind}
				}
			}
			if r.extension.end == 0 {
				for j < len(text) && kinds[text[j]] != 0 {
					k |= kinds[text[j]]
					j++
				}
				c = s.at(j)
			}
		}
		if k&digitKind == 0 && (k != upperKind || j-from > 4) {
			r.end = j
			break
		}
		if mayBeWord(c) && (c < 0x80 || c < 0xE2 && c != 0xC2) {
			// It is a part of a word that goes on.
			if r.end = j; k == digitKind {
				r.end++
			}
			break
		}
		r.groups[n] = group{start: from, end: j, kinds: k, separator: separator}
		n, total, all = n+1, total+j-from, all|k
		if r.extension.end > 0 {
			r.end = r.extension.end
			break
		}
		next := j + 1
		if isSeparator(c) && next < len(text) && kinds[text[next]] != 0 {
			separator = c
		} else if next = s.nextGroup(r, j); next == j {
			break
		} else {
			separator = 0
		}
		j, r.end = next, next
	}
	r.n, r.total, r.kinds = n, total, all
}

// nextGroup returns where the next group begins behind one that ends at j: up
// to two separators are between, and three where one is a bracket. It returns
// j where there is no other group.
func (s *scan) nextGroup(r *run, j int) int {
	text := s.text
	k := j
	for k < len(text) && k-j < 3 && isSeparator(text[k]) {
		k++
	}
	r.end = k
	if k == j || k == len(text) || kinds[text[k]] == 0 || k-j == 3 && !hasBracket(text[j:k]) {
		return j
	}
	return k
}

func hasBracket(b []byte) bool {
	for _, c := range b {
		if c == '(' || c == ')' {
			return true
		}
	}
	return false
}

// gap returns the separator before group a where it is one byte; 0 otherwise.
func (s *scan) gap(r *run, a int) byte {
	return r.groups[a].separator
}

// opensNumber reports whether a number may begin with group a: nothing that
// joins it with what is before.
func (s *scan) opensNumber(r *run, a int) bool {
	start := r.groups[a].start
	c := s.at(start - 1)
	if a == 0 {
		if c != '-' && c != '.' && c != '/' && c != '+' && c != '_' {
			return true
		}
		if c == '+' {
			return false
		}
		return kinds[s.at(start-2)]&digitKind == 0 && (c != '.' || kinds[s.at(start-2)] == 0)
	}
	g := r.groups[a-1]
	if start-g.end != 1 {
		return true
	}
	switch c {
	case '-', '/':
		return g.kinds&digitKind == 0
	case '.':
		return false
	}
	return true
}

// endsNumber reports whether a number may end with group b.
func (s *scan) endsNumber(r *run, b int) bool {
	end := r.groups[b].end
	if b+1 < r.n {
		if r.groups[b+1].start-end != 1 {
			return true
		}
		c := s.text[end]
		return c == ' ' || c == '(' || c == ')'
	}
	switch s.at(end) {
	case '-', '/', '@':
		return s.at(end) == '/' && kinds[s.at(end+1)]&digitKind == 0 || s.at(end) == '-' && kinds[s.at(end+1)] == 0
	case '.':
		return kinds[s.at(end+1)]&digitKind == 0
	}
	return true
}

// candidate is groups that may be one number.
type candidate struct {
	first, last int // groups
	start, end  int
	n           int    // characters, without separators
	kinds       uint8  // of the characters
	gaps        uint64 // a bit for each character with a separator before it
	separators  uint64 // the last eight of them, the last one lowest
	spaced      bool
	// chars are the characters, letters as capitals, and letters has a bit for
	// each that is one. They are there once it was spelt.
	chars   []byte
	letters uint64
	// holds is what the check of checked said.
	checked *recogniser
	holds   bool
}

// eight returns the eight bytes from i on, the first in the lowest, with zeros
// behind the end of the text.
func (s *scan) eight(i int) uint64 {
	n := len(s.text)
	switch {
	case i+8 <= n:
		return binary.LittleEndian.Uint64(s.text[i:])
	case n >= 8:
		return binary.LittleEndian.Uint64(s.text[n-8:]) >> (8 * (i + 8 - n))
	}
	x := uint64(0)
	for k := n - 1; k >= i; k-- {
		x = x<<8 | uint64(s.text[k])
	}
	return x
}

// spelling is the characters of the groups of a run, letters as capitals.
type spelling struct {
	chars [maxRun + longest + 8]byte
	// Of each group: where its characters begin in chars, and a bit for each
	// that is a letter. A group with more than longest has none.
	from    [maxGroups]int
	letters [maxGroups]uint64
}

// spell reads the characters of a run, once.
func (s *scan) spell(r *run) *spelling {
	w := &s.spelling
	if r.spelt {
		return w
	}
	r.spelt = true
	n := 0
	for a := range r.n {
		g := &r.groups[a]
		w.from[a], w.letters[a] = n, 0
		if g.len() > longest {
			continue
		}
		if g.digits() && g.len() <= 8 {
			binary.LittleEndian.PutUint64(w.chars[n:n+8], s.eight(g.start))
			n += g.len()
			continue
		}
		text := s.text[g.start:g.end]
		chars := w.chars[n : n+len(text)]
		n += len(text)
		for i, x := range text {
			if k := kinds[x]; k != digitKind {
				w.letters[a] |= 1 << i
				x &^= k & lowerKind << 3
			}
			chars[i] = x
		}
	}
	return w
}

// numbers looks for numbers in the groups of a run.
func (s *scan) numbers(r *run) {
	s.covered = span{}
	first := 0
	if r.groups[0].kinds == upperKind && r.n > 1 {
		first = 1
	}
	// Capitals before the digits may be of the number, or say what it is: the
	// words before both are those before the digits.
	s.hintsAt = r.groups[first].start
	if first == 0 {
		s.hintsAt = math.MinInt
	}
	if r.total <= 8 {
		s.shortNumber(r, first)
		if s.unheard(r, first) {
			if r.n >= 4 {
				s.ipv4(r)
			}
			return
		}
	}
	if r.n >= 4 {
		s.ipv4(r)
	}
	if r.total >= 12 {
		s.cards(r)
	}
	// What takes all of the run and is hardly wrong settles it.
	begin, end := r.groups[first].start, r.groups[r.n-1].end
	if s.covered.end >= end && s.covered.start <= begin {
		return
	}
	if r.total >= 7 {
		s.phones(r, first)
		if s.covered.end >= end && s.covered.start <= begin {
			return
		}
		s.longGroups(r)
	}
	s.dates(r, first)
	s.coordinates(r, first)
	s.candidates(r)
}

// unheard reports whether a run is too short to be anything without a hint, but
// for an IPv4 address, and what was read before it has none. In a text that goes on, what is looked at
// says where it is not to be cut: there it is false.
func (s *scan) unheard(r *run, first int) bool {
	begin := r.groups[first].start
	if s.more || r.total >= s.leastDigits {
		return false
	}
	// candidates would read what is before it, too.
	if (!s.looked || s.lookedAt != begin) && r.total < 4 && (r.total < 3 || r.kinds == digitKind) || s.mayHear(begin).overlaps(&s.briefSet) {
		return false
	}
	switch {
	case r.kinds == digitKind:
		return true
	case r.n == 1:
		return s.mixed[r.total].aloneLike(&candidate{}) == nil
	case first == 0:
		return false
	}
	// A-17, NT 10.0
	c := candidate{n: r.groups[0].len()}
	for a := 1; a < r.n; a++ {
		g := &r.groups[a]
		c.gaps |= 1 << c.n
		c.separators = c.separators<<8 | uint64(g.separator)
		c.n += g.len()
		if !g.digits() || s.mixed[c.n].aloneLike(&c) != nil {
			return false
		}
	}
	return true
}

// candidates looks at each row of groups that may be one number.
func (s *scan) candidates(r *run) {
	for a := range r.n {
		// What is inside of a finding that is hardly wrong is not looked at.
		start := r.groups[a].start
		if start >= s.covered.end {
			s.covered = span{start, start}
		} else if start > s.covered.start {
			continue
		}
		if !s.opensNumber(r, a) {
			continue
		}
		c := candidate{first: a, start: start}
		for b := a; b < r.n; b++ {
			g := &r.groups[b]
			if b > a {
				if g.separator == 0 {
					break
				}
				c.gaps |= 1 << c.n
				c.separators = c.separators<<8 | uint64(g.separator)
				c.spaced = c.spaced || g.separator == ' '
			}
			if c.n+g.len() > longest {
				break
			}
			c.kinds |= g.kinds
			c.n += g.len()
			c.last, c.end = b, g.end
			if b > a && g.separator == '(' {
				// A123456(7)
				if s.at(c.end) != ')' {
					break
				}
				c.end++
			}
			if (c.n >= 4 || c.n == 3 && c.kinds != digitKind) && c.kinds&digitKind != 0 && s.endsNumber(r, b) {
				s.match(r, &c)
			}
		}
	}
}

// match tries the shapes that fit the candidate.
func (s *scan) match(r *run, c *candidate) {
	list := &s.mixed[c.n]
	if c.kinds == digitKind {
		list = &s.digits[c.n]
	}
	open := c.n <= s.longestOpen
	if len(list.hinted) == 0 && !open {
		return
	}
	at := max(c.start, s.hintsAt)
	alone := list.aloneLike(c)
	if len(alone) == 0 || c.kinds != digitKind && !c.spelt(s.spell(r)).fitsOne(alone) {
		if h := s.mayHear(at); !h.overlaps(&list.of) && (!open || !h.overlaps(&s.openSet)) {
			return
		}
	}
	c.spelt(s.spell(r))
	c.checked = nil
	clues := s.around(at)
	said := clues.own
	said.or(&clues.shared)
	for _, f := range alone {
		if c.fits(f) && !said.has(f.rec.id) {
			s.matched(c, f.rec.id, s.formScore(c, f, clues, false, false))
		}
	}
	for w := range said {
		for of := said[w] & list.of[w]; of != 0; of &= of - 1 {
			s.matchHinted(c, list.formsOf(uint8(w<<6+bits.TrailingZeros64(of))), clues)
		}
	}
	if open && clues.own.overlaps(&s.openSet) {
		s.matchOpen(c, clues)
	}
}

// spelt fills in the characters.
func (c *candidate) spelt(w *spelling) *candidate {
	from := w.from[c.first]
	c.chars, c.letters = w.chars[from:from+c.n:from+c.n], 0
	if c.kinds != digitKind {
		for g := c.first; g <= c.last; g++ {
			c.letters |= w.letters[g] << (w.from[g] - from)
		}
	}
	return c
}

// fits reports whether the digits and letters stand where the form has them.
func (c *candidate) fits(f *form) bool {
	return c.letters&f.mustDigit == 0 && c.letters&f.mustLetter == f.mustLetter
}

func (c *candidate) fitsOne(forms []*form) bool {
	for _, f := range forms {
		if c.fits(f) {
			return true
		}
	}
	return false
}

// check reports whether the check of a recogniser holds, if there is one.
func (c *candidate) check(r *recogniser) bool {
	if c.checked != r {
		c.checked, c.holds = r, r.check == nil || r.check(c.chars)
	}
	return c.holds
}

// matchHinted scores a candidate as an entity that a hint speaks for.
func (s *scan) matchHinted(c *candidate, e *entityForms, k *clues) {
	own, shared := k.own.has(e.id), k.shared.has(e.id)
	if own && k.near.has(flagNumber) && !k.near.has(e.id) && !k.key.has(e.id) {
		own = false // "NHS number 943 476 5919 … ticket 1519495308"
	}
	best := 0.0
	for _, f := range e.forms {
		exact := c.gaps == f.gaps && c.separators == f.separators
		if !exact && (!own || best >= 0.95) {
			continue // it would score less
		}
		if c.fits(f) {
			best = max(best, s.formScore(c, f, k, own, shared))
		}
	}
	s.matched(c, e.id, best)
}

// matched notes a finding of a candidate, with its score.
func (s *scan) matched(c *candidate, id uint8, score float64) {
	s.add(c.start, c.end, id, score)
	if score >= 0.85 && c.start == s.covered.start {
		s.covered.end = max(s.covered.end, c.end)
	}
}

// formScore scores a candidate that has digits and letters where the form has
// them. own and shared are what hints say.
func (s *scan) formScore(c *candidate, f *form, k *clues, own, shared bool) float64 {
	alone := f.alone
	if !own && !shared && alone < s.minScore {
		return 0
	}
	exact := c.gaps == f.gaps && c.separators == f.separators
	if !exact && c.gaps == 0 && alone > 0 {
		return 0
	}
	if !exact || c.kinds&lowerKind != 0 && !f.rec.lower {
		alone = 0
	}
	if !own && (!shared || !exact) && alone < s.minScore {
		return 0
	}
	id, holds := f.rec.id, c.check(f.rec.recogniser)
	score := 0.0
	switch {
	case own && holds && f.rec.check != nil:
		score = 1
	case own && holds:
		if k.key.has(id) || k.near.has(id) {
			score = 0.85
		}
	case shared && holds && f.rec.check != nil && !k.near.has(flagNumber):
		score = 0.85
	case holds:
		score = alone
		if k.near.has(flagNumber) || k.near.has(flagVersion) {
			score -= 0.35
		}
	case own && exact && (k.key.has(id) || k.near.has(id)):
		score = f.rec.loose
	}
	if !exact {
		score -= 0.05
	}
	return score
}

// matchOpen tries the recognisers that need a hint and no shape.
func (s *scan) matchOpen(c *candidate, k *clues) {
	digits := c.n - bits.OnesCount64(c.letters)
	for _, r := range s.opens {
		o := &r.open
		if !k.own.has(r.id) || c.n < o.min || c.n > o.max || digits < o.digits || c.spaced && (!o.spaces || c.letters != 0 && o.min > 4) {
			continue
		}
		score := o.score
		switch {
		case k.near.has(r.id) && !k.near.has(flagDate):
		case k.key.has(r.id):
		default:
			continue
		}
		if k.key.has(r.id) {
			score += 0.1
		}
		s.add(c.start, c.end, r.id, score)
	}
}

// ipv4 looks for four numbers of a byte with dots between them.
func (s *scan) ipv4(r *run) {
	if !s.want.has(idIPAddress) {
		return
	}
	for a := 0; a+3 < r.n; a++ {
		dots := 0
		for b := a + 1; b < r.n && s.gap(r, b) == '.'; b++ {
			dots++
		}
		if dots != 3 {
			a += dots // an object identifier, or a version of more parts
			continue
		}
		g := r.groups[a : a+4]
		start, end := g[0].start, g[3].end
		if s.at(start-1) == '.' || s.at(end) == '.' && isDigit(s.at(end+1)) || !isIPv4(s.text, g) {
			continue
		}
		k := s.around(start)
		id := idIPAddress
		score := 0.75
		switch {
		case k.key.has(id):
			score = 1
		case k.near.has(flagVersion) || k.key.has(flagVersion) || s.at(start-1) == '/' && kinds[s.at(start-2)] != 0 || s.at(start-1) == 'v':
			score = 0.2
		case k.near.has(id):
			score = 0.95
		}
		s.add(start, end, idIPAddress, score)
		if score >= 0.75 {
			s.covered = span{start, end}
		}
		a += 3
	}
}

func isIPv4(text []byte, g []group) bool {
	for _, x := range g {
		if !x.digits() || x.len() > 3 || x.len() > 1 && text[x.start] == '0' || decimal(text[x.start:x.end]) > 255 {
			return false
		}
	}
	return true
}

// cards looks for payment card numbers: 13 to 19 digits in one group, or in
// groups with one kind of separator.
func (s *scan) cards(r *run) {
	if !s.want.has(idCreditCard) {
		return
	}
	for a := range r.n {
		if g := &r.groups[a]; !g.digits() || g.len() < 4 || !s.opensNumber(r, a) {
			continue
		}
		n, last := 0, -1
		var sep byte
		for b := a; b < r.n && r.groups[b].digits(); b++ {
			g := &r.groups[b]
			if b > a {
				c := g.separator
				if c != ' ' && c != '-' && c != '.' || sep != 0 && c != sep || g.len() < 3 {
					break
				}
				sep = c
			}
			if n += g.len(); n > 19 {
				break
			}
			if n < 12 {
				continue
			}
			if more := b+1 < r.n; !more || r.groups[b+1].separator == sep {
				if more && b > a && r.groups[b+1].digits() || !s.endsNumber(r, b) {
					continue
				}
			}
			w := s.spell(r)
			if d := w.chars[w.from[a]:]; isCard(d[:n]) {
				last = b
			}
		}
		if last < 0 {
			continue
		}
		start, end := r.groups[a].start, r.groups[last].end
		score := 0.7
		if last > a {
			score = 0.9
		}
		k, id := s.around(start), idCreditCard
		switch {
		case k.key.has(id) || k.near.has(id) || k.own.has(id) && !k.near.has(flagNumber):
			score = 1
		case k.near.has(flagNumber) || k.near.has(flagDate) || k.keyed && k.key.has(flagNumber):
			score -= 0.35
		}
		s.add(start, end, idCreditCard, score)
		if score >= 1 {
			s.covered = span{start, end}
		}
		return
	}
}

// minCard is how many digits the number of a card has at least.
const minCard = 12

// isCard checks length, issuer prefix and checksum (ISO/IEC 7812-1).
func isCard(d []byte) bool {
	n := len(d)
	if n < minCard || n > 19 {
		return false
	}
	p4 := decimal(d[:4])
	p2, p3 := p4/100, p4/10
	ok := false
	switch {
	case d[0] == '4':
		ok = n == 13 || n == 16 || n == 19
	case p2 >= 51 && p2 <= 55, p4 >= 2221 && p4 <= 2720:
		ok = n == 16
	case p2 == 34 || p2 == 37:
		ok = n == 15
	case p4 == 6011 || p2 == 64 || p2 == 65 || p2 == 62 || p2 == 81 || p2 == 60 || p4 >= 2200 && p4 <= 2204:
		ok = n >= 16
	case p4 >= 3528 && p4 <= 3589:
		ok = n >= 16
	case p4 == 2131 || p4 == 1800:
		ok = n == 15
	case p3 >= 300 && p3 <= 305, p3 == 309, p2 == 36, p2 == 38, p2 == 39:
		ok = n == 14 || n >= 16
	case p2 == 50 || p2 >= 56 && p2 <= 58 || p2 == 63 || p2 == 67:
		ok = n == 12 || n == 13 || n >= 15
	}
	return ok && luhn(d)
}

// longGroups looks at the groups that may be an IBAN, a wallet or a hardware
// address.
func (s *scan) longGroups(r *run) {
	if r.kinds == digitKind && r.n < 6 && r.total < 26 {
		return
	}
	for a := range r.n {
		g := r.groups[a]
		if g.kinds == digitKind && g.len() < 12 {
			if g.len() == 2 && r.n-a >= 6 {
				s.dashedMAC(g.start)
			}
			continue
		}
		if g.len() == 2 && r.n-a >= 6 {
			s.dashedMAC(g.start)
		}
		if g.len() >= 4 && g.kinds&digitKind != 0 && kinds[s.text[g.start]] != digitKind && !isDigit(s.text[g.start+1]) && isDigit(s.text[g.start+2]) {
			s.iban(g.start)
		}
		if g.len() >= 26 {
			s.wallet(g.start, g.end)
		}
	}
}
