package body

import "bytes"

// transfer undoes the transfer encoding of one part (RFC 2045, section 6), and
// puts it back on. As long as what comes back is what went in, the bytes are
// handed out as they came; from the first byte on that is another, the rest is
// encoded anew.
type transfer struct {
	base64 bool // quoted-printable otherwise
	// flow has the decoded bytes that have not come back, with how they were
	// written.
	flow flow
	// ahead are those of them that have come back, in a group that has not come
	// back as a whole.
	ahead   int
	differs bool

	// Of the group or escape that is being read.
	group   [4]byte
	n       int
	start   int
	padding bool

	// How the lines are: the length of the first, where it has ended, and what
	// ended it; and how long the one is that is being written.
	width, first int
	lineEnd      []byte
	column       int
	rest         []byte // decoded bytes that are no whole group
}

// newTransfer returns nil where the encoding is none; ok is false where it is
// not known.
func newTransfer(encoding string) (t *transfer, ok bool) {
	switch encoding {
	case "", "7bit", "8bit", "binary", "identity":
		return nil, true
	case "base64":
		return &transfer{base64: true, flow: flow{offsets: []uint32{0}}}, true
	case "quoted-printable":
		return &transfer{flow: flow{offsets: []uint32{0}}}, true
	}
	return nil, false
}

func (t *transfer) held() int { return len(t.flow.raw) + len(t.rest) }

// decode reads what it can of b, up to what is not in the encoding, and
// returns the text. n is how much of b it was: less than all of it where the
// rest cannot be decoded.
func (t *transfer) decode(b []byte, end bool) (text []byte, n int) {
	from := len(t.flow.text)
	for n < len(b) {
		var ok bool
		if t.base64 {
			ok = t.takeBase64(b[n])
		} else {
			t.takeQuoted(b[n])
			ok = true
		}
		if !ok {
			break
		}
		n++
	}
	switch {
	case !end || t.n == 0:
	case !t.base64:
		t.spell(len(t.flow.raw))
	case t.n > 1: // the padding is missing
		t.complete()
	}
	return t.flow.text[from:], n
}

// decoded adds a byte that is written from start on, up to the end of raw.
func (t *transfer) decoded(c byte, start int) {
	t.flow.offsets[len(t.flow.text)] = uint32(start)
	t.flow.text = append(t.flow.text, c)
	t.flow.offsets = append(t.flow.offsets, uint32(len(t.flow.raw)))
}

func base64Value(c byte) (byte, bool) {
	switch {
	case c >= 'A' && c <= 'Z':
		return c - 'A', true
	case c >= 'a' && c <= 'z':
		return c - 'a' + 26, true
	case c >= '0' && c <= '9':
		return c - '0' + 52, true
	case c == '+':
		return 62, true
	case c == '/':
		return 63, true
	}
	return 0, false
}

func (t *transfer) takeBase64(c byte) bool {
	if isSpace(c) {
		if t.first == 0 && c == '\n' {
			t.first, t.lineEnd = t.width, []byte("\n")
			if n := len(t.flow.raw); n > 0 && t.flow.raw[n-1] == '\r' {
				t.lineEnd = []byte("\r\n")
			}
		}
		t.flow.raw = append(t.flow.raw, c)
		if t.n == 0 {
			t.flow.offsets[len(t.flow.text)] = uint32(len(t.flow.raw))
		}
		return true
	}
	v, ok := base64Value(c)
	switch {
	case c == '=' && (t.n >= 2 || t.padding):
	case !ok || t.padding:
		return false
	}
	if t.n == 0 {
		t.start = len(t.flow.raw)
	}
	t.flow.raw = append(t.flow.raw, c)
	t.width++
	if c == '=' {
		if t.padding { // the second one
			t.flow.offsets[len(t.flow.text)] = uint32(len(t.flow.raw))
			return true
		}
		t.padding = true
	} else {
		t.group[t.n] = v
		if t.n++; t.n < 4 {
			return true
		}
	}
	t.complete()
	return true
}

// complete decodes the group that has been read.
func (t *transfer) complete() {
	g, n, start := t.group, t.n, t.start
	t.n = 0
	t.decoded(g[0]<<2|g[1]>>4, start)
	if n > 2 {
		t.decoded(g[1]<<4|g[2]>>2, start)
	}
	if n > 3 {
		t.decoded(g[2]<<6|g[3], start)
	}
}

// takeQuoted takes a byte of quoted-printable: what is no escape stands for
// itself.
func (t *transfer) takeQuoted(c byte) {
	if t.n == 0 && c != '=' {
		t.flow.raw = append(t.flow.raw, c)
		t.decoded(c, len(t.flow.raw)-1)
		return
	}
	if t.n == 0 {
		t.start = len(t.flow.raw)
	}
	t.flow.raw = append(t.flow.raw, c)
	t.group[t.n] = c
	t.n++
	switch {
	case t.n == 1:
	case c == '\n' && (t.n == 2 || t.n == 3 && t.group[1] == '\r'): // a soft line end
		t.n = 0
		t.flow.offsets[len(t.flow.text)] = uint32(len(t.flow.raw))
	case t.n == 2 && (isHex(c) || c == '\r'):
	case t.n == 3 && isHex(t.group[1]) && isHex(c):
		t.n = 0
		t.decoded(byte(hexRune(t.group[1:3])), t.start)
	default:
		// The last byte may begin the next escape.
		t.flow.raw = t.flow.raw[:len(t.flow.raw)-1]
		t.spell(len(t.flow.raw))
		t.takeQuoted(c)
	}
}

// spell takes an escape that is none as the bytes that it is.
func (t *transfer) spell(to int) {
	t.n = 0
	for i := t.start; i < to; i++ {
		t.flow.offsets[len(t.flow.text)] = uint32(i)
		t.flow.text = append(t.flow.text, t.flow.raw[i])
		t.flow.offsets = append(t.flow.offsets, uint32(i+1))
	}
}

// encode appends to dst how out is written, which comes in place of what was
// decoded. end: no more comes.
func (t *transfer) encode(dst, out []byte, end bool) []byte {
	if !t.differs {
		waiting := t.flow.text[t.ahead:]
		n := 0
		for n < len(out) && n < len(waiting) && out[n] == waiting[n] {
			n++
		}
		t.ahead += n
		out = out[n:]
		switch {
		case len(out) == 0 && end && t.ahead == len(t.flow.text):
			dst = append(dst, t.flow.raw...)
			t.flow = flow{}
			return dst
		case len(out) > 0 || end:
			t.differs = true
		}
		written := int(t.flow.offsets[t.ahead])
		dst = append(dst, t.flow.raw[:written]...)
		if !t.differs {
			k := t.ahead
			for k > 0 && t.flow.offsets[k-1] == t.flow.offsets[t.ahead] {
				k--
			}
			t.note(t.flow.raw[:written])
			t.dropFront(k, written)
			t.ahead -= k
			return dst
		}
		t.note(t.flow.raw[:written])
		k := t.ahead
		for k > 0 && t.flow.offsets[k-1] == t.flow.offsets[t.ahead] {
			k--
		}
		t.rest = append(t.rest, t.flow.text[k:t.ahead]...)
	}
	// What went in is of no more use, but for what is not decoded yet.
	undecoded := t.flow.raw[len(t.flow.raw):]
	if t.n > 0 {
		undecoded = t.flow.raw[t.start:]
	}
	t.flow.text, t.flow.offsets = t.flow.text[:0], append(t.flow.offsets[:0], 0)
	t.flow.raw = t.flow.raw[:copy(t.flow.raw, undecoded)]
	t.start = 0
	if t.base64 {
		dst = t.encodeBase64(dst, out, end)
	} else {
		dst = t.encodeQuoted(dst, out, end)
	}
	if end {
		dst = append(dst, t.flow.raw...)
	}
	return dst
}

func (t *transfer) dropFront(text, raw int) {
	f := &t.flow
	f.text = f.text[:copy(f.text, f.text[text:])]
	f.raw = f.raw[:copy(f.raw, f.raw[raw:])]
	f.offsets = f.offsets[:copy(f.offsets, f.offsets[text:])]
	for i := range f.offsets {
		f.offsets[i] -= uint32(raw)
	}
	t.start -= raw
}

// note follows at which column the line is that has been written.
func (t *transfer) note(written []byte) {
	if i := bytes.LastIndexByte(written, '\n'); i >= 0 {
		t.column = len(written) - i - 1
	} else {
		t.column += len(written)
	}
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

func (t *transfer) encodeBase64(dst, out []byte, end bool) []byte {
	t.rest = append(t.rest, out...)
	b := t.rest
	for ; len(b) >= 3; b = b[3:] {
		dst = t.breakLine(dst)
		dst = append(dst, base64Digits[b[0]>>2], base64Digits[b[0]&3<<4|b[1]>>4], base64Digits[b[1]&15<<2|b[2]>>6], base64Digits[b[2]&63])
	}
	if end && len(b) > 0 {
		dst = t.breakLine(dst)
		if len(b) == 1 {
			dst = append(dst, base64Digits[b[0]>>2], base64Digits[b[0]&3<<4], '=', '=')
		} else {
			dst = append(dst, base64Digits[b[0]>>2], base64Digits[b[0]&3<<4|b[1]>>4], base64Digits[b[1]&15<<2], '=')
		}
		b = nil
	}
	t.rest = t.rest[:copy(t.rest, b)]
	return dst
}

func (t *transfer) breakLine(dst []byte) []byte {
	if t.first > 0 && t.column+4 > t.first {
		dst = append(dst, t.lineEnd...)
		t.column = 0
	}
	t.column += 4
	return dst
}

// quotedLine is the longest line of quoted-printable.
const quotedLine = 76

func (t *transfer) encodeQuoted(dst, out []byte, end bool) []byte {
	t.rest = append(t.rest, out...)
	b := t.rest
	for len(b) > 0 {
		c := b[0]
		if (c == '\r' || c == ' ' || c == '\t') && len(b) == 1 && !end {
			break // what follows decides
		}
		if c == '\n' || c == '\r' && len(b) > 1 && b[1] == '\n' {
			if c == '\r' {
				dst = append(dst, c)
				b = b[1:]
			}
			dst, b, t.column = append(dst, '\n'), b[1:], 0
			continue
		}
		last := len(b) == 1 || b[1] == '\r' || b[1] == '\n'
		plain := c > ' ' && c < 0x7f && c != '=' || (c == ' ' || c == '\t') && !last
		width := 1
		if !plain {
			width = 3
		}
		if t.column+width >= quotedLine {
			dst = append(dst, "=\r\n"...)
			t.column = 0
		}
		t.column += width
		if plain {
			dst = append(dst, c)
		} else {
			dst = append(dst, '=', hexUpper[c>>4], hexUpper[c&15])
		}
		b = b[1:]
	}
	t.rest = t.rest[:copy(t.rest, b)]
	return dst
}
