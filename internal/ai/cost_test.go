package ai_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai"
)

// hit is an asker whose answer is in the cache, and its question: a kilobyte
// of data, looked through for personal data where masked.
func hit(t testing.TB, masked bool) (filters.Asker, *filters.Question) {
	f := newFaulty(t, reply{text: `{"risk":"low"}`})
	e := newEnv(t, ai.Options{}, map[string]ai.Spec{"p": compatible(f, func(s *ai.Spec) {
		s.Cache = &ai.Cache{TTL: time.Hour}
		if masked {
			s.Privacy = &ai.Privacy{Tokenize: []string{"EMAIL_ADDRESS", "CREDIT_CARD"}}
		}
	})})
	a := e.prepare(t, "p", riskTask())
	q := question("from jane@example.com: " + strings.Repeat("a transfer of 4500 to a supplier, ", 30))
	if _, err := ask(t, a, q); err != nil {
		t.Fatal(err)
	}
	return a, q
}

// TestACacheHitIsCheap: it adds 20 µs at most. The best of many short rounds
// counts: in one of them nothing comes between, however busy the machine is.
// What the detectors take to look through the data is in the second figure,
// and is theirs.
func TestACacheHitIsCheap(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	for _, masked := range []bool{false, true} {
		a, q := hit(t, masked)
		best := time.Hour
		for range 1000 {
			const n = 10
			start := time.Now()
			for range n {
				if ans, err := a.Ask(context.Background(), q); err != nil || ans.From != filters.FromCache {
					t.Fatalf("answer %+v, error %v", ans, err)
				}
			}
			best = min(best, time.Since(start)/n)
		}
		t.Logf("a hit takes %s, masked %v", best, masked)
		if !masked && best > 20*time.Microsecond {
			t.Errorf("a hit takes %s", best)
		}
	}
}

func BenchmarkCacheHit(b *testing.B) {
	a, q := hit(b, false)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Ask(context.Background(), q); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenBreaker(b *testing.B) {
	f := newFaulty(b, reply{status: 500})
	e := newEnv(b, ai.Options{}, map[string]ai.Spec{"p": compatible(f, func(s *ai.Spec) { s.Breaker = &ai.Breaker{Failures: 1, OpenFor: time.Hour} })})
	a, q := e.prepare(b, "p", riskTask()), question("x")
	_, _ = ask(b, a, q)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Ask(context.Background(), q); err == nil {
			b.Fatal("there is an answer")
		}
	}
}
