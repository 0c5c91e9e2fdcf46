package detect_test

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/sluice-proxy/sluice/internal/detect"
)

// TestWhole: a text that is one number or address is decided on as a whole, and
// has the same findings as one behind something else, where nothing is decided
// on so.
func TestWhole(t *testing.T) {
	shapes := []string{
		"9", "99", "999", "9999", "99999", "999999", "9999999", "99999999", "999999999", "9999999999", "99999999999", "9999999999999999",
		"9.99", "9999.99", "999.9999", "-9.99", "-9999", "9.9.9", "999.9.9.99", "99.99.99.99", "+9.99.99.999", "+44.20.199.99", "+49.30.189.99",
		"999-99-9999", "999 99 9999", "999 999 999", "99 9999 9999", "099-999-9999", "999-999-9999", "9999 9999 9999",
		"4999 9999 9999 9999", "4999-9999-9999-9999", "4999.9999.9999 9999", "499999999999",
		"+1 999 999 9999", "+1-999-999-9999", "+44 99 9999 9999", "+49 99 99 9999", "+99999999999", "+1 99 2020 999", "+2012 12 12 9999", "+2012-10-9-99999", "+20 10 2012 999", "+7 12 1999 9999", "0999999.9", "099999.9999", "004999.9999", "0099999.9999",
		"9999-99-99", "99.99.9999", "9999-9999", "999.999.999-99", "999 999 9999", "99 99 99 999 99",
		"jane@example.com", "jane.roe999@mail.example.org", "a.bcd999999@x.de", "ab99@example.com", "jane9999@example", "jane9@x.y", "jane9@.com", "jane99@a.b.co.",
	}
	keys := []string{
		"", "id", "balance", "phone", "order phone", "card", "card phone", "ssn", "tax id", "ip", "version", "ip version", "age", "pin", "cvv", "dob", "latitude",
		"account", "routing_number", "passport", "nhs", "cpf", "aadhaar", "steuer_id", "bsn", "imei", "npi", "driver_license", "orderNumber", "email", "password hint",
	}
	r := rand.New(rand.NewPCG(3, 3))
	s := scanner(t, options("patterns"))
	found := 0
	for range 200 {
		for _, shape := range shapes {
			text := []byte(shape)
			for i, c := range text {
				if c == '9' {
					text[i] = byte('0' + r.IntN(10))
				}
			}
			key := keys[r.IntN(len(keys))]
			whole, _ := s.Scan(nil, detect.Context{Key: key}, text, false)
			behind, _ := s.Scan(nil, detect.Context{Key: key, Before: []byte(" ")}, text, false)
			if len(whole) != len(behind) || len(whole) > 0 && !reflect.DeepEqual(whole, behind) {
				t.Errorf("%q in %q: found %v as a whole, %v behind a space", text, key, whole, behind)
			}
			found += len(whole)
		}
	}
	if found < 500 {
		t.Errorf("%d findings in all: too few to tell", found)
	}
}
