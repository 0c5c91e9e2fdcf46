package explain_test

import (
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/internal/explain"
)

func TestSentences(t *testing.T) {
	base := explain.Decision{Policy: "customer-api", Step: "mask", Filter: "pii", Phase: "response_body", Mode: "enforce"}
	with := func(edit func(*explain.Decision)) explain.Decision { d := base; edit(&d); return d }
	for _, c := range []struct {
		d    explain.Decision
		want string
	}{
		{with(func(d *explain.Decision) {
			d.Verdict, d.Findings, d.Actions = "changed", map[string]int{"US_SSN": 1, "EMAIL_ADDRESS": 3}, map[string]int{"mask": 4}
		}), "Step mask (pii) of policy customer-api changed the response's body; found EMAIL_ADDRESS 3, US_SSN 1; did mask 4."},
		{with(func(d *explain.Decision) { d.Verdict, d.Reason = "skipped", "when" }),
			"Step mask (pii) of policy customer-api did not run at the response's body: its `when` did not hold. Change the step's `when` to have it run on such an exchange."},
		{with(func(d *explain.Decision) { d.Verdict, d.Reason = "skipped", "rollout" }),
			"Step mask (pii) of policy customer-api did not run at the response's body: the exchange is not in the share of its `rollout`. Raise `rollout.percent` to have it run on more of the traffic."},
		{with(func(d *explain.Decision) { d.Verdict, d.Reason, d.OnError = "failed", "body too large", "deny" }),
			"Step mask (pii) of policy customer-api failed at the response's body: the body is larger than may be collected. Its `onError` is deny, so the exchange ended; with `onError: continue` it would go on without the step. Raise `limits.collectBytes` (or `limits.exchangeBytes`) in the settings, or use a step that reads the body as it passes."},
		{with(func(d *explain.Decision) { d.Verdict, d.Reason, d.Mode = "denied", "status 403", "observe" }),
			"Step mask (pii) of policy customer-api would have denied the exchange at the response's body: status 403. Nothing took effect because the step's `mode` is observe: set it to enforce for that."},
		{with(func(d *explain.Decision) { d.Verdict = "passed" }),
			"Step mask (pii) of policy customer-api looked at the response's body and had nothing to change."},
	} {
		if got := explain.Sentence(&c.d); got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
	}
}

func TestOutcome(t *testing.T) {
	for _, c := range []struct {
		want string
		ds   []explain.Decision
	}{
		{"No step denied the exchange, and none changed it.", []explain.Decision{{Verdict: "passed"}, {Verdict: "denied", Mode: "shadow"}}},
		{"No step denied the exchange; 1 change was made to it.", []explain.Decision{{Verdict: "changed"}}},
		{"No step denied the exchange; 2 changes were made to it, and 1 step failed.", []explain.Decision{{Verdict: "changed"}, {Verdict: "changed"}, {Verdict: "failed", OnError: "continue"}}},
		{"The exchange was denied by step s of policy p.", []explain.Decision{{Verdict: "changed"}, {Policy: "p", Step: "s", Verdict: "failed", OnError: "deny"}}},
	} {
		if got := explain.Outcome(c.ds); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// TestALogIsReadWithinBounds: lines that are too long, broken or of others are
// passed over, and a flood is cut.
func TestALogIsReadWithinBounds(t *testing.T) {
	of := func(id string) string { return `{"exchange":"` + id + `","step":"s","verdict":"passed"}` + "\n" }
	log := of("a") + "not JSON a\n" + `{"exchange":"a","verdict":"denied","reason":"` + strings.Repeat("x", 1<<20) + "\"}\n" +
		of("b") + `{"exchange":"b","reason":"a","verdict":"denied"}` + "\n" + `{"exchange":"a","note":"summary","text":"Fine."}` + "\n" + strings.TrimSuffix(of("a"), "\n")
	var f explain.Found
	if err := f.Read(strings.NewReader(log), "a"); err != nil {
		t.Fatal(err)
	}
	if len(f.Decisions) != 2 || len(f.Notes) != 1 || f.Notes[0].Text != "Fine." || f.More {
		t.Errorf("got %+v", f)
	}
	f = explain.Found{}
	if err := f.Read(strings.NewReader(strings.Repeat(of("a"), 2*explain.MaxDecisions)), "a"); err != nil || len(f.Decisions) != explain.MaxDecisions || !f.More {
		t.Errorf("%d decisions, more %v, %v", len(f.Decisions), f.More, err)
	}
	f = explain.Found{}
	if err := f.Read(strings.NewReader(of(`q\"uote`)), `q"uote`); err != nil || len(f.Decisions) != 1 {
		t.Errorf("an id with a quote: %+v, %v", f, err)
	}
}

// FuzzSentence: whatever stands in a log, a sentence is one bounded line that
// a terminal shows as it is.
func FuzzSentence(f *testing.F) {
	f.Add("step", "when", "skipped")
	f.Add("\x1b[31m\u202e", "a\nb\u2028", "denied")
	f.Fuzz(func(t *testing.T, step, reason, verdict string) {
		d := explain.Decision{Step: step, Policy: reason, Reason: reason, Verdict: verdict, Mode: step, Findings: map[string]int{step: 1}}
		got := explain.Sentence(&d)
		if len(got) > 4096 || strings.ContainsAny(got, "\n\r\x1b\u2028\u2029\u202e\x00") {
			t.Fatalf("got %q", got)
		}
	})
}
