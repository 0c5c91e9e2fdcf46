package detect

import (
	_ "embed"
	"strings"
	"testing"
)

// vectors are numbers that testdata/vectors.py made, and what python-stdnum
// says of them.
//
//go:embed testdata/vectors.tsv
var vectors string

// TestChecksAgreeWithStdnum holds the recognisers against python-stdnum: what
// it takes is taken. What it refuses may be taken where a check here is wider
// on purpose, for which there is a share for each entity.
func TestChecksAgreeWithStdnum(t *testing.T) {
	// stdnum refuses words that a Mexican number must not begin with. It does
	// not know of groups 50 to 65 of an ITIN, nor that a Korean
	// number has no check digit since 2020, and knows the offices in an
	// Italian VAT number.
	wider := map[Entity]int{USITIN: 5, KRRRN: 25, ITVAT: 5, MXRFC: 5}
	type tally struct{ good, bad, taken int }
	seen := map[Entity]*tally{}
	for line := range strings.Lines(vectors) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		e, number, want := Entity(f[0]), f[1], f[2] == "1"
		if seen[e] == nil {
			seen[e] = &tally{}
		}
		got := false
		for _, family := range families() {
			for i := range family {
				r := &family[i]
				if r.entity != e {
					continue
				}
				for _, sh := range r.shapes {
					got = got || fits(sh, number) && (r.check == nil || r.check([]byte(number)))
				}
			}
		}
		switch {
		case want && !got:
			t.Errorf("%s %s is refused", e, number)
		case want:
			seen[e].good++
		default:
			seen[e].bad++
			if got {
				seen[e].taken++
			}
		}
	}
	for e, n := range seen {
		if n.good < 20 || n.bad < 20 {
			t.Errorf("%s has %d valid and %d invalid numbers", e, n.good, n.bad)
		}
		if n.taken > wider[e] {
			t.Errorf("%s: %d of %d numbers are taken that stdnum refuses", e, n.taken, n.bad)
		}
	}
}

// fits reports whether a number has the digits and letters of a shape.
func fits(sh shape, number string) bool {
	k := 0
	for i := range len(sh.text) {
		c := sh.text[i]
		if c != '9' && c != 'A' && c != 'X' {
			continue
		}
		if k >= len(number) || c == '9' && !isDigit(number[k]) || c == 'A' && isDigit(number[k]) {
			return false
		}
		k++
	}
	return k == len(number)
}
