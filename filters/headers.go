package filters

import (
	"iter"
	"strings"
)

// Field is one header or trailer line. Names are lower case, as HTTP/2 has
// them; pseudo-headers (":path", ":status") are fields like any other.
type Field struct{ Name, Value string }

// Headers is an ordered list of fields in which a name may stand more than
// once. The zero value is empty and ready to use. A filter reads it and
// changes it only through a Ledger.
type Headers struct{ fields []Field }

// NewHeaders returns headers with the given fields, which it takes over.
// Names must be lower case.
func NewHeaders(fields ...Field) Headers { return Headers{fields: fields} }

// Len is the number of fields.
func (h *Headers) Len() int { return len(h.fields) }

// Get returns the first value of name, or "" where there is none.
func (h *Headers) Get(name string) string {
	for i := range h.fields {
		if h.fields[i].Name == name {
			return h.fields[i].Value
		}
	}
	return ""
}

// Has reports whether name is there, even with an empty value.
func (h *Headers) Has(name string) bool {
	for i := range h.fields {
		if h.fields[i].Name == name {
			return true
		}
	}
	return false
}

// Values returns every value of name in order.
func (h *Headers) Values(name string) []string {
	var vs []string
	for i := range h.fields {
		if h.fields[i].Name == name {
			vs = append(vs, h.fields[i].Value)
		}
	}
	return vs
}

// Joined returns every value of name joined by ", ", as RFC 9110 section 5.3
// combines a list-based field.
func (h *Headers) Joined(name string) string {
	vs := h.Values(name)
	switch len(vs) {
	case 0:
		return ""
	case 1:
		return vs[0]
	}
	return strings.Join(vs, ", ")
}

// All yields the fields in order.
func (h *Headers) All() iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for _, f := range h.fields {
			if !yield(f) {
				return
			}
		}
	}
}

// Apply carries out one change. It is the runner's; a filter writes to its
// Ledger. Copies that were made of the headers before it stay as they are.
func (h *Headers) Apply(c Change) {
	switch {
	case c.Op == AddField, c.Op == SetField && !h.Has(c.Name):
		fields := make([]Field, len(h.fields), len(h.fields)+2)
		copy(fields, h.fields)
		h.fields = append(fields, Field{c.Name, c.Value})
	case h.Has(c.Name):
		kept := make([]Field, 0, len(h.fields))
		done := c.Op == RemoveField
		for _, f := range h.fields {
			if f.Name != c.Name {
				kept = append(kept, f)
			} else if !done {
				kept = append(kept, Field{c.Name, c.Value})
				done = true
			}
		}
		h.fields = kept
	}
}

// Op is what a Change does.
type Op uint8

// The operations on a field. SetField replaces every value of the name by
// one; AddField adds a value; RemoveField takes all of them away.
const (
	SetField Op = iota
	AddField
	RemoveField
)

// Change is one change of a header or trailer.
type Change struct {
	Op          Op
	Name, Value string
}
