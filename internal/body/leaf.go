package body

import (
	"bytes"
	"context"

	"github.com/sluice-proxy/sluice/filters"
)

// scope is to whom a leaf is shown.
type scope uint8

const (
	asValue scope = iota // to those whose paths select it
	asName               // as the name of what is at its level
	asRest               // to all: it belongs to no structure
)

// leaf is one value on its way through the stages, in a format other than
// JSON: begin, any number of writes, end. It is gathered to PieceBytes and
// shown as a whole, and beyond that in pieces that do not depend on how it
// came. What becomes of it goes out by way of the editor, or to the writer's
// own buffer.
type leaf struct {
	e      *Editor
	kind   filters.Kind
	key    []byte
	depth  int
	scope  scope
	syntax syntax
	to     *[]byte // instead of the editor's output

	// prefix is written before the value, and not at all where that is
	// removed.
	prefix []byte

	watched  bool
	inPieces bool
	removed  bool
	over     bool // replaced: the rest of it is nobody's
	marked   bool // there is markup of XML in what has gathered
	cdata    bool // which ends inside a CDATA section
	renamed  string
	buf      []byte
	parts    pieces
	scratch  []byte
	in       flow
	flows    [2]flow
}

func (l *leaf) begin(kind filters.Kind, key []byte, depth int, sc scope, s syntax) {
	l.kind, l.key, l.depth, l.scope, l.syntax = kind, key, depth, sc, s
	l.inPieces, l.removed, l.over, l.renamed = false, false, false, ""
	l.marked, l.cdata = false, false
	l.buf, l.prefix, l.to = l.buf[:0], l.prefix[:0], nil
	l.watched = false
	for _, r := range l.e.stages {
		if l.looks(r) {
			l.watched = true
			return
		}
	}
}

// held is how many bytes it holds.
func (l *leaf) held() int { return len(l.buf) + len(l.prefix) + l.parts.held }

func (l *leaf) looks(r *runner) bool {
	switch {
	case r.dropped || r.stage.Ignores>>l.kind&1 != 0:
		return false
	case r.stage.Paths == nil || l.scope == asRest:
		return true
	case l.scope == asName:
		at := &r.match.levels[l.depth-1]
		return at.any || at.inside
	}
	return r.looks(l.depth)
}

func (l *leaf) prepare(r *runner) *filters.Value {
	lv := level{any: true, bits: ^uint64(0)}
	switch {
	case r.stage.Paths == nil || l.scope == asRest:
	case l.scope == asName:
		at := &r.match.levels[l.depth-1]
		lv = level{inside: true, insideBits: at.bits | at.insideBits}
	default:
		lv = r.match.levels[l.depth]
	}
	v := r.prepare(l.kind, l.key, &lv)
	if l.scope == asRest {
		v.Paths, v.Inside = ^uint64(0), false
	}
	return v
}

// out writes what is settled.
func (l *leaf) out(p []byte) {
	if len(l.prefix) > 0 {
		l.put(l.prefix)
		l.prefix = l.prefix[:0]
	}
	l.put(p)
}

func (l *leaf) put(p []byte) {
	if l.to != nil {
		*l.to = append(*l.to, p...)
		return
	}
	l.e.out(p)
}

// write takes a part of the value, as it is written.
func (l *leaf) write(ctx context.Context, raw []byte) error {
	switch {
	case l.removed || l.over:
		return nil
	case !l.watched:
		l.out(raw)
		return nil
	}
	for len(raw) > 0 && !l.removed && !l.over {
		n := min(len(raw), l.e.limits.PieceBytes-len(l.buf))
		l.buf = append(l.buf, raw[:n]...)
		raw = raw[n:]
		if len(l.buf) < l.e.limits.PieceBytes {
			return nil
		}
		cut := l.cut
		if l.marked {
			cut = l.split
		}
		if err := cut(ctx); err != nil {
			return err
		}
	}
	return nil
}

// end takes the last part of the value.
func (l *leaf) end(ctx context.Context, raw []byte) error {
	if len(l.buf) > 0 || l.inPieces || !l.watched || len(raw) > l.e.limits.PieceBytes {
		if err := l.write(ctx, raw); err != nil {
			return err
		}
		raw = l.buf
	}
	switch {
	case l.removed || l.over || !l.watched:
		return nil
	case l.inPieces:
		return l.piece(ctx, raw, false, nil)
	}
	return l.whole(ctx, raw)
}

// markup adds markup of XML that stands in the midst of the text.
func (l *leaf) markup(ctx context.Context, raw []byte) error {
	l.buf, l.marked = append(l.buf, raw...), true
	if len(l.buf) < l.e.limits.PieceBytes {
		return nil
	}
	return l.split(ctx)
}

// split ends a value that has markup in it and is too long to be held, and
// begins another.
func (l *leaf) split(ctx context.Context) error {
	n := l.wholePart()
	if n == 0 {
		n = len(l.buf)
	}
	if err := l.whole(ctx, l.buf[:n]); err != nil {
		return err
	}
	l.buf, l.marked = l.buf[:copy(l.buf, l.buf[n:])], false
	if l.cdata {
		l.syntax = xmlCDATA
	}
	return nil
}

// giveUp returns what has not been forwarded of the value: it turns out to be
// none.
func (l *leaf) giveUp(ctx context.Context) ([]byte, error) {
	if l.inPieces && !l.removed && !l.over {
		if err := l.piece(ctx, nil, false, nil); err != nil {
			return nil, err
		}
	}
	return append(l.prefix, l.buf...), nil
}

// whole shows a value that is there as a whole.
func (l *leaf) whole(ctx context.Context, raw []byte) error {
	l.scratch = l.in.decodeAs(l.syntax, raw, l.scratch)
	cur := &l.in
	if l.syntax == xmlText && isBlank(cur.text) {
		l.out(raw)
		return nil
	}
	for _, r := range l.e.stages {
		if !l.looks(r) {
			continue
		}
		v := l.prepare(r)
		v.Text = cur.text
		if err := r.stage.Stream.Value(ctx, v); err != nil {
			return err
		}
		if !v.Touched() {
			continue
		}
		if name := v.Renamed(); name != "" {
			l.renamed = name
		}
		verb, json := v.Outcome()
		if verb == filters.Remove && l.syntax != xmlText && l.syntax != xmlCDATA {
			l.removed = true
			return nil
		}
		out := &l.flows[0]
		if cur == out {
			out = &l.flows[1]
		}
		out.reset()
		switch {
		case verb != filters.Keep:
			// All of it, but for the markup within.
			var with []byte
			if verb == filters.Replace {
				with = scalarText(json)
			}
			out.edit(cur, []filters.Edit{{End: len(cur.text), With: with}}, len(cur.text), l.syntax)
		case len(v.Edits()) > 0:
			out.edit(cur, v.Edits(), len(cur.text), l.syntax)
		default:
			continue
		}
		cur = out
	}
	l.out(cur.raw)
	return nil
}

// scalarText is what a JSON value stands for where there are no types.
func scalarText(json []byte) []byte {
	if len(json) >= 2 && json[0] == '"' {
		var f flow
		f.decode(json[1:len(json)-1], nil)
		return f.text
	}
	return json
}

// cut shows what has gathered as a piece of a longer value. It does not end
// within an escape or a character.
func (l *leaf) cut(ctx context.Context) error {
	n := l.wholePart()
	if n == 0 { // nothing but the beginning of an escape: it stands for itself
		n = len(l.buf)
	}
	var outcome func(*runner, *filters.Value) bool
	verb, json := filters.Keep, []byte(nil)
	if !l.inPieces {
		l.inPieces = true
		l.parts.start(l.syntax, 4*l.e.limits.PieceBytes)
		for _, r := range l.e.stages {
			if l.looks(r) {
				l.parts.add(r)
			}
		}
		// The first piece decides about the whole.
		outcome = func(_ *runner, v *filters.Value) bool {
			verb, json = v.Outcome()
			return verb == filters.Keep
		}
	}
	raw := l.buf[:n]
	if err := l.piece(ctx, raw, true, outcome); err != nil {
		return err
	}
	switch verb {
	case filters.Remove:
		l.removed = true
	case filters.Replace:
		l.over = true
		l.out(l.syntax.appendEscaped(nil, scalarText(json)))
	}
	l.buf = l.buf[:copy(l.buf, l.buf[n:])]
	return nil
}

// wholePart returns how much of what has gathered does not end within an
// escape or a character.
func (l *leaf) wholePart() int {
	n := l.syntax.wholeEscapes(l.buf)
	l.scratch = l.in.decodeAs(l.syntax, l.buf[:n], l.scratch)
	if whole := wholeCharacters(l.in.text); whole < len(l.in.text) {
		n = l.in.rawFrom(whole)
	}
	return n
}

func (l *leaf) piece(ctx context.Context, raw []byte, more bool, outcome func(*runner, *filters.Value) bool) error {
	l.scratch = l.in.decodeAs(l.syntax, raw, l.scratch)
	kept := true
	watch := outcome
	if outcome != nil {
		watch = func(r *runner, v *filters.Value) bool { kept = outcome(r, v); return kept }
	}
	out, err := l.parts.push(ctx, &l.in, more, l.prepare, watch)
	if err != nil || !kept {
		return err
	}
	if len(out.raw) > 0 || !more {
		l.out(out.raw)
	}
	if !more {
		l.parts.held = 0
	}
	return nil
}

// isBlank reports whether b is nothing but white space.
func isBlank(b []byte) bool { return len(bytes.TrimLeft(b, " \t\r\n")) == 0 }
