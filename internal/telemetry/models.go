package telemetry

import (
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai"
)

// The buckets that the OpenTelemetry conventions for generative AI give.
var (
	tokenBuckets    = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}
	modelCallBucket = []float64{0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}
)

// vendors are the values of gen_ai.provider.name.
var vendors = map[string]string{"openai": "openai", "azure": "azure.ai.openai", "anthropic": "anthropic", "compatible": "openai_compatible", "builtin": "sluice"}

// Models counts what is asked of AI providers. The metrics of calls have the
// names and attributes of OpenTelemetry's conventions, as Prometheus writes
// them; those of questions are Sluice's own. It is an ai.Observer. No label
// holds content: they are names from policies and of models, and words from
// fixed sets.
type Models struct {
	tokens, duration, first     *prometheus.HistogramVec
	cost, unpriced              *prometheus.CounterVec
	questions, failures, masked *prometheus.CounterVec
	repaired, stores            *prometheus.CounterVec
	waited                      *prometheus.HistogramVec
	breaker                     *prometheus.GaugeVec
	// models and routes bound the names that come from outside.
	models, routes bounded
	policies       sync.Map // names that there are series of
	registry       *prometheus.Registry
}

// NewModels returns the metrics of AI providers, in the registry of m.
func NewModels(m *Metrics) *Models {
	call := []string{"gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_response_model"}
	place := []string{"provider", "policy", "step", "route"}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(h)
		return h
	}
	with := func(ls []string, more ...string) []string { return append(ls[:len(ls):len(ls)], more...) }
	x := &Models{
		registry:  m.registry,
		tokens:    histogram("gen_ai_client_token_usage", "Tokens of a call, by type: input or output.", tokenBuckets, with(call, "gen_ai_token_type")...),
		duration:  histogram("gen_ai_client_operation_duration_seconds", "Time of a call, with its retries.", modelCallBucket, with(call, "error_type")...),
		first:     histogram("gen_ai_client_operation_time_to_first_chunk_seconds", "Time until the first part of a streamed answer came.", modelCallBucket, call...),
		cost:      counterVec(m.registry, "sluice_model_cost_usd_total", "What calls cost in US dollars, of models with a price.", with(place, "model")...),
		unpriced:  counterVec(m.registry, "sluice_model_unpriced_calls_total", "Calls of models whose price is not known.", with(place, "model")...),
		questions: counterVec(m.registry, "sluice_model_questions_total", "Questions to a provider, by where the answer came from: model, cache, stale, default, or none.", with(place, "answer")...),
		failures:  counterVec(m.registry, "sluice_model_failures_total", "Questions without an answer, by reason.", with(place, "reason")...),
		waited:    histogram("sluice_model_wait_seconds", "Time that an exchange waited for an answer.", stepBuckets, place...),
		masked:    counterVec(m.registry, "sluice_model_masked_total", "Personal data that was replaced before a question left, by entity.", "provider", "entity"),
		repaired:  counterVec(m.registry, "sluice_model_repaired_answers_total", "Answers that were not JSON as they came.", "provider"),
		stores:    counterVec(m.registry, "sluice_model_store_operations_total", "Operations on what replicas share (cache, budgets), by result.", "what", "operation", "result"),
	}
	x.breaker = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sluice_model_breaker_state", Help: "1 for the state that a provider's circuit breaker is in; none before its first change."}, []string{"provider", "state"})
	m.registry.MustRegister(x.breaker)
	return x
}

// Cached registers how many answers are kept.
func (x *Models) Cached(answers func() int) {
	x.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sluice_model_cached_answers", Help: "Answers of models that are kept in memory, about."},
		func() float64 { return float64(answers()) }))
}

// operation is gen_ai.operation.name: every question is a chat completion.
const operation = "chat"

// ModelCall implements ai.Observer.
func (x *Models) ModelCall(c *ai.Call) {
	vendor := vendors[c.Type]
	response := c.ResponseModel
	if response == "" {
		response = c.Model
	}
	response = x.models.name(response)
	errorType := strings.ReplaceAll(strings.ReplaceAll(c.Failure, ": ", "."), " ", "_")
	x.duration.WithLabelValues(operation, vendor, c.Model, response, errorType).Observe(c.Duration.Seconds())
	if c.FirstChunk > 0 {
		x.first.WithLabelValues(operation, vendor, c.Model, response).Observe(c.FirstChunk.Seconds())
	}
	if c.Usage.InputTokens+c.Usage.OutputTokens > 0 {
		x.tokens.WithLabelValues(operation, vendor, c.Model, response, "input").Observe(float64(c.Usage.InputTokens))
		x.tokens.WithLabelValues(operation, vendor, c.Model, response, "output").Observe(float64(c.Usage.OutputTokens))
		route := x.routes.name(c.Route)
		if c.Usage.Cost != nil {
			x.cost.WithLabelValues(c.Provider, c.Policy, c.Step, route, c.Model).Add(*c.Usage.Cost)
		} else {
			x.unpriced.WithLabelValues(c.Provider, c.Policy, c.Step, route, c.Model).Inc()
		}
	}
	if c.Repaired {
		x.repaired.WithLabelValues(c.Provider).Inc()
	}
}

// ModelAsked implements ai.Observer.
func (x *Models) ModelAsked(a *ai.Asked) {
	route := x.routes.name(a.Route)
	x.policies.LoadOrStore(a.Policy, true)
	from := string(a.From)
	if a.Failure != "" {
		from = "none"
		x.failures.WithLabelValues(a.Provider, a.Policy, a.Step, route, a.Failure).Inc()
	}
	x.questions.WithLabelValues(a.Provider, a.Policy, a.Step, route, from).Inc()
	if a.From != filters.FromDefault {
		x.waited.WithLabelValues(a.Provider, a.Policy, a.Step, route).Observe(a.Duration.Seconds())
	}
	for entity, n := range a.Masked {
		x.masked.WithLabelValues(a.Provider, entity).Add(float64(n))
	}
}

// ModelBreaker implements ai.Observer.
func (x *Models) ModelBreaker(provider, state string) {
	for _, s := range []string{"closed", "open", "half-open"} {
		v := 0.0
		if s == state {
			v = 1
		}
		x.breaker.WithLabelValues(provider, s).Set(v)
	}
}

// ModelStore implements ai.Observer.
func (x *Models) ModelStore(what, operation, result string) {
	x.stores.WithLabelValues(what, operation, result).Inc()
}

// Forget drops the series of policies that are gone, so that reloads do not
// grow the metrics.
func (x *Models) Forget(policies []string) {
	stay := map[string]bool{}
	for _, p := range policies {
		stay[p] = true
	}
	x.policies.Range(func(p, _ any) bool {
		if stay[p.(string)] {
			return true
		}
		x.policies.Delete(p)
		gone := prometheus.Labels{"policy": p.(string)}
		for _, v := range []interface {
			DeletePartialMatch(prometheus.Labels) int
		}{x.cost, x.unpriced, x.questions, x.failures, x.waited} {
			v.DeletePartialMatch(gone)
		}
		return true
	})
}

// bounded is a set of names, of which those beyond maxNames are "other".
type bounded struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (b *bounded) name(s string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen[s] {
		return s
	}
	if len(b.seen) >= maxNames || len(s) > 128 {
		return "other"
	}
	if b.seen == nil {
		b.seen = map[string]bool{}
	}
	b.seen[s] = true
	return s
}
