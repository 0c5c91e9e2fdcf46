package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// customers is what the backend answers. All of it is made up: example
// domains, 555 numbers, the card schemes' test numbers.
const customers = `{
  "customers": [
    {
      "id": 20260000000000000001,
      "name": "Jane Roe",
      "email": "jane.roe@example.com",
      "phone": "+1 212 555 0142",
      "ssn": "078-05-1120",
      "card": "4111 1111 1111 1111",
      "balance": 1.10
    },
    {
      "id": 20260000000000000002,
      "name": "John Doe",
      "email": "john@example.org",
      "iban": "DE89 3704 0044 0532 0130 00",
      "notes": "Moved, now reachable at john.doe@example.net"
    }
  ]
}
`

// notes is plain text, sent in pieces that cut through what is to be masked.
var notes = []string{
	"Called on Monday, wants the invoice to go to bill", "ing@exa", "mple.com from now on.\n",
	"Paid with 4111 11", "11 1111 1111, server was 192.0.2.44.\n",
}

// backend is the example service. It keeps the last request that it got.
type backend struct {
	srv  *http.Server
	mu   sync.Mutex
	last string
}

func startBackend(addr string) (*backend, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("starting the backend: %w", err)
	}
	b := &backend{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/customers", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Powered-By", "example-backend/1.2.3")
		_, _ = io.WriteString(w, customers)
	})
	mux.HandleFunc("GET /v1/notes", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Trailer", "X-Lines")
		for _, piece := range notes {
			_, _ = io.WriteString(w, piece)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(10 * time.Millisecond)
		}
		w.Header().Set("X-Lines", "2")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	b.srv = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		b.mu.Lock()
		b.last = r.Method + " " + r.URL.RequestURI() + "\n" + string(body)
		b.mu.Unlock()
		mux.ServeHTTP(w, r)
	})}
	go func() {
		if err := b.srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			fmt.Println("the backend has ended:", err)
		}
	}()
	return b, nil
}

// received returns the last request that the backend got, and forgets it.
func (b *backend) received() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := b.last
	b.last = ""
	return last
}

func (b *backend) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if b.srv.Shutdown(ctx) != nil {
		_ = b.srv.Close()
	}
}
