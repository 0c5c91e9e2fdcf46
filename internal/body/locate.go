package body

import (
	"context"
	"errors"

	"github.com/ohler55/ojg/jp"
	"github.com/ohler55/ojg/oj"
)

// maxLocated is how many places filter expressions may select in a document.
const maxLocated = 100_000

// ErrNotJSON is Locate's error for a document that is not RFC 8259 JSON or
// exceeds the limits.
var ErrNotJSON = errors.New("the document is not JSON within the limits")

// Valid reports whether doc is a JSON text within the limits. It needs no
// stack and no memory that grows with the document.
func Valid(doc []byte, lim Limits) bool {
	e := NewEditor(JSON, nil, lim)
	e.mute = true
	ctx := context.Background()
	if _, err := e.Write(ctx, nil, doc); err != nil || e.unparsed {
		return false
	}
	_, err := e.Close(ctx, nil)
	return err == nil && !e.unparsed && e.walker != nil && e.walker.state == expectNothing
}

// Locate evaluates the paths that need the whole document and returns paths
// that can be followed on the stream: the places that were found, and the
// other paths as they are. The filter expressions see the last of members
// with the same name; the places that they lead to are every one of them.
func (ps *Paths) Locate(doc []byte, lim Limits) (*Paths, error) {
	if !Valid(doc, lim) {
		return nil, ErrNotJSON
	}
	parsed, err := oj.Parse(doc)
	if err != nil {
		return nil, ErrNotJSON
	}
	out := &Paths{located: &place{}}
	found := 0
	for i := range ps.paths {
		p := &ps.paths[i]
		if !p.document {
			out.add(*p)
			continue
		}
		x, err := jp.ParseString(p.text)
		if err != nil {
			return nil, &PathError{Index: p.bit, Path: p.text, Msg: err.Error()}
		}
		for _, loc := range x.Locate(parsed, maxLocated-found) {
			out.located.add(loc, p.bit)
			found++
		}
		if found >= maxLocated {
			return nil, errors.New("a filter expression selects too many places")
		}
	}
	return out, nil
}

// place is a node of the tree of located values.
type place struct {
	names    map[string]*place
	elements map[int]*place
	any      bool
	bits     uint64
}

func (p *place) add(loc jp.Expr, bit int) {
	at := p
	for _, frag := range loc {
		switch f := frag.(type) {
		case jp.Child:
			if at.names == nil {
				at.names = map[string]*place{}
			}
			if at.names[string(f)] == nil {
				at.names[string(f)] = &place{}
			}
			at = at.names[string(f)]
		case jp.Nth:
			if at.elements == nil {
				at.elements = map[int]*place{}
			}
			if at.elements[int(f)] == nil {
				at.elements[int(f)] = &place{}
			}
			at = at.elements[int(f)]
		}
	}
	at.any = true
	if bit < 64 {
		at.bits |= 1 << bit
	}
}

func (p *place) child(name []byte, index int) *place {
	if p == nil {
		return nil
	}
	if name != nil {
		return p.names[string(name)]
	}
	return p.elements[index]
}
