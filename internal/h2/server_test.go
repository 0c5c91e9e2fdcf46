package h2_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluice-proxy/sluice/internal/h2"
)

const method = "/test.Echo/Echo"

// echo answers each message with itself. What a message says to do is done
// first.
type echo struct {
	waits          bool
	opened, closed atomic.Int32
	woken          atomic.Int32
	// hold is waited for by messages that say "wait".
	hold chan struct{}
}

func (e *echo) Open(s *h2.Stream, _ h2.Session) h2.Session {
	e.opened.Add(1)
	return &echoing{e: e, s: s}
}

type echoing struct {
	e     *echo
	s     *h2.Stream
	apart bool
}

func (e *echoing) Waits() bool { return e.e.waits }

func (e *echoing) Woken() { e.e.woken.Add(1) }

func (e *echoing) Close(error) { e.e.closed.Add(1) }

func (e *echoing) Message(b []byte) error {
	var m wrapperspb.BytesValue
	if err := codec.Unmarshal(b, &m); err != nil {
		return err
	}
	switch v := string(m.GetValue()); {
	case v == "panic":
		panic("as told")
	case v == "apart" && !e.apart:
		e.apart = true
		return h2.ErrApart
	case v == "wake":
		e.s.Wake(time.Now().Add(time.Hour))
		e.s.Wake(time.Now().Add(10 * time.Millisecond))
	case v == "watch":
		_ = e.s.Context().Done()
	case v == "fail":
		return status.Error(codes.FailedPrecondition, "as told: 100 %")
	case strings.HasPrefix(v, "wait"):
		select {
		case <-e.e.hold:
		case <-e.s.Context().Done():
			return e.s.Context().Err()
		}
	case strings.HasPrefix(v, "header "):
		out, err := codec.Marshal(wrapperspb.Bytes([]byte(e.s.Header(v[7:]))))
		if err != nil {
			return err
		}
		return e.s.Send(out, nil)
	}
	return e.s.Send(b[:len(b)/2], b[len(b)/2:])
}

// serve serves h, health and reflection, and returns a connection to them.
func serve(t testing.TB, h h2.Handler, opt h2.Options) (*h2.Server, *grpc.ClientConn) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := h2.New(opt)
	srv.Handle(method, h)
	hs := health.NewServer()
	hs.SetServingStatus("test.Echo", healthv1.HealthCheckResponse_SERVING)
	healthv1.RegisterHealthServer(srv, hs)
	reflection.Register(srv)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(lis)
	}()
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)), grpc.WithStaticStreamWindowSize(64<<10))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		_ = lis.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		<-done
	})
	return srv, conn
}

type client struct{ grpc.ClientStream }

func open(ctx context.Context, t testing.TB, conn *grpc.ClientConn) client {
	t.Helper()
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		t.Fatal(err)
	}
	return client{s}
}

func (c client) send(b []byte) error { return c.SendMsg(wrapperspb.Bytes(b)) }

func (c client) recv() ([]byte, error) {
	var m wrapperspb.BytesValue
	err := c.RecvMsg(&m)
	return m.GetValue(), err
}

func limit(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// each runs a test with sessions that are worked on in line, and apart.
func each(t *testing.T, f func(t *testing.T, e *echo)) {
	for _, waits := range []bool{false, true} {
		t.Run(fmt.Sprintf("waits=%t", waits), func(t *testing.T) { f(t, &echo{waits: waits, hold: make(chan struct{})}) })
	}
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 4000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("not within twenty seconds: %s", what)
}

func TestMessagesOfAllSizes(t *testing.T) {
	each(t, func(t *testing.T, e *echo) {
		_, conn := serve(t, e, h2.Options{MaxMessageBytes: 32 << 20})
		c := open(limit(t), t, conn)
		for _, size := range []int{0, 1, 100, 16<<10 - 10, 16 << 10, 32 << 10, 64 << 10, 300 << 10, 6 << 20, 20 << 20} {
			want := bytes.Repeat([]byte{byte(size%251 + 1)}, size)
			if err := c.send(want); err != nil {
				t.Fatal(err)
			}
			if got, err := c.recv(); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%d bytes: got %d bytes, %v", size, len(got), err)
			}
		}
		if err := c.CloseSend(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.recv(); !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %v", err)
		}
		eventually(t, "the session is closed", func() bool { return e.closed.Load() == 1 })
	})
}

// TestLargeBodiesKeepNobodyWaiting: while a session is busy with a large message,
// or with one of a body that was long before, its connection's others go on.
func TestLargeBodiesKeepNobodyWaiting(t *testing.T) {
	for name, sizes := range map[string][]int{"a large message": {40 << 10}, "a long body": {16 << 10, 16 << 10, 16 << 10, 16 << 10, 16 << 10}} {
		t.Run(name, func(t *testing.T) {
			e := &echo{hold: make(chan struct{})}
			_, conn := serve(t, e, h2.Options{})
			long := open(limit(t), t, conn)
			for i, size := range sizes {
				say := strings.Repeat("x", size)
				last := i == len(sizes)-1
				if last {
					say = "wait" + say
				}
				if err := long.send([]byte(say)); err != nil {
					t.Fatal(err)
				}
				if last {
					break
				}
				if got, err := long.recv(); err != nil || string(got) != say {
					t.Fatalf("message %d: got %d bytes, %v", i, len(got), err)
				}
			}
			other := open(limit(t), t, conn)
			if err := other.send([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			if got, err := other.recv(); err != nil || string(got) != "hello" {
				t.Errorf("beside it: %q, %v", got, err)
			}
			close(e.hold)
			if got, err := long.recv(); err != nil || len(got) != sizes[len(sizes)-1]+4 {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	}
}

// TestAnswersTogether: an answer that was left for the next to be written with is
// not left behind.
func TestAnswersTogether(t *testing.T) {
	e := &echo{hold: make(chan struct{})}
	_, conn := serve(t, e, h2.Options{})
	c := open(limit(t), t, conn)
	say := []string{"wait" + strings.Repeat("x", 40<<10), "one", strings.Repeat("y", 40<<10), "two"}
	for _, m := range say {
		if err := c.send([]byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	close(e.hold) // all of them are there, most likely
	for i, want := range say {
		if got, err := c.recv(); err != nil || string(got) != want {
			t.Fatalf("answer %d: %d bytes, %v", i, len(got), err)
		}
	}
	if err := c.send([]byte("three")); err != nil {
		t.Fatal(err)
	}
	if got, err := c.recv(); err != nil || string(got) != "three" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestASlowReader sends much before it reads: nothing is lost, and the order
// stays.
func TestASlowReader(t *testing.T) {
	each(t, func(t *testing.T, e *echo) {
		_, conn := serve(t, e, h2.Options{})
		c := open(limit(t), t, conn)
		const n = 500
		sent := make(chan error, 1)
		go func() {
			for i := range n {
				if err := c.send(bytes.Repeat([]byte{byte(i)}, 5000)); err != nil {
					sent <- err
					return
				}
			}
			sent <- c.CloseSend()
		}()
		time.Sleep(100 * time.Millisecond)
		for i := range n {
			got, err := c.recv()
			if err != nil || len(got) != 5000 || got[0] != byte(i) {
				t.Fatalf("message %d: %d bytes, %v", i, len(got), err)
			}
		}
		if _, err := c.recv(); !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %v", err)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	})
}

func TestManyStreamsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, e *echo) {
		_, conn := serve(t, e, h2.Options{})
		ctx := limit(t)
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				c := open(ctx, t, conn)
				for k := range 20 {
					want := fmt.Appendf(nil, "%d/%d %s", i, k, strings.Repeat("x", k*997))
					if err := c.send(want); err != nil {
						t.Error(err)
						return
					}
					if got, err := c.recv(); err != nil || !bytes.Equal(got, want) {
						t.Errorf("stream %d, message %d: %v", i, k, err)
						return
					}
				}
				_ = c.CloseSend()
				if _, err := c.recv(); !errors.Is(err, io.EOF) {
					t.Errorf("stream %d ends with %v", i, err)
				}
			})
		}
		wg.Wait()
		eventually(t, "every session is closed", func() bool { return e.closed.Load() == 200 })
	})
}

func TestHowAStreamCanEnd(t *testing.T) {
	each(t, func(t *testing.T, e *echo) {
		var panics atomic.Int32
		_, conn := serve(t, e, h2.Options{MaxMessageBytes: 1 << 20, Panicked: func(h2.Session, any) { panics.Add(1) }})
		for _, c := range []struct {
			name, say string
			code      codes.Code
			msg       string
		}{
			{"the session fails", "fail", codes.FailedPrecondition, "as told: 100 %"},
			{"the session panics", "panic", codes.Internal, "internal error"},
			{"a message is too large", strings.Repeat("x", 1<<20+1), codes.ResourceExhausted, "a message of 1048581 bytes, and at most 1048576 are taken"},
		} {
			t.Run(c.name, func(t *testing.T) {
				before := e.closed.Load()
				s := open(limit(t), t, conn)
				_ = s.send([]byte(c.say))
				_, err := s.recv()
				if st := status.Convert(err); st.Code() != c.code || st.Message() != c.msg {
					t.Errorf("it ends with %v", err)
				}
				eventually(t, "the session is closed", func() bool { return e.closed.Load() == before+1 })
			})
		}
		if panics.Load() != 1 {
			t.Errorf("%d panics were told of", panics.Load())
		}
		t.Run("the client cancels", func(t *testing.T) {
			before := e.closed.Load()
			ctx, cancel := context.WithCancel(limit(t))
			s := open(ctx, t, conn)
			_ = s.send([]byte("hello"))
			if _, err := s.recv(); err != nil {
				t.Fatal(err)
			}
			cancel()
			eventually(t, "the session is closed", func() bool { return e.closed.Load() == before+1 })
		})
		t.Run("the call's time is over", func(t *testing.T) {
			before := e.closed.Load()
			// Enough for the call to have got to the server by then.
			ctx, cancel := context.WithTimeout(limit(t), time.Second)
			defer cancel()
			s := open(ctx, t, conn)
			if _, err := s.recv(); status.Code(err) != codes.DeadlineExceeded {
				t.Errorf("it ends with %v", err)
			}
			eventually(t, "the session is closed", func() bool { return e.closed.Load() == before+1 })
		})
	})
}

func TestASessionThatWaitsIsCanceled(t *testing.T) {
	e := &echo{waits: true, hold: make(chan struct{})}
	_, conn := serve(t, e, h2.Options{})
	ctx, cancel := context.WithCancel(limit(t))
	s := open(ctx, t, conn)
	_ = s.send([]byte("wait"))
	// Another stream of the connection is not kept waiting.
	other := open(limit(t), t, conn)
	_ = other.send([]byte("hello"))
	if got, err := other.recv(); err != nil || string(got) != "hello" {
		t.Fatalf("the other stream: %q, %v", got, err)
	}
	cancel()
	eventually(t, "the session is closed", func() bool { return e.closed.Load() == 1 })
}

// TestAMessageIsGivenApart refuses a message once: it comes again, and those
// behind it come after it.
func TestAMessageIsGivenApart(t *testing.T) {
	each(t, func(t *testing.T, e *echo) {
		_, conn := serve(t, e, h2.Options{})
		s := open(limit(t), t, conn)
		for _, say := range []string{"one", "apart", "two"} {
			_ = s.send([]byte(say))
		}
		_ = s.CloseSend()
		for _, want := range []string{"one", "apart", "two"} {
			if got, err := s.recv(); err != nil || string(got) != want {
				t.Fatalf("%q, %v, and not %q", got, err, want)
			}
		}
		if _, err := s.recv(); !errors.Is(err, io.EOF) {
			t.Errorf("it ends with %v", err)
		}
	})
}

func TestHeadersAreMetadata(t *testing.T) {
	e := &echo{}
	_, conn := serve(t, e, h2.Options{})
	s := open(metadata.AppendToOutgoingContext(limit(t), "x-plane", "envoy"), t, conn)
	_ = s.send([]byte("header x-plane"))
	if got, err := s.recv(); err != nil || string(got) != "envoy" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestRegisteredServices(t *testing.T) {
	_, conn := serve(t, &echo{}, h2.Options{})
	ctx := limit(t)
	hc := healthv1.NewHealthClient(conn)
	r, err := hc.Check(ctx, &healthv1.HealthCheckRequest{Service: "test.Echo"})
	if err != nil || r.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", r, err)
	}
	if _, err := hc.Check(ctx, &healthv1.HealthCheckRequest{Service: "nobody"}); status.Code(err) != codes.NotFound {
		t.Errorf("health of an unknown service: %v", err)
	}
	watch, err := hc.Watch(ctx, &healthv1.HealthCheckRequest{Service: "test.Echo"})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := watch.Recv(); err != nil || r.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("watching health: %v, %v", r, err)
	}
	rc, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := rc.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	rr, err := rc.Recv()
	if err != nil || !strings.Contains(rr.String(), "grpc.health.v1.Health") {
		t.Errorf("reflection: %v, %v", rr, err)
	}
	_ = rc.CloseSend()
	if _, err := rc.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("reflection ends with %v", err)
	}
	if err := conn.Invoke(ctx, "/nobody/Nothing", wrapperspb.Bytes(nil), wrapperspb.Bytes(nil)); status.Code(err) != codes.Unimplemented {
		t.Errorf("an unknown method: %v", err)
	}
}

func TestStreamsBeyondTheLimitWait(t *testing.T) {
	_, conn := serve(t, &echo{}, h2.Options{MaxStreams: 2})
	ctx, cancel := context.WithCancel(limit(t))
	for range 2 {
		c := open(ctx, t, conn)
		_ = c.send([]byte("hello"))
		if _, err := c.recv(); err != nil {
			t.Fatal(err)
		}
	}
	short, stop := context.WithTimeout(limit(t), 100*time.Millisecond)
	defer stop()
	if _, err := conn.NewStream(short, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a third stream: %v", err)
	}
	cancel()
	c := open(limit(t), t, conn)
	_ = c.send([]byte("hello"))
	if _, err := c.recv(); err != nil {
		t.Errorf("a stream after the others have gone: %v", err)
	}
}

// TestShutdownWaitsForStreams drains a server: the stream in flight ends as it
// would have, and a new one goes nowhere.
func TestShutdownWaitsForStreams(t *testing.T) {
	srv, conn := serve(t, &echo{}, h2.Options{})
	c := open(limit(t), t, conn)
	_ = c.send([]byte("one"))
	if _, err := c.recv(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Shutdown(limit(t)) }()
	time.Sleep(100 * time.Millisecond)
	select {
	case err := <-done:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	_ = c.send([]byte("two"))
	if got, err := c.recv(); err != nil || string(got) != "two" {
		t.Errorf("the stream in flight: %q, %v", got, err)
	}
	_ = c.CloseSend()
	if _, err := c.recv(); !errors.Is(err, io.EOF) {
		t.Errorf("it ends with %v", err)
	}
	if err := <-done; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

func TestShutdownIsBounded(t *testing.T) {
	srv, conn := serve(t, &echo{}, h2.Options{})
	c := open(limit(t), t, conn)
	_ = c.send([]byte("one"))
	if _, err := c.recv(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	if _, err := c.recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ends with %v", err)
	}
}
