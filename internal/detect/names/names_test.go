package names_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/internal/detect/names"
)

func model(t testing.TB) *names.Model {
	t.Helper()
	m, err := names.Default()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var kindNames = map[names.Kind]string{names.Person: "person", names.Place: "place", names.Organization: "org", names.Group: "group"}

// field reads the name of a field.
func field(m *names.Model, key string) *names.Field {
	f := m.Field(key)
	return &f
}

// tag writes the names in a text as kind:text.
func tag(m *names.Model, key, text string) []string {
	var out []string
	spans, _, settled := m.Tag(nil, nil, names.Input{Text: []byte(text), Field: field(m, key), Memory: &names.Memory{}})
	if settled != len(text) {
		panic("a whole text is settled")
	}
	for _, s := range spans {
		out = append(out, kindNames[s.Kind]+":"+text[s.Start:s.End])
	}
	return out
}

func TestNames(t *testing.T) {
	m := model(t)
	for _, tt := range []struct {
		key, text string
		want      []string
	}{
		{"", "Please call Ingrid Halvorsen in Trondheim tomorrow.", []string{"person:Ingrid Halvorsen", "place:Trondheim"}},
		{"", "my name is kofi mensah and i live in accra", []string{"person:kofi mensah", "place:accra"}},
		{"", "Dear Ms. O'Donnell,\nyour parcel is in Cork.", []string{"person:O'Donnell", "place:Cork"}},
		{"customerName", "van der Merwe, Pieter", []string{"person:van der Merwe, Pieter"}},
		{"full_name", "JÜRGEN GROSSMANN", []string{"person:JÜRGEN GROSSMANN"}},
		{"lastName", "Rose", []string{"person:Rose"}},
		{"city", "Rose", []string{"place:Rose"}},
		{"zip", "90211", []string{"place:90211"}},
		{"amount", "90211", nil},
		{"plz", "D-10115", []string{"place:D-10115"}},
		{"id", "5f1c2d3e-0001-4a2b-9c3d-aabbccddee0f", nil},
		{"street", "Lindenallee 12", []string{"place:Lindenallee 12"}},
		{"", "Меня зовут Ольга Смирнова, я живу в Москве.", []string{"person:Ольга Смирнова", "place:Москве"}},
		// What is written like a name and is none.
		{"status", "active", nil},
		{"product", "Florence candle holder", nil},
		{"title", "Markov chain", nil},
		{"", "The deployment runs on Kubernetes with Jenkins and Grafana.", nil},
		{"", "We meet on Monday, April 14.", nil},
		{"model", "llama-3.1-70b", nil},
		{"", "", nil},
	} {
		if got := tag(m, tt.key, tt.text); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s %q: got %q, want %q", tt.key, tt.text, got, tt.want)
		}
	}
}

// inPieces tags a text in pieces as a stream does. limit is how much may be
// held.
func inPieces(t testing.TB, m *names.Model, key string, pieces ...[]byte) []string {
	var out []string
	var carry, before []byte
	var mem names.Memory
	for i, p := range pieces {
		carry = append(carry, p...)
		spans, extents, settled := m.Tag(nil, nil, names.Input{Text: carry, Before: before, Field: field(m, key), More: i < len(pieces)-1, Memory: &mem})
		for _, e := range extents {
			if e.End > settled {
				t.Fatalf("an extent reaches past what is settled: %q, %d of %d", carry[e.Start:e.End], settled, len(carry))
			}
		}
		for _, s := range spans {
			if s.End > settled {
				t.Fatalf("a name reaches past what is settled: %q", carry[s.Start:s.End])
			}
			out = append(out, fmt.Sprintf("%s:%s %.4f", kindNames[s.Kind], carry[s.Start:s.End], s.Score))
		}
		if held := len(carry) - settled; held > 512 {
			t.Fatalf("%d bytes are held", held)
		}
		mem.Settle(settled)
		before = append(before, carry[:settled]...)
		before = before[max(0, len(before)-256):]
		carry = append([]byte(nil), carry[settled:]...)
	}
	return out
}

var texts = []string{
	"Please call Ingrid Halvorsen in Trondheim tomorrow; Halvorsen is there until 5.",
	"From: Pieter van der Merwe <p@example.org>\nTo: 12 Rue de la Paix, 75002 Paris\n\nDear Mr. O'Brien's brother,\n\tsee 221B Baker Street, London NW1 6XE.\n-- \nJosé María Peña\nCalle Mayor 5, 3º B\n28013 Madrid\n",
	"customer='kofi mensah' city=\"accra\" zip=12345 postal_code: 10115, level=INFO JOHN SMITH AND MARY JONES OF THE SMITH AND JONES COMPANY OF NEW YORK CITY AND LONDON AND PARIS AND BERLIN AND ROME",
	`{"firstName": "Žofia", "address": {"street": "Hlavná 5/12", "city": "Košice", "zip": "040 01"}, "note": "ask 王小明 or 田中太郎"}`,
	"id;name;city\n1;Anna-Lena Große-Brömer;Bad Tölz\n2;d'Angelo, Giò;Sant'Angelo\n" + strings.Repeat("=", 60) + "\nAnna" + strings.Repeat(" ", 40) + "Lena Meier",
	"A B C D E F G H I J K L M N O P Q R S T. A-B-C-D-E-F-G-H-I-J. Berg St. A.B.C.D.E.F.G.H.I.J.K.L.M.N.O.P.",
	strings.Repeat("0", 200) + " AZ", // a barrier that begins before what is looked at
	"Anna Bella Clara Dora Emma Frida Gerda Hanna Ida Julia Klara Lena Maria Nora Olga Paula Rosa Sara Tina Ute Vera Wanda Xenia Yvonne Zoe Anna Bella Clara Dora Emma Frida",
}

// TestPieces: what is found does not depend on how a text is cut.
func TestPieces(t *testing.T) {
	m := model(t)
	for _, text := range texts {
		whole := inPieces(t, m, "", []byte(text))
		for at := 1; at < len(text); at++ {
			if got := inPieces(t, m, "", []byte(text[:at]), []byte(text[at:])); !reflect.DeepEqual(got, whole) {
				t.Fatalf("cut at %d, before %q:\n got %q\nwant %q", at, text[at:min(len(text), at+10)], got, whole)
			}
		}
		var bytewise [][]byte
		for i := range len(text) {
			bytewise = append(bytewise, []byte(text[i:i+1]))
		}
		if got := inPieces(t, m, "", bytewise...); !reflect.DeepEqual(got, whole) {
			t.Fatalf("cut at every byte:\n got %q\nwant %q", got, whole)
		}
	}
}

func FuzzPieces(f *testing.F) {
	for _, s := range texts {
		f.Add(s, "name", uint64(1))
	}
	m := model(f)
	f.Fuzz(func(t *testing.T, text, key string, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		var pieces [][]byte
		for rest := []byte(text); len(rest) > 0; {
			n := min(1+r.IntN(40), len(rest))
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		if len(pieces) == 0 {
			return
		}
		whole := inPieces(t, m, key, []byte(text))
		if got := inPieces(t, m, key, pieces...); !reflect.DeepEqual(got, whole) {
			t.Fatalf("in pieces %q\nwhole %q", got, whole)
		}
	})
}

// TestLongText: pieces that the tagger cuts itself change nothing.
func TestLongText(t *testing.T) {
	m := model(t)
	text := []byte(strings.Repeat(strings.Join(texts, "\n"), 12))
	var pieces [][]byte
	for rest := text; len(rest) > 0; {
		n := min(1777, len(rest))
		pieces, rest = append(pieces, rest[:n]), rest[n:]
	}
	if got, want := inPieces(t, m, "", pieces...), inPieces(t, m, "", text); !reflect.DeepEqual(got, want) {
		t.Errorf("%d and %d names", len(got), len(want))
	}
}

func TestMemory(t *testing.T) {
	m := model(t)
	var mem names.Memory
	m.Tag(nil, nil, names.Input{Text: []byte("Please call Ingrid Halvorsen back."), Memory: &mem})
	for _, text := range []string{"halvorsen", "It was HALVORSEN again", "then halvorsen left"} {
		spans, _, _ := m.Tag(nil, nil, names.Input{Text: []byte(text), Memory: &mem})
		if len(spans) != 1 || spans[0].Kind != names.Person || !strings.EqualFold(text[spans[0].Start:spans[0].End], "halvorsen") {
			t.Errorf("%q: %v", text, spans)
		}
	}
}

// TestSeenBefore: what is kept of a value depends on the name of its field, and
// on what is remembered.
func TestSeenBefore(t *testing.T) {
	m := model(t)
	for range 2 { // the second time it is known
		if got := tag(m, "theme", "amber"); got != nil {
			t.Errorf("theme: %q", got)
		}
		if got := tag(m, "firstName", "amber"); !reflect.DeepEqual(got, []string{"person:amber"}) {
			t.Errorf("firstName: %q", got)
		}
	}
	var mem names.Memory
	m.Tag(nil, nil, names.Input{Text: []byte("Please call Ingrid Dellwo back."), Memory: &mem})
	for range 2 {
		if got := tag(m, "error", "failed: dellwo not found"); got != nil {
			t.Errorf("at first: %q", got)
		}
		text := []byte("failed: dellwo not found")
		if spans, _, _ := m.Tag(nil, nil, names.Input{Text: text, Field: field(m, "error"), Memory: &mem}); len(spans) != 1 || string(text[spans[0].Start:spans[0].End]) != "dellwo" {
			t.Errorf("remembered: %v", spans)
		}
	}
}

func TestBias(t *testing.T) {
	m := model(t)
	count := func(bias float64) int {
		n := 0
		for _, text := range texts {
			spans, _, _ := m.Tag(nil, nil, names.Input{Text: []byte(text), Bias: bias})
			for _, s := range spans {
				n += s.End - s.Start
			}
		}
		return n
	}
	if few, usual, many := count(-8), count(0), count(8); few >= usual || usual >= many {
		t.Errorf("%d, %d and %d bytes of names", few, usual, many)
	}
}

func TestNoAllocation(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector allocates")
	}
	m := model(t)
	var spans []names.Span
	var extents []names.Extent
	for _, text := range []string{"All happy families are alike, each of the 7 in its own way.", "active", strings.Join(texts, "\n")} {
		in := names.Input{Text: []byte(text), Field: field(m, "shippingAddress")}
		spans, extents, _ = m.Tag(spans[:0], extents[:0], in)
		if n := testing.AllocsPerRun(100, func() { spans, extents, _ = m.Tag(spans[:0], extents[:0], in) }); n > 0 {
			t.Errorf("%.0f allocations for %.20q", n, text)
		}
	}
	for _, kind := range kindsOfValues {
		v := kind.make(rand.New(rand.NewPCG(1, 1)), 0)
		in := names.Input{Field: field(m, v.key), Text: []byte(v.text)}
		spans, extents, _ = m.Tag(spans[:0], extents[:0], in)
		if n := testing.AllocsPerRun(100, func() { spans, extents, _ = m.Tag(spans[:0], extents[:0], in) }); n > 0 {
			t.Errorf("%.0f allocations for the value %s", n, kind.name)
		}
	}
}

func BenchmarkTag(b *testing.B) {
	m := model(b)
	prose := "The committee met in the afternoon and agreed that the old bridge had to be closed for the winter. Nobody had asked the engineers, who were busy with the new harbour, and the mayor, Anna Lindqvist, said on Tuesday that the money was not there. In the meantime the ferry to Karlshamn runs twice a day; it takes about an hour and is free for those who live on the island. "
	mixed := `{"id":"5f1c2d3e-0001-4a2b-9c3d-aabbccddeeff","status":"active","amount":1234.50,"created_at":"2025-01-02T03:04:05Z","customer":{"name":"Ingrid Halvorsen","email":"ingrid@example.org","address":{"street":"Storgata 12","city":"Trondheim","zip":"7011"}},"items":[{"sku":"AB-1234","title":"desk lamp","qty":2},{"sku":"AB-9999","title":"oak shelf","qty":1}]}`
	for name, text := range map[string]string{"prose": strings.Repeat(prose, 12), "mixed": strings.Repeat(mixed, 12), "names": strings.Repeat(texts[1], 20)} {
		b.Run(name, func(b *testing.B) {
			data := []byte(text)
			var spans []names.Span
			var extents []names.Extent
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				spans, extents, _ = m.Tag(spans[:0], extents[:0], names.Input{Text: data})
			}
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := names.Load(); err != nil {
			b.Fatal(err)
		}
	}
}
