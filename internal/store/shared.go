package store

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/sluice-proxy/sluice/filters"
)

// Shared is a store that filters are built with before it is known where it
// is: the settings that say so are loaded together with the policies. The zero
// value fails every call.
type Shared struct {
	backend atomic.Pointer[Backend]
}

var errNotOpen = errors.New("the store is not open")

// Use sets where the store is.
func (s *Shared) Use(b Backend) { s.backend.Store(&b) }

// Get implements filters.Store.
func (s *Shared) Get(ctx context.Context, keys ...string) ([][]byte, error) {
	if b := s.backend.Load(); b != nil {
		return (*b).Get(ctx, keys...)
	}
	return nil, errNotOpen
}

// Put implements filters.Store.
func (s *Shared) Put(ctx context.Context, ttl time.Duration, entries ...filters.Entry) error {
	if b := s.backend.Load(); b != nil {
		return (*b).Put(ctx, ttl, entries...)
	}
	return errNotOpen
}

// Number implements filters.Store.
func (s *Shared) Number(ctx context.Context, ttl time.Duration, list, member string) (int64, error) {
	if b := s.backend.Load(); b != nil {
		return (*b).Number(ctx, ttl, list, member)
	}
	return 0, errNotOpen
}
