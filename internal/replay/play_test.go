package replay_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
	"github.com/sluice-proxy/sluice/internal/replay"
)

func TestParse(t *testing.T) {
	const request = "POST /a?b=1 HTTP/1.1\nhost: api.example.com\nX-One: 1\nx-one:  2 \ntrailer x-sum: 7\n\n{\"a\":\n\n1}\n"
	m, err := replay.ParseRequest([]byte(request))
	if err != nil {
		t.Fatal(err)
	}
	h := &m.Headers
	if h.Get(":method") != "POST" || h.Get(":path") != "/a?b=1" || h.Get(":authority") != "api.example.com" || h.Has("host") ||
		!slices.Equal(h.Values("x-one"), []string{"1", "2"}) || m.Trailers.Get("x-sum") != "7" || string(m.Body) != "{\"a\":\n\n1}\n" {
		t.Errorf("%+v", m)
	}
	again, err := replay.ParseRequest([]byte(m.String()))
	if err != nil || again.String() != m.String() {
		t.Errorf("%v: what is written is read as another message:\n%s", err, again)
	}
	for text, want := range map[string]string{"HTTP/1.1 404 Not Found\r\na: b\r\n\r\nbody": "404", "\n200\n\n": "200", "HTTP/2 204": "204"} {
		m, err := replay.ParseResponse([]byte(text))
		if err != nil || m.Headers.Get(":status") != want {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, bad := range []string{"", "GET", "GET a", "GET / HTTP/1.1 x", "GET / HTTP/1.1\nno header\n", "GET / HTTP/1.1\n: x\n"} {
		if _, err := replay.ParseRequest([]byte(bad)); err == nil {
			t.Errorf("request %q is taken", bad)
		}
	}
	for _, bad := range []string{"", "HTTP/1.1", "2000", "2x0", "OK"} {
		if _, err := replay.ParseResponse([]byte(bad)); err == nil {
			t.Errorf("response %q is taken", bad)
		}
	}
}

// upper writes text in capitals, and denies at a word.
type upper struct{}

func (upper) Needs(filters.Direction) filters.Needs {
	return filters.Needs{Body: filters.StreamedBody, Trailers: true}
}

func (upper) Apply(_ context.Context, ex *filters.Exchange, led *filters.Ledger) (filters.Decision, error) {
	led.SetHeader("x-seen", ex.Phase.String())
	return filters.Decision{}, nil
}

func (upper) Open(context.Context, *filters.Exchange, filters.Direction) (filters.Stream, error) {
	return upper{}, nil
}

func (upper) Value(_ context.Context, v *filters.Value) error {
	if v.More {
		v.Hold(0)
		return nil
	}
	if bytes.Contains(v.Text, []byte("forbidden")) {
		return &filters.DenyError{Denial: filters.Denial{Status: 403}}
	}
	v.Edit(0, len(v.Text), bytes.ToUpper(v.Text))
	return nil
}

func (upper) Close(_ context.Context, led *filters.Ledger) (filters.Decision, error) {
	led.SetMetadata("sluice", "seen", true)
	return filters.Decision{Verdict: filters.Changed}, nil
}

type steps pipeline.Chains

func (s steps) Begin(context.Context, *filters.Exchange) (pipeline.Chains, pipeline.Limits) {
	return pipeline.Chains(s), pipeline.Limits{}
}

func chains(t *testing.T) steps {
	t.Helper()
	step := func(d filters.Direction) []*pipeline.Step {
		s := []*pipeline.Step{{Policy: "p", Name: "s", Direction: d, Filter: upper{}, OnError: filters.Deny}}
		if err := pipeline.Compile(s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	return steps{Request: step(filters.Request), Response: step(filters.Response)}
}

func message(t *testing.T, parse func([]byte) (*replay.Message, error), text string) *replay.Message {
	t.Helper()
	m, err := parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestPlay: both directions, however the bodies are cut and end.
func TestPlay(t *testing.T) {
	bytewise := func(b []byte) [][]byte { return slices.Collect(slices.Chunk(b, 1)) }
	for _, cut := range []func([]byte) [][]byte{nil, bytewise} {
		for _, ending := range []replay.Ending{replay.EndWithChunk, replay.EndEmpty, replay.EndWithTrailers} {
			req := message(t, replay.ParseRequest, "POST / HTTP/1.1\nx-request-id: r-1\ncontent-type: text/plain\n\nask")
			resp := message(t, replay.ParseResponse, "200\ncontent-type: text/plain\ntrailer x-sum: 1\n\nanswer")
			prepared := false
			res := replay.Play(t.Context(), chains(t), req, resp, replay.Options{Cut: cut, Ending: ending, Exchange: func(ex *filters.Exchange) { prepared = ex.ID == "r-1" }})
			if res.Denial != nil || string(res.Request.Body) != "ASK" || string(res.Response.Body) != "ANSWER" || !prepared {
				t.Fatalf("ending %d: %+v", ending, res)
			}
			if res.Response.Trailers.Get("x-seen") != "response_trailers" || res.Response.Trailers.Get("x-sum") != "1" ||
				res.Request.Trailers.Has("x-seen") != (ending == replay.EndWithTrailers) {
				t.Errorf("ending %d: trailers %v, %v", ending, res.Request.Trailers, res.Response.Trailers)
			}
			if res.Summary == nil || res.Summary.Aborted || res.Summary.ResponseBytes != 6 || len(res.Decisions) < 2 || res.Metadata["sluice"]["seen"] != true {
				t.Errorf("ending %d: %+v, %d decisions, %v", ending, res.Summary, len(res.Decisions), res.Metadata)
			}
		}
	}
}

// TestPlayDenied: what is denied does not get to the backend, or the client.
func TestPlayDenied(t *testing.T) {
	ask, answer := "POST / HTTP/1.1\n\nask", "200\n\nanswer"
	for _, c := range []struct{ request, response string }{
		{strings.ReplaceAll(ask, "ask", "forbidden"), answer},
		{ask, strings.ReplaceAll(answer, "answer", "forbidden")},
	} {
		res := replay.Play(t.Context(), chains(t), message(t, replay.ParseRequest, c.request), message(t, replay.ParseResponse, c.response), replay.Options{})
		if res.Denial == nil || res.Denial.Status != 403 || res.Response != nil || (res.Request != nil) != (c.request == ask) || !res.Summary.Denied {
			t.Errorf("%+v", res)
		}
	}
	res := replay.Play(t.Context(), chains(t), message(t, replay.ParseRequest, ask), nil, replay.Options{})
	if res.Response != nil || !res.Summary.Aborted {
		t.Errorf("without a response: %+v", res)
	}
	res = replay.Play(t.Context(), chains(t), message(t, replay.ParseRequest, ask), nil, replay.Options{Caps: &pipeline.Caps{}})
	if res.Denial == nil || res.Denial.Status != 500 {
		t.Errorf("a data plane that sends no body: %+v", res)
	}
}
