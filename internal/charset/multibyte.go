package charset

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/text/encoding"
)

// multiByte is at work on a charset whose characters are of one to four bytes,
// of which those behind the first can be those of ASCII characters.
type multiByte struct {
	decoder    *encoding.Decoder
	encoder    *encoding.Encoder
	text, back [16]byte
}

func newMultiByte(e encoding.Encoding) *multiByte {
	return &multiByte{decoder: e.NewDecoder(), encoder: e.NewEncoder()}
}

// decode decodes whole characters and returns how many bytes they were. What
// would not come back as it was travels as bytes: what is no character, and the
// second way to write one.
func (m *multiByte) decode(dst, b []byte, end bool) ([]byte, int) {
	i := 0
	for i < len(b) {
		if b[i] < utf8.RuneSelf {
			dst = append(dst, b[i])
			i++
			continue
		}
		wrote, took := 0, 0
		for n := 1; took == 0; n++ {
			switch whole := i+n >= len(b); {
			case i+n > len(b) && !end:
				return dst, i
			case i+n > len(b):
				took = 1 // nothing was made of all that is left
			default:
				wrote, took, _ = m.decoder.Transform(m.text[:], b[i:i+n], whole && end)
			}
		}
		if char := m.text[:wrote]; m.comesBack(char, b[i:i+took]) {
			dst = append(dst, char...)
			i += took
			continue
		}
		// Behind half a character, ASCII is itself.
		half := wrote == 0 || bytes.Contains(m.text[:wrote], replacement)
		for end := i + took; ; {
			dst = appendRaw(dst, b[i])
			if i++; i == end || half && b[i] < utf8.RuneSelf {
				break
			}
		}
	}
	return dst, i
}

var replacement = []byte("\uFFFD")

// comesBack reports whether the text is written as these bytes.
func (m *multiByte) comesBack(text, as []byte) bool {
	n, _, err := m.encoder.Transform(m.back[:], text, true)
	return err == nil && bytes.Equal(m.back[:n], as)
}

// encode writes a character, or a question mark.
func (m *multiByte) encode(dst []byte, r rune) []byte {
	if r < utf8.RuneSelf {
		return append(dst, byte(r))
	}
	n, _, err := m.encoder.Transform(m.back[:], m.text[:utf8.EncodeRune(m.text[:], r)], true)
	if err != nil {
		return append(dst, '?')
	}
	return append(dst, m.back[:n]...)
}
