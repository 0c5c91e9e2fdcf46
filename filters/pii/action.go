package pii

import (
	"bytes"
	"context"
	"encoding/hex"
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
		w.scratch = mask(w.scratch, t, fd.Entity, value)
	}
	return w.scratch[start:len(w.scratch):len(w.scratch)], nil
}

// mask writes a mask character for each letter and digit, and leaves what is
// between them.
func mask(dst []byte, t *Treatment, e detect.Entity, value []byte) []byte {
	with := t.MaskWith
	if with == "" {
		with = "*"
	}
	hidden := len(value) // what is before it is
	if t.KeepDomain && e == detect.Email {
		if at := bytes.LastIndexByte(value, '@'); at >= 0 {
			hidden = at
		}
	}
	left := len(value) // how many characters are
	if t.KeepLast > 0 {
		total := 0
		for i := 0; i < len(value); i += charSize(value[i:]) {
			if masked[value[i]] {
				total++
			}
		}
		left = total - min(t.KeepLast, total/2)
	}
	if len(with) > 1 {
		return maskWith(dst, with, value, hidden, left)
	}
	n := len(dst)
	dst = append(dst, value...)
	out := dst[n:n]
	for i, c := range value {
		switch {
		case i >= hidden, left == 0 && utf8.RuneStart(c):
			return append(dst[:n+len(out)], value[i:]...)
		case !masked[c]:
			out = append(out, c)
		case utf8.RuneStart(c):
			out = append(out, with[0])
			left--
		}
	}
	return dst[:n+len(out)]
}

// maskWith is mask with a character of several bytes.
func maskWith(dst []byte, with string, value []byte, hidden, left int) []byte {
	for i, c := range value {
		switch {
		case i >= hidden, left == 0 && utf8.RuneStart(c):
			return append(dst, value[i:]...)
		case !masked[c]:
			dst = append(dst, c)
		case utf8.RuneStart(c):
			dst = append(dst, with...)
			left--
		}
	}
	return dst
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
