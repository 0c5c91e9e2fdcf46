package privacy_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/answer"
	"github.com/sluice-proxy/sluice/internal/ai/privacy"
)

func masker(t testing.TB, c privacy.Config) *privacy.Masker {
	t.Helper()
	m, err := privacy.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func key(k string) func() (filters.Secret, error) {
	return func() (filters.Secret, error) { return filters.NewSecret(k), nil }
}

func TestMasking(t *testing.T) {
	m := masker(t, privacy.Config{Tokenize: []string{"EMAIL_ADDRESS"}, Hash: []string{"CREDIT_CARD"}, Key: key("k1")})
	parts := []filters.Part{
		{Text: "the policy's own: team@example.com"},
		{Name: "body", Data: true, Text: `{"z":"jane@example.com","a":["omar@example.com","jane@example.com"],"card":4111111111111111,"mia@example.com":1,"n":1.10}`},
		{Name: "note", Data: true, Text: "write to omar@example.com"},
	}
	got, mapping, err := m.Mask(parts)
	if err != nil {
		t.Fatal(err)
	}
	if got[0].Text != parts[0].Text {
		t.Error("what the policy's author wrote was changed")
	}
	// Members come in the order of their names, and tokens as they are found.
	card := got[1].Text[strings.Index(got[1].Text, "<CREDIT"):]
	card = card[:strings.Index(card, ">")+1]
	if want := `{"<EMAIL_ADDRESS_3>":1,"a":["<EMAIL_ADDRESS_1>","<EMAIL_ADDRESS_2>"],"card":"` + card + `","n":1.10,"z":"<EMAIL_ADDRESS_2>"}`; got[1].Text != want {
		t.Errorf("got  %s\nwant %s", got[1].Text, want)
	}
	if got[2].Text != "write to <EMAIL_ADDRESS_1>" {
		t.Errorf("got %s", got[2].Text)
	}
	if mapping.Findings["EMAIL_ADDRESS"] != 5 || mapping.Findings["CREDIT_CARD"] != 1 {
		t.Errorf("findings %v", mapping.Findings)
	}
	if s := mapping.Restore("<EMAIL_ADDRESS_2> and <EMAIL_ADDRESS_9> and " + card + " < x"); s != "jane@example.com and <EMAIL_ADDRESS_9> and "+card+" < x" {
		t.Errorf("restored %q", s)
	}
	// A hash is the same for the same value and key, and for no other.
	again, _, _ := m.Mask(parts)
	other, _, _ := masker(t, privacy.Config{Hash: []string{"CREDIT_CARD"}, Key: key("k2")}).Mask(parts)
	if again[1].Text != got[1].Text || strings.Contains(other[1].Text, card) {
		t.Error("the hash does not depend on value and key alone")
	}
}

func TestNoMaskerChangesNothing(t *testing.T) {
	var m *privacy.Masker
	parts := []filters.Part{{Data: true, Text: "jane@example.com"}}
	got, mapping, err := m.Mask(parts)
	if err != nil || got[0].Text != parts[0].Text || mapping.Restore("<EMAIL_ADDRESS_1>") != "<EMAIL_ADDRESS_1>" {
		t.Errorf("%v %v", got, err)
	}
}

func TestConfigurationErrors(t *testing.T) {
	for _, c := range []privacy.Config{{}, {Tokenize: []string{"NOTHING"}}} {
		if _, err := privacy.New(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

// FuzzMask: nothing that is found in the data is left in what goes out, and
// putting the values back gives the same text (for JSON, the same document).
func FuzzMask(f *testing.F) {
	m := masker(f, privacy.Config{Tokenize: []string{"EMAIL_ADDRESS", "IP_ADDRESS"}})
	for _, seed := range []string{"", "jane@example.com", `{"a":"jane\u0040example.com"}`, "<EMAIL_ADDRESS_1> jane@example.com", `[1,"192.0.2.1",{"x":"a@b.example"}]`, "a@b.co a@b.co <IP_ADDRESS_1>", "\xffa@b.example\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		got, mapping, err := m.Mask([]filters.Part{{Name: "body", Text: data, Data: true}})
		if err != nil {
			t.Fatal(err)
		}
		masked := got[0].Text
		if masked == data {
			return
		}
		if strings.Contains(data, "<EMAIL_ADDRESS_") || strings.Contains(data, "<IP_ADDRESS_") {
			return // the data had tokens of its own; they mean what they say
		}
		if s := strings.TrimLeft(data, " \t\r\n"); s != "" && (s[0] == '{' || s[0] == '[') {
			if _, err := answer.Decode([]byte(data)); err == nil {
				// A document stays one; its texts are masked one by one.
				if !json.Valid([]byte(masked)) {
					t.Fatalf("%q became %q, which is no document", data, masked)
				}
				return
			}
		}
		if back := mapping.Restore(masked); back != data {
			t.Fatalf("%q became %q and then %q", data, masked, back)
		}
	})
}
