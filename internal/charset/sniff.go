package charset

import (
	"bytes"
	"regexp"
	"strings"
)

// Content is what a body is said to be: text of a kind begins with certain
// characters, which tell more of its charset.
type Content uint8

// The kinds of content. JSON and XML begin with an ASCII character.
const (
	Plain Content = iota
	JSON
	XML
)

const (
	sniffBytes       = 16   // as many are looked at
	declarationBytes = 1024 // and as many for an XML declaration
)

var marks = []struct {
	mark string
	is   charset
}{
	{"\xef\xbb\xbf", utf8Charset},
	{"\xff\xfe\x00\x00", charset{unit: 4, little: true}},
	{"\x00\x00\xfe\xff", charset{unit: 4}},
	{"\xff\xfe", charset{unit: 2, little: true}},
	{"\xfe\xff", charset{unit: 2}},
}

// sniff finds out what a body that begins with b is written in. more: it takes
// more bytes to tell.
func sniff(b []byte, end bool, declared charset, isDeclared bool, c Content) (is charset, known, more bool) {
	// Two bytes tell whether a mark or a zero is among the first: a stream of
	// events does not wait for more.
	if len(b) < 2 && !end {
		return is, true, true
	}
	for _, m := range marks {
		switch {
		case strings.HasPrefix(string(b[:min(len(b), 4)]), m.mark):
			return m.is, true, false
		case len(b) < 4 && !end && strings.HasPrefix(m.mark, string(b)):
			return is, true, true
		}
	}
	head := b[:min(len(b), sniffBytes)]
	if declared.unit != 0 || bytes.IndexByte(b[:min(len(b), 2)], 0) >= 0 {
		if len(head) < sniffBytes && !end {
			return is, true, true
		}
		if is, ok := wide(head, c); ok {
			return is, true, false
		}
		if declared.unit != 0 {
			return believed(head, declared, c), true, false
		}
	}
	if isDeclared {
		return declared, true, false
	}
	if c == XML && len(b) < len(xmlStart) && !end && bytes.HasPrefix(xmlStart, b) {
		return is, true, true
	}
	if c == XML && bytes.HasPrefix(b, xmlStart) {
		return declaration(b, end)
	}
	return utf8Charset, true, false
}

// wide recognises UTF-16 and UTF-32 by an ASCII beginning.
func wide(head []byte, c Content) (charset, bool) {
	for _, cs := range []charset{{unit: 4, little: true}, {unit: 4}, {unit: 2, little: true}, {unit: 2}} {
		// One character tells enough where it has to be ASCII.
		units := 2
		if c != Plain || len(head) < 2*cs.unit {
			units = 1
		}
		n := 0
		for n < units && len(head) >= (n+1)*cs.unit && isText(cs.at(head[n*cs.unit:])) {
			n++
		}
		if n == units {
			return cs, true
		}
	}
	return charset{}, false
}

// believed is what a body that is declared to be UTF-16 or UTF-32 is: that,
// or nothing of it where it is plain ASCII.
func believed(head []byte, declared charset, c Content) charset {
	look := head
	if c != Plain {
		look = head[:min(len(head), 1)]
	}
	ascii := len(look) > 0
	for _, b := range look {
		ascii = ascii && isText(rune(b))
	}
	if ascii {
		return utf8Charset
	}
	if declared.either {
		// Where no byte order is told, it is big-endian (RFC 2781, 4.3), unless
		// the zeros say otherwise.
		zeros := [2]int{}
		for i, b := range head {
			if b == 0 {
				zeros[i%2]++
			}
		}
		declared.little = zeros[1] > zeros[0]
	}
	return declared
}

func isText(r rune) bool { return r >= 0x20 && r < 0x7f || r == '\t' || r == '\n' || r == '\r' }

var xmlStart = []byte("<?xml")

var encodingName = regexp.MustCompile(`encoding\s*=\s*["']([A-Za-z][A-Za-z0-9._:-]*)["']`)

// declaration reads the encoding of an XML declaration.
func declaration(b []byte, end bool) (is charset, known, more bool) {
	head := b[:min(len(b), declarationBytes)]
	n := bytes.IndexByte(head, '>')
	if n < 0 {
		if len(head) < declarationBytes && !end {
			return is, true, true
		}
		return utf8Charset, true, false
	}
	m := encodingName.FindSubmatch(head[:n])
	if m == nil {
		return utf8Charset, true, false
	}
	is, known = lookup(string(m[1]))
	if is.unit != 0 {
		// It has just been read as ASCII.
		is = utf8Charset
	}
	return is, known, false
}
