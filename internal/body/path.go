package body

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ohler55/ojg/jp"
)

// maxPaths is how many paths one step may have.
const maxPaths = 1024

// Paths are the compiled RFC 9535 JSONPaths of one step. A nil *Paths selects
// every value and every member's name.
type Paths struct {
	paths []path
	// states are those of all paths: one for each count of segments matched.
	states []state
	// top leads to the document's top, and nodes are what the automaton
	// consists of; top.to is nil where there is none.
	top   edge
	nodes map[string]*node
	// joined are the paths of CompileJoin and those that are known anyhow.
	joined *Paths
	// located are the places that Locate found.
	located *place
	// counts: an index or slice is among the selectors.
	counts bool
}

type path struct {
	text     string
	segments []segment
	// document: the path needs the whole document (filter expressions, and
	// indices that count from the end).
	document bool
	base     int // the number of its first state
	bit      int // its place among the step's paths
}

type segment struct {
	descendant bool
	selectors  []selector
}

type selector struct {
	kind             selectorKind
	name             string
	index            int
	start, end, step int // of a slice; end -1: no end
}

type selectorKind uint8

const (
	byName selectorKind = iota
	byIndex
	byWildcard
	bySlice
	byDocument // only a whole document can tell
)

// PathError is an error in one of a step's paths.
type PathError struct {
	Index  int // of the path in the list
	Offset int // in the path, in bytes
	Path   string
	Msg    string
	Join   bool // the list is that of joined strings
}

// Error implements error.
func (e *PathError) Error() string {
	return fmt.Sprintf("JSONPath %q, at %d: %s", e.Path, e.Offset+1, e.Msg)
}

// CompilePaths compiles a step's paths; none at all gives nil. The error is a
// *PathError.
func CompilePaths(texts []string) (*Paths, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	if len(texts) > maxPaths {
		return nil, &PathError{Index: maxPaths, Path: texts[maxPaths], Msg: fmt.Sprintf("more than %d paths", maxPaths)}
	}
	ps := &Paths{}
	for i, text := range texts {
		p := pathParser{text: text}
		segs, err := p.parse()
		if err != nil {
			return nil, &PathError{Index: i, Offset: p.at, Path: text, Msg: err.Error()}
		}
		if p.document {
			if _, err := jp.ParseString(text); err != nil {
				return nil, &PathError{Index: i, Path: text, Msg: "the expression is not valid: " + err.Error()}
			}
		}
		ps.add(path{text: text, segments: segs, document: p.document, bit: i})
	}
	ps.compile()
	return ps, nil
}

// CompileJoin compiles the paths of strings that go on from event to event.
// They are followed in events as they come, so filter expressions and indices
// from the end are errors too.
func CompileJoin(texts []string) (*Paths, error) {
	ps, err := CompilePaths(texts)
	if err != nil {
		var pe *PathError
		if errors.As(err, &pe) {
			pe.Join = true
		}
		return nil, err
	}
	if ps == nil {
		return nil, nil
	}
	for i := range ps.paths {
		if p := &ps.paths[i]; p.document {
			return nil, &PathError{Index: i, Path: p.text, Join: true, Msg: "only a whole document can tell what it selects"}
		}
	}
	ps.joined = joinedFields.with(ps)
	ps.joined.compile()
	return ps, nil
}

func (ps *Paths) add(p path) {
	p.base = len(ps.states)
	ps.paths = append(ps.paths, p)
	for i := range p.segments {
		seg := &p.segments[i]
		ps.states = append(ps.states, state{segment: seg})
		for _, sel := range seg.selectors {
			ps.counts = ps.counts || sel.kind == byIndex || sel.kind == bySlice
		}
	}
	var bit uint64
	if p.bit < 64 {
		bit = 1 << p.bit
	}
	ps.states = append(ps.states, state{bit: bit})
}

// NeedsDocument reports whether any of the paths can only be followed in a
// whole document: see Locate.
func (ps *Paths) NeedsDocument() bool {
	if ps == nil {
		return false
	}
	for i := range ps.paths {
		if ps.paths[i].document {
			return true
		}
	}
	return false
}

// pathParser parses RFC 9535, section 2. Filter expressions are only delimited
// here.
type pathParser struct {
	text     string
	at       int
	document bool
}

func (p *pathParser) parse() ([]segment, error) {
	if !strings.HasPrefix(p.text, "$") {
		return nil, fmt.Errorf("a path starts with $")
	}
	p.at = 1
	var segs []segment
	for {
		save := p.at
		p.space()
		if p.at == len(p.text) {
			if save != p.at {
				return nil, fmt.Errorf("white space at the end")
			}
			return segs, nil
		}
		seg, err := p.segment()
		if err != nil {
			return nil, err
		}
		segs = append(segs, seg)
	}
}

func (p *pathParser) space() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

func (p *pathParser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *pathParser) segment() (segment, error) {
	var seg segment
	switch {
	case strings.HasPrefix(p.text[p.at:], ".."):
		seg.descendant = true
		p.at += 2
		if p.peek() == '[' {
			return p.bracket(seg)
		}
	case p.peek() == '.':
		p.at++
	case p.peek() == '[':
		return p.bracket(seg)
	default:
		return seg, fmt.Errorf("expected . or [")
	}
	if p.peek() == '*' {
		p.at++
		seg.selectors = []selector{{kind: byWildcard}}
		return seg, nil
	}
	start := p.at
	for p.at < len(p.text) && isNameByte(p.text[p.at], p.at == start) {
		p.at++
	}
	if p.at == start {
		return seg, fmt.Errorf("expected a name or *; a name with other characters is written ['…']")
	}
	seg.selectors = []selector{{kind: byName, name: p.text[start:p.at]}}
	return seg, nil
}

func isNameByte(c byte, first bool) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= utf8.RuneSelf || !first && c >= '0' && c <= '9'
}

func (p *pathParser) bracket(seg segment) (segment, error) {
	p.at++
	for {
		p.space()
		sel, err := p.selector()
		if err != nil {
			return seg, err
		}
		seg.selectors = append(seg.selectors, sel)
		p.space()
		switch p.peek() {
		case ',':
			p.at++
		case ']':
			p.at++
			return seg, nil
		default:
			return seg, fmt.Errorf("expected , or ]")
		}
	}
}

func (p *pathParser) selector() (selector, error) {
	switch c := p.peek(); {
	case c == '*':
		p.at++
		return selector{kind: byWildcard}, nil
	case c == '\'' || c == '"':
		name, err := p.quoted(c)
		return selector{kind: byName, name: name}, err
	case c == '?':
		p.document = true
		return selector{kind: byDocument}, p.expression()
	case c == '-' || c == ':' || c >= '0' && c <= '9':
		return p.indexOrSlice()
	}
	return selector{}, fmt.Errorf("expected a name in quotes, an index, a slice, * or ?")
}

func (p *pathParser) quoted(quote byte) (string, error) {
	p.at++
	var b strings.Builder
	for p.at < len(p.text) {
		c := p.text[p.at]
		switch {
		case c == quote:
			p.at++
			return b.String(), nil
		case c < 0x20:
			return "", fmt.Errorf("control character in a name")
		case c == '\\':
			p.at++
			if p.peek() == quote {
				b.WriteByte(quote)
				p.at++
				continue
			}
			r, n, ok := unescape(p.text[p.at:])
			if !ok {
				return "", fmt.Errorf("not an escape")
			}
			b.WriteRune(r)
			p.at += n
		default:
			b.WriteByte(c)
			p.at++
		}
	}
	return "", fmt.Errorf("the quote is not closed")
}

// unescape reads what follows a backslash.
func unescape(s string) (r rune, n int, ok bool) {
	if s == "" {
		return 0, 0, false
	}
	switch s[0] {
	case 'b':
		return '\b', 1, true
	case 'f':
		return '\f', 1, true
	case 'n':
		return '\n', 1, true
	case 'r':
		return '\r', 1, true
	case 't':
		return '\t', 1, true
	case '/', '\\':
		return rune(s[0]), 1, true
	case 'u':
		hi, ok := hex4(s[1:])
		if !ok {
			return 0, 0, false
		}
		if hi < 0xD800 || hi > 0xDFFF {
			return hi, 5, true
		}
		if hi < 0xDC00 && len(s) >= 11 && s[5] == '\\' && s[6] == 'u' {
			if lo, ok := hex4(s[7:]); ok && lo >= 0xDC00 && lo <= 0xDFFF {
				return (hi-0xD800)<<10 + (lo - 0xDC00) + 0x10000, 11, true
			}
		}
	}
	return 0, 0, false
}

func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	v, err := strconv.ParseUint(s[:4], 16, 32)
	return rune(v), err == nil
}

func (p *pathParser) int() (int, error) {
	start := p.at
	if p.peek() == '-' {
		p.at++
	}
	for p.peek() >= '0' && p.peek() <= '9' {
		p.at++
	}
	digits := p.text[start:p.at]
	n, err := strconv.Atoi(digits)
	const most = 1<<53 - 1 // RFC 9535: within I-JSON's exact integers
	if err != nil || n > most || n < -most || digits == "-0" || len(digits) > 1 && digits[0] == '0' || strings.HasPrefix(digits, "-0") {
		return 0, fmt.Errorf("%q is not an index", digits)
	}
	return n, nil
}

func (p *pathParser) indexOrSlice() (selector, error) {
	sel := selector{kind: byIndex, end: -1, step: 1}
	var err error
	if p.peek() != ':' {
		if sel.index, err = p.int(); err != nil {
			return sel, err
		}
		sel.start = sel.index
	}
	p.space()
	if p.peek() != ':' {
		if sel.index < 0 {
			p.document, sel.kind = true, byDocument
		}
		return sel, nil
	}
	sel.kind = bySlice
	p.at++
	p.space()
	negative := sel.start < 0
	if c := p.peek(); c == '-' || c >= '0' && c <= '9' {
		if sel.end, err = p.int(); err != nil {
			return sel, err
		}
		negative = negative || sel.end < 0
	}
	p.space()
	if p.peek() == ':' {
		p.at++
		p.space()
		if c := p.peek(); c == '-' || c >= '0' && c <= '9' {
			if sel.step, err = p.int(); err != nil {
				return sel, err
			}
		}
	}
	if negative || sel.step < 0 {
		p.document, sel.kind = true, byDocument
	}
	return sel, nil
}

// expression skips a filter expression: to the comma or bracket that ends it.
func (p *pathParser) expression() error {
	depth, quote := 0, byte(0)
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case quote != 0 && c == '\\':
			p.at++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '[' || c == '(':
			depth++
		case (c == ']' || c == ',') && depth == 0:
			return nil
		case c == ']' || c == ')':
			depth--
		}
	}
	return fmt.Errorf("the expression is not closed")
}
