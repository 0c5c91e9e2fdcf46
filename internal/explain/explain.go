// Package explain turns the decisions of an exchange into sentences that a
// person can act on: which step of which policy did what, where, why, and what
// in the policy or the settings changes that. The same decisions have the same
// sentences, and there is nothing in them that is not in a decision.
package explain

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Decision is a decision as the audit log writes it.
type Decision struct {
	Policy, Step, Filter, Phase, Mode, Verdict, Reason, OnError string
	Findings, Actions                                           map[string]int
}

// enforced reports whether the decision had an effect.
func (d *Decision) enforced() bool { return d.Mode == "" || d.Mode == "enforce" }

// Denies reports whether the decision ended the exchange.
func (d *Decision) Denies() bool {
	return d.enforced() && (d.Verdict == "denied" || d.Verdict == "failed" && d.OnError == "deny")
}

// Failed reports whether the step could not do its work, and that counts.
func (d *Decision) Failed() bool { return d.enforced() && d.Verdict == "failed" }

// maxWord bounds a name or a reason in a sentence.
const maxWord = 128

// Outcome is a sentence about the whole.
func Outcome(ds []Decision) string {
	for i := range ds {
		if d := &ds[i]; d.Denies() {
			return fmt.Sprintf("The exchange was denied by step %s of policy %s.", Line(d.Step, maxWord), Line(d.Policy, maxWord))
		}
	}
	changed, failed := 0, 0
	for i := range ds {
		switch d := &ds[i]; {
		case !d.enforced():
		case d.Verdict == "changed":
			changed++
		case d.Verdict == "failed":
			failed++
		}
	}
	s := "No step denied the exchange"
	switch {
	case changed == 0 && failed == 0:
		return s + ", and none changed it."
	case failed == 0:
		return s + fmt.Sprintf("; %s it.", times(changed, "change was made to", "changes were made to"))
	}
	return s + fmt.Sprintf("; %s it, and %s.", times(changed, "change was made to", "changes were made to"), times(failed, "step failed", "steps failed"))
}

func times(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n) + " " + many
}

// Sentence says what a decision was, why, and what would change it.
func Sentence(d *Decision) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Step %s (%s) of policy %s ", Line(d.Step, maxWord), Line(d.Filter, maxWord), Line(d.Policy, maxWord))
	where := phases[d.Phase]
	if where == "" {
		where = "an unknown phase"
	}
	would := ""
	if !d.enforced() {
		would = "would have "
	}
	switch d.Verdict {
	case "denied":
		b.WriteString(would + "denied the exchange at " + where)
	case "changed":
		b.WriteString(would + "changed " + where)
	case "failed":
		b.WriteString("failed at " + where)
	case "skipped":
		b.WriteString("did not run at " + where)
	default:
		b.WriteString("looked at " + where + " and had nothing to change")
	}
	why, advice := reason(d)
	if why != "" {
		b.WriteString(": " + why)
	}
	b.WriteString(counts("; found ", d.Findings) + counts("; did ", d.Actions) + ".")
	if d.Verdict == "failed" {
		b.WriteString(" " + effect(d))
	}
	if !d.enforced() {
		advice = strings.TrimSpace(advice + " Nothing took effect because the step's `mode` is " + Line(d.Mode, maxWord) + ": set it to enforce for that.")
	}
	if advice != "" {
		b.WriteString(" " + advice)
	}
	return b.String()
}

var phases = map[string]string{
	"request_headers": "the request's headers", "request_body": "the request's body", "request_trailers": "the request's trailers",
	"response_headers": "the response's headers", "response_body": "the response's body", "response_trailers": "the response's trailers",
	"log": "the end of the exchange",
}

func effect(d *Decision) string {
	if !d.enforced() {
		return "The exchange went on."
	}
	switch d.OnError {
	case "deny":
		return "Its `onError` is deny, so the exchange ended; with `onError: continue` it would go on without the step."
	case "fallback":
		return "Its `onError` is fallback, so the step's `fallback` took over."
	}
	return "Its `onError` is continue, so the exchange went on without the step; with `onError: deny` it would end."
}

// known is why, and what to do, by the reasons of the runner and of the
// providers.
var known = map[string]struct{ why, advice string }{
	"when":                                  {"its `when` did not hold", "Change the step's `when` to have it run on such an exchange."},
	"rollout":                               {"the exchange is not in the share of its `rollout`", "Raise `rollout.percent` to have it run on more of the traffic."},
	"upgrade":                               {"the exchange became another protocol, whose body it cannot read", "Match the path in a policy without body steps, or deny upgrades with a condition on the request's headers."},
	"overload":                              {"there was no room for the exchange", "Raise `limits.exchanges` or `limits.totalBytes` in the settings, or add a replica; `limits.overload` says what becomes of such an exchange."},
	"condition":                             {"its `when` could not be evaluated on this exchange", "Guard the `when` with has() where a header or field may be missing or of another type."},
	"timeout":                               {"it took longer than its `timeout`", "Raise the step's `timeout`, or look at what it waits for."},
	"canceled":                              {"the exchange ended before it was done", "The client or the backend hung up; nothing in the policy is wrong."},
	"panic":                                 {"the filter has a fault", "Report it with the step's configuration."},
	"error":                                 {"of an error whose text may quote the message, and is not recorded", "Play the exchange again with `sluice run`, with made-up content."},
	"body too large":                        {"the body is larger than may be collected", "Raise `limits.collectBytes` (or `limits.exchangeBytes`) in the settings, or use a step that reads the body as it passes."},
	"body does not parse":                   {"the body is not of the format that its content-type says", "Have the sender mend it, or set the step's `unparsed` to say what becomes of such a body."},
	"unknown content coding":                {"the body is in a content-encoding that cannot be decoded", "Have the sender use gzip, br, zstd or none, or set the step's `unparsed`."},
	"a path needs one document, not events": {"one of its `paths` needs the whole document, and the body is a stream of events", "Use paths without filters that look at other values."},
	"the headers are gone":                  {"it wants headers changed that have been sent", "Use a body mode of the data plane that holds the headers back, or a step that needs no body."},
	"the data plane sends no body":          {"the data plane does not send the body", "Set a body mode in the data plane's ext_proc configuration; `sluice gen` writes it."},
	"the body mode cannot hold a body back": {"the data plane's body mode cannot hold a whole body back", "Use full duplex or buffered mode; `sluice gen` writes it."},
	"the data plane forwards the rest of the body unseen": {"the data plane's buffer was too small for the body", "Raise the data plane's buffer limit, or use full duplex mode."},
	"expression":                      {"one of its CEL expressions could not be evaluated on this exchange", "Guard it with has() where a header or field may be missing or of another type."},
	"store":                           {"the store could not be reached", "Look at `store` in the settings, and at whether the server is up."},
	"detector":                        {"the outside detector gave no answer", "Look at the step's detector, its address and its `timeout`."},
	"budget":                          {"the provider's budget is used up", "Raise the provider's `budget`, or wait for its window to end."},
	"budget store":                    {"the budgets could not be read", "Look at `store` in the settings, and at whether the server is up."},
	"provider: connect":               {"the provider could not be reached", "Look at the provider's `baseURL` and at whether it is up; a `fallback` would answer in its place."},
	"provider: timeout":               {"the provider took too long", "Raise the provider's `timeout` and the step's, or give it a `cache` or a `fallback`."},
	"provider: circuit open":          {"the provider failed before, and its breaker is open", "It closes by itself when the provider answers again, see `breaker.openFor`."},
	"provider: too many calls":        {"too many calls to the provider are under way", "Raise the provider's `bulkhead.calls`, or give it a `cache`."},
	"answer: does not fit the schema": {"the model's answer does not fit the schema", "Loosen the schema, give the step a `default`, or use a model with structured answers."},
	"answer: not JSON":                {"the model's answer is not JSON", "Use another setting of the provider's `structured`, or give the step a `default`."},
	"no verified token":               {"the caller has no verified JWT", "Look at `identity.jwt` in the settings, or at the step's `require`."},
	"not identified":                  {"the caller is not known", "Look at `identity` in the settings, or at the step's `require`."},
	"headers that only Sluice sets":   {"the client sent headers that only Sluice may set", ""},
	"not sampled":                     {"it is not in the step's `sample`", "Raise `sample`."},
	"the queue is full":               {"more waits for the model than may", "Raise `queue` or `workers`, lower `sample`, or use `batch`."},
}

func reason(d *Decision) (why, advice string) {
	r, fell := strings.CutPrefix(d.Reason, "fallback: ")
	if k, ok := known[r]; ok {
		why, advice = k.why, k.advice
	} else {
		why = Line(r, maxWord)
		if d.Denies() {
			advice = "If it should not have been, narrow the step's `when` or the policy's `match`, or try it with `mode: observe`."
		}
	}
	if fell || d.Reason == "fallback" {
		why = strings.TrimSuffix("its fallback, "+why, ", ")
		if d.Reason == "fallback" {
			why = "its fallback did it"
		}
	}
	return why, advice
}

// maxCounts is how many entities or actions a sentence names.
const maxCounts = 12

func counts(label string, m map[string]int) string {
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, k)
	}
	slices.Sort(names)
	var b strings.Builder
	for i, k := range names {
		switch {
		case i == maxCounts:
			b.WriteString(", …")
			return b.String()
		case i == 0:
			b.WriteString(label)
		default:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %d", Line(k, maxWord), m[k])
	}
	return b.String()
}

// Line makes one line of at most limit bytes of a text from outside, without
// characters that cannot be seen or that a terminal acts on.
func Line(s string, limit int) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			r = ' '
		case r == unicode.ReplacementChar || unicode.Is(unicode.C, r):
			continue
		}
		if b.Len()+len(string(r)) > limit-len("…") {
			return strings.TrimSpace(b.String()) + "…"
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}
