package pii

import (
	"fmt"
	"strings"
	"testing"
)

func TestCleanNames(t *testing.T) {
	c := newCleanNames()
	for _, name := range []string{"email", "", "straße", "order7", strings.Repeat("n", maxClean+1)} {
		if c.has([]byte(name)) {
			t.Errorf("%.20q is there before it was seen", name)
		}
		c.add([]byte(name))
	}
	for name, want := range map[string]bool{"email": true, "": true, "straße": true, "order7": false, strings.Repeat("n", maxClean+1): false, "mail": false} {
		if got := c.has([]byte(name)); got != want {
			t.Errorf("has(%.20q) = %v", name, got)
		}
	}
	// There is no end to what comes, and what was there stays.
	for i := range 10 * cleanSlots {
		c.add([]byte(strings.Repeat("x", i%maxClean) + fmt.Sprintf("%c%c", 'a'+i%26, 'a'+i/26%26)))
	}
	if !c.has([]byte("email")) {
		t.Error("a name was pushed out")
	}
	var none *cleanNames
	none.add([]byte("email"))
	if none.has([]byte("email")) {
		t.Error("nothing remembers")
	}
}
