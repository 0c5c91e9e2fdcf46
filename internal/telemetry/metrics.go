package telemetry

import (
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// maxNames bounds the names that one label takes from filters (entities and
// actions). Names beyond it count as "other".
const maxNames = 512

// stepBuckets are the bounds of step durations in seconds, 10 µs to 10 s.
var stepBuckets = []float64{
	10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6,
	1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 10,
}

// Metrics counts what happens, in a registry of its own. It is a
// pipeline.Recorder.
type Metrics struct {
	registry  *prometheus.Registry
	exchanges *prometheus.CounterVec
	duration  *histogram
	streams   prometheus.Gauge
	phases    [filters.Log + 1]prometheus.Counter
	steps     *histograms
	decisions *prometheus.CounterVec
	entities  named
	actions   named
	bytes     [2]prometheus.Counter
	reloads   *prometheus.CounterVec
	setInfo   *prometheus.GaugeVec
	policies  prometheus.Gauge
	panics    prometheus.Counter

	outcomes [4]prometheus.Counter
	reached  []prometheus.Counter
	// series are the children of steps and decisions by step: read without a
	// lock, copied when a step is seen for the first time.
	series  atomic.Pointer[map[stepKey]*stepSeries]
	growing sync.Mutex
	// bySteps are the same by the steps of the set in force, for which a
	// look-up by name costs too much.
	bySteps pipeline.Places[*stepSeries]
}

// stepKey is one step's place in the metrics.
type stepKey struct {
	policy, step, filter string
	phase                filters.Phase
	mode                 pipeline.Mode
}

// stepSeries are the children of one stepKey.
type stepSeries struct {
	took     *histogram
	verdicts [filters.Failed + 1]prometheus.Counter
}

// NewMetrics returns metrics with the Go runtime's and the process's beside
// them.
func NewMetrics() *Metrics {
	reg := prometheus.NewRegistry()
	m := &Metrics{
		registry:  reg,
		exchanges: counterVec(reg, "sluice_exchanges_total", "Exchanges that have ended, by outcome: completed, denied (Sluice answered in the backend's place), aborted (ended before the response did) or unprocessed (passed because there was no room).", "outcome"),
		streams:   gauge(reg, "sluice_streams_open", "Exchanges that are open."),
		steps:     newHistograms("sluice_step_duration_seconds", "Time a step took in one phase. Skipped steps are not counted.", stepBuckets, "policy", "step", "filter", "phase"),
		decisions: counterVec(reg, "sluice_decisions_total", "Decisions of steps, by verdict. In the modes observe and shadow the verdict is what the step would have done.", "policy", "step", "filter", "mode", "verdict"),
		entities:  named{vec: counterVec(reg, "sluice_entities_total", "Findings of detectors, by entity.", "entity")},
		actions:   named{vec: counterVec(reg, "sluice_actions_total", "What was done to findings, by action.", "action")},
		reloads:   counterVec(reg, "sluice_reloads_total", "Loads of the policies, by result: loaded or refused (the set before stays in force).", "result"),
		setInfo: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "sluice_policy_set_info", Help: "1 for the version of the policy set in force.",
		}, []string{"version"}),
		policies: gauge(reg, "sluice_policies", "Policies in the set in force."),
		panics:   counter(reg, "sluice_panics_total", "Exchanges that ended by a panic."),
	}
	durations := newHistograms("sluice_exchange_duration_seconds", "Time from an exchange's first message to its end, the backend's time included.",
		[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300})
	m.duration = durations.with()
	reg.MustRegister(durations, m.steps, m.setInfo,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	phases := counterVec(reg, "sluice_phases_total", "Messages of the data plane, by phase.", "phase")
	for p := range m.phases {
		m.phases[p] = phases.WithLabelValues(filters.Phase(p).String())
	}
	body := counterVec(reg, "sluice_body_bytes_total", "Body bytes received from the data plane, by direction.", "direction")
	for d := range m.bytes {
		m.bytes[d] = body.WithLabelValues(filters.Direction(d).String())
	}
	for i, o := range [...]string{"completed", "denied", "aborted", "unprocessed"} {
		m.outcomes[i] = m.exchanges.WithLabelValues(o)
	}
	limits := counterVec(reg, "sluice_limits_reached_total", "Exchanges that have run into a limit, by the limit's setting.", "limit")
	for b := range pipeline.EveryBound.All() {
		m.reached = append(m.reached, limits.WithLabelValues(b.String()))
	}
	for _, r := range [...]string{ReloadLoaded, ReloadRefused} {
		m.reloads.WithLabelValues(r)
	}
	m.series.Store(&map[stepKey]*stepSeries{})
	return m
}

// Registry is where further collectors are registered.
func (m *Metrics) Registry() prometheus.Registerer { return m.registry }

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// CounterFunc registers a counter whose value somebody else keeps.
func (m *Metrics) CounterFunc(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}

// GaugeFunc registers a gauge whose value somebody else keeps.
func (m *Metrics) GaugeFunc(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// StreamOpened and StreamClosed count the open exchanges.
func (m *Metrics) StreamOpened() { m.streams.Inc() }

// StreamClosed is called once for each StreamOpened.
func (m *Metrics) StreamClosed() { m.streams.Dec() }

// Message counts a message of the data plane.
func (m *Metrics) Message(p filters.Phase) {
	if int(p) < len(m.phases) {
		m.phases[p].Inc()
	}
}

// Panicked counts an exchange that ended by a panic.
func (m *Metrics) Panicked() { m.panics.Inc() }

// The results of a load.
const (
	ReloadLoaded  = "loaded"
	ReloadRefused = "refused"
)

// Reloaded counts a load of the policies. With ReloadLoaded, version is that
// of the set now in force and policies the names in it: the series of
// policies that are gone go too, so that reloads do not grow the metrics.
func (m *Metrics) Reloaded(result, version string, policies []string) {
	m.reloads.WithLabelValues(result).Inc()
	if result != ReloadLoaded {
		return
	}
	m.setInfo.Reset()
	m.setInfo.WithLabelValues(version).Set(1)
	m.policies.Set(float64(len(policies)))
	stay := make(map[string]bool, len(policies))
	for _, p := range policies {
		stay[p] = true
	}
	m.growing.Lock()
	defer m.growing.Unlock()
	kept := map[stepKey]*stepSeries{}
	for k, s := range *m.series.Load() {
		if stay[k.policy] {
			kept[k] = s
			continue
		}
		m.steps.forget(k.policy)
		m.decisions.DeletePartialMatch(prometheus.Labels{"policy": k.policy})
	}
	m.series.Store(&kept)
	m.bySteps.Forget()
}

// Decision implements pipeline.Recorder.
func (m *Metrics) Decision(r *pipeline.Record) {
	s := m.bySteps.Of(r, m.seriesOf)
	if v := r.Decision.Verdict; int(v) < len(s.verdicts) {
		s.verdicts[v].Inc()
	}
	if r.Decision.Verdict != filters.Skipped {
		s.took.Observe(r.Duration)
	}
	for _, c := range r.Decision.Findings {
		m.entities.of(c.Name).Add(float64(max(c.N, 0)))
	}
	for _, c := range r.Decision.Actions {
		m.actions.of(c.Name).Add(float64(max(c.N, 0)))
	}
}

// Exchange implements pipeline.Recorder.
func (m *Metrics) Exchange(s *pipeline.Summary) {
	outcome := 0
	switch {
	case s.Denied:
		outcome = 1
	case s.Aborted:
		outcome = 2
	case s.Unprocessed:
		outcome = 3
	}
	m.outcomes[outcome].Inc()
	for b := range s.Reached.All() {
		m.reached[b].Inc()
	}
	m.duration.Observe(s.Duration)
	m.bytes[filters.Request].Add(float64(s.RequestBytes))
	m.bytes[filters.Response].Add(float64(s.ResponseBytes))
}

// seriesOf returns the children of a decision's step.
func (m *Metrics) seriesOf(r *pipeline.Record) *stepSeries {
	return m.of(stepKey{r.Policy, r.Step, r.Filter, r.Phase, r.Mode})
}

// of returns the children of a step, and makes them the first time.
func (m *Metrics) of(k stepKey) *stepSeries {
	if s, ok := (*m.series.Load())[k]; ok {
		return s
	}
	m.growing.Lock()
	defer m.growing.Unlock()
	old := *m.series.Load()
	if s, ok := old[k]; ok {
		return s
	}
	mode := string(k.mode)
	if mode == "" {
		mode = string(pipeline.Enforce)
	}
	s := &stepSeries{took: m.steps.with(k.policy, k.step, k.filter, k.phase.String())}
	for v := range s.verdicts {
		s.verdicts[v] = m.decisions.WithLabelValues(k.policy, k.step, k.filter, mode, filters.Verdict(v).String())
	}
	grown := make(map[stepKey]*stepSeries, len(old)+1)
	for k, s := range old {
		grown[k] = s
	}
	grown[k] = s
	m.series.Store(&grown)
	return s
}

// named is a counter by one label whose values come from filters: few, and
// bounded by maxNames.
type named struct {
	vec     *prometheus.CounterVec
	known   atomic.Pointer[map[string]prometheus.Counter]
	growing sync.Mutex
}

func (n *named) of(name string) prometheus.Counter {
	if known := n.known.Load(); known != nil {
		if c, ok := (*known)[name]; ok {
			return c
		}
	}
	n.growing.Lock()
	defer n.growing.Unlock()
	grown := map[string]prometheus.Counter{}
	if known := n.known.Load(); known != nil {
		if c, ok := (*known)[name]; ok {
			return c
		}
		if len(*known) >= maxNames {
			return n.vec.WithLabelValues("other")
		}
		for k, c := range *known {
			grown[k] = c
		}
	}
	c := n.vec.WithLabelValues(name)
	grown[name] = c
	n.known.Store(&grown)
	return c
}

func counter(reg *prometheus.Registry, name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	reg.MustRegister(c)
	return c
}

func counterVec(reg *prometheus.Registry, name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	reg.MustRegister(c)
	return c
}

func gauge(reg *prometheus.Registry, name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	reg.MustRegister(g)
	return g
}
