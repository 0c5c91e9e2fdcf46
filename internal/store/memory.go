package store

import (
	"bytes"
	"container/list"
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-proxy/sluice/filters"
)

const (
	defaultMaxBytes = 64 << 20
	shards          = 16
	// overhead is about what an entry takes beside its key and value.
	overhead = 160
)

// errTooLarge: what alone would take more than a shard may is refused, so that
// it is known not to be kept.
var errTooLarge = errors.New("an entry is too large for the store")

// Memory is a store in this process.
type Memory struct {
	now     func() time.Time
	seed    maphash.Seed
	shards  [shards]shard
	evicted atomic.Int64
}

// shard is a part of the entries, by the hash of their keys.
type shard struct {
	mu      sync.Mutex
	max     int64
	size    int64
	entries map[string]*list.Element // of *item
	used    list.List                // the one used last at the front
}

type item struct {
	key     string
	value   []byte
	numbers map[string]int64 // of a list
	expires time.Time
	size    int64
}

// NewMemory returns a store that keeps at most so many bytes; 0 is 64 MiB.
func NewMemory(maxBytes int64, now func() time.Time) *Memory {
	if maxBytes <= 0 {
		maxBytes = defaultMaxBytes
	}
	if now == nil {
		now = time.Now
	}
	m := &Memory{now: now, seed: maphash.MakeSeed()}
	for i := range m.shards {
		s := &m.shards[i]
		s.max, s.entries = maxBytes/shards, map[string]*list.Element{}
	}
	return m
}

// Evicted returns how many entries had to go before their time.
func (m *Memory) Evicted() int64 { return m.evicted.Load() }

// Len returns how many entries there are, those that have expired and were
// not yet come upon included.
func (m *Memory) Len() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += len(s.entries)
		s.mu.Unlock()
	}
	return n
}

// Ping implements Backend.
func (m *Memory) Ping(context.Context) error { return nil }

// Close implements Backend.
func (m *Memory) Close() error { return nil }

func (m *Memory) shard(key string) *shard { return &m.shards[maphash.String(m.seed, key)%shards] }

// Get implements filters.Store.
func (m *Memory) Get(_ context.Context, keys ...string) ([][]byte, error) {
	now := m.now()
	out := make([][]byte, len(keys))
	for i, k := range keys {
		s := m.shard(k)
		s.mu.Lock()
		if it := s.find(k, now); it != nil {
			out[i] = it.value
		}
		s.mu.Unlock()
	}
	return out, nil
}

// Put implements filters.Store.
func (m *Memory) Put(_ context.Context, ttl time.Duration, entries ...filters.Entry) error {
	now := m.now()
	for _, e := range entries {
		s := m.shard(e.Key)
		if int64(len(e.Key)+len(e.Value)+overhead) > s.max {
			return errTooLarge
		}
		s.mu.Lock()
		it := s.entry(e.Key, now)
		it.value, it.expires = bytes.Clone(e.Value), now.Add(ttl)
		m.evicted.Add(s.resize(it, int64(len(e.Key)+len(e.Value)), now))
		s.mu.Unlock()
	}
	return nil
}

// Number implements filters.Store.
func (m *Memory) Number(_ context.Context, ttl time.Duration, name, member string) (int64, error) {
	now := m.now()
	s := m.shard(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.entry(name, now)
	it.expires = now.Add(ttl)
	if it.numbers == nil {
		it.numbers = map[string]int64{}
	}
	n, ok := it.numbers[member]
	if !ok {
		size := it.size - overhead + int64(len(member)) + overhead/2
		if size+overhead > s.max {
			return 0, errTooLarge
		}
		n = int64(len(it.numbers)) + 1
		it.numbers[member] = n
		m.evicted.Add(s.resize(it, size, now))
	}
	return n, nil
}

// find returns a live item, now the one used last; nil where there is none.
func (s *shard) find(key string, now time.Time) *item {
	e := s.entries[key]
	if e == nil {
		return nil
	}
	it := e.Value.(*item)
	if !now.Before(it.expires) {
		s.remove(e)
		return nil
	}
	s.used.MoveToFront(e)
	return it
}

// entry returns a live item, a new one where there is none.
func (s *shard) entry(key string, now time.Time) *item {
	if it := s.find(key, now); it != nil {
		return it
	}
	it := &item{key: key, size: int64(len(key)) + overhead}
	s.size += it.size
	s.entries[key] = s.used.PushFront(it)
	return it
}

func (s *shard) remove(e *list.Element) {
	it := s.used.Remove(e).(*item)
	delete(s.entries, it.key)
	s.size -= it.size
}

// resize notes what an item takes and makes room for it. It returns how many
// live ones had to go.
func (s *shard) resize(it *item, size int64, now time.Time) (evicted int64) {
	size += overhead
	s.size += size - it.size
	it.size = size
	for s.size > s.max && s.used.Len() > 1 {
		oldest := s.used.Back()
		if now.Before(oldest.Value.(*item).expires) {
			evicted++
		}
		s.remove(oldest)
	}
	return evicted
}
