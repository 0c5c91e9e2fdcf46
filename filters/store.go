package filters

import (
	"context"
	"time"
)

// Store is state that outlives an exchange and that all replicas share where
// it is configured so. What is in it may be read by whoever runs it: a filter
// encrypts content before it puts it there, and keys hold none. It is used by
// many exchanges at once.
type Store interface {
	// Get returns the values of keys in their order, nil where there is none.
	// They must not be changed.
	Get(ctx context.Context, keys ...string) ([][]byte, error)
	// Put keeps values for ttl. What is put under a key that is there replaces
	// it.
	Put(ctx context.Context, ttl time.Duration, entries ...Entry) error
	// Number returns the number of a member in a list: the one that it has, or
	// the next, from 1 on. The list is kept for ttl after the last call.
	Number(ctx context.Context, ttl time.Duration, list, member string) (int64, error)
}

// Entry is a value under a key.
type Entry struct {
	Key   string
	Value []byte
}
