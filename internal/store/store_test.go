package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sluice-proxy/sluice/filters"
)

// backends are the implementations, each with a way to let time pass.
func backends(t *testing.T) map[string]struct {
	Backend
	wait func(time.Duration)
} {
	t.Helper()
	var mu sync.Mutex
	now := time.Unix(1000, 0)
	memory := NewMemory(0, func() time.Time { mu.Lock(); defer mu.Unlock(); return now })
	server := miniredis.RunT(t)
	redis, err := Open(Config{Type: InRedis, Address: server.Addr(), Timeout: 5 * time.Second}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Close() })
	return map[string]struct {
		Backend
		wait func(time.Duration)
	}{
		"memory": {memory, func(d time.Duration) { mu.Lock(); now = now.Add(d); mu.Unlock() }},
		"redis":  {redis, server.FastForward},
	}
}

func TestPutAndGet(t *testing.T) {
	for name, b := range backends(t) {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if err := b.Ping(ctx); err != nil {
				t.Fatal(err)
			}
			if err := b.Put(ctx, time.Minute, filters.Entry{Key: "a", Value: []byte("1")}, filters.Entry{Key: "b", Value: []byte{0, 255}}); err != nil {
				t.Fatal(err)
			}
			if err := b.Put(ctx, 2*time.Minute, filters.Entry{Key: "a", Value: []byte("2")}); err != nil {
				t.Fatal(err)
			}
			expect := func(want string) {
				t.Helper()
				got, err := b.Get(ctx, "a", "none", "b")
				if s := fmt.Sprintf("%q", got); err != nil || s != want {
					t.Errorf("%s, %v; want %s", s, err, want)
				}
			}
			expect(`["2" "" "\x00\xff"]`)
			if got, _ := b.Get(ctx, "none"); got[0] != nil {
				t.Error("what is not there is not nil")
			}
			b.wait(61 * time.Second)
			expect(`["2" "" ""]`)
			b.wait(60 * time.Second)
			expect(`["" "" ""]`)
		})
	}
}

func TestNumber(t *testing.T) {
	for name, b := range backends(t) {
		t.Run(name, func(t *testing.T) {
			number := func(list, member string, want int64) {
				t.Helper()
				if n, err := b.Number(t.Context(), time.Minute, list, member); err != nil || n != want {
					t.Errorf("%s in %s is %d, %v; want %d", member, list, n, err, want)
				}
			}
			number("l", "x", 1)
			number("l", "y", 2)
			number("l", "x", 1)
			number("other", "y", 1)
			b.wait(50 * time.Second)
			number("l", "z", 3) // keeps the list for another minute
			b.wait(50 * time.Second)
			number("l", "y", 2)
			b.wait(61 * time.Second)
			number("l", "y", 1)
		})
	}
}

// TestNumberAtOnce: many at once never give one number twice.
func TestNumberAtOnce(t *testing.T) {
	for name, b := range backends(t) {
		t.Run(name, func(t *testing.T) {
			const members = 40
			var got sync.Map
			var wg sync.WaitGroup
			for w := range 8 {
				wg.Go(func() {
					for i := range members {
						member := fmt.Sprint((i*7 + w*11) % members)
						n, err := b.Number(context.Background(), time.Minute, "l", member)
						if err != nil {
							t.Error(err)
							return
						}
						if first, there := got.LoadOrStore(member, n); there && first != n {
							t.Errorf("%s is %d and %d", member, first, n)
						}
					}
				})
			}
			wg.Wait()
			seen := map[any]any{}
			got.Range(func(member, n any) bool {
				if other, dup := seen[n]; dup {
					t.Errorf("%v and %v are both %v", member, other, n)
				}
				seen[n] = member
				return true
			})
			if len(seen) != members {
				t.Errorf("%d numbers for %d members", len(seen), members)
			}
		})
	}
}

// TestMemoryIsBounded: past the bound, the entries that were used longest ago
// go, and are counted.
func TestMemoryIsBounded(t *testing.T) {
	const bound = 1 << 20
	m := NewMemory(bound, nil)
	value := make([]byte, 1000)
	for i := range 5000 {
		if err := m.Put(t.Context(), time.Hour, filters.Entry{Key: fmt.Sprint(i), Value: value}); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Number(t.Context(), time.Hour, fmt.Sprint("l", i%7), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	total := int64(0)
	for i := range m.shards {
		total += m.shards[i].size
	}
	if total > bound || m.Len() > bound/1000 || m.Evicted() == 0 {
		t.Errorf("%d bytes in %d entries, %d evicted", total, m.Len(), m.Evicted())
	}
	if got, _ := m.Get(t.Context(), "0", "4999"); got[0] != nil || got[1] == nil {
		t.Error("not the oldest went")
	}
}

// TestMemoryRefuses what is too large by itself, and a list that has become
// so: what is in it stays as it is.
func TestMemoryRefuses(t *testing.T) {
	m := NewMemory(shards*4096, nil)
	if err := m.Put(t.Context(), time.Hour, filters.Entry{Key: "k", Value: make([]byte, 4096)}); !errors.Is(err, errTooLarge) {
		t.Error(err)
	}
	last := int64(0)
	for i := range 1000 {
		n, err := m.Number(t.Context(), time.Hour, "l", fmt.Sprint(i))
		if err != nil {
			break
		}
		last = n
	}
	if last < 10 || last > 100 {
		t.Errorf("the list has %d members", last)
	}
	if n, err := m.Number(t.Context(), time.Hour, "l", "3"); n != 4 || err != nil {
		t.Error(n, err)
	}
}

func TestRedisDown(t *testing.T) {
	server := miniredis.RunT(t)
	b, err := Open(Config{Type: InRedis, Address: server.Addr(), Timeout: 100 * time.Millisecond}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	server.Close()
	start := time.Now()
	_, err1 := b.Get(t.Context(), "secret-key")
	err2 := b.Put(t.Context(), time.Minute, filters.Entry{Key: "secret-key", Value: []byte("secret-value")})
	_, err3 := b.Number(t.Context(), time.Minute, "secret-key", "secret-value")
	for _, err := range []error{err1, err2, err3, b.Ping(t.Context())} {
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("the error is %v", err)
		}
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("it took %v to fail", took)
	}
}

func TestPasswordAndPrefix(t *testing.T) {
	server := miniredis.RunT(t)
	server.RequireAuth("not-a-real-password")
	t.Setenv("REDIS_PASSWORD", "not-a-real-password")
	b, err := Open(Config{Type: InRedis, Address: server.Addr(), Prefix: "mine:", Password: &filters.SecretRef{Env: "REDIS_PASSWORD"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	if err := b.Put(t.Context(), time.Minute, filters.Entry{Key: "k", Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if !server.Exists("mine:k") || server.TTL("mine:k") != time.Minute {
		t.Error("the entry is not where it is to be, or has no time to live")
	}
	refused, err := Open(Config{Type: InRedis, Address: server.Addr()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = refused.Close() }()
	if err := refused.Ping(t.Context()); err == nil {
		t.Error("it went without the password")
	}
}

func TestShared(t *testing.T) {
	var s Shared
	if _, err := s.Get(t.Context(), "a"); !errors.Is(err, errNotOpen) {
		t.Error(err)
	}
	if err := s.Put(t.Context(), time.Minute); !errors.Is(err, errNotOpen) {
		t.Error(err)
	}
	if _, err := s.Number(t.Context(), time.Minute, "l", "m"); !errors.Is(err, errNotOpen) {
		t.Error(err)
	}
	s.Use(NewMemory(0, nil))
	if n, err := s.Number(t.Context(), time.Minute, "l", "m"); n != 1 || err != nil {
		t.Error(n, err)
	}
}

func TestConfig(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.pem")
	if err := os.WriteFile(missing+".empty", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{}, ""}, {Config{Type: InMemory, MaxBytes: 1}, ""},
		{Config{Type: "disk"}, "type: "},
		{Config{Type: InRedis}, "address: "},
		{Config{Type: InRedis, Address: "a:1", MaxBytes: 1}, "maxBytes: "},
		{Config{Address: "a:1"}, "type: memory has no address"},
		{Config{MaxBytes: -1}, "maxBytes: "},
		{Config{Type: InRedis, Address: "a:1", Timeout: -1}, "timeout: "},
		{Config{Type: InRedis, Address: "a:1", Database: -1}, "database: "},
		{Config{Type: InRedis, Address: "a:1", Password: &filters.SecretRef{}}, "password: "},
		{Config{Type: InRedis, Address: "a:1", Password: &filters.SecretRef{Env: "NOT_SET_ANYWHERE"}}, "password: "},
		{Config{Type: InRedis, Address: "a:1", TLS: &TLS{Cert: "x"}}, "tls: cert and key"},
		{Config{Type: InRedis, Address: "a:1", TLS: &TLS{CA: missing}}, "tls: reading"},
		{Config{Type: InRedis, Address: "a:1", TLS: &TLS{CA: missing + ".empty"}}, "tls: the store's CA file"},
	} {
		b, err := Open(c.cfg, nil)
		if err == nil {
			_ = b.Close()
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%+v: %v; want %s…", c.cfg, err, c.want)
		}
	}
}

// TestAllErrorsOfAConfig are told at once.
func TestAllErrorsOfAConfig(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want []string
	}{
		{Config{Type: InRedis, MaxBytes: 1, Database: -1, Timeout: -1, TLS: &TLS{Key: "x"}, Password: &filters.SecretRef{}}, []string{"address", "maxBytes", "database", "timeout", "tls", "password"}},
		{Config{Address: "a:1", MaxBytes: -1}, []string{"type", "maxBytes"}},
	} {
		var got []string
		if all, ok := c.cfg.Validate().(interface{ Unwrap() []error }); ok {
			for _, err := range all.Unwrap() {
				var fe *filters.FieldError
				if errors.As(err, &fe) {
					got = append(got, fe.Path)
				}
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v; want %v", c.cfg, got, c.want)
		}
	}
}
