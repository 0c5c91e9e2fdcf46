package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-proxy/sluice/internal/audit"
	"github.com/sluice-proxy/sluice/internal/pipeline"
	"github.com/sluice-proxy/sluice/internal/replay"
	"github.com/sluice-proxy/sluice/internal/telemetry"
)

// policiesThatFail put every value of the exchange where it could get into an
// error: conversions in conditions that cannot be made, a denial with a
// detail, a filter that finds, a step that fails, a log step.
const policiesThatFail = `apiVersion: sluice/v1
kind: Policy
metadata: {name: everything}
spec:
  match:
    when: 'int(request.headers["x-secret"]) > 3'
  request:
    - name: converts-a-header
      filter: transform
      when: 'int(request.headers["cookie"]) > 3'
      onError: continue
      with: {headers: [{set: x-a, value: b}]}
    - name: converts-the-body
      filter: transform
      when: 'int(request.body.email) > 3'
      onError: continue
      with: {headers: [{set: x-a, cel: 'request.body.email'}]}
    - name: a-value-that-fails
      filter: transform
      onError: continue
      with: {headers: [{set: x-b, cel: 'string(int(request.query["mail"]))'}]}
    - name: tokens
      filter: pii
      mode: observe
      with: {headers: ["*"], query: ["*"], action: tokenize, key: {env: CANARY_KEY}}
    - name: mask
      filter: pii
      onError: deny
  response:
    - name: mask-answer
      filter: pii
    - name: watch
      filter: pii
      mode: observe
---
apiVersion: sluice/v1
kind: Settings
spec:
  identity:
    header: {trusted: true}
`

// sentinels stand in every place of the exchange that content can stand in.
var sentinels = []string{
	"query.canary@example.com", "path-canary", "cookie-canary", "secret-canary", "token-canary",
	"caller-canary", "group-canary", "body.canary@example.com", "text canary",
	"answer.canary@example.com", "4111111111111111", "header-canary", "key-canary", "trailer-canary",
}

// TestNothingPersonalIsRecorded greps the audit log, the metrics, the spans
// and the program's own log for what was in an exchange.
func TestNothingPersonalIsRecorded(t *testing.T) {
	t.Setenv("CANARY_KEY", "key-canary-of-the-vault")
	file := filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(file, []byte(policiesThatFail), 0o600); err != nil {
		t.Fatal(err)
	}
	request, err := replay.ParseRequest([]byte("POST /v1/path-canary?mail=query.canary@example.com HTTP/1.1\n" +
		"host: api.example.com\ncontent-type: application/json\ncookie: id=cookie-canary\nx-secret: secret-canary\n" +
		"authorization: Bearer token-canary\nx-consumer-id: caller-canary\nx-consumer-groups: group-canary\n" +
		"x-request-id: request-1\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n\n" +
		`{"email": "body.canary@example.com", "text": "text canary"}`))
	if err != nil {
		t.Fatal(err)
	}
	response, err := replay.ParseResponse([]byte("HTTP/1.1 200\ncontent-type: application/json\nx-note: header-canary\ntrailer x-end: trailer-canary\n\n" +
		`{"mail": "answer.canary@example.com", "card": "4111111111111111", "key-canary": 1}` + " not JSON text canary"))
	if err != nil {
		t.Fatal(err)
	}

	var log, lines bytes.Buffer
	set, problems := loader(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))).Load(context.Background(), file)
	if set == nil {
		t.Fatal(problems)
	}
	res := replay.Play(context.Background(), fixed{set}, request, response, replay.Options{})

	metrics := telemetry.NewMetrics()
	auditLog, err := audit.Open(audit.Config{Stdout: &lines})
	if err != nil {
		t.Fatal(err)
	}
	var spans spanTexts
	tracing, err := telemetry.NewTracing(context.Background(), &spans, telemetry.TracingConfig{Sample: 1})
	if err != nil {
		t.Fatal(err)
	}
	all := telemetry.NewFanout(metrics, auditLog, tracing)
	for _, d := range res.Decisions {
		all.Decision(d)
	}
	all.Exchange(res.Summary)
	if err := auditLog.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := tracing.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	scrape := httptest.NewRecorder()
	metrics.Handler().ServeHTTP(scrape, httptest.NewRequest("GET", "/metrics", nil))

	if !strings.Contains(lines.String(), `"verdict":"failed"`) || !strings.Contains(lines.String(), "request-1") {
		t.Errorf("the exchange did not go as this test needs it:\n%s", lines.String())
	}
	if len(spans) < 5 {
		t.Errorf("%d spans", len(spans))
	}
	for where, text := range map[string]string{
		"the audit log": lines.String(), "the metrics": scrape.Body.String(), "the spans": strings.Join(spans, "\n"), "the program's log": log.String(),
		"a decision": fmt.Sprintf("%+v", decisionsOf(res.Decisions)),
	} {
		for i, s := range sentinels {
			if strings.Contains(text, s) {
				t.Errorf("sentinel %d is in %s", i, where)
			}
		}
	}
}

// spanTexts is a client of a collector: the spans that it is sent, as text.
type spanTexts []string

func (*spanTexts) Start(context.Context) error { return nil }
func (*spanTexts) Stop(context.Context) error  { return nil }

func (s *spanTexts) UploadTraces(_ context.Context, batches []*tracepb.ResourceSpans) error {
	for _, b := range batches {
		wire, err := proto.Marshal(b)
		if err != nil {
			return err
		}
		var read tracepb.ResourceSpans
		if err := proto.Unmarshal(wire, &read); err != nil {
			return err
		}
		for _, scope := range read.ScopeSpans {
			for _, span := range scope.Spans {
				*s = append(*s, span.String())
			}
		}
	}
	return nil
}

func decisionsOf(records []*pipeline.Record) []any {
	var ds []any
	for _, r := range records {
		ds = append(ds, r.Decision)
	}
	return ds
}
