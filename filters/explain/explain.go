// Package explain is the filter that writes into the audit log, in sentences,
// why an exchange was denied or a step failed.
package explain

import (
	"context"
	_ "embed"
	"strings"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/explain"
)

//go:embed example.yaml
var example string

// Config is the filter's configuration.
type Config struct {
	// Of says which exchanges are explained.
	Of string `json:"of,omitempty" jsonschema:"enum=denied,enum=failed,enum=both" doc:"The exchanges that are explained: those that a step denied, those in which a step failed, or both."`
}

// Validate checks the configuration.
func (c *Config) Validate() error {
	switch c.Of {
	case "denied", "failed", "both":
		return nil
	}
	return &filters.FieldError{Path: "of", Msg: "is none of denied, failed and both"}
}

// Definition describes the filter.
func Definition() filters.Definition {
	return filters.Define(filters.Spec[Config]{
		Kind:    "explain",
		Summary: "Writes into the audit log, in sentences, why an exchange was denied or a step failed.",
		Doc:     doc,
		OnlyLog: true,
		Default: Config{Of: "both"},
		OnError: filters.Continue,
		Example: example,
		New:     build,
	})
}

const doc = `The step stands in a policy's ` + "`log`" + ` list. Where a step of any policy that
matched has denied the exchange, or failed, it puts a line into the audit log:

    {"time":"…","exchange":"…","set":"…","policy":"invoices","step":"why","note":"explanation","text":"The exchange was denied by step no-admin of policy invoices. Step no-admin (deny) of policy invoices denied the exchange at the request's headers: status 403. If it should not have been, …"}

The sentences are those of ` + "`sluice explain ID`" + `: which step did what, where, why,
and which setting changes that. They are put together from the decisions alone,
without a model: there is no content in them, and the same decisions have the
same sentences. A line is at most 2000 bytes; steps that only observe do not
count.

An exchange that a bound of the settings ends (limits.exchanges, limits.duration)
has no step's decision, and no line.

The decision's reason is one of: explained, nothing to explain, no audit log.`

// maxText bounds an explanation.
const maxText = 2000

type filter struct {
	of  string
	env filters.Env
}

func build(c Config, env filters.Env) (filters.Filter, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	return &filter{of: c.Of, env: env}, nil
}

// Needs implements filters.Filter.
func (f *filter) Needs(filters.Direction) filters.Needs {
	return filters.Needs{Decisions: true, Immediate: true}
}

// Apply implements filters.Filter.
func (f *filter) Apply(_ context.Context, ex *filters.Exchange, _ *filters.Ledger) (filters.Decision, error) {
	if f.env.Notes == nil {
		return filters.Decision{Verdict: filters.Skipped, Reason: "no audit log"}, nil
	}
	var all []explain.Decision
	var text strings.Builder
	for i := range ex.Decisions {
		d := told(&ex.Decisions[i])
		all = append(all, d)
		if f.wants(&d) {
			text.WriteString(" " + explain.Sentence(&d))
		}
	}
	if text.Len() == 0 {
		return filters.Decision{Verdict: filters.Skipped, Reason: "nothing to explain"}, nil
	}
	f.env.Notes.Note(&filters.Note{
		Time: f.env.Now(), Exchange: ex.ID, Set: ex.Policies, Policy: f.env.Policy, Step: f.env.Step,
		Kind: "explanation", Text: explain.Line(explain.Outcome(all)+text.String(), maxText),
	})
	return filters.Decision{Reason: "explained"}, nil
}

// wants reports whether the decision is to be explained. One that failed and
// thereby ended the exchange is of both kinds.
func (f *filter) wants(d *explain.Decision) bool {
	return f.of != "failed" && d.Denies() || f.of != "denied" && d.Failed()
}

func told(d *filters.Decided) explain.Decision {
	return explain.Decision{
		Policy: d.Policy, Step: d.Step, Filter: d.Filter, Phase: d.Phase.String(), Mode: d.Mode, Verdict: d.Decision.Verdict.String(),
		Reason: d.Decision.Reason, OnError: string(d.OnError), Findings: d.Decision.Findings.Map(), Actions: d.Decision.Actions.Map(),
	}
}
