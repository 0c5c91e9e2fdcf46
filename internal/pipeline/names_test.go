package pipeline_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// nameWatch removes members of one name, fails at another, and takes note of
// the names that it is shown.
type nameWatch struct {
	fake
	shown *[]string
	// failOn is a text that it fails at, if any.
	failOn string
}

func (n nameWatch) Open(context.Context, *filters.Exchange, filters.Direction) (filters.Stream, error) {
	return &nameStream{n}, nil
}

type nameStream struct{ nameWatch }

func (n *nameStream) Value(_ context.Context, v *filters.Value) error {
	if n.failOn != "" && v.Kind == filters.String && string(v.Text) == n.failOn {
		return errors.New("no")
	}
	if v.Kind != filters.Name {
		return nil
	}
	*n.shown = append(*n.shown, string(v.Text))
	switch string(v.Text) {
	case "secret":
		v.Remove()
	case "fail":
		return errors.New("no")
	case "panic":
		panic("no")
	}
	return nil
}

func (n *nameStream) Close(context.Context, *filters.Ledger) (filters.Decision, error) {
	return filters.Decision{}, nil
}

// edited is what becomes of a request's body in an exchange of its own.
func edited(t *testing.T, steps []*pipeline.Step, doc string) string {
	t.Helper()
	ex := &filters.Exchange{}
	ex.Request.Headers = filters.NewHeaders(jsonType...)
	run := pipeline.NewRun(ex, pipeline.Chains{Request: steps}, pipeline.Options{})
	run.Headers(t.Context(), filters.Request, full, false)
	out := string(run.Body(t.Context(), filters.Request, []byte(doc), true).Body)
	run.Finish(t.Context())
	return out
}

// TestNamesOfOtherBodies: a name that a filter left as it was is not shown to it
// again where it says that this is the same in every exchange. What a step did
// not look at is not one.
func TestNamesOfOtherBodies(t *testing.T) {
	const doc = `{"id":1,"secret":2,"a name of over sixteen bytes":3}`
	for _, tt := range []struct {
		name        string
		same, all   bool
		mode        pipeline.Mode
		first       string
		second      []string
		out         string
		hasFallback bool
	}{
		{"the same in all", true, true, pipeline.Enforce, doc, []string{"secret", "a name of over sixteen bytes"}, `{"id":1,"a name of over sixteen bytes":3}`, false},
		{"in a body", true, false, pipeline.Enforce, doc, []string{"id", "secret", "a name of over sixteen bytes"}, `{"id":1,"a name of over sixteen bytes":3}`, false},
		{"not in a body", false, true, pipeline.Enforce, doc, []string{"id", "secret", "a name of over sixteen bytes"}, `{"id":1,"a name of over sixteen bytes":3}`, false},
		{"observed", true, true, pipeline.Observe, doc, []string{"id", "secret", "a name of over sixteen bytes"}, doc, false},
		{"failed before", true, true, pipeline.Enforce, `{"fail":0,"id":1,"secret":2}`, []string{"id", "secret", "a name of over sixteen bytes"}, `{"id":1,"a name of over sixteen bytes":3}`, false},
		{"panicked before", true, true, pipeline.Enforce, `{"panic":0,"id":1,"secret":2}`, []string{"id", "secret", "a name of over sixteen bytes"}, `{"id":1,"a name of over sixteen bytes":3}`, false},
		{"with a fallback", true, true, pipeline.Enforce, doc, []string{"id", "secret", "a name of over sixteen bytes"}, `{"id":1,"a name of over sixteen bytes":3}`, true},
	} {
		var shown []string
		needs := filters.Needs{Body: filters.StreamedBody, SameNames: tt.same, AllNames: tt.all}
		step := &pipeline.Step{Policy: "p", Name: "s", Filter: nameWatch{fake: fake{needs: needs}, shown: &shown}, Mode: tt.mode, OnError: filters.Continue}
		if tt.hasFallback {
			step.Fallback = nameWatch{fake: fake{needs: needs}, shown: new([]string)}
		}
		steps := []*pipeline.Step{step}
		if err := pipeline.Compile(steps); err != nil {
			t.Fatal(err)
		}
		edited(t, steps, tt.first)
		shown = nil
		if got := edited(t, steps, doc); got != tt.out || !slices.Equal(shown, tt.second) {
			t.Errorf("%s: %s, shown %q; want %s, shown %q", tt.name, got, shown, tt.out, tt.second)
		}
	}
}

// TestNamesBeforeAFallback: a fallback that takes over in mid-body is shown the
// names that the filter before it left as they were, and each of them once.
func TestNamesBeforeAFallback(t *testing.T) {
	const doc = `[{"id":1},{"id":"fail"},{"id":2,"secret":3},{"id":4,"late":5},{"late":6}]`
	for _, whole := range []bool{false, true} {
		for _, others := range []int{0, 1} { // beside the step
			var before, after []string
			needs := filters.Needs{Body: filters.StreamedBody, SameNames: true, AllNames: true}
			if whole {
				needs.Body = filters.WholeBody
			}
			steps := []*pipeline.Step{{Policy: "p", Name: "s", Filter: nameWatch{fake{needs: needs}, &before, "fail"}, Fallback: nameWatch{fake{needs: needs}, &after, ""}, OnError: filters.Fallback}}
			for range others {
				steps = append(steps, &pipeline.Step{Policy: "p", Name: "o", Filter: nameWatch{fake: fake{needs: needs}, shown: new([]string)}})
			}
			if err := pipeline.Compile(steps); err != nil {
				t.Fatal(err)
			}
			for range 2 { // what one body leaves is not for the next
				before, after = nil, nil
				out := edited(t, steps, doc)
				if want := strings.Replace(doc, `,"secret":3`, "", 1); out != want {
					t.Errorf("whole %t, %d others: %s", whole, others, out)
				}
				if !slices.Equal(before, []string{"id"}) || !slices.Equal(after, []string{"id", "secret", "late"}) {
					t.Errorf("whole %t, %d others: %q were shown, and %q to the fallback", whole, others, before, after)
				}
			}
		}
	}
}
