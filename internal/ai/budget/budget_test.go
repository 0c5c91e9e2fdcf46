package budget_test

import (
	"context"
	"fmt"
	"sync"
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

// TestNeverOverTheLimit: whatever happens at once, what is reserved stays
// within the limit, and what is settled counts.
func TestNeverOverTheLimit(t *testing.T) {
	m := budget.NewMemory(func() time.Time { return start })
	ctx, until := context.Background(), start.Add(time.Hour)
	var wg sync.WaitGroup
	var mu sync.Mutex
	took := int64(0)
	for range 50 {
		wg.Go(func() {
			for range 20 {
				ok, err := m.Reserve(ctx, "k", 10, 1000, until)
				if err != nil {
					t.Error(err)
				}
				if ok {
					mu.Lock()
					took += 4
					mu.Unlock()
					if err := m.Settle(ctx, "k", -6, until); err != nil {
						t.Error(err)
					}
				}
				if used := m.Used("k"); used > 1000 {
					t.Errorf("%d are used", used)
				}
			}
		})
	}
	wg.Wait()
	if used := m.Used("k"); used != took || used < 990 {
		t.Errorf("%d are used, %d were taken", used, took)
	}
}

func TestCountersEndAndAreBounded(t *testing.T) {
	now := start
	m := &budget.Memory{} // with the real clock
	if ok, err := m.Reserve(context.Background(), "k", 1, 1, time.Now().Add(time.Hour)); !ok || err != nil {
		t.Error("the zero value does not work")
	}
	m = budget.NewMemory(func() time.Time { return now })
	m.Max = 3
	reserve := func(key string) bool {
		ok, err := m.Reserve(context.Background(), key, 6, 10, now.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		return ok
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
