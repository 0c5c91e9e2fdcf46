package pii

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sluice-proxy/sluice/internal/detect"
)

const redactedText = "[REDACTED]"

// write returns what is written in a value's place. It stays valid until the
// next value is looked at.
func (w *work) write(ctx context.Context, fd *detect.Finding, t *Treatment, value []byte) ([]byte, error) {
	switch t.Action {
	case Tokenize:
		return w.vault.tokenize(ctx, string(fd.Entity), string(value))
	case Encrypt:
		return w.vault.encrypt(string(value), t.Random)
	case Synthesize:
		return synthesize(w.vault.keys, fd.Entity, string(value)), nil
	}
	start := len(w.scratch)
	switch t.Action {
	case Redact:
		w.scratch = append(w.scratch, redactedText...)
	case Replace:
		template := t.Template
		if template == "" {
			template = "<{entity}>"
		}
		w.scratch = append(w.scratch, strings.ReplaceAll(template, "{entity}", string(fd.Entity))...)
	case Hash:
		length := t.HashLength
		if length == 0 {
			length = 32
		}
		w.scratch = append(w.scratch, hex.EncodeToString(w.vault.keys.MAC(forHash, string(fd.Entity), string(value)))[:length]...)
	default:
		return w.masked(t, fd.Entity, value), nil
	}
	return w.scratch[start:len(w.scratch):len(w.scratch)], nil
}

// masked is write for what is masked.
func (w *work) masked(t *Treatment, e detect.Entity, value []byte) []byte {
	start := len(w.scratch)
	w.scratch = mask(w.scratch, t, e, value)
	return w.scratch[start:len(w.scratch):len(w.scratch)]
}

// maskWith is what is written for each letter and digit that is masked.
func (t *Treatment) maskWith() string {
	if t.MaskWith == "" {
		return "*"
	}
	return t.MaskWith
}

// mask writes a mask character for each letter and digit, and leaves what is
// between them.
func mask(dst []byte, t *Treatment, e detect.Entity, value []byte) []byte {
	with := t.maskWith()
	hidden := len(value) // what is before it is
	if t.KeepDomain && e == detect.Email {
		if at := bytes.LastIndexByte(value, '@'); at >= 0 {
			hidden = at
		}
	}
	if t.KeepLast > 0 {
		hidden = min(hidden, keepLast(value, t.KeepLast))
	}
	at := 0
	if len(with) == 1 {
		n := len(dst)
		dst = slices.Grow(dst, len(value))
		at = maskASCII(dst[n:n+hidden], value[:hidden], with[0])
		if dst = dst[:n+at]; at == len(value) {
			return dst
		}
	}
	for _, c := range value[at:hidden] {
		switch {
		case !masked[c]:
			dst = append(dst, c)
		case utf8.RuneStart(c):
			dst = append(dst, with...)
		}
	}
	return append(dst, value[hidden:]...)
}

// keepLast returns where the last n characters of value that would be masked
// begin, or half of them where there are fewer than twice as many.
func keepLast(value []byte, n int) int {
	total := 0
	for i := 0; i < len(value); i += charSize(value[i:]) {
		if masked[value[i]] {
			total++
		}
	}
	left := total - min(n, total/2)
	for i, c := range value {
		if masked[c] && utf8.RuneStart(c) {
			if left == 0 {
				return i
			}
			left--
		}
	}
	return len(value)
}

// maskASCII masks text into dst, which is as long, as far as it is ASCII, and
// returns how far that is. It masks eight bytes at a time.
func maskASCII(dst, text []byte, with byte) int {
	if len(text) < 8 {
		for i, c := range text {
			if c >= utf8.RuneSelf {
				return i
			}
			if masked[c] {
				c = with
			}
			dst[i] = c
		}
		return len(text)
	}
	for i := 0; ; {
		w := binary.LittleEndian.Uint64(text[i:])
		if w&highs != 0 {
			return i
		}
		hide := alnums(w) >> 7 * 0xFF
		binary.LittleEndian.PutUint64(dst[i:], w&^hide|uint64(with)*ones&hide)
		if i += 8; i == len(text) {
			return i
		}
		i = min(i, len(text)-8) // the last eight; what is masked twice is the same
	}
}

// charSize is the size of the first character of text.
func charSize(text []byte) int {
	if text[0] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRune(text)
	return n
}

// masked has the bytes of letters and digits; what is beyond ASCII counts as
// one.
var masked = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= utf8.RuneSelf || isAlnum(byte(c))
	}
	return t
}()

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// alnums marks, by their highest bits, the letters and digits among eight bytes
// of ASCII.
func alnums(w uint64) uint64 {
	digits := (w + (0x80-'0')*ones) &^ (w + (0x80-'9'-1)*ones)
	lower := w | 0x20*ones
	return (digits | (lower+(0x80-'a')*ones)&^(lower+(0x80-'z'-1)*ones)) & highs
}
