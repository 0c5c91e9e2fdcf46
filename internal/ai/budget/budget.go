// Package budget bounds what is used in a period: an amount is reserved before
// it is used, and settled after, when it is known.
package budget

import (
	"context"
	"sync"
	"time"
)

// Store counts what has been used. Memory is one, and Shared is another, so
// that replicas have one budget. It is used by many at once.
type Store interface {
	// Reserve adds every amount to its counter, or none of them where one
	// would go beyond its limit: then what is held is nil. The keys of the
	// amounts differ.
	Reserve(ctx context.Context, amounts ...Amount) (Held, error)
}

// Amount is what is to be used of one budget.
type Amount struct {
	// Key names the counter, which is gone after Until.
	Key   string
	Until time.Time
	// N is what is added, and Limit what the counter may come to.
	N, Limit int64
}

// Held is what was reserved. It is settled once; what never is counts until
// the counter is gone.
type Held interface {
	// Settle puts what was used, in the order of the amounts, in the place of
	// what was reserved, whatever the limits. It does not wait for a store.
	Settle(used ...int64)
}

// Memory is a Store in memory. Beyond its bound of counters, further keys
// share one: a budget is then reached early, and never too late. The zero
// value has the default bound.
type Memory struct {
	// Max is the most counters; 100,000 where 0.
	Max int

	mu       sync.Mutex
	counters map[string]*counter
	sweep    time.Time // when all are looked at next
	first    time.Time // when the first of them is over, or before
	now      func() time.Time
}

type counter struct {
	used  int64
	until time.Time
}

// NewMemory returns a store with a clock.
func NewMemory(now func() time.Time) *Memory { return &Memory{now: now} }

const overflow = "\x00overflow"

// Reserve implements Store.
func (m *Memory) Reserve(_ context.Context, amounts ...Amount) (Held, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, a := range amounts {
		c := m.of(a.Key, a.Until)
		if a.N > a.Limit-c.used {
			for _, taken := range amounts[:i] {
				m.of(taken.Key, taken.Until).used -= taken.N
			}
			return nil, nil
		}
		c.used += a.N
	}
	return &inMemory{m, amounts}, nil
}

// inMemory is what is held of a Memory.
type inMemory struct {
	store   *Memory
	amounts []Amount
}

// Settle implements Held.
func (h *inMemory) Settle(used ...int64) {
	h.store.mu.Lock()
	defer h.store.mu.Unlock()
	for i, a := range h.amounts {
		c := h.store.of(a.Key, a.Until)
		c.used = max(0, c.used+used[i]-a.N)
	}
}

// Used is what a counter stands at.
func (m *Memory) Used(key string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.counters[key]; c != nil && m.clock().Before(c.until) {
		return c.used
	}
	return 0
}

func (m *Memory) clock() time.Time {
	if m.now == nil {
		return time.Now()
	}
	return m.now()
}

func (m *Memory) of(key string, until time.Time) *counter {
	now := m.clock()
	limit := m.Max
	if limit <= 0 {
		limit = 100_000
	}
	if m.counters == nil {
		m.counters = map[string]*counter{}
	}
	if now.After(m.sweep) || len(m.counters) >= limit && !now.Before(m.first) {
		m.sweep, m.first = now.Add(time.Minute), time.Time{}
		for k, c := range m.counters {
			if now.Before(c.until) {
				m.ends(c.until)
			} else {
				delete(m.counters, k)
			}
		}
	}
	c := m.counters[key]
	if c == nil && len(m.counters) >= limit {
		key = overflow
		c = m.counters[key]
	}
	if c == nil || !now.Before(c.until) {
		c = &counter{until: until}
		m.counters[key] = c
		m.ends(until)
	}
	return c
}

// ends takes note of when a counter is over.
func (m *Memory) ends(until time.Time) {
	if m.first.IsZero() || until.Before(m.first) {
		m.first = until
	}
}

// Period returns the period of a name (minute, hour, day, month) that t is in,
// by the clock in UTC: what it is called, and when it ends.
func Period(name string, t time.Time) (id string, end time.Time) {
	t = t.UTC()
	switch name {
	case "minute":
		return t.Format("2006-01-02T15:04"), t.Truncate(time.Minute).Add(time.Minute)
	case "hour":
		return t.Format("2006-01-02T15"), t.Truncate(time.Hour).Add(time.Hour)
	case "month":
		return t.Format("2006-01"), time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	}
	return t.Format("2006-01-02"), time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, time.UTC)
}
