package detect

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"sync"

	"github.com/sluice-proxy/sluice/internal/detect/names"
)

// Bounds of single findings and of what is held.
const (
	maxUserinfo = 512
	maxToken    = 8 << 10
	maxPEM      = 16 << 10
	maxLocal    = 64 // of an e-mail address, RFC 5321
	maxDomain   = 255
	maxWord     = 64  // of a word that is looked at from its middle
	maxRun      = 80  // of digits and separators
	maxValue    = 512 // of a field's value that is looked at as one
	tailBytes   = 64  // of an unfinished word that is held
)

// Scanner finds entities. It is immutable, and used by many at once.
type Scanner struct {
	minScore float64
	want     set // by number
	dict     *dictionary
	names    []Entity
	dialling *dialling // of the regions that are tried for numbers without a country code
	// The recognisers that are wanted, by how many characters they have.
	digits [longest + 1]formList // all of them digits
	mixed  [longest + 1]formList
	opens  []*compiled
	// longestOpen is the most characters that one of opens takes.
	longestOpen int
	// openSet are the entities of opens, valueSet those that a field's name
	// alone makes of a value.
	openSet, valueSet set
	// shortSet are those that a short number is by a hint only.
	shortSet set
	// numberSet are those that a number of any length is by a hint.
	numberSet set
	model     *names.Model // nil where no names are wanted
	nameBias  float64
	custom    []*customRecogniser
	terms     terms
	// quiet and quietFraction are plain and fraction of an outlook that says
	// nothing, and unnamed is that of a text without a name.
	quiet, quietFraction uint64
	unnamed              outlook
	// all are all entities. A number of digits that needs no hint has leastDigits
	// or more; briefSet are those that what is shorter is by a hint.
	all, briefSet set
	leastDigits   int
	// quietTimes: see findTimes.
	quietTimes bool
	timeSet    set
	sessions   sync.Pool
}

// valueEntities are found in the value of a field whose name says so.
var valueEntities = []Entity{Username, StreetAddress, ZIPCode, BIC, NRP, Title, LicensePlate, APIKey, Password}

// New returns a scanner.
func New(opt Options) (*Scanner, error) {
	s := &Scanner{minScore: opt.MinScore, dict: builtin}
	if s.minScore == 0 {
		s.minScore = 0.5
	}
	known := map[Entity]uint8{}
	for i, e := range entities {
		s.names = append(s.names, e.Entity)
		known[e.Entity] = uint8(i)
	}
	if err := s.customise(opt.Custom, known); err != nil {
		return nil, err
	}
	for _, e := range opt.Entities {
		id, ok := known[e]
		if !ok {
			return nil, fmt.Errorf("there is no entity %s", e)
		}
		s.want.add(id)
	}
	if len(opt.Entities) == 0 {
		for id := range s.names {
			s.want.add(uint8(id))
		}
	}
	for _, family := range families() {
		for i := range family {
			s.use(family[i].compile(known[family[i].entity]))
		}
	}
	for _, e := range valueEntities {
		if s.want.has(ids[e]) {
			s.valueSet.add(ids[e])
		}
	}
	for _, e := range []Entity{CVV, PIN, CardExpiry} {
		s.shortSet.add(ids[e])
	}
	s.numberSet = s.shortSet
	s.numberSet.or(&s.openSet)
	for _, e := range []Entity{Age, Phone, DateOfBirth, Coordinates} {
		s.numberSet.add(ids[e])
	}
	var err error
	if s.dialling, err = diallingOf(opt.PhoneRegions); err != nil {
		return nil, err
	}
	if err := s.useNames(opt.NameBias); err != nil {
		return nil, err
	}
	s.findQuiet()
	s.findLeast()
	s.findTimes()
	s.unnamed = s.outlookOf("")
	return s, nil
}

// findLeast fills in all, leastDigits and briefSet.
func (s *Scanner) findLeast() {
	for id := range s.names {
		s.all.add(uint8(id))
	}
	const phone = 7
	for s.leastDigits < phone && len(s.digits[s.leastDigits].alone) == 0 {
		s.leastDigits++
	}
	s.briefSet = s.numberSet
	s.briefSet.remove(idPhone)
	s.briefSet.remove(idAge) // see shortNumber
	for n := range s.leastDigits {
		s.briefSet.or(&s.digits[n].of)
		s.briefSet.or(&s.mixed[n].of)
	}
}

// use puts a recogniser where its candidates are looked for.
func (s *Scanner) use(c *compiled) {
	if !s.want.has(c.id) {
		return
	}
	if c.open.max > 0 {
		s.opens = append(s.opens, c)
		s.openSet.add(c.id)
		s.longestOpen = max(s.longestOpen, c.open.max)
	}
	for i := range c.forms {
		f := &c.forms[i]
		n := c.shapes[i].chars()
		if f.mustLetter == 0 {
			s.digits[n].add(f, s.minScore)
		}
		if f.mustDigit != 1<<n-1 {
			s.mixed[n].add(f, s.minScore)
		}
	}
}

// scan is one pass over a text, and what is kept for the next one: checks are
// called by way of a variable, so that what they look at would be allocated
// anew each time.
type scan struct {
	*Scanner
	ctx    *Context
	before []byte // of ctx
	text   []byte
	more   bool
	out    []Finding
	from   int // where this scan's findings begin in out
	// limit is where names hold the text: nothing behind it is settled.
	limit int
	// live is where the earliest candidate begins that more text may decide
	// on.
	live int
	// The text is not to be cut inside of these: the last of nspan that were
	// looked at as one, and all that the others are within.
	spans [64]span
	nspan int
	lost  span

	reader reader
	clues  clues
	// lookedAt is the last place whose surroundings were looked at, if any.
	lookedAt int
	looked   bool
	known    bool // clues is filled
	hears    bool // heard is, by mayHear
	heard    set
	prose    overheard
	outlook  *outlook // of Context.Key
	wanted   bool     // it wants the text, as far as that is known
	// outlooks are of the values of Context.Key that were met last, and fields the
	// names in texts; longOutlook and longName are too long to be remembered.
	outlooks    [places]outlook
	fields      [places]namedField
	longOutlook outlook
	longName    field

	table  *Table
	cellAt int
	cell   int
	quoted bool

	values int // values before are done with

	run      run
	spelling spelling
	single   number
	window   []byte // of a custom pattern
	hintsAt  int    // clues of a run are not of before
	covered  span   // of a finding of the run that is hardly wrong

	tagger  *names.Tagger // once it was needed, up to Session.Close
	input   names.Input
	found   []names.Span
	extents []names.Extent // that are not to be cut
}

type span struct{ start, end int }

func (s *scan) begin(ctx *Context, o *outlook, text []byte, more bool) {
	s.ctx, s.outlook, s.before, s.text, s.more = ctx, o, ctx.Before, text, more
	s.live, s.limit, s.nspan, s.lost, s.values = len(text), len(text), 0, span{}, 0
	s.reader.begun, s.reader.atStart = false, false
	s.looked, s.prose = false, overheard{}
	s.reader.json.kind, s.reader.line.kind = noKey, noKey
	s.table, s.cellAt, s.cell, s.quoted = nil, 0, 0, false
	s.found, s.extents = s.found[:0], s.extents[:0]
}

// A bit in each of eight bytes.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// anchors has the high bit of each byte set that candidates are looked for at:
// a digit, one of : ; < = > ? @, or a hyphen. The bytes from 0 to @ are one
// range, so that eight bytes take a handful of instructions.
func anchors(x uint64) uint64 {
	low := x &^ highs
	inRange := (low + (0x80-'0')*ones) &^ (low + (0x80-'@'-1)*ones)
	y := low ^ '-'*ones
	hyphen := ^(y + 0x7F*ones)
	return (inRange | hyphen) &^ x & highs
}

var isAnchor = func() (t [256]bool) {
	for c := '0'; c <= '@'; c++ {
		t[c] = true
	}
	t['-'] = true
	return t
}()

// nextAnchor returns where the next anchor is from i on; the end where there
// is none.
func nextAnchor(text []byte, i int) int {
	for ; i+8 <= len(text); i += 8 {
		if m := anchors(binary.LittleEndian.Uint64(text[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	if i < len(text) && len(text) >= 8 {
		// The last bytes, moved to the beginning of eight.
		m := anchors(binary.LittleEndian.Uint64(text[len(text)-8:]) >> (8 * (8 - (len(text) - i))))
		if m == 0 {
			return len(text)
		}
		return i + bits.TrailingZeros64(m)>>3
	}
	for i < len(text) && !isAnchor[text[i]] {
		i++
	}
	return i
}

// search goes over the text once, from the first anchor on.
func (s *scan) search(first int) {
	text := s.text
	if first < len(text) || s.ctx.Table != nil {
		s.openTable()
	}
	for i := first; i < len(text); i = nextAnchor(text, i) {
		switch c := text[i]; {
		case isDigit(c):
			i = max(i+1, s.digitAt(i))
		case c == '-':
			i = max(i+1, s.dash(i))
		case c == '@':
			s.email(i)
			i++
		case c == ':':
			i = max(i+1, s.colon(i))
		case c == '=' || c == '>':
			i++
			s.keyed(i)
		default:
			i++
		}
	}
	if len(s.custom) > 0 {
		s.runCustom()
	}
}

// at returns the byte at i, which may lie before the text; 0 outside.
func (s *scan) at(i int) byte {
	if uint(i) < uint(len(s.text)) {
		return s.text[i]
	}
	if i += len(s.before); i >= 0 && i < len(s.before) {
		return s.before[i]
	}
	return 0
}

func isDigit(c byte) bool { return c-'0' < 10 }

func isAlnum(c byte) bool { return kinds[c] != 0 }

// Kinds of the bytes of words.
const (
	digitKind uint8 = 1 << iota
	upperKind
	lowerKind
)

var kinds = func() (t [256]uint8) {
	for c := '0'; c <= '9'; c++ {
		t[c] = digitKind
	}
	for c := 'A'; c <= 'Z'; c++ {
		t[c], t[c+'a'-'A'] = upperKind, lowerKind
	}
	return t
}()

// beginsWord reports whether no letter or digit stands before i.
func (s *scan) beginsWord(i int) bool {
	c := s.at(i - 1)
	switch {
	case c == '_':
		return false
	case c >= 0x80:
		// Scripts without spaces, and punctuation, do not go on with Latin
		// letters and digits: three bytes and more in UTF-8.
		return s.at(i-3) >= 0xE2 || s.at(i-4) >= 0xF0 || s.at(i-2) == 0xC2
	case isAlnum(c):
		return s.isEscape(i - 1)
	}
	return true
}

// isEscape reports whether the letter at i ends an escape of JSON: \n.
func (s *scan) isEscape(i int) bool {
	switch s.at(i) {
	case 'n', 'r', 't', 'b', 'f':
		return s.at(i-1) == '\\' && s.at(i-2) != '\\'
	}
	return i >= 5 && s.at(i-4) == 'u' && s.at(i-5) == '\\' && s.at(i-6) != '\\'
}

// endsWord reports whether no letter or digit stands at i, and keeps i live
// where that is not known yet.
func (s *scan) endsWord(i, start int) bool {
	if i >= len(s.text) {
		s.touch(start, i)
		return true
	}
	c := s.text[i]
	return !isAlnum(c) && c != '_' && (c < 0x80 || c == 0xC2 || c >= 0xE2)
}

// touch notes that text[start:end] was looked at as one. Where it reaches the
// end, more text may change it.
func (s *scan) touch(start, end int) {
	if s.more {
		s.mayCut(start, end)
	}
}

func (s *scan) mayCut(start, end int) {
	switch {
	case end >= len(s.text):
		s.live = min(s.live, start)
		return
	case start >= s.limit || start >= s.live:
		return // nothing from there on is settled
	}
	if s.nspan > 0 {
		last := &s.spans[(s.nspan-1)%len(s.spans)]
		if start < last.end && last.start < end {
			last.start, last.end = min(last.start, start), max(last.end, end)
			return
		}
	}
	sp := &s.spans[s.nspan%len(s.spans)]
	if s.nspan == len(s.spans) {
		s.lost = *sp
	} else if s.nspan > len(s.spans) {
		s.lost = span{min(s.lost.start, sp.start), max(s.lost.end, sp.end)}
	}
	*sp = span{start, end}
	s.nspan++
}

// add notes a finding of the entity with the number.
func (s *scan) add(start, end int, id uint8, score float64) {
	if score < s.minScore || end <= start || start < 0 || !s.want.has(id) {
		return
	}
	score = min(score, 1)
	if n := len(s.out); n > s.from {
		// Of two that stand in the same place the better one counts, or the
		// first.
		if last := &s.out[n-1]; last.Start == start && last.End == end {
			if score > last.Score {
				last.Entity, last.Score = s.names[id], score
			}
			return
		}
	}
	// It is filled in where it lies: to copy it there takes as long as most of
	// what is done to find it.
	n := len(s.out)
	if n == cap(s.out) {
		s.out = slices.Grow(s.out, 1)
	}
	s.out = s.out[:n+1]
	f := &s.out[n]
	f.Start, f.End, f.Entity, f.Score = start, end, s.names[id], score
}

// settle resolves overlaps and decides how much is settled.
func (s *scan) settle() ([]Finding, int) {
	settled := len(s.text)
	if s.more {
		settled = s.outside(s.wordOf(s.outside(min(s.limit, s.live, s.tail()))))
	}
	kept := s.out[s.from:]
	if s.more {
		kept = slices.DeleteFunc(kept, func(f Finding) bool { return f.Start >= settled })
	}
	if len(kept) > 1 {
		kept = resolve(kept)
	}
	if s.table != nil {
		s.leave(settled)
	}
	s.ctx.Memory.settle(settled)
	return s.out[:s.from+len(kept)], settled
}

// outside moves settled to the beginning of what it is not to be within.
func (s *scan) outside(settled int) int {
	for again := true; again; {
		again = false
		if at := s.uncut(settled); at < settled {
			settled, again = at, true
		}
		if s.lost.start < settled && settled < s.lost.end {
			settled, again = s.lost.start, true
		}
		for _, sp := range s.spans[:min(s.nspan, len(s.spans))] {
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
	return settled
}

// wordOf goes back from i to where the word around it begins, as spoken will:
// a number behind i may be a part of it.
func (s *scan) wordOf(i int) int {
	from := i
	for i > 0 && from-i < maxWord && s.text[i-1] > ' ' && s.text[i-1] != '"' && s.text[i-1] != '\'' {
		i--
	}
	return s.character(i)
}

// character goes back from i to where the character begins that it is in.
func (s *scan) character(i int) int {
	from := i
	for i > 0 && i < len(s.text) && from-i < 3 && s.text[i]&0xC0 == 0x80 {
		i--
	}
	return i
}

// tail is where the last, unfinished word begins; no more than so much of it
// is held as may open something.
func (s *scan) tail() int {
	i := len(s.text)
	for i > 0 && len(s.text)-i < tailBytes && s.text[i-1] > ' ' {
		i--
	}
	return s.character(s.wordHeld(i))
}

// wordHeld goes back from i over a word that a number may begin with: a few
// capitals, or a month.
func (s *scan) wordHeld(i int) int {
	k := i
	for k > 0 && i-k < 2 && (s.text[k-1] == ' ' || s.text[k-1] == '-' || s.text[k-1] == '.') {
		k--
	}
	w := k
	capitals := true
	for w > 0 && k-w < 12 && isLetter(s.text[w-1]) {
		w--
		capitals = capitals && kinds[s.text[w]] == upperKind
	}
	if k-w > 0 && k-w <= 8 && capitals || k-w >= 3 && isMonth(s.text[w:k]) {
		return w
	}
	return i
}

// resolve keeps of findings that overlap the one with the better score, then
// the longer one, then the first, and sorts them.
func resolve(fs []Finding) []Finding {
	apart := 1
	for apart < len(fs) && fs[apart].Start >= fs[apart-1].End {
		apart++
	}
	if apart == len(fs) {
		return fs
	}
	sortFindings(fs, byPlace)
	// A group is a run of findings that overlap one another; most are alone.
	kept := fs[:0]
	for i := 0; i < len(fs); {
		end, j := fs[i].End, i+1
		for j < len(fs) && fs[j].Start < end {
			end = max(end, fs[j].End)
			j++
		}
		if j == i+1 {
			kept = append(kept, fs[i])
		} else {
			kept = append(kept, best(fs[i:j])...)
		}
		i = j
	}
	return kept
}

// best picks from findings that overlap.
func best(fs []Finding) []Finding {
	sortFindings(fs, byScore)
	kept := fs[:0]
	for _, f := range fs {
		if !slices.ContainsFunc(kept, func(k Finding) bool { return k.Start < f.End && f.Start < k.End }) {
			kept = append(kept, f)
		}
	}
	sortFindings(kept, byPlace)
	return kept
}

func byPlace(a, b Finding) int {
	if a.Start != b.Start {
		return a.Start - b.Start
	}
	return b.End - a.End
}

func byScore(a, b Finding) int {
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
}

// sortFindings is stable. Most findings are in order already, and few are not.
func sortFindings(fs []Finding, order func(a, b Finding) int) {
	for i := 1; i < len(fs); i++ {
		if order(fs[i-1], fs[i]) <= 0 {
			continue
		}
		if len(fs) > 16 {
			slices.SortStableFunc(fs, order)
			return
		}
		f, j := fs[i], i
		for ; j > 0 && order(fs[j-1], f) > 0; j-- {
			fs[j] = fs[j-1]
		}
		fs[j] = f
	}
}
