package ai_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// reply is what the faulty provider does with one call.
type reply struct {
	text       string        // the model's answer
	delay      time.Duration // before it
	status     int           // instead of 200
	retryAfter string
	raw        string // the whole body, instead of one that is right
	drop       bool   // cut the connection
	dropAfter  bool   // cut it in mid-body
	redirect   string
	noUsage    bool
}

// faulty is a provider that speaks OpenAI's, Azure's and Anthropic's
// protocols and does what it is told to, one reply after the other, the last
// one again and again. It keeps what it got.
type faulty struct {
	*httptest.Server
	mu      sync.Mutex
	replies []reply
	got     []string // bodies
	headers []http.Header
	paths   []string
	flying  int
	most    int
}

func newFaulty(t testing.TB, replies ...reply) *faulty {
	t.Helper()
	f := &faulty{replies: replies}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Server.Close)
	return f
}

func (f *faulty) next(body string, r *http.Request) reply {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, body)
	f.headers = append(f.headers, r.Header.Clone())
	f.paths = append(f.paths, r.URL.RequestURI())
	f.flying++
	f.most = max(f.most, f.flying)
	rep := f.replies[0]
	if len(f.replies) > 1 {
		f.replies = f.replies[1:]
	}
	return rep
}

func (f *faulty) calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.got)
}

// wire is everything that was sent to it.
func (f *faulty) wire() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.got, "\n")
}

func (f *faulty) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	rep := f.next(string(body), r)
	defer func() {
		f.mu.Lock()
		f.flying--
		f.mu.Unlock()
	}()
	select {
	case <-time.After(rep.delay):
	case <-r.Context().Done():
		return
	}
	if rep.retryAfter != "" {
		w.Header().Set("Retry-After", rep.retryAfter)
	}
	switch {
	case rep.drop:
		panic(http.ErrAbortHandler)
	case rep.dropAfter:
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"choices":[`)
		panic(http.ErrAbortHandler)
	case rep.redirect != "":
		http.Redirect(w, r, rep.redirect, http.StatusTemporaryRedirect)
		return
	case rep.raw != "":
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, rep.raw)
		return
	case rep.status != 0:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(rep.status)
		// Vendors quote the question in their errors.
		_, _ = fmt.Fprintf(w, `{"error":{"message":%q,"type":"t","code":"c"}}`, "cannot do: "+string(body))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(f.body(r.URL.Path, rep))
}

func (f *faulty) body(path string, rep reply) map[string]any {
	if strings.HasSuffix(path, "/messages") {
		content := map[string]any{"type": "text", "text": rep.text}
		var input map[string]any
		if json.Unmarshal([]byte(rep.text), &input) == nil {
			content = map[string]any{"type": "tool_use", "id": "t1", "name": "answer", "input": input}
		}
		return map[string]any{"id": "m1", "type": "message", "role": "assistant", "model": "claude-3-haiku-20240307", "stop_reason": "end_turn",
			"content": []any{content}, "usage": map[string]any{"input_tokens": 100, "output_tokens": 10}}
	}
	out := map[string]any{"id": "c1", "object": "chat.completion", "created": 1, "model": "m-2026-01-01",
		"choices": []any{map[string]any{"index": 0, "finish_reason": "stop", "message": map[string]any{"role": "assistant", "content": rep.text}}}}
	if !rep.noUsage {
		out["usage"] = map[string]any{"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
	}
	return out
}
