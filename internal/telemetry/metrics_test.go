package telemetry

import (
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

func record(step string) *pipeline.Record {
	return &pipeline.Record{
		Policy: "customer-api", Step: step, Filter: "pii", Phase: filters.ResponseBody, Mode: pipeline.Enforce,
		Decision: filters.Decision{Verdict: filters.Changed, Findings: filters.Counts{{Name: "EMAIL_ADDRESS", N: 3}}, Actions: filters.Counts{{Name: "mask", N: 3}}},
		Duration: 120 * time.Microsecond,
	}
}

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	b, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains("\n"+text, "\n"+l+"\n") {
			t.Errorf("the metrics lack the line\n%s", l)
		}
	}
}

func TestMetricsCountWhatIsRecorded(t *testing.T) {
	m := NewMetrics()
	m.Decision(record("mask"))
	m.Decision(record("mask"))
	skipped := record("mask")
	skipped.Decision = filters.Decision{Verdict: filters.Skipped, Reason: "rollout"}
	m.Decision(skipped)
	m.Exchange(&pipeline.Summary{RequestBytes: 10, ResponseBytes: 20})
	m.Exchange(&pipeline.Summary{Denied: true})
	m.Exchange(&pipeline.Summary{Aborted: true})
	m.Exchange(&pipeline.Summary{Unprocessed: true, Reached: 1<<pipeline.MaxExchanges | 1<<pipeline.Depth})
	m.StreamOpened()
	m.StreamOpened()
	m.StreamClosed()
	m.Message(filters.RequestHeaders)
	m.GaugeFunc("sluice_held_bytes", "Bytes held.", func() float64 { return 4000 })
	m.Panicked()
	m.Reloaded(ReloadLoaded, "abc", []string{"customer-api"})
	m.Reloaded(ReloadRefused, "", nil)
	m.CounterFunc("sluice_audit_dropped_total", "Lines dropped.", func() float64 { return 7 })
	wantLines(t, scrape(t, m),
		`sluice_decisions_total{filter="pii",mode="enforce",policy="customer-api",step="mask",verdict="changed"} 2`,
		`sluice_decisions_total{filter="pii",mode="enforce",policy="customer-api",step="mask",verdict="skipped"} 1`,
		`sluice_step_duration_seconds_count{filter="pii",phase="response_body",policy="customer-api",step="mask"} 2`,
		`sluice_step_duration_seconds_bucket{filter="pii",phase="response_body",policy="customer-api",step="mask",le="0.00025"} 2`,
		`sluice_entities_total{entity="EMAIL_ADDRESS"} 6`,
		`sluice_actions_total{action="mask"} 6`,
		`sluice_exchanges_total{outcome="completed"} 1`,
		`sluice_exchanges_total{outcome="denied"} 1`,
		`sluice_exchanges_total{outcome="aborted"} 1`,
		`sluice_exchanges_total{outcome="unprocessed"} 1`,
		`sluice_limits_reached_total{limit="maxExchanges"} 1`,
		`sluice_limits_reached_total{limit="depth"} 1`,
		`sluice_limits_reached_total{limit="totalBytes"} 0`,
		`sluice_body_bytes_total{direction="request"} 10`,
		`sluice_body_bytes_total{direction="response"} 20`,
		`sluice_streams_open 1`,
		`sluice_phases_total{phase="request_headers"} 1`,
		`sluice_held_bytes 4000`,
		`sluice_panics_total 1`,
		`sluice_reloads_total{result="loaded"} 1`,
		`sluice_reloads_total{result="refused"} 1`,
		`sluice_policy_set_info{version="abc"} 1`,
		`sluice_policies 1`,
		`sluice_audit_dropped_total 7`,
	)
}

func TestReloadDropsTheSeriesOfPoliciesThatAreGone(t *testing.T) {
	m := NewMetrics()
	m.Decision(record("mask"))
	other := record("mask")
	other.Policy = "stays"
	m.Decision(other)
	m.Reloaded(ReloadLoaded, "v2", []string{"stays"})
	text := scrape(t, m)
	if strings.Contains(text, "customer-api") {
		t.Error("series of a policy that is gone are still there")
	}
	wantLines(t, text,
		`sluice_decisions_total{filter="pii",mode="enforce",policy="stays",step="mask",verdict="changed"} 1`,
		`sluice_policy_set_info{version="v2"} 1`)
	// An exchange pinned to the old set can still end: its series come back
	// rather than being counted somewhere that nobody sees.
	m.Decision(record("mask"))
	wantLines(t, scrape(t, m), `sluice_decisions_total{filter="pii",mode="enforce",policy="customer-api",step="mask",verdict="changed"} 1`)
}

func TestNamesFromFiltersAreBounded(t *testing.T) {
	m := NewMetrics()
	for i := range maxNames + 20 {
		r := record("mask")
		r.Decision.Findings = filters.Counts{{Name: fmt.Sprint("E", i), N: 1}}
		m.Decision(r)
	}
	wantLines(t, scrape(t, m), `sluice_entities_total{entity="other"} 20`)
}

func TestMetricsFromManyStreams(t *testing.T) {
	m := NewMetrics()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				m.Decision(record(fmt.Sprint("step-", (g+i)%20)))
			}
		})
	}
	wg.Wait()
	wantLines(t, scrape(t, m),
		`sluice_entities_total{entity="EMAIL_ADDRESS"} 4800`,
		`sluice_decisions_total{filter="pii",mode="enforce",policy="customer-api",step="step-7",verdict="changed"} 80`)
}

func TestDecisionDoesNotAllocateOnceTheStepIsKnown(t *testing.T) {
	m := NewMetrics()
	r := record("mask")
	m.Decision(r)
	if n := testing.AllocsPerRun(1000, func() { m.Decision(r) }); n > 0 {
		t.Errorf("%v allocations a decision", n)
	}
}

func BenchmarkDecision(b *testing.B) {
	m := NewMetrics()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r := record("mask")
		for pb.Next() {
			m.Decision(r)
		}
	})
}
