package cache

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/keyring"
)

// What the key is used for.
const (
	forNames  keyring.Purpose = "answer names"
	forValues keyring.Purpose = "answers"
)

const (
	// maxPending bounds the answers that are on their way to the store; those
	// beyond it are not shared.
	maxPending = 256
	// maxShared is the longest answer that is shared.
	maxShared = 256 << 10
)

// Shared is a Store that replicas share, behind a memory of this one's own: an
// answer that was had here before costs what it costs in memory. What is in
// the store is encrypted, and its keys are hashes: whoever runs it learns how
// many answers there are, how long they are and when they are asked for.
type Shared struct {
	Near *Memory
	Far  filters.Store
	Keys *keyring.Source
	// Timeout bounds a lookup, and PutTimeout what nobody waits for. A lookup
	// never takes more than half of the time that its caller has left.
	Timeout, PutTimeout time.Duration
	// Breaker leaves the store alone where it fails.
	Breaker circuitbreaker.CircuitBreaker[any]
	Now     func() time.Time
	Rand    io.Reader
	// Observe is told what became of an operation: of get hit, miss, old,
	// unreadable, timeout, failed, paused or no key; of put ok, timeout,
	// failed, paused, no key, dropped or too large.
	Observe func(operation, result string)

	mu      sync.Mutex
	pending int
}

// Get implements Store.
func (s *Shared) Get(ctx context.Context, key Key, since time.Time) ([]byte, time.Time, bool) {
	if value, put, ok := s.Near.Get(ctx, key, since); ok {
		return value, put, true
	}
	e, result := s.lookup(ctx, key)
	now := s.Now()
	if result == "hit" {
		if now.Before(e.until) {
			s.Near.Put(ctx, key, e.value, e.put, e.until.Sub(now))
		}
		if e.put.Before(since) || !now.Before(e.until) {
			result = "old"
		}
	}
	s.Observe("get", result)
	return e.value, e.put, result == "hit"
}

func (s *Shared) lookup(ctx context.Context, key Key) (entry, string) {
	ring := s.Keys.Ring()
	if ring == nil {
		return entry{}, "no key"
	}
	if !s.Breaker.TryAcquirePermit() {
		return entry{}, "paused"
	}
	timeout := s.Timeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	name := ring.Name(forNames, "answer", string(key[:]))
	values, err := s.Far.Get(ctx, name)
	if err != nil {
		s.Breaker.RecordFailure()
		return entry{}, failure(err)
	}
	s.Breaker.RecordSuccess()
	if values[0] == nil {
		return entry{}, "miss"
	}
	if plain, ok := ring.Open(forValues, values[0], name); ok {
		if e, ok := decode(plain); ok {
			return e, "hit"
		}
	}
	return entry{}, "unreadable"
}

func failure(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "timeout"
	}
	return "failed"
}

// Put implements Store.
func (s *Shared) Put(ctx context.Context, key Key, value []byte, put time.Time, d time.Duration) {
	s.Near.Put(ctx, key, value, put, d)
	ring := s.Keys.Ring()
	result := ""
	switch {
	case ring == nil:
		result = "no key"
	case len(value) > maxShared:
		result = "too large"
	case s.Breaker.IsOpen():
		result = "paused"
	case !s.begin():
		result = "dropped"
	}
	if result != "" {
		s.Observe("put", result)
		return
	}
	go func() {
		defer s.end()
		s.Observe("put", s.share(ring, key, entry{value, put, put.Add(d)}, d))
	}()
}

func (s *Shared) share(ring *keyring.Ring, key Key, e entry, d time.Duration) string {
	name := ring.Name(forNames, "answer", string(key[:]))
	sealed, err := ring.Seal(forValues, string(e.encode()), name, s.Rand)
	if err != nil {
		return "failed"
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.PutTimeout)
	defer cancel()
	if err := s.Far.Put(ctx, d, filters.Entry{Key: name, Value: sealed}); err != nil {
		return failure(err)
	}
	return "ok"
}

func (s *Shared) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending >= maxPending {
		return false
	}
	s.pending++
	return true
}

func (s *Shared) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending--
}

// version is that of the form in which entries are shared.
const (
	version     = 1
	entryHeader = 1 + 8 + 8
)

// encode writes a version, when the answer was put and until when it is kept,
// and the answer.
func (e entry) encode() []byte {
	b := make([]byte, 0, entryHeader+len(e.value))
	b = append(b, version)
	b = binary.BigEndian.AppendUint64(b, uint64(e.put.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(e.until.UnixNano()))
	return append(b, e.value...)
}

func decode(b []byte) (entry, bool) {
	if len(b) < entryHeader || b[0] != version {
		return entry{}, false
	}
	at := func(b []byte) time.Time { return time.Unix(0, int64(binary.BigEndian.Uint64(b))) }
	return entry{value: b[entryHeader:], put: at(b[1:]), until: at(b[9:])}, true
}
