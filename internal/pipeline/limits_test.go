package pipeline_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/coding"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// TestEveryLimitHasADefault: a limit without one would not bound anything.
func TestEveryLimitHasADefault(t *testing.T) {
	v := reflect.ValueOf(pipeline.Limits{}.WithDefaults())
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("%s has no default", v.Type().Field(i).Name)
		}
	}
}

// TestReached: what a body does that runs into a limit, and which limit the
// summary names.
func TestReached(t *testing.T) {
	whole := fake{needs: filters.Needs{Body: filters.WholeBody}}
	hold := holder{fake: streamed}
	gz := append([]filters.Field{{Name: "content-encoding", Value: "gzip"}}, jsonType...)
	long := strings.Repeat("x", 3<<20)
	for _, c := range []struct {
		name    string
		limits  pipeline.Limits
		filter  filters.Filter
		headers []filters.Field
		body    string
		want    []pipeline.Bound
		denied  bool
	}{
		{"nothing", pipeline.Limits{}, upper{fake: streamed}, jsonType, `{"a": [1]}`, nil, false},
		{"depth", pipeline.Limits{Depth: 2}, upper{fake: streamed}, jsonType, `[[[1]]]`, []pipeline.Bound{pipeline.Depth}, false},
		{"depth of a whole body", pipeline.Limits{Depth: 2}, whole, jsonType, `[[[1]]]`, nil, false},
		{"name", pipeline.Limits{NameBytes: 4}, upper{fake: streamed}, jsonType, `{"abcde": 1}`, []pipeline.Bound{pipeline.NameBytes}, false},
		{"name without an end", pipeline.Limits{NameBytes: 4}, upper{fake: streamed}, jsonType, `{"` + long, []pipeline.Bound{pipeline.NameBytes}, false},
		{"value", pipeline.Limits{PieceBytes: 16}, hold, jsonType, `["` + strings.Repeat("x", 100) + `"]`, []pipeline.Bound{pipeline.PieceBytes}, false},
		{"value in pieces that nobody holds", pipeline.Limits{PieceBytes: 16}, upper{fake: streamed}, jsonType, `["` + strings.Repeat("x", 100) + `"]`, nil, false},
		{"collect", pipeline.Limits{CollectBytes: 4}, whole, jsonType, `[1, 2]`, []pipeline.Bound{pipeline.CollectBytes}, true},
		{"exchange", pipeline.Limits{ExchangeBytes: 4}, whole, jsonType, `[1, 2]`, []pipeline.Bound{pipeline.ExchangeBytes}, true},
		{"decoded bytes", pipeline.Limits{DecodedBytes: 1 << 20, DecodedRatio: 10_000}, upper{fake: streamed}, gz, zipped(t, `["`+long+`"]`), []pipeline.Bound{pipeline.DecodedBytes}, true},
		{"decoded ratio", pipeline.Limits{}, upper{fake: streamed}, gz, zipped(t, `["`+long+`"]`), []pipeline.Bound{pipeline.DecodedRatio}, true},
		{"decoded and collected", pipeline.Limits{CollectBytes: 1 << 10}, whole, gz, zipped(t, `["`+long+`"]`), []pipeline.Bound{pipeline.CollectBytes}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			half := len(c.body) / 2
			out := play(t, full, c.limits, []*pipeline.Step{{Filter: c.filter}}, c.headers, c.body[:half], c.body[half:])
			if got := slices.Collect(out.rec.summary.Reached.All()); fmt.Sprint(got) != fmt.Sprint(c.want) || (out.denial != nil) != c.denied {
				t.Errorf("reached %v, want %v; denied %t", got, c.want, out.denial != nil)
			}
			if limit := 1 << 20; out.rec.summary.PeakHeld > limit {
				t.Errorf("%d bytes were held", out.rec.summary.PeakHeld)
			}
		})
	}
}

// holder holds on to whatever it is shown.
type holder struct{ fake }

func (holder) Open(_ context.Context, _ *filters.Exchange, _ filters.Direction) (filters.Stream, error) {
	return holding{}, nil
}

type holding struct{}

func (holding) Value(_ context.Context, v *filters.Value) error {
	if v.More {
		v.Hold(0)
	}
	return nil
}

func (holding) Close(context.Context, *filters.Ledger) (filters.Decision, error) {
	return filters.Decision{}, nil
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	e, err := coding.NewEncoder([]coding.Coding{coding.Gzip})
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.Write(nil, []byte(text))
	if err == nil {
		out, err = e.Close(out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestCodedBodyGoesOnCoded: a coded body is edited as it passes, and what a
// step that fails open held of one that is too large to collect goes on.
func TestCodedBodyGoesOnCoded(t *testing.T) {
	gz := append([]filters.Field{{Name: "content-encoding", Value: "gzip"}}, jsonType...)
	body := zipped(t, `["`+strings.Repeat("some words ", 1000)+`"]`)
	for _, cut := range []int{1, 10, len(body) / 2, len(body) - 1} {
		steps := []*pipeline.Step{
			{Filter: fake{needs: filters.Needs{Body: filters.WholeBody}}, OnError: filters.Continue},
			{Filter: upper{fake: streamed}},
		}
		out := play(t, full, pipeline.Limits{CollectBytes: 5000}, steps, gz, body[:cut], body[cut:])
		d := coding.NewDecoder([]coding.Coding{coding.Gzip}, coding.Limits{})
		var got []byte
		err := d.Decode([]byte(out.body), true, func(p []byte) error { got = append(got, p...); return nil })
		if err != nil || string(got) != `["`+strings.Repeat("SOME WORDS ", 1000)+`"]` {
			t.Errorf("cut at %d: %v, %d bytes", cut, err, len(got))
		}
	}
}
