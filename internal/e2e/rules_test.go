package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/e2e"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

const forbidden = `{"verdict": "forbidden", "mail": "jane@example.com"}`

// answer is what a client gets.
type answer struct {
	*http.Response
	body string
	err  error // of reading the body
}

// ask sends a request through a listener.
func ask(t *testing.T, listener, method, path string, body io.Reader, handler http.HandlerFunc, more ...string) answer {
	t.Helper()
	a, err := try(t.Context(), listener, method, path, body, handler, more...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", listener, path, err, envoy.Stats())
	}
	return a
}

func try(ctx context.Context, listener, method, path string, body io.Reader, handler http.HandlerFunc, more ...string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+envoy.Addr(listener)+path, body)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(e2e.CaseHeader, backend.Case(handler))
	for i := 0; i < len(more); i += 2 {
		req.Header.Add(more[i], more[i+1])
	}
	version := "h1"
	if req.Header.Get("X-Upstream") == "h2" {
		version = "h2"
	}
	resp, err := clients[version].Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return answer{resp, string(b), err}, nil
}

func (a answer) sent() string { return a.Request.Header.Get(e2e.CaseHeader) }

func reply(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

var holding = []string{"buffered", "partial", "duplex", "none-override", "streamed-override", "buffered-override", "small-duplex"}

// TestDeniedByTheRequestBody: the client gets a problem document, and nothing
// reaches the backend.
func TestDeniedByTheRequestBody(t *testing.T) {
	for _, name := range holding {
		var reached atomic.Bool
		a := ask(t, name, "POST", "/judge/x", strings.NewReader(forbidden), func(http.ResponseWriter, *http.Request) { reached.Store(true) })
		var doc struct{ Type, Title, Instance string }
		if err := json.Unmarshal([]byte(a.body), &doc); err != nil || a.StatusCode != 403 || a.Header.Get("Content-Type") != "application/problem+json" ||
			doc.Type != "urn:example:forbidden" || !strings.HasPrefix(doc.Instance, "urn:sluice:exchange:") {
			t.Errorf("%s: %d, %q, %v, %+v", name, a.StatusCode, a.Header.Get("Content-Type"), err, doc)
		}
		if reached.Load() {
			t.Errorf("%s: the backend was called", name)
		}
	}
}

// TestDeniedByTheResponseBody: nothing of the response goes out, its headers
// neither.
func TestDeniedByTheResponseBody(t *testing.T) {
	for _, name := range holding {
		a := ask(t, name, "GET", "/judge/x", nil, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("X-Internal", "1")
			_, _ = io.WriteString(w, forbidden)
		})
		if a.StatusCode != 451 || strings.Contains(a.body, "@") || a.Header.Get("X-Internal") != "" {
			t.Errorf("%s: %d, %v", name, a.StatusCode, a.Header)
		}
	}
}

// TestDeniedTooLate: in STREAMED the response's headers are gone when its body
// is refused. The connection is cut, and nothing of the body has gone out.
func TestDeniedTooLate(t *testing.T) {
	a, err := try(t.Context(), "streamed", "GET", "/judge/x", nil, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		shape{trickle: true}.respond(w, forbidden)
	})
	if err == nil && (a.err == nil && a.StatusCode == 200 || strings.Contains(a.body, "jane")) {
		t.Errorf("%d, %v, %d bytes", a.StatusCode, a.err, len(a.body))
	}
}

// TestNoBodyIsSent: a body step that sees no body fails, and the policy's
// onError keeps the message from passing.
func TestNoBodyIsSent(t *testing.T) {
	a := ask(t, "none", "GET", "/mask/x", nil, reply(document))
	if a.StatusCode != 500 || strings.Contains(a.body, "@") {
		t.Errorf("%d", a.StatusCode)
	}
}

// TestHalfDuplex: full duplex in one direction, and an override in the other.
// Envoy takes it, or the step fails: nothing hangs, and nothing leaks.
func TestHalfDuplex(t *testing.T) {
	for _, name := range []string{"request-duplex-override", "response-duplex-override"} {
		for _, path := range []string{"/mask/x", "/judge/x"} {
			got := make(chan string, 1)
			a := ask(t, name, "POST", path, strings.NewReader(document), func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				got <- string(b)
				reply(document)(w, r)
			})
			if strings.Contains(a.body, "jane@") || a.StatusCode == 200 && (a.body != masked || <-got != masked) {
				t.Errorf("%s %s: %d\n%s", name, path, a.StatusCode, a.body)
			}
		}
	}
}

// TestHeaders: changes of headers in both directions, in every mode.
func TestHeaders(t *testing.T) {
	for _, l := range listeners {
		if l.Observe {
			continue
		}
		got := make(chan http.Header, 1)
		a := ask(t, l.Name, "POST", "/headers/x", strings.NewReader(document), func(w http.ResponseWriter, r *http.Request) {
			got <- r.Header
			w.Header().Set("X-Internal", "1")
			reply(document)(w, r)
		}, "X-Drop", "1", "X-Many", "a")
		h := <-got
		if h.Get("X-Request-Seen") != "1" || h.Get("X-Drop") != "" || strings.Join(h.Values("X-Many"), ",") != "a,b" {
			t.Errorf("%s: request %v", l.Name, h)
		}
		if a.StatusCode != 200 || a.Header.Get("X-Response-Seen") != "1" || a.Header.Get("X-Internal") != "" || a.body != document {
			t.Errorf("%s: response %d %v", l.Name, a.StatusCode, a.Header)
		}
	}
}

// TestSlowUpload: while headers wait for a slow body, Envoy's message timeout
// must not end the exchange.
func TestSlowUpload(t *testing.T) {
	for _, name := range []string{"impatient", "impatient-duplex", "none-override-slow"} {
		pr, pw := io.Pipe()
		go func() {
			for _, part := range []string{document[:20], document[20:40], document[40:]} {
				_, _ = io.WriteString(pw, part)
				time.Sleep(250 * time.Millisecond)
			}
			_ = pw.Close()
		}()
		got := make(chan string, 1)
		a := ask(t, name, "POST", "/judge/x", pr, func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			got <- string(b)
			reply(document)(w, r)
		})
		if a.StatusCode != 200 {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
			continue
		}
		if b := <-got; b != masked {
			t.Errorf("%s: the backend got\n%s", name, b)
		}
	}
}

// TestMoreTime: a step that declares more than Envoy's message timeout is
// given it.
func TestMoreTime(t *testing.T) {
	for _, name := range []string{"impatient", "impatient-duplex", "none-override"} {
		if a := ask(t, name, "POST", "/slow/x", strings.NewReader(document), reply("{}")); a.StatusCode != 200 {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
}

// TestMoreTimeForBodies: each message of a body is waited for anew.
func TestMoreTimeForBodies(t *testing.T) {
	for _, name := range []string{"impatient", "impatient-streamed", "impatient-duplex"} {
		a := ask(t, name, "GET", "/drag/x", nil, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for _, part := range []string{"[1,", "2,", "3]"} {
				_, _ = io.WriteString(w, part)
				_ = http.NewResponseController(w).Flush()
				time.Sleep(100 * time.Millisecond)
			}
		})
		if a.StatusCode != 200 || a.err != nil || a.body != "[1,2,3]" {
			t.Errorf("%s: %d %v %s", name, a.StatusCode, a.err, a.body)
		}
	}
}

// TestBodiless: messages that have no body whatever their headers say.
func TestBodiless(t *testing.T) {
	for _, name := range append([]string{"streamed"}, holding...) {
		for _, path := range []string{"/mask/x", "/judge/x"} {
			a := ask(t, name, "HEAD", path, nil, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Content-Length", "90")
			})
			if a.StatusCode != 200 || a.body != "" {
				t.Errorf("%s %s HEAD: %d", name, path, a.StatusCode)
			}
			for _, status := range []int{204, 304} {
				if a := ask(t, name, "GET", path, nil, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }); a.StatusCode != status || a.body != "" {
					t.Errorf("%s %s %d: %d", name, path, status, a.StatusCode)
				}
			}
			if a := ask(t, name, "POST", path, nil, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "0") }); a.StatusCode != 200 {
				t.Errorf("%s %s empty: %d", name, path, a.StatusCode)
			}
		}
	}
}

// TestContinue: a client that waits for 100 Continue gets it, where the
// request does not have to wait for the body itself.
func TestContinue(t *testing.T) {
	for _, name := range []string{"streamed", "duplex", "none-override"} {
		a := ask(t, name, "POST", "/mask/x", strings.NewReader(document), reply(document), "Expect", "100-continue")
		if a.StatusCode != 200 || a.body != masked {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
}

// TestEarlyResponse: a backend answers before it has read the request.
func TestEarlyResponse(t *testing.T) {
	for _, name := range []string{"streamed", "duplex", "none-override"} {
		for _, version := range []string{"h1", "h2"} {
			pr, pw := io.Pipe()
			go func() {
				_, _ = io.WriteString(pw, document[:30])
				time.Sleep(100 * time.Millisecond)
				_, _ = io.WriteString(pw, document[30:])
				_ = pw.Close()
			}()
			a, err := try(t.Context(), name, "POST", "/mask/x", pr, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(413)
				_, _ = io.WriteString(w, document)
			}, "X-Upstream", version)
			if err != nil || a.StatusCode != 413 || a.body != masked {
				t.Errorf("%s %s: %v %+v", name, version, err, a.body)
			}
		}
	}
}

// TestLocalReplies: what Envoy answers by itself passes the response steps,
// too.
func TestLocalReplies(t *testing.T) {
	for _, name := range append([]string{"streamed"}, holding...) {
		if a := ask(t, name, "GET", "/direct/x", nil, nil); a.StatusCode != 200 || a.body != "write to <mail>" {
			t.Errorf("%s: %d %q", name, a.StatusCode, a.body)
		}
		if a := ask(t, name, "GET", "/gone/x", nil, nil); a.StatusCode != 503 {
			t.Errorf("%s: %d %q", name, a.StatusCode, a.body)
		}
	}
}

// TestLargeBodies: megabytes in both directions, with Envoy's buffers large
// and small.
func TestLargeBodies(t *testing.T) {
	filler := strings.Repeat(`{"n": 1.10, "mail": "jane@example.com", "text": "nothing to see here, move along"},`, 1<<20/84)
	for _, name := range []string{"duplex", "small-duplex", "streamed", "none-override"} {
		megabytes := 8
		body := "[" + strings.Repeat(filler, megabytes) + "null]"
		want := strings.ReplaceAll(body, "jane@example.com", "<mail>")
		got := make(chan bool, 1)
		a := ask(t, name, "POST", "/mask/x", strings.NewReader(body), func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			got <- err == nil && string(b) == want
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body)
		})
		if !<-got {
			t.Errorf("%s: the backend got something else", name)
		}
		if a.err != nil || a.StatusCode != 200 || a.body != want {
			t.Errorf("%s: %d, %v, %d bytes of %d", name, a.StatusCode, a.err, len(a.body), len(want))
		}
	}
}

// TestBeyondTheBuffer: BUFFERED answers 413, BUFFERED_PARTIAL would let the
// rest by unseen, and the policy says no.
func TestBeyondTheBuffer(t *testing.T) {
	long := `{"text": "` + strings.Repeat("x", 100<<10) + `", "mail": "jane@example.com"}`
	if a := ask(t, "small-buffered", "POST", "/mask/x", strings.NewReader(long), reply(document)); a.StatusCode != 413 {
		t.Errorf("buffered: %d", a.StatusCode)
	}
	for _, s := range shapes {
		var leaked, whole atomic.Bool
		handler := func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			leaked.Store(strings.Contains(string(b), "jane@"))
			whole.Store(string(b) == strings.ReplaceAll(long, "jane@example.com", "<mail>"))
			reply(document)(w, r)
		}
		if s.trickle {
			continue
		}
		req := s.request(t, "http://"+envoy.Addr("small-partial")+"/mask/x", long)
		req.Header.Set(e2e.CaseHeader, backend.Case(handler))
		resp, err := clients["h1"].Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		if err == nil && resp.StatusCode == 200 && !whole.Load() || leaked.Load() {
			t.Errorf("partial request, %s: %v, leaked %t", s.name, err, leaked.Load())
		}
		a, err := try(t.Context(), "small-partial", "GET", "/mask/x", nil, func(w http.ResponseWriter, _ *http.Request) { s.respond(w, long) })
		// What Envoy has buffered in one go may be all of it.
		complete := a.body == strings.ReplaceAll(long, "jane@example.com", "<mail>")
		if err == nil && (a.StatusCode == 200 && a.err == nil && !complete || strings.Contains(a.body, "jane@")) {
			t.Errorf("partial response, %s: %d", s.name, a.StatusCode)
		}
	}
}

// TestWebsocket: the bytes of an upgraded connection pass both ways, and a
// refused upgrade is a response like any other.
func TestWebsocket(t *testing.T) {
	echo := func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = rw.WriteString("echo " + line)
		_ = rw.Flush()
		_, _ = rw.ReadString('\n') // until the client goes
	}
	refuse := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, document)
	}
	for _, name := range []string{"none", "streamed", "duplex", "none-override", "buffered-override", "streamed-override"} {
		for _, path := range []string{"/mask/x", "/judge/x"} {
			t.Run(name+path, func(t *testing.T) {
				conn, err := net.DialTimeout("tcp", envoy.Addr(name), 10*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = conn.Close() }()
				_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
				fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%s: %s\r\n\r\n", path, e2e.CaseHeader, backend.Case(echo))
				br := bufio.NewReader(conn)
				resp, err := http.ReadResponse(br, nil)
				if err != nil || resp.StatusCode != 101 {
					t.Fatalf("%v %v", err, resp)
				}
				fmt.Fprint(conn, "jane@example.com\n")
				if line, err := br.ReadString('\n'); err != nil || line != "echo jane@example.com\n" {
					t.Errorf("%v, %q", err, line)
				}
			})
		}
	}
	for _, name := range []string{"streamed", "duplex", "none-override", "buffered-override"} {
		conn, err := net.DialTimeout("tcp", envoy.Addr(name), 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		fmt.Fprintf(conn, "GET /mask/x HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%s: %s\r\n\r\n", e2e.CaseHeader, backend.Case(refuse))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("refused, %s: %v", name, err)
			continue
		}
		b, _ := io.ReadAll(io.LimitReader(resp.Body, int64(len(masked))))
		if strings.Contains(string(b), "@") || resp.StatusCode != 400 || string(b) != masked {
			t.Errorf("refused, %s: %d %v\n%q", name, resp.StatusCode, resp.Header, b)
		}
	}
}

// TestClientGone: a client that leaves in the middle ends its exchange.
func TestClientGone(t *testing.T) {
	for _, name := range []string{"buffered", "streamed", "duplex", "none-override"} {
		ctx, cancel := context.WithCancel(t.Context())
		handler := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, document[:30])
			_ = http.NewResponseController(w).Flush()
			cancel()
			<-r.Context().Done()
		}
		time.AfterFunc(500*time.Millisecond, cancel) // where the headers wait
		id := backend.Case(handler)
		_, err := try(ctx, name, "GET", "/mask/x", nil, handler, "X-Gone", id)
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		gone := func(s *pipeline.Summary) bool { return s.Exchange.Request.Headers.Get("x-gone") == id }
		if s := recorded.summary(t, gone); !s.Aborted {
			t.Errorf("%s: the exchange does not count as aborted", name)
		}
	}
}

// TestObservabilityMode: nothing is held up or changed, and what would have
// been is recorded.
func TestObservabilityMode(t *testing.T) {
	for _, path := range []string{"/mask/x", "/judge/x"} {
		a := ask(t, "observe", "POST", path, strings.NewReader(forbidden), reply(document))
		if a.StatusCode != 200 || a.body != document {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
		recorded.finished(t, a.sent())
		seen := recorded.decided(a.sent(), func(d *pipeline.Record) bool {
			return d.Mode == pipeline.Observe && (d.Decision.Verdict == filters.Changed || d.Decision.Verdict == filters.Denied)
		})
		if !seen {
			t.Errorf("%s: nothing was recorded", path)
		}
	}
}

// TestObservedSteps: steps that only observe change nothing in any mode.
func TestObservedSteps(t *testing.T) {
	for _, name := range append([]string{"none", "streamed"}, holding...) {
		a := ask(t, name, "GET", "/observed/x", nil, reply(forbidden))
		if a.StatusCode != 200 || a.body != forbidden {
			t.Errorf("%s: %d", name, a.StatusCode)
		}
	}
}

// TestEventStream: events arrive when they are sent, not when the stream
// ends.
func TestEventStream(t *testing.T) {
	for _, name := range []string{"streamed", "duplex", "none-override", "streamed-override", "small-duplex"} {
		release := make(chan struct{})
		handler := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: {\"mail\": \"jane@example.com\"}\n\n")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-release:
			case <-r.Context().Done():
			}
			_, _ = io.WriteString(w, "data: [DONE]\n\n")
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+envoy.Addr(name)+"/mask/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(e2e.CaseHeader, backend.Case(handler))
		resp, err := clients["h1"].Do(req)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			close(release)
			continue
		}
		br := bufio.NewReader(resp.Body)
		if line, err := br.ReadString('\n'); err != nil || line != "data: {\"mail\": \"<mail>\"}\n" {
			t.Errorf("%s: %v, %q", name, err, line)
		}
		close(release)
		if rest, err := io.ReadAll(br); err != nil || string(rest) != "\ndata: [DONE]\n\n" {
			t.Errorf("%s: %v, %q", name, err, rest)
		}
		_ = resp.Body.Close()
	}
}
