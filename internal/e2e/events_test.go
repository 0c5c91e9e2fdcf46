package e2e_test

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/internal/e2e"
)

// TestModelStream: a backend sends its next event only when the client has the
// one before, so nothing may be held up; and an address that is spread over
// events is masked. Also in a content coding, flushed event by event.
func TestModelStream(t *testing.T) {
	event := func(text string) string {
		return fmt.Sprintf(`data: {"choices":[{"index":0,"delta":{"content":%q},"finish_reason":null}]}`+"\n\n", text)
	}
	sent := []string{event("Write to "), event("jane"), event("@exa"), event("mple.com"), event(" now, or"),
		`data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n", "data: [DONE]\n\n"}
	// What is left of the text when it ends comes in an event before its end.
	want := []string{event("Write to "), event(""), event(""), event(""), event("<mail> now, "), event("or"), sent[5], sent[6]}
	for _, listener := range []string{"duplex", "streamed"} {
		for _, coding := range []string{"", "gzip"} {
			for _, version := range []string{"h1", "h2"} {
				t.Run(strings.Join([]string{listener, coding, version}, " "), func(t *testing.T) {
					arrived := make(chan bool)
					gone := make(chan bool)
					handler := func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
						var out io.Writer = w
						flush := func() { _ = http.NewResponseController(w).Flush() }
						if coding == "gzip" {
							w.Header().Set("Content-Encoding", "gzip")
							z := gzip.NewWriter(w)
							defer func() { _ = z.Close() }()
							out, flush = z, func() { _ = z.Flush(); _ = http.NewResponseController(w).Flush() }
						}
						for _, s := range sent {
							_, _ = io.WriteString(out, s)
							flush()
							select {
							case <-arrived:
							case <-gone:
								return
							case <-r.Context().Done():
								return
							}
						}
					}
					defer close(gone)
					req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+envoy.Addr(listener)+"/mask/x", strings.NewReader("{}"))
					if err != nil {
						t.Fatal(err)
					}
					req.Header.Set("Content-Type", "application/json")
					req.Header.Set(e2e.CaseHeader, backend.Case(handler))
					req.Header.Set("Accept-Encoding", "gzip")
					resp, err := clients[version].Do(req)
					if err != nil {
						t.Fatal(err)
					}
					defer func() { _ = resp.Body.Close() }()
					// A stuck event ends the test, not the suite.
					stuck := time.AfterFunc(5*time.Second, func() { _ = resp.Body.Close() })
					defer stuck.Stop()
					var in io.Reader = resp.Body
					if resp.Header.Get("Content-Encoding") == "gzip" {
						if in, err = gzip.NewReader(resp.Body); err != nil {
							t.Fatal(err)
						}
					} else if coding != "" {
						t.Fatalf("the content coding is %q", resp.Header.Get("Content-Encoding"))
					}
					lines := bufio.NewReader(in)
					answered := 0
					for i, w := range want {
						got := ""
						for !strings.HasSuffix(got, "\n\n") {
							line, err := lines.ReadString('\n')
							if err != nil {
								t.Fatalf("event %d: %v after %q", i, err, got)
							}
							got += line
						}
						if got != w {
							t.Fatalf("event %d: %q, want %q", i, got, w)
						}
						if i != 5 { // which came with the next
							answered++
							arrived <- true
						}
					}
					if _, err := lines.ReadByte(); err != io.EOF || answered != len(sent) {
						t.Errorf("%v after %d events", err, answered)
					}
				})
			}
		}
	}
}
