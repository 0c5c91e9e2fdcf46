package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"
)

// Build is what is known of the binary.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
}

// Policies is the state of the policies.
type Policies struct {
	// Version of the set in force.
	Version string `json:"version"`
	// Policies of the set, in the order in which they apply.
	Policies []Policy `json:"policies"`
	// LastLoad is how the last load went, whether its set is in force or was
	// refused.
	LastLoad Load `json:"lastLoad"`
}

// Policy is one policy in force.
type Policy struct {
	Name   string            `json:"name"`
	Order  int               `json:"order"`
	File   string            `json:"file,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Steps  []Step            `json:"steps"`
}

// Step is one step of a policy.
type Step struct {
	Name   string `json:"name"`
	Filter string `json:"filter"`
	// In is "request", "response" or "log".
	In      string   `json:"in"`
	Mode    string   `json:"mode"`
	OnError string   `json:"onError,omitempty"`
	Timeout string   `json:"timeout,omitempty"`
	Rollout *float64 `json:"rolloutPercent,omitempty"`
}

// Load is one load of the policies.
type Load struct {
	Time     time.Time `json:"time"`
	Result   string    `json:"result"`
	Problems []string  `json:"problems,omitempty"`
}

// Options are what the endpoints show.
type Options struct {
	Build Build
	// Metrics serves /metrics.
	Metrics http.Handler
	// Ready returns nil when exchanges are taken, and otherwise why not.
	Ready func() error
	// Policies returns the state of the policies.
	Policies func() Policies
	// Keys returns the public keys of what Sluice signs, as JWKs; nil where
	// nothing is signed.
	Keys func() [][]byte
	// Pprof adds /debug/pprof/.
	Pprof bool
}

// Handler returns the endpoints.
func Handler(opt Options) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, map[string]string{"status": "ok"}) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := opt.Ready(); err != nil {
			problem(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		writeJSON(w, map[string]string{"status": "ready"})
	})
	mux.Handle("GET /metrics", opt.Metrics)
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, struct {
			Build
			Policies string `json:"policies"`
		}{opt.Build, opt.Policies().Version})
	})
	mux.HandleFunc("GET /policies", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, opt.Policies()) })
	if opt.Keys != nil {
		mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) { writeKeys(w, opt.Keys()) })
	}
	if opt.Pprof {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		handler, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		// The mux's own answer tells 404 from 405, and which methods there are.
		probe := &statusOnly{header: w.Header()}
		handler.ServeHTTP(probe, r)
		problem(w, probe.status, "")
	})
}

// statusOnly keeps the status and the headers of an answer.
type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header         { return s.header }
func (s *statusOnly) Write(b []byte) (int, error) { return len(b), nil }
func (s *statusOnly) WriteHeader(status int)      { s.status = status }

// Serve serves the endpoints on l until ctx ends.
func Serve(ctx context.Context, l net.Listener, opt Options) error {
	srv := &http.Server{
		Handler:           Handler(opt),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
	}
	if !opt.Pprof {
		// A profile takes as long as it was asked to.
		srv.WriteTimeout = 30 * time.Second
	}
	stop := context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if srv.Shutdown(end) != nil {
			_ = srv.Close()
		}
	})
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the admin endpoints: %w", err)
	}
	return nil
}

// writeKeys writes a JWK set (RFC 7517).
func writeKeys(w http.ResponseWriter, keys [][]byte) {
	set := struct {
		Keys []json.RawMessage `json:"keys"`
	}{Keys: []json.RawMessage{}}
	for _, k := range keys {
		set.Keys = append(set.Keys, k)
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	// Whoever verifies may keep it for a little, and asks again for a key that
	// it does not know.
	w.Header().Set("Cache-Control", "public, max-age=60")
	writeIndented(w, set)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	writeIndented(w, v)
}

// problem writes an RFC 9457 problem document.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Del("Content-Length")
	w.WriteHeader(status)
	writeIndented(w, struct {
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail,omitempty"`
	}{http.StatusText(status), status, detail})
}

func writeIndented(w http.ResponseWriter, v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return // the types here can all be encoded
	}
	_, _ = w.Write(b.Bytes())
}
