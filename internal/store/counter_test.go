package store

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// counting is a Redis, and a second client of it.
func counting(t *testing.T) (a, b *Redis, server *miniredis.Miniredis) {
	t.Helper()
	server = miniredis.RunT(t)
	open := func() *Redis {
		r, err := newRedis(Config{Type: InRedis, Address: server.Addr(), Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		return r
	}
	return open(), open(), server
}

func used(t *testing.T, server *miniredis.Miniredis, key, want string) {
	t.Helper()
	got, err := server.Get(defaultPrefix + key)
	if err != nil {
		got = "nothing"
	}
	if got != want {
		t.Errorf("%s stands at %s, not %s", key, got, want)
	}
}

func TestReserveAndSettle(t *testing.T) {
	a, b, server := counting(t)
	reserve := func(r *Redis, id string, want bool, counters ...Counter) {
		t.Helper()
		if ok, err := r.Reserve(t.Context(), id, counters...); err != nil || ok != want {
			t.Errorf("reserving %s: %v, %v", id, ok, err)
		}
	}
	settle := func(r *Redis, id string, counters ...Counter) {
		t.Helper()
		if err := r.Settle(t.Context(), id, counters...); err != nil {
			t.Errorf("settling %s: %v", id, err)
		}
	}
	day := func(n int64) Counter { return Counter{Key: "day", Add: n, Limit: 10, TTL: time.Hour} }
	month := func(n int64) Counter { return Counter{Key: "month", Add: n, Limit: 1 << 60, TTL: 100 * time.Hour} }

	reserve(a, "1", true, day(6), month(6))
	reserve(b, "2", false, day(6), month(6)) // all or nothing, for both clients
	used(t, server, "day", "6")
	used(t, server, "month", "6")
	reserve(a, "1", true, day(6), month(6)) // a call that was repeated
	used(t, server, "day", "6")

	settle(a, "1", day(-4), month(-4)) // two were used
	settle(a, "1", day(-4), month(-4)) // once
	used(t, server, "day", "2")
	settle(b, "2", day(-6), month(-6)) // it was never made
	used(t, server, "day", "2")

	// One that was taken back before it came is not made.
	settle(b, "3", day(-6), month(-6))
	reserve(b, "3", false, day(6), month(6))
	used(t, server, "day", "2")

	// Up to the limit and not beyond; more may be settled than was reserved.
	reserve(b, "4", true, day(8), month(8))
	reserve(b, "5", false, day(1), month(1))
	settle(b, "4", day(5), month(5))
	used(t, server, "day", "15")

	server.FastForward(time.Hour + time.Second)
	used(t, server, "day", "nothing")
	used(t, server, "month", "15")
	reserve(a, "6", true, day(10), month(10))
	settle(a, "6", day(-100), month(-100)) // never less than nothing
	used(t, server, "day", "0")
	server.FastForward(101 * time.Hour)
	if keys := server.Keys(); len(keys) > 0 {
		t.Errorf("%v are there for ever", keys)
	}
}

// TestReserveAtOnce: two clients at once never get beyond a limit, in any of
// two counters.
func TestReserveAtOnce(t *testing.T) {
	a, b, server := counting(t)
	const limit = 500
	var wg sync.WaitGroup
	var made atomic.Int64
	for w, r := range []*Redis{a, b, a, b, a, b} {
		wg.Go(func() {
			for i := range 100 {
				id := string(rune('a'+w)) + string(rune('0'+i))
				ok, err := r.Reserve(t.Context(), id, Counter{"x", 3, limit, time.Hour}, Counter{"y", 1, limit, time.Hour})
				if err != nil {
					t.Error(err)
					return
				}
				if ok {
					made.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if made.Load() != limit/3 {
		t.Errorf("%d reservations of 3 within %d", made.Load(), limit)
	}
	used(t, server, "x", "498")
	used(t, server, "y", "166")
}
