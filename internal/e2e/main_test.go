package e2e_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/extproc"
	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/deny"
	"github.com/sluice-proxy/sluice/filters/pii"
	"github.com/sluice-proxy/sluice/filters/transform"
	"github.com/sluice-proxy/sluice/internal/e2e"
	"github.com/sluice-proxy/sluice/internal/pipeline"
	"github.com/sluice-proxy/sluice/internal/telemetry"
	"github.com/sluice-proxy/sluice/policies"
)

// What all the tests share: one Envoy with a listener for each configuration,
// one Sluice, one backend.
var (
	envoy    *e2e.Envoy
	backend  *e2e.Backend
	sluice   net.Addr
	recorded = &records{}
	metrics  = telemetry.NewMetrics()
)

var listeners = []e2e.Listener{
	{Name: "none"},
	{Name: "buffered", Request: "BUFFERED", Response: "BUFFERED", Trailers: true},
	{Name: "buffered-skip", Request: "BUFFERED", Response: "BUFFERED"},
	{Name: "partial", Request: "BUFFERED_PARTIAL", Response: "BUFFERED_PARTIAL", Trailers: true},
	{Name: "partial-skip", Request: "BUFFERED_PARTIAL", Response: "BUFFERED_PARTIAL"},
	{Name: "streamed", Request: "STREAMED", Response: "STREAMED", Trailers: true},
	{Name: "streamed-skip", Request: "STREAMED", Response: "STREAMED"},
	{Name: "duplex", Request: "FULL_DUPLEX_STREAMED", Response: "FULL_DUPLEX_STREAMED", Trailers: true},
	{Name: "none-override", Override: true},
	{Name: "request-duplex-override", Request: "FULL_DUPLEX_STREAMED", Trailers: true, Override: true},
	{Name: "response-duplex-override", Response: "FULL_DUPLEX_STREAMED", Trailers: true, Override: true},
	{Name: "none-override-slow", Override: true, MessageTimeout: "0.3s"},
	{Name: "streamed-override", Request: "STREAMED", Response: "STREAMED", Override: true},
	{Name: "buffered-override", Request: "BUFFERED", Response: "BUFFERED", Override: true},
	{Name: "impatient", Request: "BUFFERED", Response: "BUFFERED", MessageTimeout: "0.3s", MaxMessageTimeout: "5s"},
	{Name: "impatient-duplex", Request: "FULL_DUPLEX_STREAMED", Response: "FULL_DUPLEX_STREAMED", Trailers: true, MessageTimeout: "0.3s", MaxMessageTimeout: "5s"},
	{Name: "small-buffered", Request: "BUFFERED", Response: "BUFFERED", BufferLimit: 32 << 10},
	{Name: "small-partial", Request: "BUFFERED_PARTIAL", Response: "BUFFERED_PARTIAL", BufferLimit: 32 << 10},
	{Name: "small-duplex", Request: "FULL_DUPLEX_STREAMED", Response: "FULL_DUPLEX_STREAMED", Trailers: true, BufferLimit: 32 << 10},
	{Name: "observe", Request: "STREAMED", Response: "STREAMED", Observe: true},
	{Name: "big-duplex", Request: "FULL_DUPLEX_STREAMED", Response: "FULL_DUPLEX_STREAMED", Trailers: true, BufferLimit: 16 << 20},
	{Name: "big-buffered", Request: "BUFFERED", Response: "BUFFERED", Trailers: true, BufferLimit: 16 << 20},
	{Name: "big-streamed", Request: "STREAMED", Response: "STREAMED", Trailers: true, BufferLimit: 16 << 20},
	{Name: "impatient-streamed", Request: "STREAMED", Response: "STREAMED", Trailers: true, MessageTimeout: "0.3s", MaxMessageTimeout: "5s"},
}

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, "setting up:", err)
		return 1
	}
	var err error
	if folder, err = os.MkdirTemp("", "sluice-e2e-program-"); err != nil {
		return fail(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := os.Setenv(vaultKey, "not a key of anything"); err != nil {
		return fail(err)
	}
	store, err := policies.Open(ctx, &policies.Loader{
		Registry: filters.NewRegistry(pii.Definition(), deny.Definition(), transform.Definition(), pause()),
		Env:      vaultEnv(),
	}, "testdata/policies.yaml")
	if err != nil {
		return fail(err)
	}
	if backend, err = e2e.NewBackend(); err != nil {
		return fail(err)
	}
	defer backend.Close()
	server := extproc.New(store, extproc.Options{Recorder: telemetry.NewFanout(recorded, metrics), Metrics: metrics, DrainTimeout: time.Second})
	metrics.GaugeFunc("sluice_held_bytes", "Bytes held.", func() float64 { return float64(server.Held()) })
	up := make(chan net.Addr, 1)
	failed := make(chan error, 1)
	go func() {
		failed <- server.Serve(ctx, func(a []net.Addr) { up <- a[0] }, extproc.Listener{Address: "127.0.0.1:0"})
	}()
	select {
	case sluice = <-up:
	case err := <-failed:
		return fail(err)
	}
	if envoy, err = e2e.Start(ctx, backend.Addr(), sluice, listeners...); err != nil {
		return fail(err)
	}
	defer envoy.Stop()
	return m.Run()
}

// pause is a filter that takes its time: with the headers, or with each value
// of the body.
func pause() filters.Definition {
	type config struct {
		Milliseconds int  `json:"milliseconds"`
		Values       bool `json:"values,omitempty"`
	}
	return filters.Define(filters.Spec[config]{
		Kind: "pause", Summary: "Takes its time.", OnError: filters.Deny,
		New: func(c config, _ filters.Env) (filters.Filter, error) {
			p := pausing{time.Duration(c.Milliseconds) * time.Millisecond}
			if c.Values {
				return dragging{p}, nil
			}
			return p, nil
		},
	})
}

type pausing struct{ d time.Duration }

func (pausing) Needs(filters.Direction) filters.Needs { return filters.Needs{Headers: true} }

func (p pausing) Apply(ctx context.Context, _ *filters.Exchange, _ *filters.Ledger) (filters.Decision, error) {
	return filters.Decision{}, p.wait(ctx)
}

func (p pausing) wait(ctx context.Context) error {
	select {
	case <-time.After(p.d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

type dragging struct{ pausing }

func (dragging) Needs(filters.Direction) filters.Needs {
	return filters.Needs{Body: filters.StreamedBody, Paths: []string{"$[*]"}}
}

func (d dragging) Open(context.Context, *filters.Exchange, filters.Direction) (filters.Stream, error) {
	return d, nil
}

func (d dragging) Value(ctx context.Context, _ *filters.Value) error { return d.wait(ctx) }

func (dragging) Close(context.Context, *filters.Ledger) (filters.Decision, error) {
	return filters.Decision{}, nil
}

// records keeps what is recorded, with copies of the exchanges: their memory is
// used again.
type records struct {
	mu        sync.Mutex
	decisions []pipeline.Record
	summaries []pipeline.Summary
}

func (r *records) Decision(rec *pipeline.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := *rec
	kept.In = keep(rec.In)
	r.decisions = append(r.decisions, kept)
}

func (r *records) Exchange(s *pipeline.Summary) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := *s
	kept.Exchange = keep(s.Exchange)
	r.summaries = append(r.summaries, kept)
}

func keep(ex *filters.Exchange) *filters.Exchange {
	kept := *ex
	kept.Request.Headers = filters.NewHeaders(slices.Collect(ex.Request.Headers.All())...)
	kept.Response.Headers = filters.NewHeaders(slices.Collect(ex.Response.Headers.All())...)
	return &kept
}

// decided reports whether a decision of the case's exchange is like that.
func (r *records) decided(name string, like func(*pipeline.Record) bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.decisions, func(d pipeline.Record) bool {
		return d.In.Request.Headers.Get("x-case") == name && like(&d)
	})
}

// finished waits for the end of the case's exchange.
func (r *records) finished(t *testing.T, name string) {
	t.Helper()
	r.summary(t, func(s *pipeline.Summary) bool { return s.Exchange.Request.Headers.Get("x-case") == name })
}

// summary waits for the summary that is wanted.
func (r *records) summary(t *testing.T, wanted func(*pipeline.Summary) bool) pipeline.Summary {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		r.mu.Lock()
		i := slices.IndexFunc(r.summaries, func(s pipeline.Summary) bool { return wanted(&s) })
		var found pipeline.Summary
		if i >= 0 {
			found = r.summaries[i]
		}
		r.mu.Unlock()
		if i >= 0 {
			return found
		}
	}
	t.Fatal("the exchange does not end")
	return pipeline.Summary{}
}
