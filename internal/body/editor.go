package body

import (
	"bytes"
	"context"

	"github.com/sluice-proxy/sluice/filters"
)

// Limits bound an editor. A zero value means the default.
type Limits struct {
	// Depth is the deepest nesting of a document (512). Beyond it, it counts
	// as unparsed.
	Depth int
	// PieceBytes is how long a string may be, as it is written, before it is
	// shown in pieces of that length (64 KiB). A stage that holds text back
	// without end is shown it as complete at four times that.
	PieceBytes int
	// NameBytes is how long a member's name may be, as it is written (16 KiB).
	// Beyond it the document counts as unparsed.
	NameBytes int
	// EventBytes is how long an event of a stream of events may be (1 MiB).
	// Beyond it, it counts as unparsed. It also bounds what is held of the
	// values that go over several events.
	EventBytes int
	// Channels is how many values that go over several events are followed at
	// once (256). Beyond it, the one that has been quiet for longest is taken
	// as complete.
	Channels int
}

// Editor rewrites one body through a chain of stages. It is for one
// goroutine, and each body has its own. It does not close the stages' streams.
type Editor struct {
	stages   []*runner
	limits   Limits
	format   Format
	mode     mode
	walker   *walker
	codec    codec  // nil: a document, or text
	base     int    // how deep the body lies in the one that it is a part of
	key      []byte // the name that it goes by there
	boundary string
	held     []byte // not settled: the walker's, or the beginning of a character
	text     pieces
	dst      []byte
	mute     bool // nothing is given back: the editor only checks
	sniffed  bool
	unparsed bool
	reached  Reached
	closed   bool
	err      error
	// spare is a walker to begin with, of a body before.
	spare *walker
}

type mode uint8

const (
	atStart mode = iota
	inDocument
	inText
	inCodec
)

// codec is a format that is not one document: it finds the values itself, and
// gives back through the editor.
type codec interface {
	// write takes the next bytes; end tells that they are the last.
	write(ctx context.Context, chunk []byte, end bool) error
	// held is how many bytes are held back now.
	held() int
}

// NewEditor returns an editor for a body in format f.
func NewEditor(f Format, stages []Stage, lim Limits) *Editor {
	if lim.Depth <= 0 {
		lim.Depth = 512
	}
	if lim.PieceBytes <= 0 {
		lim.PieceBytes = 64 << 10
	}
	if lim.NameBytes <= 0 {
		lim.NameBytes = 16 << 10
	}
	if lim.EventBytes <= 0 {
		lim.EventBytes = 1 << 20
	}
	if lim.Channels <= 0 {
		lim.Channels = 256
	}
	e := editors.Get().(*Editor)
	e.format, e.limits = f, lim
	spare := e.stages[:cap(e.stages)] // there may be runners of a body before
	for i, s := range stages {
		var r *runner
		if i < len(spare) {
			r = spare[i]
		}
		if r == nil {
			r = new(runner)
		}
		r.begin(s)
		e.stages = append(e.stages, r)
	}
	return e
}

// Unparsed reports whether the body turned out not to be what its format
// says.
func (e *Editor) Unparsed() bool { return e.unparsed }

// Anew tells, also in the middle of a value, that from now on a stage's stream
// is at another filter's work: the names that it left as they were are shown to
// it again.
func (e *Editor) Anew(s filters.Stream) {
	for _, r := range e.stages {
		if r.stage.Stream == s {
			r.forgetNames()
		}
	}
}

// Reached tells which limits a body has run into.
type Reached struct {
	// Depth, Name and Event: it, or the event, counts as unparsed because of it.
	Depth, Name, Event bool
	// Value: a stage held on to a value for so long that it was shown the rest
	// of it as complete.
	Value bool
}

// Reached returns the limits that the body has run into.
func (e *Editor) Reached() Reached {
	for _, r := range e.stages {
		e.reached.Value = e.reached.Value || r.cut
	}
	return e.reached
}

// Held returns how many bytes are held back now.
func (e *Editor) Held() int {
	n := len(e.held) + e.text.held
	if e.walker != nil {
		n += e.walker.parts.held
	}
	if e.codec != nil {
		n += e.codec.held()
	}
	return n
}

// Write takes a chunk and appends to dst what is settled. The error is a
// stage's, and final.
func (e *Editor) Write(ctx context.Context, dst, chunk []byte) ([]byte, error) {
	if len(chunk) == 0 || e.closed {
		return dst, e.err
	}
	return e.feed(ctx, dst, chunk, false)
}

// Close tells that the body has ended and appends what is left to dst.
func (e *Editor) Close(ctx context.Context, dst []byte) ([]byte, error) {
	if e.closed {
		return dst, e.err
	}
	e.closed = true
	return e.feed(ctx, dst, nil, true)
}

func (e *Editor) feed(ctx context.Context, dst, chunk []byte, end bool) ([]byte, error) {
	if e.err != nil {
		return dst, e.err
	}
	e.dst = dst
	switch e.mode {
	case atStart:
		e.err = e.begin(ctx, chunk, end)
	case inDocument:
		e.err = e.document(ctx, chunk, end)
	case inText:
		e.err = e.plain(ctx, chunk, end)
	case inCodec:
		e.err = e.codec.write(ctx, chunk, end)
	}
	dst, e.dst = e.dst, nil
	return dst, e.err
}

// out gives back settled bytes.
func (e *Editor) out(p []byte) {
	if !e.mute {
		e.dst = append(e.dst, p...)
	}
}

var (
	byteOrderMark  = []byte("\xef\xbb\xbf")
	xmlDeclaration = []byte("<?xml")
)

// begin looks for a byte order mark, and for a stream of events, JSON or XML
// where the type says something else.
func (e *Editor) begin(ctx context.Context, chunk []byte, end bool) error {
	data := chunk
	if len(e.held) > 0 {
		e.held = append(e.held, chunk...)
		data = e.held
	}
	e.held = nil
	if !e.sniffed {
		if len(data) < len(byteOrderMark) && bytes.HasPrefix(byteOrderMark, data) && !end {
			e.held = append(e.held, data...)
			return nil
		}
		if bytes.HasPrefix(data, byteOrderMark) {
			e.out(byteOrderMark)
			data = data[len(byteOrderMark):]
		}
		e.sniffed = true
	}
	f := e.format
	if f == Unreadable {
		return e.asText(ctx, data, end)
	}
	if f != Events && f != Multipart {
		i := 0
		for i < len(data) && isSpace(data[i]) {
			i++
		}
		e.out(data[:i]) // nothing is ever found in white space
		data = data[i:]
	}
	if e.base == 0 && (f == Text || f == JSON || f == Lines) {
		switch events, known := likeEvents(data, end); {
		case !known:
			e.held = append(e.held, data...)
			return nil
		case events:
			return e.asEvents(ctx, data, end)
		}
	}
	if f == Text || f == Form || f == XML || f == field {
		if len(data) < len(xmlDeclaration) && !end && (len(data) == 0 || f == Text && bytes.HasPrefix(xmlDeclaration, data)) {
			e.held = append(e.held, data...)
			return nil
		}
		switch {
		case len(data) == 0:
			return nil
		case data[0] == '{' || data[0] == '[':
			f = JSON
		case f == Text && bytes.HasPrefix(data, xmlDeclaration):
			f = XML
		}
	}
	switch f {
	case Text:
		return e.asText(ctx, data, end)
	case Form:
		e.codec = &parsing{e, newForm(e)}
	case XML:
		e.codec = &parsing{e, newXML(e)}
	case Multipart:
		e.codec = &parsing{e, newMultipart(e)}
	case Events:
		e.codec = newEvents(e)
	case field:
		e.codec = &parsing{e, newField(e)}
	default:
		e.mode = inDocument
		e.walker = newWalker(e, f == Lines)
		return e.document(ctx, data, end)
	}
	e.mode = inCodec
	for _, r := range e.stages {
		r.dropped = r.dropped || r.stage.Exact && f != Events
	}
	return e.codec.write(ctx, data, end)
}

// parsing is the codec of a format that a body can turn out not to be of.
type parsing struct {
	e *Editor
	parser
}

// parser reads such a format, and forwards by Editor.out.
type parser interface {
	// feed takes a chunk. parsed is false from where on the body is not of the
	// format: rest has not been dealt with then.
	feed(ctx context.Context, chunk []byte, end bool) (rest []byte, parsed bool, err error)
	held() int
}

// write implements codec.
func (p *parsing) write(ctx context.Context, chunk []byte, end bool) error {
	rest, parsed, err := p.feed(ctx, chunk, end)
	if err != nil || parsed {
		return err
	}
	p.e.codec = nil
	return p.e.asText(ctx, append([]byte(nil), rest...), end)
}

// root puts the paths at the body's top; that of a part is where they are.
func (e *Editor) root() {
	for _, r := range e.stages {
		if e.base == 0 {
			r.match.root()
		}
	}
}

// child moves the paths to a member, for formats that are objects.
func (e *Editor) child(depth int, name []byte) {
	for _, r := range e.stages {
		r.match.child(depth, name, 0)
	}
}

// document feeds the walker.
func (e *Editor) document(ctx context.Context, chunk []byte, end bool) error {
	w := e.walker
	w.data, w.end = chunk, end
	if len(e.held) > 0 {
		e.held = append(e.held, chunk...)
		w.data = e.held
	}
	parsed, err := w.run(ctx)
	if err != nil {
		return err
	}
	if end && parsed {
		parsed = w.complete()
	}
	settled := w.settled()
	if w.drop >= 0 {
		w.mark = settled
	}
	w.emit(settled)
	if w.hasName {
		w.keepName()
	}
	rest := w.data[settled:]
	if !parsed {
		if w.state == inPieces && w.drop < 0 {
			out, err := w.pushPiece(ctx, nil, false, nil)
			if err != nil {
				return err
			}
			e.out(out.raw)
		}
		w.parts.held = 0
		return e.asText(ctx, append([]byte(nil), rest...), end)
	}
	if len(e.held) == 0 || settled > 0 {
		// Otherwise it is there already: a value that comes in a thousand
		// pieces is not copied a thousand times.
		e.held = append(e.held[:0], rest...)
	}
	w.data = nil
	w.shift(settled)
	return nil
}

// asText shows the rest of the body as text: to the stages that see
// everything where that is what the body is, otherwise as each of them asks.
func (e *Editor) asText(ctx context.Context, rest []byte, end bool) error {
	broken := e.format != Text && e.format != field
	e.unparsed = e.unparsed || broken
	if e.base > 0 {
		for _, r := range e.stages {
			if broken && !r.match.reaches(e.base) || !broken && !r.looks(e.base) {
				r.dropped = true // it is about other parts
			}
		}
	}
	if broken || e.base == 0 {
		if err := e.unread(ctx, broken); err != nil {
			return err
		}
	}
	e.mode, e.held = inText, nil
	e.text.start(verbatim, 4*e.limits.PieceBytes)
	for _, r := range e.stages {
		if !r.dropped {
			e.text.add(r)
		}
	}
	return e.plain(ctx, rest, end)
}

// asEvents reads the body as a stream of events that its type does not tell
// of. Clients of models' streams read them all the same.
func (e *Editor) asEvents(ctx context.Context, data []byte, end bool) error {
	if e.format != Text {
		e.unparsed = true
		if err := e.unread(ctx, true); err != nil {
			return err
		}
	}
	e.mode, e.codec = inCodec, newEvents(e)
	return e.codec.write(ctx, data, end)
}

// unread does as each stage asks for what is not parsed. Where the body is
// text, that only concerns stages whose paths would select something in it.
func (e *Editor) unread(ctx context.Context, broken bool) error {
	for _, r := range e.stages {
		if r.dropped || !broken && r.stage.Paths == nil {
			continue
		}
		switch r.stage.Unparsed {
		case filters.PassUnparsed:
			r.dropped = true
		case filters.DenyUnparsed:
			if r.stage.OnUnparsed != nil {
				if err := r.stage.OnUnparsed(ctx); err != nil {
					return err
				}
			}
			r.dropped = true
		}
	}
	return nil
}

// plain passes text through the stages, whole characters at a time.
func (e *Editor) plain(ctx context.Context, chunk []byte, end bool) error {
	if len(e.text.stages) == 0 {
		e.out(chunk)
		return nil
	}
	data := chunk
	if len(e.held) > 0 {
		e.held = append(e.held, chunk...)
		data = e.held
	}
	n := len(data)
	if !end {
		n = wholeCharacters(data)
	}
	in := flow{text: data[:n], raw: data[:n]}
	out, err := e.text.push(ctx, &in, !end, func(r *runner) *filters.Value {
		v := r.prepare(filters.Text, e.key, &level{})
		v.Paths, v.Inside = ^uint64(0), false
		return v
	}, nil)
	if err != nil {
		return err
	}
	e.out(out.raw)
	e.held = append(e.held[:0], data[n:]...)
	return nil
}

// wholeCharacters returns how much of b does not end within a UTF-8 sequence.
func wholeCharacters(b []byte) int {
	for i := 1; i <= 3 && i <= len(b); i++ {
		c := b[len(b)-i]
		if c < 0x80 {
			return len(b)
		}
		if c >= 0xC0 { // it begins here: is all of it there?
			need := 2
			if c >= 0xE0 {
				need = 3
			}
			if c >= 0xF0 {
				need = 4
			}
			if need > i {
				return len(b) - i
			}
			return len(b)
		}
	}
	return len(b)
}
