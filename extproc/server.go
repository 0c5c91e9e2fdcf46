package extproc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	"github.com/sluice-proxy/sluice/filters"
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
	extprocv3.UnimplementedExternalProcessorServer
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

// Process serves one exchange.
func (s *Server) Process(g extprocv3.ExternalProcessor_ProcessServer) (err error) {
	s.opt.Metrics.StreamOpened()
	defer s.opt.Metrics.StreamClosed()
	s.load.open.Add(1)
	defer s.load.open.Add(-1)
	st := newStream(s, g)
	defer st.finish()
	defer func() {
		// A panic costs this one stream.
		if p := recover(); p != nil {
			s.panicked(st, p)
			err = status.Error(codes.Internal, "internal error")
		}
	}()
	return st.serve()
}

// panicked counts and logs a panic, from the function that recovered it. The
// panic's own text may quote the exchange.
func (s *Server) panicked(st *stream, p any) {
	s.opt.Metrics.Panicked()
	s.opt.Log.Error("an exchange panicked", "exchange", st.id(), "kind", fmt.Sprintf("%T", p), "at", panicSite())
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
	type served struct {
		srv    *grpc.Server
		health *health.Server
		lis    net.Listener
	}
	var all []served
	var addrs []net.Addr
	closeAll := func() {
		for _, x := range all {
			_ = x.lis.Close()
		}
	}
	for _, l := range listeners {
		creds, err := l.credentials()
		if err != nil {
			closeAll()
			return fmt.Errorf("listening at %s: %w", l.Address, err)
		}
		lis, err := listen(ctx, l.Address)
		if err != nil {
			closeAll()
			return fmt.Errorf("listening at %s: %w", l.Address, err)
		}
		srv, h := s.newGRPC(creds)
		all = append(all, served{srv, h, lis})
		addrs = append(addrs, lis.Addr())
	}
	failed := make(chan error, len(all))
	for _, x := range all {
		go func() { failed <- x.srv.Serve(x.lis) }()
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
	done := make(chan struct{})
	go func() {
		for _, x := range all {
			x.health.Shutdown() // NOT_SERVING
		}
		for _, x := range all {
			x.srv.GracefulStop()
		}
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(s.opt.DrainTimeout):
		// GracefulStop alone would wait for ever.
		s.opt.Log.Warn("exchanges were cut: the drain timeout is over")
		for _, x := range all {
			x.srv.Stop()
		}
		<-done
	}
	return err
}

// The windows of HTTP/2 flow control: what a stream, and a connection, may have
// been sent that has not been received yet.
const (
	streamWindow = 256 << 10
	connWindow   = 4 << 20
)

func (s *Server) newGRPC(creds credentials.TransportCredentials) (*grpc.Server, *health.Server) {
	opts := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(2 * s.opt.MaxMessageBytes),
		grpc.MaxSendMsgSize(2 * s.opt.MaxMessageBytes),
		grpc.MaxConcurrentStreams(uint32(s.opt.MaxStreams)),
		grpc.InTapHandle(cancelable),
		// Fixed windows: those that grow by themselves let one stream that is not
		// read buffer 16 MiB.
		grpc.InitialWindowSize(streamWindow),
		grpc.InitialConnWindowSize(connWindow),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	}
	if creds != nil {
		opts = append(opts, grpc.Creds(creds))
	}
	srv := grpc.NewServer(opts...)
	extprocv3.RegisterExternalProcessorServer(srv, s)
	h := health.NewServer()
	h.SetServingStatus(extprocv3.ExternalProcessor_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	healthv1.RegisterHealthServer(srv, h)
	reflection.Register(srv)
	return srv, h
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
