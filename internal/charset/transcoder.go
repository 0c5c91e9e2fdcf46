package charset

import (
	"encoding/binary"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// Transcoder turns one body into UTF-8 and back. It is for one goroutine.
type Transcoder struct {
	content    Content
	declared   charset
	isDeclared bool
	decided    bool
	unknown    bool
	is         charset
	multi      *multiByte // where that is one of several bytes a character
	held       []byte     // of the body: before it is decided, or a part of a character
	half       []byte     // of the text that goes back: a part of a character
}

// New returns a transcoder for a body that is declared to be in the charset
// with that label; "" where none is declared. A label that is not known counts
// for none.
func New(label string, c Content) *Transcoder {
	t := &Transcoder{content: c}
	if label != "" {
		t.declared, t.isDeclared = lookup(label)
	}
	return t
}

// Converts reports whether the body is known to be in another charset than
// UTF-8. Before it is known, nothing comes out.
func (t *Transcoder) Converts() bool { return t.decided && !t.is.isUTF8() }

// Unknown reports whether an XML declaration names an encoding that cannot be
// read.
func (t *Transcoder) Unknown() bool { return t.unknown }

// Held returns how many bytes are held back.
func (t *Transcoder) Held() int { return len(t.held) + len(t.half) }

// Decode takes a chunk of the body and returns it in UTF-8: the chunk itself
// where that is what it is, otherwise appended to dst. end: no more comes.
func (t *Transcoder) Decode(dst, chunk []byte, end bool) []byte {
	data := chunk
	if len(t.held) > 0 {
		t.held = append(t.held, chunk...)
		data = t.held
	}
	if !t.decided {
		is, known, more := sniff(data, end, t.declared, t.isDeclared, t.content)
		if more {
			if len(t.held) == 0 {
				t.held = append(t.held, data...)
			}
			return dst
		}
		t.decided, t.is, t.unknown = true, is, !known
		if is.multi != nil {
			t.multi = newMultiByte(is.multi)
		}
	}
	switch {
	case t.is.isUTF8():
		t.held = nil
		return data
	case t.is.table != nil:
		for _, b := range data {
			dst = appendDecoded(dst, t.is.table, b)
		}
		t.held = nil
		return dst
	}
	var n int
	if t.multi != nil {
		dst, n = t.multi.decode(dst, data, end)
	} else {
		dst, n = t.decodeUnits(dst, data, end)
	}
	rest := data[n:]
	if len(t.held) == 0 {
		t.held = append(t.held, rest...)
	} else {
		t.held = t.held[:copy(t.held, rest)]
	}
	return dst
}

func appendDecoded(dst []byte, table *charmap.Charmap, b byte) []byte {
	r := table.DecodeByte(b)
	if r == utf8.RuneError {
		return appendRaw(dst, b)
	}
	return utf8.AppendRune(dst, r)
}

// appendRaw writes a byte that stands for no character: as three that are no
// UTF-8.
func appendRaw(dst []byte, b byte) []byte { return append(dst, 0xFE, 0x80|b>>4, 0x80|b&15) }

// at reads one unit.
func (c charset) at(b []byte) rune {
	switch {
	case c.unit == 2 && c.little:
		return rune(binary.LittleEndian.Uint16(b))
	case c.unit == 2:
		return rune(binary.BigEndian.Uint16(b))
	case c.little:
		return rune(binary.LittleEndian.Uint32(b))
	}
	return rune(binary.BigEndian.Uint32(b))
}

// decodeUnits decodes whole characters and returns how many bytes they were.
func (t *Transcoder) decodeUnits(dst, b []byte, end bool) ([]byte, int) {
	i, unit := 0, t.is.unit
	for ; len(b)-i >= unit; i += unit {
		r := t.is.at(b[i:])
		if unit == 2 && isHigh(r) {
			if len(b)-i < 4 {
				if !end {
					return dst, i
				}
			} else if lo := t.is.at(b[i+2:]); isLow(lo) {
				dst = utf8.AppendRune(dst, (r-0xD800)<<10+(lo-0xDC00)+0x10000)
				i += 2
				continue
			}
		}
		switch {
		case r >= 0xD800 && r <= 0xDFFF: // WTF-8
			dst = append(dst, 0xED, 0x80|byte(r>>6)&0x3F, 0x80|byte(r)&0x3F)
		case r < 0 || r > utf8.MaxRune:
			for _, x := range b[i : i+unit] {
				dst = appendRaw(dst, x)
			}
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	if end {
		for ; i < len(b); i++ {
			dst = appendRaw(dst, b[i])
		}
	}
	return dst, i
}

func isHigh(r rune) bool { return r >= 0xD800 && r < 0xDC00 }
func isLow(r rune) bool  { return r >= 0xDC00 && r < 0xE000 }

// Encode takes UTF-8 and returns it in the body's charset: the text itself
// where that is UTF-8, otherwise appended to dst. A character that the charset
// does not have becomes a question mark. end: no more comes.
func (t *Transcoder) Encode(dst, text []byte, end bool) []byte {
	if t.is.isUTF8() {
		return text
	}
	if len(t.half) > 0 {
		text = append(t.half, text...)
		t.half = nil
	}
	for i := 0; i < len(text); {
		if !end && !fullRune(text[i:]) {
			t.half = append([]byte(nil), text[i:]...)
			break
		}
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n <= 1 {
			var raw bool
			if r, n, raw = decodeOurs(text[i:]); raw {
				dst = append(dst, byte(r))
				i += n
				continue
			}
		}
		if t.multi != nil {
			dst = t.multi.encode(dst, r)
		} else {
			dst = t.is.append(dst, r)
		}
		i += n
	}
	return dst
}

// fullRune is utf8.FullRune for what Decode makes, too.
func fullRune(b []byte) bool {
	switch {
	case b[0] == 0xFE, b[0] == 0xED && (len(b) == 1 || b[1] >= 0xA0):
		for i := 1; i < 3; i++ {
			if i == len(b) {
				return false
			}
			if b[i]&0xC0 != 0x80 {
				return true
			}
		}
		return true
	}
	return utf8.FullRune(b)
}

// decodeOurs reads what is no UTF-8: a surrogate in WTF-8, a byte that
// appendRaw wrote, or anything else, which becomes a question mark.
func decodeOurs(b []byte) (r rune, n int, raw bool) {
	if len(b) >= 3 && b[1]&0xC0 == 0x80 && b[2]&0xC0 == 0x80 {
		switch {
		case b[0] == 0xED && b[1] >= 0xA0:
			return 0xD000 | rune(b[1]&0x3F)<<6 | rune(b[2]&0x3F), 3, false
		case b[0] == 0xFE && b[1] < 0x90 && b[2] < 0x90:
			return rune(b[1]&15)<<4 | rune(b[2]&15), 3, true
		}
	}
	return '?', 1, false
}

func (c charset) append(dst []byte, r rune) []byte {
	if c.table != nil {
		b, ok := c.table.EncodeRune(r)
		if !ok {
			b = '?'
		}
		return append(dst, b)
	}
	var order binary.AppendByteOrder = binary.BigEndian
	if c.little {
		order = binary.LittleEndian
	}
	switch {
	case c.unit == 4:
		return order.AppendUint32(dst, uint32(r))
	case r < 0x10000:
		return order.AppendUint16(dst, uint16(r))
	}
	r -= 0x10000
	return order.AppendUint16(order.AppendUint16(dst, uint16(0xD800+r>>10)), uint16(0xDC00+r&0x3FF))
}
