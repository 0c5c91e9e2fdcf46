// Package cache keeps answers to equal questions, and lets equal questions
// that are asked at the same time share one call.
package cache

import (
	"context"
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"
)

// Key identifies a question: a hash of all that the answer depends on.
type Key [32]byte

// Store keeps answers. Memory is one, and Shared is another, so that replicas
// have one cache. It is used by many at once.
type Store interface {
	// Get returns what was put since a time, and when; ok is false where there
	// is nothing or the store cannot be asked. It does not block beyond ctx.
	Get(ctx context.Context, key Key, since time.Time) (value []byte, put time.Time, ok bool)
	// Put keeps a value for at most d, and does not wait for a store. What
	// cannot be kept is lost.
	Put(ctx context.Context, key Key, value []byte, put time.Time, d time.Duration)
}

// Memory is a Store in memory, bounded by bytes. Beyond the bound what is
// least used goes.
type Memory struct {
	entries *otter.Cache[Key, entry]
}

type entry struct {
	value []byte
	put   time.Time
	until time.Time
}

// entryBytes is what an entry takes beside its value, about.
const entryBytes = 160

// NewMemory returns a store of at most so many bytes.
func NewMemory(bytes int64) (*Memory, error) {
	c, err := otter.New(&otter.Options[Key, entry]{
		MaximumWeight: uint64(bytes),
		Weigher:       func(_ Key, e entry) uint32 { return uint32(len(e.value) + entryBytes) },
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[Key, entry]) time.Duration {
			return max(e.Value.until.Sub(e.Value.put), time.Millisecond)
		}),
	})
	if err != nil {
		return nil, fmt.Errorf("making the cache: %w", err)
	}
	return &Memory{entries: c}, nil
}

// Get implements Store.
func (m *Memory) Get(_ context.Context, key Key, since time.Time) ([]byte, time.Time, bool) {
	e, ok := m.entries.GetIfPresent(key)
	return e.value, e.put, ok && !e.put.Before(since)
}

// Put implements Store.
func (m *Memory) Put(_ context.Context, key Key, value []byte, put time.Time, d time.Duration) {
	m.entries.Set(key, entry{value, put, put.Add(d)})
}

// Bound changes how many bytes are kept at most.
func (m *Memory) Bound(bytes int64) { m.entries.SetMaximum(uint64(bytes)) }

// Len is about how many answers are kept.
func (m *Memory) Len() int { return m.entries.EstimatedSize() }
