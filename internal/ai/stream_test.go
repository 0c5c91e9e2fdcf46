package ai_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai"
)

// streaming is a provider that streams, one script a call, the last one again
// and again.
type streaming struct {
	*httptest.Server
	calls atomic.Int32
	asked atomic.Value // the last request's body
	wrote atomic.Int64
}

// script writes an answer; it returns early where the client has gone.
type script func(s *stream)

func newStreaming(t testing.TB, scripts ...script) *streaming {
	t.Helper()
	p := &streaming{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		p.asked.Store(string(b))
		n := int(p.calls.Add(1))
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		scripts[min(n, len(scripts))-1](&stream{w: w, r: r, anthropic: strings.HasSuffix(r.URL.Path, "/messages"), provider: p})
	}))
	t.Cleanup(p.Server.Close)
	return p
}

// stream is an answer under way, in the vendor's events.
type stream struct {
	w         http.ResponseWriter
	r         *http.Request
	anthropic bool
	provider  *streaming
}

func (s *stream) raw(text string) bool {
	n, err := io.WriteString(s.w, text)
	s.provider.wrote.Add(int64(n))
	if err == nil {
		err = http.NewResponseController(s.w).Flush()
	}
	return err == nil
}

func (s *stream) event(kind string, data any) bool {
	b, _ := json.Marshal(data)
	if s.anthropic {
		return s.raw("event: " + kind + "\ndata: " + string(b) + "\n\n")
	}
	return s.raw("data: " + string(b) + "\n\n")
}

type obj = map[string]any

func (s *stream) chunk(delta obj, finish any) bool {
	return s.event("", obj{"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-2026-01-01", "choices": []any{obj{"index": 0, "delta": delta, "finish_reason": finish}}})
}

// open begins an answer: of a tool, or of a text.
func (s *stream) open(tool bool) {
	if !s.anthropic {
		// What Azure begins with.
		s.event("", obj{"id": "", "object": "", "created": 0, "model": "", "choices": []any{}, "prompt_filter_results": []any{}})
		delta := obj{"role": "assistant", "content": ""}
		if tool {
			delta = obj{"role": "assistant", "tool_calls": []any{obj{"index": 0, "id": "t1", "type": "function", "function": obj{"name": "answer", "arguments": ""}}}}
		}
		s.chunk(delta, nil)
		return
	}
	s.event("message_start", obj{"type": "message_start", "message": obj{"id": "m1", "type": "message", "role": "assistant", "model": "m-2026-01-01", "content": []any{}, "usage": obj{"input_tokens": 100, "output_tokens": 1}}})
	s.event("ping", obj{"type": "ping"})
	block := obj{"type": "text", "text": ""}
	if tool {
		block = obj{"type": "tool_use", "id": "t1", "name": "answer", "input": obj{}}
	}
	s.event("content_block_start", obj{"type": "content_block_start", "index": 0, "content_block": block})
}

// part says a part of the answer.
func (s *stream) part(tool bool, text string) bool {
	switch {
	case s.anthropic && tool:
		return s.event("content_block_delta", obj{"type": "content_block_delta", "index": 0, "delta": obj{"type": "input_json_delta", "partial_json": text}})
	case s.anthropic:
		return s.event("content_block_delta", obj{"type": "content_block_delta", "index": 0, "delta": obj{"type": "text_delta", "text": text}})
	case tool:
		return s.chunk(obj{"tool_calls": []any{obj{"index": 0, "function": obj{"arguments": text}}}}, nil)
	}
	return s.chunk(obj{"content": text}, nil)
}

// end ends the answer, with what it took.
func (s *stream) end(finish string) {
	if !s.anthropic {
		s.chunk(obj{}, finish)
		s.event("", obj{"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-2026-01-01", "choices": []any{}, "usage": obj{"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}})
		s.raw("data: [DONE]\n\n")
		return
	}
	s.event("content_block_stop", obj{"type": "content_block_stop", "index": 0})
	s.event("message_delta", obj{"type": "message_delta", "delta": obj{"stop_reason": finish, "stop_sequence": nil}, "usage": obj{"output_tokens": 10}})
	s.event("message_stop", obj{"type": "message_stop"})
}

// says is an answer as it should be, a few letters at a time.
func says(text string, tool bool) script {
	return func(s *stream) {
		s.open(tool)
		for part := range slices.Chunk([]rune(text), 7) {
			s.part(tool, string(part))
		}
		s.end("stop")
	}
}

// vendorsThatStream are a provider of every kind at the server.
func vendorsThatStream(p *streaming) map[string]ai.Spec {
	out := map[string]ai.Spec{}
	for kind, base := range map[string]string{"openai": "/v1", "compatible": "/v1", "azure": "", "anthropic": ""} {
		out[kind] = ai.Spec{Type: kind, Model: "gpt-4o-mini", BaseURL: p.URL + base, Stream: true, Retries: &ai.Retries{}, Breaker: &ai.Breaker{Failures: 1000}}
	}
	return out
}

// TestStreamedAnswers: a stream comes to what the same answer in one piece
// does, with its usage and the time to its first part.
func TestStreamedAnswers(t *testing.T) {
	const doc = `{"risk":"high","note":"a ünïcödé note"}`
	for _, tt := range []struct {
		name string
		tool bool
		says string
		task filters.Task
	}{
		{"text", false, "All is well.", filters.Task{}},
		{"structured", false, doc, riskTask()},
		{"structured in a fence", false, "```json\n" + doc + "\n```", riskTask()},
		{"a tool's arguments", true, doc, riskTask()},
	} {
		for kind := range vendorsThatStream(&streaming{Server: &httptest.Server{}}) {
			t.Run(tt.name+" "+kind, func(t *testing.T) {
				p := newStreaming(t, says(tt.says, tt.tool))
				e := newEnv(t, ai.Options{}, map[string]ai.Spec{"p": vendorsThatStream(p)[kind]})
				ans, err := ask(t, e.prepare(t, "p", tt.task), question("x"))
				if err != nil {
					t.Fatal(err)
				}
				if got := ans.Text + string(ans.JSON); got != tt.says && got != doc {
					t.Errorf("answer %s", got)
				}
				if ans.Usage.InputTokens != 100 || ans.Usage.OutputTokens != 10 || ans.Usage.Estimated || ans.Model != "m-2026-01-01" {
					t.Errorf("usage %+v of %s", ans.Usage, ans.Model)
				}
				if c := e.saw.calls[0]; c.FirstChunk <= 0 || c.Finish != "stop" {
					t.Errorf("first part after %s, finish %q", c.FirstChunk, c.Finish)
				}
				sent, _ := p.asked.Load().(string)
				if !strings.Contains(sent, `"stream":true`) || strings.Contains(sent, "include_usage") != (kind != "anthropic") {
					t.Errorf("request %s", sent)
				}
			})
		}
	}
}

// TestUsageThatIsNotTold: a server that is not asked for the usage, because it
// would refuse that, has it counted here.
func TestUsageThatIsNotTold(t *testing.T) {
	p := newStreaming(t, func(s *stream) { s.open(false); s.part(false, "All is well."); s.chunk(obj{}, "stop") })
	spec := vendorsThatStream(p)["compatible"]
	spec.ExtraParams = map[string]any{"stream_options": nil}
	e := newEnv(t, ai.Options{}, map[string]ai.Spec{"p": spec})
	ans, err := ask(t, e.prepare(t, "p", filters.Task{}), question("x"))
	if err != nil || !ans.Usage.Estimated || ans.Usage.InputTokens == 0 || ans.Usage.OutputTokens == 0 {
		t.Errorf("answer %+v, error %v", ans, err)
	}
	if sent, _ := p.asked.Load().(string); !strings.Contains(sent, `"stream_options":null`) {
		t.Errorf("request %s", sent)
	}
}

// TestWholeAnswersHaveNoFirstPart: what was not streamed is not measured so.
func TestWholeAnswersHaveNoFirstPart(t *testing.T) {
	f := newFaulty(t, reply{text: `{"risk":"low"}`})
	e := newEnv(t, ai.Options{}, map[string]ai.Spec{"p": compatible(f, nil)})
	if _, err := ask(t, e.prepare(t, "p", riskTask()), question("x")); err != nil || e.saw.calls[0].FirstChunk != 0 || strings.Contains(f.wire(), "stream") {
		t.Errorf("error %v, first part %s, request %s", err, e.saw.calls[0].FirstChunk, f.wire())
	}
}

// TestWholeAnswersAreBounded: one that is too long is not cut, but none.
func TestWholeAnswersAreBounded(t *testing.T) {
	for kind, base := range map[string]string{"compatible": "/v1", "anthropic": ""} {
		f := newFaulty(t, reply{text: strings.Repeat("long ", 1<<18)})
		e := newEnv(t, ai.Options{}, map[string]ai.Spec{"p": compatible(f, func(s *ai.Spec) { s.Type, s.BaseURL, s.Retries = kind, f.URL+base, &ai.Retries{Max: 2} })})
		ans, err := ask(t, e.prepare(t, "p", filters.Task{}), question("x"))
		if reasonOf(err) != "provider: too long" || f.calls() != 1 {
			t.Errorf("%s: answer %+v, error %v, %d calls", kind, ans, err, f.calls())
		}
	}
}

// TestStreamsThatFail: whatever breaks in the middle is a failure of a kind
// that is known, and never half an answer.
func TestStreamsThatFail(t *testing.T) {
	begin := func(s *stream) {
		s.open(false)
		s.part(false, `{"risk":"low"}`) // what was said so far would do
	}
	wide := strings.Repeat("x", 64<<10)
	for name, tt := range map[string]struct {
		script script
		reason string
	}{
		"cut off":                 {func(s *stream) { begin(s); panic(http.ErrAbortHandler) }, "provider: connect"},
		"over before its end":     {begin, "provider: connect"},
		"cut off within an event": {func(s *stream) { begin(s); s.raw("data: {\"choi"); panic(http.ErrAbortHandler) }, "provider: connect"},
		"no event at all":         {func(*stream) {}, "provider: malformed"},
		"an event that is not JSON": {func(s *stream) {
			begin(s)
			s.raw("event: content_block_delta\ndata: {\"type\": <chaos>\n\n")
			s.end("stop")
		}, "provider: malformed"},
		"an error of the vendor's": {func(s *stream) {
			begin(s)
			s.event("error", obj{"type": "error", "error": obj{"type": "overloaded_error", "message": "jane@example.com"}})
		}, "provider: server error"},
		"too many calls, told late": {func(s *stream) {
			begin(s)
			s.event("error", obj{"type": "error", "error": obj{"type": "rate_limit_error", "code": "rate_limit_exceeded", "message": "jane@example.com"}})
		}, "provider: rate limited"},
		"a text without an end": {func(s *stream) {
			begin(s)
			for s.part(false, wide) {
			}
		}, "provider: too long"},
		"an event without an end": {func(s *stream) {
			begin(s)
			s.raw("data: ")
			for s.raw(wide) {
			}
		}, "provider: too long"},
		"comments without an end": {func(s *stream) {
			begin(s)
			for s.raw(": " + wide + "\n\n") {
			}
		}, "provider: too long"},
		"refused": {func(s *stream) {
			s.open(false)
			s.end(map[bool]string{true: "refusal", false: "content_filter"}[s.anthropic])
		}, "provider: filtered"},
	} {
		for _, kind := range []string{"compatible", "azure", "anthropic"} {
			t.Run(name+" "+kind, func(t *testing.T) {
				p := newStreaming(t, tt.script)
				e := newEnv(t, ai.Options{}, map[string]ai.Spec{"p": vendorsThatStream(p)[kind]})
				ans, err := ask(t, e.prepare(t, "p", riskTask()), question("x"))
				if reasonOf(err) != tt.reason {
					t.Errorf("answer %+v, error %v, want %s", ans, err, tt.reason)
				}
				if strings.Contains(fmt.Sprint(err, e.saw.said()), "jane@") {
					t.Error("the vendor's words are told")
				}
				// What the client takes and the sockets hold beyond it.
				if n := p.wrote.Load(); n > 32<<20 {
					t.Errorf("%d bytes were taken", n)
				}
			})
		}
	}
}

// TestAStreamThatStallsEndsInTime: the deadline holds after the first part,
// too.
func TestAStreamThatStallsEndsInTime(t *testing.T) {
	for _, kind := range []string{"compatible", "anthropic"} {
		t.Run(kind, func(t *testing.T) {
			p := newStreaming(t, func(s *stream) {
				s.open(false)
				s.part(false, `{"risk":"low"}`)
				<-s.r.Context().Done()
			})
			spec := vendorsThatStream(p)[kind]
			spec.Timeout = 150 * time.Millisecond
			e := newEnv(t, ai.Options{}, map[string]ai.Spec{"p": spec})
			start := time.Now()
			_, err := ask(t, e.prepare(t, "p", riskTask()), question("x"))
			if took := time.Since(start); reasonOf(err) != "provider: timeout" || took > 5*time.Second {
				t.Errorf("error %v after %s", err, took)
			}
		})
	}
}

// TestABrokenStreamIsAskedAgain: what broke off may be retried, what the model
// declined or what is too long may not.
func TestABrokenStreamIsAskedAgain(t *testing.T) {
	cut := func(s *stream) { s.open(false); s.part(false, `{"risk":`); panic(http.ErrAbortHandler) }
	endless := func(s *stream) {
		s.open(false)
		for s.part(false, strings.Repeat("x", 64<<10)) {
		}
	}
	for _, tt := range []struct {
		name   string
		first  script
		calls  int32
		reason string
	}{
		{"cut off", cut, 2, ""},
		{"too long", endless, 1, "provider: too long"},
		{"filtered", func(s *stream) { s.open(false); s.end("content_filter") }, 1, "provider: filtered"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newStreaming(t, tt.first, says(`{"risk":"high"}`, false))
			spec := vendorsThatStream(p)["compatible"]
			spec.Retries, spec.Timeout = &ai.Retries{Max: 2, Delay: time.Millisecond}, 10*time.Second
			e := newEnv(t, ai.Options{}, map[string]ai.Spec{"p": spec})
			ans, err := ask(t, e.prepare(t, "p", riskTask()), question("x"))
			if err != nil && reasonOf(err) != tt.reason || err == nil && tt.reason != "" || p.calls.Load() != tt.calls {
				t.Errorf("answer %+v, error %v, %d calls", ans, err, p.calls.Load())
			}
			if err == nil && !bytes.Equal(ans.JSON, []byte(`{"risk":"high"}`)) {
				t.Errorf("answer %s", ans.JSON)
			}
		})
	}
}
