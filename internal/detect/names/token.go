package names

import (
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
	start, end int
	hash       uint64
	attrs      Attrs
	kind       tokenKind
	shape      shape
	punct      byte // what a punctToken is, 0x80 where it is not ASCII
	space      bool // white space stands before it
	done       bool // what comes behind cannot change it
}

func (t *token) len() int { return t.end - t.start }

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

// tokens cuts a text.
type tokens struct{ list []token }

// cut returns the tokens of text. Where end is false, what comes behind may
// change the last of them.
func (ts *tokens) cut(text []byte, end bool) []token {
	list := ts.list[:0]
	space := false
	for i := 0; i < len(text); {
		c := classOf[text[i]]
		switch c {
		case spaceClass:
			if text[i] == ' ' && i+1 < len(text) && classOf[text[i+1]] != spaceClass {
				space = true
				i++
				continue
			}
			j, line := i, false
			for j < len(text) && classOf[text[j]] == spaceClass {
				line = line || text[j] != ' '
				j++
			}
			if line || j-i > maxSpace {
				t := token{start: i, end: j, kind: breakToken, shape: breakShape, hash: breakHash, done: end || j < len(text)}
				if j-i > maxSpace {
					t.kind, t.done = longToken, true
				}
				list = append(list, t)
			}
			space = true
			i = j
			continue
		case lowerClass, upperClass, digitClass, underClass:
			t := word(text, i, end)
			t.space = space
			list = append(list, t)
			i = t.end
		case highClass:
			r, n := utf8.DecodeRune(text[i:])
			if r == utf8.RuneError && n == 1 {
				n = 1
				if !end && !utf8.FullRune(text[i:]) {
					n = len(text) - i
				}
				list = append(list, token{start: i, end: i + n, kind: punctToken, shape: punctShape, punct: 0x80, space: space, done: end || i+n < len(text)})
				i += n
				break
			}
			if r == 0xA0 || r == 0x3000 || r == 0x202F || r >= 0x2000 && r <= 0x200B {
				space = true
				i += n
				continue
			}
			if isWordRune(r) {
				t := word(text, i, end)
				t.space = space
				list = append(list, t)
				i = t.end
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
			list = append(list, token{start: i, end: i + n, kind: punctToken, shape: punctShape, punct: p, space: space, done: true})
			i += n
		default:
			j := i + 1
			for j < len(text) && text[j] == text[i] {
				j++
			}
			t := token{start: i, end: j, kind: punctToken, shape: punctShape, punct: text[i], space: space, done: end || j < len(text)}
			if j-i > maxSpace {
				t.kind, t.done = longToken, true
			}
			list = append(list, t)
			i = j
		}
		space = false
	}
	for i := range list {
		t := &list[i]
		if t.kind == punctToken {
			t.hash = mixed(uint64(t.punct) + 1<<32)
		}
		// What touches a token is looked at too, and what stands behind a dot.
		if !end && t.end+2 > len(text) && t.kind != longToken {
			t.done = false
		}
	}
	ts.list = list
	return list
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
	t := token{start: i, kind: wordToken}
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
	t.end = j
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
