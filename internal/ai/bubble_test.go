package ai_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-proxy/sluice/internal/ai"
	"github.com/sluice-proxy/sluice/internal/ai/wire"
)

// scripted is a provider without a network, so that tests own the time that
// it takes. Of a reply it knows the text, the delay and the status.
type scripted struct {
	mu           sync.Mutex
	replies      []reply
	n            int
	flying, most int
}

func (s *scripted) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// Send implements wire.Transport.
func (s *scripted) Send(ctx context.Context, _ *wire.Request) (*wire.Reply, error) {
	s.mu.Lock()
	s.n++
	s.flying++
	s.most = max(s.most, s.flying)
	rep := s.replies[0]
	if len(s.replies) > 1 {
		s.replies = s.replies[1:]
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.flying--
		s.mu.Unlock()
	}()
	select {
	case <-time.After(rep.delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	switch {
	case rep.status >= http.StatusInternalServerError:
		return nil, &wire.Error{Kind: wire.KindServer, Status: rep.status}
	case rep.status != 0:
		return nil, &wire.Error{Kind: wire.KindRefused, Status: rep.status}
	}
	return &wire.Reply{Text: rep.text}, nil
}

// timed runs a test on a clock of its own, with a provider "p" that is
// scripted. Only the pool is made outside: its cache has a goroutine that no
// bubble ends.
func timed(t *testing.T, change func(*ai.Spec), replies []reply, test func(*testing.T, *env, *scripted)) {
	t.Helper()
	s := &scripted{replies: replies}
	e := newEnv(t, ai.Options{Dial: func(string, wire.Endpoint) (wire.Transport, error) { return s, nil }}, nil)
	synctest.Test(t, func(t *testing.T) {
		spec := ai.Spec{Type: "compatible", Model: "m", BaseURL: "http://127.0.0.1:1/v1", Retries: &ai.Retries{}, Breaker: &ai.Breaker{Failures: 1000}}
		if change != nil {
			change(&spec)
		}
		if err := e.use.Add("p", spec); err != nil {
			t.Fatal(err)
		}
		test(t, e, s)
		synctest.Wait()
	})
}
