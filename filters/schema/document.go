package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxDepth    = 512  // the deepest document, as limits.depth has it by default
	fewMembers  = 16   // up to as many names are compared one by one
	maxNumber   = 1024 // the longest number, as it is written
	maxExponent = 400  // a validator computes with exact numbers: 1e999999999 would not end
)

// The errors of a document that is not held against a schema at all: what it
// says is not the same to every reader, or costs too much to read.
var (
	errNotJSON   = errors.New("the body is not JSON in UTF-8")
	errDeep      = errors.New("the body is nested too deeply")
	errDuplicate = errors.New("a name stands twice in an object")
	errNumber    = errors.New("a number is out of bounds")
)

// document is a JSON text, taken apart so that it can be changed in places and
// put together again: what was not changed comes out byte for byte.
type document struct {
	lead, trail []byte
	root        *node
}

// node is a value. kind is what it starts with: { [ " t f n, or 0 for a number.
type node struct {
	kind byte
	raw  []byte // a scalar as it is written
	text string // a string, decoded
	// inner is the space in an empty object or array.
	inner   []byte
	members []*member
}

// member is an object's member or an array's element, with the space around
// it; an element has no name.
type member struct {
	lead    []byte
	rawName []byte
	name    string
	mid     []byte // from the name to the value: the colon, and space
	value   *node
	trail   []byte
}

func parse(src []byte) (*document, error) {
	if !utf8.Valid(src) || !json.Valid(src) {
		return nil, errNotJSON
	}
	p := parser{src: src}
	d := &document{lead: p.space()}
	var err error
	if d.root, err = p.value(0); err != nil {
		return nil, err
	}
	d.trail = p.space()
	return d, nil
}

// parser reads a text that is known to be JSON.
type parser struct {
	src []byte
	at  int
}

func (p *parser) space() []byte {
	start := p.at
	for p.at < len(p.src) && strings.IndexByte(" \t\r\n", p.src[p.at]) >= 0 {
		p.at++
	}
	return p.src[start:p.at]
}

func (p *parser) value(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, errDeep
	}
	switch c := p.src[p.at]; c {
	case '{', '[':
		return p.container(c, depth)
	case '"':
		raw := p.quoted()
		return &node{kind: '"', raw: raw, text: unquote(raw)}, nil
	default:
		start := p.at
		for p.at < len(p.src) && strings.IndexByte(",]} \t\r\n", p.src[p.at]) < 0 {
			p.at++
		}
		raw := p.src[start:p.at]
		if c == 't' || c == 'f' || c == 'n' {
			return &node{kind: c, raw: raw}, nil
		}
		if !boundedNumber(raw) {
			return nil, errNumber
		}
		return &node{kind: '0', raw: raw}, nil
	}
}

func (p *parser) quoted() []byte {
	start := p.at
	for p.at++; p.src[p.at] != '"'; p.at++ {
		if p.src[p.at] == '\\' {
			p.at++
		}
	}
	p.at++
	return p.src[start:p.at]
}

func (p *parser) container(open byte, depth int) (*node, error) {
	n := &node{kind: open}
	var names map[string]bool // of an object with more members than are compared one by one
	p.at++
	lead := p.space()
	if c := p.src[p.at]; c == '}' || c == ']' {
		n.inner = lead
		p.at++
		return n, nil
	}
	for {
		m := &member{lead: lead}
		if open == '{' {
			m.rawName = p.quoted()
			m.name = unquote(m.rawName)
			if len(n.members) == fewMembers {
				names = make(map[string]bool, 2*fewMembers)
				for _, o := range n.members {
					names[o.name] = true
				}
			}
			if names == nil && n.member(m.name) != nil || names[m.name] {
				return nil, errDuplicate
			}
			if names != nil {
				names[m.name] = true
			}
			start := p.at
			p.space()
			p.at++ // the colon
			p.space()
			m.mid = p.src[start:p.at]
		}
		var err error
		if m.value, err = p.value(depth + 1); err != nil {
			return nil, err
		}
		m.trail = p.space()
		n.members = append(n.members, m)
		c := p.src[p.at]
		p.at++
		if c != ',' {
			return n, nil
		}
		lead = p.space()
	}
}

func unquote(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// boundedNumber reports whether a JSON number is one to compute with.
func boundedNumber(raw []byte) bool {
	if len(raw) > maxNumber {
		return false
	}
	i := bytes.IndexAny(raw, "eE")
	if i < 0 {
		return true
	}
	exp, err := strconv.Atoi(string(raw[i+1:]))
	return err == nil && exp >= -maxExponent && exp <= maxExponent
}

// numberText returns s where it is a JSON number as it stands.
func numberText(s string) ([]byte, bool) {
	if s == "" || s[0] != '-' && (s[0] < '0' || s[0] > '9') || !json.Valid([]byte(s)) || !boundedNumber([]byte(s)) {
		return nil, false
	}
	return []byte(s), true
}

func (d *document) bytes() []byte {
	out := append([]byte(nil), d.lead...)
	return append(d.root.append(out), d.trail...)
}

func (n *node) append(out []byte) []byte {
	if n.kind != '{' && n.kind != '[' {
		return append(out, n.raw...)
	}
	out = append(append(out, n.kind), n.inner...)
	for i, m := range n.members {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, m.lead...), m.rawName...), m.mid...)
		out = append(m.value.append(out), m.trail...)
	}
	return append(out, n.kind+2) // } and ] come two after { and [
}

// value is the node as the validator wants it.
func (n *node) value() any {
	switch n.kind {
	case '{':
		m := make(map[string]any, len(n.members))
		for _, c := range n.members {
			m[c.name] = c.value.value()
		}
		return m
	case '[':
		l := make([]any, len(n.members))
		for i, c := range n.members {
			l[i] = c.value.value()
		}
		return l
	case '"':
		return n.text
	case '0':
		return json.Number(n.raw)
	case 't', 'f':
		return n.kind == 't'
	}
	return nil
}

// find returns the value at a JSON Pointer's tokens, or nil.
func (n *node) find(path []string) *node {
	for _, tok := range path {
		m := n.member(tok)
		if m == nil {
			return nil
		}
		n = m.value
	}
	return n
}

func (n *node) member(token string) *member {
	switch n.kind {
	case '{':
		for _, m := range n.members {
			if m.name == token {
				return m
			}
		}
	case '[':
		if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(n.members) {
			return n.members[i]
		}
	}
	return nil
}

// putText makes the node a string.
func (n *node) putText(s string) {
	*n = node{kind: '"', raw: quote(s), text: s}
}

// add puts a member at an object's end, spaced as the one before it is.
func (n *node) add(name string, value *node) {
	m := &member{rawName: quote(name), name: name, mid: []byte(":"), value: value, trail: n.inner}
	if len(n.members) > 0 {
		last := n.members[len(n.members)-1]
		m.lead, m.mid, m.trail = last.lead, last.mid, last.trail
		last.trail = nil
	}
	n.inner = nil
	n.members = append(n.members, m)
}

func (m *member) rename(name string) { m.rawName, m.name = quote(name), name }

func (n *node) remove(name string) {
	n.members = slices.DeleteFunc(n.members, func(m *member) bool { return m.name == name })
}

// wrap makes the node an array of itself.
func (n *node) wrap() {
	inner := *n
	*n = node{kind: '[', members: []*member{{value: &inner}}}
}

// unwrap makes an array of one element that element.
func (n *node) unwrap() { *n = *n.members[0].value }

func quote(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	// A string can be written.
	_ = enc.Encode(s)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// pointer writes a path as a JSON Pointer (RFC 6901).
func pointer(path []string) string {
	var b strings.Builder
	for _, tok := range path {
		b.WriteByte('/')
		b.WriteString(escapes.Replace(tok))
	}
	return b.String()
}

var escapes = strings.NewReplacer("~", "~0", "/", "~1")
