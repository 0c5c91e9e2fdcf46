package body

import (
	"bytes"
	"unicode/utf8"

	"github.com/sluice-proxy/sluice/filters"
)

// maxReference is the longest character or entity reference that is read, &
// and ; included.
const maxReference = 12

var entities = map[string]byte{"amp": '&', "lt": '<', "gt": '>', "quot": '"', "apos": '\''}

// unescapeReference reads a character reference or one of the five entities
// that XML knows by itself. Others stand for themselves: what a document type
// declares is not expanded.
func unescapeReference(dst, b []byte) ([]byte, int) {
	if b[0] != '&' {
		return dst, 0
	}
	n := bytes.IndexByte(b[:min(len(b), maxReference)], ';')
	if n < 2 {
		return dst, 0
	}
	name := b[1:n]
	if name[0] != '#' {
		if c, ok := entities[string(name)]; ok {
			return append(dst, c), n + 1
		}
		return dst, 0
	}
	r, ok := characterReference(name[1:])
	if !ok {
		return dst, 0
	}
	return utf8.AppendRune(dst, r), n + 1
}

// characterReference reads digits, or x and hexadecimal digits.
func characterReference(b []byte) (rune, bool) {
	base := rune(10)
	if len(b) > 0 && b[0] == 'x' {
		b, base = b[1:], 16
	}
	var r rune
	for _, c := range b {
		if !isHex(c) || base == 10 && c > '9' {
			return 0, false
		}
		if r = r*base + hexRune([]byte{c}); r > utf8.MaxRune {
			return 0, false
		}
	}
	// The characters of XML 1.0, section 2.2.
	ok := r >= 0x20 && r != 0xFFFE && r != 0xFFFF && (r < 0xD800 || r > 0xDFFF) || r == '\t' || r == '\n' || r == '\r'
	return r, ok && len(b) > 0
}

var (
	cdataStart   = []byte("<![CDATA[")
	cdataEnd     = []byte("]]>")
	commentStart = []byte("<!--")
	commentEnd   = []byte("-->")
	piStart      = []byte("<?")
	piEnd        = []byte("?>")
)

// marker returns where the next piece of markup in character data is: a
// comment, an instruction, or the beginning or end of a CDATA section. from is
// -1 where there is none. cdata: raw begins inside a section.
func marker(raw []byte, cdata bool) (from, to int, inside bool) {
	if cdata {
		if from = bytes.Index(raw, cdataEnd); from < 0 {
			return -1, -1, true
		}
		return from, from + len(cdataEnd), false
	}
	for from = 0; from < len(raw); from++ {
		i := bytes.IndexByte(raw[from:], '<')
		if i < 0 {
			break
		}
		from += i
		switch rest := raw[from:]; {
		case bytes.HasPrefix(rest, cdataStart):
			return from, from + len(cdataStart), true
		case bytes.HasPrefix(rest, commentStart):
			return from, from + past(rest, len(commentStart), commentEnd), false
		case bytes.HasPrefix(rest, piStart):
			return from, from + past(rest, len(piStart), piEnd), false
		}
	}
	return -1, -1, false
}

// past returns the index behind the first end in b from i on.
func past(b []byte, i int, end []byte) int {
	if n := bytes.Index(b[i:], end); n >= 0 {
		return i + n + len(end)
	}
	return len(b)
}

// decodeXML fills f with XML character data. Comments, instructions and the
// marks of CDATA sections have no text: an application reads what is around
// them as one.
func (f *flow) decodeXML(raw, scratch []byte) []byte {
	from, to, inside := marker(raw, false)
	if from < 0 {
		return f.decodeBy(raw, scratch, unescapeReference)
	}
	text := scratch[:0]
	offsets := f.room[:0]
	cdata := false
	for i := 0; i < len(raw); {
		if i == from {
			i, cdata = to, inside
			if from, to, inside = marker(raw[i:], cdata); from >= 0 {
				from, to = from+i, to+i
			}
			continue
		}
		decoded, n := f.one[:0], 0
		if !cdata {
			decoded, n = unescapeReference(f.one[:0], raw[i:])
		}
		if n == 0 {
			decoded, n = append(decoded, raw[i]), 1
		}
		text = append(text, decoded...)
		for range decoded {
			offsets = append(offsets, uint32(i))
		}
		i += n
	}
	f.raw, f.text, f.offsets = raw, text, append(offsets, uint32(len(raw)))
	f.room = f.offsets
	f.own()
	return text
}

// own gives what stands before the first character to that.
func (f *flow) own() {
	if len(f.text) > 0 && len(f.offsets) > 0 {
		first := f.offsets[0]
		for i := 0; i < len(f.text) && f.offsets[i] == first; i++ {
			f.offsets[i] = 0
		}
	}
}

// editXML is edit for character data: the markup within what is replaced
// stays, behind the replacement, so that the document is as well-formed as it
// was.
func (f *flow) editXML(g *flow, edits []filters.Edit, upto int) {
	at, scanned, cdata := 0, 0, false
	for _, e := range edits {
		start, end := max(e.Start, at), min(e.End, upto)
		if end < start {
			continue
		}
		f.append(g, at, start)
		from, to := g.rawFrom(start), g.rawTo(end)
		for scanned < from {
			_, n, inside := marker(g.raw[scanned:from], cdata)
			if n < 0 {
				break
			}
			scanned, cdata = scanned+n, inside
		}
		scanned = from
		inserted := false
		insert := func() {
			s := xmlText
			if cdata {
				s = xmlCDATA
			}
			f.insert(e.With, s)
			inserted = true
		}
		for scanned < to {
			i, n, inside := marker(g.raw[scanned:to], cdata)
			if i < 0 {
				break
			}
			if i > 0 && !inserted {
				insert()
			}
			f.mark(g.raw[scanned+i : scanned+n])
			scanned, cdata = scanned+n, inside
		}
		if !inserted {
			insert()
		}
		scanned = to
		at = end
	}
	f.append(g, at, upto)
	f.own()
}

// mark adds bytes that no text stands for. They go with what is before them.
func (f *flow) mark(raw []byte) {
	f.explicit()
	f.raw = append(f.raw, raw...)
	f.offsets[len(f.offsets)-1] = uint32(len(f.raw))
}
