package h2_test

import (
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/internal/h2"
)

// lender opens sessions of echo's, and tells which of them were given back.
type lender struct {
	*echo
	spent chan h2.Session
}

func (l *lender) Open(s *h2.Stream, spent h2.Session) h2.Session {
	l.spent <- spent
	return l.echo.Open(s, nil)
}

// TestSpentSessions: a session's memory is given back when only the reader had
// its stream, and not where anybody else may have it yet.
func TestSpentSessions(t *testing.T) {
	for _, tt := range []struct {
		name, say string
		waits     bool
		want      bool
	}{
		{name: "inline", say: "hello", want: true},
		{name: "it failed", say: "fail", want: true},
		{name: "it waits", say: "hello", waits: true},
		{name: "apart", say: "apart"},
		{name: "a large message", say: strings.Repeat("x", 100<<10)},
		{name: "a panic", say: "panic"},
		{name: "somebody waited for the stream's end", say: "watch"},
		{name: "it was woken", say: "wake"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &lender{&echo{waits: tt.waits}, make(chan h2.Session, 10)}
			_, conn := serve(t, l, h2.Options{})
			c := open(limit(t), t, conn)
			if got := <-l.spent; got != nil {
				t.Fatal("the first stream got a session")
			}
			if err := c.send([]byte(tt.say)); err != nil {
				t.Fatal(err)
			}
			_, _ = c.recv()
			if tt.say == "wake" {
				eventually(t, "the session is woken", func() bool { return l.woken.Load() == 1 })
			}
			_ = c.CloseSend()
			_, _ = c.recv() // the end
			next := open(limit(t), t, conn)
			defer func() { _ = next.CloseSend() }()
			if got := <-l.spent; (got != nil) != tt.want {
				t.Errorf("the next stream got %v", got)
			}
		})
	}
}
