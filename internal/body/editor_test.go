package body_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
)

// streamFunc is a stream of one function.
type streamFunc func(v *filters.Value) error

func (f streamFunc) Value(_ context.Context, v *filters.Value) error { return f(v) }
func (streamFunc) Close(context.Context, *filters.Ledger) (filters.Decision, error) {
	return filters.Decision{}, nil
}

// shaper also has an End.
type shaper struct {
	streamFunc
	end func(o *filters.ObjectEnd)
}

func (s shaper) End(_ context.Context, o *filters.ObjectEnd) error { s.end(o); return nil }

// hide replaces every run of x's by stars of the same length. A run that
// reaches the end of a piece may go on, and is held.
var hide = hideRuns('x')

func hideRuns(c byte) streamFunc {
	return func(v *filters.Value) error {
		for i := 0; i < len(v.Text); {
			if v.Text[i] != c {
				i++
				continue
			}
			j := i
			for j < len(v.Text) && v.Text[j] == c {
				j++
			}
			if j == len(v.Text) && v.More {
				v.Hold(i)
				return nil
			}
			v.Edit(i, j, bytes.Repeat([]byte{'*'}, j-i))
			i = j
		}
		return nil
	}
}

func paths(t testing.TB, texts ...string) *body.Paths {
	t.Helper()
	p, err := body.CompilePaths(texts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func run(f body.Format, lim body.Limits, stages []body.Stage, chunks ...[]byte) (string, *body.Editor, error) {
	e := body.NewEditor(f, stages, lim)
	ctx := context.Background()
	var out []byte
	var err error
	for _, c := range chunks {
		// The chunk's memory is the caller's again after the call.
		mine := bytes.Clone(c)
		if out, err = e.Write(ctx, out, mine); err != nil {
			return string(out), e, err
		}
		clear(mine)
	}
	out, err = e.Close(ctx, out)
	return string(out), e, err
}

func one(t testing.TB, f body.Format, stages []body.Stage, doc string) string {
	t.Helper()
	out, _, err := run(f, body.Limits{}, stages, []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// everySplit checks that the answer does not depend on how doc is cut.
func everySplit(t *testing.T, f body.Format, lim body.Limits, stages func() []body.Stage, doc string) string {
	t.Helper()
	want, _, err := run(f, lim, stages(), []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	for at := 1; at < len(doc); at++ {
		if got, _, err := run(f, lim, stages(), []byte(doc[:at]), []byte(doc[at:])); err != nil || got != want {
			t.Fatalf("cut at %d of %q:\n got %q, %v\nwant %q", at, doc, got, err, want)
		}
	}
	if got, _, err := run(f, lim, stages(), slices.Collect(slices.Chunk([]byte(doc), 1))...); err != nil || got != want {
		t.Fatalf("cut at every byte:\n got %q, %v\nwant %q", got, err, want)
	}
	return want
}

func TestSelection(t *testing.T) {
	const store = `{"store":{"book":[{"author":"A","price":1.10,"isbn":"i"},{"author":"B","price":2}],"bicycle":{"color":"red"}},"x y":true,"":null}`
	for _, tt := range []struct {
		path string
		want []string // kind:text of the scalars shown
	}{
		{"$.store.book[0].author", []string{"A"}},
		{"$['store']['bicycle']['color']", []string{"red"}},
		{"$.store.book[*].author", []string{"A", "B"}},
		{"$..author", []string{"A", "B"}},
		{"$..price", []string{"1.10", "2"}},
		{"$..book[1].price", []string{"2"}},
		{"$..book[0,1]['author','isbn']", []string{"A", "i", "B"}},
		{"$.store.book[0:1].author", []string{"A"}},
		{"$.store.book[::2].price", []string{"1.10"}},
		{"$.store.book[1:].price", []string{"2"}},
		{"$.store.bicycle", []string{"color", "red"}},
		{"$.store.book[0][*]", []string{"A", "1.10", "i"}},
		{"$['x y']", []string{"true"}},
		{`$["x\u0020y"]`, []string{"true"}},
		{"$['']", []string{"null"}},
		{"$.nothing", nil},
		{"$.store.book.author", nil},
		{"$..book[?@.price > 1.5].author", []string{"B"}},
		{"$..book[-1].author", []string{"B"}},
	} {
		t.Run(tt.path, func(t *testing.T) {
			p := paths(t, tt.path)
			if p.NeedsDocument() {
				var err error
				if p, err = p.Locate([]byte(store), body.Limits{}); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			collect := streamFunc(func(v *filters.Value) error {
				if v.Kind != filters.Object && v.Kind != filters.Array {
					got = append(got, string(v.Text))
				}
				return nil
			})
			if out := one(t, body.JSON, []body.Stage{{Stream: collect, Paths: p}}, store); out != store {
				t.Errorf("the document was changed: %s", out)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPathErrors(t *testing.T) {
	for _, bad := range []string{"", "store", "$.", "$..", "$[", "$['a", "$[01]", "$[-0]", "$.a b", "$[?", "$.a ", "$[1,]", "$['\\x']", "$.1a", "$[9007199254740992]"} {
		_, err := body.CompilePaths([]string{"$", bad})
		var pe *body.PathError
		if !errors.As(err, &pe) || pe.Index != 1 {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestKeysAndKinds(t *testing.T) {
	const doc = `{"a":"s","b":[1,[true,null]],"c":{"d":-1.5e+3},"":"e"}`
	var got []string
	see := streamFunc(func(v *filters.Value) error {
		got = append(got, fmt.Sprintf("%d/%s/%s", v.Kind, v.Key, v.Text))
		return nil
	})
	one(t, body.JSON, []body.Stage{{Stream: see}}, doc)
	want := []string{"4/a/a", "0/a/s", "4/b/b", "1/b/1", "2/b/true", "3/b/null", "4/c/c", "4/d/d", "1/d/-1.5e+3", "4//", "0//e"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestEditsLeaveTheRestAsItWas(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"nothing to do", ` {"a" : 1.10, "b":[ 1e400 ,"\u00e9\/"] } `, ` {"a" : 1.10, "b":[ 1e400 ,"\u00e9\/"] } `},
		{"inside a string", `["ab xx cd"]`, `["ab ** cd"]`},
		{"escapes stay", `["\u00e9 xx \/ \"\n"]`, `["\u00e9 ** \/ \"\n"]`},
		{"an escape is edited", `["a\u0078x\u0078b"]`, `["a***b"]`},
		{"a surrogate pair stays", `["\ud83d\ude00 xx \uD83D"]`, `["\ud83d\ude00 ** \uD83D"]`},
		{"names", `{"xx":{"a":1}}`, `{"**":{"a":1}}`},
		{"duplicates", `{"a":"x","a":"x"}`, `{"a":"*","a":"*"}`},
		{"deep", `{"a":[[[{"b":"x"}]]]}`, `{"a":[[[{"b":"*"}]]]}`},
		{"empty", `{"a":{},"b":[],"c":""}`, `{"a":{},"b":[],"c":""}`},
		{"top level", `"x"`, `"*"`},
		{"byte order mark", "\xef\xbb\xbf[\"x\"]", "\xef\xbb\xbf[\"*\"]"},
		{"broken off in a string", `{"a":"x`, `{"a":"*`},
		{"broken off after a name", `{"xa":`, `{"*a":`},
		{"garbage behind", `{"a":"x"} x`, `{"a":"*"} *`},
		{"no JSON", `xyz`, `*yz`},
		{"bad escape", `["\q x"]`, `["\q *"]`},
		{"control character", "[\"a\x01x\"]", "[\"a\x01*\"]"},
		{"bad number", `[01,"x"]`, `[01,"*"]`},
		{"not UTF-8", "[\"\xff x\"]", "[\"\xff *\"]"},
		{"single quotes", `{'a':'x'}`, `{'a':'*'}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := everySplit(t, body.JSON, body.Limits{}, func() []body.Stage { return []body.Stage{{Stream: hide}} }, tt.in)
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// remove takes away what the paths select.
var remove = streamFunc(func(v *filters.Value) error {
	if !v.Inside && v.Kind != filters.Text {
		v.Remove()
	}
	return nil
})

func TestRemove(t *testing.T) {
	for _, tt := range []struct{ path, in, want string }{
		{"$.a", `{"a":1,"b":2}`, `{"b":2}`},
		{"$.b", `{"a":1,"b":2}`, `{"a":1}`},
		{"$.b", `{"a":1,"b":{"c":[1,2]},"d":3}`, `{"a":1,"d":3}`},
		{"$.a", `{"a":[{}]}`, `{}`},
		{"$.a", `{ "a" : "s" }`, `{  }`},
		{"$.a", `{ "a":1 , "b":2 }`, `{   "b":2 }`},
		{"$[0]", `[1,2,3]`, `[2,3]`},
		{"$[1]", `[1,[2],3]`, `[1,3]`},
		{"$[2]", `[1,2,3]`, `[1,2]`},
		{"$[*]", `[1,{"a":2},"3"]`, `[]`},
		{"$..a", `{"a":1,"b":{"a":[1],"c":0},"a":2}`, `{"b":{"c":0}}`},
		{"$", `{"a":1}`, `null`},
		{"$", `"a"`, `null`},
	} {
		t.Run(tt.path+" of "+tt.in, func(t *testing.T) {
			got := everySplit(t, body.JSON, body.Limits{}, func() []body.Stage {
				return []body.Stage{{Stream: remove, Paths: paths(t, tt.path)}}
			}, tt.in)
			if got != tt.want || !json.Valid([]byte(got)) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestReplaceRenameAdd(t *testing.T) {
	replace := func(with string) filters.Stream {
		return streamFunc(func(v *filters.Value) error {
			if !v.Inside {
				v.ReplaceJSON([]byte(with))
			}
			return nil
		})
	}
	rename := streamFunc(func(v *filters.Value) error {
		if !v.Inside {
			v.Rename(`n"w`)
		}
		return nil
	})
	add := shaper{streamFunc(func(*filters.Value) error { return nil }), func(o *filters.ObjectEnd) {
		o.Add("x", []byte(`1`))
		o.Add("y", []byte(`[2]`))
	}}
	for _, tt := range []struct {
		stream         filters.Stream
		path, in, want string
	}{
		{replace(`{"z":1}`), "$.a", `{"a":"s","b":1}`, `{"a":{"z":1},"b":1}`},
		{replace(`"r"`), "$.a", `{"a":{"deep":[1,{"a":2}]},"b":1}`, `{"a":"r","b":1}`},
		{replace(`0`), "$[*]", `[1,[2],"3"]`, `[0,0,0]`},
		{replace(`0`), "$", `[1]`, `0`},
		{replace(`0`), "$.b", `{"a":1, "b" : true }`, `{"a":1, "b" : 0 }`},
		{rename, "$.a", `{"a":1,"b":{"a":2}}`, `{"n\"w":1,"b":{"a":2}}`},
		{rename, "$..a", `{"a":{"a":[1]}}`, `{"n\"w":{"n\"w":[1]}}`},
		{rename, "$[0]", `[1]`, `[1]`},
		{add, "$", `{}`, `{"x":1,"y":[2]}`},
		{add, "$", `{"a":1}`, `{"a":1,"x":1,"y":[2]}`},
		{add, "$..o", `{"o":{"o":{"b":1}},"p":{}}`, `{"o":{"o":{"b":1,"x":1,"y":[2]},"x":1,"y":[2]},"p":{}}`},
	} {
		t.Run(tt.path+" of "+tt.in, func(t *testing.T) {
			got := everySplit(t, body.JSON, body.Limits{}, func() []body.Stage {
				return []body.Stage{{Stream: tt.stream, Paths: paths(t, tt.path), Exact: true}}
			}, tt.in)
			if got != tt.want || !json.Valid([]byte(got)) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestStagesSeeEarlierEdits(t *testing.T) {
	var saw []string
	see := streamFunc(func(v *filters.Value) error { saw = append(saw, string(v.Text)); return nil })
	number := streamFunc(func(v *filters.Value) error {
		if v.Kind == filters.Number {
			v.Edit(0, len(v.Text), []byte("n"))
		}
		return nil
	})
	out := one(t, body.JSON, []body.Stage{
		{Stream: number},
		{Stream: remove, Paths: paths(t, "$.gone")},
		{Stream: hide},
		{Stream: see},
	}, `{"a":12,"gone":"secret","b":"x\n"}`)
	if want := `{"a":"n","b":"*\n"}`; out != want {
		t.Errorf("got %s, want %s", out, want)
	}
	if want := []string{"a", "n", "gone", "b", "*\n"}; !slices.Equal(saw, want) {
		t.Errorf("the last stage saw %q, want %q", saw, want)
	}
}

// TestLongStrings: a long string is shown in pieces, and the answer is that
// of the whole.
func TestLongStrings(t *testing.T) {
	lim := body.Limits{PieceBytes: 32}
	for _, content := range []string{
		strings.Repeat("ab xx ", 40),
		strings.Repeat(`\u0078x \ud83d\ude00 é`, 20),
		strings.Repeat("é", 50) + "x" + strings.Repeat("€", 50),
		strings.Repeat("a", 31) + "xx" + strings.Repeat("b", 31) + "xx",
		strings.Repeat("x", 30) + " " + strings.Repeat("x", 33),
	} {
		doc := `{"k":["` + content + `",1],"x":"x"}`
		whole, _, err := run(body.JSON, body.Limits{}, []body.Stage{{Stream: hide}}, []byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		got := everySplit(t, body.JSON, lim, func() []body.Stage { return []body.Stage{{Stream: hide}, {Stream: hide}} }, doc)
		if got != whole {
			t.Errorf("in pieces: %s\nwhole:     %s", got, whole)
		}
		// Cut off in the middle, the rest is scanned as text.
		everySplit(t, body.JSON, lim, func() []body.Stage { return []body.Stage{{Stream: hide}} }, doc[:len(doc)-20])
	}
}

func TestRemoveLongString(t *testing.T) {
	doc := `{"a":1,"k":"` + strings.Repeat("y", 200) + `","z":2}`
	lim := body.Limits{PieceBytes: 32}
	got := everySplit(t, body.JSON, lim, func() []body.Stage { return []body.Stage{{Stream: remove, Paths: paths(t, "$.k")}} }, doc)
	if got != `{"a":1,"z":2}` {
		t.Errorf("got %s", got)
	}
	replace := streamFunc(func(v *filters.Value) error { v.ReplaceJSON([]byte("0")); return nil })
	got = everySplit(t, body.JSON, lim, func() []body.Stage { return []body.Stage{{Stream: replace, Paths: paths(t, "$.k")}} }, doc)
	if got != `{"a":1,"k":0,"z":2}` {
		t.Errorf("got %s", got)
	}
}

func TestText(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"plain xx words, é x", "plain ** words, é *"},
		{" \n\t x", " \n\t *"},
		{`  {"a":"x\u0078"}`, `  {"a":"**"}`},
		{"[INFO] x is here", "[INFO] * is here"},
		{"", ""},
		{"xxx", "***"},
	} {
		got := everySplit(t, body.Text, body.Limits{}, func() []body.Stage { return []body.Stage{{Stream: hide}} }, tt.in)
		if got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestLines(t *testing.T) {
	const doc = "{\"a\":\"x\"}\n[\"x\",1]\n\n\"x\"\n{\"a\":\"x\"}"
	got := everySplit(t, body.Lines, body.Limits{}, func() []body.Stage { return []body.Stage{{Stream: hide}} }, doc)
	if want := strings.ReplaceAll(doc, "x", "*"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	got = everySplit(t, body.Lines, body.Limits{}, func() []body.Stage { return []body.Stage{{Stream: hide, Paths: paths(t, "$.a")}} }, doc)
	if want := "{\"a\":\"*\"}\n[\"x\",1]\n\n\"x\"\n{\"a\":\"*\"}"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUnparsed(t *testing.T) {
	const doc = `{"a":"x","b":nope "x"}`
	refuse := errors.New("refused")
	for _, tt := range []struct {
		rule filters.Unparsed
		on   func(context.Context) error
		want string
		err  error
	}{
		{"", nil, `{"a":"*","b":nope "*"}`, nil},
		{filters.ScanAsText, nil, `{"a":"*","b":nope "*"}`, nil},
		{filters.PassUnparsed, nil, `{"a":"*","b":nope "x"}`, nil},
		{filters.DenyUnparsed, func(context.Context) error { return refuse }, "", refuse},
		{filters.DenyUnparsed, func(context.Context) error { return nil }, `{"a":"*","b":nope "x"}`, nil},
	} {
		out, e, err := run(body.JSON, body.Limits{}, []body.Stage{{Stream: hide, Unparsed: tt.rule, OnUnparsed: tt.on}}, []byte(doc))
		if !errors.Is(err, tt.err) || tt.err == nil && out != tt.want || !e.Unparsed() {
			t.Errorf("%q: %s, %v", tt.rule, out, err)
		}
	}
}

func TestLimits(t *testing.T) {
	lim := body.Limits{Depth: 4, NameBytes: 10}
	for _, tt := range []struct {
		doc      string
		unparsed bool
	}{
		{`[[[["x"]]]]`, false},
		{`[[[[["x"]]]]]`, true},
		{`{"0123456789":"x"}`, false},
		{`{"0123456789a":"x"}`, true},
		{`[` + strings.Repeat("1", 4096) + `]`, false},
		{`[` + strings.Repeat("1", 4097) + `]`, true},
		{`[` + strings.Repeat(" ", 200_000) + `1]`, false},
		{`{"a":` + strings.Repeat(" ", 200_000) + `1}`, true},
	} {
		out, e, err := run(body.JSON, lim, []body.Stage{{Stream: hide}}, []byte(tt.doc))
		if err != nil || e.Unparsed() != tt.unparsed || out != strings.ReplaceAll(tt.doc, "x", "*") {
			t.Errorf("%.40s: unparsed %v, want %v (%v)", tt.doc, e.Unparsed(), tt.unparsed, err)
		}
	}
}

// TestSixMegabytesOfBrackets: depth is a bound, not a stack.
func TestSixMegabytesOfBrackets(t *testing.T) {
	doc := bytes.Repeat([]byte{'['}, 6<<20)
	start := time.Now()
	out, e, err := run(body.JSON, body.Limits{}, []body.Stage{{Stream: hide}}, slices.Collect(slices.Chunk(doc, 64<<10))...)
	if err != nil || len(out) != len(doc) || !e.Unparsed() {
		t.Errorf("%d bytes, %v", len(out), err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	if body.Valid(doc, body.Limits{}) {
		t.Error("it is not JSON")
	}
}

// TestHeldIsBounded: a document of 100 MB passes with no more held than a
// value.
func TestHeldIsBounded(t *testing.T) {
	row := []byte(`{"id":12345,"mail":"someone xx","tags":["a","b"],"text":"` + strings.Repeat("lorem ipsum x ", 20) + `"},`)
	e := body.NewEditor(body.JSON, []body.Stage{{Stream: hide}}, body.Limits{})
	ctx := context.Background()
	var out []byte
	most, total := 0, int64(0)
	write := func(b []byte) {
		var err error
		if out, err = e.Write(ctx, out[:0], b); err != nil {
			t.Fatal(err)
		}
		most = max(most, e.Held())
		total += int64(len(out))
	}
	write([]byte("["))
	chunk := bytes.Repeat(row, 200)
	for range 100 << 20 / len(chunk) {
		for c := range slices.Chunk(chunk, 16<<10) {
			write(c)
		}
	}
	write([]byte("0]"))
	out, err := e.Close(ctx, out[:0])
	if err != nil || e.Unparsed() || total < 99<<20 {
		t.Fatalf("%d bytes, %v", total+int64(len(out)), err)
	}
	if most > 1024 {
		t.Errorf("%d bytes were held at once", most)
	}
}

func TestNoAllocationPerValue(t *testing.T) {
	nothing := streamFunc(func(*filters.Value) error { return nil })
	doc := []byte(`[` + strings.Repeat(`{"id":1,"name":"some text here","ok":true,"list":[1,2,3]},`, 500) + `0]`)
	p := paths(t, "$..name", "$[*].list[*]")
	for name, stage := range map[string]body.Stage{"everything": {Stream: nothing}, "paths": {Stream: nothing, Paths: p}} {
		out := make([]byte, 0, len(doc)*2)
		ctx := context.Background()
		allocs := testing.AllocsPerRun(5, func() {
			e := body.NewEditor(body.JSON, []body.Stage{stage}, body.Limits{})
			var err error
			if out, err = e.Write(ctx, out[:0], doc); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > 12 { // the editor's own, for 3,500 values
			t.Errorf("%s: %.0f allocations", name, allocs)
		}
	}
}

func FuzzWalker(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e-3,"x\u0041\n",true,null,{}]}`, `[]`, `"x"`, ` 12 `, `{"a":1,"a":2}`, `[1,]`, `{"a"}`, "\xef\xbb\xbf{}", `["\ud83d\ude00"]`, "tru", "-", "[[[["} {
		f.Add([]byte(s), uint16(1), uint16(3))
	}
	f.Fuzz(func(t *testing.T, doc []byte, a, b uint16) {
		i, j := min(int(a), len(doc)), min(int(b), len(doc))
		if i > j {
			i, j = j, i
		}
		var seen []string
		see := streamFunc(func(v *filters.Value) error {
			if v.Kind != filters.Text {
				// encoding/json shows bytes that are not UTF-8 as U+FFFD.
				seen = append(seen, string([]rune(string(v.Text))))
			}
			return nil
		})
		out, e, err := run(body.JSON, body.Limits{Depth: 10_000, NameBytes: 1 << 20, PieceBytes: 1 << 20}, []body.Stage{{Stream: see}}, doc[:i], doc[i:j], doc[j:])
		if err != nil || out != string(doc) {
			t.Fatalf("the document was changed: %q, %v", out, err)
		}
		bare := bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf"))
		blank := len(bytes.Trim(bare, " \t\r\n")) == 0
		if valid := json.Valid(bare); valid == e.Unparsed() && !blank && len(doc) < 4000 {
			t.Fatalf("encoding/json says %v", valid)
		} else if valid && len(doc) < 4000 && !slices.Equal(seen, tokens(t, bare)) {
			t.Fatalf("saw %q\nwant %q", seen, tokens(t, bare))
		}
	})
}

// tokens are the names and scalars as encoding/json sees them.
func tokens(t *testing.T, doc []byte) []string {
	var out []string
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		switch v := tok.(type) {
		case json.Delim:
		case nil:
			out = append(out, "null")
		default:
			out = append(out, fmt.Sprint(v))
		}
	}
}

func FuzzChunking(f *testing.F) {
	f.Add([]byte(`{"a":"xx x","x":["\u0078",{"b":1}],"long":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}`), uint64(1), uint8(0))
	f.Add([]byte(`x{"a":"xx`), uint64(7), uint8(1))
	f.Add([]byte("{\"x\":1}\n[\"x\"]"), uint64(3), uint8(2))
	f.Fuzz(func(t *testing.T, doc []byte, seed uint64, format uint8) {
		lim := body.Limits{PieceBytes: 24, NameBytes: 64, Depth: 16}
		stages := func() []body.Stage {
			return []body.Stage{{Stream: hide}, {Stream: remove, Paths: paths(t, "$..b", "$.a[1]"), Exact: true}, {Stream: hide, Paths: paths(t, "$..a")}}
		}
		fm := body.Format(format % 3)
		want, e, err := run(fm, lim, stages(), doc)
		if err != nil {
			t.Fatal(err)
		}
		if !e.Unparsed() && fm == body.JSON && json.Valid(doc) && !json.Valid([]byte(want)) {
			t.Fatalf("%q became %q, which is not JSON", doc, want)
		}
		var chunks [][]byte
		for rest := doc; len(rest) > 0; {
			seed = seed*6364136223846793005 + 1442695040888963407
			n := min(1+int(seed>>33)%7, len(rest))
			chunks, rest = append(chunks, rest[:n]), rest[n:]
		}
		if got, _, err := run(fm, lim, stages(), chunks...); err != nil || got != want {
			t.Fatalf("cut: %q, %v\nwhole: %q", got, err, want)
		}
	})
}

func BenchmarkEditor(b *testing.B) {
	nothing := streamFunc(func(*filters.Value) error { return nil })
	row := `{"id":12345,"mail":"someone@example.com","active":true,"text":"` + strings.Repeat("lorem ipsum dolor ", 8) + `"},`
	doc := []byte("[" + strings.Repeat(row, 2000) + "0]")
	for name, stage := range map[string]body.Stage{
		"nothing":    {Stream: nothing, Paths: paths(b, "$.none")},
		"everything": {Stream: nothing},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			out := make([]byte, 0, len(doc)*2)
			ctx := context.Background()
			for b.Loop() {
				e := body.NewEditor(body.JSON, []body.Stage{stage}, body.Limits{})
				for c := range slices.Chunk(doc, 32<<10) {
					out, _ = e.Write(ctx, out[:0], c)
				}
			}
		})
	}
}

// TestLongPieceOfText: a chunk that is longer than what a stage may hold does
// not end the text: what begins in it goes on in the next one.
func TestLongPieceOfText(t *testing.T) {
	seen := ""
	look := streamFunc(func(v *filters.Value) error {
		if v.More && bytes.HasSuffix(v.Text, []byte("xxx")) {
			v.Hold(len(v.Text) - 3)
			return nil
		}
		seen = string(v.Text[max(0, len(v.Text)-6):])
		return nil
	})
	long := strings.Repeat("word ", 1000)
	_, _, err := run(body.Text, body.Limits{PieceBytes: 16}, []body.Stage{{Stream: look}}, []byte(long+"xxx"), []byte("yyy"))
	if err != nil || seen != "xxxyyy" {
		t.Errorf("%v, %q", err, seen)
	}
}
