package cache_test

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/cache"
	"github.com/sluice-proxy/sluice/internal/keyring"
	"github.com/sluice-proxy/sluice/internal/store"
)

// far is a store that tests look into, and break.
type far struct {
	mu      sync.Mutex
	entries map[string][]byte
	gets    int
	err     error
	hang    bool
}

func (f *far) Get(ctx context.Context, keys ...string) ([][]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gets++
	if f.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if f.err != nil {
		return nil, f.err
	}
	return [][]byte{f.entries[keys[0]]}, nil
}

func (f *far) Put(_ context.Context, _ time.Duration, entries ...filters.Entry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	for _, e := range entries {
		f.entries[e.Key] = e.Value
	}
	return nil
}

func (f *far) Number(context.Context, time.Duration, string, string) (int64, error) {
	return 0, errors.New("not used")
}

func (f *far) all() map[string][]byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.entries)
}

func (f *far) change(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

type fixed string

func (s fixed) Secret(filters.SecretRef) (filters.Secret, error) {
	if s == "" {
		return filters.Secret{}, errors.New("it is not there")
	}
	return filters.NewSecret(string(s)), nil
}

// results counts what an operation came to.
type results struct {
	mu sync.Mutex
	n  map[string]int
}

func (r *results) observe(operation, result string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n == nil {
		r.n = map[string]int{}
	}
	r.n[operation+" "+result]++
}

func (r *results) of(what string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n[what]
}

// await waits until something has come to pass.
func (r *results) await(t *testing.T, what string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if r.of(what) > 0 {
			return
		}
	}
	t.Fatalf("no %s", what)
}

const secret = "0123456789abcdef0123456789abcdef"

// replica is a cache of one replica, with the far store that they share.
func replica(t *testing.T, f filters.Store, key fixed, now func() time.Time) (*cache.Shared, *results) {
	t.Helper()
	return before(t, memory(t), f, key, now)
}

// memory has a goroutine that no bubble ends.
func memory(t *testing.T) *cache.Memory {
	t.Helper()
	near, err := cache.NewMemory(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	return near
}

func before(t *testing.T, near *cache.Memory, f filters.Store, key fixed, now func() time.Time) (*cache.Shared, *results) {
	t.Helper()
	keys, _ := keyring.NewSource(key, filters.SecretRef{Env: "X"}, now)
	r := &results{}
	return &cache.Shared{
		Near: near, Far: f, Keys: keys, Timeout: time.Minute, PutTimeout: time.Minute, Now: now, Rand: rand.Reader, Observe: r.observe,
		Breaker: circuitbreaker.NewBuilder[any]().WithFailureThreshold(3).WithDelay(100 * time.Millisecond).Build(),
	}, r
}

func TestSharedAnswers(t *testing.T) {
	now := time.Unix(1000, 0)
	clock := func() time.Time { return now }
	f := &far{entries: map[string][]byte{}}
	a, sawA := replica(t, f, secret, clock)
	b, sawB := replica(t, f, secret, clock)
	key, value := cache.Key{1}, []byte("model\nabout jane@example.com")
	a.Put(t.Context(), key, value, now, time.Minute)
	sawA.await(t, "put ok")

	for name, sealed := range f.all() {
		if strings.Contains(name+string(sealed), "jane") || strings.Contains(name, string(key[:4])) {
			t.Error("it is in the store in the clear")
		}
	}
	now = now.Add(10 * time.Second)
	for range 3 {
		if got, put, ok := b.Get(t.Context(), key, now.Add(-time.Minute)); !ok || string(got) != string(value) || !put.Equal(time.Unix(1000, 0)) {
			t.Errorf("%q put at %v, %v", got, put, ok)
		}
	}
	if f.gets != 1 || sawB.of("get hit") != 1 {
		t.Errorf("%d lookups: what was had once is in memory", f.gets)
	}
	// What is there is too old for one who wants it newer.
	if _, _, ok := b.Get(t.Context(), key, now.Add(-time.Second)); ok || sawB.of("get old") != 1 {
		t.Error("it is too old")
	}
	// What the store keeps for longer than it was told to is not taken.
	c, _ := replica(t, f, secret, clock)
	now = now.Add(50 * time.Second)
	if _, _, ok := c.Get(t.Context(), key, time.Time{}); ok {
		t.Error("its time is over")
	}
}

func TestSharedReadsAsAMiss(t *testing.T) {
	now := func() time.Time { return time.Unix(1000, 0) }
	key, value := cache.Key{1}, []byte("m\nx")
	for _, tt := range []struct {
		name, want string
		key        fixed
		change     func(*far)
	}{
		{name: "with another key", key: secret + "2", want: "get miss"},
		{name: "without a key", key: "", want: "get no key"},
		{name: "with a key that is too short", key: "short", want: "get no key"},
		{name: "what was changed", key: secret, want: "get unreadable", change: func(f *far) {
			for _, v := range f.entries {
				v[20] ^= 1
			}
		}},
		{name: "what is another's", key: secret, want: "get unreadable", change: func(f *far) {
			var values [][]byte
			for _, v := range f.entries {
				values = append(values, v)
			}
			for k, v := range f.entries {
				if string(v) == string(values[0]) {
					f.entries[k] = values[1]
				} else {
					f.entries[k] = values[0]
				}
			}
		}},
		{name: "a store that fails", key: secret, want: "get failed", change: func(f *far) { f.err = errors.New("down") }},
		{name: "a store that hangs", key: secret, want: "get timeout", change: func(f *far) { f.hang = true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &far{entries: map[string][]byte{}}
			a, saw := replica(t, f, secret, now)
			a.Put(t.Context(), key, value, now(), time.Minute)
			saw.await(t, "put ok")
			a.Put(t.Context(), cache.Key{2}, []byte("m\nother"), now(), time.Minute)
			for end := time.Now().Add(time.Minute); len(f.all()) < 2 && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			if tt.change != nil {
				f.change(func() { tt.change(f) })
			}
			b, saw := replica(t, f, tt.key, now)
			if f.hang {
				b.Timeout = 50 * time.Millisecond
			}
			if got, _, ok := b.Get(t.Context(), key, time.Time{}); ok || saw.of(tt.want) != 1 {
				t.Errorf("%q, %v, %v", got, ok, saw.n)
			}
		})
	}
}

// TestAStoreThatHangs is waited for half of the time that the caller has, and
// after some times not at all; what is in memory is there all the same.
func TestAStoreThatHangs(t *testing.T) {
	near := memory(t)
	synctest.Test(t, func(t *testing.T) {
		f := &far{entries: map[string][]byte{}, hang: true}
		s, saw := before(t, near, f, secret, time.Now)
		near.Put(t.Context(), cache.Key{9}, []byte("near"), time.Now(), time.Hour)
		for range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			start := time.Now()
			if _, _, ok := s.Get(ctx, cache.Key{1}, time.Time{}); ok || time.Since(start) != 100*time.Millisecond {
				t.Errorf("%v after %s", ok, time.Since(start))
			}
			cancel()
		}
		start := time.Now()
		if _, _, ok := s.Get(t.Context(), cache.Key{1}, time.Time{}); ok || saw.of("get paused") != 1 || time.Since(start) > 0 {
			t.Errorf("after %s: %v", time.Since(start), saw.n)
		}
		s.Put(t.Context(), cache.Key{2}, []byte("x"), time.Now(), time.Hour)
		if saw.of("put paused") != 1 {
			t.Errorf("%v", saw.n)
		}
		for _, k := range []cache.Key{{9}, {2}} {
			if _, _, ok := s.Get(t.Context(), k, time.Time{}); !ok {
				t.Error("what is in memory is gone")
			}
		}
		// When it is back, it is used again.
		f.change(func() { f.hang = false })
		time.Sleep(100 * time.Millisecond)
		s.Get(t.Context(), cache.Key{1}, time.Time{})
		if saw.of("get miss") == 0 {
			t.Errorf("it is left alone for ever: %v", saw.n)
		}
	})
}

func TestWhatIsTooLargeIsNotShared(t *testing.T) {
	s, saw := replica(t, store.NewMemory(0, nil), secret, time.Now)
	s.Put(t.Context(), cache.Key{1}, make([]byte, 300<<10), time.Now(), time.Hour)
	if _, _, ok := s.Get(t.Context(), cache.Key{1}, time.Time{}); !ok || saw.of("put too large") != 1 {
		t.Errorf("%v, %v", ok, saw.n)
	}
}
