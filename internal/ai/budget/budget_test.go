package budget_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/internal/ai/budget"
)

var start = time.Date(2026, 12, 31, 23, 59, 30, 0, time.UTC)

func TestPeriods(t *testing.T) {
	for name, want := range map[string]struct{ id, end string }{
		"minute": {"2026-12-31T23:59", "2027-01-01T00:00:00Z"}, "hour": {"2026-12-31T23", "2027-01-01T00:00:00Z"},
		"day": {"2026-12-31", "2027-01-01T00:00:00Z"}, "month": {"2026-12", "2027-01-01T00:00:00Z"},
	} {
		id, end := budget.Period(name, start.In(time.FixedZone("x", 5*3600)))
		if id != want.id || end.Format(time.RFC3339) != want.end {
			t.Errorf("%s: %s until %s", name, id, end)
		}
	}
}

func amount(key string, n, limit int64) budget.Amount {
	return budget.Amount{Key: key, N: n, Limit: limit, Until: start.Add(time.Hour)}
}

// TestNeverOverTheLimit: whatever happens at once, what is reserved stays
// within the limit, and what is settled counts.
func TestNeverOverTheLimit(t *testing.T) {
	m := budget.NewMemory(func() time.Time { return start })
	var wg sync.WaitGroup
	var took atomic.Int64
	for range 50 {
		wg.Go(func() {
			for range 20 {
				held, err := m.Reserve(t.Context(), amount("k", 10, 1000))
				if err != nil {
					t.Error(err)
				}
				if held != nil {
					took.Add(4)
					held.Settle(4)
				}
				if used := m.Used("k"); used > 1000 {
					t.Errorf("%d are used", used)
				}
			}
		})
	}
	wg.Wait()
	if used := m.Used("k"); used != took.Load() || used < 990 {
		t.Errorf("%d are used, %d were taken", used, took.Load())
	}
}

// TestAllOrNothing: where one budget has no room, nothing is taken of the
// others.
func TestAllOrNothing(t *testing.T) {
	m := budget.NewMemory(func() time.Time { return start })
	if held, err := m.Reserve(t.Context(), amount("a", 5, 100), amount("b", 6, 10)); held == nil || err != nil {
		t.Fatal("there is room for both")
	}
	if held, err := m.Reserve(t.Context(), amount("a", 5, 100), amount("b", 6, 10)); held != nil || err != nil {
		t.Error("b has no room")
	}
	if a, b := m.Used("a"), m.Used("b"); a != 5 || b != 6 {
		t.Errorf("%d of a and %d of b are used", a, b)
	}
}

func TestCountersEndAndAreBounded(t *testing.T) {
	now := start
	m := &budget.Memory{} // with the real clock
	if held, err := m.Reserve(t.Context(), budget.Amount{Key: "k", N: 1, Limit: 1, Until: time.Now().Add(time.Hour)}); held == nil || err != nil {
		t.Error("the zero value does not work")
	}
	m = budget.NewMemory(func() time.Time { return now })
	m.Max = 3
	reserve := func(key string) bool {
		held, err := m.Reserve(t.Context(), budget.Amount{Key: key, N: 6, Limit: 10, Until: now.Add(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		return held != nil
	}
	for i := range 3 {
		if !reserve(fmt.Sprint("k", i)) {
			t.Errorf("counter %d is full", i)
		}
	}
	if !reserve("k3") || reserve("k4") {
		t.Error("counters beyond the bound do not share one")
	}
	if reserve("k0") {
		t.Error("a counter has forgotten")
	}
	now = now.Add(2 * time.Minute)
	if !reserve("k0") || m.Used("k1") != 0 {
		t.Error("a period does not end")
	}
}

// TestFirstToEnd: with all counters in use, one that ends makes room at once.
func TestFirstToEnd(t *testing.T) {
	now := start
	m := budget.NewMemory(func() time.Time { return now })
	m.Max = 3
	reserve := func(key string, lasts time.Duration) bool {
		held, err := m.Reserve(t.Context(), budget.Amount{Key: key, N: 6, Limit: 10, Until: now.Add(lasts)})
		if err != nil {
			t.Fatal(err)
		}
		return held != nil
	}
	reserve("hour", time.Hour)
	reserve("short", 10*time.Second)
	reserve("shorter", 5*time.Second)
	if !reserve("beyond", time.Hour) || reserve("beyond too", time.Hour) {
		t.Fatal("counters beyond the bound do not share one")
	}
	now = now.Add(6 * time.Second)
	if reserve("new", time.Hour) {
		t.Error("the one that they share takes no room")
	}
	now = now.Add(6 * time.Second)
	if !reserve("new", time.Hour) {
		t.Error("two have ended, and there is no room for another")
	}
	if reserve("hour", time.Hour) {
		t.Error("a counter has forgotten")
	}
}
