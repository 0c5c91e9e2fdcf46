package pipeline

import (
	"testing"

	"github.com/sluice-proxy/sluice/filters"
)

func TestPlaces(t *testing.T) {
	var places Places[filters.Phase]
	made := 0
	of := func(r *Record) {
		t.Helper()
		got := places.Of(r, func(r *Record) filters.Phase { made++; return r.Phase })
		if got != r.Phase {
			t.Errorf("got what was made for phase %v in phase %v", got, r.Phase)
		}
	}
	a, b := &Step{Mode: Enforce}, &Step{Mode: Enforce}
	for range 3 {
		of(&Record{By: a, Mode: Enforce, Phase: filters.RequestBody})
		of(&Record{By: a, Mode: Observe, Phase: filters.RequestBody})
		of(&Record{By: a, Mode: Enforce, Phase: filters.ResponseBody})
		of(&Record{By: b, Mode: Enforce, Phase: filters.RequestBody})
	}
	if made != 4 {
		t.Errorf("made %d times for 4 kinds of decisions", made)
	}
	of(&Record{Phase: filters.RequestBody})
	of(&Record{Phase: filters.ResponseBody})
	if made != 6 {
		t.Errorf("what no step of a set decided is kept")
	}
	places.Forget()
	of(&Record{By: a, Mode: Enforce, Phase: filters.RequestBody})
	if made != 7 {
		t.Errorf("what is to be forgotten is kept")
	}
	for range 2 * maxPlaces {
		of(&Record{By: new(Step)}) // of which not all are kept
		if n := len(*places.known.Load()); n > maxPlaces {
			t.Fatalf("%d are kept", n)
		}
	}
}
