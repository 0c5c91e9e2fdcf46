package pii

import (
	"testing"

	"github.com/sluice-proxy/sluice/internal/detect"
)

func TestMask(t *testing.T) {
	for _, c := range []struct {
		name, value string
		treatment   Treatment
		entity      detect.Entity
		want        string
	}{
		{"what separates stays", "+1 202-555-0147", Treatment{}, detect.Phone, "+* ***-***-****"},
		{"the last stay", "4111 1111 1111 1234", Treatment{KeepLast: 4}, detect.CreditCard, "**** **** **** 1234"},
		{"but no more than half", "1234", Treatment{KeepLast: 4}, detect.CreditCard, "**34"},
		{"the domain stays", "jane.doe@example.com", Treatment{KeepDomain: true}, detect.Email, "****.***@example.com"},
		{"of an e-mail address only", "jane@home", Treatment{KeepDomain: true}, detect.Person, "****@****"},
		{"domain and last", "jane@example.com", Treatment{KeepDomain: true, KeepLast: 2}, detect.Email, "****@example.com"},
		{"a character is one mask", "José Ñúñez", Treatment{}, detect.Person, "**** *****"},
		{"and stays whole", "José", Treatment{KeepLast: 1}, detect.Person, "***é"},
		{"a mask of its own", "Jane", Treatment{MaskWith: "ﾖ"}, detect.Person, "ﾖﾖﾖﾖ"},
		{"nothing", "", Treatment{}, detect.Person, ""},
		{"no letter", "--", Treatment{KeepLast: 1}, detect.Person, "--"},
	} {
		if got := string(mask([]byte("x"), &c.treatment, c.entity, []byte(c.value))); got != "x"+c.want {
			t.Errorf("%s: %q is %q, want %q", c.name, c.value, got[1:], c.want)
		}
	}
}
