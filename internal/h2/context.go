package h2

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// streamContext is a stream's context. Only who waits for its end makes it
// cost anything: most streams do not even have a channel.
type streamContext struct {
	over   atomic.Bool
	mu     sync.Mutex
	waited context.Context // made for the first who waits
	cancel context.CancelFunc
}

// Deadline implements context.Context.
func (*streamContext) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value implements context.Context.
func (*streamContext) Value(any) any { return nil }

// Err implements context.Context.
func (x *streamContext) Err() error {
	if x.over.Load() {
		return context.Canceled
	}
	return nil
}

// Done implements context.Context.
func (x *streamContext) Done() <-chan struct{} { return x.wait().Done() }

// AfterFunc is what context.AfterFunc and the contexts made of this one call,
// in place of a goroutine that waits for Done.
func (x *streamContext) AfterFunc(f func()) (stop func() bool) { return context.AfterFunc(x.wait(), f) }

func (x *streamContext) wait() context.Context {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.waited == nil {
		x.waited, x.cancel = context.WithCancel(context.Background())
		if x.over.Load() {
			x.cancel()
		}
	}
	return x.waited
}

// end ends the context.
func (x *streamContext) end() {
	x.over.Store(true)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cancel != nil {
		x.cancel()
	}
}

// used reports whether somebody has waited, or may still.
func (x *streamContext) used() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.waited != nil
}
