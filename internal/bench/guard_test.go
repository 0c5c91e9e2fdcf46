package main

import (
	"context"
	"encoding/json"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/sluice-proxy/sluice/internal/audit"
	"github.com/sluice-proxy/sluice/internal/pipeline"
	"github.com/sluice-proxy/sluice/internal/telemetry"
)

// recorders are what is told of decisions, as cmd/sluice has them by default,
// and spans too where asked for.
func recorders(t testing.TB, metrics *telemetry.Metrics, decisions, traces bool) pipeline.Recorder {
	t.Helper()
	all := []pipeline.Recorder{}
	if metrics != nil {
		all = append(all, metrics)
	}
	if decisions {
		log, err := audit.Open(audit.Config{Stdout: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = log.Close(context.Background()) })
		all = append(all, log)
	}
	if traces {
		spans, err := telemetry.NewTracing(context.Background(), noCollector{}, telemetry.TracingConfig{Sample: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = spans.Close(context.Background()) })
		all = append(all, spans)
	}
	return telemetry.NewFanout(all...)
}

// noCollector takes all spans and keeps none.
type noCollector struct{}

func (noCollector) Start(context.Context) error                                  { return nil }
func (noCollector) Stop(context.Context) error                                   { return nil }
func (noCollector) UploadTraces(context.Context, []*tracepb.ResourceSpans) error { return nil }

// Exchanges of the guard and the benchmarks.
func duplex(ex exchange) exchange {
	ex.path, ex.chunk, ex.fullDuplex = "/v1/customers", 16<<10, true
	return ex
}

func eventStream(n int) exchange {
	return duplex(exchange{responseType: "text/event-stream", parts: messagesOf(chatEvents(n))})
}

// plain is as long as records(6), and has nothing in it to mask.
func plainRecords() []byte {
	return []byte(`{"page":1,"total":24,"items":[` + strings.Repeat(`{"id":7,"tier":"gold","active":true,"balance":1024.50,"state":"shipped"},`, 23) + `{}]}`)
}

// cost is what an exchange, or a part of one, allocates.
type cost struct{ allocs, bytes float64 }

// costOf plays an exchange and measures what it costs the server: the least of
// some batches, with one processor and without garbage collection, which
// empties pools. Neither other work on the machine nor time has a part in it.
func costOf(w *wire, s script) cost {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	const batches, size = 4, 20
	for range size {
		w.play(s)
	}
	least := cost{allocs: 1e9, bytes: 1e12}
	for range batches {
		runtime.GC() // what the batch before has left
		w.play(s)
		w.play(s) // fills the pools again
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range size {
			w.play(s)
		}
		runtime.ReadMemStats(&after)
		least.allocs = min(least.allocs, float64(after.Mallocs-before.Mallocs)/size)
		least.bytes = min(least.bytes, float64(after.TotalAlloc-before.TotalAlloc)/size)
	}
	return least
}

// budgets are what may be allocated. They stand a little above what was seen.
//
// Where the test fails, something on the way of every exchange allocates that
// did not before. Find it (the benchmark plays the same exchanges):
//
//	go test ./internal/bench -run '^$' -bench 'Exchange/response-1.7KB' -benchtime 2000x \
//	    -memprofile mem.out -memprofilerate 1
//	go tool pprof -sample_index=alloc_objects -top mem.out
//
// and take it away; or, where it is worth what it costs, raise the number in
// the same commit and say there why. Where an exchange has become cheaper,
// lower the number: the test says so when it is more than a quarter too high.
var budgets = []struct {
	name     string
	policy   string
	exchange exchange
	traces   bool
	allowed  cost
}{
	{name: "headers-only", policy: headersPolicy, exchange: exchange{path: "/v1/customers"}, allowed: cost{16, 1500}},
	{name: "untouched-1.7KB", policy: maskPolicy, exchange: duplex(exchange{response: plainRecords()}), allowed: cost{12, 1900}},
	{name: "response-1.7KB", policy: maskPolicy, exchange: duplex(exchange{response: records(6)}), allowed: cost{16, 2100}},
	{name: "request-1.7KB", policy: maskPolicy, exchange: duplex(exchange{request: records(6)}), allowed: cost{16, 2100}},
	{name: "response-1.7KB-traced", policy: maskPolicy, exchange: duplex(exchange{response: records(6)}), traces: true, allowed: cost{16, 2100}},
	{name: "sse-500", policy: maskPolicy, exchange: eventStream(500), allowed: cost{80, 11500}},
}

// margins are what one more value, or one more event, may allocate: the
// difference of two exchanges, by how many more the larger has.
var margins = []struct {
	name         string
	small, large exchange
	more         float64
	allowed      cost
}{
	// 54 records of eleven values more, five of which are masked.
	{name: "value", small: duplex(exchange{response: records(6)}), large: duplex(exchange{response: records(60)}), more: 54 * 11, allowed: cost{0.05, 8}},
	// The same text in more events.
	{name: "event", small: eventStream(100), large: eventStream(500), more: 400, allowed: cost{0.05, 16}},
}

func allocationsCount(t *testing.T) {
	t.Helper()
	if underRace || testing.Short() {
		t.Skip("allocations are not counted under the race detector, nor in short")
	}
}

// TestAllocationsOfExchanges is the guard against regressions that times
// nothing. The whole way is in it, from HTTP/2 to the masked value and
// the decision, without the client.
func TestAllocationsOfExchanges(t *testing.T) {
	allocationsCount(t)
	for _, b := range budgets {
		t.Run(b.name, func(t *testing.T) {
			metrics := telemetry.NewMetrics()
			w := serveHere(t, b.policy, recorders(t, metrics, true, b.traces), metrics)
			hold(t, "an exchange", costOf(w, scriptOf(t, b.exchange)), b.allowed)
		})
	}
}

// TestAllocationsOfValues: what a value or an event more costs.
func TestAllocationsOfValues(t *testing.T) {
	allocationsCount(t)
	for _, m := range margins {
		t.Run(m.name, func(t *testing.T) {
			metrics := telemetry.NewMetrics()
			w := serveHere(t, maskPolicy, recorders(t, metrics, true, false), metrics)
			small, large := costOf(w, scriptOf(t, m.small)), costOf(w, scriptOf(t, m.large))
			seen := cost{(large.allocs - small.allocs) / m.more, (large.bytes - small.bytes) / m.more}
			hold(t, "one more", seen, m.allowed)
		})
	}
}

func hold(t *testing.T, of string, seen, allowed cost) {
	t.Helper()
	t.Logf("seen: %.3f allocations, %.1f bytes", seen.allocs, seen.bytes)
	if seen.allocs > allowed.allocs {
		t.Errorf("%s: seen %.3f allocations, allowed %.3f; see the comment at budgets", of, seen.allocs, allowed.allocs)
	}
	if seen.bytes > allowed.bytes {
		t.Errorf("%s: seen %.1f bytes, allowed %.1f; see the comment at budgets", of, seen.bytes, allowed.bytes)
	}
	if seen.allocs < 0.75*allowed.allocs && allowed.allocs >= 1 || seen.bytes < 0.75*allowed.bytes && allowed.bytes >= 100 {
		t.Logf("%s: much less than is allowed (%.3f allocations, %.1f bytes): lower the number", of, allowed.allocs, allowed.bytes)
	}
}

// TestExchangesAreMasked: what is measured is work that is done. Every value
// that is personal is masked, on the wire and over events, and the rest is not.
func TestExchangesAreMasked(t *testing.T) {
	w := serveHere(t, maskPolicy, nil, nil)
	w.keep = true
	for _, c := range []struct {
		name   string
		ex     exchange
		values []string
		kept   string
		text   func(t *testing.T, body []byte) string
	}{
		{"response", duplex(exchange{response: records(6)}), valuesOf(6), "Prefers letters", asIs},
		{"request", duplex(exchange{request: records(6)}), valuesOf(6), "Prefers letters", asIs},
		{"people", duplex(exchange{response: peopleFrom(0, 5)}), peopleValues(5), `"state":"active"`, asIs},
		{"events", eventStream(500), chatValues(), "most of the time", chatOf},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.body = nil
			w.play(scriptOf(t, c.ex))
			text := c.text(t, w.body)
			for i, v := range c.values {
				if strings.Contains(text, v) {
					t.Errorf("value %d is not masked", i)
				}
			}
			if !strings.Contains(text, c.kept) {
				t.Error("more than the values is masked")
			}
		})
	}
}

func asIs(_ *testing.T, body []byte) string { return string(body) }

// chatOf puts the text of a chat completion together.
func chatOf(t *testing.T, body []byte) string {
	t.Helper()
	var text strings.Builder
	for event := range strings.SplitSeq(string(body), "\n\n") {
		data, ok := strings.CutPrefix(event, "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var chunk struct {
			Choices []struct{ Delta struct{ Content string } }
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			t.Fatal(err)
		}
		for _, c := range chunk.Choices {
			text.WriteString(c.Delta.Content)
		}
	}
	return text.String()
}

// TestChatEvents: so many events, and no value in one of them alone.
func TestChatEvents(t *testing.T) {
	events := chatEvents(500)
	if len(events) != 500 {
		t.Errorf("%d events", len(events))
	}
	var body []byte
	for _, m := range messagesOf(events) {
		body = append(body, m...)
	}
	if chatOf(t, body) != chatText(0) {
		t.Error("the events are not the text")
	}
	for i, v := range chatValues() {
		if !strings.Contains(chatText(0), v) {
			t.Errorf("value %d is not in the text", i)
		}
		for _, e := range events {
			if strings.Contains(string(e), v) {
				t.Errorf("value %d is in one event", i)
			}
		}
	}
}

// BenchmarkExchange plays the guard's exchanges.
func BenchmarkExchange(b *testing.B) {
	for _, x := range budgets {
		b.Run(x.name, func(b *testing.B) {
			metrics := telemetry.NewMetrics()
			w := serveHere(b, x.policy, recorders(b, metrics, true, x.traces), metrics)
			benchmark(b, w, scriptOf(b, x.exchange))
		})
	}
}

// BenchmarkTelling is what telling of exchanges costs, by what is told. Metrics
// cannot be turned off in cmd/sluice; here they can.
func BenchmarkTelling(b *testing.B) {
	for _, x := range []struct {
		name                       string
		metrics, decisions, traces bool
	}{
		{name: "nothing"}, {name: "metrics", metrics: true}, {name: "decisions", decisions: true}, {name: "traces", traces: true}, {name: "all", metrics: true, decisions: true, traces: true},
	} {
		b.Run(x.name, func(b *testing.B) {
			var w *wire
			if x.metrics {
				metrics := telemetry.NewMetrics()
				w = serveHere(b, maskPolicy, recorders(b, metrics, x.decisions, x.traces), metrics)
			} else {
				w = serveHere(b, maskPolicy, recorders(b, nil, x.decisions, x.traces), nil)
			}
			benchmark(b, w, scriptOf(b, duplex(exchange{response: records(6)})))
		})
	}
}

func benchmark(b *testing.B, w *wire, s script) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		w.play(s)
	}
}
