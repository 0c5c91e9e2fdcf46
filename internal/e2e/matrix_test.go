package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/internal/e2e"
)

const (
	document = `{"id": 1.10, "mail": "jane@example.com", "notes": ["a\u00e9", "cc bob@example.com, please"], "n": null}` + "\n"
	masked   = `{"id": 1.10, "mail": "<mail>", "notes": ["a\u00e9", "cc <mail>, please"], "n": null}` + "\n"
)

var clients = map[string]*http.Client{"h1": client(false), "h2": client(true)}

func client(h2 bool) *http.Client {
	p := &http.Protocols{}
	p.SetHTTP1(!h2)
	p.SetUnencryptedHTTP2(h2)
	return &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{Protocols: p, DisableCompression: true, MaxIdleConnsPerHost: 4},
	}
}

// shape is how a message is sent.
type shape struct {
	name     string
	trickle  bool // a byte at a time
	sized    bool // with content-length
	trailers bool
}

var shapes = []shape{
	{"sized", false, true, false},
	{"chunked", false, false, false},
	{"trickled", true, false, false},
	{"sized and trickled", true, true, false},
	{"trailers", false, false, true},
	{"trickled with trailers", true, false, true},
}

// trickler hands out its text a byte at a time.
type trickler struct{ text string }

func (r *trickler) Read(p []byte) (int, error) {
	if r.text == "" {
		return 0, io.EOF
	}
	time.Sleep(100 * time.Microsecond) // for the bytes to arrive one by one
	n := copy(p[:1], r.text)
	r.text = r.text[n:]
	return n, nil
}

func (s shape) request(t *testing.T, url, body string) *http.Request {
	t.Helper()
	var r io.Reader = strings.NewReader(body)
	if s.trickle {
		r = &trickler{body}
	}
	// Only a plain reader hides its length.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, io.MultiReader(r))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = -1
	if s.sized {
		req.ContentLength = int64(len(body))
	}
	if s.trailers {
		req.Trailer = http.Header{"X-Sum": {"1"}}
	}
	req.Header.Set("Content-Type", "application/json")
	return req
}

func (s shape) respond(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "application/json")
	if s.sized {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	}
	if s.trailers {
		w.Header().Set("Trailer", "X-Sum")
	}
	flush := http.NewResponseController(w).Flush
	if !s.sized {
		_ = flush()
	}
	if s.trickle {
		for i := range len(body) {
			_, _ = io.WriteString(w, body[i:i+1])
			_ = flush()
		}
	} else {
		_, _ = io.WriteString(w, body)
	}
	if s.trailers {
		w.Header().Set("X-Sum", "1")
	}
}

// TestMatrix sends the same document through every configuration that can
// serve the policy, in every shape, over both versions of HTTP: the same
// bytes arrive on both sides, in full.
func TestMatrix(t *testing.T) {
	able := map[string][]string{
		"/mask/":  {"buffered", "buffered-skip", "partial", "partial-skip", "streamed", "streamed-skip", "duplex", "none-override", "streamed-override", "buffered-override", "small-duplex"},
		"/judge/": {"buffered", "buffered-skip", "partial", "partial-skip", "duplex", "none-override", "streamed-override", "buffered-override"},
	}
	for path, names := range able {
		for _, name := range names {
			t.Run(strings.Trim(path, "/")+"/"+name, func(t *testing.T) {
				t.Parallel()
				for _, s := range shapes {
					for _, version := range []string{"h1", "h2"} {
						cell(t, name, path, version, s)
					}
				}
			})
		}
	}
}

func cell(t *testing.T, listener, path, version string, s shape) {
	where := fmt.Sprintf("%s %s %s", listener, version, s.name)
	type seen struct {
		body, sum string
		err       error
	}
	got := make(chan seen, 1)
	name := backend.Case(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		got <- seen{string(b), r.Trailer.Get("X-Sum"), err}
		s.respond(w, document)
	})
	req := s.request(t, "http://"+envoy.Addr(listener)+path+"x", document)
	req.Header.Set(e2e.CaseHeader, name)
	req.Header.Set("X-Upstream", version)
	resp, err := clients[version].Do(req)
	if err != nil {
		t.Errorf("%s: %v\n%s", where, err, envoy.Stats())
		return
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || string(b) != masked {
		t.Errorf("%s: the response is %d, %v:\n%s", where, resp.StatusCode, err, b)
		return
	}
	back := <-got
	if back.err != nil || back.body != masked {
		t.Errorf("%s: the backend got %v:\n%s", where, back.err, back.body)
	}
	if s.trailers && (back.sum != "1" || resp.Trailer.Get("X-Sum") != "1") {
		t.Errorf("%s: trailers are lost: %q, %q", where, back.sum, resp.Trailer.Get("X-Sum"))
	}
	if resp.ContentLength >= 0 && resp.ContentLength != int64(len(masked)) {
		t.Errorf("%s: the length is %d", where, resp.ContentLength)
	}
}
