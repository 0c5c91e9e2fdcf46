package filters_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/sluice-proxy/sluice/filters"
)

// TestCounts: they say what a map says, in the order of the names.
func TestCounts(t *testing.T) {
	var none filters.Counts
	if none.Map() != nil || none.Of("a") != 0 {
		t.Error("nothing was counted")
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		var c filters.Counts
		want := map[string]int{}
		for range rnd.IntN(40) {
			name, n := strconv.Itoa(rnd.IntN(20)), rnd.IntN(3)
			c.Add(name, n)
			want[name] += n
		}
		if got := c.Map(); len(want) > 0 && !maps.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		names := make([]string, len(c))
		for i, x := range c {
			names[i] = x.Name
			if c.Of(x.Name) != want[x.Name] {
				t.Fatalf("%s is %d, want %d", x.Name, c.Of(x.Name), want[x.Name])
			}
		}
		if !slices.IsSorted(names) {
			t.Fatalf("the names are %v", names)
		}
	}
}
