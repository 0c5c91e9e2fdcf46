package body

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/sluice-proxy/sluice/filters"
)

// flow is text on its way through the stages, with the bytes it is written
// as. Where nothing is escaped the two are the same, and offsets is empty.
type flow struct {
	text []byte
	raw  []byte
	// offsets has, for each byte of text and for its end, where in raw it
	// begins. The bytes that one escape stands for begin at the same place.
	offsets []uint32
	// room is what offsets were written in before, for the next ones.
	room []uint32
	one  [8]byte // the text of one escape
}

// rawFrom returns where text[i:] begins in raw; what is escaped together
// belongs to the beginning.
func (f *flow) rawFrom(i int) int {
	if len(f.offsets) == 0 {
		return i
	}
	return int(f.offsets[i])
}

// rawTo returns where text[:i] ends in raw, the escape around i included.
func (f *flow) rawTo(i int) int {
	if len(f.offsets) == 0 {
		return i
	}
	for i > 0 && i < len(f.text) && f.offsets[i] == f.offsets[i-1] {
		i++
	}
	return int(f.offsets[i])
}

func (f *flow) reset() { f.text, f.raw, f.offsets = f.text[:0], f.raw[:0], f.offsets[:0] }

// dropFront takes away text[:n].
func (f *flow) dropFront(n int) {
	cut := f.rawTo(n)
	if len(f.offsets) > 0 {
		rest := f.offsets[:copy(f.offsets, f.offsets[n:])]
		for i := range rest {
			rest[i] = max(rest[i], uint32(cut)) - uint32(cut)
		}
		f.offsets = rest
	}
	f.text = f.text[:copy(f.text, f.text[n:])]
	f.raw = f.raw[:copy(f.raw, f.raw[cut:])]
	if len(f.text) == 0 {
		f.offsets = f.offsets[:0]
	}
}

// append adds part [from:to) of g.
func (f *flow) append(g *flow, from, to int) {
	if from >= to {
		return
	}
	rawFrom, rawTo := g.rawFrom(from), g.rawTo(to)
	if len(f.offsets) > 0 || len(g.offsets) > 0 {
		f.explicit()
		base := uint32(len(f.raw)) - uint32(rawFrom)
		f.offsets = slices.Grow(f.offsets[:len(f.offsets)-1], to-from+1)
		if len(g.offsets) > 0 {
			for _, at := range g.offsets[from:to] {
				f.offsets = append(f.offsets, at+base)
			}
		} else {
			for i := from; i < to; i++ {
				f.offsets = append(f.offsets, uint32(i)+base)
			}
		}
		f.offsets = append(f.offsets, uint32(rawTo)+base)
	}
	f.text = append(f.text, g.text[from:to]...)
	f.raw = append(f.raw, g.raw[rawFrom:rawTo]...)
}

// insert adds text that has to be escaped as the syntax says.
func (f *flow) insert(text []byte, s syntax) {
	if !s.needsEscape(text) {
		if len(f.offsets) > 0 {
			f.offsets = f.offsets[:len(f.offsets)-1]
			for i := range len(text) + 1 {
				f.offsets = append(f.offsets, uint32(len(f.raw)+i))
			}
		}
		f.text = append(f.text, text...)
		f.raw = append(f.raw, text...)
		return
	}
	f.explicit()
	f.offsets = f.offsets[:len(f.offsets)-1]
	for i := range text {
		f.offsets = append(f.offsets, uint32(len(f.raw)))
		f.raw = s.appendEscaped(f.raw, text[i:i+1])
	}
	f.offsets = append(f.offsets, uint32(len(f.raw)))
	f.text = append(f.text, text...)
}

// explicit writes the offsets down.
func (f *flow) explicit() {
	if len(f.offsets) > 0 {
		return
	}
	if f.offsets == nil {
		f.offsets = make([]uint32, 0, len(f.text)+64)
	}
	for i := range len(f.text) + 1 {
		f.offsets = append(f.offsets, uint32(i))
	}
}

// edit appends to f what becomes of g[:upto] by the edits.
func (f *flow) edit(g *flow, edits []filters.Edit, upto int, s syntax) {
	if s == xmlText {
		f.editXML(g, edits, upto)
		return
	}
	at := 0
	for _, e := range edits {
		start, end := max(e.Start, at), min(e.End, upto)
		if end < start {
			continue
		}
		f.append(g, at, start)
		f.insert(e.With, s)
		at = end
	}
	f.append(g, at, upto)
}

// decode fills f with the JSON string content raw, which has been checked. It
// refers to raw where nothing is escaped.
func (f *flow) decode(raw []byte, scratch []byte) []byte {
	f.offsets = f.offsets[:0]
	i := bytes.IndexByte(raw, '\\')
	f.raw = raw
	if i < 0 {
		f.text = raw
		return scratch
	}
	text := scratch[:0]
	offsets := slices.Grow(f.offsets, len(raw)+1)
	for at := 0; ; {
		text = append(text, raw[at:i]...)
		for ; at < i; at++ {
			offsets = append(offsets, uint32(at))
		}
		if i == len(raw) {
			break
		}
		r, n := decodeEscape(raw[i:])
		before := len(text)
		text = utf8.AppendRune(text, r)
		for range len(text) - before {
			offsets = append(offsets, uint32(i))
		}
		at += n
		if i = bytes.IndexByte(raw[at:], '\\'); i < 0 {
			i = len(raw)
		} else {
			i += at
		}
	}
	f.text, f.offsets = text, append(offsets, uint32(len(raw)))
	return text
}

// appendUnescaped appends the text of the JSON string content raw, which has
// been checked.
func appendUnescaped(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return append(dst, raw...)
		}
		r, n := decodeEscape(raw[i:])
		dst = utf8.AppendRune(append(dst, raw[:i]...), r)
		raw = raw[i+n:]
	}
}

// unescaping finds the places of a JSON string's text in its content raw, which
// has been checked.
type unescaping struct {
	raw      []byte
	same     bool // nothing is escaped
	at, text int  // up to where it has got in both: before an escape, or a byte
}

// seek returns where text[i:] begins in raw, and where text[:i] ends; they
// differ within an escape. It only goes forward.
func (u *unescaping) seek(i int) (from, to int) {
	if u.same {
		return i, i
	}
	for {
		plain := bytes.IndexByte(u.raw[u.at:], '\\')
		if n := i - u.text; plain < 0 || n < plain {
			u.at, u.text = u.at+n, i
			return u.at, u.at
		}
		u.at, u.text = u.at+plain, u.text+plain
		r, n := decodeEscape(u.raw[u.at:])
		length := utf8.RuneLen(r)
		switch {
		case i == u.text:
			return u.at, u.at
		case i < u.text+length:
			return u.at, u.at + n
		}
		u.at, u.text = u.at+n, u.text+length
	}
}

// decodeEscape reads one escape, or a surrogate pair of two. A lone surrogate
// is shown as U+FFFD.
func decodeEscape(b []byte) (r rune, n int) {
	switch b[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		hi := hexRune(b[2:6])
		if hi < 0xD800 || hi > 0xDFFF {
			return hi, 6
		}
		if hi < 0xDC00 && len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
			if lo := hexRune(b[8:12]); lo >= 0xDC00 && lo <= 0xDFFF {
				return (hi-0xD800)<<10 + (lo - 0xDC00) + 0x10000, 12
			}
		}
		return utf8.RuneError, 6
	}
	return rune(b[1]), 2
}

func hexRune(b []byte) rune {
	var r rune
	for _, c := range b {
		r <<= 4
		switch {
		case c >= '0' && c <= '9':
			r |= rune(c - '0')
		case c >= 'a' && c <= 'f':
			r |= rune(c-'a') + 10
		default:
			r |= rune(c-'A') + 10
		}
	}
	return r
}
