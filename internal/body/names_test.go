package body

import (
	"fmt"
	"sync"
	"testing"
)

// TestNames: names that many add at once are there, as long as there are places,
// and none that nobody added.
func TestNames(t *testing.T) {
	var n Names
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for k := range 1000 {
				n.Add(fmt.Appendf(nil, "%d %d", i, k))
				n.Add([]byte("a name of over sixteen bytes"))
			}
		})
	}
	wg.Wait()
	known := n.known.Load()
	count := 0
	for i := range 8 {
		for k := range 1000 {
			if name := fmt.Appendf(nil, "%d %d", i, k); known.holds(name) {
				if count++; i >= 4 {
					t.Errorf("%q was never added", name)
				}
			}
		}
	}
	if count < namePlaces/2 || count > namePlaces {
		t.Errorf("%d names", count)
	}
	own := known.clone()
	own.add([]byte("another"), true)
	if !own.holds([]byte("another")) || n.known.Load().holds([]byte("another")) {
		t.Error("what a body adds is its own")
	}
}
