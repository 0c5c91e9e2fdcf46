package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func options() Options {
	return Options{
		Build:   Build{Version: "v0.1.0", Go: "go1.26"},
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "sluice_streams_open 0\n") }),
		Ready:   func() error { return nil },
		Policies: func() Policies {
			return Policies{
				Version:  "4f1c",
				Policies: []Policy{{Name: "customer-api", Order: 100, Steps: []Step{{Name: "mask", Filter: "pii", In: "response", Mode: "enforce"}}}},
				LastLoad: Load{Time: time.Unix(0, 0).UTC(), Result: "refused", Problems: []string{"a.yaml:3:1: error: unknown key"}},
			}
		},
	}
}

func TestEndpoints(t *testing.T) {
	notReady := options()
	notReady.Ready = func() error { return errors.New("draining") }
	withPprof := options()
	withPprof.Pprof = true
	signing := options()
	signing.Keys = func() [][]byte { return [][]byte{[]byte(`{"kty":"OKP","kid":"k1"}`)} }
	for _, c := range []struct {
		name, method, path string
		opt                Options
		status             int
		contentType        string
		contains           string
	}{
		{"health", "GET", "/healthz", options(), 200, "application/json", `"status": "ok"`},
		{"health while not ready", "GET", "/healthz", notReady, 200, "application/json", `"status": "ok"`},
		{"health by HEAD", "HEAD", "/healthz", options(), 200, "application/json", ""},
		{"ready", "GET", "/readyz", options(), 200, "application/json", `"status": "ready"`},
		{"not ready", "GET", "/readyz", notReady, 503, "application/problem+json", `"detail": "draining"`},
		{"metrics", "GET", "/metrics", options(), 200, "text/plain; charset=utf-8", "sluice_streams_open 0"},
		{"version", "GET", "/version", options(), 200, "application/json", `"policies": "4f1c"`},
		{"policies", "GET", "/policies", options(), 200, "application/json", `"filter": "pii"`},
		{"problems of the last load", "GET", "/policies", options(), 200, "application/json", "a.yaml:3:1: error: unknown key"},
		{"keys", "GET", "/.well-known/jwks.json", signing, 200, "application/jwk-set+json", `"kid": "k1"`},
		{"no keys", "GET", "/.well-known/jwks.json", options(), 404, "application/problem+json", `"status": 404`},
		{"no such page", "GET", "/nothing", options(), 404, "application/problem+json", `"status": 404`},
		{"no such method", "POST", "/policies", options(), 405, "application/problem+json", `"status": 405`},
		{"pprof is off", "GET", "/debug/pprof/", options(), 404, "application/problem+json", `"status": 404`},
		{"pprof is on", "GET", "/debug/pprof/", withPprof, 200, "text/html; charset=utf-8", "goroutine"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(Handler(c.opt))
			defer srv.Close()
			req, err := http.NewRequest(c.method, srv.URL+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != c.status {
				t.Errorf("status %d, want %d", resp.StatusCode, c.status)
			}
			if got := resp.Header.Get("Content-Type"); got != c.contentType {
				t.Errorf("content type %q, want %q", got, c.contentType)
			}
			if !strings.Contains(string(body), c.contains) {
				t.Errorf("the body lacks %q:\n%s", c.contains, body)
			}
			if strings.HasSuffix(c.contentType, "json") && c.method != "HEAD" && !json.Valid(body) {
				t.Errorf("not JSON:\n%s", body)
			}
			if c.status == 405 && !strings.Contains(resp.Header.Get("Allow"), "GET") {
				t.Errorf("allow: %q", resp.Header.Get("Allow"))
			}
		})
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, options()) }()
	resp, err := http.Get("http://" + l.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it goes on serving")
	}
	if _, err := http.Get("http://" + l.Addr().String() + "/healthz"); err == nil {
		t.Error("the port is still open")
	}
}
