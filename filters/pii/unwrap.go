package pii

import (
	"bytes"
	"context"
	"encoding/base64"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
	"github.com/sluice-proxy/sluice/internal/detect"
)

// Coding is a way in which a value can be written that hides what it holds.
type Coding string

// The codings.
const (
	Unicode Coding = "unicode"
	JSON    Coding = "json"
	Base64  Coding = "base64"
	URL     Coding = "url"
	HTML    Coding = "html"
)

var allCodings = []Coding{Unicode, JSON, Base64, URL, HTML}

// codings is a set of them.
type codings uint8

const (
	unicodeForms codings = 1 << iota
	jsonDocuments
	base64Values
	urlEscapes
	htmlEntities
)

func newCodings(names []Coding) (in codings) {
	for _, n := range names {
		in |= 1 << slices.Index(allCodings, n)
	}
	return in
}

func (in codings) has(c codings) bool { return in&c != 0 }

// Bounds of what is unwrapped.
const (
	// maxLayers is how many documents or encodings are looked at one inside
	// the other.
	maxLayers = 3
	// maxEncoded is the longest value that is decoded from base64, and
	// minEncoded the shortest that could hold anything.
	maxEncoded, minEncoded = 64 << 10, 12
	// maxDocument is the longest string that is read as a document, also where it
	// comes in pieces. A string of a live stream comes in small ones, and is
	// not held back for it.
	maxDocument, livePiece = 192 << 10, 4 << 10
	// maxTextDocument is that of text that is no string. It comes in pieces as the
	// body does, and what is found must not depend on these: it is held back, and
	// not for long.
	maxTextDocument = 4 << 10
)

// outcome is what became of a value that was looked at as a whole.
type outcome uint8

const (
	asText    outcome = iota // it is no document and no encoding
	unchanged                // there was nothing to change
	changed                  // it is to be replaced
	removed                  // it is to go away
)

// look looks at a complete value: the text, what it encodes, or the document
// that it is.
func (w *work) look(ctx context.Context, key string, text []byte, layer int) ([]byte, outcome, error) {
	if out, o, err := w.unwrap(ctx, key, text, layer); err != nil || o != asText {
		return out, o, err
	}
	w.about = detect.Context{Key: key}
	w.scan(text, false, true)
	var out []byte
	at, o := 0, unchanged
	edit := func(start, end int, with []byte) {
		out = append(append(out, text[at:start]...), with...)
		at = end
		o = max(o, changed)
	}
	if w.cfg.Restore {
		w.restore(ctx, text, false, edit)
		return append(out, text[at:]...), o, nil
	}
	for i := range w.findings {
		start, end, with, f, err := w.treat(ctx, text, &w.findings[i])
		switch {
		case err != nil:
			return nil, o, err
		case f == goes:
			o = removed
		case f == written:
			edit(start, end, with)
		}
	}
	return append(out, text[at:]...), o, nil
}

// unwrap looks into a complete value that is a document or an encoding of
// something.
func (w *work) unwrap(ctx context.Context, key string, text []byte, layer int) ([]byte, outcome, error) {
	if layer >= maxLayers {
		return nil, asText, nil
	}
	if w.in.has(jsonDocuments) && opensDocument(text) && len(text) <= maxDocument {
		return w.inDocument(ctx, key, text, layer)
	}
	if !w.in.has(base64Values) || len(text) < minEncoded {
		return nil, asText, nil
	}
	decoded, enc := decode64(text)
	if enc == nil {
		return nil, asText, nil
	}
	out, o, err := w.look(ctx, key, decoded, layer+1)
	if err != nil || o != changed && o != removed {
		return nil, asText, err // what it looks like is looked at too
	}
	return enc.AppendEncode(nil, out), o, nil
}

// mayWrap reports whether text may be a document or an encoding. Nearly every
// value is neither.
func mayWrap(text []byte) bool {
	if len(text) < minEncoded {
		return len(text) > 0 && (text[0] <= ' ' || text[0] == '{' || text[0] == '[')
	}
	return text[0] <= ' ' || text[0] == '{' || text[0] == '[' || mayEncode(text)
}

// unwrapValue looks into a value of a body that may be a document or an
// encoding, and reports whether that was all there is to do.
func (w *work) unwrapValue(ctx context.Context, v *filters.Value, key string, layer int) (done bool, err error) {
	switch {
	case len(v.Before) > 0:
		return false, nil
	case v.More && w.waits(v):
		v.Hold(0)
		return true, nil
	case v.More:
		return false, nil
	}
	if v.Kind == filters.Text && len(v.Text) > maxTextDocument && opensDocument(v.Text) {
		return false, nil
	}
	out, o, err := w.unwrap(ctx, key, v.Text, layer)
	switch {
	case err != nil || o == asText:
		return false, err
	case o == removed && v.Kind != filters.Text:
		v.Remove()
	case o == changed, o == removed:
		start, end, with := difference(v.Text, out)
		v.Edit(start, end, with)
	}
	return true, nil
}

// difference returns what of text is to be replaced, and by what, for it to
// become out.
func difference(text, out []byte) (start, end int, with []byte) {
	n := min(len(text), len(out))
	for start < n && text[start] == out[start] {
		start++
	}
	k := 0
	for k < n-start && text[len(text)-1-k] == out[len(out)-1-k] {
		k++
	}
	// Never within a character.
	for start > 0 && start < len(text) && !utf8.RuneStart(text[start]) {
		start--
	}
	for k > 0 && !utf8.RuneStart(text[len(text)-k]) {
		k--
	}
	return start, len(text) - k, out[start : len(out)-k]
}

// waits reports whether the beginning of a value that goes on is to be held
// because the value may have to be unwrapped.
func (w *work) waits(v *filters.Value) bool {
	if w.in.has(base64Values) && len(v.Text) <= maxEncoded && mayEncode(v.Text) {
		return true
	}
	switch {
	case !w.in.has(jsonDocuments):
		return false
	case v.Kind == filters.Text:
		return len(v.Text) <= maxTextDocument && (opensDocument(v.Text) || len(bytes.TrimLeft(v.Text, " \t\r\n")) == 0)
	}
	return opensDocument(v.Text) && len(v.Text) >= livePiece && len(v.Text) <= maxDocument
}

// opensDocument reports whether text may be a JSON object or array.
func opensDocument(text []byte) bool {
	for _, c := range text {
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		}
		return c == '{' || c == '['
	}
	return false
}

// inDocument looks into a JSON document in a value. Where it stops being one,
// the rest is looked at as text.
func (w *work) inDocument(ctx context.Context, key string, text []byte, layer int) ([]byte, outcome, error) {
	e := body.NewEditor(body.JSON, []body.Stage{{Stream: &document{w, key, layer + 1}}}, body.Limits{})
	out, err := e.Write(ctx, make([]byte, 0, len(text)+len(text)/8), text)
	if err == nil {
		out, err = e.Close(ctx, out)
	}
	if err != nil {
		return nil, asText, err
	}
	e.Release()
	if bytes.Equal(out, text) {
		return nil, unchanged, nil
	}
	return out, changed, nil
}

// document is the work on a document in a value. What has no name of its own
// in it goes by the value's.
type document struct {
	*work
	key   string
	layer int
}

// Value implements filters.Stream.
func (d *document) Value(ctx context.Context, v *filters.Value) error {
	key := v.Key
	if key == "" {
		key = d.key
	}
	return d.value(ctx, v, key, d.layer)
}

// Close implements filters.Stream; nobody calls it.
func (d *document) Close(context.Context, *filters.Ledger) (filters.Decision, error) {
	return filters.Decision{}, nil
}

// decode64 decodes a value that is base64 of text as a whole: with either
// alphabet, padded or not, perhaps in lines (RFC 4648, RFC 2045). The encoding
// is nil where it is not.
func decode64(text []byte) ([]byte, *base64.Encoding) {
	if len(text) > maxEncoded || !mayEncode(text) {
		return nil, nil
	}
	enc := encodingOf(text)
	if enc == nil {
		return nil, nil
	}
	out, err := enc.AppendDecode(nil, text)
	if err != nil || !isText(out) {
		return nil, nil
	}
	return out, enc
}

// mayEncode reports whether text, or its beginning, may be base64 of text: of
// UTF-8 without control characters. Nearly every other value is told apart by
// its first few characters.
func mayEncode(text []byte) bool {
	var quad uint32
	n, pads, state := 0, 0, uint8(0)
	for i := 0; i < len(text); i++ {
		if pads == 0 && n%4 == 0 && i+4 <= len(text) {
			a, b, c, d := values64[text[i]], values64[text[i+1]], values64[text[i+2]], values64[text[i+3]]
			if a|b|c|d < 64 {
				state = utf8States[utf8States[utf8States[state][a<<2|b>>4]][b<<4|c>>2]][c<<6|d]
				if state == noText {
					return false
				}
				i += 3
				continue
			}
		}
		c := text[i]
		v := values64[c]
		if v >= 64 {
			switch {
			case c == '\r' || c == '\n':
			case c == '=' && pads < 2:
				pads++
			default:
				return false
			}
			continue
		}
		if pads > 0 {
			return false
		}
		quad = quad<<6 | uint32(v)
		if n++; n%4 != 0 {
			continue
		}
		state = utf8States[utf8States[utf8States[state][byte(quad>>16)]][byte(quad>>8)]][byte(quad)]
		if state == noText {
			return false
		}
	}
	return true
}

// noText is the state of utf8States in which it turned out to be none; the
// others are how many bytes of a character are missing.
const noText = 4

// utf8States tells what comes of a byte in a text of UTF-8 without control
// characters, so far as mayEncode has to know.
var utf8States = func() (t [noText + 1][256]uint8) {
	for i := range 256 {
		b, to := byte(i), uint8(noText)
		switch {
		case b < 0x80 && !isControl(b):
			to = 0
		case b >= 0xC2 && b < 0xE0:
			to = 1
		case b >= 0xE0 && b < 0xF0:
			to = 2
		case b >= 0xF0 && b <= 0xF4:
			to = 3
		}
		t[0][b] = to
		for missing := 1; missing <= noText; missing++ {
			t[missing][b] = noText
			if b&0xC0 == 0x80 && missing < noText {
				t[missing][b] = uint8(missing - 1)
			}
		}
	}
	return t
}()

// values64 has the value of each character of the two alphabets, and 64 for
// all others.
var values64 = func() (t [256]byte) {
	for i := range t {
		t[i] = 64
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") {
		t[c] = byte(i)
	}
	t['+'], t['-'], t['/'], t['_'] = 62, 62, 63, 63
	return t
}()

// encodingOf returns the encoding that text is in by its characters and its
// padding.
func encodingOf(text []byte) *base64.Encoding {
	std, safe, n, pads := false, false, 0, 0
	for _, c := range text {
		switch c {
		case '\r', '\n':
			continue
		case '+', '/':
			std = true
		case '-', '_':
			safe = true
		case '=':
			pads++
		}
		n++
	}
	// Of a length that needs no padding one cannot tell whether it would be
	// there: mostly it is in the standard alphabet, and not in the other.
	switch {
	case std && safe, pads > 0 && n%4 != 0, n%4 == 1:
		return nil
	case safe && pads > 0:
		return base64.URLEncoding
	case safe:
		return base64.RawURLEncoding
	case n%4 == 0:
		return base64.StdEncoding
	}
	return base64.RawStdEncoding
}

// isControl: bytes that text does not hold.
func isControl(c byte) bool {
	return c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0x7F
}

// isText reports whether b is UTF-8 with nothing in it that is not shown.
func isText(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	return !bytes.ContainsFunc(b, func(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\n' && r != '\r' })
}
