package body

import (
	"bytes"
	"context"

	"github.com/sluice-proxy/sluice/filters"
)

// maxSiblings is how many different names the open elements' children may
// have, where a path counts them.
const maxSiblings = 64 << 10

// xmlState is what may come next in the document.
type xmlState uint8

const (
	xmlContent xmlState = iota
	xmlOpened           // a < and what follows, before it is known what it is
	xmlTarget           // the name of an instruction
	xmlStartName
	xmlInTag
	xmlAttrName
	xmlAttrEquals
	xmlAttrQuote
	xmlAttrValue
	xmlEmptyEnd // the > of an element with no content
	xmlEndName
	xmlEndSpace
	xmlInComment
	xmlInInstruction
	xmlInSection
	xmlInDocType
)

// xmlDocument reads XML 1.0. An element is a member of the one that it is in,
// by its name as it is written or without the prefix; its text is its value,
// and its attributes are members whose names begin with @. Elements of one
// name are also the elements of an array of that name.
//
// It does not validate: what it needs is that tags match.
type xmlDocument struct {
	e      *Editor
	state  xmlState
	opened []xmlElement
	names  []byte // of the open elements, as they are written
	tok    []byte // what is not forwarded of the open tag
	name   int    // where in tok a name begins
	quote  byte
	tail   []byte // what may be the beginning of what ends a comment or section

	text     leaf // the text of the innermost element
	running  bool // text is begun
	section  bool // a CDATA section is open, and the text is only a part of it
	attr     leaf
	member   []byte // the name of the attribute, and without its prefix
	other    []byte
	aside    leaf // a comment, an instruction or the document type
	asideRaw []byte
	within   bool // it stands within a text, and goes into that
	nest     nesting
	counts   bool
	siblings int
}

// xmlElement is an open element.
type xmlElement struct {
	base  int // where its name begins
	local int // where it begins without its prefix
	seen  map[string]int
}

// nesting follows the brackets and quotes of a document type.
type nesting struct {
	quote   byte
	depth   int
	comment bool
	last    [4]byte
}

func newXML(e *Editor) *xmlDocument {
	x := &xmlDocument{e: e}
	x.text.e, x.attr.e, x.aside.e = e, e, e
	e.root()
	for _, r := range e.stages {
		x.counts = x.counts || !r.dropped && r.stage.Paths != nil && r.stage.Paths.counts
	}
	return x
}

func (x *xmlDocument) held() int {
	return len(x.tok) + len(x.tail) + len(x.asideRaw) + x.text.held() + x.attr.held() + x.aside.held()
}

// depth is that of the innermost element.
func (x *xmlDocument) depth() int { return x.e.base + len(x.opened) }

// key is the name of the innermost element, without its prefix.
func (x *xmlDocument) key() []byte {
	if len(x.opened) == 0 {
		return x.e.key
	}
	return x.names[x.opened[len(x.opened)-1].local:]
}

// feed implements parser.
func (x *xmlDocument) feed(ctx context.Context, chunk []byte, end bool) (rest []byte, parsed bool, err error) {
	for len(chunk) > 0 {
		n, ok, err := x.step(ctx, chunk)
		if err != nil {
			return nil, true, err
		}
		chunk = chunk[n:]
		if !ok {
			return x.giveUp(ctx, chunk)
		}
	}
	if end && (x.state != xmlContent || len(x.opened) > 0) {
		return x.giveUp(ctx, nil)
	}
	return nil, true, nil
}

// giveUp returns what has not been dealt with.
func (x *xmlDocument) giveUp(ctx context.Context, chunk []byte) (rest []byte, parsed bool, err error) {
	for _, l := range []*leaf{&x.text, &x.attr, &x.aside} {
		switch {
		case l == &x.text && !x.running, l == &x.attr && x.state != xmlAttrValue,
			l == &x.aside && x.state != xmlInComment && x.state != xmlInInstruction && x.state != xmlInDocType:
			continue
		case l == &x.aside && x.within:
			rest = append(rest, x.asideRaw...)
		}
		left, err := l.giveUp(ctx)
		if err != nil {
			return nil, true, err
		}
		rest = append(rest, left...)
	}
	rest = append(rest, x.tok...)
	rest = append(rest, x.tail...)
	return append(rest, chunk...), false, nil
}

// step deals with the first n bytes of b, which is not empty. ok is false
// where it is no XML.
func (x *xmlDocument) step(ctx context.Context, b []byte) (n int, ok bool, err error) {
	c := b[0]
	switch x.state {
	case xmlContent:
		return x.content(ctx, b)
	case xmlOpened:
		return x.decide(ctx, c)
	case xmlTarget, xmlStartName, xmlEndName, xmlAttrName:
		return x.takeName(ctx, b)
	case xmlInTag:
		return x.inTag(ctx, c)
	case xmlAttrEquals, xmlAttrQuote:
		return x.equals(c)
	case xmlAttrValue:
		return x.attrValue(ctx, b)
	case xmlEmptyEnd:
		if c != '>' {
			return 0, false, nil
		}
		x.forward(c)
		x.close()
		return 1, true, nil
	case xmlEndSpace:
		if isSpace(c) {
			x.tok = append(x.tok, c)
			return 1, len(x.tok) <= x.e.limits.NameBytes+maxPending, nil
		}
		if c != '>' {
			return 0, false, nil
		}
		x.forward(c)
		x.close()
		return 1, true, nil
	case xmlInComment:
		return x.takeAside(ctx, b, commentEnd)
	case xmlInInstruction:
		return x.takeAside(ctx, b, piEnd)
	case xmlInSection:
		return x.takeSection(ctx, b)
	}
	return x.docType(ctx, b)
}

// forward forwards what is held of the open tag, with c.
func (x *xmlDocument) forward(c byte) {
	x.e.out(append(x.tok, c))
	x.tok = x.tok[:0]
}

// content takes text up to the next tag.
func (x *xmlDocument) content(ctx context.Context, b []byte) (n int, ok bool, err error) {
	n = bytes.IndexByte(b, '<')
	found := n >= 0
	if !found {
		n = len(b)
	}
	if found {
		defer func() {
			if ok && err == nil {
				x.tok, x.state = append(x.tok[:0], '<'), xmlOpened
				n++
			}
		}()
	}
	switch {
	case n == 0:
		return 0, true, nil
	case len(x.opened) == 0:
		// There is no text beside the root.
		if blank := len(b[:n]) - len(bytes.TrimLeft(b[:n], " \t\r\n")); blank < n {
			x.e.out(b[:blank])
			return blank, false, nil
		}
		x.e.out(b[:n])
		return n, true, nil
	}
	x.beginText()
	return n, true, x.text.write(ctx, b[:n])
}

func (x *xmlDocument) beginText() {
	if !x.running {
		x.running = true
		x.text.begin(filters.String, x.key(), x.depth(), asValue, xmlText)
	}
}

// endText is called where the text is over for the application too.
func (x *xmlDocument) endText(ctx context.Context) error {
	if !x.running {
		return nil
	}
	x.running = false
	return x.text.end(ctx, nil)
}

// decide finds out what a < begins.
func (x *xmlDocument) decide(ctx context.Context, c byte) (n int, ok bool, err error) {
	x.tok = append(x.tok, c)
	switch t := x.tok; {
	case len(t) == 2 && c == '?':
		x.state, x.name = xmlTarget, 2
		return 1, true, nil
	case len(t) == 2 && c == '/':
		if len(x.opened) == 0 {
			return 1, false, nil
		}
		x.state, x.name = xmlEndName, 2
		return 1, true, x.endText(ctx)
	case len(t) == 2 && c != '!':
		if !isXMLName(c) || len(x.opened) >= x.e.limits.Depth {
			return 1, false, nil
		}
		x.state, x.name = xmlStartName, 1
		return 1, true, x.endText(ctx)
	case len(t) == 2:
		return 1, true, nil
	case bytes.Equal(t, commentStart):
		return 1, true, x.beginAside(ctx, xmlInComment)
	case bytes.Equal(t, cdataStart):
		return 1, len(x.opened) > 0, x.beginSection(ctx)
	case bytes.HasPrefix(commentStart, t), bytes.HasPrefix(cdataStart, t):
		return 1, true, nil
	case len(t) == 3 && isXMLName(c):
		x.state, x.nest = xmlInDocType, nesting{}
		if err := x.endText(ctx); err != nil {
			return 1, true, err
		}
		// What is declared can be a value anywhere in the document.
		x.aside.begin(filters.Text, nil, x.e.base, asRest, xmlMarkup)
		x.e.out(x.tok)
		x.tok = x.tok[:0]
		return 1, true, nil
	}
	return 1, false, nil
}

// isXMLName reports whether c can be in a name. It is less strict than XML.
func isXMLName(c byte) bool {
	switch c {
	case '<', '>', '/', '=', '"', '\'', '&', '!', '?', '[', ']', '{', '}', '(', ')', ';', ',', '`', '@', '#', '$', '%', '^', '*', '+', '|', '\\', '~':
		return false
	}
	return c > ' '
}

// takeName takes the name of an element or attribute.
func (x *xmlDocument) takeName(ctx context.Context, b []byte) (n int, ok bool, err error) {
	for n < len(b) && isXMLName(b[n]) {
		n++
	}
	if n > x.e.limits.NameBytes-(len(x.tok)-x.name) {
		return 0, false, nil
	}
	x.tok = append(x.tok, b[:n]...)
	if n == len(b) {
		return n, true, nil
	}
	name := x.tok[x.name:]
	switch {
	case len(name) == 0:
		return n, false, nil
	case x.state == xmlTarget:
		declaration := len(x.opened) == 0 && string(name) == "xml"
		err = x.beginAside(ctx, xmlInInstruction)
		x.aside.watched = x.aside.watched && !declaration
		return n, true, err
	case x.state == xmlStartName:
		return n, x.open(name), nil
	case x.state == xmlEndName:
		x.state = xmlEndSpace
		top := x.opened[len(x.opened)-1]
		return n, bytes.Equal(name, x.names[top.base:]), nil
	}
	x.state = xmlAttrEquals
	return n, true, nil
}

// open opens an element.
func (x *xmlDocument) open(name []byte) bool {
	index := 0
	if x.counts {
		seen := map[string]int{}
		if len(x.opened) > 0 {
			top := &x.opened[len(x.opened)-1]
			if top.seen == nil {
				top.seen = seen
			}
			seen = top.seen
		}
		if index = seen[string(name)]; index == 0 {
			if x.siblings++; x.siblings > maxSiblings {
				return false
			}
		}
		seen[string(name)]++
	}
	el := xmlElement{base: len(x.names)}
	x.names = append(x.names, name...)
	el.local = el.base + localName(name)
	x.opened = append(x.opened, el)
	for _, r := range x.e.stages {
		r.match.element(x.depth(), x.names[el.base:], x.names[el.local:], index)
	}
	x.e.out(x.tok)
	x.tok, x.state = x.tok[:0], xmlInTag
	return true
}

// localName returns where a name begins without its prefix.
func localName(name []byte) int { return bytes.IndexByte(name, ':') + 1 }

// close closes the innermost element.
func (x *xmlDocument) close() {
	top := x.opened[len(x.opened)-1]
	x.siblings -= len(top.seen)
	x.names = x.names[:top.base]
	x.opened = x.opened[:len(x.opened)-1]
	x.state = xmlContent
}

func (x *xmlDocument) inTag(_ context.Context, c byte) (n int, ok bool, err error) {
	switch {
	case isSpace(c):
		if x.tok = append(x.tok, c); len(x.tok) >= maxPending {
			x.e.out(x.tok)
			x.tok = x.tok[:0]
		}
	case c == '>':
		x.forward(c)
		x.state = xmlContent
	case c == '/':
		x.tok, x.state = append(x.tok, c), xmlEmptyEnd
	case isXMLName(c):
		x.state, x.name = xmlAttrName, len(x.tok)
		return 0, true, nil
	default:
		return 0, false, nil
	}
	return 1, true, nil
}

// equals takes what is between an attribute's name and its value, and begins
// that.
func (x *xmlDocument) equals(c byte) (n int, ok bool, err error) {
	if isSpace(c) {
		x.tok = append(x.tok, c)
		return 1, len(x.tok) <= x.e.limits.NameBytes+2*maxPending, nil
	}
	if x.state == xmlAttrEquals {
		if c != '=' {
			return 0, false, nil
		}
		x.tok, x.state = append(x.tok, c), xmlAttrQuote
		return 1, true, nil
	}
	if c != '"' && c != '\'' {
		return 0, false, nil
	}
	full := x.tok[x.name:]
	full = full[:bytes.IndexAny(full, "= \t\r\n")]
	// As members, attributes have an @ before their names.
	x.member = append(append(x.member[:0], '@'), full...)
	member := x.member
	x.other = append(append(x.other[:0], '@'), full[localName(full):]...)
	other := x.other
	depth := x.depth() + 1
	for _, r := range x.e.stages {
		r.match.element(depth, member, other, 0)
	}
	x.attr.begin(filters.String, other[1:], depth, asValue, xmlAttribute)
	x.attr.prefix = append(append(x.attr.prefix, x.tok...), c)
	x.tok, x.quote, x.state = x.tok[:0], c, xmlAttrValue
	return 1, true, nil
}

func (x *xmlDocument) attrValue(ctx context.Context, b []byte) (n int, ok bool, err error) {
	n = bytes.IndexByte(b, x.quote)
	if n < 0 {
		return len(b), true, x.attr.write(ctx, b)
	}
	if err := x.attr.end(ctx, b[:n]); err != nil {
		return n, true, err
	}
	if !x.attr.removed {
		x.e.out(b[n : n+1])
	}
	x.state = xmlInTag
	return n + 1, true, nil
}

// joins reports whether markup in the midst of the text can be kept with it,
// so that the stages see the text before and behind it as one.
func (x *xmlDocument) joins() bool {
	return x.running && !x.section && x.text.watched && !x.text.inPieces
}

// beginAside begins a comment or an instruction; tok is how it begins.
func (x *xmlDocument) beginAside(ctx context.Context, state xmlState) error {
	s := xmlComment
	if state == xmlInInstruction {
		s = xmlMarkup
	}
	x.state, x.within, x.asideRaw = state, x.joins(), x.asideRaw[:0]
	if !x.within {
		if err := x.endText(ctx); err != nil {
			return err
		}
		x.e.out(x.tok)
	} else {
		x.asideRaw = append(x.asideRaw, x.tok...)
	}
	x.tok, x.tail = x.tok[:0], x.tail[:0]
	x.aside.begin(filters.Text, nil, x.depth(), asValue, s)
	if x.within {
		x.aside.to = &x.asideRaw
	}
	return nil
}

// until returns how much of b comes before end, which may have begun in what
// came before.
func (x *xmlDocument) until(b, end []byte) (content []byte, n int, found bool) {
	data := b
	if len(x.tail) > 0 {
		data = append(x.tail[:len(x.tail):len(x.tail)], b...)
	}
	if i := bytes.Index(data, end); i >= 0 {
		n = i + len(end) - len(x.tail)
		x.tail = x.tail[:0]
		return data[:i], n, true
	}
	i := max(0, len(data)-len(end)+1)
	x.tail = append(x.tail[:0:0], data[i:]...)
	return data[:i], len(b), false
}

// takeAside takes what is in a comment or an instruction.
func (x *xmlDocument) takeAside(ctx context.Context, b, end []byte) (n int, ok bool, err error) {
	content, n, found := x.until(b, end)
	if !found {
		if err := x.aside.write(ctx, content); err != nil {
			return n, true, err
		}
		return n, true, x.release(ctx)
	}
	if err := x.aside.end(ctx, content); err != nil {
		return n, true, err
	}
	if err := x.release(ctx); err != nil {
		return n, true, err
	}
	x.state = xmlContent
	if !x.within {
		x.e.out(end)
		return n, true, nil
	}
	x.asideRaw = append(x.asideRaw, end...)
	err = x.text.markup(ctx, x.asideRaw)
	x.asideRaw = x.asideRaw[:0]
	return n, true, err
}

// release ends a text for a comment in it that is too long to wait for.
func (x *xmlDocument) release(ctx context.Context) error {
	if !x.within || len(x.asideRaw) < x.e.limits.PieceBytes {
		return nil
	}
	x.within, x.aside.to = false, nil
	if err := x.endText(ctx); err != nil {
		return err
	}
	x.e.out(x.asideRaw)
	x.asideRaw = x.asideRaw[:0]
	return nil
}

// beginSection begins a CDATA section.
func (x *xmlDocument) beginSection(ctx context.Context) error {
	if len(x.opened) == 0 {
		return nil
	}
	x.state, x.tail = xmlInSection, x.tail[:0]
	x.beginText()
	mark := x.tok
	x.tok = x.tok[:0]
	if x.joins() {
		x.text.cdata = true
		return x.text.markup(ctx, mark)
	}
	if err := x.endText(ctx); err != nil {
		return err
	}
	x.e.out(mark)
	x.beginText()
	x.text.syntax, x.section = xmlCDATA, true
	return nil
}

func (x *xmlDocument) takeSection(ctx context.Context, b []byte) (n int, ok bool, err error) {
	content, n, found := x.until(b, cdataEnd)
	if err := x.text.write(ctx, content); err != nil {
		return n, true, err
	}
	if !found {
		return n, true, nil
	}
	x.state = xmlContent
	x.text.cdata = false
	if x.joins() && x.text.syntax == xmlText {
		return n, true, x.text.markup(ctx, cdataEnd)
	}
	x.section = false
	if err := x.endText(ctx); err != nil {
		return n, true, err
	}
	x.e.out(cdataEnd)
	return n, true, nil
}

// docType takes a document type, or what else begins with <! and a letter.
func (x *xmlDocument) docType(ctx context.Context, b []byte) (n int, ok bool, err error) {
	for n < len(b) {
		done := x.nest.take(b[n])
		n++
		if done {
			x.state = xmlContent
			if err := x.aside.end(ctx, b[:n-1]); err != nil {
				return n, true, err
			}
			x.e.out(b[n-1 : n])
			return n, true, nil
		}
	}
	return n, true, x.aside.write(ctx, b)
}

// take reports whether c ends the declaration.
func (s *nesting) take(c byte) bool {
	s.last = [4]byte{s.last[1], s.last[2], s.last[3], c}
	switch {
	case s.comment:
		s.comment = string(s.last[1:]) != "-->"
	case s.quote != 0:
		if c == s.quote {
			s.quote = 0
		}
	case c == '\'' || c == '"':
		s.quote = c
	case c == '<':
		s.depth++
	case string(s.last[:]) == "<!--":
		s.comment = true
		s.depth--
		s.last = [4]byte{}
	case c == '>':
		if s.depth == 0 {
			return true
		}
		s.depth--
	}
	return false
}
