package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	modev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-proxy/sluice/extproc"
	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai"
	"github.com/sluice-proxy/sluice/internal/audit"
	"github.com/sluice-proxy/sluice/internal/telemetry"
	"github.com/sluice-proxy/sluice/policies"
)

// keepersPolicies have something of everything that could keep what is an
// exchange's: steps that observe and that shadow, conditions, details from
// expressions, fallbacks; and in a policy of their own those that hand things
// to others and go on: a model with a budget, and summaries.
const keepersPolicies = `
apiVersion: sluice/v1
kind: Settings
spec: {identity: {header: {trusted: true}}}
---
apiVersion: sluice/v1
kind: Provider
metadata: {name: echo}
spec:
  type: compatible
  model: m
  baseURL: %[1]s/v1
  timeout: 20s
---
apiVersion: sluice/v1
kind: Provider
metadata: {name: once}
spec:
  type: compatible
  model: m
  baseURL: %[1]s/v1
  timeout: 20s
  budget: {tokens: 500, per: month, by: consumer}
---
apiVersion: sluice/v1
kind: Policy
metadata: {name: plain}
spec:
  match: {paths: [/plain/**]}
  request:
    - {name: watch, filter: pii, mode: observe, with: {headers: [x-note], query: ["*"]}}
    - name: tell
      filter: transform
      with:
        headers: [{set: x-said, cel: 'consumer.id + " " + request.headers["x-mark"]'}]
        json: [{set: $.who, cel: 'consumer.id'}]
    - name: choose
      filter: route
      with:
        rules: [{name: marked, when: 'request.headers["x-mark"].contains("7")', headers: {x-way: seven}}]
        otherwise: {split: [{name: a, weight: 1, headers: {x-way: a}}, {name: b, weight: 1, headers: {x-way: b}}]}
    - name: gate
      filter: deny
      when: 'request.headers["x-mark"].endsWith("9")'
      with: {cel: {detail: '"not " + request.headers["x-mark"]'}}
  response:
    - {name: shadow, filter: pii, mode: shadow, with: {action: redact}}
    - {name: later, filter: transform, with: {headers: [{set: x-way, cel: 'steps.choose.rule + " " + steps.choose.variant'}]}}
    - name: mask
      filter: pii
      with: {action: mask, rules: [{entities: [EMAIL_ADDRESS], action: replace, template: "<mail>"}]}
---
apiVersion: sluice/v1
kind: Policy
metadata: {name: asked}
spec:
  match: {paths: [/asked/**]}
  request:
    - name: ask
      filter: infer
      with:
        provider: once
        prompt: {text: "{{header.x-mark}}", headers: [x-mark]}
        schema: {type: object, required: [mark], properties: {mark: {type: string}}}
    - {name: tell, filter: transform, with: {headers: [{set: x-said, cel: 'steps.ask.mark'}]}}
  response:
    - {name: mask, filter: pii, with: {action: mask}}
  log:
    - {name: sum-up, filter: summarize, with: {provider: echo, detail: full, timeout: 20s}}
    - {name: why, filter: explain}
`

// echoing is a model that answers with the mark in the question.
func echoing(t *testing.T) string {
	t.Helper()
	mark := regexp.MustCompile(`m-[0-9]+`)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		answer := map[string]any{"mark": string(mark.Find(b))}
		if bytes.Contains(b, []byte("Sum up")) {
			answer = map[string]any{"summary": "About " + string(mark.Find(b)) + "."}
		}
		text, _ := json.Marshal(answer)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"choices": []any{map[string]any{"message": map[string]any{"content": string(text)}}},
			"usage":   map[string]any{"prompt_tokens": 400, "completion_tokens": 1},
		})
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// spans is an OTLP client that keeps what it is given, without what differs
// from time to time.
type spans struct {
	mu  sync.Mutex
	all []string
}

func (s *spans) Start(context.Context) error { return nil }
func (s *spans) Stop(context.Context) error  { return nil }

func (s *spans) UploadTraces(_ context.Context, batch []*tracepb.ResourceSpans) error {
	// What is on its way to the collector is encoded already.
	wire, err := proto.Marshal(&coltracepb.ExportTraceServiceRequest{ResourceSpans: batch})
	if err != nil {
		return err
	}
	var read coltracepb.ExportTraceServiceRequest
	if err := proto.Unmarshal(wire, &read); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rs := range read.GetResourceSpans() {
		for _, scope := range rs.GetScopeSpans() {
			for _, sp := range scope.GetSpans() {
				line := fmt.Sprintf("%x %s", sp.GetTraceId(), sp.GetName())
				for _, a := range sp.GetAttributes() {
					line += fmt.Sprintf(" %s=%v", a.GetKey(), a.GetValue())
				}
				s.all = append(s.all, strings.Join(strings.Fields(line), " "))
			}
		}
	}
	return nil
}

// summed passes notes on, and tells of each summary.
type summed struct {
	audit.Shared
	each chan struct{}
}

func (n *summed) Note(note *filters.Note) {
	n.Shared.Note(note)
	if note.Kind == "summary" {
		n.each <- struct{}{}
	}
}

// kept is all that is left of some exchanges when they are over.
type kept struct {
	replies               map[string]string // by exchange
	audit, spans, metrics []string
}

var (
	times = regexp.MustCompile(`"time":"[^"]*",?|,"duration_us":[0-9]+`)
	// counted are the metrics that do not depend on the time.
	counted = regexp.MustCompile(`^(sluice_(decisions|entities|actions|exchanges|body_bytes|model_questions|model_failures|model_unpriced)|gen_ai_client_token_usage_sum)`)
)

// playAll plays exchanges one after another, each on a connection of its own,
// or all of them on one, and returns what is kept of them.
func playAll(t *testing.T, model string, marks []int, one bool) kept {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, keepersPolicies, model), 0o600); err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	log, err := audit.Open(audit.Config{Stdout: &lines})
	if err != nil {
		t.Fatal(err)
	}
	notes := &summed{each: make(chan struct{}, len(marks))}
	notes.Use(log)
	metrics := telemetry.NewMetrics()
	load := loader(quiet())
	load.Env.Notes = notes
	if load.Pool, err = ai.NewPool(ai.Options{Observer: telemetry.NewModels(metrics), Dial: load.Dial}); err != nil {
		t.Fatal(err)
	}
	set, err := policies.Open(t.Context(), load, file)
	if err != nil {
		t.Fatal(err)
	}
	sent := &spans{}
	tracing, err := telemetry.NewTracing(t.Context(), sent, telemetry.TracingConfig{Sample: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	up, served := make(chan net.Addr, 1), make(chan error, 1)
	server := extproc.New(set, extproc.Options{Recorder: telemetry.NewFanout(metrics, log, tracing), Metrics: metrics})
	go func() {
		served <- server.Serve(ctx, func(a []net.Addr) { up <- a[0] }, extproc.Listener{Address: "127.0.0.1:0"})
	}()
	address := (<-up).String()

	k := kept{replies: map[string]string{}}
	var conn *grpc.ClientConn
	summaries := 0
	for i, mark := range marks {
		if conn == nil || !one {
			if conn, err = grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials())); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
		}
		if asks(i) {
			summaries++
		}
		id := fmt.Sprintf("exchange-%d", i)
		if k.replies[id], err = playMark(conn, id, mark, asks(i)); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
	}
	for range summaries {
		select {
		case <-notes.each:
		case <-time.After(time.Minute):
			t.Fatal("a summary did not come")
		}
	}
	stop()
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	for _, end := range []func(context.Context) error{log.Close, tracing.Close} {
		if err := end(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(lines.String()) {
		k.audit = append(k.audit, times.ReplaceAllString(line, ""))
	}
	k.spans = sent.all
	w := httptest.NewRecorder()
	metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if counted.MatchString(line) {
			k.metrics = append(k.metrics, line)
		}
	}
	slices.Sort(k.audit)
	slices.Sort(k.spans)
	return k
}

// asks reports whether an exchange is one of those that ask a model.
func asks(i int) bool { return i%5 == 3 }

// playMark plays an exchange whose every value has its mark, and returns the
// replies.
func playMark(conn *grpc.ClientConn, id string, n int, asked bool) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	stream, err := extprocv3.NewExternalProcessorClient(conn).Process(ctx)
	if err != nil {
		return "", err
	}
	mark := fmt.Sprintf("m-%d", n)
	headers := func(pairs ...string) *extprocv3.HttpHeaders {
		m := &corev3.HeaderMap{}
		for i := 0; i < len(pairs); i += 2 {
			m.Headers = append(m.Headers, &corev3.HeaderValue{Key: pairs[i], RawValue: []byte(pairs[i+1])})
		}
		return &extprocv3.HttpHeaders{Headers: m}
	}
	path := "/plain/" + mark + "?to=" + mark + "@example.com"
	if asked {
		path = "/asked/" + mark
	}
	// Names and values are of lengths of their own, so that what is of another
	// would stand out.
	fill := strings.Repeat("f", n%61)
	body := fmt.Sprintf(`{"mark":%q,"%s%s":"%s@example.com","notes":["from %s%s","call +1 212 555 %04d"]}`, mark, mark, fill, mark, mark, fill, n%10000)
	duplex := &extprocv3.ProtocolConfiguration{RequestBodyMode: modev3.ProcessingMode_FULL_DUPLEX_STREAMED, ResponseBodyMode: modev3.ProcessingMode_FULL_DUPLEX_STREAMED}
	messages := []*extprocv3.ProcessingRequest{
		{ProtocolConfig: duplex, Request: &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: headers(":method", "POST", ":path", path, ":authority", "api.example.com", ":scheme", "http",
			"content-type", "application/json", "x-request-id", id, "x-mark", mark, "x-consumer-id", "consumer-"+mark, "x-note", "write to "+mark+"@example.com",
			"traceparent", fmt.Sprintf("00-%032x-%016x-01", n+1, n+1))}},
	}
	cut := 1 + n%(len(body)-1)
	for i, part := range []string{body[:cut], body[cut:]} {
		messages = append(messages, &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{RequestBody: &extprocv3.HttpBody{Body: []byte(part), EndOfStream: i == 1}}})
	}
	messages = append(messages, &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: headers(":status", "200", "content-type", "application/json")}})
	for i, part := range []string{body[:cut], body[cut:]} {
		messages = append(messages, &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseBody{ResponseBody: &extprocv3.HttpBody{Body: []byte(part), EndOfStream: i == 1}}})
	}
	for _, m := range messages {
		if err := stream.Send(m); err != nil {
			return "", err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return "", err
	}
	var all strings.Builder
	for {
		reply, err := stream.Recv()
		if err == io.EOF {
			return all.String(), nil
		}
		if err != nil {
			return "", err
		}
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(reply)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&all, "%q\n", b)
	}
}

// TestWhatIsKeptOfAnExchangeStaysItsOwn: the memory of an exchange is used
// again by the next one of its connection. What the audit log, the spans, the
// metrics, the budgets and the summaries have of each is the same as where
// every exchange has a connection, and so memory, of its own.
func TestWhatIsKeptOfAnExchangeStaysItsOwn(t *testing.T) {
	model := echoing(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	marks := make([]int, 60)
	for i := range marks {
		marks[i] = rnd.IntN(100_000)
		if i >= 30 && asks(i) {
			marks[i] = marks[i-30] // whose budget is used up
		}
	}
	alone, together := playAll(t, model, marks, false), playAll(t, model, marks, true)
	for _, id := range slices.Sorted(maps.Keys(alone.replies)) {
		if alone.replies[id] != together.replies[id] {
			t.Errorf("%s has other replies:\n%s\n%s", id, alone.replies[id], together.replies[id])
		}
	}
	for _, of := range []struct {
		what            string
		alone, together []string
		least           int
	}{
		{"audit log", alone.audit, together.audit, 4 * len(marks)},
		{"spans", alone.spans, together.spans, 5 * len(marks)},
		{"metrics", alone.metrics, together.metrics, 20},
	} {
		if len(of.alone) < of.least {
			t.Errorf("%s: only %d lines", of.what, len(of.alone))
		}
		for i := range min(len(of.alone), len(of.together)) {
			if of.alone[i] != of.together[i] {
				t.Errorf("%s:\n%s\n%s", of.what, of.alone[i], of.together[i])
				break
			}
		}
		if len(of.alone) != len(of.together) {
			t.Errorf("%s: %d lines and %d", of.what, len(of.alone), len(of.together))
		}
	}
	// And each line of an exchange is of its mark alone.
	summaries, refused := 0, 0
	for i, n := range marks {
		id, mark := fmt.Sprintf(`"exchange":"exchange-%d"`, i), fmt.Sprintf("m-%d", n)
		for _, line := range together.audit {
			if !strings.Contains(line, id) {
				continue
			}
			if strings.Contains(line, `"text":"About `+mark+`."`) {
				summaries++
			}
			if strings.Contains(line, `"step":"ask"`) && strings.Contains(line, `"reason":"budget"`) {
				refused++
			}
			for _, said := range regexp.MustCompile(`m-[0-9]+`).FindAllString(line, -1) {
				if said != mark {
					t.Errorf("of another exchange: %s", line)
				}
			}
		}
	}
	if summaries != len(marks)/5 || refused != len(marks)/10 {
		t.Errorf("%d summaries, and %d questions beyond a budget", summaries, refused)
	}
}
