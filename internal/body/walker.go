package body

import (
	"bytes"
	"context"
	"unsafe"

	"github.com/sluice-proxy/sluice/filters"
)

const (
	maxScalar  = 4 << 10  // the longest number or literal
	maxPending = 64 << 10 // the most white space around a member's colon
)

// expect is what may come next in the document.
type expect uint8

const (
	expectValue expect = iota
	expectFirstElement
	expectFirstName
	expectName
	expectColon
	expectCommaOrEnd
	expectNothing
	inSkippedString // a string that no stage looks at
	inPieces        // a string that is shown in pieces
)

// walker is a push parser for JSON that forwards what it reads.
//
// It works on data: what it held back, and the chunk. data[:mark] has been
// dealt with, data[mark:] is emitted up to where the parser stands when the
// chunk has been used up, except for what is pending: a member whose fate is
// open, from its comma on, or a token that is not complete.
type walker struct {
	e     *Editor
	lines bool
	// events, where set, takes the strings that are parts of joined values.
	events *events

	state  expect
	frames []frame
	top    *frame // the innermost, or root
	root   frame  // stands for the place of the top-level value
	// names are the decoded names of the members that the open containers are
	// the values of; member is that of the innermost object's open one. It may
	// lie in data, and is copied when that goes.
	names, member []byte

	follows bool // some stage has paths
	// only is the stage where there is one and it sees everything.
	only *runner
	// shown: some stage has been shown something, but for joined values, that it
	// has to be shown again in an event that is the same; see saw. behind: a part
	// of a joined value has been.
	shown, behind bool

	data []byte
	end  bool // data ends the body
	mark int
	pos  int

	// pending is where the open member begins (its comma, or itself), or -1.
	pending int
	comma   int // where its comma is, or -1
	// The name of the open member in data, quotes included, and what is to be
	// written in its place.
	nameFrom, nameTo int
	newName          []byte
	dropMember       bool
	hasName          bool

	token int // where the token being scanned begins, or -1
	scan  int // up to where it has been scanned
	// drop is the depth of the container that is being removed, or -1.
	drop    int
	parts   pieces
	scratch []byte
	name    []byte
	flow    flow
	flows   [2]flow
}

// frame is an open container.
type frame struct {
	array  bool
	closer byte   // what ends it
	next   expect // what comes behind a comma
	kept   bool   // a member or element was forwarded
	shaped bool
	named  bool // some stage is shown its names
	seen   bool // some stage is shown all that is in it
	dark   bool // nobody is shown anything of it
	// names[key:base] is the name that its elements go by, where it is an
	// array.
	key, base int32
	index     int // of the next element
}

func newWalker(e *Editor, lines bool) *walker {
	w := e.spare
	if e.spare = nil; w == nil {
		w = new(walker)
	}
	if w.frames == nil {
		w.frames = make([]frame, 0, 8)
	}
	if w.names == nil {
		w.names = make([]byte, 0, 64)
	}
	w.e, w.lines = e, lines
	w.restart()
	return w
}

func (w *walker) restart() {
	w.state, w.frames, w.names = expectValue, w.frames[:0], append(w.names[:0], w.e.key...)
	w.root = frame{array: true, base: int32(len(w.names))}
	w.top, w.follows, w.only = &w.root, false, nil
	for _, r := range w.e.stages {
		w.follows = w.follows || !r.dropped && r.stage.Paths != nil
	}
	if len(w.e.stages) == 1 && !w.follows && !w.e.stages[0].dropped {
		w.only = w.e.stages[0]
	}
	w.pending, w.token, w.drop, w.comma = -1, -1, -1, -1
	w.hasName, w.dropMember = false, false
	w.e.root()
}

// level is how deep the value that comes lies, for the matchers.
func (w *walker) level() int { return w.e.base + len(w.frames) }

// settled is up to where data can be forwarded: before a member whose fate is
// open, or an incomplete token.
func (w *walker) settled() int {
	switch {
	case w.pending >= 0:
		return w.pending
	case w.token >= 0:
		return w.token
	}
	return w.pos
}

// run parses data. parsed is false from where on it is not JSON; settled then
// tells where.
func (w *walker) run(ctx context.Context) (parsed bool, err error) {
	for {
		if w.pos >= len(w.data) && !(w.end && w.token >= 0) {
			return true, nil
		}
		if w.pending >= 0 && w.pos-w.pending > w.e.limits.NameBytes+maxPending && w.token < 0 {
			w.e.reached.Name = true
			return false, nil
		}
		before, state := w.pos, w.state
		if len(w.frames) > 0 && w.token < 0 && w.state < expectNothing {
			if ok, err := w.tokens(ctx); err != nil || !ok {
				return ok, err
			}
			if w.pos != before || w.state != state {
				continue
			}
		}
		ok, err := w.step(ctx)
		if err != nil || !ok {
			return ok, err
		}
		if w.pos == before && w.state == state && w.token >= 0 {
			return true, nil // more bytes are needed
		}
	}
}

// tokens parses what is plain: tokens that data has as a whole, and names
// without escapes. It stops before what is not, which is for step, having
// changed nothing that step does.
func (w *walker) tokens(ctx context.Context) (ok bool, err error) {
	data, pos := w.data, w.pos
	lim := &w.e.limits
	most := lim.NameBytes + maxPending
plain:
	for len(w.frames) > 0 {
		top := w.top
		if w.only != nil && w.drop < 0 && (w.state == expectCommaOrEnd || w.state == expectFirstName || w.state == expectFirstElement) {
			if pos, err = w.forOnly(ctx, pos); err != nil {
				return false, err
			}
			if top = w.top; len(w.frames) == 0 {
				break
			}
		}
		switch w.state {
		case expectCommaOrEnd:
			if pos = spaceEnd(data, pos); pos == len(data) {
				break plain
			}
			if data[pos] == top.closer {
				w.pos = pos
				if ok, err := w.closeContainer(ctx, top.array); err != nil || !ok {
					return ok, err
				}
				pos = w.pos
				continue
			}
			if data[pos] != ',' {
				break plain
			}
			w.pending, w.comma = pos, pos
			pos++
			w.state = top.next
			fallthrough
		case expectFirstName, expectName:
			if !top.array {
				if pos = spaceEnd(data, pos); pos == len(data) {
					break plain
				}
				if data[pos] != '"' {
					if data[pos] != '}' || w.state != expectFirstName {
						break plain
					}
					w.pos = pos
					if ok, err := w.closeContainer(ctx, false); err != nil || !ok {
						return ok, err
					}
					pos = w.pos
					continue
				}
				if w.pending < 0 {
					w.pending = pos
				}
				end := plainEnd(data, pos+1)
				if end == len(data) || data[end] != '"' || end-pos > lim.NameBytes || pos-w.pending > most {
					break plain
				}
				w.openMember(w.pending, w.comma, pos+1, end)
				pos = end + 1
				if top.named {
					w.pos = pos
					if err := w.showName(ctx); err != nil {
						return false, err
					}
				}
				if w.follows && !top.dark {
					w.descend()
				}
			}
			fallthrough
		case expectColon:
			if w.state == expectColon {
				if pos = spaceEnd(data, pos); pos == len(data) || data[pos] != ':' {
					break plain
				}
				pos++
				w.state = expectValue
			}
			fallthrough
		case expectValue, expectFirstElement:
			if pos = spaceEnd(data, pos); pos == len(data) {
				break plain
			}
			c := data[pos]
			if c == ']' && w.state == expectFirstElement {
				w.pos = pos
				if ok, err := w.closeContainer(ctx, true); err != nil || !ok {
					return ok, err
				}
				pos = w.pos
				continue
			}
			if w.pending < 0 {
				w.pending = pos
			}
			if w.dropMember || pos-w.pending > most {
				break plain
			}
			if c == '{' || c == '[' {
				if top.array && w.follows {
					w.descend()
				}
				w.pos = pos
				if ok, err := w.openContainer(ctx, c == '['); err != nil || !ok {
					return ok, err
				}
				pos = w.pos
				continue
			}
			kind, end, escaped := scalarEnd(data, pos)
			if end < 0 || end-pos > maxScalar && kind != filters.String || end-pos-2 >= lim.PieceBytes || w.events != nil && w.events.isPart(pos) {
				break plain
			}
			if top.array && w.follows {
				w.descend()
			}
			if top.seen || !top.dark && w.watched() {
				text := data[pos:end]
				if kind == filters.String {
					if text = text[1 : len(text)-1]; escaped {
						w.scratch = appendUnescaped(w.scratch[:0], text)
						text = w.scratch
					}
				}
				w.pos = end
				if changed, err := w.show(ctx, kind, pos, end, text); err != nil {
					return false, err
				} else if changed {
					pos = end
					continue
				}
			}
			if top.kept && w.newName == nil {
				w.pending, w.comma, w.hasName = -1, -1, false
			} else {
				w.commit()
			}
			w.state = expectCommaOrEnd
			pos = end
		}
	}
	w.pos = pos
	return true, nil
}

// step parses one token, or a part of one.
func (w *walker) step(ctx context.Context) (ok bool, err error) {
	switch w.state {
	case inSkippedString:
		return w.skipString(), nil
	case inPieces:
		return w.stringPiece(ctx)
	}
	if w.token >= 0 {
		return w.resume(ctx)
	}
	c := w.data[w.pos]
	if isSpace(c) || c == 0x1e && w.lines && (w.state == expectNothing || len(w.frames) == 0) {
		w.pos++
		for w.pos < len(w.data) && isSpace(w.data[w.pos]) {
			w.pos++
		}
		return true, nil
	}
	switch w.state {
	case expectValue, expectFirstElement:
		if c == ']' && w.state == expectFirstElement {
			return w.closeContainer(ctx, true)
		}
		if w.pending < 0 {
			w.pending = w.pos
		}
		return w.beginValue(ctx, c)
	case expectFirstName, expectName:
		if c == '}' && w.state == expectFirstName {
			return w.closeContainer(ctx, false)
		}
		if c != '"' {
			return false, nil
		}
		if w.pending < 0 {
			w.pending = w.pos
		}
		w.token, w.scan = w.pos, w.pos+1
		return w.resume(ctx)
	case expectColon:
		if c != ':' {
			return false, nil
		}
		w.pos++
		w.state = expectValue
		return true, nil
	case expectCommaOrEnd:
		top := w.top
		switch {
		case c == ',':
			w.pending, w.comma = w.pos, w.pos
			w.pos++
			w.state = expectName
			if top.array {
				w.state = expectValue
			}
			return true, nil
		case c == ']' && top.array, c == '}' && !top.array:
			return w.closeContainer(ctx, top.array)
		}
		return false, nil
	case expectNothing:
		if !w.lines {
			return false, nil
		}
		w.restart()
		return true, nil
	}
	return false, nil
}

// resume goes on with the token that began at w.token.
func (w *walker) resume(ctx context.Context) (bool, error) {
	if w.state == expectName || w.state == expectFirstName {
		return w.scanName(ctx)
	}
	if w.data[w.token] == '"' {
		return w.scanString(ctx)
	}
	return w.scanScalar(ctx)
}

// plainToQuote scans a string from w.scan to its closing quote, or to limit.
// done: the quote is at w.scan. bad: it is no JSON string.
func (w *walker) plainToQuote(limit int) (done, bad bool) {
	for {
		stop := min(len(w.data), limit)
		if w.scan >= stop {
			return false, false
		}
		w.scan = plainEnd(w.data[:stop], w.scan)
		if w.scan >= stop {
			return false, false
		}
		switch w.data[w.scan] {
		case '"':
			return true, false
		case '\\':
			n := escapeLen(w.data[w.scan:], w.end)
			if n < 0 {
				return false, true
			}
			if n == 0 {
				return false, false
			}
			w.scan += n
		default:
			return false, true
		}
	}
}

func (w *walker) scanName(ctx context.Context) (bool, error) {
	done, bad := w.plainToQuote(w.token + 1 + w.e.limits.NameBytes + 16)
	if bad || !done && (w.scan-w.token > w.e.limits.NameBytes || w.end) {
		w.e.reached.Name = w.e.reached.Name || !bad && !w.end
		return false, nil
	}
	if !done {
		return true, nil
	}
	w.nameFrom, w.nameTo = w.token, w.scan+1
	if w.nameTo-w.nameFrom-2 > w.e.limits.NameBytes {
		w.e.reached.Name = true
		return false, nil
	}
	w.member = w.data[w.token+1 : w.scan]
	if bytes.IndexByte(w.member, '\\') >= 0 {
		w.name = appendUnescaped(w.name[:0], w.member)
		w.member = w.name
	}
	w.hasName, w.newName, w.dropMember = true, nil, false
	w.token, w.pos = -1, w.nameTo
	w.state = expectColon
	if w.top.named {
		if err := w.showName(ctx); err != nil {
			return false, err
		}
	}
	w.descend()
	return true, nil
}

// descend moves the matchers to the value that comes: a member of the
// innermost object by its name, or the next element of an array.
func (w *walker) descend() {
	top := w.top
	if len(w.frames) == 0 || top.dark {
		return
	}
	name, index := w.member, 0
	if top.array {
		name, index = nil, top.index
		top.index++
	}
	if !w.follows {
		return
	}
	depth := w.level()
	for _, r := range w.e.stages {
		r.match.child(depth, name, index)
	}
}

// key is the nearest member name around the value that comes.
func (w *walker) key() []byte {
	top := w.top
	if !top.array {
		return w.member
	}
	// An array's elements go by the array's name, and the body, where it is
	// part of another, by its name there.
	return w.names[top.key:top.base]
}

// keepName copies the name of the open member, before data goes.
func (w *walker) keepName() {
	if top := w.top; !top.array {
		w.names = append(w.names[:top.base], w.member...)
		w.member = w.names[top.base:]
	}
}

// watched reports whether any stage is to see the value that comes.
func (w *walker) watched() bool {
	if w.drop >= 0 || w.top.dark {
		return false
	}
	if w.top.seen {
		return true
	}
	depth := w.level()
	for _, r := range w.e.stages {
		if r.looks(depth) {
			return true
		}
	}
	return false
}

func (w *walker) beginValue(ctx context.Context, c byte) (bool, error) {
	if top := w.top; top.array && len(w.frames) > 0 {
		w.descend()
	}
	if w.dropMember && w.drop < 0 {
		w.startDrop()
	}
	switch {
	case c == '{' || c == '[':
		return w.openContainer(ctx, c == '[')
	case c == '"':
		if !w.watched() {
			w.pos++
			w.commit()
			w.state = inSkippedString
			return true, nil
		}
		if w.events != nil {
			if part, err := w.events.part(ctx, w); part || err != nil {
				return true, err
			}
		}
		w.token, w.scan = w.pos, w.pos+1
		return w.scanString(ctx)
	case c == '-' || c >= '0' && c <= '9' || c == 't' || c == 'f' || c == 'n':
		w.token, w.scan = w.pos, w.pos+1
		return w.scanScalar(ctx)
	}
	return false, nil
}

// commit decides that the open member stays: what was pending is forwarded,
// with its new name.
func (w *walker) commit() {
	if w.drop < 0 {
		top := w.top
		if w.comma >= 0 && !top.kept {
			// Everything before it was removed, so its comma goes too.
			w.emit(w.comma)
			w.mark = w.comma + 1
		}
		if w.hasName && w.newName != nil {
			w.emit(w.nameFrom)
			w.e.out(w.newName)
			w.mark = w.nameTo
		}
		top.kept = true
	}
	w.pending, w.comma, w.hasName = -1, -1, false
}

// startDrop decides that the open member goes, with all that its value holds.
func (w *walker) startDrop() {
	w.emit(w.pending)
	w.pending, w.comma, w.hasName, w.dropMember = -1, -1, false, false
	w.drop = len(w.frames)
	if w.drop == 0 {
		w.e.out([]byte("null")) // nothing at all would be no JSON
	}
}

// emit forwards data[mark:to].
func (w *walker) emit(to int) {
	if to > w.mark {
		w.e.out(w.data[w.mark:to])
		w.mark = to
	}
}

// afterValue is called when a value has ended at w.pos.
func (w *walker) afterValue() {
	if w.drop == len(w.frames) {
		w.drop, w.mark = -1, w.pos
	}
	w.state = expectCommaOrEnd
	if len(w.frames) == 0 {
		w.state = expectNothing
	}
}

func (w *walker) openContainer(ctx context.Context, array bool) (bool, error) {
	if len(w.frames) >= w.e.limits.Depth {
		w.e.reached.Depth = true
		return false, nil
	}
	f := frame{array: array, dark: true}
	if w.drop < 0 && !w.top.dark {
		if err := w.showContainer(ctx, &f); err != nil {
			return false, err
		}
	}
	w.commit()
	w.pos++
	w.push(f, w.member)
	return true, nil
}

// push makes a container the innermost one; name is that of its member, where it
// is one's value.
func (w *walker) push(f frame, name []byte) {
	top := w.top
	f.closer, f.next, w.state = '}', expectName, expectFirstName
	if f.array {
		f.closer, f.next, w.state = ']', expectValue, expectFirstElement
	}
	if f.key = top.key; !top.array {
		f.key = top.base
		if !f.dark {
			w.names = append(w.names[:top.base], name...)
		}
	}
	f.base = int32(len(w.names))
	w.frames = append(w.frames, f)
	w.top = &w.frames[len(w.frames)-1]
}

// showContainer shows an object or array to the stages that select it, or one
// that tells a text again to those that look at what is in it, and finds out
// who is to see what is in it.
func (w *walker) showContainer(ctx context.Context, f *frame) error {
	depth, kind := w.level(), filters.Object
	if f.array {
		kind = filters.Array
	}
	retold := !f.array && Retells(stringOf(w.key()))
	for _, r := range w.e.stages {
		if r.dropped {
			continue
		}
		names := r.stage.Ignores>>filters.Name&1 == 0
		l, selected := r.level(depth), false
		if l == nil {
			f.dark, f.named, f.seen = false, f.named || names, true
		} else {
			selected = l.any
			if inside := !r.match.exact && (l.any || l.inside); inside || r.match.goes(depth) {
				f.dark, f.named, f.seen = false, f.named || inside && names, f.seen || inside
			}
		}
		if !selected && !(retold && r.looks(depth)) {
			continue
		}
		if r.stage.Ignores>>kind&1 != 0 {
			f.shaped = f.shaped || selected && r.shaper != nil && !f.array
			continue
		}
		v := r.prepare(kind, w.key(), l)
		if err := r.stage.Stream.Value(ctx, v); err != nil {
			return err
		}
		w.saw(r)
		if name := v.Renamed(); name != "" && w.hasName {
			w.rename(name)
		}
		switch verb, json := v.Outcome(); verb {
		case filters.Remove:
			w.startDrop()
		case filters.Replace:
			w.commit()
			w.emit(w.pos)
			w.e.out(json)
			w.drop = len(w.frames)
		default:
			f.shaped = f.shaped || selected && r.shaper != nil && !f.array
			continue
		}
		f.dark, f.named, f.seen = true, false, false
		return nil
	}
	return nil
}

func (w *walker) closeContainer(ctx context.Context, array bool) (bool, error) {
	if len(w.frames) == 0 {
		return false, nil
	}
	top := w.top
	depth := w.level() - 1
	if top.shaped && w.drop < 0 {
		w.emit(w.pos)
		for _, r := range w.e.stages {
			if r.dropped || r.shaper == nil || !r.match.levels[depth].any {
				continue
			}
			w.shown = true
			o := filters.ObjectEnd{Paths: r.match.levels[depth].bits}
			if err := r.shaper.End(ctx, &o); err != nil {
				return false, err
			}
			for _, m := range o.Added {
				if top.kept {
					w.e.out([]byte{','})
				}
				top.kept = true
				w.e.out([]byte{'"'})
				w.e.out(jsonString.appendEscaped(nil, []byte(m.Name)))
				w.e.out([]byte{'"', ':'})
				w.e.out(m.JSON)
			}
		}
	}
	w.pos++
	w.names = w.names[:top.base]
	w.frames = w.frames[:len(w.frames)-1]
	if w.top = &w.root; len(w.frames) > 0 {
		w.top = &w.frames[len(w.frames)-1]
	}
	w.afterValue()
	return true, nil
}

func (w *walker) rename(name string) {
	w.newName = append(jsonString.appendEscaped([]byte{'"'}, []byte(name)), '"')
}

// skipString passes over a string that no stage looks at.
func (w *walker) skipString() bool {
	w.scan, w.token = w.pos, -1
	done, bad := w.plainToQuote(len(w.data))
	w.pos = w.scan
	if bad || !done && w.end {
		return false
	}
	if done {
		w.pos++
		w.afterValue()
		return true
	}
	if w.pos < len(w.data) {
		w.token = w.pos // an escape that is cut: it is held
	}
	return true
}

func (w *walker) scanScalar(ctx context.Context) (bool, error) {
	for w.scan < len(w.data) && !isDelimiter(w.data[w.scan]) {
		w.scan++
	}
	if w.scan-w.token > maxScalar {
		return false, nil
	}
	if w.scan == len(w.data) && !w.end {
		return true, nil
	}
	raw := w.data[w.token:w.scan]
	kind := filters.Number
	switch {
	case string(raw) == "true", string(raw) == "false":
		kind = filters.Bool
	case string(raw) == "null":
		kind = filters.Null
	case !isNumber(raw):
		return false, nil
	}
	return true, w.showScalar(ctx, kind, w.token, w.scan, raw)
}

func (w *walker) scanString(ctx context.Context) (bool, error) {
	limit := w.token + 1 + w.e.limits.PieceBytes
	done, bad := w.plainToQuote(limit)
	if bad || !done && w.end && w.scan >= len(w.data) {
		return false, nil
	}
	if done {
		text := w.data[w.token+1 : w.scan]
		return true, w.showScalar(ctx, filters.String, w.token, w.scan+1, w.unescaped(text))
	}
	if w.scan < limit {
		if w.end {
			return false, nil
		}
		return true, nil
	}
	cut, known := w.cutAt(w.scan)
	if !known {
		if w.end {
			return false, nil
		}
		return true, nil
	}
	return true, w.beginPieces(ctx, cut)
}

// cutAt moves a cut forward to the end of the UTF-8 sequence that it is in.
func (w *walker) cutAt(at int) (cut int, known bool) {
	for n := 0; n < 3; n++ {
		if at >= len(w.data) {
			return 0, false
		}
		if w.data[at]&0xC0 != 0x80 {
			return at, true
		}
		at++
	}
	return at, true
}

// unescaped returns the text of a whole string. It is valid until the next.
func (w *walker) unescaped(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	w.scratch = appendUnescaped(w.scratch[:0], raw)
	return w.scratch
}

// showScalar shows a complete value, data[from:to], to the stages and
// forwards what becomes of it.
func (w *walker) showScalar(ctx context.Context, kind filters.Kind, from, to int, text []byte) error {
	w.pos, w.token = to, -1
	if w.drop < 0 && !w.top.dark {
		if changed, err := w.show(ctx, kind, from, to, text); changed || err != nil {
			return err
		}
	}
	w.commit()
	w.afterValue()
	return nil
}

// show shows the value data[from:to] to the stages. Where one of them changes
// it, all is done that is to be done about it.
func (w *walker) show(ctx context.Context, kind filters.Kind, from, to int, text []byte) (changed bool, err error) {
	depth, key := w.level(), w.key()
	for i, r := range w.e.stages {
		if !r.shows(kind, depth) {
			continue
		}
		v := r.prepare(kind, key, r.level(depth))
		v.Text = text
		if err := r.stage.Stream.Value(ctx, v); err != nil {
			return false, err
		}
		w.saw(r)
		if v.Touched() {
			return true, w.change(ctx, i, from, to, text)
		}
	}
	return false, nil
}

// saw takes note that a stage has been shown a value. One that it left as it is
// need not be shown again where its state is what it was: before the text of an
// event, that is.
func (w *walker) saw(r *runner) {
	if r.steady == nil || w.behind || r.value.Touched() {
		w.shown = true
	}
}

// change carries out what stage i wants of the value data[from:to], and shows
// what has become of it to the stages behind that one.
func (w *walker) change(ctx context.Context, i, from, to int, text []byte) error {
	r, depth := w.e.stages[i], w.level()
	kind := r.value.Kind
	quoted, final := kind == filters.String, false
	var cur *flow
	for {
		v := &r.value
		if name := v.Renamed(); name != "" && w.hasName {
			w.rename(name)
		}
		verb, json := v.Outcome()
		if verb == filters.Remove {
			w.startDrop()
			w.afterValue()
			return nil
		}
		if cur == nil && quoted && verb == filters.Keep && w.next(i, kind, depth) < 0 {
			w.commit()
			w.edit(from+1, to-1, len(text), v.Edits())
			w.afterValue()
			return nil
		}
		if cur == nil {
			cur = &w.flow
			if quoted {
				w.scratch = cur.decode(w.data[from+1:to-1], w.scratch)
			} else {
				cur.text, cur.raw, cur.offsets = text, text, cur.offsets[:0]
			}
		}
		out := &w.flows[0]
		if cur == out {
			out = &w.flows[1]
		}
		out.reset()
		switch {
		case verb == filters.Replace:
			kind, quoted, final = w.takeJSON(out, json)
			cur = out
		case len(v.Edits()) > 0:
			out.edit(cur, v.Edits(), len(cur.text), jsonString)
			kind, quoted = filters.String, true
			cur = out
		}
		if i = w.next(i, kind, depth); i < 0 || final {
			break
		}
		r = w.e.stages[i]
		v = r.prepare(kind, w.key(), r.level(depth))
		v.Text = cur.text
		if err := r.stage.Stream.Value(ctx, v); err != nil {
			return err
		}
	}
	w.commit()
	w.emit(from)
	w.mark = to
	if quoted {
		w.e.out(quote)
	}
	w.e.out(cur.raw)
	if quoted {
		w.e.out(quote)
	}
	w.afterValue()
	return nil
}

// next returns the stage behind stage i that is to see a value of that kind,
// or -1.
func (w *walker) next(i int, kind filters.Kind, depth int) int {
	for i++; i < len(w.e.stages); i++ {
		if w.e.stages[i].shows(kind, depth) {
			return i
		}
	}
	return -1
}

// edit forwards the string whose content is data[from:to] with its edits, as
// flow.edit would have it. length is that of its text.
func (w *walker) edit(from, to, length int, edits []filters.Edit) {
	w.emit(from)
	if len(edits) == 1 && edits[0].Start <= 0 && edits[0].End >= length { // all of it, mostly
		w.insert(edits[0].With)
		w.mark = to
		return
	}
	at, written := 0, unescaping{raw: w.data[from:to], same: length == to-from}
	for i := range edits {
		e := &edits[i]
		start, end := max(e.Start, at), min(e.End, length)
		if end < start {
			continue
		}
		if start > at {
			_, before := written.seek(start)
			w.emit(from + before)
		}
		w.insert(e.With)
		at, w.mark = end, to
		if end < length {
			behind, _ := written.seek(end)
			w.mark = from + behind
		}
	}
}

// insert forwards text in a string.
func (w *walker) insert(text []byte) {
	if jsonString.needsEscape(text) {
		text = jsonString.appendEscaped(nil, text)
	}
	w.e.out(text)
}

var quote = []byte{'"'}

// takeJSON fills f with a replacement. final: it is a container, and the next
// stages are not shown it.
func (w *walker) takeJSON(f *flow, json []byte) (kind filters.Kind, quoted, final bool) {
	switch {
	case len(json) >= 2 && json[0] == '"':
		f.decode(bytes.Clone(json[1:len(json)-1]), nil)
		return filters.String, true, false
	case len(json) > 0 && (json[0] == '{' || json[0] == '['):
		f.raw = append(f.raw, json...)
		return filters.Object, false, true
	}
	f.text, f.raw = append(f.text, json...), append(f.raw, json...)
	switch string(json) {
	case "true", "false":
		return filters.Bool, false, false
	case "null":
		return filters.Null, false, false
	}
	return filters.Number, false, false
}

// showName shows a member's name to the stages that see names: those that see
// everything, and those one of whose paths selects a container around it.
func (w *walker) showName(ctx context.Context) error {
	depth := w.level() - 1
	text, changed := w.member, false
	var cur *flow
	for _, r := range w.e.stages {
		if r.dropped || r.stage.Ignores>>filters.Name&1 != 0 || r.left.holds(text) {
			continue
		}
		var l level
		if r.stage.Paths != nil {
			at := &r.match.levels[depth]
			if r.match.exact || !at.any && !at.inside {
				continue
			}
			l = level{inside: true, insideBits: at.bits | at.insideBits}
		}
		v := r.prepare(filters.Name, w.member, &l)
		v.Text = text
		if err := r.stage.Stream.Value(ctx, v); err != nil {
			return err
		}
		w.saw(r)
		if !v.Touched() {
			if r.stage.SameNames {
				r.leave(text)
			}
			continue
		}
		if verb, _ := v.Outcome(); verb == filters.Remove {
			w.dropMember = true
			return nil
		}
		if name := v.Renamed(); name != "" {
			w.rename(name)
			return nil
		}
		if len(v.Edits()) > 0 {
			if cur == nil {
				cur = &w.flow
				w.scratch = cur.decode(w.data[w.nameFrom+1:w.nameTo-1], w.scratch)
			}
			out := &w.flows[0]
			if cur == out {
				out = &w.flows[1]
			}
			out.reset()
			out.edit(cur, v.Edits(), len(cur.text), jsonString)
			cur, text, changed = out, out.text, true
		}
	}
	if changed {
		w.newName = append(append([]byte{'"'}, cur.raw...), '"')
	}
	return nil
}

// beginPieces starts to show a string in pieces: its first ends at cut.
func (w *walker) beginPieces(ctx context.Context, cut int) error {
	w.shown = true
	w.keepName()
	w.parts.start(jsonString, 4*w.e.limits.PieceBytes)
	if w.drop < 0 {
		for _, r := range w.e.stages {
			if r.shows(filters.String, w.level()) {
				w.parts.add(r)
			}
		}
	}
	w.state = inPieces
	from := w.token + 1
	removed := false
	var replacement []byte
	out, err := w.pushPiece(ctx, w.data[from:cut], true, func(_ *runner, v *filters.Value) bool {
		if name := v.Renamed(); name != "" && w.hasName {
			w.rename(name)
		}
		verb, json := v.Outcome()
		removed = removed || verb == filters.Remove
		if verb == filters.Replace {
			replacement = json
		}
		return verb == filters.Keep
	})
	if err != nil {
		return err
	}
	switch {
	case w.drop >= 0:
		w.commit()
	case removed:
		w.startDrop()
	case replacement != nil:
		w.commit()
		w.emit(w.token)
		w.e.out(replacement)
		w.drop = len(w.frames)
	default:
		w.commit()
		w.emit(from)
		w.e.out(out.raw)
		w.mark = cut
	}
	w.pos, w.token, w.scan = cut, cut, cut
	return nil
}

func (w *walker) pushPiece(ctx context.Context, raw []byte, more bool, outcome func(*runner, *filters.Value) bool) (*flow, error) {
	var in flow
	w.scratch = in.decode(raw, w.scratch)
	depth := w.level()
	return w.parts.push(ctx, &in, more, func(r *runner) *filters.Value {
		return r.prepare(filters.String, w.key(), r.level(depth))
	}, outcome)
}

// stringPiece goes on with a string that is shown in pieces.
func (w *walker) stringPiece(ctx context.Context) (bool, error) {
	limit := w.token + w.e.limits.PieceBytes
	done, bad := w.plainToQuote(limit)
	if bad {
		return false, nil
	}
	at := w.scan
	if !done {
		known := false
		if w.scan >= limit {
			at, known = w.cutAt(w.scan)
		}
		if !known {
			if w.end {
				return false, nil
			}
			w.pos = w.token
			return true, nil
		}
	}
	if w.drop < 0 {
		out, err := w.pushPiece(ctx, w.data[w.token:at], !done, nil)
		if err != nil {
			return false, err
		}
		w.e.out(out.raw)
		w.mark = at
	}
	w.pos, w.token, w.scan = at, at, at
	if !done {
		return true, nil
	}
	w.pos++
	w.token = -1
	w.parts.held = 0
	w.afterValue()
	return true, nil
}

// stringOf views bytes as a string for the length of a call.
func stringOf(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// shift moves the walker's offsets when the first n bytes of data go.
func (w *walker) shift(n int) {
	w.mark -= n
	w.pos -= n
	w.scan -= n
	for _, p := range []*int{&w.pending, &w.comma, &w.token} {
		if *p >= 0 {
			*p -= n
		}
	}
	w.nameFrom -= n
	w.nameTo -= n
}

// complete reports whether the document may end here. White space alone is
// no document, and nothing that could hold anything.
func (w *walker) complete() bool {
	return w.state == expectNothing || w.state == expectValue && len(w.frames) == 0 && w.pending < 0 && w.token < 0
}
