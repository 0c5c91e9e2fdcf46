package body_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
)

// own is a stream that knows whose body it works on: every value and every
// name in it begins with the mark. It replaces the values by the mark.
type own struct {
	mark string
	err  error
}

func (o *own) Value(_ context.Context, v *filters.Value) error {
	if v.Kind != filters.String && v.Kind != filters.Name {
		return nil
	}
	if v.More {
		v.Hold(0)
		return nil
	}
	if !strings.HasPrefix(string(v.Text), o.mark) || !strings.HasPrefix(v.Key, o.mark) && v.Kind != filters.Name || len(v.Before) > 0 {
		o.err = fmt.Errorf("%s is shown %q of %q", o.mark, v.Text, v.Key)
	}
	if v.Kind == filters.String {
		v.Edit(0, len(v.Text), []byte(o.mark))
	}
	return nil
}

func (o *own) Close(context.Context, *filters.Ledger) (filters.Decision, error) {
	return filters.Decision{}, nil
}

// TestReleasedEditors: what an editor leaves to another is room. Bodies that
// end anywhere, in the middle of a name or a value too, leave nothing of theirs.
func TestReleasedEditors(t *testing.T) {
	selected := paths(t, "$..*")
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 7))
			for i := range 400 {
				mark := fmt.Sprintf("m%d.%d.", g, i)
				value := mark + strings.Repeat("x", rnd.IntN(60))
				member := fmt.Sprintf(`{"%sname": %q, "%slist": [%q, {"%sa\u0062": %q}]}`, mark, value, mark, value, mark, value)
				want := strings.ReplaceAll(member, `"`+value+`"`, `"`+mark+`"`)
				f := body.JSON
				switch rnd.IntN(3) {
				case 1:
					f, member, want = body.Lines, member+"\n"+member+"\n", want+"\n"+want+"\n"
				case 2:
					f, member, want = body.Events, "data: "+member+"\n\n", "data: "+want+"\n\n"
				}
				streams := []*own{{mark: mark}, {mark: mark}}
				stages := []body.Stage{{Stream: streams[0], SameNames: true}, {Stream: streams[1], Paths: selected}}
				e := body.NewEditor(f, stages[:1+rnd.IntN(2)], body.Limits{})
				cut := len(member)
				if rnd.IntN(2) == 0 {
					cut = rnd.IntN(len(member))
				}
				var out []byte
				var err error
				for at := 0; at < cut && err == nil; {
					n := min(1+rnd.IntN(40), cut-at)
					out, err = e.Write(t.Context(), out, []byte(member[at:at+n]))
					at += n
				}
				whole := cut == len(member)
				if whole && err == nil {
					out, err = e.Close(t.Context(), out)
				}
				if err != nil {
					t.Error(err)
				}
				if got := string(out); whole && got != want || !strings.HasPrefix(want, got) {
					t.Errorf("cut at %d of %d:\n%s\n%s", cut, len(member), got, want)
				}
				for _, s := range streams {
					if s.err != nil {
						t.Error(s.err)
					}
				}
				if rnd.IntN(8) > 0 { // or it is just left
					e.Release()
				}
			}
		})
	}
	wg.Wait()
}
