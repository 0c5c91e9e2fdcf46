// Package privacy replaces personal data in what goes out to a model, and
// puts it back in what comes in.
//
// Each value of an entity that is to be tokenised becomes <ENTITY_n>, the same
// value the same token, numbered in the order in which they are found: two
// questions that differ in nothing but the values have the same text, and the
// mapping lives as long as the question. Each value that is to be hashed
// becomes <ENTITY:hash>, a keyed hash that is not put back.
package privacy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/answer"
	"github.com/sluice-proxy/sluice/internal/detect"
)

// hashBytes is how much of a hash is written: enough to tell values apart.
const hashBytes = 8

// Config says what is replaced.
type Config struct {
	Tokenize, Hash []string
	MinScore       float64
	// Key gives the key of the hashes; needed where Hash is not empty.
	Key func() (filters.Secret, error)
}

// Masker replaces personal data. It is used by many at once.
type Masker struct {
	scanner *detect.Scanner
	hash    map[detect.Entity]bool
	key     func() (filters.Secret, error)
}

// New returns a masker.
func New(c Config) (*Masker, error) {
	m := &Masker{hash: map[detect.Entity]bool{}, key: c.Key}
	opt := detect.Options{MinScore: c.MinScore}
	for _, e := range c.Tokenize {
		opt.Entities = append(opt.Entities, detect.Entity(e))
	}
	for _, e := range c.Hash {
		opt.Entities = append(opt.Entities, detect.Entity(e))
		m.hash[detect.Entity(e)] = true
	}
	if len(opt.Entities) == 0 {
		return nil, fmt.Errorf("privacy names no entity")
	}
	var err error
	m.scanner, err = detect.New(opt)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// Mapping is what was replaced in one question.
type Mapping struct {
	byValue map[string]string // entity and value to token
	byToken map[string]string // token to value
	counts  map[detect.Entity]int
	// Findings counts what was replaced, by entity.
	Findings map[string]int
}

// Mask returns the parts with what is personal in their data replaced, and
// the mapping to put it back. The parts are left as they are. A nil Masker
// replaces nothing.
func (m *Masker) Mask(parts []filters.Part) ([]filters.Part, *Mapping, error) {
	mp := &Mapping{}
	if m == nil {
		return parts, mp, nil
	}
	var key filters.Secret
	if len(m.hash) > 0 {
		k, err := m.key()
		if err != nil {
			return nil, nil, fmt.Errorf("reading the key of the hashes: %w", err)
		}
		key = k
	}
	w := work{masker: m, mapping: mp, hashKey: key}
	out, copied := parts, false
	for i, p := range parts {
		if !p.Data || p.Text == "" {
			continue
		}
		text, changed := w.part(p)
		if !changed {
			continue
		}
		if !copied {
			out, copied = append([]filters.Part(nil), parts...), true
		}
		out[i].Text = text
	}
	return out, mp, nil
}

// work is the masking of one question.
type work struct {
	masker  *Masker
	mapping *Mapping
	hashKey filters.Secret
	found   []detect.Finding
}

// part masks one piece of data. In JSON every string and number is looked at
// by itself, without escapes and with the name of its field.
func (w *work) part(p filters.Part) (string, bool) {
	if t := strings.TrimLeft(p.Text, " \t\r\n"); t != "" && (t[0] == '{' || t[0] == '[') {
		if v, err := answer.Decode([]byte(p.Text)); err == nil {
			v, changed := w.value(p.Name, v)
			if !changed {
				return p.Text, false
			}
			if text, err := answer.Encode(v); err == nil {
				return string(text), true
			}
		}
	}
	return w.text(p.Name, p.Text)
}

func (w *work) value(name string, v any) (any, bool) {
	switch x := v.(type) {
	case string:
		return w.text(name, x)
	case json.Number:
		if s, changed := w.text(name, x.String()); changed {
			return s, true
		}
	case []any:
		changed := false
		for i := range x {
			e, c := w.value(name, x[i])
			x[i], changed = e, changed || c
		}
		return x, changed
	case map[string]any:
		out, changed := make(map[string]any, len(x)), false
		for _, k := range slices.Sorted(maps.Keys(x)) {
			key, c1 := w.text("", k)
			e, c2 := w.value(k, x[k])
			out[key], changed = e, changed || c1 || c2
		}
		return out, changed
	}
	return v, false
}

func (w *work) text(name, s string) (string, bool) {
	w.found, _ = w.masker.scanner.Scan(w.found[:0], detect.Context{Key: name}, []byte(s), false)
	if len(w.found) == 0 {
		return s, false
	}
	var b strings.Builder
	at := 0
	for _, f := range w.found {
		b.WriteString(s[at:f.Start])
		b.WriteString(w.mapping.replace(w.masker, f.Entity, s[f.Start:f.End], w.hashKey))
		at = f.End
	}
	b.WriteString(s[at:])
	return b.String(), true
}

func (mp *Mapping) replace(m *Masker, e detect.Entity, value string, key filters.Secret) string {
	if mp.Findings == nil {
		mp.Findings = map[string]int{}
	}
	mp.Findings[string(e)]++
	if m.hash[e] {
		mac := hmac.New(sha256.New, []byte(key.Reveal()))
		mac.Write([]byte(e))
		mac.Write([]byte{0})
		mac.Write([]byte(value))
		return "<" + string(e) + ":" + hex.EncodeToString(mac.Sum(nil)[:hashBytes]) + ">"
	}
	id := string(e) + "\x00" + value
	if t, ok := mp.byValue[id]; ok {
		return t
	}
	if mp.byValue == nil {
		mp.byValue, mp.byToken, mp.counts = map[string]string{}, map[string]string{}, map[detect.Entity]int{}
	}
	mp.counts[e]++
	t := fmt.Sprintf("<%s_%d>", e, mp.counts[e])
	mp.byValue[id], mp.byToken[t] = t, value
	return t
}

// Restore puts the values back into a text.
func (mp *Mapping) Restore(s string) string {
	if mp == nil || len(mp.byToken) == 0 || !strings.Contains(s, "<") {
		return s
	}
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '<')
		if i < 0 {
			break
		}
		b.WriteString(s[:i])
		s = s[i:]
		if end := strings.IndexByte(s, '>'); end > 0 {
			if v, ok := mp.byToken[s[:end+1]]; ok {
				b.WriteString(v)
				s = s[end+1:]
				continue
			}
		}
		b.WriteByte('<')
		s = s[1:]
	}
	b.WriteString(s)
	return b.String()
}

// RestoreValue puts the values back into the strings of a decoded document,
// and returns it and its JSON. What was there is left as it is.
func (mp *Mapping) RestoreValue(v any, doc []byte) (any, []byte) {
	if mp == nil || len(mp.byToken) == 0 {
		return v, doc
	}
	out, changed := mp.restoreIn(v)
	if !changed {
		return v, doc
	}
	b, err := answer.Encode(out)
	if err != nil {
		return v, doc
	}
	return out, b
}

func (mp *Mapping) restoreIn(v any) (any, bool) {
	switch x := v.(type) {
	case string:
		s := mp.Restore(x)
		return s, s != x
	case []any:
		out, changed := make([]any, len(x)), false
		for i := range x {
			var c bool
			out[i], c = mp.restoreIn(x[i])
			changed = changed || c
		}
		return out, changed
	case map[string]any:
		out, changed := make(map[string]any, len(x)), false
		for k := range x {
			var c bool
			out[k], c = mp.restoreIn(x[k])
			changed = changed || c
		}
		return out, changed
	}
	return v, false
}
