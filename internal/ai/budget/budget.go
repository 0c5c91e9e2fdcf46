// Package budget bounds what is used in a period: an amount is reserved before
// it is used, and settled after, when it is known.
package budget

import (
	"context"
	"sync"
	"time"
)

// Store counts what has been used. Memory is one; a shared store can be
// another, so that replicas have one budget. It is used by many at once.
type Store interface {
	// Reserve adds n to the counter of key where that stays within limit, and
	// says whether it did. The counter is gone after until.
	Reserve(ctx context.Context, key string, n, limit int64, until time.Time) (bool, error)
	// Settle adds n, which may be negative, whatever the limit.
	Settle(ctx context.Context, key string, n int64, until time.Time) error
}

// Memory is a Store in memory. Beyond its bound of counters, further keys
// share one: a budget is then reached early, and never too late. The zero
// value has the default bound.
type Memory struct {
	// Max is the most counters; 100,000 where 0.
	Max int

	mu       sync.Mutex
	counters map[string]*counter
	sweep    time.Time
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
func (m *Memory) Reserve(_ context.Context, key string, n, limit int64, until time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.of(key, until)
	if n > limit-c.used {
		return false, nil
	}
	c.used += n
	return true, nil
}

// Settle implements Store.
func (m *Memory) Settle(_ context.Context, key string, n int64, until time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.of(key, until)
	c.used = max(0, c.used+n)
	return nil
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
	if now.After(m.sweep) || len(m.counters) >= limit {
		m.sweep = now.Add(time.Minute)
		for k, c := range m.counters {
			if !now.Before(c.until) {
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
	}
	return c
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
