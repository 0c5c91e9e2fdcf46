package detect

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// overheardWords are words that say something, alone or behind others, and words
// that do not; some cannot be overheard.
var overheardWords = strings.Fields("Card card CARD credit number Number PIN pin PINs code CVV security date of birth born DOB cardPin iPhone a A I Is the order tax id social account routing letters, renewed spring. driver's licence e-mail (phone) expires/until internationalization zip postal Geburtsdatum Müller code: say \"pin\" C\\n <b> version v2 abc123 _x x_ 4199 \n \t — " +
	"aVeryLongWordThatHasCapitals " + strings.Repeat("long", 20))

// checkOverheard: where it is heard at all, no less is heard before any place in
// the text than is read there. It reports how often it was heard, and something
// was said.
func checkOverheard(t *testing.T, sc *Scanner, text []byte) (n int) {
	t.Helper()
	ctx := &Context{}
	s := &scan{Scanner: sc}
	s.begin(ctx, s.lookUp(""), text, false)
	for p := 1; p < len(text); p++ {
		if p%3 == 0 || !s.overhear(p) {
			continue
		}
		r := &scan{Scanner: sc}
		r.begin(ctx, r.lookUp(""), text, false)
		r.read(p)
		told := r.reader.told
		told.or(&r.reader.toldBefore)
		if told.empty() {
			continue
		}
		n++
		heard := s.prose.said
		if heard.or(&told); heard != s.prose.said {
			t.Fatalf("of %q less is heard than is read", text[:p])
		}
		if r.reader.line.kind != noKey || r.reader.json.kind != noKey {
			t.Fatalf("the name of a field in %q is not heard", text[:p])
		}
	}
	return n
}

func TestOverheard(t *testing.T) {
	sc, err := New(Options{Custom: []*Custom{{Entity: "X", Pattern: `\d{4}`, MaxLength: 4, Words: []string{"member of the guild"}}}})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	heard := 0
	for range 3000 {
		var b strings.Builder
		for range 1 + r.IntN(20) {
			b.WriteString(overheardWords[r.IntN(len(overheardWords))])
			b.WriteString([]string{" ", " ", " ", ", ", "-", ""}[r.IntN(6)])
		}
		heard += checkOverheard(t, sc, []byte(b.String()))
	}
	if heard += checkOverheard(t, sc, []byte("a member of the guild 1234")); heard < 3000 {
		t.Errorf("heard %d times: too few to tell", heard)
	}
}

func FuzzOverheard(f *testing.F) {
	for _, text := range []string{"the security code is 123", "PIN 1234 and PINs", "cardPin 1234", strings.Repeat("word ", 30) + "pin 1", strings.Repeat("x", 70) + "pin 1"} {
		f.Add(text)
	}
	sc, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) < 300 {
			checkOverheard(t, sc, []byte(text))
		}
	})
}
