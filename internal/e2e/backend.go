package e2e

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// CaseHeader names the request's case: which handler of the Backend answers.
const CaseHeader = "X-Case"

// Backend is an HTTP/1 and HTTP/2 server whose answers are scripted request
// by request.
type Backend struct {
	lis net.Listener
	srv *http.Server

	mu    sync.Mutex
	n     int
	cases map[string]http.HandlerFunc
}

// NewBackend starts a backend.
func NewBackend() (*Backend, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting the backend: %w", err)
	}
	b := &Backend{lis: lis, cases: map[string]http.HandlerFunc{}}
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	b.srv = &http.Server{Handler: http.HandlerFunc(b.serve), Protocols: protocols, ReadHeaderTimeout: 10 * time.Second,
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 20_000}}
	go func() { _ = b.srv.Serve(lis) }()
	return b, nil
}

func (b *Backend) serve(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	h := b.cases[r.Header.Get(CaseHeader)]
	b.mu.Unlock()
	if h == nil {
		http.Error(w, "no such case", http.StatusTeapot)
		return
	}
	h(w, r)
}

// Addr is where the backend listens.
func (b *Backend) Addr() net.Addr { return b.lis.Addr() }

// Case registers a handler and returns the name that requests for it carry in
// CaseHeader.
func (b *Backend) Case(h http.HandlerFunc) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n++
	name := fmt.Sprintf("case-%d", b.n)
	b.cases[name] = h
	return name
}

// Close ends the backend.
func (b *Backend) Close() { _ = b.srv.Close() }
