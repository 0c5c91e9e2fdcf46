package telemetry

import (
	"context"
	"fmt"
	"hash/maphash"
	"math"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

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
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	below    uint64 // roots whose hash is below it are sampled
	seed     maphash.Seed
	// open holds the decisions of sampled exchanges until they end: by
	// *filters.Exchange, as *[]decided.
	open sync.Map
}

// decided is what of a decision becomes a span.
type decided struct {
	at         time.Time
	took       time.Duration
	name       string
	attributes []attribute.KeyValue
	failed     bool
	reason     string
}

// OpenTracing starts an exporter. Spans wait in a bounded queue and are
// dropped when the collector does not keep up: an exchange never waits for
// one.
func OpenTracing(ctx context.Context, cfg TracingConfig) (*Tracing, error) {
	var opts []otlptracegrpc.Option
	switch e := cfg.Endpoint; {
	case e == "":
	case strings.HasPrefix(e, "http://"), strings.HasPrefix(e, "https://"):
		opts = append(opts, otlptracegrpc.WithEndpointURL(e))
	default:
		opts = append(opts, otlptracegrpc.WithEndpoint(e), otlptracegrpc.WithInsecure())
	}
	exporter, err := otlptracegrpc.New(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("opening the OTLP exporter: %w", err)
	}
	return NewTracing(sdktrace.NewBatchSpanProcessor(exporter), cfg)
}

// NewTracing makes spans for a processor.
func NewTracing(p sdktrace.SpanProcessor, cfg TracingConfig) (*Tracing, error) {
	res, err := resource.New(context.Background(),
		resource.WithAttributes(attribute.String("service.name", "sluice"), attribute.String("service.version", cfg.Version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("describing the process for traces: %w", err)
	}
	// Whether an exchange is sampled is decided here, before anything is
	// gathered for it.
	provider := sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithSpanProcessor(p), sdktrace.WithSampler(sdktrace.AlwaysSample()))
	below := uint64(math.MaxUint64)
	if cfg.Sample < 1 {
		below = uint64(max(cfg.Sample, 0) * math.MaxUint64)
	}
	return &Tracing{provider: provider, tracer: provider.Tracer("github.com/sluice-proxy/sluice"), below: below, seed: maphash.MakeSeed()}, nil
}

// Close sends what is left.
func (t *Tracing) Close(ctx context.Context) error {
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("sending the last spans: %w", err)
	}
	return nil
}

// sampled decides by the request's traceparent, or else by the exchange's id.
func (t *Tracing) sampled(ex *filters.Exchange) (parent trace.SpanContext, yes bool) {
	if parent, ok := parseTraceparent(ex.Request.Headers.Get("traceparent")); ok {
		return parent, parent.IsSampled()
	}
	return trace.SpanContext{}, t.below > 0 && maphash.String(t.seed, ex.ID) <= t.below
}

// Decision implements pipeline.Recorder.
func (t *Tracing) Decision(r *pipeline.Record) {
	if r.In == nil {
		return
	}
	if _, yes := t.sampled(r.In); !yes {
		return
	}
	d := decided{
		at: r.Time, took: r.Duration,
		name:   r.Policy + "/" + r.Step,
		failed: r.Decision.Verdict == filters.Failed, reason: r.Decision.Reason,
		attributes: []attribute.KeyValue{
			attribute.String("sluice.policy", r.Policy),
			attribute.String("sluice.step", r.Step),
			attribute.String("sluice.filter", r.Filter),
			attribute.String("sluice.phase", r.Phase.String()),
			attribute.String("sluice.mode", string(r.Mode)),
			attribute.String("sluice.verdict", r.Decision.Verdict.String()),
		},
	}
	if d.reason != "" {
		d.attributes = append(d.attributes, attribute.String("sluice.reason", d.reason))
	}
	for name, n := range r.Decision.Findings {
		d.attributes = append(d.attributes, attribute.Int("sluice.findings."+name, n))
	}
	d.attributes = append(d.attributes, modelAttributes(r.Decision.Details)...)
	of, ok := t.open.Load(r.In)
	if !ok {
		of = new([]decided)
		t.open.Store(r.In, of)
	}
	// One goroutine works on an exchange at a time.
	if list := of.(*[]decided); len(*list) < maxSpans {
		*list = append(*list, d)
	}
}

// modelAttributes are what a decision says of a model's answer (filters.Answer,
// Details), under the names of OpenTelemetry's conventions.
func modelAttributes(details map[string]any) (out []attribute.KeyValue) {
	for _, a := range [...]struct{ detail, name string }{
		{"provider", "sluice.provider"}, {"answer", "sluice.answer"}, {"prompt", "sluice.prompt"}, {"model", "gen_ai.response.model"},
		{"input_tokens", "gen_ai.usage.input_tokens"}, {"output_tokens", "gen_ai.usage.output_tokens"}, {"cost_usd", "sluice.cost_usd"},
	} {
		switch v := details[a.detail].(type) {
		case string:
			out = append(out, attribute.String(a.name, v))
		case int:
			out = append(out, attribute.Int(a.name, v))
		case float64:
			out = append(out, attribute.Float64(a.name, v))
		}
	}
	if len(out) > 0 {
		out = append(out, attribute.String("gen_ai.operation.name", operation))
	}
	return out
}

// Exchange implements pipeline.Recorder.
func (t *Tracing) Exchange(s *pipeline.Summary) {
	var list []decided
	if of, ok := t.open.LoadAndDelete(s.Exchange); ok {
		list = *of.(*[]decided)
	}
	parent, yes := t.sampled(s.Exchange)
	if !yes {
		return
	}
	ctx := context.Background()
	if parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	outcome := "completed"
	switch {
	case s.Denied:
		outcome = "denied"
	case s.Aborted:
		outcome = "aborted"
	}
	start := s.Exchange.Started
	ctx, span := t.tracer.Start(ctx, "sluice.exchange", trace.WithTimestamp(start), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("sluice.exchange", s.Exchange.ID),
		attribute.String("sluice.set", s.Set),
		attribute.String("sluice.outcome", outcome),
		attribute.Int("sluice.decisions", s.Decisions),
		attribute.Int64("sluice.request.body.bytes", s.RequestBytes),
		attribute.Int64("sluice.response.body.bytes", s.ResponseBytes),
	))
	for _, d := range list {
		_, child := t.tracer.Start(ctx, d.name, trace.WithTimestamp(d.at), trace.WithAttributes(d.attributes...))
		if d.failed {
			child.SetStatus(codes.Error, d.reason)
		}
		child.End(trace.WithTimestamp(d.at.Add(d.took)))
	}
	span.End(trace.WithTimestamp(start.Add(s.Duration)))
}
