package extproc_test

import (
	"bytes"
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// part is a filter whose parts are given by the test.
type part struct {
	needs filters.Needs
	apply func(ctx context.Context, ex *filters.Exchange, led *filters.Ledger) error
}

func (p part) Needs(filters.Direction) filters.Needs { return p.needs }

func (p part) Apply(ctx context.Context, ex *filters.Exchange, led *filters.Ledger) (filters.Decision, error) {
	if p.apply == nil {
		return filters.Decision{}, nil
	}
	return filters.Decision{Verdict: filters.Changed}, p.apply(ctx, ex, led)
}

// masks is a streamer that puts a mask of another length in the place of every
// word with an @ in it.
type masks struct{ part }

func (masks) Open(context.Context, *filters.Exchange, filters.Direction) (filters.Stream, error) {
	return masking{}, nil
}

type masking struct{}

func (masking) Value(_ context.Context, v *filters.Value) error {
	if v.Kind != filters.String && v.Kind != filters.Text {
		return nil
	}
	for start := 0; start < len(v.Text); {
		n := bytes.IndexByte(v.Text[start:], ' ')
		if n < 0 {
			if v.More {
				v.Hold(start) // the word may go on
				return nil
			}
			n = len(v.Text) - start
		}
		if bytes.IndexByte(v.Text[start:start+n], '@') >= 0 {
			v.Edit(start, start+n, []byte("[MASKED]"))
		}
		start += n + 1
	}
	return nil
}

func (masking) Close(_ context.Context, led *filters.Ledger) (filters.Decision, error) {
	led.SetMetadata("sluice", "masked", true)
	return filters.Decision{Verdict: filters.Changed}, nil
}

var mask = masks{part{needs: filters.Needs{Body: filters.StreamedBody}}}

// judge sees the whole body: it denies a forbidden one, and tells the length
// of the others in a header.
var judge = part{needs: filters.Needs{Body: filters.WholeBody}, apply: func(_ context.Context, ex *filters.Exchange, led *filters.Ledger) error {
	b := ex.Message(ex.Phase.Direction()).Body
	if bytes.Contains(b, []byte("forbidden")) {
		led.Deny(filters.Denial{Status: 403, Title: "No", Detail: "Not this one", Type: "urn:example:no",
			Extensions: map[string]any{"rule": "r1"}, Headers: []filters.Field{{Name: "retry-after", Value: "7"}}})
		return nil
	}
	led.SetHeader("x-length", strconv.Itoa(len(b)))
	led.RemoveHeader("x-drop")
	return nil
}}

// keep sees the whole body and changes nothing.
var keep = part{needs: filters.Needs{Body: filters.WholeBody}}

func inHeaders(f func(led *filters.Ledger, h *filters.Headers)) part {
	return part{needs: filters.Needs{Headers: true}, apply: func(_ context.Context, ex *filters.Exchange, led *filters.Ledger) error {
		f(led, &ex.Message(ex.Phase.Direction()).Headers)
		return nil
	}}
}

var trailing = part{needs: filters.Needs{Trailers: true}, apply: func(_ context.Context, _ *filters.Exchange, led *filters.Ledger) error {
	led.SetHeader("x-checked", "yes")
	led.RemoveHeader("x-drop")
	return nil
}}

// steps are the policies of a test: the same steps for every exchange.
type steps struct {
	chains pipeline.Chains
	limits pipeline.Limits
	mu     sync.Mutex
	begun  []filters.Exchange
}

func (s *steps) Begin(_ context.Context, ex *filters.Exchange) (pipeline.Chains, pipeline.Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = append(s.begun, *ex)
	return s.chains, s.limits
}

// last returns the exchange that was begun last.
func (s *steps) last() filters.Exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun[len(s.begun)-1]
}

type option func(*pipeline.Step)

func onError(e filters.OnError) option     { return func(s *pipeline.Step) { s.OnError = e } }
func timeout(d time.Duration) option       { return func(s *pipeline.Step) { s.Timeout = d } }
func onlyWhen(c pipeline.Condition) option { return func(s *pipeline.Step) { s.When = c } }

// both puts the filters into both directions.
func both(t testing.TB, fs ...filters.Filter) *steps {
	t.Helper()
	return &steps{chains: pipeline.Chains{
		Set:      "test",
		Request:  compile(t, filters.Request, nil, fs...),
		Response: compile(t, filters.Response, nil, fs...),
	}}
}

func compile(t testing.TB, d filters.Direction, opts []option, fs ...filters.Filter) []*pipeline.Step {
	t.Helper()
	var out []*pipeline.Step
	for i, f := range fs {
		s := &pipeline.Step{Policy: "p", Name: "s" + strconv.Itoa(i), Kind: "test", Direction: d, Filter: f, Mode: pipeline.Enforce, OnError: filters.Deny}
		for _, o := range opts {
			o(s)
		}
		out = append(out, s)
	}
	if err := pipeline.Compile(out); err != nil {
		t.Fatal(err)
	}
	return out
}

func one(t testing.TB, d filters.Direction, f filters.Filter, opts ...option) *steps {
	t.Helper()
	s := &steps{chains: pipeline.Chains{Set: "test"}}
	if d == filters.Request {
		s.chains.Request = compile(t, d, opts, f)
	} else {
		s.chains.Response = compile(t, d, opts, f)
	}
	return s
}

// book is a Recorder and the Metrics of a test.
type book struct {
	mu             sync.Mutex
	decisions      []pipeline.Record
	summaries      []pipeline.Summary
	opened, closed int
	panics         int
	messages       int
}

func (b *book) Decision(r *pipeline.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.decisions = append(b.decisions, *r)
}

func (b *book) Exchange(s *pipeline.Summary) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.summaries = append(b.summaries, *s)
}

func (b *book) StreamOpened()         { b.mu.Lock(); b.opened++; b.mu.Unlock() }
func (b *book) StreamClosed()         { b.mu.Lock(); b.closed++; b.mu.Unlock() }
func (b *book) Message(filters.Phase) { b.mu.Lock(); b.messages++; b.mu.Unlock() }
func (b *book) Panicked()             { b.mu.Lock(); b.panics++; b.mu.Unlock() }

// await waits until the book says so.
func (b *book) await(t testing.TB, what string, ok func(*book) bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		b.mu.Lock()
		done := ok(b)
		b.mu.Unlock()
		if done {
			return
		}
	}
	t.Fatalf("%s did not happen", what)
}

func fieldsOf(pairs ...string) []filters.Field {
	var fs []filters.Field
	for i := 0; i < len(pairs); i += 2 {
		fs = append(fs, filters.Field{Name: pairs[i], Value: pairs[i+1]})
	}
	return fs
}

func get(path string, more ...string) []filters.Field {
	return append(fieldsOf(":method", "GET", ":path", path, ":authority", "api.example.com", ":scheme", "http"), fieldsOf(more...)...)
}

func post(path string, more ...string) []filters.Field {
	return append(fieldsOf(":method", "POST", ":path", path, ":authority", "api.example.com", ":scheme", "http"), fieldsOf(more...)...)
}

func status(code string, more ...string) []filters.Field {
	return append(fieldsOf(":status", code), fieldsOf(more...)...)
}

func join(h filters.Headers) string {
	var b strings.Builder
	for f := range h.All() {
		b.WriteString(f.Name + "=" + f.Value + ";")
	}
	return b.String()
}
