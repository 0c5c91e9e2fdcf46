package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/internal/e2e"
)

// mostHeld is what one exchange may hold: the largest message that Envoy
// sends, and beside it the value in hand.
const mostHeld = 1<<20 + 64<<10

// The listeners that faults are tried on: one of each way in which a body is
// handled.
var faulty = []string{"buffered", "partial", "streamed", "duplex", "none-override"}

// metric reads one of Sluice's metrics, its labels included in the name.
func metric(t *testing.T, name string) float64 {
	t.Helper()
	w := httptest.NewRecorder()
	metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// processing is how many goroutines serve an exchange.
func processing() int {
	buf := make([]byte, 64<<20)
	return bytes.Count(buf[:runtime.Stack(buf, true)], []byte("extproc.(*Server).Process("))
}

// settled waits until nothing is left of any exchange, and sees that Sluice
// still answers.
func settled(t *testing.T) {
	t.Helper()
	for _, c := range clients {
		c.CloseIdleConnections()
	}
	end := time.Now().Add(60 * time.Second)
	for metric(t, "sluice_streams_open") != 0 || metric(t, "sluice_held_bytes") != 0 || processing() != 0 {
		if time.Now().After(end) {
			t.Fatalf("%v streams are open, %v bytes are held, %d goroutines are left\n%s",
				metric(t, "sluice_streams_open"), metric(t, "sluice_held_bytes"), processing(), envoy.Stats())
		}
		time.Sleep(5 * time.Millisecond)
	}
	if n := metric(t, "sluice_panics_total"); n != 0 {
		t.Fatalf("%v panics", n)
	}
	if a := ask(t, "duplex", "POST", "/mask/x", strings.NewReader(document), reply(document)); a.StatusCode != 200 || a.body != masked {
		t.Fatalf("afterwards: %d %q", a.StatusCode, a.body)
	}
}

// half is a document that breaks off within a value.
const half = `{"id": 1, "mail": "jane@exam`

// raw opens a connection to a listener and writes the beginning of a request.
func raw(t *testing.T, listener string, handler http.HandlerFunc, text string) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", envoy.Addr(listener), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	head := "POST /mask/x HTTP/1.1\r\nHost: api.example.com\r\nContent-Type: application/json\r\n" + e2e.CaseHeader + ": " + backend.Case(handler) + "\r\n"
	if _, err := io.WriteString(c, head+text); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

// TestClientGoneInUpload: the rest of the request never comes. The backend
// gets no complete request, and nothing raw.
func TestClientGoneInUpload(t *testing.T) {
	for _, name := range faulty {
		for _, reset := range []bool{false, true} {
			var leaked, complete atomic.Bool
			c := raw(t, name, func(_ http.ResponseWriter, r *http.Request) {
				b, err := io.ReadAll(r.Body)
				leaked.Store(leaked.Load() || bytes.Contains(b, []byte("jane")))
				complete.Store(complete.Load() || err == nil)
			}, "Content-Length: 1000\r\n\r\n"+half)
			time.Sleep(30 * time.Millisecond)
			if reset {
				_ = c.SetLinger(0)
			}
			_ = c.Close()
			settled(t)
			if leaked.Load() || complete.Load() {
				t.Errorf("%s, reset %t: leaked %t, complete %t", name, reset, leaked.Load(), complete.Load())
			}
		}
	}
}

// broken is a handler that sends half a document, and then resets the
// connection or the stream.
func broken(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, half)
	_ = http.NewResponseController(w).Flush()
	time.Sleep(20 * time.Millisecond)
	panic(http.ErrAbortHandler)
}

// reset does so with a TCP reset.
func reset(w http.ResponseWriter, _ *http.Request) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n%s", half)
	time.Sleep(20 * time.Millisecond)
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// TestBackendReset: a response that breaks off fails at the client too, and
// what was held of it does not come out.
func TestBackendReset(t *testing.T) {
	for _, name := range faulty {
		for _, c := range []struct {
			version string
			handler http.HandlerFunc
		}{{"h1", broken}, {"h2", broken}, {"h1", reset}} {
			for _, path := range []string{"/mask/x", "/judge/x"} {
				a, err := try(t.Context(), name, "GET", path, nil, c.handler, "X-Upstream", c.version)
				if err == nil && (a.StatusCode == 200 && a.err == nil || strings.Contains(a.body, "jane")) {
					t.Errorf("%s %s %s: %d, %v, %d bytes", name, c.version, path, a.StatusCode, a.err, len(a.body))
				}
			}
		}
		settled(t)
	}
}

// TestBackendResetInUpload: the backend goes while the request still comes.
func TestBackendResetInUpload(t *testing.T) {
	for _, name := range faulty {
		for _, version := range []string{"h1", "h2"} {
			pr, pw := io.Pipe()
			go func() {
				_, _ = io.WriteString(pw, `["x",`)
				time.Sleep(50 * time.Millisecond)
				_, _ = io.WriteString(pw, `"jane@example.com"]`)
				_ = pw.Close()
			}()
			a, err := try(t.Context(), name, "POST", "/mask/x", pr, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = r.Body.Read(make([]byte, 1))
				panic(http.ErrAbortHandler)
			}, "X-Upstream", version)
			_ = pr.Close()
			if err == nil && a.StatusCode == 200 {
				t.Errorf("%s %s: %d", name, version, a.StatusCode)
			}
		}
		settled(t)
	}
}

// TestHalfClosed: one side of a connection is closed, the other is not.
func TestHalfClosed(t *testing.T) {
	for _, name := range faulty {
		// A client that has said all there is to say. Envoy may take it for one
		// that has gone.
		c := raw(t, name, reply(document), fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(document), document))
		_ = c.CloseWrite()
		if b, err := io.ReadAll(c); err == nil && (bytes.Contains(b, []byte("jane@")) || len(b) > 0 && !bytes.Contains(b, []byte("<mail>"))) {
			t.Errorf("%s: after the request: %q", name, b)
		}
		// One that stops in the middle.
		c = raw(t, name, reply(document), "Content-Length: 1000\r\n\r\n"+half)
		_ = c.CloseWrite()
		if b, err := io.ReadAll(c); err == nil && bytes.Contains(b, []byte(" 200 ")) {
			t.Errorf("%s: in the request: %q", name, b)
		}
		// A backend whose body ends where it closes its side.
		a := ask(t, name, "POST", "/mask/x", strings.NewReader(document), func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"+document)
			if t, ok := c.(*net.TCPConn); ok {
				_ = t.CloseWrite()
			}
			_, _ = io.Copy(io.Discard, c) // until the other side closes, too
			_ = c.Close()
		})
		if a.StatusCode != 200 || a.err != nil || a.body != masked {
			t.Errorf("%s: from the backend: %d, %v, %q", name, a.StatusCode, a.err, a.body)
		}
		settled(t)
	}
}

// TestSlowReader: a client that does not read does not make Sluice hold what
// the backend sends.
func TestSlowReader(t *testing.T) {
	const size = 16 << 20 // more than the sockets and Envoy's windows take
	for _, name := range []string{"streamed", "duplex", "none-override"} {
		src := newRecords(size)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+envoy.Addr(name)+"/mask/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(e2e.CaseHeader, backend.Case(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.Copy(w, src)
		}))
		resp, err := clients["h1"].Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var out masksSeen
		if _, err := io.CopyN(&out, resp.Body, 64<<10); err != nil {
			t.Error(err)
		}
		most := 0.0
		for range 20 {
			time.Sleep(10 * time.Millisecond)
			most = max(most, metric(t, "sluice_held_bytes"))
		}
		if most > mostHeld {
			t.Errorf("%s: %v bytes are held", name, most)
		}
		if _, err := io.Copy(&out, resp.Body); err != nil || !out.right(src) {
			t.Errorf("%s: %v, %+v of %d", name, err, out, src.records)
		}
		_ = resp.Body.Close()
		settled(t)
	}
}

// TestHugeBodies: 100 MB in both directions at once, within the time of a
// request, and with little held.
func TestHugeBodies(t *testing.T) {
	const size = 100 << 20
	up, down := newRecords(size), newRecords(size)
	var got masksSeen
	var most atomic.Int64
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				most.Store(max(most.Load(), int64(metric(t, "sluice_held_bytes"))))
			}
		}
	})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+envoy.Addr("duplex")+"/mask/x", up)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	received := make(chan error, 1)
	req.Header.Set(e2e.CaseHeader, backend.Case(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(&got, r.Body)
		received <- err
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.Copy(w, down)
	}))
	patient := *clients["h1"]
	patient.Timeout = 3 * time.Minute
	resp, err := patient.Do(req)
	if err != nil {
		t.Fatalf("%v\n%s", err, envoy.Stats())
	}
	var out masksSeen
	_, err = io.Copy(&out, resp.Body)
	_ = resp.Body.Close()
	close(stop)
	watch.Wait()
	if rerr := <-received; rerr != nil || !got.right(up) {
		t.Errorf("the backend got %+v, %v, of %d", got, rerr, up.records)
	}
	if err != nil || resp.StatusCode != 200 || !out.right(down) {
		t.Errorf("the client got %d, %+v, %v, of %d", resp.StatusCode, out, err, down.records)
	}
	if most.Load() > mostHeld {
		t.Errorf("%d bytes were held", most.Load())
	}
	settled(t)
}

// recordsReader is a JSON document that is made as it is read.
type recordsReader struct {
	left    int
	records int
	buf     []byte
	ended   bool
}

func newRecords(size int) *recordsReader { return &recordsReader{left: size, buf: []byte("[null")} }

const oneRecord = `,{"n": 1.10, "mail": "jane@example.com", "text": "nothing to see here, move along"}`

func (r *recordsReader) Read(p []byte) (int, error) {
	for len(r.buf) < len(p) && r.left > 0 {
		r.buf = append(r.buf, oneRecord...)
		r.left -= len(oneRecord)
		r.records++
	}
	if r.left <= 0 && !r.ended {
		r.buf, r.ended = append(r.buf, ']'), true
	}
	if len(r.buf) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.buf)
	r.buf = r.buf[:copy(r.buf, r.buf[n:])]
	return n, nil
}

// masksSeen counts what comes out, wherever it is cut.
type masksSeen struct {
	Bytes, Masks, Raw int
	tail              []byte
}

func (m *masksSeen) Write(p []byte) (int, error) {
	const longest = len("jane@example.com")
	m.Bytes += len(p)
	text := append(m.tail, p...)
	m.Masks += bytes.Count(text, []byte(`"<mail>"`)) - bytes.Count(m.tail, []byte(`"<mail>"`))
	m.Raw += bytes.Count(text, []byte("jane@"))
	keep := min(len(text), longest)
	m.tail = append([]byte(nil), text[len(text)-keep:]...)
	return len(p), nil
}

func (m *masksSeen) right(src *recordsReader) bool {
	whole := len("[null]") + src.records*(len(oneRecord)-len("jane@example.com")+len("<mail>"))
	return m.Raw == 0 && m.Masks == src.records && m.Bytes == whole
}

// TestBrackets: six megabytes of opening brackets are no document, and what
// comes after them is still looked at.
func TestBrackets(t *testing.T) {
	open := strings.Repeat("[", 6<<20)
	for _, name := range []string{"big-duplex", "big-buffered", "big-streamed", "duplex", "none-override"} {
		got := make(chan bool, 1)
		a := ask(t, name, "POST", "/mask/x", strings.NewReader(open+`"jane@example.com"`), func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			got <- err == nil && string(b) == open+`"<mail>"`
			reply(open+`"jane@example.com"`)(w, r)
		})
		if a.StatusCode != 200 || a.err != nil || a.body != open+`"<mail>"` {
			t.Errorf("%s: %d, %v, %d bytes", name, a.StatusCode, a.err, len(a.body))
			continue
		}
		if !<-got {
			t.Errorf("%s: the backend got something else", name)
		}
	}
	settled(t)
}

// TestMalformed: whatever is written to the gRPC port, only its own stream
// ends.
func TestMalformed(t *testing.T) {
	before := metric(t, "sluice_panics_total")
	message := func(flag byte, length int, payload string) string {
		var head [5]byte
		head[0] = flag
		binary.BigEndian.PutUint32(head[1:], uint32(length))
		return string(head[:]) + payload
	}
	deep := strings.Repeat("\x0a\x7f", 3000) // messages in messages, all too long
	good := message(0, 0, "")                // a message without a phase
	bodies := map[string]string{
		"no message":             "",
		"an empty message":       good,
		"garbage in the message": message(0, 9, "\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
		"a field that is cut":    message(0, 3, "\x12\x7f\x0a"),
		"a huge length":          message(0, 0x7fffffff, "x"),
		"the largest length":     message(0, -1, "x"),
		"a message that is cut":  message(0, 100, "x"),
		"compressed with what":   message(1, 1, "x"),
		"an unknown flag":        message(0x7e, 1, "x"),
		"nested garbage":         message(0, len(deep), deep),
		"bad UTF-8 in a header":  message(0, 14, "\x12\x0c\x0a\x0a\x0a\x08\x0a\x02\xff\xfe\x12\x02\xff\xfe"),
		"no gRPC at all":         "GET / HTTP/1.1",
		"many empty messages":    strings.Repeat(good, 1000),
	}
	p := &http.Protocols{}
	p.SetUnencryptedHTTP2(true)
	c := &http.Client{Transport: &http.Transport{Protocols: p}, Timeout: 30 * time.Second}
	for name, body := range bodies {
		for _, path := range []string{"/envoy.service.ext_proc.v3.ExternalProcessor/Process", "/envoy.service.ext_proc.v3.ExternalProcessor/Nothing", "/"} {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+sluice.String()+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/grpc")
			req.Header.Set("TE", "trailers")
			resp, err := c.Do(req)
			if err != nil {
				t.Errorf("%s to %s: %v", name, path, err)
				continue
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			status := resp.Trailer.Get("Grpc-Status") + resp.Header.Get("Grpc-Status")
			if status == "" {
				t.Errorf("%s to %s: there is no status", name, path)
			}
			if status == "0" && body != "" && strings.HasSuffix(path, "Process") {
				t.Errorf("%s: it is taken for a good exchange", name)
			}
		}
	}
	c.CloseIdleConnections()
	for _, text := range []string{"", "GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + strings.Repeat("\xff", 64), strings.Repeat("\x00", 4096), "\x16\x03\x01\x02\x00\x01"} {
		conn, err := net.DialTimeout("tcp", sluice.String(), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
		_, _ = io.WriteString(conn, text)
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}
	if n := metric(t, "sluice_panics_total"); n != before {
		t.Errorf("%v panics", n-before)
	}
	settled(t)
}

// TestTenThousandOpen: so many exchanges in mid-body, each of which ends as it
// should.
func TestTenThousandOpen(t *testing.T) {
	const n = 10_000
	p := &http.Protocols{}
	p.SetUnencryptedHTTP2(true)
	// Otherwise every request dials that begins before the first connection is
	// there: thousands, or more than there may be open files.
	transport := &http.Transport{Protocols: p, DisableCompression: true, MaxConnsPerHost: 100}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	name := backend.Case(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil || string(b) != `["<mail>"]` {
			w.WriteHeader(http.StatusBadRequest)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `["jane@example.com"]`)
	})
	finish := make(chan struct{})
	var good, bad atomic.Int64
	var first atomic.Pointer[error]
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+envoy.Addr("duplex")+"/mask/x",
				io.MultiReader(strings.NewReader(`["jane@exa`), &gate{finish, strings.NewReader(`mple.com"]`)}))
			if err == nil {
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("X-Upstream", "h2")
				req.Header.Set(e2e.CaseHeader, name)
				err = check(c.Do(req))
			}
			if err != nil {
				bad.Add(1)
				first.CompareAndSwap(nil, &err)
				return
			}
			good.Add(1)
		})
	}
	for end := time.Now().Add(40 * time.Second); metric(t, "sluice_streams_open") < n && bad.Load() == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("only %v exchanges are open", metric(t, "sluice_streams_open"))
			break
		}
	}
	close(finish)
	all.Wait()
	if good.Load() != n {
		t.Errorf("%d of %d went well; the first that did not: %v\n%s", good.Load(), n, *first.Load(), envoy.Stats())
	}
	transport.CloseIdleConnections()
	settled(t)
}

func check(resp *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(bufio.NewReader(resp.Body))
	if err == nil && (resp.StatusCode != 200 || string(b) != `["<mail>"]`) {
		err = errors.New(resp.Status + " " + string(b))
	}
	return err
}

// gate reads nothing until it is opened.
type gate struct {
	open <-chan struct{}
	r    io.Reader
}

func (g *gate) Read(p []byte) (int, error) {
	<-g.open
	return g.r.Read(p)
}
