package telemetry

import (
	"context"
	"fmt"
	"hash/maphash"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/trace"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// maxSpans bounds the decisions of one exchange that get a span of their own;
// the exchange's span tells how many there were in all.
const maxSpans = 256

// TracingConfig says where spans go and how many there are.
type TracingConfig struct {
	// Endpoint is the OTLP/gRPC collector: host:port, http://host:port for
	// plain text, or https://host:port. Empty: OTEL_EXPORTER_OTLP_ENDPOINT and
	// its kin decide.
	Endpoint string
	// Sample is the share, 0 to 1, of the exchanges without a traceparent that
	// are traced. With one, its sampled flag decides.
	Sample float64
	// Version is the build's.
	Version string
}

// Configured reports whether spans are to go anywhere.
func (c TracingConfig) Configured() bool {
	return c.Endpoint != "" || os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// Tracing makes a span of every sampled exchange, as a child of the request's
// traceparent, with a child span a decision. It is a pipeline.Recorder.
type Tracing struct {
	below uint64 // roots whose hash is below it are sampled
	seed  maphash.Seed
	free  sync.Pool                        // of *spans
	steps pipeline.Places[[]byte]          // stepSpan
	set   atomic.Pointer[exchangeOutcomes] // of the set in force
	queue *spanQueue
}

// maxKept bounds the room that a span leaves for the next.
const maxKept = 4 << 10

// OpenTracing starts to send spans to a collector. They wait in a bounded queue
// and are dropped when the collector does not keep up: an exchange never waits
// for one.
func OpenTracing(ctx context.Context, cfg TracingConfig) (*Tracing, error) {
	codec := grpc.ForceCodecV2(asEncoded{encoding.GetCodecV2("proto")})
	opts := []otlptracegrpc.Option{otlptracegrpc.WithDialOption(grpc.WithDefaultCallOptions(codec))}
	switch e := cfg.Endpoint; {
	case e == "":
	case strings.HasPrefix(e, "http://"), strings.HasPrefix(e, "https://"):
		opts = append(opts, otlptracegrpc.WithEndpointURL(e))
	default:
		opts = append(opts, otlptracegrpc.WithEndpoint(e), otlptracegrpc.WithInsecure())
	}
	return NewTracing(ctx, otlptracegrpc.NewClient(opts...), cfg)
}

// NewTracing makes spans and sends them by a client, which it starts, and stops
// in Close.
func NewTracing(ctx context.Context, client otlptrace.Client, cfg TracingConfig) (*Tracing, error) {
	res, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "sluice"), attribute.String("service.version", cfg.Version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("describing the process for traces: %w", err)
	}
	if err := client.Start(ctx); err != nil {
		return nil, fmt.Errorf("opening the OTLP client: %w", err)
	}
	// Whether an exchange is sampled is decided here, before anything is
	// gathered for it.
	below := uint64(math.MaxUint64)
	if cfg.Sample < 1 {
		below = uint64(max(cfg.Sample, 0) * math.MaxUint64)
	}
	t := &Tracing{below: below, seed: maphash.MakeSeed(), queue: newSpanQueue(client, resourceOf(res), res.SchemaURL())}
	t.free.New = func() any { return new(spans) }
	return t, nil
}

// end ends a span and hands it on.
func (t *Tracing) end(s *spans) {
	s.end()
	t.queue.add(s.encoded)
	if cap(s.encoded) <= maxKept {
		s.encoded = s.encoded[:0]
		t.free.Put(s)
	}
}

// resourceOf is a resource as OTLP has it. What its detectors find is text.
func resourceOf(res *resource.Resource) *resourcepb.Resource {
	out := new(resourcepb.Resource)
	for _, kv := range res.Attributes() {
		out.Attributes = append(out.Attributes, &commonpb.KeyValue{
			Key:   valid(string(kv.Key)),
			Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: valid(kv.Value.String())}},
		})
	}
	return out
}

// Forget forgets the steps of a set that is not in force any more.
func (t *Tracing) Forget() { t.steps.Forget() }

// Close sends what is left. It is called once, and spans of exchanges that end
// later are dropped.
func (t *Tracing) Close(ctx context.Context) error {
	if err := t.queue.close(ctx); err != nil {
		return fmt.Errorf("sending the last spans: %w", err)
	}
	return nil
}

// Dropped returns how many spans were dropped because the queue was full, or
// could not be sent.
func (t *Tracing) Dropped() uint64 { return t.queue.dropped.Load() }

// sampled decides by the request's traceparent, or else by the exchange's id.
func (t *Tracing) sampled(ex *filters.Exchange) (parent trace.SpanContext, yes bool) {
	if parent, ok := parseTraceparent(ex.Request.Headers.Get("traceparent")); ok {
		return parent, parent.IsSampled()
	}
	return trace.SpanContext{}, t.below == math.MaxUint64 || t.below > 0 && maphash.String(t.seed, ex.ID) <= t.below
}

// traced reports whether an exchange has spans. That is decided once: a step may
// change the traceparent.
func (t *Tracing) traced(ex *filters.Exchange, at *pipeline.Trace) bool {
	if !at.Decided {
		at.Decided = true
		var parent trace.SpanContext
		if parent, at.Sampled = t.sampled(ex); at.Sampled {
			at.ID, at.Parent, at.Span = parent.TraceID(), parent.SpanID(), newSpanID()
			if !parent.HasTraceID() {
				at.ID = newTraceID()
			}
		}
	}
	return at.Sampled
}

// Decision implements pipeline.Recorder.
func (t *Tracing) Decision(r *pipeline.Record) {
	if !t.traced(r.In, r.Trace) || r.Trace.Decisions >= maxSpans {
		return
	}
	r.Trace.Decisions++
	s := t.free.Get().(*spans)
	s.beginStep(t.steps.Of(r, stepSpan), r.Trace, r.Time, r.Duration)
	s.encoded = append(s.encoded, verdicts[min(r.Decision.Verdict, filters.Failed)]...)
	if r.Decision.Reason != "" {
		s.attribute("sluice.reason", r.Decision.Reason)
	}
	for _, f := range r.Decision.Findings {
		s.attributeInt("sluice.findings.", f.Name, int64(f.N))
	}
	if len(r.Decision.Details) > 0 {
		s.modelAttributes(r.Decision.Details)
	}
	if r.Decision.Verdict == filters.Failed {
		s.failed(r.Decision.Reason)
	}
	t.end(s)
}

// stepSpan is what the spans of a step in one phase and mode begin with.
func stepSpan(r *pipeline.Record) []byte {
	s := spanOf(valid(r.Policy)+"/"+valid(r.Step), tracepb.Span_SPAN_KIND_INTERNAL)
	s.attribute("sluice.policy", r.Policy)
	s.attribute("sluice.step", r.Step)
	s.attribute("sluice.filter", r.Filter)
	s.attribute("sluice.phase", r.Phase.String())
	s.attribute("sluice.mode", string(r.Mode))
	return s.encoded
}

// verdicts are the attributes that say them.
var verdicts = func() (all [filters.Failed + 1][]byte) {
	for v := range all {
		var s spans
		s.attribute("sluice.verdict", filters.Verdict(v).String())
		all[v] = s.encoded
	}
	return all
}()

// exchangeOutcomes are what the spans of exchanges under a set begin with, by
// outcome.
type exchangeOutcomes struct {
	set                        string
	completed, denied, aborted []byte
}

// outcomesOf returns those of a set. There is one in force, as a rule.
func (t *Tracing) outcomesOf(set string) *exchangeOutcomes {
	if o := t.set.Load(); o != nil && o.set == set {
		return o
	}
	of := func(outcome string) []byte {
		s := spanOf("sluice.exchange", tracepb.Span_SPAN_KIND_SERVER)
		s.attribute("sluice.set", set)
		s.attribute("sluice.outcome", outcome)
		return s.encoded
	}
	o := &exchangeOutcomes{set, of("completed"), of("denied"), of("aborted")}
	t.set.Store(o)
	return o
}

// modelAttributes are what a decision says of a model's answer (filters.Answer,
// Details), under the names of OpenTelemetry's conventions.
func (s *spans) modelAttributes(details map[string]any) {
	found := false
	for _, a := range [...]struct{ detail, name string }{
		{"provider", "sluice.provider"}, {"answer", "sluice.answer"}, {"prompt", "sluice.prompt"}, {"model", "gen_ai.response.model"},
		{"input_tokens", "gen_ai.usage.input_tokens"}, {"output_tokens", "gen_ai.usage.output_tokens"}, {"cost_usd", "sluice.cost_usd"},
	} {
		switch v := details[a.detail].(type) {
		case string:
			s.attribute(a.name, v)
		case int:
			s.attributeInt(a.name, "", int64(v))
		case float64:
			s.attributeFloat(a.name, v)
		default:
			continue
		}
		found = true
	}
	if found {
		s.attribute("gen_ai.operation.name", operation)
	}
}

// Exchange implements pipeline.Recorder.
func (t *Tracing) Exchange(sum *pipeline.Summary) {
	if !t.traced(sum.Exchange, sum.Trace) {
		return
	}
	outcomes := t.outcomesOf(sum.Set)
	like := outcomes.completed
	switch {
	case sum.Denied:
		like = outcomes.denied
	case sum.Aborted:
		like = outcomes.aborted
	}
	s := t.free.Get().(*spans)
	s.beginExchange(like, sum.Trace, sum.Exchange.Started, sum.Duration)
	s.attribute("sluice.exchange", sum.Exchange.ID)
	s.attributeInt("sluice.decisions", "", int64(sum.Decisions))
	s.attributeInt("sluice.request.body.bytes", "", sum.RequestBytes)
	s.attributeInt("sluice.response.body.bytes", "", sum.ResponseBytes)
	t.end(s)
}
