package detect

// How far before a candidate its context is looked for. Together they stay
// below what Context.Before holds, so that the answer does not depend on where
// a text is cut.
const (
	wordWindow = 96  // words before it
	nearWindow = 48  // words right before it
	keyWindow  = 112 // from the end of a field's name to it
	nameWindow = 48  // a field's name
	readWindow = 192 // where reading begins
)

// maxMarks is how many of the last words and phrases are looked at.
const maxMarks = 24

// mark is a word or phrase of the dictionary in the text.
type mark struct {
	at     int // where the phrase begins
	phrase uint16
}

// keyKind is how a field's name stands in the text, which says how far its
// value goes.
type keyKind uint8

const (
	noKey     keyKind = iota
	jsonKey           // "name": up to the next one, or }
	equalsKey         // name= up to a space or &
	quotedKey         // name="…" up to the closing quote
	lineKey           // name: up to the end of the line
	tagKey            // <name> up to the next <
	callKey           // f("name", "…") up to the end of the line
)

// field is a field's name and what it says.
type field struct {
	kind        keyKind
	at          int // where its value begins
	own, shared set
	about       bool // it is about the thing, and not the thing: tokenType
}

// reader reads the words of the text before candidates. It goes forward only,
// and reads each byte once.
type reader struct {
	begun bool
	// atStart is true where reading is to begin at the beginning of the text.
	atStart bool
	// whole is false where it began too late for the words of a candidate, for
	// the name of a field only.
	whole bool
	// torn is true where it stopped within what is read as one, or where a
	// sentence ends: whoever reads on has to begin before that.
	torn  bool
	at    int      // the text is read up to here
	began int      // where reading began, or before all
	marks [32]mark // of which the last are looked at
	n     int
	floor int // marks before are of another sentence, value or key
	// The hashes of the last words, the last one first, and where they begin;
	// 0 where there is none that a phrase can go on from.
	words            [3]uint64
	starts           [3]int
	end              int
	nameStart        int  // of the run of words, for a key: phone_number
	clean            bool // nothing but quotes, brackets and spaces since the last word
	json, line       field
	opened           bool // line: its value has begun
	typed            bool // the last word is a type, as in "var x string ="
	beforeType       int
	quotes           int // the last quotation mark
	opening          int // that of a quotedKey's value
	tag              int // where the last < is, or before all
	callQuote        int // the last (" is here
	lastWordLetters  int
	lastPhrase       uint16
	digitsAfterSpace bool
	// told is all that phrases and names have said since epoch, and
	// toldBefore in the epoch before: each is longer than what clues are of.
	told, toldBefore set
	epoch            int
}

// clues are what the surroundings of a candidate say.
type clues struct {
	own, shared set
	// near is what the nearest words say, or the field's name where no words
	// are between.
	near set
	// keyed is true where the candidate is in a field whose name is known.
	keyed bool
	key   set
	about bool
}

func (r *reader) reset(at int) {
	r.begun, r.whole, r.at, r.began, r.floor, r.n = true, true, at, at, at, 0
	r.words[0] = 0
	r.torn, r.clean, r.opened, r.typed, r.digitsAfterSpace = false, false, false, false, false
	r.json.kind, r.line.kind = noKey, noKey
	far := at - 2*readWindow
	r.end, r.nameStart, r.beforeType, r.quotes, r.tag, r.callQuote = far, far, far, far, far, far
	r.lastWordLetters = 0
	r.told, r.toldBefore, r.epoch = set{}, set{}, at
}

// tell notes what a phrase or a name says.
func (r *reader) tell(own, shared *set) {
	r.told.or(own)
	r.told.or(shared)
}

// look begins to look at what is around p. What is known of the last place looked
// at is kept.
func (s *scan) look(p int) {
	if s.looked && s.lookedAt == p {
		return
	}
	s.looked, s.lookedAt, s.known, s.hears = true, p, false, false
	if p == 0 && len(s.before) == 0 {
		s.reader.restart()
	}
}

// mayHear returns all that the clues for a candidate at p may say, and perhaps
// more: it takes less than the clues do. Where it is the reader who says so, that
// has read up to p.
func (s *scan) mayHear(p int) *set {
	s.look(p)
	h := &s.heard
	if s.hears {
		return h
	}
	s.hears = true
	if s.table != nil {
		s.read(p)
		*h = set{1<<64 - 1, 1<<64 - 1, 1<<64 - 1}
		return h
	}
	k := &s.outlook.field
	*h = k.own
	h.or(&k.shared)
	switch {
	case p == 0 && len(s.before) == 0:
	case s.overhear(p):
		h.or(&s.prose.said)
	default:
		s.read(p)
		h.or(&s.reader.told)
		h.or(&s.reader.toldBefore)
	}
	return h
}

// around returns the clues for a candidate at p.
func (s *scan) around(p int) *clues {
	s.look(p)
	c := &s.clues
	if s.known {
		return c
	}
	s.known = true
	if p == 0 && len(s.before) == 0 && s.table == nil {
		// Nothing is before it but the name of the field.
		k := &s.outlook.field
		c.own, c.shared, c.near, c.key = k.own, k.shared, k.own, k.own
		c.keyed, c.about = k.kind != noKey, k.about
		return c
	}
	s.read(p) // the reader may have gone on since
	r := &s.reader
	c.own, c.shared, c.near, c.key, c.keyed, c.about = set{}, set{}, set{}, set{}, false, false
	words := false
	from := max(r.floor, p-wordWindow)
	for i := r.n - 1; i >= 0 && r.n-i <= maxMarks; i-- {
		m := r.marks[i&(len(r.marks)-1)]
		if m.at < from {
			break
		}
		ph := &s.dict.phrases[m.phrase-1]
		c.own.or(&ph.own)
		c.shared.or(&ph.shared)
		if m.at >= p-nearWindow && !words {
			c.near.or(&ph.own)
			// Phrases that end in the same word stand together: "card" and
			// "credit card".
			words = i == 0 || r.n-i > 3 || r.marks[(i-1)&(len(r.marks)-1)].at < m.at-24
		}
	}
	f := &r.json
	if r.line.kind != noKey && p-r.line.at <= keyWindow {
		f = &r.line
	}
	switch {
	case f.kind != noKey && p-f.at <= keyWindow:
		c.key, c.about = f.own, f.about
		c.keyed = true
		c.own.or(&f.own)
		c.shared.or(&f.shared)
		if c.near.empty() {
			c.near = f.own
		}
	default:
		k := &s.outlook.field
		c.key, c.about = k.own, k.about
		c.keyed = k.kind != noKey
		c.own.or(&k.own)
		c.shared.or(&k.shared)
		if c.near.empty() {
			c.near = k.own
		}
	}
	if col := s.column(p); col != nil {
		c.key, c.about = col.own, col.about
		c.keyed = true
		c.own.or(&col.own)
		c.shared.or(&col.shared)
		if c.near.empty() {
			c.near = col.own
		}
	}
	return c
}

// readName says what a field's name means.
func (s *Scanner) readName(name []byte) field {
	f := field{kind: jsonKey}
	if len(name) > 2*nameWindow {
		name = name[:2*nameWindow]
	}
	var words [3]uint64
	for i := 0; i < len(name); {
		if !isLetter(name[i]) {
			i++
			continue
		}
		var w wordHash
		from := i
		for i < len(name) && isLetter(name[i]) {
			if i > from && camel(name[i-1], name[i], name[min(i+1, len(name)-1)]) {
				break
			}
			w.add(fold(name[i], i > 0 && name[i-1] == 0xC3))
			i++
		}
		h := w.sum()
		f.about = f.see(s.dict, h)
		f.seePhrases(s.dict, &words, h)
		words = [3]uint64{h, words[0], words[1]}
	}
	f.about = f.about || f.own.has(flagAbout)
	return f
}

// phrasesBefore are the hashes of the phrases that end in a word h, after the
// words before it, the last one first.
func phrasesBefore(words *[3]uint64, h uint64) (out [3]uint64, n int) {
	for n < len(words) && words[n] != 0 {
		// The phrase of the n+1 words before, from the first on, and h.
		p := words[n]
		for k := n - 1; k >= 0; k-- {
			p = join(p, words[k])
		}
		out[n] = join(p, h)
		n++
	}
	return out, n
}

func (f *field) seePhrases(d *dictionary, words *[3]uint64, h uint64) {
	if !d.ends(h) {
		return
	}
	phrases, n := phrasesBefore(words, h)
	for _, p := range phrases[:n] {
		f.see(d, p)
	}
}

// see adds what a phrase says, and reports whether it is one that a name
// which is about a thing ends with.
func (f *field) see(d *dictionary, h uint64) bool {
	k := d.lookup(h)
	if k == 0 {
		return false
	}
	f.own.or(&d.phrases[k-1].own)
	f.shared.or(&d.phrases[k-1].shared)
	return d.phrases[k-1].own.has(flagLast)
}

// camel reports whether a word ends before c in cardNumber and in IPAddress.
func camel(before, c, after byte) bool {
	upper := c >= 'A' && c <= 'Z'
	return upper && (before >= 'a' && before <= 'z' || before >= 'A' && before <= 'Z' && after >= 'a' && after <= 'z')
}

// read reads the text up to p, from so far before it that all clues are seen.
func (s *scan) read(p int) {
	r := s.awake()
	if !r.begun || !r.whole || r.at > p || r.at < p-readWindow {
		r.reset(max(-len(s.before), p-readWindow))
	}
	s.readOn(p)
}

// restart makes reading begin at the beginning of the text, when it goes on.
func (r *reader) restart() {
	r.begun, r.atStart = false, true
	r.json.kind, r.line.kind = noKey, noKey
}

// awake returns the reader, which has begun where it was to.
func (s *scan) awake() *reader {
	r := &s.reader
	if r.atStart && !r.begun {
		r.reset(0)
	}
	return r
}

// readOn reads from where reader is to p. What is then known depends on the text
// up to p only, and not on where it was stopped before.
func (s *scan) readOn(p int) {
	r := &s.reader
	if r.torn && r.at < p {
		r.reset(max(-len(s.before), p-readWindow))
	}
	text := s.text
	for r.at < p {
		i := r.at
		var c byte
		if uint(i) < uint(len(text)) {
			c = text[i]
		} else {
			c = s.at(i)
		}
		if folded[c] != 0 {
			if c == 0xE2 && s.at(i+1) == 0x80 {
				if r.at += 3; r.at > p { // ’ and – are of no word
					r.tear(p)
				}
				continue
			}
			s.readWord(i, p)
			s.readProse(p)
			continue
		}
		r.at++
		if c == ' ' {
			if r.line.kind == equalsKey && r.opened {
				r.line.kind = noKey
			}
			r.digitsAfterSpace = true
			continue
		}
		switch c {
		case '_', '-', '\'', '#', '/':
			if r.line.kind == equalsKey && c == '/' {
				continue
			}
		case '.':
			if i+2 < len(s.text) && s.at(i+1) == ' ' && r.end == i && r.lastWordLetters >= 4 {
				switch n := s.at(i + 2); {
				case n < 'A' || n > 'Z':
				case i+2 < p:
					r.cut(i)
				default:
					r.tear(p) // a date's month is of the sentence before, but what is behind it is not
				}
			}
		case '\\':
			// An escape of JSON: \n, \t, é, \".
			switch s.at(i + 1) {
			case 'n', 'r':
				r.at++
				r.cut(i)
				r.endLine()
			case 't', 'b', 'f':
				r.at++
				r.cut(i)
			case 'u':
				r.at += 5
				r.clean = false
			}
			if r.at > p {
				r.tear(p)
			}
		case '"':
			if r.line.kind == quotedKey && i > r.opening {
				r.line.kind = noKey
			}
			if r.line.kind == equalsKey && !r.opened && i-r.line.at <= maxBlank {
				r.line.kind = quotedKey
				r.opening = i
			}
			if s.opensCall(i) {
				r.callQuote = i
			}
			r.quotes = i
			r.pause()
		case '\n', '\r':
			r.cut(i)
			r.endLine()
		case '}', '{':
			r.cut(i)
			r.json.kind = noKey
			if r.line.kind == callKey {
				r.line.kind = noKey
			}
		case '[', ']', ';', '|', '\t', '&':
			r.cut(i)
			if r.line.kind == lineKey || r.line.kind == equalsKey {
				if c != '[' {
					r.line.kind = noKey
				}
			}
		case '<':
			r.cut(i)
			r.tag = i
			if r.line.kind == tagKey {
				r.line.kind = noKey
			}
		case '>':
			if s.at(i-1) == '"' {
				// <input name="ssn">, as keyed sees it.
				if q, end := s.quotedName(i); q != noName {
					s.setName(q, end, i+1)
					continue
				}
			}
			if r.tag >= i-nameWindow && s.at(r.tag+1) != '/' && r.end >= i-1 {
				s.setKey(tagKey, r.tag, i+1)
			} else if s.at(i-1) != '=' {
				r.cut(i)
			}
		case ':', '=':
			s.keyAt(i, c)
		case ',':
			if r.quotes == i-1 && r.end >= i-2 && s.inCall(i) {
				s.setKey(callKey, r.callQuote, i+1)
			}
			r.clean = false
		case '(', ')', '*', '?':
		default:
			if isDigit(c) {
				if r.digitsAfterSpace && r.end < i-1 && !isDigit(s.at(i-1)) {
					r.clean = false
				}
				if j := r.at; j >= 0 {
					for text := text[:p]; j < len(text) && isDigit(text[j]); {
						j++
					}
					r.at = j
				}
			} else {
				r.clean = false
				r.words[0] = 0
			}
		}
		if r.line.kind == equalsKey && c > ' ' && c != '=' && c != ':' && i >= r.line.at {
			r.opened = true
		}
	}
	if r.end == p && folded[s.at(p)] != 0 {
		r.torn = true
	}
}

// tear notes that reading stopped at p, within what is read as one.
func (r *reader) tear(p int) { r.at, r.torn = p, true }

// opensCall reports whether the quotation mark at i stands behind a bracket.
func (s *scan) opensCall(i int) bool {
	c := s.at(i - 1)
	if c == '\\' {
		c = s.at(i - 2)
	}
	return c == '('
}

// inCall reports whether (" stands before i, and no quoted name of a field
// between. It looks at what stands before reading began, too.
func (s *scan) inCall(i int) bool {
	r := &s.reader
	for k := r.began - 1; k >= i-nameWindow && r.callQuote < i-nameWindow; k-- {
		switch c := s.at(k); {
		case c == '"' && s.opensCall(k):
			r.callQuote = k
		case c == ':' || c == '=' || c == '>' && s.at(k-1) == '"':
			if q, _ := s.quotedName(k); q != noName {
				return false
			}
		}
	}
	return r.callQuote >= i-nameWindow
}

// readWord reads the word at i, and notes the phrases that it ends.
func (s *scan) readWord(i, p int) {
	r := &s.reader
	if r.line.kind == equalsKey {
		r.opened = true
	}
	j, h := s.plainWord(i, p)
	if j == i {
		j, h = s.longWord(i, p)
	}
	r.at = j
	// Words with more than two bytes between them are of different phrases.
	joined := i-r.end <= 3 && r.end > r.floor
	if !joined {
		r.words[0] = 0
	}
	if i != r.end && (i == r.end+1 && i > 0 && s.text[i-1] == ' ' || !s.inName(r.end, i)) {
		r.nameStart = i
	}
	if h == hashString || h == hashStr {
		r.typed = true
	} else {
		r.typed = false
		r.beforeType = r.nameStart
	}
	r.lastPhrase = s.note(i, h)
	r.words = [3]uint64{h, r.words[0], r.words[1]}
	r.starts = [3]int{i, r.starts[0], r.starts[1]}
	r.end = j
	r.lastWordLetters = j - i
	r.clean, r.digitsAfterSpace = true, false
}

// note looks up the phrases that the word at i ends, with those before it. It
// returns the phrase that it is alone, or 0.
func (s *scan) note(i int, h uint64) uint16 {
	r, d := &s.reader, s.dict
	alone := d.lookup(h)
	if alone != 0 {
		s.mark(i, alone)
	}
	if r.words[0] != 0 && d.ends(h) {
		phrases, n := phrasesBefore(&r.words, h)
		for x, ph := range phrases[:n] {
			if k := d.lookup(ph); k != 0 {
				s.mark(r.starts[x], k)
			}
		}
	}
	return alone
}

// plainWord reads a word of letters of ASCII, with no capital but the first, by
// eight bytes at once. It returns i where it is none.
func (s *scan) plainWord(i, p int) (end int, h uint64) {
	if i < 0 || i > 0 && s.text[i-1] == 0xC3 {
		return i, 0
	}
	x := s.eight(i)
	n, small, capitals := lettersOf(x)
	if i+n >= p {
		n = p - i // what is behind p does not count
		mask := uint64(1)<<(8*n) - 1
		small, capitals = small&mask, capitals&mask
	} else if n < 8 && x>>(8*n)&0x80 != 0 {
		return i, 0
	}
	if n == 0 || capitals>>8 != 0 {
		return i, 0
	}
	if h = hashChunk(0, small); n < 8 {
		return i + n, h
	}
	if end, h, ok := longProse(s.text[:min(p, len(s.text))], i+8, h); ok {
		return end, h
	}
	return i, 0
}

// longWord reads any word.
func (s *scan) longWord(i, p int) (end int, h uint64) {
	var w wordHash
	prev := s.at(i - 1)
	j := i
	for ; j < p; j++ {
		c := s.at(j)
		f := folded[c]
		if f == 0 || f != c && j > i && camel(prev, c, s.at(j+1)) || c == 0xE2 && s.at(j+1) == 0x80 {
			break
		}
		if prev == 0xC3 {
			f = fold(c, true)
		}
		w.add(f)
		prev = c
	}
	return j, w.sum()
}

var (
	hashString, _ = hashPhrase("string")
	hashStr, _    = hashPhrase("str")
)

// inName reports whether what is between two words keeps them in one name:
// letters, digits and _ - . are of one.
func (s *scan) inName(from, to int) bool {
	if to-from > 8 {
		return false
	}
	for i := from; i < to; i++ {
		switch c := s.at(i); {
		case c == '_' || c == '-' || c == '.' || isDigit(c):
		default:
			return false
		}
	}
	return true
}

func (s *scan) mark(at int, phrase uint16) {
	r := &s.reader
	if at > r.epoch {
		r.toldBefore, r.told, r.epoch = r.told, set{}, at+readWindow+nameWindow
	}
	ph := &s.dict.phrases[phrase-1]
	r.tell(&ph.own, &ph.shared)
	r.marks[r.n&(len(r.marks)-1)] = mark{at, phrase}
	r.n++
}

// cut ends a sentence: what was read before is not of what comes.
func (r *reader) cut(i int) {
	r.floor = i
	r.words[0] = 0
	r.clean = false
}

// pause ends a string, but what was read in it may still be a name.
func (r *reader) pause() { r.words[0] = 0 }

func (r *reader) endLine() {
	if k := r.line.kind; k != tagKey {
		r.line.kind = noKey
	}
}

// keyAt looks at the : or = at i, which may end a field's name.
func (s *scan) keyAt(i int, c byte) {
	r := &s.reader
	if q, end := s.quotedName(i); q != noName {
		s.setName(q, end, i+1)
		return
	}
	if !r.clean || r.end < i-nameWindow || r.end <= r.floor {
		// := and => and == go on what is a key already. Longer rows do not: where
		// they begin may not be in sight.
		if b := s.at(i - 1); isOperator(b) && !(isOperator(s.at(i-2)) && isOperator(s.at(i-3)) && isOperator(s.at(i-4))) && i-r.line.at <= 3 {
			if r.line.kind == equalsKey || r.line.kind == lineKey {
				r.line.kind, r.line.at, r.opened = equalsKey, i+1, false
			}
		}
		return
	}
	switch {
	case c == ':' && s.at(i+1) == '/':
		r.cut(i)
	case c == '=':
		s.setKey(equalsKey, r.nameOf(), i+1)
	default:
		s.setKey(lineKey, max(r.floor, i-nameWindow), i+1)
	}
}

func isOperator(c byte) bool { return c == ':' || c == '=' || c == '?' || c == '.' }

const noName = -1 << 30

// quotedName returns where the quotation mark before the quoted name is that
// stands before the : or = at i, and where the name ends.
func (s *scan) quotedName(i int) (quote, end int) {
	j := i - 1
	for j > i-3 && s.at(j) == ' ' {
		j--
	}
	if s.at(j) != '"' {
		return noName, 0
	}
	if s.at(j-1) == '\\' {
		j--
	}
	for k := j - 1; k >= j-1-nameWindow; k-- {
		switch s.at(k) {
		case '"':
			return k, j
		case '\n', 0:
			return noName, 0
		}
	}
	return noName, 0
}

// setName makes the quoted name the name of a field whose value begins at.
// Nothing before it matters any more.
func (s *scan) setName(quote, end, at int) {
	r := &s.reader
	var f *field
	if quote+1 >= 0 {
		f = s.nameField(s.text[quote+1 : end])
	} else {
		var buf [nameWindow + 2]byte
		n := 0
		for k := quote + 1; k < end && n < len(buf); k++ {
			buf[n] = s.at(k)
			n++
		}
		f = s.nameField(buf[:n])
	}
	r.json = *f
	r.json.kind, r.json.at = jsonKey, at
	r.tell(&f.own, &f.shared)
	r.line.kind = noKey
	r.tag, r.callQuote, r.began = at-2*readWindow, at-2*readWindow, at-2*readWindow
	r.opened, r.clean = false, false
	r.floor, r.words[0] = at-1, 0
}

// namedField is the name of a field in a text, and what it says.
type namedField struct {
	name  knownName
	field field
}

// nameField says what a name in a text means.
func (s *scan) nameField(name []byte) *field {
	if len(name) > nameWindow {
		s.longName = s.readName(name)
		return &s.longName
	}
	w := wordsOf(name)
	e := &s.fields[w.place()]
	if !e.name.is(w, name) {
		e.field = s.readName(name)
		e.name.set(w, name)
	}
	return &e.field
}

// nameOf is where the name that ends at the last word begins.
func (r *reader) nameOf() int {
	if r.typed && r.end-r.beforeType <= nameWindow {
		return r.beforeType
	}
	return r.nameStart
}

// setKey makes the marks from on the name of a field whose value begins at.
func (s *scan) setKey(kind keyKind, from, at int) {
	r := &s.reader
	f := field{kind: kind, at: at}
	from = max(from, at-nameWindow-2)
	for i := r.n - 1; i >= 0 && r.n-i <= maxMarks; i-- {
		m := &r.marks[i&(len(r.marks)-1)]
		if m.at < from || m.at < r.floor && kind != callKey {
			break
		}
		ph := &s.dict.phrases[m.phrase-1]
		f.own.or(&ph.own)
		f.shared.or(&ph.shared)
	}
	f.about = f.own.has(flagAbout)
	if r.lastPhrase != 0 && !f.about {
		f.about = s.dict.phrases[r.lastPhrase-1].own.has(flagLast)
	}
	switch {
	case kind == lineKey && f.own.empty() && f.shared.empty():
		// The beginning of a sentence: "Note: …".
		return
	default:
		r.line = f
	}
	r.opened = false
	r.floor = at - 1
	r.words[0] = 0
	r.clean = false
}
