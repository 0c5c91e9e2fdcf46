package cache

import (
	"context"
	"errors"
	"sync"
)

// Flights lets equal questions that are asked at the same time share one
// call. The zero value is ready.
type Flights[V any] struct {
	mu    sync.Mutex
	calls map[Key]*flight[V]
}

type flight[V any] struct {
	done    chan struct{}
	value   V
	err     error
	waiting int
	cancel  context.CancelCauseFunc
}

// Do returns what call returns for the key. Where such a call is under way
// already, it waits for that one, and shared is true. It returns ctx's error
// when ctx ends; the call goes on while somebody waits for it, and after that
// only where outlives is true. call's context ends by its own bound, or with
// the last one who waits, whose cause it then has.
func (f *Flights[V]) Do(ctx context.Context, key Key, outlives bool, call func(context.Context) (V, error)) (v V, shared bool, err error) {
	f.mu.Lock()
	fl := f.calls[key]
	shared = fl != nil
	if !shared {
		c, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
		fl = &flight[V]{done: make(chan struct{}), cancel: cancel}
		if f.calls == nil {
			f.calls = map[Key]*flight[V]{}
		}
		f.calls[key] = fl
		go func() {
			fl.value, fl.err = guarded(c, call)
			f.mu.Lock()
			if f.calls[key] == fl {
				delete(f.calls, key)
			}
			f.mu.Unlock()
			cancel(nil)
			close(fl.done)
		}()
	}
	fl.waiting++
	f.mu.Unlock()
	select {
	case <-fl.done:
		return fl.value, shared, fl.err
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl.waiting--; fl.waiting == 0 && !outlives {
		// Who asks from now on starts a new call.
		if f.calls[key] == fl {
			delete(f.calls, key)
		}
		fl.cancel(context.Cause(ctx))
	}
	var zero V
	return zero, shared, ctx.Err()
}

// ErrPanic is the error of a call that panicked.
var ErrPanic = errors.New("the call panicked")

// guarded calls, and turns a panic into an error: the call is on a goroutine
// of its own, where nobody else would.
func guarded[V any](ctx context.Context, call func(context.Context) (V, error)) (v V, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = ErrPanic
		}
	}()
	return call(ctx)
}

// Len is how many calls are under way.
func (f *Flights[V]) Len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls)
}
