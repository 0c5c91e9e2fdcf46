package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/extproc"
	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/pii"
	"github.com/sluice-proxy/sluice/internal/e2e"
	"github.com/sluice-proxy/sluice/policies"
)

// limited is an Envoy in front of a Sluice with small limits.
func limited(t *testing.T) *e2e.Envoy {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	store, err := policies.Open(ctx, &policies.Loader{Registry: filters.NewRegistry(pii.Definition()), Env: filters.Env{Now: time.Now}}, "testdata/limits.yaml")
	if err != nil {
		t.Fatal(err)
	}
	up, done := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		done <- extproc.New(store, extproc.Options{DrainTimeout: time.Millisecond}).Serve(ctx, func(a []net.Addr) { up <- a[0] }, extproc.Listener{Address: "127.0.0.1:0"})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	e, err := e2e.Start(ctx, backend.Addr(), <-up,
		e2e.Listener{Name: "duplex", Request: "FULL_DUPLEX_STREAMED", Response: "FULL_DUPLEX_STREAMED", Trailers: true},
		e2e.Listener{Name: "override", Override: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Stop)
	return e
}

// TestLimitsBehindEnvoy: what a client sees of an exchange that lasts too long,
// or that there is no room for.
func TestLimitsBehindEnvoy(t *testing.T) {
	e := limited(t)
	send := func(listener, path string, body io.Reader, h http.HandlerFunc) answer {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+e.Addr(listener)+path, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set(e2e.CaseHeader, backend.Case(h))
		resp, err := clients["h1"].Do(req)
		if err != nil {
			return answer{Response: &http.Response{}, err: err}
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		return answer{resp, string(b), err}
	}
	wait := func(r *http.Request, d time.Duration) {
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
	}
	const long = 30 * time.Second // more than three times the idle time
	for _, listener := range []string{"duplex", "override"} {
		start := time.Now()
		pr, pw := io.Pipe()
		go func() { _, _ = io.WriteString(pw, half) }()
		a := send(listener, "/mask/x", pr, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
		_ = pw.Close()
		if a.StatusCode != 500 || !strings.Contains(a.body, "exchange-timeout") {
			t.Errorf("%s: a request that stops: %d, %v, %s", listener, a.StatusCode, a.err, a.body)
		}
		a = send(listener, "/mask/x", strings.NewReader(document), func(w http.ResponseWriter, r *http.Request) {
			wait(r, long)
			reply(document)(w, r)
		})
		if a.StatusCode != 500 || !strings.Contains(a.body, "exchange-timeout") {
			t.Errorf("%s: a backend that does not answer: %d, %v, %s", listener, a.StatusCode, a.err, a.body)
		}
		a = send(listener, "/mask/x", nil, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, half)
			_ = http.NewResponseController(w).Flush()
			wait(r, long)
		})
		if a.err == nil || strings.Contains(a.body, "jane") {
			t.Errorf("%s: a response that stops: %d, %v, %s", listener, a.StatusCode, a.err, a.body)
		}
		if took := time.Since(start); took > long {
			t.Errorf("%s: it took %s", listener, took)
		}
		a = send(listener, "/none/x", nil, func(w http.ResponseWriter, r *http.Request) {
			wait(r, 2*time.Second) // and the idle time is one
			reply(document)(w, r)
		})
		if a.StatusCode != 200 || a.body != document {
			t.Errorf("%s: a slow backend that no step waits for: %d, %v, %s", listener, a.StatusCode, a.err, a.body)
		}

		// Three exchanges take the room. No step waits for them.
		release := make(chan struct{})
		arrived := make(chan struct{}, 3)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				a := send(listener, "/none/x", nil, func(w http.ResponseWriter, r *http.Request) {
					arrived <- struct{}{}
					<-release
					reply(document)(w, r)
				})
				if a.StatusCode != 200 || a.body != document {
					t.Errorf("%s: one that runs: %d, %v, %s", listener, a.StatusCode, a.err, a.body)
				}
			})
		}
		for range 3 {
			<-arrived
		}
		if a := send(listener, "/mask/x", strings.NewReader(document), reply(document)); a.StatusCode != 429 || a.Header.Get("Retry-After") != "1" || strings.Contains(a.body, "jane") {
			t.Errorf("%s: one that is refused: %d, %v, %s", listener, a.StatusCode, a.err, a.body)
		}
		if a := send(listener, "/open/x", strings.NewReader(document), reply(document)); a.StatusCode != 200 || a.body != document {
			t.Errorf("%s: one that passes: %d, %v, %s", listener, a.StatusCode, a.err, a.body)
		}
		close(release)
		all.Wait()
		if a := send(listener, "/mask/x", strings.NewReader(document), reply(document)); a.StatusCode != 200 || a.body != masked {
			t.Errorf("%s: afterwards: %d, %v, %s", listener, a.StatusCode, a.err, a.body)
		}
	}
	if t.Failed() {
		fmt.Println(e.Stats())
	}
}
