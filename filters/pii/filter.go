package pii

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
	"github.com/sluice-proxy/sluice/internal/detect"
	"github.com/sluice-proxy/sluice/internal/keyring"
)

// scanner finds things in the texts of one body or message, as detect.Session
// does.
type scanner interface {
	Scan(dst []detect.Finding, ctx *detect.Context, text []byte, more bool) (findings []detect.Finding, settled int)
	Close()
}

// blind is a scanner that finds nothing.
type blind struct{}

// Scan implements scanner.
func (blind) Scan(dst []detect.Finding, _ *detect.Context, text []byte, _ bool) ([]detect.Finding, int) {
	return dst, len(text)
}

// Close implements scanner.
func (blind) Close() {}

// filter is one configured use.
type filter struct {
	cfg     Config
	open    func() scanner
	in      codings
	key     filters.Secret
	store   filters.Store
	random  io.Reader
	allowed map[string]bool
	// masksAll: findings are masked, whatever they are and whoever asks, and no
	// detector outside has any.
	masksAll bool
	// paths and outside are for the detectors outside.
	paths   *body.Paths
	outside []*outside
}

func build(c Config, env filters.Env) (filters.Filter, error) {
	f := &filter{cfg: c, in: newCodings(c.Decode), store: env.Store, random: env.Rand}
	if err := f.arm(env); err != nil {
		return nil, err
	}
	f.cfg.Tokens.Conversation = strings.ToLower(c.Tokens.Conversation)
	f.cfg.Headers = nil
	for _, h := range c.Headers {
		f.cfg.Headers = append(f.cfg.Headers, strings.ToLower(h))
	}
	if c.Restore {
		// Tokens stand as they were written, or in a document.
		f.open, f.in = func() scanner { return tokenScanner{} }, f.in&jsonDocuments
		return f, nil
	}
	opt := c.options()
	for i := range c.Recognisers {
		custom, err := c.Recognisers[i].build(fmt.Sprintf("recognisers[%d]", i), env.Dir)
		if err != nil {
			return nil, err
		}
		opt.Custom = append(opt.Custom, custom)
	}
	detector, err := detect.New(opt)
	if err != nil {
		return nil, &filters.FieldError{Path: "entities", Msg: err.Error()}
	}
	f.open = func() scanner { return detector.Open() }
	if len(c.Entities) > 0 && len(opt.Entities) == 0 {
		f.open = func() scanner { return blind{} } // all of them are for detectors outside
	}
	for i, d := range c.Detectors {
		o, err := d.ready(fmt.Sprintf("detectors[%d]", i), env)
		if err != nil {
			return nil, err
		}
		f.outside = append(f.outside, o)
	}
	if len(f.outside) > 0 {
		if f.paths, err = body.CompilePaths(c.Paths); err != nil {
			return nil, &filters.FieldError{Path: "paths", Msg: err.Error()}
		}
	}
	f.masksAll = c.Action == Mask && len(c.Rules) == 0 && len(c.Scores) == 0 && len(c.AllowValues) == 0 && len(c.Detectors) == 0
	if len(c.AllowValues) > 0 {
		f.allowed = make(map[string]bool, len(c.AllowValues))
		for _, v := range c.AllowValues {
			f.allowed[v] = true
		}
	}
	return f, nil
}

// options are those of detection. It finds what passes the lowest threshold;
// each entity's own is looked at later.
func (c *Config) options() detect.Options {
	opt := detect.Options{PhoneRegions: c.PhoneRegions, MinScore: c.threshold(""), NameBias: c.Names.Bias}
	for _, e := range c.Entities {
		if slices.ContainsFunc(detect.Entities(), func(i detect.Info) bool { return string(i.Entity) == e }) {
			opt.Entities = append(opt.Entities, detect.Entity(e))
		}
	}
	for _, s := range c.Scores {
		opt.MinScore = min(opt.MinScore, s)
	}
	return opt
}

// threshold is the lowest score of an entity's findings.
func (c *Config) threshold(e detect.Entity) float64 {
	if len(c.Scores) > 0 {
		if s, ok := c.Scores[string(e)]; ok {
			return s
		}
	}
	if c.MinScore > 0 {
		return c.MinScore
	}
	return defaultScore
}

// arm reads the key and sees to it that what the actions need is there.
func (f *filter) arm(env filters.Env) error {
	if f.cfg.Key.IsZero() {
		return nil
	}
	var err error
	if f.key, err = env.Secret(f.cfg.Key); err != nil {
		return &filters.FieldError{Path: "key", Msg: err.Error()}
	}
	if err := keyring.Check("key", f.key); err != nil {
		return err
	}
	if f.store == nil && (f.cfg.Restore || f.cfg.uses(Tokenize)) {
		return &filters.FieldError{Path: "action", Msg: "there is no store to keep tokens in"}
	}
	return nil
}

// Needs implements filters.Filter.
func (f *filter) Needs(d filters.Direction) filters.Needs {
	n := filters.Needs{
		Headers:   len(f.cfg.Headers) > 0 || d == filters.Request && len(f.cfg.Query) > 0,
		Immediate: len(f.outside) == 0 && !f.cfg.Restore && !f.cfg.uses(Tokenize),
		Trailers:  f.cfg.Trailers, Paths: f.cfg.Paths, Join: f.cfg.Join, Unparsed: f.cfg.Unparsed, Files: f.cfg.Files,
		// Objects are shown for those that tell a text again.
		Ignores: []filters.Kind{filters.Array, filters.Bool, filters.Null}, SameNames: true,
		AllNames: !f.cfg.Restore && len(f.outside) == 0 && !slices.ContainsFunc(f.cfg.Rules, func(r Rule) bool { return len(r.Groups) > 0 || len(r.NotGroups) > 0 }),
	}
	if f.cfg.SkipNames {
		n.Ignores = append(n.Ignores, filters.Name)
	}
	switch {
	case f.cfg.SkipBody:
		n.Paths = nil
	case f.cfg.uses(Deny), len(f.outside) > 0:
		// What is denied must not have gone out in part; and a detector outside
		// is asked once about all of a body.
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
	rules []*Rule // those that are for the consumer
	tally tally
	// vault is there where the configuration has a key. storeDown: the store
	// failed, and tokens are no longer put back.
	vault     *vault
	storeDown bool
	// spans is what detectors outside found; silent: one of them failed.
	spans  spans
	silent bool

	// scanner is nil before the first text. It is at work while scanning is set:
	// one that panicked is not used again.
	scanner  scanner
	scanning bool
	// Of the text that was scanned last: what was known of it, and the findings
	// in what was scanned, which is the view where viewed is set.
	about    detect.Context
	findings []detect.Finding
	view     view
	viewed   bool
	scratch  []byte
	// Room for the first findings, and for what is written in their place.
	findingsRoom [4]detect.Finding
	scratchRoom  [64]byte
	// memory is of the people in the document, and table of the columns of a
	// text that comes in pieces.
	memory detect.Memory
	table  detect.Table
}

func (f *filter) begin(ex *filters.Exchange) (work, error) {
	w := work{filter: f}
	if !f.key.Empty() {
		tenant, err := f.cfg.tenantOf(ex)
		if err != nil {
			return work{}, err
		}
		w.vault = &vault{keys: &keyring.Ring{Secret: f.key, Tenant: tenant}, store: f.store, random: f.random, tokens: f.cfg.Tokens, scope: f.cfg.scopeOf(ex)}
	}
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
	return w, nil
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

// scan looks for findings in text, about which about is filled in, and says how
// much of it is settled. veiled: it may be meant otherwise than it stands there.
func (w *work) scan(text []byte, more, veiled bool) (settled int) {
	about := &w.about
	about.Memory = &w.memory
	if w.viewed = veiled && w.in.has(^base64Values) && !(leadless(text) && leadless(about.Before)) && w.view.read(text, about.Before, more, w.in); w.viewed {
		text, about.Before = w.view.text, w.view.before
	}
	if w.findings == nil {
		w.findings, w.scratch = w.findingsRoom[:0], w.scratchRoom[:0]
	}
	w.scratch = w.scratch[:0]
	if w.scanner == nil || w.scanning {
		w.scanner = w.open()
	}
	w.scanning = true
	w.findings, settled = w.scanner.Scan(w.findings[:0], about, text, more)
	w.scanning = false
	if len(w.spans) > 0 && !more && len(about.Before) == 0 {
		w.findings = w.join(text, w.findings)
	}
	if w.viewed {
		settled = w.view.origin(settled)
	}
	return settled
}

// close lets go of the scanner, when the last text was looked at.
func (w *work) close() {
	if w.scanner != nil && !w.scanning {
		w.scanner.Close()
	}
	w.scanner, w.scanning = nil, false
}

// place returns where in the text a finding stands, and how it is written
// there.
func (w *work) place(fd *detect.Finding) (start, end int, f form) {
	if w.viewed {
		return w.view.span(fd.Start, fd.End)
	}
	return fd.Start, fd.End, plain
}

// fate is what becomes of a finding.
type fate uint8

const (
	stays fate = iota
	written
	goes
)

// treat decides on one of the findings in text, which was scanned: what stands
// at [start, end) of it stays, is replaced by with, or goes away. An error is a
// denial, or a failure of the step.
func (w *work) treat(ctx context.Context, text []byte, fd *detect.Finding) (start, end int, with []byte, f fate, err error) {
	if w.viewed {
		text = w.view.text
	}
	value := text[fd.Start:fd.End]
	if fd.Score < w.cfg.threshold(fd.Entity) || w.allowed != nil && w.allowed[string(value)] {
		return 0, 0, nil, stays, nil
	}
	t := w.treatment(fd)
	if t.Action == Allow {
		return 0, 0, nil, stays, nil
	}
	start, end, form := w.place(fd)
	w.tally.add(string(fd.Entity), string(t.Action))
	switch t.Action {
	case Deny:
		return start, end, nil, stays, &filters.DenyError{Denial: filters.Denial{Status: w.cfg.Deny.Status, Type: "urn:sluice:problem:personal-data", Title: w.cfg.Deny.Title,
			Extensions: map[string]any{"entity": string(fd.Entity)}}}
	case Remove:
		return start, end, nil, goes, nil
	default:
		if with, err = w.write(ctx, fd, t, value); err != nil {
			return start, end, nil, stays, err
		}
	}
	if form != plain {
		with = form.write(with)
	}
	return start, end, with, written, nil
}

// decision tells what was found and done.
func (w *work) decision() filters.Decision {
	dec := filters.Decision{Verdict: filters.Passed}
	if dec.Findings, dec.Actions = w.tally.counts(); len(dec.Actions) > 0 {
		dec.Verdict = filters.Changed
	}
	switch {
	case w.storeDown:
		dec.Reason = "store"
	case w.silent:
		dec.Reason = "detector"
	}
	return dec
}

// Open implements filters.Streamer.
func (f *filter) Open(ctx context.Context, ex *filters.Exchange, d filters.Direction) (filters.Stream, error) {
	w, err := f.begin(ex)
	if err != nil {
		return nil, err
	}
	if len(f.outside) > 0 {
		if w.spans, w.silent, err = f.consult(ctx, ex, d); err != nil {
			return nil, err
		}
	}
	return &stream{w}, nil
}

// stream is the work on one body.
type stream struct{ work }

// Value implements filters.Stream.
func (s *stream) Value(ctx context.Context, v *filters.Value) error {
	w := &s.work
	plain := v.Kind == filters.Number || v.Kind == filters.String && v.Plain && !mayWrap(v.Text)
	if !plain || !w.masksAll || v.More || len(v.Before) > 0 || w.scanner == nil || w.scanning {
		return w.value(ctx, v, v.Key, 0)
	}
	// The same in short: nearly all values go by here.
	about := &w.about
	about.Key, about.Before, about.Name, about.Table = v.Key, nil, false, nil
	w.viewed, w.scratch = false, w.scratch[:0]
	w.scanning = true
	w.findings, _ = w.scanner.Scan(w.findings[:0], about, v.Text, false)
	w.scanning = false
	w.maskAll(v)
	return nil
}

// maskAll masks what was found in a value.
func (w *work) maskAll(v *filters.Value) {
	for i := range w.findings {
		fd := &w.findings[i]
		w.tally.add(string(fd.Entity), string(Mask))
		v.Edit(fd.Start, fd.End, w.masked(&w.cfg.Treatment, fd.Entity, v.Text[fd.Start:fd.End]))
	}
}

// State implements filters.Steady: it is how many of the people it remembers.
// What the store knows, or a detector outside, is not seen from here.
func (s *stream) State() (n int, ok bool) {
	return s.memory.Len(), !s.cfg.Restore && len(s.outside) == 0
}

// value looks at a value of a body, or of a document in one of its values, so
// many layers down.
func (w *work) value(ctx context.Context, v *filters.Value, key string, layer int) error {
	switch v.Kind {
	case filters.Name:
		if w.cfg.SkipNames {
			return nil
		}
		key = ""
	case filters.Object, filters.Array, filters.Bool, filters.Null:
		w.tokens(v)
		return nil
	case filters.String, filters.Text:
		if !v.More && (len(v.Before) > 0 || !mayWrap(v.Text)) {
			break
		}
		if done, err := w.unwrapValue(ctx, v, key, layer); done || err != nil {
			return err
		}
	}
	if v.More && len(v.Before) == 0 && len(w.outside) > 0 {
		v.Hold(0) // a text is only asked about as a whole
		return nil
	}
	about := &w.about
	about.Key, about.Before, about.Name, about.Table = key, v.Before, v.Kind == filters.Name, nil
	if v.Kind == filters.Text {
		if len(v.Before) == 0 {
			w.table = detect.Table{}
		}
		about.Table = &w.table
	}
	settled := w.scan(v.Text, v.More, !v.Plain && v.Kind != filters.Number)
	if v.More {
		v.Hold(settled)
	}
	if w.cfg.Restore && len(w.findings) > 0 {
		w.restore(ctx, v.Text, inArguments(v, key), v.Edit)
		return nil
	}
	if w.masksAll && !w.viewed {
		w.maskAll(v)
		return nil
	}
	for i := range w.findings {
		start, end, with, f, err := w.treat(ctx, v.Text, &w.findings[i])
		switch {
		case err != nil:
			return err
		case f == goes && v.Kind != filters.Text && !v.More && len(v.Before) == 0:
			v.Remove()
		case f != stays:
			v.Edit(start, end, with)
		}
	}
	return nil
}

// Rest implements filters.Rester: the scanner is for those that are at work.
func (s *stream) Rest() { s.close() }

// Close implements filters.Stream.
func (s *stream) Close(context.Context, *filters.Ledger) (filters.Decision, error) {
	s.close()
	return s.decision(), nil
}
