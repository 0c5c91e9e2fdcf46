package h2

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// queueOverhead is what a message in a queue costs beside its bytes.
const queueOverhead = 64

// Field is a header of a stream: gRPC's metadata. Names are lower case.
type Field struct{ Name, Value string }

// Stream is one call. Its session answers with Send.
type Stream struct {
	c       *conn
	id      uint32
	session Session
	method  string
	header  []Field
	ctx     streamContext

	// The reader's: a message that has come in part. prefix is its first five
	// bytes.
	prefix  [5]byte
	started int
	had     int // bytes of its messages so far, as deliver counts them
	partial []byte

	// over: what still comes is for nobody.
	over     atomic.Bool
	answered atomic.Bool

	// Under the connection's lock.
	lead      [5]byte // of a message that is sent
	window    int64   // what may be sent
	credit    int     // what the peer may send
	ungranted int
	pending   []byte // does not fit into the window
	waiting   bool   // for a window: there is something pending
	queue     []*[]byte
	queued    int  // bytes in queue
	busy      bool // the session is at work
	ended     bool // no message comes any more
	gone      bool // the peer does not want an answer any more
	begun     bool // the headers are out
	status    *status.Status
	trailers  []byte    // to be sent after what is pending
	wakeAt    time.Time // when the session is to be woken; zero: not
	endAt     time.Time // when the call's time is over; zero: never
	// known: somebody besides the reader has, or had, the stream. Its memory is
	// not used for another then.
	known bool
}

// newStream returns a stream to begin, in the memory of one that has ended
// where there is one. spent is that one's session, where it was of the same
// method.
func (c *conn) newStream(id uint32, method string) (s *Stream, spent Session) {
	n := len(c.retired)
	if n == 0 {
		return &Stream{c: c, id: id, method: method, credit: streamWindow}, nil
	}
	s = c.retired[n-1]
	c.retired[n-1], c.retired = nil, c.retired[:n-1]
	if s.method == method {
		spent = s.session
	}
	// Nothing of the one before is left but room.
	clear(s.header)
	*s = Stream{c: c, id: id, method: method, credit: streamWindow, header: s.header[:0]}
	return s, spent
}

// maxRetired is how many streams that have ended a connection keeps for others
// to come.
const maxRetired = 64

// retire keeps a stream for another to come. It is the reader's, for a stream
// whose session has been closed and that nobody but the reader has ever had:
// then the reader's next one is the first to touch it again.
func (c *conn) retire(s *Stream) {
	if len(c.retired) < maxRetired && !s.ctx.used() {
		c.retired = append(c.retired, s)
	}
}

// Context ends when the stream does.
func (s *Stream) Context() context.Context { return &s.ctx }

// Wake has the session woken at a time, once. Of several times that have not
// come yet, the earliest counts.
func (s *Stream) Wake(at time.Time) {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	s.wakeAt = earlier(s.wakeAt, at)
	c.setAlarm(s.wakeAt)
}

// Header returns the first value of a header (gRPC's metadata), or "".
func (s *Stream) Header(name string) string {
	for _, f := range s.header {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// accept reads the headers that a stream begins with. Without a handler it has
// been answered already.
func (s *Stream) accept(fields []hpack.HeaderField, size int) Handler {
	refuse := func(code codes.Code, msg string) Handler {
		s.c.mu.Lock()
		defer s.c.mu.Unlock()
		s.c.out = s.appendTrailers(s.c.out, status.New(code, msg))
		return nil
	}
	if size > maxHeaderBlock {
		return refuse(codes.ResourceExhausted, "the headers are too large")
	}
	var contentType, verb, encoding string
	var timeout time.Duration
	for _, f := range fields {
		switch f.Name {
		case ":method":
			verb = f.Value
		case "content-type":
			contentType = f.Value
		case "grpc-encoding":
			encoding = f.Value
		case "grpc-timeout":
			timeout = parseTimeout(f.Value)
		default:
			if f.Name != "" && f.Name[0] != ':' {
				s.header = append(s.header, Field{f.Name, f.Value})
			}
		}
	}
	switch {
	case verb != "POST" || !strings.HasPrefix(contentType, "application/grpc"):
		return refuse(codes.InvalidArgument, "this is no gRPC call")
	case encoding != "" && encoding != "identity":
		return refuse(codes.Unimplemented, "messages are taken without compression only")
	}
	h := s.c.srv.handlers[s.method]
	if h == nil {
		h = s.c.srv.services.handler(s.method)
	}
	if h == nil {
		return refuse(codes.Unimplemented, "unknown method")
	}
	if timeout > 0 {
		s.endAt = time.Now().Add(timeout)
	}
	return h
}

var errTimeout = status.Error(codes.DeadlineExceeded, "the call's time is over")

// End ends the stream with err's status, also while the session is at work:
// its context ends. It may be called by anybody.
func (s *Stream) End(err error) {
	c := s.c
	c.mu.Lock()
	s.known = true
	s.stop(err)
	if s.trailers == nil {
		s.pending = nil // nobody has taken it
		c.drop(s)
	}
	work := !s.busy
	s.busy = true
	c.mu.Unlock()
	s.ctx.end()
	if work {
		c.work(s)
		c.flush()
	}
}

// parseTimeout reads a grpc-timeout: up to eight digits and a unit.
func parseTimeout(v string) time.Duration {
	if len(v) < 2 || len(v) > 9 {
		return 0
	}
	n, err := strconv.ParseInt(v[:len(v)-1], 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	var unit time.Duration
	switch v[len(v)-1] {
	case 'H':
		unit = time.Hour
	case 'M':
		unit = time.Minute
	case 'S':
		unit = time.Second
	case 'm':
		unit = time.Millisecond
	case 'u':
		unit = time.Microsecond
	case 'n':
		unit = time.Nanosecond
	}
	return max(time.Duration(n)*unit, 1)
}

// message takes from data, which is not empty, what belongs to the next
// message: n bytes of it, and the message where it is complete. It is valid
// until the next call.
func (s *Stream) message(data []byte) (n int, msg []byte, err error) {
	if s.started < len(s.prefix) {
		n = copy(s.prefix[s.started:], data)
		if s.started += n; s.started < len(s.prefix) {
			return n, nil, nil
		}
		if s.prefix[0] != 0 {
			return 0, nil, status.Error(codes.Unimplemented, "messages are taken without compression only")
		}
		s.partial = s.partial[:0]
	}
	size := int(binary.BigEndian.Uint32(s.prefix[1:]))
	if size > s.c.srv.opt.MaxMessageBytes {
		return 0, nil, status.Errorf(codes.ResourceExhausted, "a message of %d bytes, and at most %d are taken", size, s.c.srv.opt.MaxMessageBytes)
	}
	rest := data[n:]
	take := min(size-len(s.partial), len(rest))
	if len(s.partial) == 0 && take == size {
		s.started = 0
		return n + take, rest[:take:take], nil
	}
	s.partial = append(s.partial, rest[:take]...)
	n += take
	if len(s.partial) < size {
		return n, nil, nil
	}
	msg = s.partial
	s.started = 0
	if s.partial = s.partial[:0]; cap(s.partial) > 4*inlineBytes {
		s.partial = nil // it was large; the next may not be
	}
	return n, msg, nil
}

// deliver gives a message to the session: now, where it can be dealt with
// between two reads, or on a goroutine of the stream's own.
func (c *conn) deliver(s *Stream, msg []byte) {
	c.mu.Lock()
	if s.ended {
		c.mu.Unlock()
		return
	}
	s.had += len(msg)
	large := len(msg) > inlineBytes || s.had > longBytes && len(msg) >= smallBytes
	if s.busy || s.waiting || large || s.session.Waits() {
		s.enqueue(msg)
		if !s.busy && !s.waiting {
			s.busy = true
			c.goApart(s)
		}
		c.mu.Unlock()
		return
	}
	s.busy = true
	c.mu.Unlock()
	err := s.call(msg)
	c.mu.Lock()
	if errors.Is(err, ErrApart) && !s.ended {
		s.enqueue(msg)
		c.goApart(s)
		c.mu.Unlock()
		return
	}
	if err == nil && !s.ended {
		s.busy = false
		c.mu.Unlock()
		return
	}
	s.stop(err)
	c.mu.Unlock()
	c.work(s)
}

// maxKept is the largest room of a queued message that is used again.
const maxKept = 256 << 10

// maxTogether is how much of answers may wait for the next to be written with it.
const maxTogether = 64 << 10

// rooms are for the messages in queues.
var rooms = sync.Pool{New: func() any { return new([]byte) }}

// enqueue puts a copy of a message into the queue. The lock is held.
func (s *Stream) enqueue(msg []byte) {
	room := rooms.Get().(*[]byte)
	*room = append((*room)[:0], msg...)
	s.queue = append(s.queue, room)
	s.queued += len(msg) + queueOverhead
}

// stop notes the error that ends a stream. The lock is held.
func (s *Stream) stop(err error) {
	if err == nil {
		return
	}
	s.over.Store(true)
	s.ended, s.queue, s.queued = true, nil, 0
	if s.status == nil {
		s.status = status.Convert(err)
	}
}

// fail ends a stream from the reader.
func (s *Stream) fail(err error) {
	c := s.c
	c.mu.Lock()
	s.stop(err)
	work := !s.busy
	s.busy = true
	c.mu.Unlock()
	if work {
		c.work(s)
	}
}

// end tells a stream that no more messages come. gone: and that no answer is
// wanted. It is the reader's.
func (c *conn) end(s *Stream, gone bool) {
	s.over.Store(true)
	c.mu.Lock()
	s.ended = true
	if gone {
		s.gone = true
		s.queue, s.queued, s.pending = nil, 0, nil
		c.drop(s)
		if s.trailers != nil {
			c.remove(s) // the session has ended before
		}
	}
	if s.busy || s.waiting {
		c.mu.Unlock()
		if gone {
			s.ctx.end()
		}
		return
	}
	s.busy = true
	apart := s.session.Waits()
	if apart {
		s.known = true
	}
	c.mu.Unlock()
	if gone {
		s.ctx.end()
	}
	if apart {
		go c.workApart(s)
		return
	}
	c.work(s)
}

// drop takes a stream from those that wait for a window. The lock is held.
func (c *conn) drop(s *Stream) {
	if !s.waiting {
		return
	}
	s.waiting = false
	for i, b := range c.blocked {
		if b == s {
			c.blocked = append(c.blocked[:i], c.blocked[i+1:]...)
			break
		}
	}
}

// work deals with what is queued for a stream, and closes its session at the
// end. The caller has made it busy.
func (c *conn) work(s *Stream) { c.workOn(s, false) }

// goApart begins to work on a goroutine of the stream's own. The caller has
// made it busy, and holds the lock.
func (c *conn) goApart(s *Stream) {
	s.known = true
	go c.workApart(s)
}

// workApart is work on a goroutine of the stream's own.
func (c *conn) workApart(s *Stream) {
	c.workOn(s, true)
	c.flush()
}

func (c *conn) workOn(s *Stream, apart bool) {
	for {
		c.mu.Lock()
		switch {
		case s.gone:
		case s.waiting:
			s.busy = false
			c.mu.Unlock()
			return
		case len(s.queue) > 0:
			room := s.queue[0]
			s.queue[0] = nil
			s.queue = s.queue[1:]
			s.queued -= len(*room) + queueOverhead
			c.regrant(s)
			c.mu.Unlock()
			err := s.call(*room)
			if errors.Is(err, ErrApart) {
				err = s.call(*room)
			}
			if cap(*room) <= maxKept {
				rooms.Put(room)
			}
			if err != nil {
				c.mu.Lock()
				s.stop(err)
				c.mu.Unlock()
			}
			if apart && !c.goesOn(s) {
				c.flush()
			}
			continue
		case !s.ended:
			s.queue = nil
			s.busy = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		break
	}
	// Nothing is sent any more, and it stays busy: nobody else comes here.
	s.close()
	s.ctx.end()
	c.mu.Lock()
	if !s.gone {
		s.finish()
	}
	removed := s.trailers == nil
	if removed {
		c.remove(s)
	}
	known := s.known
	c.mu.Unlock()
	if removed && !known {
		c.retire(s)
	}
}

// goesOn reports whether the answer to a message need not be written yet: the
// next message is there, and is dealt with at once. Under load, two answers in
// one write wake the peer once.
func (c *conn) goesOn(s *Stream) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(s.queue) > 0 && len(*s.queue[0]) <= maxKept && len(c.out) < maxTogether && !s.session.Waits()
}

// why is how the stream has ended.
func (s *Stream) why() error {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	switch {
	case s.status != nil:
		return s.status.Err()
	case s.gone:
		return errGone
	}
	return nil
}

// remove forgets a stream. The lock is held.
func (c *conn) remove(s *Stream) {
	delete(c.streams, s.id)
	if len(c.streams) > 0 {
		return
	}
	c.written.Broadcast()
	if c.draining {
		go func() {
			c.flushAll()
			c.close()
		}()
	}
}

// call gives the session a message.
func (s *Stream) call(msg []byte) (err error) {
	defer s.guard(&err)
	return s.session.Message(msg)
}

// close closes the session.
func (s *Stream) close() {
	var err error // which nobody is there for
	defer s.guard(&err)
	s.session.Close(s.why())
}

// guard turns a panic into an error: it costs one stream. It is to be deferred
// itself.
func (s *Stream) guard(err *error) {
	p := recover()
	if p == nil {
		return
	}
	s.c.mu.Lock()
	s.known = true // what the session has left behind is not known
	s.c.mu.Unlock()
	s.c.srv.opt.Panicked(s.session, p)
	*err = status.Error(codes.Internal, "internal error")
}
