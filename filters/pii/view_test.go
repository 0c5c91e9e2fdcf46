package pii

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sluice-proxy/sluice/filters"
)

// everything is all that a view can see through.
const everything = unicodeForms | jsonDocuments | base64Values | urlEscapes | htmlEntities

// TestLeads: whatever fold reads otherwise begins with one of the leads.
func TestLeads(t *testing.T) {
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		if _, k := fold(r); k != other && !leads[string(r)[0]] {
			t.Errorf("%U is read otherwise, and %#x is no lead", r, string(r)[0])
		}
	}
}

// TestDigits: every decimal digit that Unicode knows is read as its value.
func TestDigits(t *testing.T) {
	for _, run := range [][]rune{[]rune("٠١٢٣٤٥٦٧٨٩"), []rune("०१२३४५६७८९"), []rune("０１２３４５６７８９"), []rune("𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗"), []rune("𝟶𝟷𝟸𝟹𝟺𝟻𝟼𝟽𝟾𝟿")} {
		for i, r := range run {
			if c, k := fold(r); c != '0'+byte(i) || k != same {
				t.Errorf("%U is read as %q, not as %d", r, c, i)
			}
		}
	}
	n := 0
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if unicode.Is(unicode.Nd, r) {
			n++
			if c, k := fold(r); !isDigit(c) || k != same {
				t.Errorf("%U is a digit, and is read as %q", r, c)
			}
		}
	}
	if n < 600 {
		t.Errorf("Unicode has more digits than %d", n)
	}
}

func TestNextLead(t *testing.T) {
	for _, s := range []string{"", "plain", "%", strings.Repeat("x", 23) + "&", strings.Repeat("x", 16) + "ü" + strings.Repeat("y", 9) + "\\", "Ελληνικά и русский и 日本語", "\u00a0", strings.Repeat("é", 20) + "\u200b"} {
		for i := range len(s) + 1 {
			want := i
			for want < len(s) && !leads[s[want]] {
				want++
			}
			if got := nextLead([]byte(s), i); got != want {
				t.Errorf("from %d on in %q: %d, not %d", i, s, got, want)
			}
		}
	}
}

func TestView(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"plain", ""}, {"Grüße aus Köln", ""}, {"日本語", ""}, {"100% of R&D", ""},
		{"４１", "41"}, {"a\u200bb", "ab"}, {"a%40b", "a@b"}, {"%C3%A9", "é"}, {"%C3%28", "%C3("}, {"a&#64;b&commat;c&#x40;", "a@b@c@"},
		{`a\u0040b`, "a@b"}, {`\ud83d\ude00`, "😀"}, {`\ud83d`, ""}, {`\u00`, ""},
		{"1–2", "1-2"}, {"A–2", "A-2"}, {"A–\u200b２", "A-2"}, {"a–b", ""}, {"com—or", ""}, {"e\u0301", ""}, {"1\u0336", "1"},
		{"%2540", "%40"}, // decoded once
	} {
		var v view
		got := ""
		if v.read([]byte(c.text), nil, false, everything) {
			got = string(v.text)
		}
		if got != c.want {
			t.Errorf("%q is read as %q, not as %q", c.text, got, c.want)
		}
	}
}

func TestViewSpan(t *testing.T) {
	var v view
	text := "\u200bx %40４\u00ad１&#64;"
	if !v.read([]byte(text), nil, false, everything) {
		t.Fatal("there is something to see through")
	}
	if string(v.text) != "x @41@" {
		t.Fatalf("read as %q", v.text)
	}
	for _, c := range []struct {
		start, end int
		want       string
		form       form
	}{
		{0, 1, "x", plain}, {2, 3, "%40", percent}, {3, 5, "４\u00ad１", folded}, {2, 6, "%40４\u00ad１&#64;", entity}, {0, 6, text[3:], entity},
	} {
		from, to, f := v.span(c.start, c.end)
		if got := text[from:to]; got != c.want || f != c.form {
			t.Errorf("%q stands at %q, form %d", v.text[c.start:c.end], got, f)
		}
	}
}

func newFilter(t testing.TB, edit func(*Config)) *filter {
	t.Helper()
	c := *Definition().Config().(*Config)
	if edit != nil {
		edit(&c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	f, err := build(c, filters.Env{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return f.(*filter)
}

// inPieces shows a text to a stream cut at the places, as the editor would,
// and returns what becomes of it.
func inPieces(t testing.TB, f *filter, text string, kind filters.Kind, cuts ...int) string {
	t.Helper()
	s, err := f.Open(context.Background(), &filters.Exchange{}, filters.Request)
	if err != nil {
		t.Fatal(err)
	}
	var out, carry, before []byte
	for i, at := range append(cuts, len(text)) {
		from := 0
		if i > 0 {
			from = cuts[i-1]
		}
		carry = append(carry, text[from:at]...)
		if len(carry) == 0 {
			continue
		}
		v := filters.Value{Kind: kind, Text: carry, Before: before, More: i < len(cuts)}
		if err := s.Value(context.Background(), &v); err != nil {
			t.Fatal(err)
		}
		done, upto := 0, v.Settled()
		for _, e := range v.Edits() {
			if e.Start < done || e.End < e.Start || e.End > upto {
				t.Fatalf("edit %d-%d of %q: %d is done, %d settled", e.Start, e.End, carry, done, upto)
			}
			out = append(append(out, carry[done:e.Start]...), e.With...)
			done = e.End
		}
		out = append(out, carry[done:upto]...)
		before = append(before, carry[:upto]...)
		before = bytes.Clone(before[max(0, len(before)-256):])
		carry = bytes.Clone(carry[upto:])
	}
	if len(carry) > 0 {
		t.Fatalf("%q was left", carry)
	}
	return string(out)
}

var evasions = []string{
	"card ４１１１–１１１１–１１１１–１１１１ and 078\u00ad05\u00ad1120, jane.doe%40example.com",
	"GB29–NWBK–6016–1331–9268–19 was it; card 4111&nbsp;1111&#xA0;1111\u00a01111.",
	`{"mail":"jane.doe\u0040example.com","x":"\ud83d\ude00 +1 202·555·0143"`,
	"%6A%61%6E%65%2E%64%6F%65%40%65%78%61%6D%70%6C%65%2E%63%6F%6D &amp; a & b &commat",
	"c3NuIDA3OC0wNS0xMTIwLCBqYW5lLmRvZUBleGFtcGxlLmNvbQ==",
	"jane\u200b.doe@example.com—call 2019–2020…",
	`{"x":"amFuZS5kb2VAZXhhbXBsZS5jb20="}`,
	"{aya z0000 AB000aA000000aAA00a 00000",
	"\n [[\"jane.doe@example.com\"], 41",
}

// TestViewInPieces: what is found does not depend on where a text is cut.
func TestViewInPieces(t *testing.T) {
	f := newFilter(t, nil)
	for _, text := range evasions {
		want := inPieces(t, f, text, filters.Text)
		if want == text {
			t.Errorf("nothing was found in %q", text)
		}
		for i := range text {
			for j := i; j <= len(text); j += 3 {
				if !utf8.RuneStart(text[min(j, len(text)-1)]) {
					continue
				}
				if got := inPieces(t, f, text, filters.Text, i, j); got != want {
					t.Fatalf("%q cut at %d and %d: %q, not %q", text, i, j, got, want)
				}
			}
		}
	}
}

// FuzzView: the parts of a view stand where it says, in order, and what
// becomes of a text does not depend on where it is cut.
func FuzzView(f *testing.F) {
	for _, e := range evasions {
		f.Add(e, 7)
		f.Add(e, len(e)/2)
	}
	fl := newFilter(f, nil)
	f.Fuzz(func(t *testing.T, text string, at int) {
		if !utf8.ValidString(text) || len(text) > 4<<10 {
			return
		}
		var v view
		if v.read([]byte(text), nil, false, everything) {
			last := 0
			for p := range v.text {
				from, to, form := v.span(p, p+1)
				if from < last || to < from || to > len(text) {
					t.Fatalf("byte %d of %q stands at %d-%d of %q, after %d", p, v.text, from, to, text, last)
				}
				if form == plain && text[from:to] != string(v.text[p:p+1]) {
					t.Fatalf("byte %d of %q is %q in %q", p, v.text, text[from:to], text)
				}
				last = from
			}
		}
		if at < 0 || at > len(text) || at < len(text) && !utf8.RuneStart(text[at]) {
			return
		}
		whole := inPieces(t, fl, text, filters.Text)
		if got := inPieces(t, fl, text, filters.Text, at); got != whole {
			t.Fatalf("%q cut at %d: %q, not %q", text, at, got, whole)
		}
	})
}

// TestPlainCostsNothing: a value of plain ASCII that holds nothing is looked
// at without an allocation, and without a view.
func TestPlainCostsNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector allocates")
	}
	f := newFilter(t, nil)
	s, err := f.Open(context.Background(), &filters.Exchange{}, filters.Request)
	if err != nil {
		t.Fatal(err)
	}
	var v filters.Value
	for _, text := range []string{"The quick brown fox", "customer_reference_of_the_order", "customer_reference_number", "application-form-v2", "abcdefghijklmnop", "Bestellnummer", "5f2b6c1e-9d8a-4b7c-8e21-0f6a7b9c1d2e", ""} {
		b := []byte(text)
		n := testing.AllocsPerRun(100, func() {
			v.Reset()
			v.Kind, v.Key, v.Text = filters.String, "note", b
			if err := s.Value(context.Background(), &v); err != nil {
				t.Fatal(err)
			}
		})
		if n > 0 {
			t.Errorf("%q: %v allocations", text, n)
		}
	}
}

func BenchmarkView(b *testing.B) {
	f := newFilter(b, nil)
	w, err := f.begin(&filters.Exchange{})
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]string{
		"ascii": strings.Repeat("The quick brown fox jumps. ", 150), "german": strings.Repeat("Fünf süße Bären, größer. ", 150),
		"typographic": strings.Repeat("It’s “quoted” — and 5\u00a0%. ", 150), "russian": strings.Repeat("Съешь ещё этих булок. ", 150),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				w.view.read([]byte(text), nil, false, everything)
			}
		})
	}
}
