package pii

import (
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
	total := 0
	for _, r := range string(value) {
		if isLetterOrDigit(r) {
			total++
		}
	}
	keep := min(t.KeepLast, total/2)
	domain := len(value)
	if t.KeepDomain && e == detect.Email {
		for i := len(value) - 1; i >= 0; i-- {
			if value[i] == '@' {
				domain = i
				break
			}
		}
	}
	seen := 0
	for i := 0; i < len(value); {
		r, n := utf8.DecodeRune(value[i:])
		switch {
		case i >= domain, !isLetterOrDigit(r):
			dst = append(dst, value[i:i+n]...)
		default:
			if seen++; seen > total-keep {
				dst = append(dst, value[i:i+n]...)
			} else {
				dst = append(dst, with...)
			}
		}
		i += n
	}
	return dst
}

func isLetterOrDigit(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0x80
}
