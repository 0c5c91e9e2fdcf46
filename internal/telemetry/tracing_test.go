package telemetry

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

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

func tracing(t *testing.T, sample float64) (*Tracing, *tracetest.InMemoryExporter) {
	t.Helper()
	exp := tracetest.NewInMemoryExporter()
	tr, err := NewTracing(sdktrace.NewSimpleSpanProcessor(exp), TracingConfig{Sample: sample, Version: "v0"})
	if err != nil {
		t.Fatal(err)
	}
	return tr, exp
}

func play(tr *Tracing, ex *filters.Exchange) {
	for _, step := range []string{"mask", "check"} {
		tr.Decision(&pipeline.Record{
			Time: time.Unix(1001, 0), Duration: time.Millisecond, Exchange: ex.ID, In: ex,
			Policy: "customer-api", Step: step, Filter: "pii", Phase: filters.ResponseBody, Mode: pipeline.Enforce,
			Decision: filters.Decision{Verdict: filters.Failed, Reason: "timeout", Findings: map[string]int{"US_SSN": 2}},
		})
	}
	tr.Exchange(&pipeline.Summary{Exchange: ex, Set: "abc", Duration: 3 * time.Second, Denied: true, Decisions: 2})
}

func TestSpansJoinTheRequestsTrace(t *testing.T) {
	tr, exp := tracing(t, 0)
	play(tr, exchange("one", sampledParent))
	spans := exp.GetSpans()
	if len(spans) != 3 {
		t.Fatalf("%d spans, want the exchange's and two decisions'", len(spans))
	}
	ex := spans[2]
	if got := ex.SpanContext.TraceID().String(); got != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("trace %s", got)
	}
	if got := ex.Parent.SpanID().String(); got != "b7ad6b7169203331" {
		t.Errorf("parent %s", got)
	}
	if ex.StartTime != time.Unix(1000, 0) || ex.EndTime != time.Unix(1003, 0) {
		t.Errorf("the exchange's span is from %v to %v", ex.StartTime, ex.EndTime)
	}
	step := spans[0]
	if step.Name != "customer-api/mask" || step.Parent.SpanID() != ex.SpanContext.SpanID() || step.Status.Description != "timeout" {
		t.Errorf("decision span %q, parent %v, status %v", step.Name, step.Parent.SpanID(), step.Status)
	}
	has := attribute.NewSet(step.Attributes...)
	if v, _ := has.Value("sluice.findings.US_SSN"); v.AsInt64() != 2 {
		t.Error("findings are not on the span")
	}
	set := attribute.NewSet(ex.Attributes...)
	if v, _ := set.Value("sluice.outcome"); v.AsString() != "denied" {
		t.Errorf("outcome %v", v)
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
			tr, exp := tracing(t, c.sample)
			play(tr, exchange("one", c.traceparent))
			if n := len(exp.GetSpans()); n != c.spans {
				t.Errorf("%d spans, want %d", n, c.spans)
			}
			tr.open.Range(func(any, any) bool { t.Error("an exchange that has ended is still kept"); return false })
		})
	}
}

func TestSampleIsAShare(t *testing.T) {
	tr, exp := tracing(t, 0.25)
	for i := range 2000 {
		tr.Exchange(&pipeline.Summary{Exchange: exchange(fmt.Sprint("id-", i), "")})
	}
	if n := len(exp.GetSpans()); n < 400 || n > 600 {
		t.Errorf("%d of 2000 exchanges were sampled, want about 500", n)
	}
}

func TestExchangesOfOneIDDoNotMix(t *testing.T) {
	tr, exp := tracing(t, 1)
	a, b := exchange("same", ""), exchange("same", "")
	tr.Decision(&pipeline.Record{In: a, Policy: "p", Step: "of-a"})
	tr.Decision(&pipeline.Record{In: b, Policy: "p", Step: "of-b"})
	tr.Exchange(&pipeline.Summary{Exchange: a})
	spans := exp.GetSpans()
	if len(spans) != 2 || spans[0].Name != "p/of-a" {
		t.Errorf("%d spans, the first is %q", len(spans), spans[0].Name)
	}
	tr.Exchange(&pipeline.Summary{Exchange: b})
	if err := tr.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}
