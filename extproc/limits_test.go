package extproc_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/sluice-proxy/sluice/extproc"
	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

var duplexBoth = plane{modes: [2]bodyMode{fullDuplex, fullDuplex}}

// reached waits for the end of an exchange that has run into a bound.
func reached(t *testing.T, b *book, bound pipeline.Bound) {
	t.Helper()
	b.await(t, bound.String(), func(b *book) bool {
		return slices.ContainsFunc(b.summaries, func(s pipeline.Summary) bool { return slices.Contains(slices.Collect(s.Reached.All()), bound) })
	})
}

// TestRefused: what happens to an exchange that there is no room for, by
// policy and by settings.
func TestRefused(t *testing.T) {
	const denied, passed = "denied", "passed"
	for _, c := range []struct {
		name   string
		set    func(*pipeline.Limits)
		opts   []option
		want   string
		status int
	}{
		{name: "a step that denies", want: denied, status: 429},
		{name: "all steps continue", opts: []option{onError(filters.Continue)}, want: passed},
		{name: "an observed step", opts: []option{func(s *pipeline.Step) { s.Mode = pipeline.Observe }}, want: passed},
		{name: "deny all", opts: []option{onError(filters.Continue)}, set: func(l *pipeline.Limits) { l.Overload, l.OverloadStatus = pipeline.OverloadDeny, 500 }, want: denied, status: 500},
		{name: "pass all", set: func(l *pipeline.Limits) { l.Overload = pipeline.OverloadPass }, want: passed},
	} {
		for _, bound := range []pipeline.Bound{pipeline.MaxExchanges, pipeline.TotalBytes} {
			t.Run(c.name+"/"+bound.String(), func(t *testing.T) {
				b := &book{}
				s := one(t, filters.Request, mask, c.opts...)
				// The first exchange waits for its whole body, and takes the room.
				s.chains.Request = append(s.chains.Request, compile(t, filters.Request, c.opts, keep)...)
				if bound == pipeline.MaxExchanges {
					s.limits.Exchanges = 1
				} else {
					s.limits.TotalBytes = 16 << 10
				}
				if c.set != nil {
					c.set(&s.limits)
				}
				server := extproc.New(s, extproc.Options{Recorder: b, Metrics: b})
				conn := dial(t, server)
				first := conn.open(duplexBoth)
				long := `["` + strings.Repeat("x", 20<<10) + `"`
				for _, m := range []string{"", long} {
					msg := bodyOf(filters.Request, m, false)
					if m == "" {
						msg = headersOf(filters.Request, append(post("/"), jsonType...), false)
					}
					if err := first.send(msg); err != nil {
						t.Fatal(err)
					}
				}
				b.await(t, "holding", func(b *book) bool { return b.messages == 2 && (c.want == denied || server.Held() >= int64(len(long))) })

				second := conn.open(duplexBoth)
				res, err := second.play(filters.Request, message{headers: append(post("/"), jsonType...), body: document, cuts: []int{9}})
				switch c.want {
				case denied:
					if !errors.Is(err, errDenied) || int(res.denial.GetStatus().GetCode()) != c.status || !strings.Contains(string(res.denial.GetBody()), "urn:sluice:problem:overload") {
						t.Errorf("%v, %v", err, res.denial)
					}
				case passed:
					mark, _ := res.metadata["sluice"].(map[string]any)
					if err != nil || res.body != document || mark["unprocessed"] != bound.String() {
						t.Errorf("%v, %q, %v", err, res.body, res.metadata)
					}
				}
				if err := second.end(); err != nil {
					t.Error(err)
				}
				reached(t, b, bound)

				// The one that runs goes on.
				if err := first.send(bodyOf(filters.Request, `, "jane@example.com"]`, true)); err != nil {
					t.Fatal(err)
				}
				var out strings.Builder
				for {
					m, err := first.stream.Recv()
					if err != nil {
						t.Fatal(err)
					}
					r := m.GetRequestBody().GetResponse().GetBodyMutation().GetStreamedResponse()
					out.Write(r.GetBody())
					if r.GetEndOfStream() {
						break
					}
				}
				if masks := !slices.Contains([]string{"an observed step"}, c.name); masks && !strings.HasSuffix(out.String(), `, "[MASKED]"]`) {
					t.Errorf("the running exchange: ...%q", out.String()[max(0, out.Len()-40):])
				}
				if err := first.end(); err != nil {
					t.Error(err)
				}
				b.await(t, "letting go", func(b *book) bool { return b.closed == 2 && server.Held() == 0 })
			})
		}
	}
}

// TestFullAtTwice: running exchanges may hold more until all together hold
// twice what new ones are refused at; then it is to them like a body that is
// too large.
func TestFullAtTwice(t *testing.T) {
	b := &book{}
	s := one(t, filters.Request, keep)
	s.limits.TotalBytes = 30 << 10
	server := extproc.New(s, extproc.Options{Recorder: b, Metrics: b})
	conn := dial(t, server)
	var xs []*exchange
	for range 3 {
		x := conn.open(plane{modes: [2]bodyMode{fullDuplex, none}})
		if err := x.send(headersOf(filters.Request, post("/"), false)); err != nil {
			t.Fatal(err)
		}
		xs = append(xs, x)
	}
	b.await(t, "opening", func(b *book) bool { return b.messages == 3 })
	for i, x := range xs[:2] {
		if err := x.send(bodyOf(filters.Request, strings.Repeat("x", 21<<10), false)); err != nil {
			t.Fatal(err)
		}
		b.await(t, "holding", func(b *book) bool { return b.messages == 4+i && server.Held() >= int64((i+1)*21<<10) })
	}
	if err := xs[2].send(bodyOf(filters.Request, strings.Repeat("x", 20<<10), false)); err != nil {
		t.Fatal(err)
	}
	m, err := xs[2].stream.Recv()
	if err != nil || m.GetImmediateResponse().GetStatus().GetCode() != 413 {
		t.Errorf("%v, %v", err, m)
	}
	for _, x := range xs {
		x.cancel()
	}
	reached(t, b, pipeline.TotalBytes)
	b.await(t, "letting go", func(b *book) bool { return b.closed == 3 && server.Held() == 0 })
}

// TestExchangeBytes: both directions and all copies count.
func TestExchangeBytes(t *testing.T) {
	b := &book{}
	s := one(t, filters.Request, keep)
	s.limits.ExchangeBytes = 10 << 10
	c := dial(t, extproc.New(s, extproc.Options{Recorder: b}))
	for _, x := range []struct {
		size int
		want error
	}{{10 << 10, nil}, {10<<10 + 1, errDenied}} {
		ex := c.open(plane{modes: [2]bodyMode{fullDuplex, none}})
		_, err := ex.play(filters.Request, message{headers: post("/"), body: strings.Repeat("x", x.size), cuts: []int{100}})
		if !errors.Is(err, x.want) {
			t.Errorf("%d bytes: %v", x.size, err)
		}
		if err := ex.end(); err != nil {
			t.Error(err)
		}
	}
	reached(t, b, pipeline.ExchangeBytes)
}

// TestLifetime: an exchange in which nothing happens, or that lasts too long,
// is denied while a step still waits for something, and otherwise let go.
func TestLifetime(t *testing.T) {
	b := &book{}
	s := both(t, mask)
	serveShort := func(idle, duration time.Duration) *client {
		s.limits.Idle, s.limits.Duration = idle, duration
		return connect(t, serve(t, extproc.New(s, extproc.Options{Recorder: b, Metrics: b, DrainTimeout: time.Second}), extproc.Listener{Address: "127.0.0.1:0"}).addrs[0].String(), plain())
	}
	t.Run("idle in a body", func(t *testing.T) {
		c := serveShort(100*time.Millisecond, time.Hour)
		res, err := c.open(plane{modes: [2]bodyMode{fullDuplex, fullDuplex}}).half(message{headers: append(post("/"), jsonType...), body: `["jane@exam`})
		if !errors.Is(err, errDenied) || res.denial.GetStatus().GetCode() != 500 || !strings.Contains(string(res.denial.GetBody()), "exchange-timeout") {
			t.Errorf("%v, %v", err, res.denial)
		}
		reached(t, b, pipeline.IdleDuration)
	})
	t.Run("busy for too long", func(t *testing.T) {
		c := serveShort(time.Hour, 150*time.Millisecond)
		x := c.open(duplexBoth)
		if err := x.send(headersOf(filters.Request, append(post("/"), jsonType...), false)); err != nil {
			t.Fatal(err)
		}
		go func() {
			for x.send(bodyOf(filters.Request, `[1,`, false)) == nil {
				time.Sleep(10 * time.Millisecond)
			}
		}()
		res := &result{}
		err := error(nil)
		for err == nil {
			_, err = x.recv(filters.Request, res)
		}
		if !errors.Is(err, errDenied) {
			t.Error(err)
		}
		reached(t, b, pipeline.ExchangeDuration)
	})
	t.Run("nothing ever comes", func(t *testing.T) {
		defer func(l pipeline.Limits) { pipeline.DefaultLimits = l }(pipeline.DefaultLimits)
		pipeline.DefaultLimits.Idle = 50 * time.Millisecond
		_, err := serveShort(time.Hour, time.Hour).open(duplexBoth).stream.Recv()
		if st := grpcstatus.Convert(err); st.Code() != codes.DeadlineExceeded || st.Message() != "the exchange has lasted for too long" {
			t.Error(err) // the client's own deadline has other words
		}
	})
	t.Run("no reply is taken", func(t *testing.T) {
		opened := 0
		b.await(t, "the end of the exchanges before", func(b *book) bool {
			opened = b.opened
			return b.opened == b.closed
		})
		c := serveShort(100*time.Millisecond, time.Hour)
		x := c.open(duplexBoth)
		if err := x.send(headersOf(filters.Request, append(post("/"), jsonType...), false)); err != nil {
			t.Fatal(err)
		}
		go func() {
			for err := error(nil); err == nil; {
				err = x.send(bodyOf(filters.Request, strings.Repeat("[", 64<<10), false))
			}
		}()
		b.await(t, "breaking it off", func(b *book) bool { return b.opened == opened+1 && b.closed == b.opened })
		x.cancel()
	})
	t.Run("nothing is left to do", func(t *testing.T) {
		s.chains.Response = nil
		defer func() { s.chains = both(t, mask).chains }()
		c := serveShort(50*time.Millisecond, time.Hour)
		x := c.open(plane{modes: [2]bodyMode{none, none}})
		if _, err := x.play(filters.Request, message{headers: get("/")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(150 * time.Millisecond)
		if _, err := x.play(filters.Response, message{headers: status("200")}); err != nil {
			t.Error(err)
		}
		if err := x.end(); err != nil {
			t.Error(err)
		}
	})
	t.Run("a response is still to come", func(t *testing.T) {
		c := serveShort(50*time.Millisecond, time.Hour)
		x := c.open(plane{modes: [2]bodyMode{none, fullDuplex}})
		res, err := x.play(filters.Request, message{headers: get("/")})
		if err == nil {
			_, err = x.recv(filters.Response, res)
		}
		if !errors.Is(err, errDenied) {
			t.Error(err)
		}
	})
	t.Run("an upgraded exchange lasts", func(t *testing.T) {
		const duration = time.Second // in which it is to become one
		c := serveShort(time.Hour, duration)
		x := c.open(duplexBoth)
		if _, err := x.play(filters.Request, message{headers: get("/", "upgrade", "websocket", "connection", "upgrade")}); err != nil {
			t.Fatal(err)
		}
		if err := x.send(headersOf(filters.Response, status("101"), false)); err != nil {
			t.Fatal(err)
		}
		if _, err := x.recv(filters.Response, &result{}); err != nil {
			t.Error(err)
		}
		time.Sleep(duration + 100*time.Millisecond)
		if err := x.send(bodyOf(filters.Response, "frame", false)); err != nil {
			t.Fatal(err)
		}
		if r, err := x.recv(filters.Response, &result{}); err != nil || string(r.body.GetResponse().GetBodyMutation().GetStreamedResponse().GetBody()) != "frame" {
			t.Error(err)
		}
	})
}

// half plays a request whose body does not end.
func (x *exchange) half(m message) (*result, error) {
	res := &result{}
	if err := x.send(headersOf(filters.Request, m.headers, false)); err != nil {
		return res, err
	}
	if err := x.send(bodyOf(filters.Request, m.body, false)); err != nil {
		return res, err
	}
	for {
		if _, err := x.recv(filters.Request, res); err != nil {
			return res, err
		}
	}
}

// TestMessageTooLarge: a message over the limit denies its exchange, and no
// other.
func TestMessageTooLarge(t *testing.T) {
	b := &book{}
	s := serve(t, extproc.New(one(t, filters.Request, mask), extproc.Options{Recorder: b, MaxMessageBytes: 64 << 10}), extproc.Listener{Address: "127.0.0.1:0"})
	c := connect(t, s.addrs[0].String(), plain())
	other := c.open(duplexBoth)
	if err := other.send(headersOf(filters.Request, append(post("/"), jsonType...), false)); err != nil {
		t.Fatal(err)
	}
	x := c.open(plane{modes: [2]bodyMode{buffered, none}})
	res, err := x.play(filters.Request, message{headers: append(post("/"), jsonType...), body: strings.Repeat("x", 65<<10)})
	if !errors.Is(err, errDenied) || res.denial.GetStatus().GetCode() != 413 {
		t.Errorf("%v, %v", err, res.denial)
	}
	if err := x.end(); err != nil {
		t.Error(err)
	}
	reached(t, b, pipeline.MaxMessageBytes)
	if err := other.send(bodyOf(filters.Request, `[]`, true)); err != nil {
		t.Fatal(err)
	}
	if r, err := other.recv(filters.Request, &result{}); err != nil || r.headers == nil {
		t.Error(err)
	}
}

// TestBackPressure: a data plane that takes no replies is not read from
// either, so that it cannot make Sluice hold what it sends.
func TestBackPressure(t *testing.T) {
	b := &book{}
	server := extproc.New(one(t, filters.Request, mask), extproc.Options{Recorder: b, Metrics: b})
	c := connect(t, serve(t, server, extproc.Listener{Address: "127.0.0.1:0"}).addrs[0].String(), plain())
	x := c.open(duplexBoth)
	if err := x.send(headersOf(filters.Request, post("/", "content-type", "text/plain"), false)); err != nil {
		t.Fatal(err)
	}
	// The connections' windows and buffers take some of it; then sending stops.
	const chunk = 32 << 10
	sent := make(chan error, 1)
	go func() {
		for range 4096 {
			if err := x.send(bodyOf(filters.Request, strings.Repeat("some words ", chunk/11), false)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	received, still := 0, 0
	for still < 20 {
		time.Sleep(10 * time.Millisecond)
		b.mu.Lock()
		now := b.messages
		b.mu.Unlock()
		if still++; now != received {
			received, still = now, 0
		}
	}
	if received*chunk > 4<<20 {
		t.Errorf("%d KiB were received while no reply was taken", received*chunk>>10)
	}
	if held := server.Held(); held > 2*chunk {
		t.Errorf("%d bytes are held", held)
	}
	x.cancel()
	if err := <-sent; err == nil {
		t.Error("everything was taken")
	} else if code := grpcstatus.Code(err); code != codes.Canceled && err.Error() != "EOF" {
		t.Error(err)
	}
	b.await(t, "letting go", func(b *book) bool { return b.closed == 1 && server.Held() == 0 })
}
