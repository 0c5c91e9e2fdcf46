package names

import (
	"bytes"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a decision depends on.
const (
	maxToken = 40 // bytes of a word; a longer one is no part of a name
	maxSpace = 16 // bytes of white space; more is a barrier
)

type tokenKind uint8

const (
	wordToken   tokenKind = iota
	numberToken           // digits, or digits and letters
	codeToken             // an identifier: has an underscore
	punctToken
	breakToken // the end of a line, or a tab
	longToken  // a barrier: nothing behind it is looked at
)

type shape uint8

const (
	noShape shape = iota
	lowerShape
	titleShape
	upperShape
	initialShape // one capital
	mixedShape   // McCarthy, iPhone
	scriptShape  // of a script that has no capitals
	digitsShape
	alnumShape
	punctShape
	breakShape
	codeShape
	longShape
)

type token struct {
	hash       uint64
	start, end int32
	attrs      Attrs
	kind       tokenKind
	shape      shape
	role       role // what it is to islands by itself
	punct      byte // what a punctToken is, 0x80 where it is not ASCII
	space      bool // white space stands before it
	done       bool // what comes behind cannot change it
	postal     bool // a word that says that a postal code follows
}

func (t *token) len() int { return int(t.end - t.start) }

// Classes of bytes.
const (
	otherClass uint8 = iota
	spaceClass
	lowerClass
	upperClass
	digitClass
	underClass
	highClass
)

var classOf = func() (c [256]uint8) {
	for b := range c {
		switch {
		case b == ' ' || b == '\n' || b == '\r' || b == '\t':
			c[b] = spaceClass
		case b >= 'a' && b <= 'z':
			c[b] = lowerClass
		case b >= 'A' && b <= 'Z':
			c[b] = upperClass
		case b >= '0' && b <= '9':
			c[b] = digitClass
		case b == '_':
			c[b] = underClass
		case b >= 0x80:
			c[b] = highClass
		}
	}
	return c
}()

// tokens cuts texts, and looks their words up.
type tokens struct {
	lex     *Lexicon // nil where words are not looked up
	folder  folder
	words   *vocabulary
	scratch []byte
	list    []token
	postal  bool    // one of list is postal
	starts  []int32 // those of list that may open islands in any field
}

// padding is how many bytes behind a text may be read.
const padding = 16

// cut returns the tokens of buf[from:n]; there are padding bytes behind n.
// Where end is false, what comes behind may change the last of them.
func (ts *tokens) cut(buf []byte, from, n int, end bool) []token {
	ts.begin()
	return ts.cutOn(buf, from, n, end)
}

func (ts *tokens) begin() { ts.list, ts.starts, ts.postal = ts.list[:0], ts.starts[:0], false }

// cutOn is cut behind the tokens that there are.
func (ts *tokens) cutOn(buf []byte, from, n int, end bool) []token {
	list := ts.list
	text := buf[:n]
	space := len(list) > 0 && classOf[buf[from-1]] == spaceClass // a break
	for i := from; i < n; {
		c := text[i]
		switch classOf[c] {
		case spaceClass:
			if c == ' ' && i+1 < n && classOf[text[i+1]] != spaceClass {
				space = true
				i++
				continue
			}
			j, line := i, false
			for j < n && classOf[text[j]] == spaceClass {
				line = line || text[j] != ' '
				j++
			}
			if line || j-i > maxSpace {
				t := token{start: int32(i), end: int32(j), kind: breakToken, shape: breakShape, role: connects, hash: breakHash, done: end || j < n}
				if j-i > maxSpace {
					t.kind, t.role, t.done = longToken, outside, true
				}
				list = append(list, t)
			}
			space = true
			i = j
			continue
		case lowerClass, upperClass:
			if to := 0; ts.words != nil {
				if list, to = ts.known(list, buf, i, n, end, space); to > i {
					i = to
					break
				}
			}
			list = ts.push(list, ts.word(text, i, end, space))
			i = int(list[len(list)-1].end)
		case digitClass:
			j := i + 1
			for j < n && classOf[text[j]] == digitClass {
				j++
			}
			if j-i > maxToken || j == n && !end || j < n && classOf[text[j]] > spaceClass {
				list = append(list, ts.word(text, i, end, space))
				i = int(list[len(list)-1].end)
				break
			}
			list = append(list, numbers[j-i])
			list[len(list)-1].put(i, j, space)
			i = j
		case underClass:
			list = append(list, ts.word(text, i, end, space))
			i = int(list[len(list)-1].end)
		case highClass:
			r, size := utf8.DecodeRune(text[i:])
			if r == utf8.RuneError && size == 1 {
				if !end && !utf8.FullRune(text[i:]) {
					size = n - i
				}
				list = append(list, marks[0x80])
				list[len(list)-1].put(i, i+size, space)
				list[len(list)-1].done = end || i+size < n
				i += size
				break
			}
			if r == 0xA0 || r == 0x3000 || r == 0x202F || r >= 0x2000 && r <= 0x200B {
				space = true
				i += size
				continue
			}
			if isWordRune(r) {
				list = ts.push(list, ts.word(text, i, end, space))
				i = int(list[len(list)-1].end)
				break
			}
			p := byte(0x80)
			switch r {
			case '’', '‘':
				p = '\''
			case '“', '”', '„', '«', '»':
				p = '"'
			case '–', '—':
				p = '-'
			case ',', '、':
				p = ','
			case '。':
				p = '.'
			case ':':
				p = ':'
			}
			list = append(list, marks[p])
			list[len(list)-1].put(i, i+size, space)
			i += size
		default:
			j := i + 1
			for j < n && text[j] == c {
				j++
			}
			list = append(list, marks[c])
			t := &list[len(list)-1]
			t.put(i, j, space)
			if j-i > maxSpace {
				t.kind, t.role = longToken, outside
			} else if j == n {
				t.done = end
			}
			i = j
		}
		space = false
	}
	// What touches a token is looked at too, and what stands behind a dot.
	for i := len(list) - 1; !end && i >= 0 && int(list[i].end)+2 > n; i-- {
		if list[i].kind != longToken {
			list[i].done = false
		}
	}
	ts.list = list
	return list
}

// cutBefore is how far behind a token it is looked at for where it ends.
const cutBefore = 8

// again begins with those of the tokens of a text of n bytes that are also
// those of its end from d on, where it is cut from skip on, and returns where to
// cut on. More may follow.
func (ts *tokens) again(n, d, skip int) (from int) {
	toks := ts.list
	ts.begin()
	from = skip
	for i := range toks {
		t := toks[i]
		if int(t.start) < d+skip {
			continue
		}
		if int(t.end)+cutBefore > n {
			break
		}
		t.start -= int32(d)
		t.end -= int32(d)
		ts.postal = ts.postal || t.postal
		ts.list = ts.push(ts.list, t)
		from = int(t.end)
	}
	return from
}

// known appends the words from i on that are in the vocabulary, with one space
// between them, and returns where it stopped.
func (ts *tokens) known(list []token, buf []byte, i, n int, end, space bool) ([]token, int) {
	at := i
	for {
		w, size := ts.words.at(buf, at)
		if size == 0 || !end && at+size >= n {
			return list, i
		}
		i = at + size
		if !w.done {
			w.token = ts.word(buf[at:i], 0, true, false)
		}
		if w.opens() {
			ts.starts = append(ts.starts, int32(len(list)))
		}
		ts.postal = ts.postal || w.postal
		list = append(list, w.token)
		list[len(list)-1].put(at, i, space)
		if c := classOf[buf[i+1]]; buf[i] != ' ' || c != lowerClass && c != upperClass {
			return list, i
		}
		at, space = i+1, true
	}
}

// push appends a word that was cut by itself.
func (ts *tokens) push(list []token, t token) []token {
	if t.opens() {
		ts.starts = append(ts.starts, int32(len(list)))
	}
	return append(list, t)
}

// numbers are the tokens of digits alone, by how many there are.
var numbers = func() (t [maxToken + 1]token) {
	ts := tokens{}
	for n := range t {
		if n > 0 {
			t[n] = ts.word(bytes.Repeat([]byte("0"), n), 0, true, false)
		}
	}
	return t
}()

// put puts a token where it is.
func (t *token) put(start, end int, space bool) {
	t.start, t.end, t.space = int32(start), int32(end), space
}

// marks are the tokens of punctuation that goes no further.
var marks = func() (t [256]token) {
	for c := range t {
		t[c] = token{kind: punctToken, shape: punctShape, punct: byte(c), hash: mixed(uint64(c) + 1<<32), done: true}
		switch c {
		case ',', '.', '-', '\'', '/', '&', '#':
			t[c].role = connects
		}
	}
	return t
}()

// word cuts a word of any length and script, and looks it up.
func (ts *tokens) word(text []byte, i int, end, space bool) token {
	t := word(text, i, end)
	t.space = space
	w := text[t.start:t.end]
	switch t.kind {
	case wordToken:
		t.hash, ts.scratch = ts.folder.hash(ts.scratch, w)
		if ts.lex != nil {
			t.attrs = ts.lex.lookup(t.hash)
			t.postal = len(w) > 2 && ts.saysPostal(&t, w)
		}
		t.role = roleOf(&t)
	case codeToken:
		t.hash, ts.scratch = ts.folder.hash(ts.scratch, w)
		if ts.lex != nil {
			t.postal = len(w) > 2 && ts.lex.readKey(ts.folder, w).attrs&PostalKey != 0
		}
	case numberToken:
		// 10115 and 22087 are the same to the model; so are SW1A and NW1B.
		h := uint64(numberHash)
		for _, c := range w {
			switch classOf[c] {
			case digitClass:
				c = '0'
			case lowerClass:
				c = 'a'
			case upperClass:
				c = 'A'
			}
			h = (h ^ uint64(c)) * prime64
		}
		t.hash = mixed(h)
		t.role = roleOf(&t)
	}
	ts.postal = ts.postal || t.postal
	return t
}

// saysPostal reports whether a word, as the name of a field, is one with a postal
// code.
func (ts *tokens) saysPostal(t *token, w []byte) bool {
	if t.shape == lowerShape || t.shape == titleShape || t.shape == upperShape {
		if allLetters(w) {
			return ts.lex.isPostalKey(t.hash) // one word
		}
	}
	return ts.lex.readKey(ts.folder, w).attrs&PostalKey != 0
}

// allLetters reports whether a word is letters of ASCII and nothing else.
func allLetters(w []byte) bool {
	for _, c := range w {
		if c := classOf[c]; c != lowerClass && c != upperClass {
			return false
		}
	}
	return true
}

const (
	breakHash  = 0xB4EA8
	edgeHash   = 0xED6E
	longHash   = 0x10A6
	numberHash = 0x40BE4
)

func isWordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Mc, r) || unicode.IsDigit(r)
}

// isAlone reports whether a rune is a word of its own: those of scripts that
// put no space between words.
func isAlone(r rune) bool { return r >= 0x3400 && r <= 0x9FFF || r >= 0x20000 && r <= 0x2FFFF }

// word cuts the word at i. An apostrophe between letters is a part of it, but
// not that of a genitive.
func word(text []byte, i int, end bool) token {
	t := token{start: int32(i), kind: wordToken}
	uppers, lowers, digits, others, unders := 0, 0, 0, 0, 0
	firstUpper := false
	j := i
	done := false
scan:
	for j < len(text) {
		c := text[j]
		switch classOf[c] {
		case lowerClass:
			k := j + 1
			for k < len(text) && classOf[text[k]] == lowerClass {
				k++
			}
			lowers += k - j
			j = k
		case upperClass:
			firstUpper = firstUpper || j == i
			uppers++
			j++
		case digitClass:
			digits++
			j++
		case underClass:
			unders++
			j++
		case highClass:
			r, n := utf8.DecodeRune(text[j:])
			if r == '’' && lowers+uppers > 0 {
				if ok, known := joins(text[j+n:], end); !ok {
					done = known
					break scan
				}
				j += n
				continue
			}
			if r == utf8.RuneError && n == 1 {
				done = end || utf8.FullRune(text[j:])
				break scan
			}
			if !isWordRune(r) {
				done = true
				break scan
			}
			if isAlone(r) {
				done = true
				if j == i {
					others++
					j += n
				}
				break scan
			}
			switch {
			case unicode.IsUpper(r):
				firstUpper = firstUpper || j == i
				uppers++
			case unicode.IsLower(r):
				lowers++
			default:
				others++
			}
			j += n
		default:
			if c == '\'' && lowers+uppers > 0 {
				if ok, known := joins(text[j+1:], end); !ok {
					done = known
					break scan
				}
				j++
				continue
			}
			done = true
			break scan
		}
	}
	t.end = int32(j)
	t.done = done || end
	switch {
	case t.len() > maxToken:
		t.kind, t.shape, t.hash, t.done = longToken, longShape, longHash, true
	case unders > 0:
		t.kind, t.shape = codeToken, codeShape
	case digits > 0 && uppers+lowers+others == 0:
		t.kind, t.shape = numberToken, digitsShape
	case digits > 0:
		t.kind, t.shape = numberToken, alnumShape
	case others > 0:
		t.shape = scriptShape
	case uppers == 0:
		t.shape = lowerShape
	case uppers == 1 && lowers == 0:
		t.shape = initialShape
	case lowers == 0:
		t.shape = upperShape
	case firstUpper && uppers == 1:
		t.shape = titleShape
	default:
		t.shape = mixedShape
	}
	return t
}

// hasWord reports whether there may be a word in a text: letters, and no digit
// or underscore with them. A number behind a name with an underscore counts too,
// as it may be a postal code.
func hasWord(text []byte) bool {
	seen, named := uint8(0), false
	for _, c := range text {
		part := partOf[c]
		if seen |= part; part == 0 {
			switch {
			case seen == letterPart || seen >= highPart || named && seen&numberPart != 0:
				return true
			case seen&underPart != 0:
				named = true
			}
			seen = 0
		}
	}
	return seen == letterPart || seen >= highPart || named && seen&numberPart != 0
}

// What a byte may be a part of; 0 is nothing.
const (
	letterPart uint8 = 1 << iota
	numberPart
	underPart // a name in code
	highPart
)

var partOf = func() (p [256]uint8) {
	for b, class := range classOf {
		switch class {
		case lowerClass, upperClass:
			p[b] = letterPart
		case digitClass:
			p[b] = numberPart
		case underClass:
			p[b] = underPart
		case highClass:
			p[b] = highPart
		}
	}
	return p
}()

// joins reports whether an apostrophe before rest is inside of a word: a
// letter follows, and not the s of a genitive.
func joins(rest []byte, end bool) (ok, known bool) {
	if len(rest) == 0 {
		return false, end
	}
	c := rest[0]
	switch classOf[c] {
	case lowerClass, upperClass:
	case highClass:
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n == 1 {
			return false, end || utf8.FullRune(rest)
		}
		return unicode.IsLetter(r), true
	default:
		return false, true
	}
	if c|0x20 != 's' {
		return true, true
	}
	if len(rest) == 1 {
		return !end, end // a genitive, unless a letter follows
	}
	k := classOf[rest[1]]
	return k == lowerClass || k == upperClass || k == highClass, true
}
