package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/audit"
	"github.com/sluice-proxy/sluice/internal/replay"
	"github.com/sluice-proxy/sluice/policies"
)

// told passes notes on, and tells of each.
type told struct {
	audit.Shared
	each chan struct{}
}

func (n *told) Note(note *filters.Note) {
	n.Shared.Note(note)
	n.each <- struct{}{}
}

// auditOf plays an exchange and returns the audit log, when the given number
// of notes is in it.
func auditOf(t *testing.T, policy, request, response string, notes int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := replay.ParseRequest([]byte(request))
	if err != nil {
		t.Fatal(err)
	}
	out, err := replay.ParseResponse([]byte(response))
	if err != nil {
		t.Fatal(err)
	}
	var lines bytes.Buffer
	log, err := audit.Open(audit.Config{Stdout: &lines})
	if err != nil {
		t.Fatal(err)
	}
	shared := &told{each: make(chan struct{}, 100)}
	shared.Use(log)
	load := loader(quiet())
	load.Env.Notes = shared
	store, err := policies.Open(context.Background(), load, file)
	if err != nil {
		t.Fatal(err)
	}
	res := replay.Play(context.Background(), store, in, out, replay.Options{})
	for _, r := range res.Decisions {
		log.Decision(r)
	}
	for range notes {
		select {
		case <-shared.each:
		case <-time.After(time.Minute):
			t.Fatal("a note did not come")
		}
	}
	if err := log.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	return lines.String()
}

// TestASummaryGetsIntoTheAuditLog with the builtin provider, and without what
// is personal in the exchange.
func TestASummaryGetsIntoTheAuditLog(t *testing.T) {
	for detail, want := range map[string]string{
		"brief":  `"text":"User updated invoice INV-1001 to 'paid'."`,
		"normal": `"text":"User updated invoice INV-1001 to 'paid'. Sent: status, contact. Received: id, total."`,
		"full":   `"text":"User updated invoice INV-1001 to 'paid'. Sent: status paid, contact \u003cEMAIL_ADDRESS>. Received: id INV-1001, total 12.50."`,
	} {
		got := auditOf(t, `apiVersion: sluice/v1
kind: Settings
spec: {identity: {header: {trusted: true}}}
---
apiVersion: sluice/v1
kind: Provider
metadata: {name: default}
spec: {type: builtin}
---
apiVersion: sluice/v1
kind: Policy
metadata: {name: invoices}
spec:
  log:
    - {name: sum-up, filter: summarize, with: {provider: default, detail: `+detail+`}}
`, "PATCH /v1/invoices/INV-1001?m=query.canary@example.com HTTP/1.1\nx-request-id: request-1\nx-consumer-id: caller-canary\ncontent-type: application/json\n\n"+
			`{"status":"paid","contact":"body.canary@example.com"}`,
			"HTTP/1.1 200\ncontent-type: application/json\n\n"+`{"id":"INV-1001","total":12.50}`, 1)
		want = strings.ReplaceAll(want, `\u003c`, "<")
		if !strings.Contains(got, want) || !strings.Contains(got, `"exchange":"request-1"`) || !strings.Contains(got, `"policy":"invoices","step":"sum-up","note":"summary"`) {
			t.Errorf("%s: got\n%s", detail, got)
		}
		if strings.Contains(got, "canary") {
			t.Errorf("%s: something personal is in the audit log", detail)
		}
	}
}

// TestAnExplanationGetsIntoTheAuditLog, without what is personal in the
// exchange that was denied.
func TestAnExplanationGetsIntoTheAuditLog(t *testing.T) {
	got := auditOf(t, `apiVersion: sluice/v1
kind: Policy
metadata: {name: api}
spec:
  request:
    - {name: number, filter: deny, onError: continue, when: 'int(request.headers["x-n"]) > 3'}
    - {name: no, filter: deny, when: 'request.query["m"] == "query.canary@example.com"', with: {status: 403, detail: "not for query.canary@example.com"}}
  log:
    - {name: why, filter: explain}
`, "GET /v1/a?m=query.canary@example.com HTTP/1.1\nx-request-id: request-1\nx-n: header-canary\n\n", "HTTP/1.1 200\n\n", 1)
	for _, want := range []string{
		`"exchange":"request-1"`, `"policy":"api","step":"why","note":"explanation","text":"The exchange was denied by step no of policy api. Step number (deny) of policy api failed at`,
		"its `when` could not be evaluated on this exchange", "Step no (deny) of policy api denied the exchange at the request's headers: status 403.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if strings.Contains(got, "canary") {
		t.Error("something of the content is in the audit log")
	}
}
