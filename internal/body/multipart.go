package body

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/charset"
)

const (
	maxParts    = 1000 // of one multipart body
	maxBoundary = 1000 // bytes; RFC 2046 allows 70
	maxNested   = 8    // multipart bodies in one another
	maxPadding  = 256  // bytes behind a boundary, on its line
)

// multipart reads RFC 2046 multipart bodies, section 5.1: an object whose
// members are the parts by their names (RFC 7578), or an array for parts that
// have none. Each part is read as its own type says.
type multipart struct {
	e     *Editor
	delim []byte // --boundary
	state partState
	// tail is the end of what came, where it may be the beginning of a
	// delimiter; at begins a line.
	tail   []byte
	atLine bool
	head   []byte // the header lines of the part so far
	parts  int
	name   []byte
	part   *Editor // reads the part's content; nil where nobody looks at it
	chars  *charset.Transcoder
	// transfer is the part's transfer encoding; nil for none.
	transfer *transfer
	text     []byte // the content in UTF-8, what becomes of it, and that in the part's charset
	out      []byte
	wire     []byte
	// dropped are the stages that were dropped before the part.
	dropped []bool
	rest    leaf // what stands before the first part and behind the last
	resting bool
	value   leaf
}

type partState uint8

const (
	beforeParts partState = iota
	inHead
	inContent
	afterParts
)

func newMultipart(e *Editor) *multipart {
	m := &multipart{e: e, delim: []byte("--" + e.boundary), atLine: true}
	m.rest.e, m.value.e = e, e
	e.root()
	return m
}

func (m *multipart) held() int {
	n := len(m.tail) + len(m.head) + m.rest.held()
	if m.part != nil {
		n += m.part.Held()
	}
	if m.transfer != nil {
		n += m.transfer.held()
	}
	return n
}

// feed implements parser.
func (m *multipart) feed(ctx context.Context, chunk []byte, end bool) (rest []byte, parsed bool, err error) {
	if len(m.delim) == 2 || len(m.delim) > maxBoundary || m.e.base >= maxNested {
		return chunk, false, nil
	}
	data := chunk
	if len(m.tail) > 0 {
		data = append(m.tail, chunk...)
		m.tail = nil
	}
	for len(data) > 0 {
		if m.state == inHead {
			n, ok, err := m.takeHead(ctx, data)
			if err != nil {
				return nil, true, err
			}
			if data = data[n:]; !ok {
				return append(m.head, data...), false, nil
			}
			continue
		}
		content, delim, final := m.next(data, end)
		if err := m.take(ctx, data[:content]); err != nil {
			return nil, true, err
		}
		m.atLine = m.atLine && content == 0
		if delim == 0 { // the rest may be a delimiter
			m.tail = append(m.tail, data[content:]...)
			break
		}
		if err := m.endPart(ctx); err != nil {
			return nil, true, err
		}
		m.e.out(data[content : content+delim])
		data = data[content+delim:]
		m.state, m.atLine = inHead, false
		if final {
			m.state = afterParts
		} else if m.parts++; m.parts > maxParts {
			return data, false, nil
		}
	}
	if !end {
		return nil, true, nil
	}
	if m.state == inHead {
		return m.head, false, nil
	}
	closed := m.state == afterParts
	if err := m.endPart(ctx); err != nil || closed {
		return nil, true, err
	}
	// There is no last boundary, and everything has been shown.
	m.e.unparsed = true
	return nil, true, m.e.unread(ctx, true)
}

// next returns how much of data is content, and how long the delimiter is that
// follows: its line with the line end before it. Where delim is 0 the rest of
// data must wait.
func (m *multipart) next(data []byte, end bool) (content, delim int, final bool) {
	if m.state == afterParts {
		return len(data), 0, false
	}
	line := 0 // where a line begins
	for {
		if line > 0 || m.atLine {
			n, final, more := m.delimiter(data[line:], end)
			if n > 0 || more {
				content = line
				if line > 0 {
					content = trimLineEnd(data[:line])
				}
				if more {
					return content, 0, false
				}
				return content, line + n - content, final
			}
		}
		i := bytes.IndexByte(data[line:], '\n')
		if i < 0 {
			break
		}
		line += i + 1
	}
	if data[len(data)-1] == '\r' && !end {
		return len(data) - 1, 0, false // half a line end
	}
	return len(data), 0, false
}

// trimLineEnd returns the length of b without the line end that it has.
func trimLineEnd(b []byte) int {
	n := len(b) - 1
	if n > 0 && b[n-1] == '\r' {
		n--
	}
	return n
}

// delimiter returns the length of the delimiter's line at b, or whether more
// bytes are needed to tell.
func (m *multipart) delimiter(b []byte, end bool) (n int, final, more bool) {
	if len(b) < len(m.delim) {
		return 0, false, bytes.HasPrefix(m.delim, b) && !end
	}
	if !bytes.HasPrefix(b, m.delim) {
		return 0, false, false
	}
	n = len(m.delim)
	if bytes.HasPrefix(b[n:], []byte("--")) {
		final = true
		n += 2
	}
	for n < len(b) && n < len(m.delim)+maxPadding {
		switch b[n] {
		case ' ', '\t', '\r':
			n++
			continue
		case '\n':
			return n + 1, final, false
		}
		// Behind the last boundary anything may follow.
		if final {
			return n, true, false
		}
		if b[n] == '-' && n == len(b)-1 && n == len(m.delim) && !end {
			return 0, false, true
		}
		return 0, false, false
	}
	if n < len(m.delim)+maxPadding && !end {
		return 0, false, true
	}
	if final || end {
		return n, final, false
	}
	return 0, false, false
}

// take takes content.
func (m *multipart) take(ctx context.Context, b []byte) (err error) {
	if len(b) == 0 {
		return nil
	}
	if m.state != inContent {
		return m.outside(ctx, b)
	}
	if m.part == nil {
		m.e.out(b)
		return nil
	}
	return m.read(ctx, b, false)
}

// read has the part's content read: decoded, and in UTF-8.
func (m *multipart) read(ctx context.Context, b []byte, end bool) error {
	if m.transfer == nil {
		return m.readText(ctx, b, end)
	}
	text, n := m.transfer.decode(b, end)
	if n == len(b) {
		return m.readText(ctx, text, end)
	}
	// From here on it is not in the encoding.
	if err := m.readText(ctx, text, true); err != nil {
		return err
	}
	m.transfer, m.chars = nil, charset.New("", charset.Plain)
	m.part = &Editor{stages: m.e.stages, limits: m.e.limits, format: Unreadable, base: m.part.base, key: m.part.key}
	return m.readText(ctx, b[n:], end)
}

// readText has the part's text read, and puts charset and encoding back on
// what becomes of it.
func (m *multipart) readText(ctx context.Context, b []byte, end bool) (err error) {
	text := m.chars.Decode(m.text[:0], b, end)
	if m.chars.Converts() {
		m.text = text
	}
	if m.chars.Unknown() && m.part.mode == atStart {
		m.part.format = Unreadable
	}
	out, straight := m.out[:0], m.transfer == nil && !m.chars.Converts()
	if straight {
		out = m.e.dst
	}
	if out, err = m.part.Write(ctx, out, text); err == nil && end {
		out, err = m.part.Close(ctx, out)
	}
	m.e.unparsed = m.e.unparsed || m.part.unparsed
	if straight {
		m.e.dst = out
		return err
	}
	m.out = out
	if m.chars.Converts() {
		m.wire = m.chars.Encode(m.wire[:0], out, end)
		out = m.wire
	}
	if m.transfer != nil {
		m.e.dst = m.transfer.encode(m.e.dst, out, end)
	} else {
		m.e.dst = append(m.e.dst, out...)
	}
	return err
}

// outside takes what belongs to no part. Nobody is meant to read it, so it is
// treated as not parsed.
func (m *multipart) outside(ctx context.Context, b []byte) error {
	if !m.resting {
		n := len(b) - len(bytes.TrimLeft(b, " \t\r\n"))
		m.e.out(b[:n])
		if b = b[n:]; len(b) == 0 {
			return nil
		}
		m.resting = true
		m.save()
		m.e.unparsed = true
		if err := m.e.unread(ctx, true); err != nil {
			return err
		}
		m.rest.begin(filters.Text, nil, m.e.base, asRest, verbatim)
	}
	return m.rest.write(ctx, b)
}

func (m *multipart) save() {
	m.dropped = m.dropped[:0]
	for _, r := range m.e.stages {
		m.dropped = append(m.dropped, r.dropped)
	}
}

func (m *multipart) restore() {
	for i, r := range m.e.stages {
		if i < len(m.dropped) {
			r.dropped = m.dropped[i]
		}
	}
	m.dropped = m.dropped[:0]
}

// endPart ends the part, or what stood outside of the parts.
func (m *multipart) endPart(ctx context.Context) (err error) {
	if m.resting {
		m.resting = false
		err = m.rest.end(ctx, nil)
	}
	if m.part != nil {
		err = m.read(ctx, nil, true)
		m.part, m.transfer = nil, nil
	}
	m.restore()
	return err
}

// takeHead takes a part's header lines, up to the empty one. ok is false where
// they are none.
func (m *multipart) takeHead(ctx context.Context, b []byte) (n int, ok bool, err error) {
	for n < len(b) {
		i := bytes.IndexByte(b[n:], '\n')
		to := n + i + 1
		if i < 0 {
			to = len(b)
		}
		if len(m.head)+to-n > m.e.limits.NameBytes {
			return n, false, nil
		}
		from := bytes.LastIndexByte(m.head, '\n') + 1
		m.head = append(m.head, b[n:to]...)
		n = to
		if i < 0 {
			return n, true, nil
		}
		line := m.head[from:]
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			err := m.beginPart(ctx)
			m.head, m.state, m.atLine = m.head[:0], inContent, true
			return n, true, err
		}
		if folded := from > 0 && (line[0] == ' ' || line[0] == '\t'); !folded && bytes.IndexByte(line, ':') <= 0 {
			return n, false, nil
		}
	}
	return n, true, nil
}

// partHead is what a part's header says.
type partHead struct {
	kind     Type
	typed    bool
	named    bool
	file     bool
	encoding string
}

// beginPart reads the header, in which the first of several counts, forwards it with the edits of the values in it,
// and prepares for the content.
func (m *multipart) beginPart(ctx context.Context) error {
	h := partHead{kind: Type{Known: true}}
	var disposition []param
	m.name = m.name[:0]
	eachField(m.head, func(name, value []byte, at int) {
		switch strings.ToLower(string(name)) {
		case "content-disposition":
			disposition = append(disposition, parameters(m.head, at, at+len(value))...)
		case "content-type":
			if !h.typed {
				h.kind, h.typed = TypeOf(string(bytes.TrimSpace(value))), true
			}
		case "content-transfer-encoding":
			if h.encoding == "" {
				h.encoding = strings.ToLower(string(bytes.TrimSpace(value)))
			}
		}
	})
	for _, p := range disposition {
		switch {
		case (p.key == "name" || p.key == "name*") && !h.named:
			var f flow
			f.decodeAs(p.syntax, m.head[p.from:p.to], nil)
			m.name, h.named = append(m.name[:0], f.text...), true
		case strings.HasPrefix(p.key, "filename"):
			h.file = true
		}
	}
	depth := m.e.base + 1
	for _, r := range m.e.stages {
		if h.named {
			r.match.child(depth, m.name, 0)
		} else {
			r.match.child(depth, nil, m.parts-1)
		}
	}
	if err := m.forwardHead(ctx, disposition, depth); err != nil {
		return err
	}
	return m.beginContent(ctx, h, depth)
}

// forwardHead forwards the header lines: names and file names are shown, and
// the values of fields that do not say how the part is read.
func (m *multipart) forwardHead(ctx context.Context, disposition []param, depth int) (err error) {
	done := 0
	show := func(kind filters.Kind, key string, sc scope, s syntax, from, to int) {
		if err != nil {
			return
		}
		m.e.out(m.head[done:from])
		m.value.begin(kind, []byte(key), depth, sc, s)
		err = m.value.end(ctx, m.head[from:to])
		done = to
	}
	eachField(m.head, func(name, value []byte, at int) {
		switch field := strings.ToLower(string(name)); field {
		case "content-type", "content-transfer-encoding", "content-length":
		case "content-disposition":
			for _, p := range disposition {
				switch {
				case p.from < max(done, at), p.to > at+len(value):
				case p.key == "name", p.key == "name*":
					show(filters.Name, string(m.name), asName, p.syntax, p.from, p.to)
				case strings.HasPrefix(p.key, "filename"):
					show(filters.String, "filename", asValue, p.syntax, p.from, p.to)
				}
			}
		default:
			show(filters.Text, field, asValue, headerText, at, at+len(value))
		}
	})
	m.e.out(m.head[done:])
	return err
}

// beginContent prepares to read the part's content.
func (m *multipart) beginContent(ctx context.Context, h partHead, depth int) error {
	m.save()
	if h.file {
		for _, r := range m.e.stages {
			files := r.stage.Files
			r.dropped = r.dropped || files == filters.PassFiles || !h.kind.Known && files != filters.ScanAllFiles
		}
	}
	if !slices.ContainsFunc(m.e.stages, func(r *runner) bool { return !r.dropped && r.match.reaches(depth) }) {
		return nil
	}
	encoding, known := newTransfer(h.encoding)
	m.transfer = encoding
	h.kind.Known = h.kind.Known && known
	if !h.kind.Readable() {
		h.kind.Format, h.kind.Known = Text, false
		for _, r := range m.e.stages {
			r.dropped = r.dropped || !r.match.reaches(depth)
		}
		m.e.unparsed = true
		if err := m.e.unread(ctx, true); err != nil {
			return err
		}
	}
	f := h.kind.Format
	switch {
	case f == Events:
		f = Text // a stream within a message is none
	case f == Text && h.kind.Known && h.named && !h.file:
		f = field
	}
	m.chars = h.kind.Transcoder()
	m.part = &Editor{stages: m.e.stages, limits: m.e.limits, format: f, boundary: h.kind.Boundary,
		base: depth, key: bytes.Clone(m.name)}
	return nil
}

// fieldText reads the text of one part, a value like any other.
type fieldText struct{ value leaf }

func newField(e *Editor) *fieldText {
	f := &fieldText{}
	f.value.e = e
	f.value.begin(filters.String, e.key, e.base, asValue, verbatim)
	return f
}

func (f *fieldText) held() int { return f.value.held() }

func (f *fieldText) feed(ctx context.Context, chunk []byte, end bool) (rest []byte, parsed bool, err error) {
	if end {
		return nil, true, f.value.end(ctx, chunk)
	}
	return nil, true, f.value.write(ctx, chunk)
}

// eachField calls fn for each header field: its name, its value and where that
// begins in head.
func eachField(head []byte, fn func(name, value []byte, at int)) {
	for at := 0; at < len(head); {
		end := at
		for {
			i := bytes.IndexByte(head[end:], '\n')
			if i < 0 {
				end = len(head)
				break
			}
			end += i + 1
			if end >= len(head) || head[end] != ' ' && head[end] != '\t' {
				break // what is folded goes on
			}
		}
		line := bytes.TrimRight(head[at:end], "\r\n")
		if i := bytes.IndexByte(line, ':'); i > 0 {
			fn(bytes.TrimSpace(line[:i]), line[i+1:], at+i+1)
		}
		at = end
	}
}

// param is a parameter of a header field; its value is between from and to.
type param struct {
	key      string
	from, to int
	syntax   syntax
}

// parameters reads the parameters in head[from:to], leniently: what looks like
// one is one.
func parameters(head []byte, from, to int) []param {
	var ps []param
	i := from
	for i < to {
		n := bytes.IndexByte(head[i:to], ';')
		if n < 0 {
			break
		}
		i += n + 1
		eq := bytes.IndexAny(head[i:to], "=;")
		if eq < 0 || head[i+eq] == ';' {
			continue
		}
		p := param{key: strings.ToLower(string(bytes.TrimSpace(head[i : i+eq]))), syntax: tokenParam}
		i += eq + 1
		for i < to && isSpace(head[i]) {
			i++
		}
		switch {
		case i < to && head[i] == '"':
			p.syntax = quotedParam
			i++
			p.from = i
			for i < to && head[i] != '"' {
				if head[i] == '\\' && i+1 < to {
					i++
				}
				i++
			}
			i = min(i, to)
		default:
			p.from = i
			for i < to && head[i] != ';' {
				i++
			}
			for i > p.from && isSpace(head[i-1]) {
				i--
			}
		}
		p.to = i
		if strings.HasSuffix(p.key, "*") {
			// charset'language'value
			p.syntax = extParam
			for range 2 {
				if q := bytes.IndexByte(head[p.from:p.to], '\''); q >= 0 {
					p.from += q + 1
				}
			}
		}
		ps = append(ps, p)
	}
	return ps
}
