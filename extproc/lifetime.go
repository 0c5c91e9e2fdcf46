package extproc

import (
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// lifetime bounds how long an exchange lasts and how long nothing happens in
// it. The data plane does not: in full duplex it waits for ever. The stream is
// woken when either may be over; what happens meanwhile only leaves its time.
type lifetime struct {
	began time.Time
	// duration and idle are the bounds, in nanoseconds.
	duration, idle atomic.Int64
	// last is when something happened last, since began.
	last atomic.Int64
	// working is held while the stream's goroutine works on a message: who is
	// woken may only touch the stream when it does not.
	working sync.Mutex
	// over: nothing is counted any more. Under working.
	over bool
	// late: the time is up, and the stream's goroutine is to end the exchange
	// when it gets to it.
	late atomic.Bool
}

// grace is how long after the end of its time a stream may take to end, before
// it is broken off.
const grace = time.Second

// errLate ends a stream that does not end by itself.
var errLate = status.Error(codes.DeadlineExceeded, "the exchange has lasted for too long")

// count begins to count, or goes on with other limits.
func (st *stream) count(lim *pipeline.Limits) {
	l := &st.life
	if l.duration.Load() == int64(lim.Duration) && l.idle.Load() == int64(lim.Idle) {
		return
	}
	l.duration.Store(int64(lim.Duration))
	l.idle.Store(int64(lim.Idle))
	st.peer.Wake(l.began.Add(min(lim.Duration, time.Duration(l.last.Load())+lim.Idle)))
}

// touch tells that something has happened.
func (l *lifetime) touch() { l.last.Store(int64(time.Since(l.began))) }

// left returns how long the stream may still last, and what bounds it.
func (l *lifetime) left() (time.Duration, pipeline.Bound) {
	now := time.Since(l.began)
	idle := time.Duration(l.idle.Load()) - (now - time.Duration(l.last.Load()))
	if left := time.Duration(l.duration.Load()) - now; left < idle {
		return left, pipeline.ExchangeDuration
	}
	return idle, pipeline.IdleDuration
}

// check looks at the time, on another goroutine than the stream's.
func (st *stream) check() {
	l := &st.life
	left, bound := l.left()
	if left > 0 {
		st.again(left)
		return
	}
	if !l.working.TryLock() {
		// It works: on a message, or on a reply that nobody takes.
		if l.late.Swap(true) {
			st.peer.End(errLate)
		}
		st.again(grace)
		return
	}
	gone := st.overdue(bound)
	l.working.Unlock()
	st.peer.Flush() // nobody else is about to
	if gone {
		st.peer.End(errLate)
	}
}

// overdue ends the exchange whose time is up, and reports whether the stream
// is to be broken off. Call it with life.working held.
func (st *stream) overdue(bound pipeline.Bound) bool {
	l := &st.life
	switch {
	case l.over:
	case st.run == nil, l.late.Swap(true):
		// Nothing ever came, or it was given a reply that ends it and is still
		// there.
		return true
	case st.expire(bound):
		st.again(grace)
	default:
		l.late.Store(false)
		st.again(max(time.Duration(l.idle.Load()), grace))
	}
	return false
}

func (st *stream) again(after time.Duration) { st.peer.Wake(time.Now().Add(after)) }

// end ends the counting.
func (l *lifetime) end() {
	l.working.Lock()
	defer l.working.Unlock()
	l.over = true
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
