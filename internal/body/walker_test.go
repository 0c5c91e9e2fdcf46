package body_test

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
)

// meddler does to each value what chance wants, and takes note of what it was
// shown.
type meddler struct {
	id    int
	seed  uint64
	shown *bytes.Buffer
}

func (m *meddler) Value(_ context.Context, v *filters.Value) error {
	if v.Plain && bytes.ContainsFunc(v.Text, func(r rune) bool { return r < ' ' || r > 0x7F || r == '%' || r == '&' || r == '\\' }) {
		fmt.Fprintf(m.shown, "%q is not plain\n", v.Text)
	}
	h := fnv.New64a()
	start := m.shown.Len()
	fmt.Fprintf(m.shown, "%d: kind %d, key %q, paths %x, inside %v: %q behind %q, more %v\n", m.id, v.Kind, v.Key, v.Paths, v.Inside, v.Text, v.Before, v.More)
	_, _ = h.Write(m.shown.Bytes()[start:])
	chance := h.Sum64() ^ m.seed
	chance ^= chance >> 29
	at := 0
	if n := len(v.Text); n > 0 {
		at = int(chance >> 40 % uint64(n))
	}
	switch chance % 12 {
	case 0:
		v.Remove()
	case 1:
		v.ReplaceJSON([]byte([]string{`"re\u0070laced\n"`, `12`, `null`, `{"a":[1,"x"]}`, `[]`}[chance>>8%5]))
	case 2:
		v.Rename([]string{"n", `a"b`, "é"}[chance>>8%3])
	case 3, 4:
		v.Edit(at, (at+len(v.Text)+1)/2, [][]byte{nil, []byte("W"), []byte("\"q\n"), []byte("longer than it was")}[chance>>8%4])
		v.Edit((at+len(v.Text)+1)/2, len(v.Text), []byte("Z"))
	case 5:
		v.Edit(0, len(v.Text)+5, []byte("beyond its end"))
		v.Rename("r")
	}
	return nil
}

func (m *meddler) Close(context.Context, *filters.Ledger) (filters.Decision, error) {
	return filters.Decision{}, nil
}

func (m *meddler) End(_ context.Context, o *filters.ObjectEnd) error {
	fmt.Fprintf(m.shown, "%d: end %x\n", m.id, o.Paths)
	o.Added = append(o.Added, filters.Member{Name: `ad"ded`, JSON: []byte("1")})
	return nil
}

// checkCuts checks that a document is shown and edited the same way however
// it is cut: as a whole, in two at each place, or at every byte; and whether the
// stages are alone or not.
func checkCuts(t *testing.T, doc []byte, seed uint64) {
	t.Helper()
	lim := body.Limits{PieceBytes: 24, NameBytes: 32, Depth: 16}
	var company []body.Stage
	edit := func(chunks ...[]byte) (out, shown string) {
		var log bytes.Buffer
		stages := slices.Clone(company)
		for i, ps := range [][]string{nil, {"$.a.b", "$..b[1]", "$..longer_name"}, {"$", "$..*"}} {
			if seed>>(60+i)&1 == 0 {
				s := body.Stage{Stream: &meddler{id: i, seed: seed, shown: &log}, Exact: seed>>(56+i)&1 == 1, SameNames: seed>>(52+i)&1 == 1}
				if ps != nil {
					s.Paths = paths(t, ps...)
				}
				stages = append(stages, s)
			}
		}
		out, e, err := run(body.JSON, lim, stages, chunks...)
		if err != nil {
			t.Fatal(err)
		}
		if e.Unparsed() {
			return out, "" // the rest is text, in pieces as they come
		}
		return out, log.String()
	}
	want, shown := edit(doc)
	if shown == "" {
		return
	}
	if strings.Contains(shown, "is not plain\n") {
		t.Fatalf("%q: %s", doc, shown)
	}
	check := func(how string, chunks ...[]byte) {
		if out, log := edit(chunks...); out != want || log != shown {
			t.Fatalf("%q, %s:\n%q\n%s\nas a whole:\n%q\n%s", doc, how, out, log, want, shown)
		}
	}
	company = []body.Stage{{Stream: aside, Paths: paths(t, "$.nobody.sees['this']")}}
	check("in company", doc)
	company = nil
	check("at every byte", slices.Collect(slices.Chunk(doc, 1))...)
	for at := range min(len(doc), 600) {
		check(fmt.Sprintf("at %d", at), doc[:at], doc[at:])
	}
}

// cutDocuments have every kind of token, plain and not.
var cutDocuments = []string{
	`{"a":{"b":"text","\u0062":["x","\ud83d\ude00 \"and\" so on",-1.5e+3]},"longer_name":true,"":null}`,
	" [ 12 , \"one\" , { \"a\" : { \"b\" : [ false , \"this one is longer than a piece may be\" ] } } , [ ] , { } ] \r\n",
	`{"customers":[{"id":1,"email":"customer1@example.com","active":true,"balance":1024.50},{"id":2,"email":null,"tags":["a",["b"]]}],"total":2}`,
	`[[[[1,2],[3,"x"]],{"b":{"b":{"b":[0,1]}}}],"last"]`,
	`"only a string"`,
	`{"plain":"just a text","percent":"50% of it","amp":"this & that","umlaut":"Gr\u00fc\u00dfe","raw":"Grüße, at last","behind":"a","far":"behind it: %","\u0025":"&"}`,
	`-0.25`,
}

func TestCuts(t *testing.T) {
	for i, doc := range cutDocuments {
		for seed := range uint64(40) {
			checkCuts(t, []byte(doc), (seed<<3+uint64(i))*0x9E3779B97F4A7C15)
		}
	}
}

func FuzzCuts(f *testing.F) {
	for i, doc := range cutDocuments {
		f.Add([]byte(doc), uint64(i)*0x9E3779B97F4A7C15)
	}
	f.Fuzz(checkCuts)
}

// TestFirstNameIsEmpty: an empty name is a name all the same.
func TestFirstNameIsEmpty(t *testing.T) {
	for path, want := range map[string]string{"$['']": `{"":"*"}`, "$[0]": `{"":"x"}`, "$..*": `{"":"*"}`} {
		if got := one(t, body.JSON, []body.Stage{{Stream: hide, Paths: paths(t, path)}}, `{"":"x"}`); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// TestIgnores: what a stage ignores is not shown to it, and is to the others.
func TestIgnores(t *testing.T) {
	const doc = `{"a":[1,true,null,"x",{"b":"x"}],"c":"x"}`
	var seen []string
	see := streamFunc(func(v *filters.Value) error {
		seen = append(seen, fmt.Sprintf("%d:%s", v.Kind, v.Text))
		return nil
	})
	for _, tt := range []struct {
		ignores []filters.Kind
		paths   []string
		want    []string
	}{
		{nil, nil, []string{"4:a", "1:1", "2:true", "3:null", "0:x", "4:b", "0:x", "4:c", "0:x"}},
		{[]filters.Kind{filters.Name, filters.Bool, filters.Null}, nil, []string{"1:1", "0:x", "0:x", "0:x"}},
		{[]filters.Kind{filters.String, filters.Array, filters.Object}, []string{"$.a", "$.c"}, []string{"1:1", "2:true", "3:null", "4:b"}},
	} {
		seen = nil
		stages := []body.Stage{{Stream: see, Ignores: body.KindsOf(tt.ignores...)}, {Stream: hide, Paths: paths(t, "$.a")}}
		if tt.paths != nil {
			stages[0].Paths = paths(t, tt.paths...)
		}
		if got := one(t, body.JSON, stages, doc); got != `{"a":[1,true,null,"*",{"b":"*"}],"c":"x"}` {
			t.Errorf("the others did %s", got)
		}
		if !slices.Equal(seen, tt.want) {
			t.Errorf("ignoring %v: saw %q, want %q", tt.ignores, seen, tt.want)
		}
	}
}

// TestSameNames: a name that a stage left as it is is shown once, one that it
// changed every time.
func TestSameNames(t *testing.T) {
	doc := strings.Repeat(`{"":1,"a":1,"ab":1,"abc":1,"abcd":1,"abcdefgh":1,"abcdefghi":1,"abcdefghijklmnop":1,"x":1,"a name of over sixteen bytes":1}`+"\n", 3)
	shown := map[string]int{}
	stages := func(same bool) []body.Stage {
		return []body.Stage{{SameNames: same, Stream: streamFunc(func(v *filters.Value) error {
			if v.Kind == filters.Name {
				shown[string(v.Text)]++
			}
			return hide(v)
		})}}
	}
	want := one(t, body.Lines, stages(false), doc)
	clear(shown)
	if got := one(t, body.Lines, stages(true), doc); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for name, n := range shown {
		if once := name != "x" && len(name) <= 16; once && n != 1 || !once && n != 3 {
			t.Errorf("%q was shown %d times", name, n)
		}
	}
	if len(shown) != 10 {
		t.Errorf("%d names were shown", len(shown))
	}
}
