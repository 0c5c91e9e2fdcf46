package pii

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
)

// analyzer is a small stand-in for Presidio's: it finds the names it knows.
type analyzer struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []analyzeRequest
	tokens []string
}

func newAnalyzer(t *testing.T) *analyzer {
	t.Helper()
	a := &analyzer{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req analyzeRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil || r.URL.Path != "/analyze" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		a.mu.Lock()
		a.asked, a.tokens = append(a.asked, req), append(a.tokens, r.Header.Get("Authorization"))
		a.mu.Unlock()
		type result struct {
			EntityType string  `json:"entity_type"`
			Start      int     `json:"start"`
			End        int     `json:"end"`
			Score      float64 `json:"score"`
		}
		results := []result{}
		for name, entity := range map[string]string{"blue lantern": "PERSON", "cółd": "LOCATION", "jane.doe@example.com": "URL"} {
			for at := 0; ; {
				i := strings.Index(req.Text[at:], name)
				if i < 0 {
					break
				}
				at += i
				start := utf8.RuneCountInString(req.Text[:at])
				results = append(results, result{entity, start, start + utf8.RuneCountInString(name), 0.85})
				at += len(name)
			}
		}
		_ = json.NewEncoder(w).Encode(results)
	}))
	t.Cleanup(a.Close)
	return a
}

func detectors(h HTTPDetector) func(*Config) {
	return func(c *Config) { c.Action = Replace; c.Detectors = []Detector{{HTTP: &h}} }
}

// whole passes a whole JSON body through a filter, as the runner does where
// all of it is needed.
func whole(t *testing.T, f *filter, doc string) (string, filters.Decision, error) {
	t.Helper()
	if f.Needs(filters.Response).Body != filters.WholeBody {
		t.Fatal("the whole body is not needed")
	}
	ex := &filters.Exchange{}
	ex.Response.Headers = filters.NewHeaders(filters.Field{Name: "content-type", Value: "application/json"})
	ex.Response.Body = []byte(doc)
	s, err := f.Open(t.Context(), ex, filters.Response)
	if err != nil {
		return "", filters.Decision{}, err
	}
	paths, err := body.CompilePaths(f.cfg.Paths)
	if err != nil {
		t.Fatal(err)
	}
	e := body.NewEditor(body.JSON, []body.Stage{{Stream: s, Paths: paths}}, body.Limits{})
	out, err := e.Write(t.Context(), nil, []byte(doc))
	if err == nil {
		out, err = e.Close(t.Context(), out)
	}
	if err != nil {
		t.Fatal(err)
	}
	dec, err := s.Close(t.Context(), &filters.Ledger{})
	return string(out), dec, err
}

// TestOutside: what a detector outside finds is treated like what is found
// here, in code points, in documents in strings too, and where both find
// something the better score counts. Short values are asked about together.
func TestOutside(t *testing.T) {
	a := newAnalyzer(t)
	t.Setenv("ANALYZER_TOKEN", "not-a-real-token")
	f := newFilter(t, detectors(HTTPDetector{URL: a.URL + "/analyze", Entities: []string{"PERSON", "LOCATION"}, Token: &filters.SecretRef{Env: "ANALYZER_TOKEN"}}))
	got, dec, err := whole(t, f, `{"a":"Ąę: blue lantern in cółd","b":"mail jane.doe@example.com","in":"{\"x\":\"by bl\\u0075e lantern\"}","n":17,"c":"blue","d":"lantern","e":"blue\u00a0lantern"}`)
	want := `{"a":"Ąę: <PERSON> in <LOCATION>","b":"mail <EMAIL_ADDRESS>","in":"{\"x\":\"by <PERSON>\"}","n":17,"c":"blue","d":"lantern","e":"<PERSON>"}`
	if err != nil || got != want {
		t.Errorf("got %s, %v", got, err)
	}
	if dec.Findings.Of("PERSON") != 3 || dec.Findings.Of("LOCATION") != 1 || dec.Findings.Of("EMAIL_ADDRESS") != 1 || dec.Reason != "" {
		t.Errorf("%+v", dec)
	}
	if len(a.asked) != 1 || a.asked[0].Language != "en" || fmt.Sprint(a.asked[0].Entities) != "[PERSON LOCATION]" || a.tokens[0] != "Bearer not-a-real-token" {
		t.Errorf("asked %+v with %q", a.asked, a.tokens)
	}
	if got := f.Calls(); len(got) != 1 || got[0] != a.URL+"/analyze" {
		t.Errorf("it calls %q", got)
	}
}

// TestOutsideSelects: only what the paths select is told, and only wanted
// entities with their thresholds come back.
func TestOutsideSelects(t *testing.T) {
	a := newAnalyzer(t)
	f := newFilter(t, func(c *Config) {
		detectors(HTTPDetector{URL: a.URL + "/analyze", Entities: []string{"PERSON", "LOCATION"}})(c)
		c.Paths, c.Entities, c.Scores = []string{"$.note"}, []string{"PERSON", "LOCATION"}, map[string]float64{"LOCATION": 0.9}
	})
	got, _, err := whole(t, f, `{"note":"blue lantern in cółd, jane.doe@example.com","secret":"blue lantern"}`)
	if err != nil || got != `{"note":"<PERSON> in cółd, jane.doe@example.com","secret":"blue lantern"}` {
		t.Errorf("got %s, %v", got, err)
	}
	if len(a.asked) != 1 || strings.Count(a.asked[0].Text, "blue") != 1 {
		t.Errorf("asked %+v", a.asked)
	}
}

// TestOutsideFails: without the detector, what is found here counts, and the
// decision says so; one that is required fails the step.
func TestOutsideFails(t *testing.T) {
	const doc = `{"a":"blue lantern, jane.doe@example.com"}`
	answer := func(status int, text string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(text))
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then is it seen that the caller has gone
		<-r.Context().Done()
	}))
	t.Cleanup(slow.Close)
	other := newAnalyzer(t)
	moved := httptest.NewServer(http.RedirectHandler(other.URL+"/analyze", http.StatusTemporaryRedirect))
	t.Cleanup(moved.Close)
	for name, url := range map[string]string{
		"nobody there": "http://127.0.0.1:1/analyze", "an error": answer(500, "blue lantern"), "no JSON": answer(200, "blue lantern"), "another shape": answer(200, `{"spans":[]}`),
		"behind the text": answer(200, `[{"entity_type":"PERSON","start":0,"end":999,"score":1}]`), "backwards": answer(200, `[{"entity_type":"PERSON","start":5,"end":2,"score":1}]`),
		"no place": answer(200, `[{"entity_type":"PERSON","score":1}]`), "no score": answer(200, `[{"entity_type":"PERSON","start":0,"end":4,"score":7}]`),
		"a bad name": answer(200, `[{"entity_type":"<script>","start":0,"end":4,"score":1}]`), "too long": answer(200, strings.Repeat(" ", answerBytes+1)),
		"too slow": slow.URL, "a redirect": moved.URL,
	} {
		h := HTTPDetector{URL: url, Timeout: 200 * time.Millisecond}
		got, dec, err := whole(t, newFilter(t, detectors(h)), doc)
		if err != nil || got != `{"a":"blue lantern, <EMAIL_ADDRESS>"}` || dec.Reason != "detector" || dec.Verdict != filters.Changed {
			t.Errorf("%s: %s, %+v, %v", name, got, dec, err)
		}
		h.Required = true
		_, _, err = whole(t, newFilter(t, detectors(h)), doc)
		var failure *filters.Failure
		if !errors.As(err, &failure) || failure.Reason != "detector" || strings.Contains(err.Error(), "lantern") {
			t.Errorf("%s, required: %v", name, err)
		}
	}
	if len(other.asked) > 0 {
		t.Error("a redirect was followed")
	}
}

// TestOutsideIsBounded: never more calls at once than are allowed, of all
// exchanges together, and a large body goes in batches.
func TestOutsideIsBounded(t *testing.T) {
	var now, most atomic.Int64
	calls := atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(5 * time.Millisecond)
		_, _ = w.Write([]byte("[]"))
	}))
	t.Cleanup(s.Close)
	f := newFilter(t, detectors(HTTPDetector{URL: s.URL, Concurrency: 3, Timeout: 10 * time.Second, Required: true}))
	var doc strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&doc, `"some text number %d that is asked about %s",`, i, strings.Repeat("x", 30))
	}
	text := "[" + doc.String() + `"end"]`
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			ex := &filters.Exchange{}
			ex.Response.Headers = filters.NewHeaders(filters.Field{Name: "content-type", Value: "application/json"})
			ex.Response.Body = []byte(text)
			if _, err := f.Open(context.Background(), ex, filters.Response); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most.Load() > 3 || most.Load() < 2 {
		t.Errorf("%d calls at once", most.Load())
	}
	if n, want := calls.Load(), int64(4*(len(text)/batchBytes+1)); n > want || n < 4*int64(len(text)/batchBytes/2) {
		t.Errorf("%d calls for four times %d bytes", n, len(text))
	}
}

func TestDetectorConfig(t *testing.T) {
	for want, d := range map[string]Detector{
		"detectors[0]: names":           {},
		"detectors[0].http.url":         {HTTP: &HTTPDetector{URL: "ftp://x/y"}},
		"detectors[0].http.url: is":     {HTTP: &HTTPDetector{URL: "http://u:p@x/y"}},
		"detectors[0].http.timeout":     {HTTP: &HTTPDetector{URL: "http://x/y", Timeout: -1}},
		"detectors[0].http.concurrency": {HTTP: &HTTPDetector{URL: "http://x/y", Concurrency: 65}},
		"detectors[0].http.entities[0]": {HTTP: &HTTPDetector{URL: "http://x/y", Entities: []string{"a b"}}},
	} {
		c := *Definition().Config().(*Config)
		c.Detectors = []Detector{d}
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
}
