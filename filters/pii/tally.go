package pii

import (
	"math"
	"slices"

	"github.com/sluice-proxy/sluice/filters"
)

// tally counts what was found, and what was done with it. There are few such
// pairs, and each is counted often: a map would cost more than all the rest that
// is done with a finding.
type tally struct {
	all []count
	// places has, by the length of an entity's name, where in all the last of that length
	// is, and one.
	places [16]uint8
	room   [8]count
}

type count struct {
	found, did string
	n          int
}

// add counts a finding of an entity, "" where there was none, and what was done.
func (t *tally) add(found, did string) {
	place := &t.places[len(found)%len(t.places)]
	if i := int(*place) - 1; i >= 0 && t.all[i].found == found && t.all[i].did == did {
		t.all[i].n++
		return
	}
	i := slices.IndexFunc(t.all, func(c count) bool { return c.found == found && c.did == did })
	if i < 0 {
		if i = len(t.all); i == 0 {
			t.all = t.room[:0]
		}
		t.all = append(t.all, count{found: found, did: did})
	}
	t.all[i].n++
	if i < math.MaxUint8 {
		*place = uint8(i + 1)
	}
}

// counts is the tally as decisions have it; nil where nothing was counted.
func (t *tally) counts() (found, did filters.Counts) {
	for _, c := range t.all {
		if c.found != "" {
			if found == nil {
				found = make(filters.Counts, 0, len(t.all))
			}
			found.Add(c.found, c.n)
		}
		did.Add(c.did, c.n)
	}
	return found, did
}
