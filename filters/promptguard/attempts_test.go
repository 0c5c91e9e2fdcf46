package promptguard

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"

	"github.com/sluice-proxy/sluice/filters"
)

// throughBuiltin are the kinds of attempts that the builtin score does not
// see: what is in a cipher, and what is worded as it has never learnt.
var throughBuiltin = map[string]bool{"grandmother": true, "ROT13": true, "leet": true, "Russian": true, "right to left override": true}

// TestAttempts: attempts of many kinds, each an order to the model that reads
// it. The page says which kinds get through without a provider.
func TestAttempts(t *testing.T) {
	file, err := os.Open("../../testdata/attempts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	f := made(t, nil)
	n := 0
	for s := bufio.NewScanner(file); s.Scan(); n++ {
		var a struct{ Kind, Says string }
		if err := json.Unmarshal(s.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		d, _ := verdictOn(t, f, chatOf(a.Says))
		if caught := d.Verdict == filters.Denied; caught == throughBuiltin[a.Kind] {
			t.Errorf("%s: caught %t, score %v", a.Kind, caught, d.Details["score"])
		}
	}
	if n < 30 {
		t.Errorf("%d attempts", n)
	}
}
