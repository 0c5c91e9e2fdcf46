package detect

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// generally finds what is in a text without any short way.
func generally(se *Session, ctx *Context, text []byte) []Finding {
	s := &se.scan
	s.begin(ctx, s.lookUp(ctx.Key), text, false)
	s.out, s.from = nil, 0
	if s.outlook.value {
		s.fieldValue()
	}
	s.search(nextAnchor(text, 0))
	s.takeNames()
	fs, _ := s.settle()
	return fs
}

// shortWays holds the short ways against the general one.
type shortWays struct{ short, general *Session }

func newShortWays(t testing.TB, opt Options) *shortWays {
	s, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	w := &shortWays{s.Open(), s.Open()}
	t.Cleanup(func() {
		w.short.Close()
		w.general.Close()
	})
	return w
}

// check returns how many findings there are.
func (w *shortWays) check(t *testing.T, key string, text []byte) int {
	t.Helper()
	var b Memory
	want := generally(w.general, &Context{Key: key, Memory: &b}, text)
	s := &w.short.scan
	for g := range anIBAN + 1 { // whatever the last text in the field was
		if o := s.lookUp(key); g > noGuess && !o.unsure && o != &s.unnamed {
			o.guess = g
		}
		var a Memory
		got, settled := w.short.Scan(nil, &Context{Key: key, Memory: &a}, text, false)
		if !slices.Equal(got, want) || settled != len(text) || a.Len() != b.Len() {
			t.Fatalf("%q in %q: found %v, and generally %v", text, key, got, want)
		}
	}
	return len(want)
}

// shortTexts are what the short ways are for, and what is close to it: 9
// stands for a digit, h and H for a hexadecimal one, a and A for letters.
var shortTexts = []string{
	"", "9", "-9", "99", "999", "9999", "99999", "999999", "9999999", "99999999", "999999999", "9999999999", "99999999999", "999999999999", "9999999999999", "1999999999999", "999999999999999", "9999999999999999", "4999999999999999", "-4999999999999999", "99999999999999999", "999999999999999999", "9999999999999999999", "99999999999999999999",
	"0.9999999999999999", "0.0999999999", "00.999999999", "99.99999999999999", "4999999999999999.9", "4999.999999999999", "-999.9999999999", "0999999.9",
	"9.99", "9999.99", "999.9999", "-9.99", "99.999999", "9.9.9", "9.", ".9", "-", "99.99.99.99", "+9.99.99.999", "999-99-9999", "999 999 999", "4999 9999 9999 9999", "+1 999 999 9999", "(999) 999-9999", "(999)999-9999", "(09) 9999 9999", "(020) 7946 0999", "(999)-999-9999", "(9999", "999-999-9999", "999.999.9999", "9999999999", "020 7946 0999", "030 99999999", "0099 999 9999", "99.99.99.99.99", "(19) 10 1990",
	"2099-99-99", "1999-09-29", "19-09-1999", "2029-09-09T09:29:59Z", "2029-09-29T09:09:09.999Z", "2029-09-29T09:09:09.999999999+09:00", "2029-09-09 09:29:59", "2029-09-09 09:29:59.999999", "2029-09-09T29:59-0900", "2029-09-09T09:09:09-09:09", "2029-09-09T09:29", "1999-09-29T00:00:00.000Z",
	"hhhhhhhh-hhhh-4hhh-hhhh-hhhhhhhhhhhh", "HHHHHHHH-HHHH-4HHH-HHHH-HHHHHHHHHHHH", "BE99 9999 9999 9999", "be99999999999999", "DE99 9999 9999 9999 9999 99", "GB99-AAAA-9999-9999-9999-99", "GB99 aaAA 9999 9999 9999 99", "GB99-AAAAA9-9999999999999-99", "DE99-99-99-99-99-99-99-99-99-99-99", "NO9999999999999", "MT99AAAA99999aaaaaaaaaaaaaaaaaa", "XK99 9999 9999 9999 9999", "BE99",
	"be99hhhh-9h9h-ba99-be99-9h9h9h9h9h9h", "hhhhhhhhhhhhhhhh", "hhhhhhhhhhhhhhhhhhhhhhhh", "ee99hhhhhhhhhhhhhhhh", "bc1hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh", "HHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHH", "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh",
	"aa99@example.com", "a9@example.org", "j.a999999@example.com", "j.9@example.com", "Jane.Roe@Example.com", "jane_roe@example.com", "jane-roe9@my-example.com",
	"jane@example.com", "jane.roe999@mail.example.org", "gold", "Gold", "true", "in progress", "New York", "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh", "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh", "some-slug-of-99-words", "https://www.example.com/items/999?page=9",
}

// someKeys are names of fields that say something, and that do not.
var someKeys = []string{
	"", "id", "ids", "user_id", "customerId", "balance", "phone", "order phone", "card", "ssn", "tax id", "ip", "ip version", "age", "pin", "cvv", "dob", "birthDate", "createdAt", "updated_at", "date", "timestamp", "latitude",
	"account", "iban", "routing_number", "passport", "nhs", "cpf", "aadhaar", "imei", "deviceId", "driver_license", "orderNumber", "email", "password", "password hint", "token", "sessionId", "zip", "postalCode", "city", "name", "address", "username",
	"uuid", "hash", "wallet", "vin", "mac", "plate", "bic", "a name of a field that is longer than what is remembered of one, id",
}

// textOf fills in a text of shortTexts, and changes a byte of some. Half of the
// IBANs are right.
func textOf(r *rand.Rand, shape string) []byte {
	text := []byte(shape)
	for i, c := range text {
		switch c {
		case '9':
			text[i] = byte('0' + r.IntN(10))
		case 'h':
			text[i] = "0123456789abcdef"[r.IntN(16)]
		case 'H':
			text[i] = "0123456789ABCDEF"[r.IntN(16)]
		case 'a':
			text[i] = byte('a' + r.IntN(26))
		case 'A':
			text[i] = byte('A' + r.IntN(26))
		}
	}
	if size := ibanSize(text); size != noIBAN && r.IntN(2) == 0 {
		for k, ok := 2, false; k < 99 && !ok; k++ {
			text[2], text[3] = byte('0'+k/10), byte('0'+k%10)
			_, ok = readIBAN(text, 0, size)
		}
	}
	if len(text) > 0 && r.IntN(4) == 0 {
		text[r.IntN(len(text))] = "0159 -.:+/@TZabcfmABCF_,"[r.IntN(24)]
	}
	return text
}

// TestShortWays: what the short ways find is what is found without them.
func TestShortWays(t *testing.T) {
	rounds := 400
	if testing.Short() {
		rounds = 20
	}
	for _, opt := range []Options{
		{}, {MinScore: 0.1}, {MinScore: 0.96}, {Entities: []Entity{Phone, CreditCard, ZIPCode, Location}},
		{Custom: []*Custom{{Entity: "X", Pattern: `\d{4}`, MaxLength: 4}, {Entity: "Y", Terms: []string{"gold", "t"}, Words: []string{"order", "t"}}}},
	} {
		w := newShortWays(t, opt)
		r := rand.New(rand.NewPCG(5, 5))
		found := 0
		for range rounds {
			for _, shape := range shortTexts {
				found += w.check(t, someKeys[r.IntN(len(someKeys))], textOf(r, shape))
			}
		}
		if found < rounds {
			t.Errorf("%d findings in all: too few to tell", found)
		}
	}
}

// FuzzShortWays: the same, for any text and any field's name.
func FuzzShortWays(f *testing.F) {
	r := rand.New(rand.NewPCG(6, 6))
	for i, shape := range shortTexts {
		f.Add(someKeys[i%len(someKeys)], string(textOf(r, shape)))
	}
	w := newShortWays(f, Options{MinScore: 0.1})
	f.Fuzz(func(t *testing.T, key, text string) { w.check(t, key, []byte(text)) })
}
