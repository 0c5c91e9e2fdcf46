package budget

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/sluice-proxy/sluice/internal/keyring"
	"github.com/sluice-proxy/sluice/internal/store"
)

// Counters are counters that replicas share: a store.Redis.
type Counters interface {
	Reserve(ctx context.Context, id string, counters ...store.Counter) (bool, error)
	Settle(ctx context.Context, id string, counters ...store.Counter) error
}

// forNames is what the key is used for: the names of the counters.
const forNames keyring.Purpose = "budget names"

const (
	// maxPending bounds what is settled at once. What is beyond it is not
	// settled: it counts as it was reserved.
	maxPending = 256
	// firstRetry is how long after a settling that failed it is tried again;
	// each further time it is twice as long, up to lastRetry: half a minute in
	// all. What could not be settled by then counts as it was reserved.
	firstRetry = 500 * time.Millisecond
	lastRetry  = 16 * time.Second
	// slack is how much longer than its period a counter is kept, so that
	// clocks need not agree.
	slack = time.Minute
)

var (
	errNoKey = errors.New("the key of the budgets could not be read yet")
	errPause = errors.New("the store of the budgets has failed and is left alone for a while")
)

// Shared is a Store that replicas share. Whoever runs it sees amounts, and
// hashes in the place of whose they are.
type Shared struct {
	Counters Counters
	Keys     *keyring.Source
	// Timeout bounds a reservation, and SettleTimeout what nobody waits for.
	Timeout, SettleTimeout time.Duration
	// Breaker leaves the counters alone where they fail.
	Breaker circuitbreaker.CircuitBreaker[any]
	Now     func() time.Time
	// Observe is told what became of an operation: of reserve ok, refused,
	// timeout, failed, paused or no key; of settle ok, timeout, failed or
	// dropped.
	Observe func(operation, result string)

	mu      sync.Mutex
	pending int
	settled sync.WaitGroup
	closing chan struct{}
}

// Reserve implements Store.
func (s *Shared) Reserve(ctx context.Context, amounts ...Amount) (Held, error) {
	ring := s.Keys.Ring()
	if ring == nil {
		s.Observe("reserve", "no key")
		return nil, errNoKey
	}
	if !s.Breaker.TryAcquirePermit() {
		s.Observe("reserve", "paused")
		return nil, errPause
	}
	h := &inCounters{store: s, id: "held/" + rand.Text(), counters: make([]store.Counter, len(amounts))}
	now := s.Now()
	for i, a := range amounts {
		h.counters[i] = store.Counter{Key: ring.Name(forNames, "budget", a.Key), Add: a.N, Limit: a.Limit, TTL: max(a.Until.Sub(now), 0) + slack}
	}
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	ok, err := s.Counters.Reserve(ctx, h.id, h.counters...)
	switch {
	case err != nil:
		s.Breaker.RecordFailure()
		s.Observe("reserve", failure(err))
		// It may have come there all the same, or come there late.
		h.Settle(make([]int64, len(amounts))...)
		return nil, err
	case !ok:
		s.Breaker.RecordSuccess()
		s.Observe("reserve", "refused")
		return nil, nil
	}
	s.Breaker.RecordSuccess()
	s.Observe("reserve", "ok")
	return h, nil
}

func failure(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "timeout"
	}
	return "failed"
}

// inCounters is what is held of a Shared.
type inCounters struct {
	store    *Shared
	id       string
	counters []store.Counter
}

// Settle implements Held.
func (h *inCounters) Settle(used ...int64) {
	s := h.store
	if !s.begin() {
		s.Observe("settle", "dropped")
		return
	}
	counters := make([]store.Counter, len(h.counters))
	for i, c := range h.counters {
		c.Add = used[i] - c.Add
		counters[i] = c
	}
	go func() {
		defer s.end()
		for delay := firstRetry; ; delay *= 2 {
			err := s.settle(h.id, counters)
			if err == nil {
				s.Observe("settle", "ok")
				return
			}
			if s.Observe("settle", failure(err)); delay > lastRetry || !s.sleep(delay) {
				return
			}
		}
	}()
}

func (s *Shared) settle(id string, counters []store.Counter) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.SettleTimeout)
	defer cancel()
	return s.Counters.Settle(ctx, id, counters...)
}

// sleep reports whether there was time for it before the end.
func (s *Shared) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.closing:
		return false
	}
}

func (s *Shared) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing == nil {
		s.closing = make(chan struct{})
	}
	if s.pending >= maxPending {
		return false
	}
	s.pending++
	s.settled.Add(1)
	return true
}

func (s *Shared) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending--
	s.settled.Done()
}

// Close waits until all that is under way is settled, but not for a store that
// fails. Nothing is reserved after it.
func (s *Shared) Close() {
	s.mu.Lock()
	if s.closing != nil {
		close(s.closing)
	}
	s.mu.Unlock()
	s.settled.Wait()
}
