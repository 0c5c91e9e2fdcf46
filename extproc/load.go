package extproc

import (
	"sync/atomic"

	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// load is what all exchanges have open and hold, together.
type load struct {
	open atomic.Int64
	_    [56]byte // the two are not to share a cache line
	held atomic.Int64
}

// uncounted is how much the bytes that a stream holds may change before the
// others are told: what all count is changed by nobody for a small message.
const uncounted = 4 << 10

// Held returns how many body bytes are held in all exchanges: what waits to be
// looked at or decided on, copies, and the messages in hand. An exchange that
// holds less than 4 KiB is not counted.
func (s *Server) Held() int64 { return s.load.held.Load() }

// full returns the bound because of which no new exchange can be taken.
func (s *Server) full(lim *pipeline.Limits) (pipeline.Bound, bool) {
	switch {
	case s.load.open.Load() > int64(lim.Exchanges):
		return pipeline.MaxExchanges, true
	case s.load.held.Load() >= lim.TotalBytes:
		return pipeline.TotalBytes, true
	}
	return 0, false
}

// Full implements pipeline.Room: running exchanges go on for twice as long as
// new ones are taken.
func (st *stream) Full() bool { return st.server.load.held.Load() >= 2*st.limits.TotalBytes }

// hold tells the others that the stream holds n bytes now.
func (st *stream) hold(n int) {
	change := n - st.held
	if change == 0 || n > 0 && change < uncounted && change > -uncounted {
		return
	}
	st.held = n
	st.server.load.held.Add(int64(change))
}
