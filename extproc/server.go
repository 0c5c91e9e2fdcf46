package extproc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/h2"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// Policies gives each exchange the steps that apply to it and its limits;
// *policies.Store does.
type Policies interface {
	Begin(ctx context.Context, ex *filters.Exchange) (pipeline.Chains, pipeline.Limits)
}

// Metrics is told what happens on the streams. It is called by many streams
// at once and must not block.
type Metrics interface {
	StreamOpened()
	StreamClosed()
	Message(p filters.Phase)
	Panicked()
}

// DataPlane is what the data plane's configuration allows. It cannot be asked;
// the configuration says so in the gRPC metadata of its streams (gen writes
// it), and where it does not, this holds.
type DataPlane struct {
	// ModeOverride: allow_mode_override is set.
	ModeOverride bool
	// MessageTimeout is message_timeout; 0 is Envoy's default of 200 ms.
	MessageTimeout time.Duration
	// MaxMessageTimeout is max_message_timeout; 0: no extension is asked for.
	MaxMessageTimeout time.Duration
}

// Options configure a Server. The zero value works.
type Options struct {
	Recorder  pipeline.Recorder
	Metrics   Metrics
	Log       *slog.Logger
	DataPlane DataPlane
	// MaxMessageBytes is the most of a body that is taken in one message;
	// 16 MiB where 0. More of it denies the exchange, and a message of twice
	// the size ends the stream with an error.
	MaxMessageBytes int
	// MaxStreams is how many exchanges one connection may have at once; 800
	// where 0. Further ones wait, or the data plane opens another connection.
	// Envoy closes one that has a thousand to end at once.
	MaxStreams int
	// DrainTimeout is how long exchanges in flight may take to end when the
	// server stops; 30 s where 0. Then they are cut.
	DrainTimeout time.Duration
	// Now is the clock.
	Now func() time.Time
}

// Server is the external processor.
type Server struct {
	policies Policies
	opt      Options
	load     load
	draining atomic.Bool
	serving  atomic.Bool
}

// New returns a server that takes its steps from p.
func New(p Policies, opt Options) *Server {
	if opt.MaxMessageBytes <= 0 {
		opt.MaxMessageBytes = 16 << 20
	}
	if opt.MaxStreams <= 0 {
		opt.MaxStreams = 800
	}
	if opt.DrainTimeout <= 0 {
		opt.DrainTimeout = 30 * time.Second
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Metrics == nil {
		opt.Metrics = noMetrics{}
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.DataPlane.MessageTimeout <= 0 {
		opt.DataPlane.MessageTimeout = 200 * time.Millisecond
	}
	return &Server{policies: p, opt: opt}
}

type noMetrics struct{}

func (noMetrics) StreamOpened()         {}
func (noMetrics) StreamClosed()         {}
func (noMetrics) Message(filters.Phase) {}
func (noMetrics) Panicked()             {}

// Ready returns nil while exchanges are taken, and otherwise why not.
func (s *Server) Ready() error {
	switch {
	case s.draining.Load():
		return errors.New("draining")
	case !s.serving.Load():
		return errors.New("not listening yet")
	}
	return nil
}

// Open implements h2.Handler: it begins an exchange.
func (s *Server) Open(p *h2.Stream, spent h2.Session) h2.Session { return s.open(p, spent) }

func (s *Server) open(p peer, spent h2.Session) h2.Session {
	s.opt.Metrics.StreamOpened()
	s.load.open.Add(1)
	st, ok := spent.(*stream)
	if !ok {
		st = new(stream)
	}
	st.open(s, p)
	return st
}

// panicked counts and logs a panic, from the function that recovered it. The
// panic's own text may quote the exchange.
func (s *Server) panicked(session h2.Session, p any) {
	s.opt.Metrics.Panicked()
	id := ""
	if st, ok := session.(*stream); ok {
		id = st.id()
	}
	s.opt.Log.Error("an exchange panicked", "exchange", id, "kind", fmt.Sprintf("%T", p), "at", panicSite())
}

// Listener is a place to serve at.
type Listener struct {
	// Address is host:port, or unix:/path.
	Address string
	// TLS, where set, names the certificate's files.
	TLS *TLSFiles
}

// Serve listens and serves until ctx ends, then drains: no exchange is begun
// any more, those in flight go on to their end, or to the end of the drain
// timeout. ready, where not nil, is called with the addresses once it
// listens.
func (s *Server) Serve(ctx context.Context, ready func(addrs []net.Addr), listeners ...Listener) error {
	if len(listeners) == 0 {
		return errors.New("there is no address to listen at")
	}
	var all []net.Listener
	var addrs []net.Addr
	closeAll := func() {
		for _, lis := range all {
			_ = lis.Close()
		}
	}
	defer closeAll()
	for _, l := range listeners {
		lis, err := l.listen(ctx)
		if err != nil {
			return fmt.Errorf("listening at %s: %w", l.Address, err)
		}
		all = append(all, lis)
		addrs = append(addrs, lis.Addr())
	}
	srv, health := s.newHTTP2()
	failed := make(chan error, len(all))
	for _, lis := range all {
		go func() { failed <- srv.Serve(lis) }()
	}
	s.serving.Store(true)
	if ready != nil {
		ready(addrs)
	}
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	s.draining.Store(true)
	health.Shutdown() // NOT_SERVING
	closeAll()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opt.DrainTimeout)
	defer cancel()
	if srv.Shutdown(end) != nil {
		s.opt.Log.Warn("exchanges were cut: the drain timeout is over")
	}
	return err
}

func (s *Server) newHTTP2() (*h2.Server, *health.Server) {
	srv := h2.New(h2.Options{
		MaxMessageBytes: 2 * s.opt.MaxMessageBytes,
		MaxStreams:      s.opt.MaxStreams,
		Log:             s.opt.Log,
		Panicked:        s.panicked,
	})
	srv.Handle(extprocv3.ExternalProcessor_Process_FullMethodName, s)
	h := health.NewServer()
	h.SetServingStatus(extprocv3.ExternalProcessor_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	healthv1.RegisterHealthServer(srv, h)
	reflection.Register(srv)
	return srv, h
}

// listen opens the listener, with its TLS.
func (l Listener) listen(ctx context.Context) (net.Listener, error) {
	cfg, err := l.tls()
	if err != nil {
		return nil, err
	}
	lis, err := listen(ctx, l.Address)
	if err != nil || cfg == nil {
		return lis, err
	}
	return tls.NewListener(lis, cfg), nil
}

// listen opens a TCP port or a Unix socket. A socket that was left behind is
// replaced, one that somebody serves at is not.
func listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	path, unix := strings.CutPrefix(address, "unix:")
	if !unix {
		return lc.Listen(ctx, "tcp", address)
	}
	path = strings.TrimPrefix(path, "//")
	if info, err := os.Stat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
			_ = c.Close()
			return nil, errors.New("somebody else serves at this socket")
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("removing the socket that was left behind: %w", err)
		}
	}
	lis, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	// The data plane runs as another user; who may reach the socket is the
	// folder's to say.
	if err := os.Chmod(path, 0o666); err != nil {
		_ = lis.Close()
		return nil, fmt.Errorf("opening the socket to the data plane: %w", err)
	}
	return lis, nil
}
