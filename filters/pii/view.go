package pii

import (
	"bytes"
	"encoding/binary"
	"html"
	"sort"
)

// view is a text as it is meant: with its percent escapes, HTML entities and
// \u escapes decoded, look-alikes of ASCII characters as these, and without
// what is not seen. It knows where in the text each of its bytes comes from.
type view struct {
	text   []byte
	before []byte
	units  []unit
	// covers is how much of the text was read: all of it, but for an escape
	// that is cut.
	covers int
	joined []byte
}

// unit is a stretch of a view: plain bytes as they stand in the text, or what
// one character that is written otherwise came to (perhaps nothing).
type unit struct {
	view     int // where it begins in the view
	from, to int // where it stands in the text
	form     form
}

// form is how a part of a text is written.
type form uint8

const (
	plain   form = iota
	folded       // a look-alike, or something that is not seen
	percent      // %40
	entity       // &#64;
	escaped      // \u0040
)

// leads are the bytes with which something begins that may be read otherwise:
// of the first bytes of UTF-8 sequences, those that fold knows something of.
var leads = func() (t [256]bool) {
	for _, c := range []byte("%&\\\xC2\xCB\xCC\xCD\xD6\xD8\xD9\xDB\xDF\xE0\xE1\xE2\xE3\xEA\xEF\xF0\xF3") {
		t[c] = true
	}
	return t
}()

// maybeLeads marks, by their highest bits, the bytes of w that may be leads: the
// first of them for sure, and behind it perhaps others that are none.
func maybeLeads(w uint64) uint64 {
	p, a, s := w^ones*'%', w^ones*'&', w^ones*'\\'
	// A high bit, or the classic test for a zero byte.
	return (w | (p-ones)&^p | (a-ones)&^a | (s-ones)&^s) & highs
}

// nextLead returns where in b, from i on, a byte stands that may begin
// something; len(b) where there is none.
func nextLead(b []byte, i int) int {
	for i < len(b) {
		if i+8 <= len(b) && maybeLeads(binary.LittleEndian.Uint64(b[i:])) == 0 {
			i += 8
			continue
		}
		for stop := min(i+8, len(b)); i < stop; i++ {
			if leads[b[i]] {
				return i
			}
		}
	}
	return len(b)
}

// leadless reports whether nothing in b may be a lead, for sure.
func leadless(b []byte) bool {
	n := len(b)
	if n < 8 {
		return maybeLeads(shortWord(b)) == 0
	}
	for i := 0; i+8 <= n; i += 8 {
		if maybeLeads(binary.LittleEndian.Uint64(b[i:])) != 0 {
			return false
		}
	}
	return maybeLeads(binary.LittleEndian.Uint64(b[n-8:])) == 0
}

// shortWord has the bytes of a text of up to eight, in some order and perhaps
// twice, and zeros.
func shortWord(b []byte) uint64 {
	switch n := len(b); {
	case n >= 4:
		return uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[n-4:]))<<32
	case n > 0:
		return uint64(b[0]) | uint64(b[n/2])<<8 | uint64(b[n-1])<<16
	}
	return 0
}

// read reads text, with what stood before it and what comes behind it if
// more, and reports whether it is meant otherwise than it stands there. If
// not, the view is not filled.
func (v *view) read(text, before []byte, more bool, in codings) bool {
	if nextLead(text, 0) == len(text) && (len(before) == 0 || nextLead(before, 0) == len(before)) {
		return false
	}
	// What stands before is read together with the text, so that a text means
	// the same wherever it is cut.
	all := text
	if len(before) > 0 {
		v.joined = append(append(v.joined[:0], before...), text...)
		all = v.joined
	}
	v.text, v.units = v.text[:0], v.units[:0]
	at, covers := 0, len(all)
	changed := false
	for i := nextLead(all, 0); i < len(all); i = nextLead(all, i) {
		c, cut := readChar(all, i, more, in)
		var instead []byte // of what stands there
		switch {
		case cut || c.size == 0:
		case c.kind == drop, c.kind == mark && isDigit(v.last(all, at, i)):
			instead = []byte{}
		case c.kind == same:
			instead = c.ascii[:1]
		case c.kind == joint:
			// Only as a separator in a number is it read as one. Elsewhere it is
			// punctuation and stays.
			joins := isDigit(v.last(all, at, i)) || v.last(all, at, i) == ')'
			if !joins {
				joins, cut = digitFollows(all, i+c.size, more, in)
			}
			if joins {
				instead = c.ascii[:1]
			}
		}
		if cut {
			covers = i
			break
		}
		if instead == nil && c.form != folded {
			instead = c.raw
		}
		if c.size == 0 || instead == nil {
			i += max(c.size, 1)
			continue
		}
		changed = true
		v.plain(all, at, i)
		v.units = append(v.units, unit{len(v.text), i, i + c.size, c.form})
		v.text = append(v.text, instead...)
		i += c.size
		at = i
	}
	if !changed && covers == len(all) {
		return false
	}
	v.plain(all, at, covers)
	v.split(len(before), covers)
	return true
}

// last returns the byte before all[i] in the view; all[at:i] is still to be
// taken over.
func (v *view) last(all []byte, at, i int) byte {
	switch {
	case i > at:
		return all[i-1]
	case len(v.text) > 0:
		return v.text[len(v.text)-1]
	}
	return 0
}

// plain takes over all[from:to] as it is.
func (v *view) plain(all []byte, from, to int) {
	if from < to {
		v.units = append(v.units, unit{len(v.text), from, to, plain})
		v.text = append(v.text, all[from:to]...)
	}
}

// split takes what stood before the text, n bytes, off the view.
func (v *view) split(n, covers int) {
	v.covers = max(covers-n, 0)
	v.before = nil
	if n == 0 {
		return
	}
	k := sort.Search(len(v.units), func(k int) bool { return v.units[k].to > n })
	cut := len(v.text)
	if k < len(v.units) {
		u := &v.units[k]
		cut = u.view
		if u.form == plain && u.from < n {
			cut += n - u.from
			u.view, u.from = cut, n
		}
	}
	v.before, v.text = v.text[:cut], v.text[cut:]
	v.units = v.units[:copy(v.units, v.units[k:])]
	for i := range v.units {
		u := &v.units[i]
		u.view -= cut
		u.from = max(u.from-n, 0)
		u.to -= n
	}
}

// unitAt returns the unit that byte p of the view is in.
func (v *view) unitAt(p int) int {
	return sort.Search(len(v.units), func(k int) bool { return v.units[k].view > p }) - 1
}

// origin returns where in the text what stands at p in the view begins.
func (v *view) origin(p int) int {
	if p >= len(v.text) {
		return v.covers
	}
	u := v.units[v.unitAt(p)]
	switch {
	case u.form == plain:
		return u.from + p - u.view
	case p > u.view:
		return u.to
	}
	return u.from
}

// span returns where in the text view[start:end] stands, and how it is
// written there.
func (v *view) span(start, end int) (from, to int, f form) {
	from = v.origin(start)
	for k := v.unitAt(start); k < len(v.units) && v.units[k].view < end; k++ {
		u := v.units[k]
		f = max(f, u.form)
		if to = u.to; u.form == plain {
			to = u.from + min(end-u.view, u.to-u.from)
		}
	}
	return from, to, f
}

// write writes text as a part of form f is written.
func (f form) write(text []byte) []byte {
	switch f {
	case percent:
		return percentEncode(text)
	case entity:
		return []byte(html.EscapeString(string(text)))
	case escaped:
		return escapeJSON(text)
	}
	return text
}

const hexDigits = "0123456789ABCDEF"

// percentEncode leaves what is unreserved (RFC 3986, 2.3), and the asterisk.
func percentEncode(text []byte) []byte {
	var out []byte
	for _, c := range text {
		if isAlnum(c) || bytes.IndexByte([]byte("-._~*"), c) >= 0 {
			out = append(out, c)
		} else {
			out = append(out, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return out
}

// escapeJSON writes text as the content of a JSON string.
func escapeJSON(text []byte) []byte {
	var out []byte
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c < 0x20:
			out = append(out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		default:
			out = append(out, c)
		}
	}
	return out
}
