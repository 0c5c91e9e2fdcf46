package telemetry

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

const sampledParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestParseTraceparent(t *testing.T) {
	for _, c := range []struct {
		in      string
		ok      bool
		sampled bool
	}{
		{sampledParent, true, true},
		{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", true, false},
		{"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-the-future-will-be", true, true},
		{"", false, false},
		{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", false, false},
		{sampledParent + "-more", false, false},                                    // version 00 ends there
		{"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x", false, false}, // no separator
		{"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false, false},  // forbidden version
		{"00-00000000000000000000000000000000-b7ad6b7169203331-01", false, false},  // no trace
		{"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false, false},  // no parent
		{"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false, false},  // upper case
		{"00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false, false},  // separator
		{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333g-01", false, false},  // not hex
	} {
		sc, ok := parseTraceparent(c.in)
		if ok != c.ok || sc.IsSampled() != c.sampled {
			t.Errorf("%q: ok %v sampled %v, want %v %v", c.in, ok, sc.IsSampled(), c.ok, c.sampled)
		}
	}
}

func FuzzTraceparent(f *testing.F) {
	f.Add(sampledParent)
	f.Add("00--")
	f.Fuzz(func(t *testing.T, v string) {
		sc, ok := parseTraceparent(v)
		if ok != sc.IsValid() {
			t.Errorf("%q: ok %v, valid %v", v, ok, sc.IsValid())
		}
	})
}

func exchange(id, traceparent string) *filters.Exchange {
	ex := &filters.Exchange{ID: id, Started: time.Unix(1000, 0)}
	if traceparent != "" {
		ex.Request.Headers = filters.NewHeaders(filters.Field{Name: "traceparent", Value: traceparent})
	}
	return ex
}

// collector keeps what it is sent, as it reads it from the wire.
type collector struct {
	coltracepb.UnimplementedTraceServiceServer
	mu      sync.Mutex
	batches []*tracepb.ResourceSpans
	// sending, where not nil, is told of each batch, which waits for a word on
	// proceed.
	sending, proceed chan struct{}
	err              error
}

func (c *collector) Start(context.Context) error { return nil }
func (c *collector) Stop(context.Context) error  { return nil }

func (c *collector) UploadTraces(ctx context.Context, batch []*tracepb.ResourceSpans) error {
	if c.sending != nil {
		c.sending <- struct{}{}
		select {
		case <-c.proceed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	wire, err := proto.Marshal(&coltracepb.ExportTraceServiceRequest{ResourceSpans: batch})
	if err != nil {
		return err
	}
	var read coltracepb.ExportTraceServiceRequest
	if err := proto.Unmarshal(wire, &read); err != nil {
		return err
	}
	if _, err := c.Export(ctx, &read); err != nil {
		return err
	}
	return c.err
}

// Export makes it a server.
func (c *collector) Export(_ context.Context, r *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.batches = append(c.batches, r.ResourceSpans...)
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

func (c *collector) spans() (all []*tracepb.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.batches {
		for _, s := range b.ScopeSpans {
			all = append(all, s.Spans...)
		}
	}
	return all
}

func tracing(t *testing.T, sample float64, c *collector) *Tracing {
	t.Helper()
	tr, err := NewTracing(t.Context(), c, TracingConfig{Sample: sample, Version: "v0"})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// end closes tr: what there was is at the collector then.
func end(t *testing.T, tr *Tracing) {
	t.Helper()
	if err := tr.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func play(tr *Tracing, ex *filters.Exchange) {
	at := new(pipeline.Trace)
	for _, step := range []string{"mask", "check"} {
		tr.Decision(&pipeline.Record{
			Time: time.Unix(1001, 0), Duration: time.Millisecond, Exchange: ex.ID, In: ex, Trace: at,
			Policy: "customer-api", Step: step, Filter: "pii", Phase: filters.ResponseBody, Mode: pipeline.Enforce,
			Decision: filters.Decision{Verdict: filters.Failed, Reason: "timeout", Findings: filters.Counts{{Name: "US_SSN", N: 2}}, Details: map[string]any{
				"provider": "main", "model": "large", "input_tokens": 1200, "cost_usd": 0.25, "unknown": "left out",
			}},
		})
	}
	tr.Exchange(&pipeline.Summary{Exchange: ex, Trace: at, Set: "abc", Duration: 3 * time.Second, Denied: true, Decisions: 2, RequestBytes: 300})
}

// attributes are a list's values by name.
func attributes(list []*commonpb.KeyValue) map[string]any {
	out := map[string]any{}
	for _, kv := range list {
		switch v := kv.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			out[kv.Key] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			out[kv.Key] = v.IntValue
		case *commonpb.AnyValue_DoubleValue:
			out[kv.Key] = v.DoubleValue
		}
	}
	return out
}

func TestSpansJoinTheRequestsTrace(t *testing.T) {
	var c collector
	tr := tracing(t, 0, &c)
	play(tr, exchange("one", sampledParent))
	end(t, tr)
	spans := c.spans()
	if len(spans) != 3 {
		t.Fatalf("%d spans, want the exchange's and two decisions'", len(spans))
	}
	ex := spans[2]
	if got := hex.EncodeToString(ex.TraceId); got != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("trace %s", got)
	}
	if got := hex.EncodeToString(ex.ParentSpanId); got != "b7ad6b7169203331" {
		t.Errorf("parent %s", got)
	}
	if ex.Name != "sluice.exchange" || ex.Kind != tracepb.Span_SPAN_KIND_SERVER || ex.Flags != 0x301 || ex.Status != nil {
		t.Errorf("the exchange's span is %q, of kind %v, with flags %x and status %v", ex.Name, ex.Kind, ex.Flags, ex.Status)
	}
	if ex.StartTimeUnixNano != 1000e9 || ex.EndTimeUnixNano != 1003e9 {
		t.Errorf("the exchange's span is from %v to %v", ex.StartTimeUnixNano, ex.EndTimeUnixNano)
	}
	if got, want := attributes(ex.Attributes), (map[string]any{
		"sluice.exchange": "one", "sluice.set": "abc", "sluice.outcome": "denied", "sluice.decisions": int64(2),
		"sluice.request.body.bytes": int64(300), "sluice.response.body.bytes": int64(0),
	}); !maps.Equal(got, want) {
		t.Errorf("the exchange's attributes are %v, want %v", got, want)
	}
	for i, name := range []string{"mask", "check"} {
		step := spans[i]
		if step.Name != "customer-api/"+name || string(step.ParentSpanId) != string(ex.SpanId) || string(step.TraceId) != string(ex.TraceId) {
			t.Errorf("decision span %q, parent %x, trace %x", step.Name, step.ParentSpanId, step.TraceId)
		}
		if step.Kind != tracepb.Span_SPAN_KIND_INTERNAL || step.Flags != 0x101 || step.StartTimeUnixNano != 1001e9 || step.EndTimeUnixNano != 1001e9+1e6 {
			t.Errorf("%s is of kind %v, with flags %x, from %v to %v", name, step.Kind, step.Flags, step.StartTimeUnixNano, step.EndTimeUnixNano)
		}
		if step.Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR || step.Status.GetMessage() != "timeout" {
			t.Errorf("%s has status %v", name, step.Status)
		}
		if got, want := attributes(step.Attributes), (map[string]any{
			"sluice.policy": "customer-api", "sluice.step": name, "sluice.filter": "pii", "sluice.phase": filters.ResponseBody.String(),
			"sluice.mode": "enforce", "sluice.verdict": filters.Failed.String(), "sluice.reason": "timeout", "sluice.findings.US_SSN": int64(2),
			"sluice.provider": "main", "gen_ai.response.model": "large", "gen_ai.usage.input_tokens": int64(1200), "sluice.cost_usd": 0.25,
			"gen_ai.operation.name": operation,
		}); !maps.Equal(got, want) {
			t.Errorf("the attributes of %s are %v, want %v", name, got, want)
		}
	}
	if string(spans[0].SpanId) == string(spans[1].SpanId) || len(ex.SpanId) != 8 {
		t.Error("spans do not have ids of their own")
	}
	for _, s := range spans {
		if unknown := s.ProtoReflect().GetUnknown(); len(unknown) != 0 {
			t.Errorf("%q has %d bytes that OTLP does not know", s.Name, len(unknown))
		}
	}
	if got := attributes(c.batches[0].Resource.Attributes); got["service.name"] != "sluice" || got["service.version"] != "v0" {
		t.Errorf("the resource is %v", got)
	}
	if got := c.batches[0].ScopeSpans[0].Scope.Name; got != "github.com/sluice-proxy/sluice" {
		t.Errorf("the scope is %q", got)
	}
}

func TestSampling(t *testing.T) {
	unsampled := sampledParent[:len(sampledParent)-1] + "0"
	for _, c := range []struct {
		name        string
		sample      float64
		traceparent string
		spans       int
	}{
		{"the caller's flag says no", 1, unsampled, 0},
		{"the caller's flag says yes", 0, sampledParent, 3},
		{"a root, all sampled", 1, "", 3},
		{"a root, none sampled", 0, "", 0},
		{"what is no traceparent counts as a root", 1, "nonsense", 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			var to collector
			tr := tracing(t, c.sample, &to)
			play(tr, exchange("one", c.traceparent))
			end(t, tr)
			if n := len(to.spans()); n != c.spans {
				t.Errorf("%d spans, want %d", n, c.spans)
			}
		})
	}
}

// A step may take the traceparent away: the exchange's span is made all the
// same, in the trace that its decisions are in. One that a step has added
// changes nothing either.
func TestTraceparentChangesOnTheWay(t *testing.T) {
	var c collector
	tr := tracing(t, 0, &c)
	for _, ex := range []*filters.Exchange{exchange("one", sampledParent), exchange("two", "")} {
		at := new(pipeline.Trace)
		tr.Decision(&pipeline.Record{In: ex, Trace: at, Policy: "p", Step: "s"})
		if ex.Request.Headers.Has("traceparent") {
			ex.Request.Headers = filters.NewHeaders()
		} else {
			ex.Request.Headers = filters.NewHeaders(filters.Field{Name: "traceparent", Value: sampledParent})
		}
		tr.Exchange(&pipeline.Summary{Exchange: ex, Trace: at})
	}
	end(t, tr)
	spans := c.spans()
	if len(spans) != 2 || string(spans[0].ParentSpanId) != string(spans[1].SpanId) || hex.EncodeToString(spans[1].ParentSpanId) != "b7ad6b7169203331" {
		t.Errorf("spans: %v", spans)
	}
}

func TestSampleIsAShare(t *testing.T) {
	var c collector
	tr := tracing(t, 0.25, &c)
	for i := range 2000 {
		tr.Exchange(&pipeline.Summary{Exchange: exchange(fmt.Sprint("id-", i), ""), Trace: new(pipeline.Trace)})
	}
	end(t, tr)
	// Which they are is drawn anew each time: eight standard deviations.
	if n := len(c.spans()); n < 340 || n > 660 {
		t.Errorf("%d of 2000 exchanges were sampled, want about 500", n)
	}
}

func TestExchangesOfOneIDDoNotMix(t *testing.T) {
	var c collector
	tr := tracing(t, 1, &c)
	a, b := exchange("same", ""), exchange("same", "")
	ofA, ofB := new(pipeline.Trace), new(pipeline.Trace)
	tr.Decision(&pipeline.Record{In: a, Trace: ofA, Policy: "p", Step: "of-a"})
	tr.Decision(&pipeline.Record{In: b, Trace: ofB, Policy: "p", Step: "of-b"})
	tr.Exchange(&pipeline.Summary{Exchange: a, Trace: ofA})
	tr.Exchange(&pipeline.Summary{Exchange: b, Trace: ofB})
	end(t, tr)
	spans := c.spans()
	if len(spans) != 4 || spans[0].Name != "p/of-a" || spans[1].Name != "p/of-b" {
		t.Fatalf("%d spans: %v", len(spans), spans)
	}
	if string(spans[0].TraceId) == string(spans[1].TraceId) || string(spans[0].TraceId) != string(spans[2].TraceId) || string(spans[1].TraceId) != string(spans[3].TraceId) {
		t.Error("two exchanges are in one trace, or one is in two")
	}
}

func TestDecisionsWithSpansAreBounded(t *testing.T) {
	var c collector
	tr := tracing(t, 1, &c)
	ex, at := exchange("one", ""), new(pipeline.Trace)
	for range maxSpans + 10 {
		tr.Decision(&pipeline.Record{In: ex, Trace: at, Policy: "p", Step: "s"})
	}
	tr.Exchange(&pipeline.Summary{Exchange: ex, Trace: at, Decisions: maxSpans + 10})
	end(t, tr)
	spans := c.spans()
	if n := len(spans); n != maxSpans+1 || attributes(spans[n-1].Attributes)["sluice.decisions"] != int64(maxSpans+10) {
		t.Errorf("%d spans", n)
	}
}

// An exchange's id comes from outside. One that is no text spoils no batch.
func TestSpansAreText(t *testing.T) {
	var c collector
	tr := tracing(t, 1, &c)
	tr.Exchange(&pipeline.Summary{Exchange: exchange("a\xffb", ""), Trace: new(pipeline.Trace)})
	end(t, tr)
	if spans := c.spans(); len(spans) != 1 || attributes(spans[0].Attributes)["sluice.exchange"] != "a\uFFFDb" {
		t.Errorf("spans: %v", spans)
	}
}

// Spans of any length are whole, each in its place.
func TestSpansOfAnyLength(t *testing.T) {
	var c collector
	tr := tracing(t, 1, &c)
	lengths := []int{0, 1, 100, 1 << 12, 1 << 14, 1 << 18}
	for _, n := range lengths {
		ex, at := exchange(strings.Repeat("i", n), ""), new(pipeline.Trace)
		tr.Decision(&pipeline.Record{In: ex, Trace: at, Decision: filters.Decision{Verdict: filters.Denied, Reason: strings.Repeat("r", n)}})
		tr.Exchange(&pipeline.Summary{Exchange: ex, Trace: at, RequestBytes: int64(n)})
	}
	end(t, tr)
	spans := c.spans()
	if len(spans) != 2*len(lengths) {
		t.Fatalf("%d spans, want %d", len(spans), 2*len(lengths))
	}
	for i, n := range lengths {
		step, ex := attributes(spans[2*i].Attributes), attributes(spans[2*i+1].Attributes)
		if reason, _ := step["sluice.reason"].(string); len(reason) != n || step["sluice.verdict"] != "denied" {
			t.Errorf("of %d: a reason of %d bytes, and the verdict %v", n, len(reason), step["sluice.verdict"])
		}
		if id, _ := ex["sluice.exchange"].(string); len(id) != n || ex["sluice.request.body.bytes"] != int64(n) {
			t.Errorf("of %d: an id of %d bytes, and %v bytes of body", n, len(id), ex["sluice.request.body.bytes"])
		}
	}
}

// A collector that does not keep up holds up nothing: what does not fit is
// dropped and counted, and nothing else is.
func TestSpansWaitInBounds(t *testing.T) {
	c := collector{sending: make(chan struct{}), proceed: make(chan struct{})}
	tr := tracing(t, 1, &c)
	ex := exchange(strings.Repeat("i", 1<<10), "")
	tr.Exchange(&pipeline.Summary{Exchange: ex, Trace: new(pipeline.Trace)})
	<-c.sending // the first batch, by time
	const more = maxWaiting >> 10
	for range more { // each a little more than 1 KiB
		tr.Exchange(&pipeline.Summary{Exchange: ex, Trace: new(pipeline.Trace)})
	}
	dropped := int(tr.Dropped())
	if dropped < more/10 || dropped > more/5 {
		t.Errorf("%d of %d spans were dropped", dropped, more)
	}
	go func() {
		c.proceed <- struct{}{}
		<-c.sending
		c.proceed <- struct{}{}
	}()
	end(t, tr)
	if n := len(c.spans()); n != 1+more-dropped {
		t.Errorf("%d spans arrived, of %d, and %d were dropped", n, 1+more, dropped)
	}
	tr.Exchange(&pipeline.Summary{Exchange: ex, Trace: new(pipeline.Trace)})
	if n := int(tr.Dropped()); n != dropped+1 {
		t.Errorf("%d spans were dropped, want one more for that after the end", n)
	}
}

func TestSpansThatAreNotTakenAreCounted(t *testing.T) {
	c := collector{err: errors.New("full")}
	tr := tracing(t, 1, &c)
	play(tr, exchange("one", ""))
	end(t, tr)
	if n := tr.Dropped(); n != 3 {
		t.Errorf("%d spans count as dropped, want 3", n)
	}
}

// Close does not wait longer than it may.
func TestCloseEnds(t *testing.T) {
	c := collector{sending: make(chan struct{}, 1), proceed: make(chan struct{})}
	tr := tracing(t, 1, &c)
	play(tr, exchange("one", ""))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := tr.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the error is %v", err)
	}
	if n := tr.Dropped(); n != 3 {
		t.Errorf("%d spans count as dropped, want 3", n)
	}
}

// TestSpansReachACollector: over gRPC, by many exchanges at once.
func TestSpansReachACollector(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var c collector
	server := grpc.NewServer()
	coltracepb.RegisterTraceServiceServer(server, &c)
	go func() { _ = server.Serve(lis) }()
	defer server.Stop()
	tr, err := OpenTracing(t.Context(), TracingConfig{Endpoint: lis.Addr().String(), Sample: 1})
	if err != nil {
		t.Fatal(err)
	}
	const each, of = 200, 4
	var all sync.WaitGroup
	for range of {
		all.Add(1)
		go func() {
			defer all.Done()
			for range each {
				play(tr, exchange("one", ""))
			}
		}()
	}
	all.Wait()
	end(t, tr)
	traces := map[string]int{}
	for _, s := range c.spans() {
		traces[string(s.TraceId)]++
	}
	if len(traces) != each*of {
		t.Errorf("%d traces, want %d", len(traces), each*of)
	}
	for _, b := range c.batches {
		if b.SchemaUrl != tr.queue.schema || attributes(b.Resource.Attributes)["service.name"] != "sluice" || b.ScopeSpans[0].Scope.Name != "github.com/sluice-proxy/sluice" {
			t.Errorf("the resource is %v of %q", b.Resource, b.SchemaUrl)
		}
	}
	for _, n := range traces {
		if n != 3 {
			t.Errorf("a trace has %d spans, want 3", n)
		}
	}
	if n := tr.Dropped(); n != 0 {
		t.Errorf("%d spans were dropped", n)
	}
}

// deaf is a client that sends nothing.
type deaf struct{}

func (deaf) Start(context.Context) error                                  { return nil }
func (deaf) Stop(context.Context) error                                   { return nil }
func (deaf) UploadTraces(context.Context, []*tracepb.ResourceSpans) error { return nil }

// BenchmarkSpans makes the two spans of an exchange with one decision.
func BenchmarkSpans(b *testing.B) {
	tr, err := NewTracing(b.Context(), deaf{}, TracingConfig{Sample: 1})
	if err != nil {
		b.Fatal(err)
	}
	ex, at := exchange("3f2a6c1e-0000-4000-8000-000000000000", ""), new(pipeline.Trace)
	r := pipeline.Record{Time: time.Unix(1001, 0), In: ex, Trace: at, By: new(pipeline.Step), Policy: "customer-api", Step: "mask", Filter: "pii", Mode: pipeline.Enforce}
	r.Decision = filters.Decision{Verdict: filters.Changed, Findings: filters.Counts{{Name: "CREDIT_CARD", N: 6}, {Name: "EMAIL_ADDRESS", N: 6}, {Name: "PHONE_NUMBER", N: 6}}}
	b.ReportAllocs()
	for b.Loop() {
		*at = pipeline.Trace{}
		tr.Decision(&r)
		tr.Exchange(&pipeline.Summary{Exchange: ex, Trace: at, Set: "abc"})
	}
}
