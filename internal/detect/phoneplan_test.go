package detect

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

// TestPhonePlansAgreeWithTheLibrary: of what the library takes, the plans take
// nearly all; of what it refuses, they refuse most.
func TestPhonePlansAgreeWithTheLibrary(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	type tally struct{ valid, missed, invalid, taken int }
	var all tally
	for _, region := range []string{"US", "GB", "DE", "FR", "ES", "IT", "NL", "IN", "AU", "BR", "MX", "JP", "CN", "ZA", "SE", "PL", "CH", "AT", "BE", "IE", "NZ", "SG", "AE", "TR", "KR", "PT", "NG", "KE", "AR", "CL"} {
		code := phonenumbers.GetCountryCodeForRegion(region)
		for range 800 {
			digits := fmt.Sprint(1 + r.IntN(9))
			for n := 6 + r.IntN(5); len(digits) < n; {
				digits += fmt.Sprint(r.IntN(10))
			}
			full := fmt.Sprint(code) + digits
			num, err := phonenumbers.Parse("+"+full, "ZZ")
			if err != nil || phonenumbers.GetNationalSignificantNumber(num) != digits {
				continue
			}
			p, national := international([]byte(full))
			got := p != nil && p.valid(national)
			if phonenumbers.IsValidNumber(num) {
				all.valid++
				if !got {
					all.missed++
				}
			} else {
				all.invalid++
				if got {
					all.taken++
				}
			}
		}
	}
	if all.valid < 2000 || float64(all.missed)/float64(all.valid) > 0.005 {
		t.Errorf("of %d valid numbers %d are refused", all.valid, all.missed)
	}
	if float64(all.taken)/float64(all.invalid) > 0.1 {
		t.Errorf("of %d invalid numbers %d are taken", all.invalid, all.taken)
	}
}

// TestDiallingIsThatOfThePlans: the tables say what the plans say one by one.
func TestDiallingIsThatOfThePlans(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	for _, regions := range [][]string{nil, {"US"}, {"GB", "US"}, {"US", "GB"}, {"hu", "RU", "MX", "CA"}} {
		l, err := diallingOf(regions)
		if err != nil {
			t.Fatal(err)
		}
		for range 20000 {
			d := make([]byte, 3+r.IntN(12))
			for i := range d {
				d[i] = byte('0' + r.IntN(10))
			}
			valid, north := false, false
			for _, p := range l.plans {
				if p.national(d) {
					valid, north = true, p.code == northAmerica
					break
				}
			}
			if v, n := l.national(d); v != valid || n != north {
				t.Fatalf("%s in %v: got %v, %v, want %v, %v", d, regions, v, n, valid, north)
			}
		}
	}
	if _, err := diallingOf([]string{"XX"}); err == nil {
		t.Error("an unknown region is taken")
	}
}
