package h2

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// Handler opens a session for each stream of one method.
type Handler interface {
	// Open is called on the connection's goroutine, and must not wait. spent,
	// where not nil, is a session of the handler's that has been closed, and
	// that nobody else has: its memory can be used again.
	Open(s *Stream, spent Session) Session
}

// Session is the work on one stream. Its methods are called one at a time.
type Session interface {
	// Message takes one message. data is only valid during the call. An error
	// ends the stream, with its gRPC status; but with ErrApart the message is
	// given once more, on a goroutine of the stream's own.
	Message(data []byte) error
	// Close is called once, when the stream has ended: err is nil where the
	// client ended it in good order, and a gRPC status otherwise. The stream's
	// context may be over.
	Close(err error)
	// Waits reports whether Message or Close may wait for something. They are
	// then called on a goroutine of the stream's own.
	Waits() bool
	// Woken is called at the time that was asked for by Stream.Wake, on another
	// goroutine than the rest, and while that may go on.
	Woken()
}

// ErrApart is Message's error for a message of which it has turned out that it
// may wait for something.
var ErrApart = errors.New("the message is to be given apart")

// Options configure a Server. The zero value works.
type Options struct {
	// MaxMessageBytes is the largest message that is taken; 4 MiB where 0. A
	// larger one ends its stream with RESOURCE_EXHAUSTED.
	MaxMessageBytes int
	// MaxStreams is how many streams a connection may have at once; 1000 where
	// 0. The peer waits with further ones.
	MaxStreams int
	// Log may be nil.
	Log *slog.Logger
	// Panicked is called with a session and what it panicked with, from the
	// function that recovered it. The panic costs the stream.
	Panicked func(s Session, p any)
}

// Server serves connections. Register everything before the first one.
type Server struct {
	opt      Options
	handlers map[string]Handler
	services services

	mu       sync.Mutex
	conns    map[*conn]struct{}
	draining bool
	idle     chan struct{} // closed when draining and no connection is left
}

// New returns a server.
func New(opt Options) *Server {
	if opt.MaxMessageBytes <= 0 {
		opt.MaxMessageBytes = 4 << 20
	}
	if opt.MaxStreams <= 0 {
		opt.MaxStreams = 1000
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Panicked == nil {
		opt.Panicked = func(Session, any) {}
	}
	return &Server{opt: opt, handlers: map[string]Handler{}, services: services{methods: map[string]method{}}, conns: map[*conn]struct{}{}, idle: make(chan struct{})}
}

// Handle serves a method, "/package.Service/Method", by sessions.
func (s *Server) Handle(method string, h Handler) { s.handlers[method] = h }

// RegisterService implements grpc.ServiceRegistrar.
func (s *Server) RegisterService(d *grpc.ServiceDesc, impl any) { s.services.add(d, impl) }

// GetServiceInfo tells reflection what there is.
func (s *Server) GetServiceInfo() map[string]grpc.ServiceInfo { return s.services.info }

// ErrStopped is Serve's error after Shutdown or Stop.
var ErrStopped = errors.New("the server was stopped")

// Serve takes connections from lis until it fails or the server is stopped.
func (s *Server) Serve(lis net.Listener) error {
	for {
		nc, err := lis.Accept()
		if err != nil {
			s.mu.Lock()
			stopped := s.draining
			s.mu.Unlock()
			if stopped {
				return ErrStopped
			}
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				continue
			}
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			// Too many open files, or a peer that is gone already: the next may
			// be better.
			s.opt.Log.Warn("taking a connection failed", "error", err.Error())
			time.Sleep(10 * time.Millisecond)
			continue
		}
		c := newConn(s, nc)
		if !s.enter(c) {
			_ = nc.Close()
			continue
		}
		go c.serve()
	}
}

func (s *Server) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.checkIdle()
}

func (s *Server) checkIdle() {
	if s.draining && len(s.conns) == 0 {
		select {
		case <-s.idle:
		default:
			close(s.idle)
		}
	}
}

// Shutdown takes no more streams and waits until those there are have ended,
// or ctx has; then it cuts them, and returns ctx's error. The listener is the
// caller's to close.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	for c := range s.conns {
		go c.drain()
	}
	s.checkIdle()
	s.mu.Unlock()
	select {
	case <-s.idle:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.conns {
		c.close()
	}
	s.mu.Unlock()
	<-s.idle
	return ctx.Err()
}
