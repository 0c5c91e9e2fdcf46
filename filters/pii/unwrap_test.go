package pii

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
)

// edited passes a JSON body through a filter, in chunks of so many bytes.
func edited(t testing.TB, f *filter, doc string, chunk int) string {
	t.Helper()
	s, err := f.Open(context.Background(), &filters.Exchange{}, filters.Request)
	if err != nil {
		t.Fatal(err)
	}
	e := body.NewEditor(body.JSON, []body.Stage{{Stream: s}}, body.Limits{})
	var out []byte
	for len(doc) > 0 {
		n := min(chunk, len(doc))
		if out, err = e.Write(context.Background(), out, []byte(doc[:n])); err != nil {
			t.Fatal(err)
		}
		doc = doc[n:]
	}
	if out, err = e.Close(context.Background(), out); err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func quoted(t testing.TB, s string) string {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestDocumentInAString: what becomes of a document is the same whether it is
// the body, or a string in one, also where that comes in pieces.
func TestDocumentInAString(t *testing.T) {
	f := newFilter(t, nil)
	filler := strings.Repeat("nothing to see here; ", 30)
	for _, n := range []int{0, 1, 100, 250} {
		inner := `{"ssn":"078051120","list":[`
		for range n {
			inner += quoted(t, filler) + `,`
		}
		inner += `1],"mail":"jane.doe@example.com","x":"a\u0040b.example.com \/","ssn2":1}`
		want := edited(t, f, inner, 1<<20)
		if strings.Contains(want, "078051120") || strings.Contains(want, "jane.doe") {
			t.Fatal("the document as a body is not masked")
		}
		for _, chunk := range []int{1 << 20, 4096, 17} {
			got := edited(t, f, `{"payload":`+quoted(t, inner)+`}`, chunk)
			var outer struct{ Payload string }
			if err := json.Unmarshal([]byte(got), &outer); err != nil {
				t.Fatal(err)
			}
			if outer.Payload != want {
				t.Errorf("%d bytes in chunks of %d: the document came out otherwise than as a body", len(inner), chunk)
			}
		}
	}
}

// FuzzDocument: what becomes of a document is the same whether it is the body,
// also a broken one, or a string in one that has no name: a name would tell
// something of what has none of its own.
func FuzzDocument(f *testing.F) {
	for _, s := range []string{
		`{"ssn":"078051120","x":"a\u0040b.example.com \/"}`, `[1,"jane.doe@example.com",{"a":[]}]`, `{"ssn":"078051120",`, `[jane.doe@example.com`, `{"a":"MDc4MDUxMTIw"}`,
		` {"jane.doe@example.com":4111111111111111}`, `{"a":"x%40y.example.com &#64; ４１"} trailing jane.doe@example.com`,
		`[XamACA`,
	} {
		f.Add(s)
	}
	fl := newFilter(f, nil)
	f.Fuzz(func(t *testing.T, doc string) {
		if !utf8.ValidString(doc) || len(doc) > 2<<10 || !opensDocument([]byte(doc)) || strings.ContainsAny(doc, "\x00\ufeff") {
			return
		}
		if strings.Contains(doc, `\\"`) {
			return // a document in it would be a layer too deep
		}
		if n := strings.Count(doc, "{") + strings.Count(doc, "["); n > maxLayers && !json.Valid([]byte(doc)) {
			return // so would what is left of one that breaks off again and again
		}
		want := edited(t, fl, doc, 1<<20)
		var outer [1]string
		if err := json.Unmarshal([]byte(edited(t, fl, `[`+quoted(t, doc)+`]`, 1<<20)), &outer); err != nil {
			t.Fatal(err)
		}
		if outer[0] != want {
			t.Fatalf("%q came out as %q, and as a body as %q", doc, outer[0], want)
		}
	})
}

// TestLayers: three layers are looked into, and no more.
func TestLayers(t *testing.T) {
	f := newFilter(t, nil)
	mail, doc := "jane.doe@example.com", "{}"
	for layer := range 5 {
		in := `{"p":` + quoted(t, mail) + `,"d":` + quoted(t, doc) + `}`
		out := edited(t, f, in, 1<<20)
		if got, want := out != in, layer <= maxLayers; got != want {
			t.Errorf("%d layers deep: found %v", layer, got)
		}
		mail = base64.StdEncoding.EncodeToString([]byte(mail))
		doc = `{"d":` + quoted(t, doc) + `}`
	}
}

func TestDecode64(t *testing.T) {
	text := "jane.doe@example.com, Köln?>"
	for name, enc := range map[string]*base64.Encoding{"std": base64.StdEncoding, "url": base64.URLEncoding, "raw std": base64.RawStdEncoding, "raw url": base64.RawURLEncoding} {
		for n := 12; n < len(text); n++ {
			in := strings.ToValidUTF8(text[:n], "")
			coded := enc.EncodeToString([]byte(in))
			got, by := decode64([]byte(coded))
			if by == nil || string(got) != in {
				t.Errorf("%s of %d bytes: %q", name, n, got)
				continue
			}
			if again := by.EncodeToString(got); again != coded {
				t.Errorf("%s of %d bytes is written back as %s", name, n, again)
			}
		}
	}
	for _, s := range []string{"customer_reference", "5f2b6c1e9d8a4b7c", "aGVsbG8=d29ybGQ=", "====", "iVBORw0KGgoAAAANSUhEUgAA", "a-b+c/d_e0123456", strings.Repeat("QUFB", 20000)} {
		if got, by := decode64([]byte(s)); by != nil {
			t.Errorf("%.20q is taken for base64 of %.20q", s, got)
		}
	}
}

func TestDifference(t *testing.T) {
	for _, c := range []struct{ text, out, want string }{
		{"abcdef", "abXdef", "c>X"}, {"aaa", "aaaa", ">a"}, {"aaaa", "aaa", "a>"}, {"", "x", ">x"}, {"é", "è", "é>è"}, {"xéy", "xèy", "é>è"}, {"same", "same", ">"},
	} {
		start, end, with := difference([]byte(c.text), []byte(c.out))
		if got := c.text[start:end] + ">" + string(with); got != c.want {
			t.Errorf("%q to %q: %q", c.text, c.out, got)
		}
		if got := c.text[:start] + string(with) + c.text[end:]; got != c.out {
			t.Errorf("%q to %q gives %q", c.text, c.out, got)
		}
	}
}
