package body

import (
	"bytes"
	"context"

	"github.com/sluice-proxy/sluice/filters"
)

// form reads application/x-www-form-urlencoded (WHATWG URL, section 5): an
// object whose members are the pairs. Names may repeat.
type form struct {
	e *Editor
	// pair is what has come of the open pair's name, with the & before it.
	pair    []byte
	sep     int // length of that &
	name    []byte
	inValue bool
	kept    bool // a pair has been forwarded
	value   leaf
	newName []byte
	in      flow
	scratch []byte
}

func newForm(e *Editor) *form {
	f := &form{e: e}
	f.value.e = e
	e.root()
	return f
}

func (f *form) held() int { return len(f.pair) + f.value.held() }

// feed implements parser.
func (f *form) feed(ctx context.Context, chunk []byte, end bool) (rest []byte, parsed bool, err error) {
	for len(chunk) > 0 {
		if f.inValue {
			i := bytes.IndexByte(chunk, '&')
			if i < 0 {
				if err := f.value.write(ctx, chunk); err != nil {
					return nil, true, err
				}
				break
			}
			if err := f.endPair(ctx, chunk[:i]); err != nil {
				return nil, true, err
			}
			f.pair, f.sep = append(f.pair[:0], '&'), 1
			chunk = chunk[i+1:]
			continue
		}
		i := bytes.IndexAny(chunk, "&=")
		n := i
		if i < 0 {
			n = len(chunk)
		}
		if room := f.e.limits.NameBytes - (len(f.pair) - f.sep); n > room {
			return append(f.pair, chunk...), false, nil
		}
		f.pair = append(f.pair, chunk[:n]...)
		if i < 0 {
			break
		}
		bare := chunk[i] == '&'
		if err := f.beginValue(ctx, bare); err != nil {
			return nil, true, err
		}
		chunk = chunk[i+1:]
		if bare {
			f.pair, f.sep = append(f.pair[:0], '&'), 1
		}
	}
	if !end {
		return nil, true, nil
	}
	if f.inValue {
		return nil, true, f.endPair(ctx, nil)
	}
	if len(f.pair) > 0 {
		err = f.beginValue(ctx, true)
	}
	return nil, true, err
}

// beginValue is called when the open pair's name is complete. bare: there is
// no = behind it, and it is shown as a value.
func (f *form) beginValue(ctx context.Context, bare bool) error {
	raw := f.pair[f.sep:]
	sep := f.pair[:f.sep]
	if !f.kept {
		sep = nil // what stood before it was removed, so its & goes too
	}
	if bare && len(raw) == 0 {
		f.e.out(sep)
		f.kept, f.pair, f.sep = true, f.pair[:0], 0
		return nil
	}
	f.scratch = f.in.decodeAs(formText, raw, f.scratch)
	f.name = append(f.name[:0], f.in.text...)
	depth := f.e.base + 1
	f.e.child(depth, f.name)
	v := &f.value
	f.inValue = true
	if bare {
		v.begin(filters.String, nil, depth, asValue, formText)
		v.prefix = append(v.prefix, sep...)
		return f.endPair(ctx, raw)
	}
	// The name first, into what goes before the value.
	v.begin(filters.Name, f.name, depth, asName, formText)
	f.newName = f.newName[:0]
	v.to = &f.newName
	if v.watched {
		if err := v.whole(ctx, raw); err != nil {
			return err
		}
	} else {
		v.out(raw)
	}
	drop := v.removed
	if v.renamed != "" {
		f.newName = formText.appendEscaped(f.newName[:0], []byte(v.renamed))
	}
	v.begin(filters.String, f.name, depth, asValue, formText)
	v.prefix = append(append(append(v.prefix, sep...), f.newName...), '=')
	v.removed = drop
	f.pair, f.sep = f.pair[:0], 0
	return nil
}

// endPair takes the last of the open pair's value.
func (f *form) endPair(ctx context.Context, raw []byte) error {
	f.inValue, f.pair, f.sep = false, f.pair[:0], 0
	if err := f.value.end(ctx, raw); err != nil {
		return err
	}
	if f.value.removed {
		return nil
	}
	f.value.out(nil) // the name, where the value is empty
	f.kept = true
	return nil
}
