package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// full is a data plane that can do everything.
var full = pipeline.Caps{Body: true, HeadersAfterBody: true, HoldTail: true}

// fake is a filter whose parts are given by the test.
type fake struct {
	needs filters.Needs
	apply func(ctx context.Context, ex *filters.Exchange, led *filters.Ledger) (filters.Decision, error)
}

func (f fake) Needs(filters.Direction) filters.Needs { return f.needs }
func (f fake) Apply(ctx context.Context, ex *filters.Exchange, led *filters.Ledger) (filters.Decision, error) {
	if f.apply == nil {
		return filters.Decision{}, nil
	}
	return f.apply(ctx, ex, led)
}

// upper is a streamer that writes every string in capitals, and fails or
// denies where it meets a word.
type upper struct {
	fake
	failOn, denyOn, panicOn string
	slow                    time.Duration
}

func (u upper) Open(context.Context, *filters.Exchange, filters.Direction) (filters.Stream, error) {
	return &upperStream{u: u}, nil
}

type upperStream struct {
	u upper
	n int
}

func (s *upperStream) Value(_ context.Context, v *filters.Value) error {
	if v.Kind != filters.String && v.Kind != filters.Text {
		return nil
	}
	switch text := string(v.Text); {
	case s.u.failOn != "" && strings.Contains(text, s.u.failOn):
		return errors.New("a failure that quotes " + text)
	case s.u.denyOn != "" && strings.Contains(text, s.u.denyOn):
		return &filters.DenyError{Denial: filters.Denial{Status: 451, Title: "No"}}
	case s.u.panicOn != "" && strings.Contains(text, s.u.panicOn):
		panic("a panic that quotes " + text)
	}
	time.Sleep(s.u.slow)
	if up := bytes.ToUpper(v.Text); !bytes.Equal(up, v.Text) {
		v.Edit(0, len(v.Text), up)
		s.n++
	}
	return nil
}

func (s *upperStream) Close(_ context.Context, led *filters.Ledger) (filters.Decision, error) {
	led.Result = map[string]any{"count": s.n}
	if s.n == 0 {
		return filters.Decision{}, nil
	}
	return filters.Decision{Verdict: filters.Changed, Actions: filters.Counts{{Name: "upper", N: s.n}}}, nil
}

var streamed = fake{needs: filters.Needs{Body: filters.StreamedBody}}

// setHeader is a filter for the headers phase.
func setHeader(name, value string) filters.Filter {
	return fake{needs: filters.Needs{Headers: true}, apply: func(_ context.Context, _ *filters.Exchange, led *filters.Ledger) (filters.Decision, error) {
		led.SetHeader(name, value)
		led.Result = value
		return filters.Decision{}, nil
	}}
}

// reverseBody needs the whole body.
var reverseBody = fake{needs: filters.Needs{Body: filters.WholeBody}, apply: func(_ context.Context, ex *filters.Exchange, led *filters.Ledger) (filters.Decision, error) {
	b := bytes.Clone(ex.Message(ex.Phase.Direction()).Body)
	slices.Reverse(b)
	led.SetBody(b)
	led.SetHeader("x-reversed", "1")
	return filters.Decision{}, nil
}}

func failing(needs filters.Needs) filters.Filter {
	return fake{needs: needs, apply: func(context.Context, *filters.Exchange, *filters.Ledger) (filters.Decision, error) {
		return filters.Decision{}, errors.New("a failure that quotes secret")
	}}
}

// condition is a Condition whose parts are given by the test.
type condition struct {
	holds func(*filters.Exchange) (bool, error)
	body  [2]bool
	steps []string
}

func (c condition) Holds(ex *filters.Exchange) (bool, error) { return c.holds(ex) }
func (c condition) NeedsBody(d filters.Direction) bool       { return c.body[d] }
func (c condition) Steps() []string                          { return c.steps }

type recorder struct {
	records []*pipeline.Record
	summary *pipeline.Summary
}

func (r *recorder) Decision(rec *pipeline.Record) {
	kept := *rec
	r.records = append(r.records, &kept)
}
func (r *recorder) Exchange(s *pipeline.Summary) {
	kept := *s
	r.summary = &kept
}
func (r *recorder) verdicts() string {
	var out []string
	for _, rec := range r.records {
		s := fmt.Sprintf("%s:%s", rec.Step, rec.Decision.Verdict)
		if rec.Decision.Reason != "" {
			s += "(" + rec.Decision.Reason + ")"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

// request plays a request's body in chunks and returns what came of it.
type outcome struct {
	body    string
	changes []filters.Change
	denial  *filters.Denial
	rec     *recorder
	courses []pipeline.Course
	ex      *filters.Exchange
}

func play(t *testing.T, caps pipeline.Caps, limits pipeline.Limits, steps []*pipeline.Step, headers []filters.Field, chunks ...string) outcome {
	t.Helper()
	for i, s := range steps {
		if s.Name == "" {
			s.Name = fmt.Sprintf("s%d", i+1)
		}
		s.Policy = "p"
		if s.OnError == "" {
			s.OnError = filters.Deny
		}
	}
	if err := pipeline.Compile(steps); err != nil {
		t.Fatal(err)
	}
	rec := &recorder{}
	ex := &filters.Exchange{ID: "id-1", Started: time.Now()}
	ex.Request.Headers = filters.NewHeaders(append([]filters.Field{{Name: ":method", Value: "POST"}, {Name: ":path", Value: "/"}}, headers...)...)
	run := pipeline.NewRun(ex, pipeline.Chains{Set: "v1", Request: steps}, pipeline.Options{Limits: limits, Recorder: rec})
	out := outcome{rec: rec, ex: ex}
	ctx := context.Background()
	take := func(turn pipeline.Turn) bool {
		out.courses = append(out.courses, turn.Course)
		out.body += string(turn.Body)
		out.changes = append(out.changes, turn.Changes...)
		out.denial = turn.Denial
		return turn.Denial == nil
	}
	if take(run.Headers(ctx, filters.Request, caps, len(chunks) == 0)) {
		for i, c := range chunks {
			if !take(run.Body(ctx, filters.Request, []byte(c), i == len(chunks)-1)) {
				break
			}
		}
	}
	run.Finish(ctx)
	return out
}

var jsonType = []filters.Field{{Name: "content-type", Value: "application/json"}}

func TestStepsRunInOrderAndSeeEachOther(t *testing.T) {
	saw := ""
	look := fake{needs: filters.Needs{Headers: true}, apply: func(_ context.Context, ex *filters.Exchange, _ *filters.Ledger) (filters.Decision, error) {
		saw = fmt.Sprint(ex.Request.Headers.Get("x-a"), ex.Steps["first"])
		return filters.Decision{}, nil
	}}
	out := play(t, full, pipeline.Limits{}, []*pipeline.Step{{Name: "first", Filter: setHeader("x-a", "1")}, {Filter: look}}, nil)
	if saw != "1 1" && saw != "11" {
		t.Errorf("the second step saw %q", saw)
	}
	if got, want := out.rec.verdicts(), "first:changed s2:passed"; got != want {
		t.Errorf("verdicts %s, want %s", got, want)
	}
}

func TestModes(t *testing.T) {
	for _, tt := range []struct {
		mode       pipeline.Mode
		body       string
		header     bool
		resultSeen bool
	}{
		{pipeline.Enforce, `{"a":"X"}`, true, true},
		{pipeline.Observe, `{"a":"x"}`, false, true},
		{pipeline.Shadow, `{"a":"x"}`, false, false},
	} {
		t.Run(string(tt.mode), func(t *testing.T) {
			seen := false
			look := fake{needs: filters.Needs{Headers: true}, apply: func(_ context.Context, ex *filters.Exchange, _ *filters.Ledger) (filters.Decision, error) {
				seen = ex.Steps["h"] != nil
				return filters.Decision{}, nil
			}}
			out := play(t, full, pipeline.Limits{}, []*pipeline.Step{
				{Name: "h", Filter: setHeader("x-a", "1"), Mode: tt.mode},
				{Name: "look", Filter: look},
				{Name: "b", Filter: upper{fake: streamed}, Mode: tt.mode},
				{Name: "f", Filter: failing(filters.Needs{Headers: true}), Mode: tt.mode, OnError: filters.Continue},
			}, jsonType, `{"a":`, `"x"}`)
			if out.body != tt.body {
				t.Errorf("body %s, want %s", out.body, tt.body)
			}
			if out.ex.Request.Headers.Has("x-a") != tt.header || (len(out.changes) > 0) != tt.header {
				t.Errorf("header there: %v, want %v", out.ex.Request.Headers.Has("x-a"), tt.header)
			}
			if seen != tt.resultSeen {
				t.Errorf("result seen: %v, want %v", seen, tt.resultSeen)
			}
			// What it would have done is recorded all the same.
			if got, want := out.rec.verdicts(), "h:changed look:passed f:failed(error) b:changed"; got != want {
				t.Errorf("verdicts %s, want %s", got, want)
			}
			if out.denial != nil {
				t.Error("denied")
			}
		})
	}
}

func TestObservedFailureNeverTouchesTheExchange(t *testing.T) {
	for _, mode := range []pipeline.Mode{pipeline.Observe, pipeline.Shadow} {
		out := play(t, full, pipeline.Limits{}, []*pipeline.Step{
			{Filter: failing(filters.Needs{Headers: true}), Mode: mode, OnError: filters.Deny},
			{Filter: upper{fake: streamed, failOn: "x"}, Mode: mode, OnError: filters.Deny},
			{Filter: upper{fake: streamed, denyOn: "x"}, Mode: mode, OnError: filters.Deny},
		}, jsonType, `{"a":"x"}`)
		if out.denial != nil || out.body != `{"a":"x"}` {
			t.Errorf("%s: denial %v, body %s", mode, out.denial, out.body)
		}
	}
}

func TestOnError(t *testing.T) {
	whole := filters.Needs{Body: filters.WholeBody}
	for _, tt := range []struct {
		name   string
		step   pipeline.Step
		status int // 0: goes on
		body   string
		says   string
	}{
		{"apply fails, deny", pipeline.Step{Filter: failing(filters.Needs{Headers: true})}, 500, "", "s1:failed(error)"},
		{"apply fails, continue", pipeline.Step{Filter: failing(filters.Needs{Headers: true}), OnError: filters.Continue}, 0, `{"a":"x"}`, "s1:failed(error)"},
		{"apply fails, fallback", pipeline.Step{Filter: failing(filters.Needs{Headers: true}), OnError: filters.Fallback, Fallback: setHeader("x-f", "1")}, 0, `{"a":"x"}`, "s1:failed(error) s1:changed(fallback)"},
		{"fallback fails too", pipeline.Step{Filter: failing(filters.Needs{Headers: true}), OnError: filters.Fallback, Fallback: failing(filters.Needs{})}, 500, "", "s1:failed(error) s1:failed(fallback: error)"},
		{"whole fails, deny", pipeline.Step{Filter: failing(whole)}, 500, "", "s1:failed(error)"},
		{"whole fails, continue", pipeline.Step{Filter: failing(whole), OnError: filters.Continue}, 0, `{"a":"x"}`, "s1:failed(error)"},
		{"stream fails, deny", pipeline.Step{Filter: upper{fake: streamed, failOn: "x"}}, 500, "", "s1:failed(error)"},
		{"stream fails, continue", pipeline.Step{Filter: upper{fake: streamed, failOn: "x"}, OnError: filters.Continue}, 0, `{"a":"x"}`, "s1:failed(error)"},
		{"stream fails, fallback streams", pipeline.Step{Filter: upper{fake: streamed, failOn: "x"}, OnError: filters.Fallback, Fallback: upper{fake: streamed}}, 0, `{"a":"X"}`, "s1:failed(error) s1:changed(fallback)"},
		{"stream panics, deny", pipeline.Step{Filter: upper{fake: streamed, panicOn: "x"}}, 500, "", "s1:failed(panic)"},
		{"stream denies", pipeline.Step{Filter: upper{fake: streamed, denyOn: "x"}}, 451, "", "s1:denied"},
		{"stream too slow", pipeline.Step{Filter: upper{fake: streamed, slow: 30 * time.Millisecond}, Timeout: 5 * time.Millisecond}, 500, "", "s1:failed(timeout)"},
		{"condition fails", pipeline.Step{Filter: setHeader("a", "b"), When: condition{holds: func(*filters.Exchange) (bool, error) { return false, errors.New("quotes x") }}}, 500, "", "s1:failed(condition)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out := play(t, full, pipeline.Limits{}, []*pipeline.Step{&tt.step}, jsonType, `{"a":"x"}`)
			status := 0
			if out.denial != nil {
				status = out.denial.Status
			}
			if status != tt.status || out.body != tt.body && status == 0 {
				t.Errorf("status %d, body %s; want %d, %s", status, out.body, tt.status, tt.body)
			}
			if status != 0 && strings.Contains(out.body, "x") {
				t.Error("the body went out although the exchange was denied")
			}
			if got := out.rec.verdicts(); got != tt.says {
				t.Errorf("verdicts %s, want %s", got, tt.says)
			}
		})
	}
}

// TestEventsAndWholeDocuments: a path that only a whole document can answer
// fails on a stream of events, rather than mean something else.
func TestEventsAndWholeDocuments(t *testing.T) {
	needs := filters.Needs{Body: filters.StreamedBody, Paths: []string{"$.a[-1]"}}
	const events = "data: {\"a\":[\"x\"]}\n\n"
	for onError, status := range map[filters.OnError]int{filters.Deny: 500, filters.Continue: 0} {
		step := pipeline.Step{Filter: upper{fake: fake{needs: needs}}, OnError: onError}
		out := play(t, full, pipeline.Limits{}, []*pipeline.Step{&step}, []filters.Field{{Name: "content-type", Value: "text/event-stream"}}, events)
		got := 0
		if out.denial != nil {
			got = out.denial.Status
		}
		if got != status || got == 0 && out.body != events {
			t.Errorf("%s: status %d, %q", onError, got, out.body)
		}
		if v := out.rec.verdicts(); v != "s1:failed(a path needs one document, not events)" {
			t.Errorf("%s: %s", onError, v)
		}
	}
}

func TestTimeoutOfApply(t *testing.T) {
	wait := fake{needs: filters.Needs{Headers: true}, apply: func(ctx context.Context, _ *filters.Exchange, led *filters.Ledger) (filters.Decision, error) {
		<-ctx.Done()
		led.SetHeader("x-late", "1")
		return filters.Decision{}, ctx.Err()
	}}
	out := play(t, full, pipeline.Limits{}, []*pipeline.Step{{Filter: wait, Timeout: 10 * time.Millisecond, OnError: filters.Continue}}, nil)
	if got, want := out.rec.verdicts(), "s1:failed(timeout)"; got != want || len(out.changes) != 0 {
		t.Errorf("verdicts %s with %d changes, want %s with none", got, len(out.changes), want)
	}
}

func TestWholeBody(t *testing.T) {
	out := play(t, full, pipeline.Limits{}, []*pipeline.Step{
		{Filter: upper{fake: streamed}},
		{Filter: reverseBody},
	}, []filters.Field{{Name: "content-type", Value: "text/plain"}}, "ab", "cd")
	if out.body != "DCBA" {
		t.Errorf("body %q", out.body)
	}
	if want := []filters.Change{{Op: filters.SetField, Name: "x-reversed", Value: "1"}}; !reflect.DeepEqual(out.changes, want) {
		t.Errorf("changes %v", out.changes)
	}
	if out.courses[0] != pipeline.CollectBody {
		t.Errorf("course %v", out.courses[0])
	}
}

func TestHeadersThatAreGone(t *testing.T) {
	caps := pipeline.Caps{Body: true, HoldTail: true}
	out := play(t, caps, pipeline.Limits{}, []*pipeline.Step{{Filter: reverseBody}}, nil, "ab")
	if got, want := out.rec.verdicts(), "s1:failed(the headers are gone)"; got != want || out.denial == nil {
		t.Errorf("verdicts %s, denial %v", got, out.denial)
	}
}

func TestBodyTooLargeToCollect(t *testing.T) {
	limits := pipeline.Limits{CollectBytes: 8}
	long := []string{`{"a":"x"`, `,"b":"y"`, `}`}
	t.Run("deny", func(t *testing.T) {
		out := play(t, full, limits, []*pipeline.Step{{Filter: reverseBody}}, jsonType, long...)
		if out.denial == nil || out.denial.Status != 413 || out.body != "" {
			t.Errorf("denial %v, body %q", out.denial, out.body)
		}
	})
	t.Run("continue, and the stream goes on", func(t *testing.T) {
		out := play(t, full, limits, []*pipeline.Step{{Filter: reverseBody, OnError: filters.Continue}, {Filter: upper{fake: streamed}}}, jsonType, long...)
		if out.denial != nil || out.body != `{"a":"X","b":"Y"}` {
			t.Errorf("denial %v, body %q", out.denial, out.body)
		}
		if got, want := out.courses, []pipeline.Course{pipeline.CollectBody, pipeline.CollectBody, pipeline.StreamBody, pipeline.StreamBody}; !slices.Equal(got, want) {
			t.Errorf("courses %v, want %v", got, want)
		}
	})
}

func TestConditionOnTheBodyWaits(t *testing.T) {
	onBody := condition{body: [2]bool{true, false}, holds: func(ex *filters.Exchange) (bool, error) {
		return bytes.Contains(ex.Request.Body, []byte("x")), nil
	}}
	for body, want := range map[string]string{`{"a":"x"}`: "s1:changed", `{"a":"z"}`: "s1:skipped(when)"} {
		out := play(t, full, pipeline.Limits{}, []*pipeline.Step{{Filter: setHeader("x-a", "1"), When: onBody}}, jsonType, body[:4], body[4:])
		if got := out.rec.verdicts(); got != want || out.body != body {
			t.Errorf("verdicts %s, body %s; want %s", got, out.body, want)
		}
	}
}

func TestAReaderOfALateResultWaits(t *testing.T) {
	reads := condition{steps: []string{"count"}, holds: func(ex *filters.Exchange) (bool, error) {
		m, _ := ex.Steps["count"].(map[string]any)
		return m["count"] == 2, nil
	}}
	out := play(t, full, pipeline.Limits{}, []*pipeline.Step{
		{Name: "count", Filter: upper{fake: streamed}},
		{Name: "after", Filter: setHeader("x-two", "1"), When: reads},
	}, jsonType, `{"a":"x","b":"y"}`)
	if got, want := out.rec.verdicts(), "count:changed after:changed"; got != want {
		t.Errorf("verdicts %s, want %s", got, want)
	}
}

func TestNoBodyMode(t *testing.T) {
	none := pipeline.Caps{}
	out := play(t, none, pipeline.Limits{}, []*pipeline.Step{{Filter: upper{fake: streamed}}}, jsonType, "x")
	if got, want := out.rec.verdicts(), "s1:failed(the data plane sends no body)"; got != want || out.denial == nil {
		t.Errorf("verdicts %s, denial %v", got, out.denial)
	}
	// An exchange without a body has nothing to hide.
	out = play(t, none, pipeline.Limits{}, []*pipeline.Step{{Filter: upper{fake: streamed}}}, jsonType)
	if out.denial != nil {
		t.Error("a message without a body was denied")
	}
}

func TestContentCoding(t *testing.T) {
	gz := append([]filters.Field{{Name: "content-encoding", Value: "gzip"}}, jsonType...)
	out := play(t, full, pipeline.Limits{}, []*pipeline.Step{{Filter: upper{fake: streamed}}}, gz, "x")
	if out.denial == nil {
		t.Error("a body that cannot be read went through a step that fails closed")
	}
}

func TestTailThatCannotBeSent(t *testing.T) {
	steps := []*pipeline.Step{{Policy: "p", Name: "s", Filter: upper{fake: streamed}, OnError: filters.Deny}}
	if err := pipeline.Compile(steps); err != nil {
		t.Fatal(err)
	}
	for body, cut := range map[string]bool{`{"a":"x"}`: false, `{"a":"x`: true} {
		ex := &filters.Exchange{}
		ex.Response.Headers = filters.NewHeaders(jsonType...)
		run := pipeline.NewRun(ex, pipeline.Chains{Response: steps}, pipeline.Options{})
		ctx := context.Background()
		run.Headers(ctx, filters.Response, pipeline.Caps{Body: true}, false)
		run.Body(ctx, filters.Response, []byte(body), false)
		turn := run.Trailers(ctx, filters.Response)
		if (turn.Denial != nil) != cut {
			t.Errorf("%s: denied %v, want %v", body, turn.Denial != nil, cut)
		}
		run.Finish(ctx)
	}
}

func TestUpgradePasses(t *testing.T) {
	steps := []*pipeline.Step{{Policy: "p", Name: "s", Filter: upper{fake: streamed}, OnError: filters.Deny}}
	if err := pipeline.Compile(steps); err != nil {
		t.Fatal(err)
	}
	run := pipeline.NewRun(&filters.Exchange{}, pipeline.Chains{Request: steps}, pipeline.Options{})
	run.Upgrade()
	ctx := context.Background()
	if turn := run.Headers(ctx, filters.Request, full, false); turn.Course != pipeline.PassBody || turn.Denial != nil {
		t.Errorf("course %v", turn.Course)
	}
	if turn := run.Body(ctx, filters.Request, []byte("raw"), false); string(turn.Body) != "raw" {
		t.Errorf("body %q", turn.Body)
	}
}

// TestRollout: the same key is always on the same side, and the share is
// about right.
func TestRollout(t *testing.T) {
	in := 0
	for i := range 2000 {
		first := ""
		for range 2 {
			rec := &recorder{}
			ex := &filters.Exchange{ID: "r", Consumer: filters.Consumer{ID: fmt.Sprint("consumer-", i)}}
			steps := []*pipeline.Step{{Policy: "p", Name: "s", Filter: setHeader("a", "b"), Rollout: &pipeline.Rollout{Percent: 25, By: "consumer"}}}
			if err := pipeline.Compile(steps); err != nil {
				t.Fatal(err)
			}
			run := pipeline.NewRun(ex, pipeline.Chains{Request: steps}, pipeline.Options{Recorder: rec})
			run.Headers(context.Background(), filters.Request, full, true)
			if v := rec.verdicts(); first == "" {
				first = v
				if strings.Contains(v, "changed") {
					in++
				}
			} else if v != first {
				t.Fatalf("consumer %d changed sides", i)
			}
		}
	}
	if in < 400 || in > 600 {
		t.Errorf("%d of 2000 are in, want about 500", in)
	}
}

// TestShadowNeverWaits: a step in shadow that needs the whole body looks at a
// copy after it has gone by.
func TestShadowNeverWaits(t *testing.T) {
	out := play(t, full, pipeline.Limits{}, []*pipeline.Step{{Filter: reverseBody, Mode: pipeline.Shadow}}, nil, "ab", "cd")
	if out.body != "abcd" || out.courses[0] != pipeline.StreamBody {
		t.Errorf("body %q, course %v", out.body, out.courses[0])
	}
	if got, want := out.rec.verdicts(), "s1:changed"; got != want {
		t.Errorf("verdicts %s, want %s", got, want)
	}
}

// TestNothingIsQuoted: errors and panics quote content; records do not.
func TestNothingIsQuoted(t *testing.T) {
	out := play(t, full, pipeline.Limits{}, []*pipeline.Step{
		{Filter: failing(filters.Needs{Headers: true}), OnError: filters.Continue},
		{Filter: upper{fake: streamed, failOn: "secret"}, OnError: filters.Continue},
		{Filter: upper{fake: streamed, panicOn: "secret"}, OnError: filters.Continue},
	}, jsonType, `{"a":"secret"}`)
	if s := fmt.Sprintf("%+v", out.rec.verdicts()); strings.Contains(s, "secret") || len(out.rec.records) != 3 {
		t.Errorf("records: %s", s)
	}
}

func TestRepliesOnceDenied(t *testing.T) {
	out := play(t, full, pipeline.Limits{}, []*pipeline.Step{{Filter: failing(filters.Needs{Headers: true})}, {Filter: setHeader("a", "b")}}, nil)
	if out.denial == nil || len(out.changes) != 0 || len(out.rec.records) != 1 {
		t.Errorf("denial %v, changes %v, records %d", out.denial, out.changes, len(out.rec.records))
	}
	if out.rec.summary == nil || !out.rec.summary.Denied {
		t.Error("the summary does not tell")
	}
}

// logged is a log step that tells what it sees.
func logged(needs filters.Needs, see func(*filters.Exchange)) *pipeline.Step {
	return &pipeline.Step{Name: "log", Policy: "p", Log: true, Direction: filters.Response, OnError: filters.Continue, Filter: fake{
		needs: needs,
		apply: func(_ context.Context, ex *filters.Exchange, _ *filters.Ledger) (filters.Decision, error) {
			see(ex)
			return filters.Decision{}, nil
		},
	}}
}

// TestALogStepSeesWhatWasForwarded: both bodies after the other steps, none
// where it was too large, and the decisions where it asks for them.
func TestALogStepSeesWhatWasForwarded(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		needs             filters.Needs
		limit             int64
		request, response string
		decisions         string
	}{
		{filters.Needs{Body: filters.WholeBody, Decisions: true}, 1 << 20, `{"a":"X"}`, `{"b":"y"}`, "upper request_body changed"},
		{filters.Needs{Body: filters.WholeBody}, 4, "", "", ""},
		{filters.Needs{Body: filters.WholeBody, KeepBytes: 6}, 6, `{"a":"`, `{"b":"`, ""},
		{filters.Needs{Body: filters.WholeBody, KeepBytes: 4}, 1 << 20, `{"a"`, `{"b"`, ""},
		{filters.Needs{}, 1 << 20, "", "", ""},
	} {
		seen := false
		var request, response, decisions string
		log := logged(c.needs, func(ex *filters.Exchange) {
			seen, request, response = true, string(ex.Request.Body), string(ex.Response.Body)
			for _, d := range ex.Decisions {
				decisions += d.Step + " " + d.Phase.String() + " " + d.Decision.Verdict.String()
			}
		})
		edit := &pipeline.Step{Name: "upper", Policy: "p", Filter: upper{fake: streamed}, Mode: pipeline.Enforce, OnError: filters.Continue}
		if err := pipeline.Compile([]*pipeline.Step{edit, log}); err != nil {
			t.Fatal(err)
		}
		json := filters.Field{Name: "content-type", Value: "application/json"}
		ex := &filters.Exchange{ID: "id"}
		ex.Request.Headers, ex.Response.Headers = filters.NewHeaders(json), filters.NewHeaders(json)
		run := pipeline.NewRun(ex, pipeline.Chains{Request: []*pipeline.Step{edit}, Log: []*pipeline.Step{log}}, pipeline.Options{Limits: pipeline.Limits{CollectBytes: c.limit}})
		run.Headers(ctx, filters.Request, full, false)
		run.Body(ctx, filters.Request, []byte(`{"a":`), false)
		run.Body(ctx, filters.Request, []byte(`"x"}`), true)
		run.Headers(ctx, filters.Response, full, false)
		run.Body(ctx, filters.Response, []byte(`{"b":"y"}`), true)
		run.Finish(ctx)
		if !seen || request != c.request || response != c.response || decisions != c.decisions {
			t.Errorf("%+v: saw %q, %q and %q", c.needs, request, response, decisions)
		}
	}
}
