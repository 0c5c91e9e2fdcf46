package cache_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-proxy/sluice/internal/ai/cache"
)

func TestEqualQuestionsShareACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f cache.Flights[int]
		var calls atomic.Int32
		release := make(chan struct{})
		var wg sync.WaitGroup
		var shared atomic.Int32
		for range 10 {
			wg.Go(func() {
				v, s, err := f.Do(context.Background(), cache.Key{1}, false, func(context.Context) (int, error) {
					calls.Add(1)
					<-release
					return 7, nil
				})
				if v != 7 || err != nil {
					t.Errorf("%d, %v", v, err)
				}
				if s {
					shared.Add(1)
				}
			})
		}
		synctest.Wait() // until all of them wait
		if f.Len() != 1 {
			t.Errorf("%d calls under way", f.Len())
		}
		close(release)
		wg.Wait()
		if calls.Load() != 1 || shared.Load() != 9 || f.Len() != 0 {
			t.Errorf("%d calls, %d shared, %d left", calls.Load(), shared.Load(), f.Len())
		}
	})
}

func TestACallEndsWithTheLastWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f cache.Flights[int]
		start := time.Now()
		call := func(ctx context.Context) (int, error) {
			<-ctx.Done()
			if cause, took := context.Cause(ctx), time.Since(start); !errors.Is(cause, context.DeadlineExceeded) || took != 60*time.Millisecond {
				t.Errorf("it ended after %s, because of %v", took, cause)
			}
			return 0, ctx.Err()
		}
		var wg sync.WaitGroup
		for _, after := range []time.Duration{20 * time.Millisecond, 60 * time.Millisecond} {
			ctx, cancel := context.WithTimeout(context.Background(), after)
			defer cancel()
			wg.Go(func() {
				if _, _, err := f.Do(ctx, cache.Key{1}, false, call); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v", err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		synctest.Wait()
	})
}

func TestACallOutlivesItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f cache.Flights[int]
		done := make(chan struct{})
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, _, err := f.Do(ctx, cache.Key{1}, true, func(ctx context.Context) (int, error) {
			time.Sleep(20 * time.Millisecond)
			if ctx.Err() != nil {
				t.Error("it was cut off")
			}
			close(done)
			return 1, nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		<-done
	})
}

func TestAPanicIsAnError(t *testing.T) {
	var f cache.Flights[int]
	if _, _, err := f.Do(context.Background(), cache.Key{}, false, func(context.Context) (int, error) { panic("no") }); !errors.Is(err, cache.ErrPanic) {
		t.Errorf("error %v", err)
	}
	if f.Len() != 0 {
		t.Error("the call is still there")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m, err := cache.NewMemory(64 << 10)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for i := range 1000 {
		m.Put(ctx, cache.Key{byte(i), byte(i >> 8)}, make([]byte, 1024), time.Now(), time.Hour)
	}
	eventually(t, func() bool { return m.Len() <= 64 })
	m.Put(ctx, cache.Key{9, 9, 9}, []byte("x"), time.Now(), time.Second)
	if v, _, ok := m.Get(ctx, cache.Key{9, 9, 9}, time.Time{}); !ok || string(v) != "x" {
		t.Errorf("%q, %v", v, ok)
	}
	eventually(t, func() bool {
		_, _, ok := m.Get(ctx, cache.Key{9, 9, 9}, time.Time{})
		return !ok
	})
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("it did not happen")
}
