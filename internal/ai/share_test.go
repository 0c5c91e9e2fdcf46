package ai_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai"
	"github.com/sluice-proxy/sluice/internal/e2e"
	"github.com/sluice-proxy/sluice/internal/keyring"
	"github.com/sluice-proxy/sluice/internal/realtest"
	"github.com/sluice-proxy/sluice/internal/secret"
	"github.com/sluice-proxy/sluice/internal/store"
)

const (
	sharedKey  = "SLUICE_TEST_SHARED_KEY"
	sharedText = "0123456789abcdef0123456789abcdef"
)

// server is a Redis, or Valkey, of the test's own, with nothing in it.
type server struct {
	*e2e.Redis
	tb testing.TB
}

func newServer(t testing.TB) *server {
	t.Helper()
	realtest.Tool(t, "SLUICE_REDIS")
	t.Setenv(sharedKey, sharedText)
	r, err := e2e.StartRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	return &server{r, t}
}

// client looks into the server.
func (s *server) client() *redis.Client {
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: s.Address})
	s.tb.Cleanup(func() { _ = c.Close() })
	return c
}

// all is everything that is in the server, keys and values, by key.
func (s *server) all() map[string]string {
	s.tb.Helper()
	ctx, c, out := context.Background(), s.client(), map[string]string{}
	keys, err := c.Keys(ctx, "*").Result()
	if err != nil {
		s.tb.Fatal(err)
	}
	for _, k := range keys {
		if out[k], err = c.Get(ctx, k).Result(); err != nil {
			s.tb.Fatal(err)
		}
		if ttl := c.PTTL(ctx, k).Val(); ttl <= 0 {
			s.tb.Errorf("%s is there for ever", k)
		}
	}
	return out
}

// ttls are how long what is in the server will be there.
func (s *server) ttls() map[string]time.Duration {
	c, out := s.client(), map[string]time.Duration{}
	for k := range s.all() {
		out[k] = c.PTTL(context.Background(), k).Val()
	}
	return out
}

// under are the values whose keys begin so.
func (s *server) under(prefix string) (values []string) {
	for k, v := range s.all() {
		if strings.HasPrefix(k, prefix) {
			values = append(values, v)
		}
	}
	return values
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("it does not come to %s", what)
}

// everything shares cache and budgets, with time for a busy machine.
func everything() ai.Sharing {
	ref := &filters.SecretRef{Env: sharedKey}
	return ai.Sharing{
		Cache:   ai.SharedCache{Store: "shared", Key: ref, Timeout: 2 * time.Second},
		Budgets: ai.SharedBudgets{Store: "shared", Key: ref, Timeout: 2 * time.Second},
	}
}

// replica is what one process has of its own, with a store that is elsewhere.
func replica(t testing.TB, address string, s ai.Sharing, specs map[string]ai.Spec) *env {
	t.Helper()
	return replicaWith(t, address, s, specs, func(far ai.Far) ai.Far { return far })
}

func replicaWith(t testing.TB, address string, s ai.Sharing, specs map[string]ai.Spec, change func(ai.Far) ai.Far) *env {
	t.Helper()
	e := newEnv(t, ai.Options{}, specs)
	far, err := store.Open(store.Config{Type: store.InRedis, Address: address, Timeout: 5 * time.Second}, nil)
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := secret.New(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	settled, err := e.pool.Share(s, change(far.(ai.Far)), secrets)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { settled(); _ = far.Close() })
	return e
}

func caching(f *faulty) map[string]ai.Spec {
	return map[string]ai.Spec{"p": compatible(f, func(s *ai.Spec) {
		s.Cache, s.Budget = &ai.Cache{TTL: time.Minute}, &ai.Budget{Tokens: 1000, Per: "day", By: "consumer"}
	})}
}

// TestReplicasShareAnswers: what one was answered the other answers, without a
// call; and who runs the store learns nothing of it.
func TestReplicasShareAnswers(t *testing.T) {
	s := newServer(t)
	f := newFaulty(t, reply{text: `{"risk":"low","note":"planted-answer"}`})
	a, b := replica(t, s.Address, everything(), caching(f)), replica(t, s.Address, everything(), caching(f))
	q := question("planted-question")
	q.Caller = filters.Caller{Consumer: "planted-consumer", Tenant: "planted-tenant", Route: "planted-route"}
	if ans, err := ask(t, a.prepare(t, "p", riskTask()), q); err != nil || ans.From != filters.FromModel {
		t.Fatalf("%+v, %v", ans, err)
	}
	eventually(t, "an answer in the store", func() bool { return a.saw.store("cache put ok") == 1 })
	at := b.prepare(t, "p", riskTask())
	for range 2 {
		ans, err := ask(t, at, q)
		if err != nil || ans.From != filters.FromCache || string(ans.JSON) != `{"risk":"low","note":"planted-answer"}` || ans.Model != "m-2026-01-01" {
			t.Errorf("%+v, %v", ans, err)
		}
	}
	if f.calls() != 1 || b.saw.store("cache get hit") != 1 {
		t.Errorf("%d calls, %v", f.calls(), b.saw.stores)
	}
	// Another tenant's is another question.
	other := *q
	other.Caller.Tenant = "t2"
	if ans, err := ask(t, at, &other); err != nil || ans.From != filters.FromModel {
		t.Errorf("%+v, %v", ans, err)
	}

	eventually(t, "both calls settled", func() bool { return a.saw.store("budgets settle ok")+b.saw.store("budgets settle ok") == 2 })
	kinds := map[string]int{}
	for k, v := range s.all() {
		if strings.Contains(k+v, "planted") || strings.Contains(k+v, "risk") || strings.Contains(k+v, "2026-03") {
			t.Errorf("in the clear: %q: %q", k, v)
		}
		kinds[strings.SplitN(k, "/", 2)[0]]++
	}
	if kinds["sluice:answer"] != 2 || kinds["sluice:budget"] != 1 {
		t.Errorf("in the store are %v", kinds)
	}
	for k, d := range s.ttls() {
		if strings.HasPrefix(k, "sluice:answer/") && d > time.Minute {
			t.Errorf("an answer of a minute is kept for %s", d)
		}
	}
}

// TestAnotherKeyIsAMiss: replicas with two keys have two caches and two
// budgets.
func TestAnotherKeyIsAMiss(t *testing.T) {
	s := newServer(t)
	f := newFaulty(t, reply{text: `{"risk":"low"}`})
	a := replica(t, s.Address, everything(), caching(f))
	if _, err := ask(t, a.prepare(t, "p", riskTask()), question("x")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an answer in the store", func() bool { return a.saw.store("cache put ok") == 1 })
	t.Setenv(sharedKey, "another key, of more than 16 bytes")
	b := replica(t, s.Address, everything(), caching(f))
	if ans, err := ask(t, b.prepare(t, "p", riskTask()), question("x")); err != nil || ans.From != filters.FromModel || b.saw.store("cache get miss") != 1 {
		t.Errorf("%+v, %v", ans, err)
	}
	if n := len(s.under("sluice:budget/")); n != 2 {
		t.Errorf("%d counters", n)
	}
}

// TestAKeyIsRotated: a key that changes in its file is in use after a minute,
// for names and answers, without a restart.
func TestAKeyIsRotated(t *testing.T) {
	s := newServer(t)
	file := filepath.Join(t.TempDir(), "key")
	write := func(key string) {
		if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(sharedText)
	sharing := everything()
	sharing.Cache.Key, sharing.Budgets.Key = &filters.SecretRef{File: file}, &filters.SecretRef{File: file}
	f := newFaulty(t, reply{text: `{"risk":"low"}`})
	e := replica(t, s.Address, sharing, map[string]ai.Spec{"p": compatible(f, func(s *ai.Spec) {
		s.Cache, s.Budget = &ai.Cache{TTL: time.Hour}, &ai.Budget{Tokens: 1e6, Per: "month"}
	})})
	at := e.prepare(t, "p", riskTask())
	n := 0
	next := func() {
		n++
		if _, err := ask(t, at, question(fmt.Sprint(n))); err != nil {
			t.Fatal(err)
		}
	}
	next()
	next()
	if got := s.under("sluice:budget/"); len(got) != 1 {
		t.Errorf("%d counters with one key", len(got))
	}
	write(sharedText + "2")
	next()
	if got := s.under("sluice:budget/"); len(got) != 1 {
		t.Error("the key is read for every call")
	}
	e.clock.advance(keyring.RereadEvery)
	eventually(t, "a counter of the new key", func() bool { next(); return len(s.under("sluice:budget/")) == 2 })
}

// TestReplicasShareABudget: many at once, over two replicas and two budgets,
// never use more than there is; and what was reserved and not used is free
// again.
func TestReplicasShareABudget(t *testing.T) {
	s := newServer(t)
	f := newFaulty(t, reply{text: `{"risk":"low"}`})
	const tokens = 2000 // a call takes 110
	specs := map[string]ai.Spec{"p": compatible(f, func(s *ai.Spec) {
		s.MaxTokens, s.Bulkhead = 20, &ai.Bulkhead{Calls: 1000}
		s.Budgets = []ai.Budget{{Tokens: tokens, Per: "day", By: "consumer"}, {Tokens: 100 * tokens, Per: "month"}}
	})}
	a, b := replica(t, s.Address, everything(), specs), replica(t, s.Address, everything(), specs)
	var wg sync.WaitGroup
	var answered, refused atomic.Int64
	for _, e := range []*env{a, b} {
		at := e.prepare(t, "p", riskTask())
		for range 8 {
			wg.Go(func() {
				for range 10 {
					q := question("x")
					q.Caller.Consumer = "c"
					switch _, err := ask(t, at, q); {
					case err == nil:
						answered.Add(1)
					case reasonOf(err) == "budget":
						refused.Add(1)
					default:
						t.Errorf("error %v", err)
					}
				}
			})
		}
	}
	wg.Wait()
	t.Logf("%d answered, %d refused", answered.Load(), refused.Load())
	if n := answered.Load(); n*110 > tokens || n < 5 || refused.Load() == 0 || int64(f.calls()) != n {
		t.Errorf("%d were answered, %d refused, %d calls made", n, refused.Load(), f.calls())
	}
	eventually(t, "what was used, in both counters", func() bool {
		want, right := fmt.Sprint(answered.Load()*110), 0
		for _, v := range s.under("sluice:budget/") {
			if v == want {
				right++
			}
		}
		return right == 2
	})
}

// dead is the store of a replica that dies between reserving and settling.
type dead struct{ ai.Far }

func (dead) Settle(context.Context, string, ...store.Counter) error { return nil }

// TestAReplicaThatDies between reserving and settling: what it reserved counts
// until the period ends, for the others too.
func TestAReplicaThatDies(t *testing.T) {
	s := newServer(t)
	f := newFaulty(t, reply{text: `{"risk":"low"}`})
	specs := map[string]ai.Spec{"p": compatible(f, func(s *ai.Spec) { s.Budget = &ai.Budget{Tokens: 500, Per: "day"} })}
	a := replicaWith(t, s.Address, everything(), specs, func(far ai.Far) ai.Far { return dead{far} })
	if _, err := ask(t, a.prepare(t, "p", riskTask()), question("x")); err != nil {
		t.Fatal(err)
	}
	reserved := s.under("sluice:budget/")
	if n, err := strconv.Atoi(reserved[0]); err != nil || n < 256+60 || n > 500 {
		t.Fatalf("it stands at %v", reserved)
	}
	for k, ttl := range s.ttls() {
		if day := 8*time.Hour + 50*time.Minute; ttl < day || ttl > day+2*time.Minute {
			t.Errorf("%s is forgotten after %s, and the day ends after %s", k, ttl, day)
		}
	}
	b := replica(t, s.Address, everything(), specs)
	if _, err := ask(t, b.prepare(t, "p", riskTask()), question("y")); reasonOf(err) != "budget" {
		t.Errorf("error %v: there is no room for two reservations", err)
	}
	if got := s.under("sluice:budget/"); got[0] != reserved[0] {
		t.Errorf("it stands at %s, not at %s", got, reserved)
	}
}

// broken are stores that do not do what they should.
func broken(t *testing.T) map[string]string {
	t.Helper()
	hangs, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hangs.Close() })
	// Nobody accepts: the connection is there, and never a word comes.
	killed := newServer(t)
	killed.Kill()
	return map[string]string{"killed": killed.Address, "hangs": hangs.Addr().String(), "refuses": "127.0.0.1:1"}
}

// TestAStoreThatIsBroken never takes an answer away: lookups are misses, and
// each replica counts for itself, or nobody is asked, as the settings say.
func TestAStoreThatIsBroken(t *testing.T) {
	for name, address := range broken(t) {
		for _, policy := range []string{"", "open", "closed"} {
			t.Run(name+" "+policy, func(t *testing.T) {
				f := newFaulty(t, reply{text: `{"risk":"low"}`})
				s := everything()
				s.Cache.Timeout, s.Budgets.Timeout, s.Budgets.OnStoreError = 0, 0, policy
				e := replica(t, address, s, caching(f))
				at := e.prepare(t, "p", riskTask())
				answered, longest := 0, time.Duration(0)
				for i := range 20 {
					ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
					start := time.Now()
					ans, err := at.Ask(ctx, question(fmt.Sprint(i)))
					longest = max(longest, time.Since(start))
					cancel()
					switch {
					case err == nil && (!ans.Usage.Alone || ans.Details()["budget"] != "counted alone"):
						t.Errorf("the answer does not say that it was counted alone: %+v", ans)
					case err == nil:
						answered++
					case policy == "closed" && reasonOf(err) != "budget store", policy != "closed" && reasonOf(err) != "budget":
						t.Errorf("error %v", err)
					}
				}
				// A thousand tokens, of which a call takes 110 and reserves 256 more.
				if policy == "closed" && answered != 0 || policy != "closed" && (answered < 3 || answered > 9) {
					t.Errorf("%d were answered", answered)
				}
				if longest > 2*time.Second {
					t.Errorf("a question took %s", longest)
				}
				if tried := e.saw.store("cache get timeout") + e.saw.store("cache get failed"); tried < 5 || tried > 10 || e.saw.store("cache get paused") == 0 || e.saw.store("budgets reserve paused") == 0 {
					t.Errorf("it is not left alone: %v", e.saw.stores)
				}
				// What was answered here is still in memory.
				if policy != "closed" {
					if ans, err := ask(t, at, question("0")); err != nil || ans.From != filters.FromCache {
						t.Errorf("%+v, %v", ans, err)
					}
				}
			})
		}
	}
}

// TestTheStepsTimeHolds: with a store that hangs and timeouts that are longer
// than the step's, the step still waits no longer than it says.
func TestTheStepsTimeHolds(t *testing.T) {
	address := broken(t)["hangs"]
	f := newFaulty(t, reply{text: `{"risk":"low"}`})
	s := everything()
	s.Cache.Timeout, s.Budgets.Timeout = time.Minute, time.Minute
	at := replica(t, address, s, caching(f)).prepare(t, "p", riskTask())
	for i := range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		start := time.Now()
		_, err := at.Ask(ctx, question(fmt.Sprint(i)))
		cancel()
		if took := time.Since(start); reasonOf(err) != "provider: timeout" || took > 2*time.Second {
			t.Errorf("error %v after %s", err, took)
		}
	}
}

// TestAStoreThatHangsForAWhile: what was reserved and could not be told about
// is taken back, however late the store reads it.
func TestAStoreThatHangsForAWhile(t *testing.T) {
	s := newServer(t)
	f := newFaulty(t, reply{text: `{"risk":"low"}`})
	sharing := everything()
	sharing.Budgets.Timeout = 500 * time.Millisecond
	sharing.Cache = ai.SharedCache{}
	e := replica(t, s.Address, sharing, caching(f))
	at := e.prepare(t, "p", riskTask())
	if ans, err := ask(t, at, question("before")); err != nil || ans.Usage.Alone {
		t.Fatalf("%+v, %v", ans, err)
	}
	eventually(t, "a settled call", func() bool { return e.saw.store("budgets settle ok") == 1 })
	signal := func(sig syscall.Signal) {
		if err := s.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	for i := range 3 {
		if ans, err := ask(t, at, question(fmt.Sprint(i))); err != nil || !ans.Usage.Alone {
			t.Errorf("%+v, %v", ans, err)
		}
	}
	signal(syscall.SIGCONT)
	eventually(t, "what was used before", func() bool {
		got := s.under("sluice:budget/")
		held := 0
		for _, v := range s.under("sluice:held/") {
			if v == "held" {
				held++
			}
		}
		return len(got) == 1 && got[0] == "110" && held == 0
	})
}

func TestSharingIsChecked(t *testing.T) {
	ref := &filters.SecretRef{Env: sharedKey}
	for _, tt := range []struct {
		s     ai.Sharing
		alone bool // there is no store that replicas share
		want  string
	}{
		{s: ai.Sharing{}, alone: true},
		{s: everything()},
		{s: ai.Sharing{Cache: ai.SharedCache{Store: "memory"}}, alone: true},
		{s: ai.Sharing{Cache: ai.SharedCache{Store: "disk"}}, want: "cache.store"},
		{s: everything(), alone: true, want: "cache.store"},
		{s: ai.Sharing{Cache: ai.SharedCache{Store: "shared"}}, want: "cache"},
		{s: ai.Sharing{Budgets: ai.SharedBudgets{Store: "shared"}}, want: "budgets"},
		{s: ai.Sharing{Cache: ai.SharedCache{Key: ref}}, want: "cache.store"},
		{s: ai.Sharing{Cache: ai.SharedCache{Store: "shared", Key: &filters.SecretRef{}}}, want: "cache.key"},
		{s: ai.Sharing{Cache: ai.SharedCache{Store: "shared", Key: ref, Timeout: -1}}, want: "cache.timeout"},
		{s: ai.Sharing{Budgets: ai.SharedBudgets{OnStoreError: "open"}}, want: "budgets.store"},
		{s: ai.Sharing{Budgets: ai.SharedBudgets{Store: "shared", Key: ref, OnStoreError: "ajar"}}, want: "budgets.onStoreError"},
	} {
		err := tt.s.Validate(!tt.alone)
		var fe *filters.FieldError
		if got := ""; errors.As(err, &fe) {
			if got = fe.Path; got != tt.want {
				t.Errorf("%+v: %v; want %s", tt.s, err, tt.want)
			}
		} else if tt.want != "" || err != nil {
			t.Errorf("%+v: %v; want %s", tt.s, err, tt.want)
		}
	}
	secrets, _ := secret.New(nil, nil)
	s := everything()
	if missing, bad := s.Check(secrets); len(missing) != 2 || len(bad) != 0 {
		t.Errorf("without the keys: %v, %v", missing, bad)
	}
	t.Setenv(sharedKey, "short")
	if missing, bad := s.Check(secrets); len(missing) != 0 || len(bad) != 2 {
		t.Errorf("with a short key: %v, %v", missing, bad)
	}
	e := newEnv(t, ai.Options{}, nil)
	if _, err := e.pool.Share(s, nil, secrets); err == nil || strings.Contains(err.Error(), "short") {
		t.Errorf("with a short key: %v", err)
	}
}
