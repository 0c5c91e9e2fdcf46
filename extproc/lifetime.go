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
	switch {
	case l.timer == nil: // its first time is far away: nothing looks at the timer before it is there
		l.began = time.Now()
		l.duration, l.idle = lim.Duration, lim.Idle
		l.timer = time.AfterFunc(min(l.duration, l.idle), st.check)
		return
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
			st.peer.End(errLate)
		}
		l.again(grace)
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
		l.again(grace)
	default:
		l.late.Store(false)
		l.again(max(l.idle, grace))
	}
	return false
}

func (l *lifetime) again(after time.Duration) { l.timer.Reset(after) }

// end ends the counting.
func (l *lifetime) end() {
	l.working.Lock()
	defer l.working.Unlock()
	l.over = true
	if l.timer != nil {
		l.timer.Stop()
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
