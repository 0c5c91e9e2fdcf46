package pii

import "github.com/sluice-proxy/sluice/filters"

// tally counts by name. There are few names, and each is counted often: a map
// would cost more than all the rest that is done with a finding.
type tally []count

type count struct {
	name string
	n    int
}

func (t *tally) add(name string) {
	for i := range *t {
		if c := &(*t)[i]; c.name == name {
			c.n++
			return
		}
	}
	if *t == nil {
		*t = make(tally, 0, 8)
	}
	*t = append(*t, count{name, 1})
}

// counts is the tally as decisions have it; nil where nothing was counted.
func (t tally) counts() filters.Counts {
	if len(t) == 0 {
		return nil
	}
	all := make(filters.Counts, 0, len(t))
	for _, c := range t {
		all.Add(c.name, c.n)
	}
	return all
}
