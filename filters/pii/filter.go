package pii

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/detect"
)

const redactedText = "[REDACTED]"

// filter is one configured use.
type filter struct {
	cfg     Config
	scanner *detect.Scanner
	key     filters.Secret
	allowed map[string]bool
}

func build(c Config, env filters.Env) (filters.Filter, error) {
	f := &filter{cfg: c}
	opt := detect.Options{PhoneRegions: c.PhoneRegions, MinScore: c.MinScore}
	for _, e := range c.Entities {
		opt.Entities = append(opt.Entities, detect.Entity(e))
	}
	var err error
	if f.scanner, err = detect.New(opt); err != nil {
		return nil, &filters.FieldError{Path: "entities", Msg: err.Error()}
	}
	if c.uses(Hash) {
		if f.key, err = env.Secret(c.Key); err != nil {
			return nil, &filters.FieldError{Path: "hashKey", Msg: err.Error()}
		}
	}
	if len(c.AllowValues) > 0 {
		f.allowed = make(map[string]bool, len(c.AllowValues))
		for _, v := range c.AllowValues {
			f.allowed[v] = true
		}
	}
	for i, h := range f.cfg.Headers {
		f.cfg.Headers[i] = strings.ToLower(h)
	}
	return f, nil
}

// Needs implements filters.Filter.
func (f *filter) Needs(d filters.Direction) filters.Needs {
	n := filters.Needs{
		Headers:  len(f.cfg.Headers) > 0 || d == filters.Request && len(f.cfg.Query) > 0,
		Trailers: f.cfg.Trailers, Paths: f.cfg.Paths, Unparsed: f.cfg.Unparsed,
	}
	switch {
	case f.cfg.SkipBody:
		n.Paths = nil
	case f.cfg.uses(Deny):
		// What is denied must not have gone out in part.
		n.Body = filters.WholeBody
	default:
		n.Body = filters.StreamedBody
	}
	return n
}

// work is the filter at work on one message: it knows the consumer's rules,
// and counts.
type work struct {
	*filter
	rules    []*Rule // those that are for the consumer
	findings []detect.Finding
	found    map[string]int
	did      map[string]int
	scratch  []byte
}

func (f *filter) begin(ex *filters.Exchange) work {
	w := work{filter: f}
	for i := range f.cfg.Rules {
		r := &f.cfg.Rules[i]
		in := func(groups []string) bool {
			return slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(ex.Consumer.Groups, g) })
		}
		if len(r.Groups) > 0 && !in(r.Groups) || in(r.NotGroups) {
			continue
		}
		w.rules = append(w.rules, r)
	}
	return w
}

// treatment returns what is to become of a finding.
func (w *work) treatment(fd *detect.Finding) *Treatment {
	for _, r := range w.rules {
		if fd.Score >= r.MinScore && (len(r.Entities) == 0 || slices.Contains(r.Entities, string(fd.Entity))) {
			return &r.Treatment
		}
	}
	return &w.cfg.Treatment
}

// treat decides on the findings in text: edit is called for each that is to
// be changed, with what is written in its place, or remove. An error is a
// denial.
func (w *work) treat(text []byte, edit func(start, end int, with []byte), remove func(start, end int)) error {
	for i := range w.findings {
		fd := &w.findings[i]
		value := text[fd.Start:fd.End]
		if w.allowed != nil && w.allowed[string(value)] {
			continue
		}
		t := w.treatment(fd)
		if t.Action == Allow {
			continue
		}
		if w.found == nil {
			w.found, w.did = map[string]int{}, map[string]int{}
		}
		w.found[string(fd.Entity)]++
		w.did[string(t.Action)]++
		switch t.Action {
		case Deny:
			return &filters.DenyError{Denial: filters.Denial{Status: w.cfg.Deny.Status, Type: "urn:sluice:problem:personal-data", Title: w.cfg.Deny.Title,
				Extensions: map[string]any{"entity": string(fd.Entity)}}}
		case Remove:
			remove(fd.Start, fd.End)
		default:
			edit(fd.Start, fd.End, w.write(fd, t, value))
		}
	}
	return nil
}

// write returns what is written in a value's place. It stays valid until the
// next value is looked at.
func (w *work) write(fd *detect.Finding, t *Treatment, value []byte) []byte {
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
		mac := hmac.New(sha256.New, []byte(w.key.Reveal()))
		mac.Write([]byte(fd.Entity))
		mac.Write([]byte{0})
		mac.Write(value)
		w.scratch = append(w.scratch, hex.EncodeToString(mac.Sum(nil))[:length]...)
	default:
		w.scratch = mask(w.scratch, t, fd.Entity, value)
	}
	return w.scratch[start:len(w.scratch):len(w.scratch)]
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

// decision tells what was found and done.
func (w *work) decision() filters.Decision {
	if len(w.found) == 0 {
		return filters.Decision{Verdict: filters.Passed}
	}
	return filters.Decision{Verdict: filters.Changed, Findings: w.found, Actions: w.did}
}

// Open implements filters.Streamer.
func (f *filter) Open(_ context.Context, ex *filters.Exchange, _ filters.Direction) (filters.Stream, error) {
	return &stream{work: f.begin(ex)}, nil
}

// stream is the work on one body.
type stream struct{ work }

// Value implements filters.Stream.
func (s *stream) Value(_ context.Context, v *filters.Value) error {
	ctx := detect.Context{Key: v.Key, Before: v.Before}
	switch v.Kind {
	case filters.Name:
		if s.cfg.SkipNames {
			return nil
		}
		ctx.Key = ""
	case filters.Object, filters.Array, filters.Bool, filters.Null:
		return nil
	}
	settled := 0
	s.scratch = s.scratch[:0]
	s.findings, settled = s.scanner.Scan(s.findings[:0], ctx, v.Text, v.More)
	if v.More {
		v.Hold(settled)
	}
	if len(s.findings) == 0 {
		return nil
	}
	return s.treat(v.Text, v.Edit, func(start, end int) {
		if v.Kind == filters.Text || v.More || len(v.Before) > 0 {
			v.Edit(start, end, nil)
			return
		}
		v.Remove()
	})
}

// Close implements filters.Stream.
func (s *stream) Close(context.Context, *filters.Ledger) (filters.Decision, error) {
	return s.decision(), nil
}
