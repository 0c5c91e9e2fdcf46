package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/extproc"
	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/infer"
	"github.com/sluice-proxy/sluice/internal/ai/vendors"
	"github.com/sluice-proxy/sluice/internal/e2e"
	"github.com/sluice-proxy/sluice/internal/pipeline"
	"github.com/sluice-proxy/sluice/policies"
)

// modelPolicies ask two providers: one that takes 200 ms, and one that is dead.
const modelPolicies = `
apiVersion: sluice/v1
kind: Provider
metadata: {name: slow}
spec:
  type: compatible
  model: m
  baseURL: %s/v1
  retries: {max: 0}
  bulkhead: {calls: 10000}
  breaker: {failures: 1000000}
---
apiVersion: sluice/v1
kind: Provider
metadata: {name: dead}
spec:
  type: compatible
  model: m
  baseURL: http://127.0.0.1:1/v1
  breaker: {failures: 5, within: 10s, openFor: 10m}
---
apiVersion: sluice/v1
kind: Policy
metadata: {name: slow}
spec:
  match: {paths: [/slow/**]}
  request: [{filter: infer, timeout: 50ms, with: {provider: slow, prompt: {text: "{{method}} {{path}}"}, schema: {type: object}}}]
---
apiVersion: sluice/v1
kind: Policy
metadata: {name: dead}
spec:
  match: {paths: [/dead/**]}
  request: [{filter: infer, timeout: 50ms, with: {provider: dead, prompt: {text: "{{method}} {{path}}"}, schema: {type: object}}}]
---
apiVersion: sluice/v1
kind: Policy
metadata: {name: "off"}
spec:
  match: {paths: [/off/**]}
  request: [{filter: infer, when: "false", timeout: 50ms, with: {provider: dead, prompt: {text: "{{method}} {{path}}"}, schema: {type: object}}}]
`

// withModels starts an Envoy and a Sluice of their own, and returns a function
// that makes one exchange on a path and how long it took.
func withModels(t *testing.T, provider string) (exchange func(path string) (time.Duration, error), stop func()) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p.yaml"), fmt.Appendf(nil, modelPolicies, provider), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	store, err := policies.Open(ctx, &policies.Loader{Registry: filters.NewRegistry(infer.Definition()), Dial: vendors.Dial, Env: filters.Env{Now: time.Now, Rand: nonces{}}}, dir)
	if err != nil {
		t.Fatal(err)
	}
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	server := extproc.New(store, extproc.Options{Recorder: ignored{}, DrainTimeout: time.Second})
	up := make(chan net.Addr, 1)
	done := make(chan error, 1)
	go func() {
		done <- server.Serve(ctx, func(a []net.Addr) { up <- a[0] }, extproc.Listener{Address: "127.0.0.1:0"})
	}()
	var addr net.Addr
	select {
	case addr = <-up:
	case err := <-done:
		t.Fatal(err)
	}
	ev, err := e2e.Start(ctx, b.Listener.Addr(), addr, e2e.Listener{Name: "headers"})
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 10 * time.Second}
	exchange = func(path string) (time.Duration, error) {
		start := time.Now()
		resp, err := c.Get("http://" + ev.Addr("headers") + path)
		if err != nil {
			return 0, err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return 0, fmt.Errorf("status %d", resp.StatusCode)
		}
		return time.Since(start), err
	}
	return exchange, func() {
		c.CloseIdleConnections()
		ev.Stop()
		cancel()
		<-done
		b.Close()
	}
}

type nonces struct{}

func (nonces) Read(p []byte) (int, error) { return len(p), nil }

type ignored struct{}

func (ignored) Decision(*pipeline.Record)  {}
func (ignored) Exchange(*pipeline.Summary) {}

// measure makes n exchanges, some at once, and returns how long they took, in
// order.
func measure(t *testing.T, exchange func(string) (time.Duration, error), path string, n, atOnce int) []time.Duration {
	t.Helper()
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	for w := range atOnce {
		wg.Go(func() {
			for i := range n / atOnce {
				d, err := exchange(fmt.Sprintf("%s%d-%d", path, w, i))
				mu.Lock()
				if err != nil {
					t.Errorf("%s: %v", path, err)
				}
				took = append(took, d)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	return took
}

func p99(took []time.Duration) time.Duration { return took[len(took)*99/100] }

// TestASlowProviderCostsItsTimeout: with a provider that takes its time and a
// step timeout of 50 ms, no exchange waits for the provider, none fails, and
// what the step costs at the least is its timeout and 5 ms at most: what else
// the machine is busy with only makes an exchange longer. Where it is busy with
// nothing else, that holds for the 99th percentile, too; the best of some tries
// counts.
func TestASlowProviderCostsItsTimeout(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	const patience, calm = 20 * time.Second, 5 * time.Millisecond
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then is it seen that the caller has gone
		select {
		case <-time.After(patience):
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"{}"}}]}`)
	}))
	defer slow.Close()
	exchange, stop := withModels(t, slow.URL)
	defer stop()
	holds := func(rise, noise time.Duration) bool {
		return rise > 40*time.Millisecond && rise <= 55*time.Millisecond+noise
	}
	least, busy := false, false
	for range 10 {
		off, on := measure(t, exchange, "/off/", 200, 4), measure(t, exchange, "/slow/", 200, 4)
		rise := p99(on) - p99(off)
		t.Logf("p99 %s with the step switched off, %s with the slow provider: %s more; at the least %s more",
			p99(off).Round(time.Microsecond), p99(on).Round(time.Microsecond), rise.Round(time.Microsecond), (on[0] - off[0]).Round(time.Microsecond))
		if longest := on[len(on)-1]; longest > patience/2 {
			t.Fatalf("an exchange took %s", longest)
		}
		least, busy = least || holds(on[0]-off[0], 0), busy || p99(off) > calm
		if t.Failed() || least && holds(rise, p99(off)) {
			return
		}
	}
	switch {
	case !least:
		t.Error("the step costs more than its timeout")
	case !busy:
		t.Error("the 99th percentile rises by more than the timeout")
	default:
		t.Log("the machine is too busy for the 99th percentile to say anything")
	}
}

// TestADeadProviderCostsNothing: with the provider killed and its breaker
// open, throughput is within 5% of the step switched off. Both are measured in
// turns, and the best of each counts: what disturbs a run only makes it
// slower.
func TestADeadProviderCostsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	exchange, stop := withModels(t, "http://127.0.0.1:1")
	defer stop()
	run := func(path string) time.Duration {
		start := time.Now()
		measure(t, exchange, path, 500, 8)
		return time.Since(start)
	}
	run("/dead/") // the breaker opens
	var on, off time.Duration
	ratio := 0.0
	for i := range 60 {
		a, b := run("/dead/"), run("/off/")
		if on == 0 || a < on {
			on = a
		}
		if off == 0 || b < off {
			off = b
		}
		if ratio = float64(off) / float64(on); i >= 5 && ratio >= 0.95 {
			break
		}
	}
	t.Logf("500 exchanges take %s with the step switched off, %s with the dead provider: throughput %.3f", off.Round(time.Millisecond), on.Round(time.Millisecond), ratio)
	if ratio < 0.95 {
		t.Errorf("throughput is %.3f of that without the step", ratio)
	}
}
