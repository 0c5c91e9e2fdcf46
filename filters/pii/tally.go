package pii

import (
	"math"
	"slices"

	"github.com/sluice-proxy/sluice/filters"
)

// tally counts by name. There are few names, and each is counted often: a map
// would cost more than all the rest that is done with a finding.
type tally struct {
	all []count
	// places has, by the length of a name, where in all the last of that length
	// is, and one.
	places [16]uint8
	room   [8]count
}

type count struct {
	name string
	n    int
}

func (t *tally) add(name string) {
	place := &t.places[len(name)%len(t.places)]
	if i := int(*place) - 1; i >= 0 && t.all[i].name == name {
		t.all[i].n++
		return
	}
	i := slices.IndexFunc(t.all, func(c count) bool { return c.name == name })
	if i < 0 {
		if i = len(t.all); i == 0 {
			t.all = t.room[:0]
		}
		t.all = append(t.all, count{name: name})
	}
	t.all[i].n++
	if i < math.MaxUint8 {
		*place = uint8(i + 1)
	}
}

// counts is the tally as decisions have it; nil where nothing was counted.
func (t *tally) counts() filters.Counts {
	if len(t.all) == 0 {
		return nil
	}
	all := make(filters.Counts, 0, len(t.all))
	for _, c := range t.all {
		all.Add(c.name, c.n)
	}
	return all
}
