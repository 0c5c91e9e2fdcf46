package explain_test

import (
	"context"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/deny"
	"github.com/sluice-proxy/sluice/filters/explain"
	"github.com/sluice-proxy/sluice/filters/filtertest"
)

func TestConformance(t *testing.T) { filtertest.Conform(t, explain.Definition()) }

func TestScenarios(t *testing.T) {
	filtertest.Scenarios(t, filters.NewRegistry(explain.Definition(), deny.Definition()), "testdata/*.txtar")
}

type notes []*filters.Note

func (n *notes) Note(note *filters.Note) { *n = append(*n, note) }

func TestTexts(t *testing.T) {
	decided := func(step, mode string, v filters.Verdict, reason string, onError filters.OnError) filters.Decided {
		return filters.Decided{Policy: "api", Step: step, Filter: "deny", Mode: mode, OnError: onError, Decision: filters.Decision{Verdict: v, Reason: reason}}
	}
	denied := decided("no", "enforce", filters.Denied, "status 403", "")
	failed := decided("ask", "enforce", filters.Failed, "timeout", filters.Continue)
	ended := decided("mask", "enforce", filters.Failed, "timeout", filters.Deny)
	watched := decided("watch", "observe", filters.Denied, "status 403", "")
	fine := decided("fine", "enforce", filters.Passed, "", "")
	for name, c := range map[string]struct {
		of    string
		ds    []filters.Decided
		has   []string
		hasNo []string
	}{
		"a denial":            {"both", []filters.Decided{fine, denied}, []string{"The exchange was denied by step no of policy api.", "Step no (deny) of policy api denied the exchange at the request's headers: status 403."}, []string{"fine"}},
		"a failure":           {"both", []filters.Decided{failed}, []string{"1 step failed", "Step ask", "Raise the step's `timeout`"}, nil},
		"only denials":        {"denied", []filters.Decided{failed, denied}, []string{"Step no "}, []string{"Step ask"}},
		"only failures":       {"failed", []filters.Decided{failed, denied}, []string{"Step ask"}, []string{"Step no "}},
		"a failure that ends": {"denied", []filters.Decided{ended}, []string{"Its `onError` is deny"}, nil},
		"nothing":             {"both", []filters.Decided{fine, watched}, nil, nil},
		"a flood":             {"both", make([]filters.Decided, 0), nil, nil},
	} {
		if name == "a flood" {
			for range 100 {
				c.ds = append(c.ds, failed)
			}
			c.has = []string{"Step ask", "…"}
		}
		var got notes
		f, err := explain.Definition().New(&explain.Config{Of: c.of}, filters.Env{Notes: &got, Policy: "p", Step: "why"})
		if err != nil {
			t.Fatal(err)
		}
		dec, err := f.Apply(context.Background(), &filters.Exchange{ID: "request-1", Policies: "v1", Decisions: c.ds}, &filters.Ledger{})
		if err != nil {
			t.Fatal(err)
		}
		if c.has == nil {
			if len(got) != 0 || dec.Reason != "nothing to explain" {
				t.Errorf("%s: got %v, %v", name, got, dec)
			}
			continue
		}
		if len(got) != 1 || got[0].Exchange != "request-1" || got[0].Kind != "explanation" || got[0].Policy != "p" || got[0].Step != "why" || len(got[0].Text) > 2000 {
			t.Errorf("%s: got %v", name, got)
			continue
		}
		for _, s := range c.has {
			if !strings.Contains(got[0].Text, s) {
				t.Errorf("%s: %q is not in %q", name, s, got[0].Text)
			}
		}
		for _, s := range c.hasNo {
			if strings.Contains(got[0].Text, s) {
				t.Errorf("%s: %q is in %q", name, s, got[0].Text)
			}
		}
	}
}
