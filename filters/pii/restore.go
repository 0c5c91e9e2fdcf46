package pii

import (
	"context"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/detect"
)

// tokenEntity is what a token counts as.
const tokenEntity detect.Entity = "TOKEN"

// tokenScanner finds what action tokenize or encrypt may have written. Whether
// it did, only the vault knows.
type tokenScanner struct{}

// Scan finds tokens, as detect.Scanner finds entities.
func (tokenScanner) Scan(dst []detect.Finding, _ *detect.Context, text []byte, more bool) ([]detect.Finding, int) {
	for i := 0; i < len(text); {
		var n int
		var cut bool
		switch text[i] {
		case '<':
			n, cut = numberedToken(text[i:])
		case 't':
			n, cut = opaqueToken(text[i:])
		case 'e':
			n, cut = sealedToken(text[i:])
		}
		switch {
		case cut && more:
			return dst, i
		case n > 0:
			dst = append(dst, detect.Finding{Start: i, End: i + n, Entity: tokenEntity, Score: 1})
			i += n
		default:
			i++
		}
	}
	return dst, len(text)
}

// Close implements scanner.
func (tokenScanner) Close() {}

// numberedToken returns the length of the token at b[0], 0 where there is
// none. cut: more bytes may make it one.
func numberedToken(b []byte) (n int, cut bool) {
	digits := false
	for i := 1; i < len(b) && i < maxNumbered; i++ {
		c := b[i]
		switch {
		case c == '>':
			if digits && i > 3 {
				return i + 1, false
			}
			return 0, false
		case c >= 'A' && c <= 'Z', c == '_' && i > 1:
			digits = false
		case isDigit(c) && i > 1:
			digits = digits || b[i-1] == '_'
		default:
			return 0, false
		}
	}
	return 0, len(b) < maxNumbered
}

func opaqueToken(b []byte) (n int, cut bool) {
	if p, cut := hasPrefix(b, opaquePrefix); !p {
		return 0, cut
	}
	for i := len(opaquePrefix); i < opaqueLength; i++ {
		switch {
		case i == len(b):
			return 0, true
		case b[i] >= 'a' && b[i] <= 'z', b[i] >= '2' && b[i] <= '7':
		default:
			return 0, false
		}
	}
	return opaqueLength, false
}

func sealedToken(b []byte) (n int, cut bool) {
	if p, cut := hasPrefix(b, sealedPrefix); !p {
		return 0, cut
	}
	const head = len(sealedPrefix) + 4
	if len(b) < head {
		return 0, true
	}
	n = sealedLength(b[len(sealedPrefix):head])
	for i := head; i < n; i++ {
		switch {
		case i == len(b):
			return 0, true
		case isAlnum(b[i]), b[i] == '-', b[i] == '_':
		default:
			return 0, false
		}
	}
	return n, false
}

// hasPrefix: cut is true where b is a beginning of the prefix.
func hasPrefix(b []byte, prefix string) (has, cut bool) {
	n := min(len(b), len(prefix))
	same := string(b[:n]) == prefix[:n]
	return same && n == len(prefix), same
}

// restore puts back what the tokens in text stand for. A store that fails
// leaves them, and is not asked again for this body.
func (w *work) restore(ctx context.Context, text []byte, inJSON bool, edit func(start, end int, with []byte)) {
	if w.storeDown {
		return
	}
	shown := text
	if w.viewed {
		shown = w.view.text
	}
	tokens := make([]string, len(w.findings))
	for i, fd := range w.findings {
		tokens[i] = string(shown[fd.Start:fd.End])
	}
	values, err := w.vault.open(ctx, tokens)
	if err != nil {
		w.storeDown = true
		return
	}
	for i := range w.findings {
		if values[i] == nil {
			continue
		}
		start, end, form := w.place(&w.findings[i])
		if inJSON && form == plain {
			form = escaped
		}
		w.tally.add(string(tokenEntity), "restore")
		edit(start, end, form.write(values[i]))
	}
}

// argumentNames are the members of model APIs that hold a document as text,
// also where it comes in pieces.
var argumentNames = map[string]bool{"arguments": true, "partial_json": true}

// inArguments reports whether a text is a piece of a document that is written
// as text: what is put into it has to be escaped once more.
func inArguments(v *filters.Value, key string) bool {
	return v.Kind != filters.Name && argumentNames[key] && (v.More || len(v.Before) > 0)
}
