package extproc

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/tap"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// lifetime bounds how long an exchange lasts and how long nothing happens in
// it. The data plane does not: in full duplex it waits for ever. One timer for
// both is set when the exchange begins; what happens only leaves its time.
type lifetime struct {
	began          time.Time
	duration, idle time.Duration
	// last is when something happened last, since began.
	last  atomic.Int64
	timer *time.Timer
	// working is held while the stream's goroutine works on a message: the
	// timer's may only touch the stream when it does not.
	working sync.Mutex
	// over: nothing is counted any more. Under working.
	over bool
	// late: the time is up, and the stream's goroutine is to end the exchange
	// when it gets to it.
	late   atomic.Bool
	cancel context.CancelCauseFunc
}

// grace is how long after the end of its time a stream may take to end, before
// it is broken off.
const grace = time.Second

// errLate is the cause of a stream's context that ends by its lifetime.
var errLate = errors.New("the exchange has lasted for too long")

// cancelKey is where a stream's context has the function that ends it.
type cancelKey struct{}

// cancelable makes the context of an exchange one that the server can end: it
// is the only way out of a Recv or a Send that nobody answers.
func cancelable(ctx context.Context, info *tap.Info) (context.Context, error) {
	if info.FullMethodName != extprocv3.ExternalProcessor_Process_FullMethodName {
		return ctx, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	return context.WithValue(ctx, cancelKey{}, cancel), nil
}

// count begins to count, or goes on with other limits. Where the server that
// the stream came by is not this package's, its context cannot be ended and
// nothing is counted.
func (st *stream) count(lim *pipeline.Limits) {
	l := &st.life
	switch {
	case l.timer == nil:
		cancel, ok := st.ctx.Value(cancelKey{}).(context.CancelCauseFunc)
		if !ok {
			return
		}
		l.began, l.cancel = time.Now(), cancel
		l.timer = time.AfterFunc(time.Hour, st.check)
	case l.duration == lim.Duration && l.idle == lim.Idle:
		return
	}
	if !l.timer.Stop() {
		return // it looks at the old ones once more
	}
	l.duration, l.idle = lim.Duration, lim.Idle
	l.timer.Reset(min(l.duration, l.idle))
}

// touch tells that something has happened.
func (l *lifetime) touch() {
	if l.timer != nil {
		l.last.Store(int64(time.Since(l.began)))
	}
}

// left returns how long the stream may still last, and what bounds it.
func (l *lifetime) left() (time.Duration, pipeline.Bound) {
	now := time.Since(l.began)
	idle := l.idle - (now - time.Duration(l.last.Load()))
	if left := l.duration - now; left < idle {
		return left, pipeline.ExchangeDuration
	}
	return idle, pipeline.IdleDuration
}

// check runs when the timer does.
func (st *stream) check() {
	l := &st.life
	left, bound := l.left()
	if left > 0 {
		l.again(left)
		return
	}
	if !l.working.TryLock() {
		// It works: on a message, or on a reply that nobody takes.
		if l.late.Swap(true) {
			l.cancel(errLate)
		}
		l.again(grace)
		return
	}
	defer l.working.Unlock()
	switch {
	case l.over:
	case l.late.Swap(true):
		// It was given a reply that ends it, and is still there.
		l.cancel(errLate)
	default:
		if st.run == nil { // nothing ever came
			l.cancel(errLate)
			return
		}
		if !st.expire(bound) {
			l.late.Store(false)
			l.again(max(l.idle, grace))
			return
		}
		l.again(grace)
	}
}

func (l *lifetime) again(after time.Duration) { l.timer.Reset(after) }

// end ends the counting, and the context.
func (l *lifetime) end() {
	l.working.Lock()
	defer l.working.Unlock()
	l.over = true
	if l.timer != nil {
		l.timer.Stop()
		l.cancel(nil)
	}
}

// expire ends the exchange because of its lifetime. It does not where nothing
// waits for it: an exchange that became another protocol, or that no step has
// anything to do in any more. Call it with life.working held.
func (st *stream) expire(b pipeline.Bound) bool {
	if st.denied || st.observe {
		return true
	}
	open := false
	for d := range st.lanes {
		l := &st.lanes[d]
		open = open || l.mode == fullDuplex && l.began && !l.ended
	}
	den := st.run.Stop(b, open && !st.upgrade)
	if den == nil {
		return false
	}
	_ = st.deny(st.direction(), den) // where that fails, the stream is over
	return true
}

// direction is the one that the exchange has got to.
func (st *stream) direction() filters.Direction {
	if st.lanes[filters.Response].began {
		return filters.Response
	}
	return filters.Request
}
