package promptguard

import (
	"bytes"
	"encoding/json"
	"io"
)

// maxDepth is how deep a document may be nested to be taken for a chat.
const maxDepth = 256

// kind is what sort of JSON value a node is.
type kind uint8

const (
	literal kind = iota // true, false, null
	number
	text
	object
	array
)

// node is a value of a JSON document, and where it stands in it.
type node struct {
	kind       kind
	start, end int // in bytes
	text       string
	names      []string // an object's, in order, also those that stand twice
	kids       []*node
}

// get yields every member of a name: which of them a backend takes is not for
// a guard to guess.
func (n *node) get(name string) []*node {
	var found []*node
	for i, k := range n.names {
		if k == name {
			found = append(found, n.kids[i])
		}
	}
	return found
}

// word returns the text of the first member of a name that is a text.
func (n *node) word(name string) string {
	for _, m := range n.get(name) {
		if m.kind == text {
			return m.text
		}
	}
	return ""
}

// parse reads a document; nil where it is not one JSON text of bounded depth.
func parse(doc []byte) *node {
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	p := &parser{doc: doc, dec: dec}
	n, err := p.value(0)
	if err != nil || n == nil {
		return nil
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil
	}
	return n
}

type parser struct {
	doc []byte
	dec *json.Decoder
}

// value reads the next value; nil where a container ends instead.
func (p *parser) value(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, io.ErrUnexpectedEOF
	}
	start := int(p.dec.InputOffset())
	tok, err := p.dec.Token()
	if err != nil {
		return nil, err
	}
	for start < len(p.doc) && bytes.IndexByte([]byte(" \t\r\n,:"), p.doc[start]) >= 0 {
		start++
	}
	n := &node{start: start, end: int(p.dec.InputOffset())}
	switch t := tok.(type) {
	case json.Delim:
		if t == '}' || t == ']' {
			return nil, nil
		}
		n.kind = object
		if t == '[' {
			n.kind = array
		}
		if err := p.inside(n, depth); err != nil {
			return nil, err
		}
		n.end = int(p.dec.InputOffset())
	case string:
		n.kind, n.text = text, t
	case json.Number:
		n.kind = number
	}
	return n, nil
}

// inside reads what a container holds, and its end.
func (p *parser) inside(n *node, depth int) error {
	for {
		if n.kind == object {
			tok, err := p.dec.Token()
			if err != nil {
				return err
			}
			name, ok := tok.(string)
			if !ok {
				return nil // the closing brace
			}
			n.names = append(n.names, name)
		}
		kid, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		if kid == nil {
			return nil
		}
		n.kids = append(n.kids, kid)
	}
}
