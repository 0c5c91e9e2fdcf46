package body_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
)

// runAs is run for a body with a content type.
func runAs(contentType string, lim body.Limits, stages []body.Stage, chunks ...[]byte) (string, *body.Editor, error) {
	e := body.TypeOf(contentType).NewEditor(stages, lim)
	ctx := context.Background()
	var out []byte
	var err error
	for _, c := range chunks {
		mine := slices.Clone(c)
		if out, err = e.Write(ctx, out, mine); err != nil {
			return string(out), e, err
		}
		clear(mine)
	}
	out, err = e.Close(ctx, out)
	return string(out), e, err
}

// everyCut is everySplit for a body with a content type.
func everyCut(t *testing.T, contentType string, lim body.Limits, stages func() []body.Stage, doc string) string {
	t.Helper()
	want, _, err := runAs(contentType, lim, stages(), []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	for at := 1; at < len(doc); at++ {
		if got, _, err := runAs(contentType, lim, stages(), []byte(doc[:at]), []byte(doc[at:])); err != nil || got != want {
			t.Fatalf("cut at %d of %q:\n got %q, %v\nwant %q", at, doc, got, err, want)
		}
	}
	if got, _, err := runAs(contentType, lim, stages(), slices.Collect(slices.Chunk([]byte(doc), 1))...); err != nil || got != want {
		t.Fatalf("cut at every byte:\n got %q, %v\nwant %q", got, err, want)
	}
	return want
}

// note collects what is shown, as kind/key/text.
func note(into *[]string) filters.Stream {
	return streamFunc(func(v *filters.Value) error {
		*into = append(*into, fmt.Sprintf("%d/%s/%s", v.Kind, v.Key, v.Text))
		return nil
	})
}

// hideAll is for documents of a type: all values, and the ones that paths
// select.
func hideAll(t *testing.T, paths_ ...string) func() []body.Stage {
	return func() []body.Stage { return []body.Stage{{Stream: hide, Paths: paths(t, paths_...)}} }
}

const formType = "application/x-www-form-urlencoded"

func TestForm(t *testing.T) {
	for _, tt := range []struct{ path, in, want string }{
		{"", "a=1&b=2", "a=1&b=2"},
		{"", "a=x+x&b=%78%78y", "a=*+*&b=**y"},
		{"", "x=a&%78b=c", "*=a&*b=c"},
		{"", "a=%C3%A9x%C3%A9&b=%+%zz%4", "a=%C3%A9*%C3%A9&b=%+%zz%4"},
		{"", "x&&a&=x&", "*&&a&=*&"},
		{"", "", ""},
		{"", "x", "*"},
		{"", `{"a":"\u0078"}`, `{"a":"*"}`},
		{"$.a", "a=x&b=x&a=x&%61=x", "a=*&b=x&a=*&%61=*"},
		{"$['a b']", "a+b=x&a%20b=x&ab=x", "a+b=*&a%20b=*&ab=x"},
		{"$.*", "x=x&y=x", "x=*&y=*"},
		{"$..*", "x=x&y=x", "x=*&y=*"},
		{"$", "x=x&y=x", "*=*&y=*"},
		{"$.a.b", "a=x", "a=x"},
	} {
		stages := hideAll(t, tt.path)
		if tt.path == "" {
			stages = hideAll(t)
		}
		if got := everyCut(t, formType, body.Limits{}, stages, tt.in); got != tt.want {
			t.Errorf("%s of %s: got %s, want %s", tt.path, tt.in, got, tt.want)
		}
	}
}

func TestFormRemove(t *testing.T) {
	for _, tt := range []struct{ path, in, want string }{
		{"$.a", "a=1&b=2&c=3", "b=2&c=3"},
		{"$.b", "a=1&b=2&c=3", "a=1&c=3"},
		{"$.c", "a=1&b=2&c=3", "a=1&b=2"},
		{"$.a", "a=1&a=2&&b=3&a=4", "&b=3"},
		{"$.*", "a=1&b=2", ""},
		{"$.a", "a=1&", ""},
	} {
		got := everyCut(t, formType, body.Limits{}, func() []body.Stage {
			return []body.Stage{{Stream: remove, Paths: paths(t, tt.path)}}
		}, tt.in)
		if got != tt.want {
			t.Errorf("%s of %s: got %s, want %s", tt.path, tt.in, got, tt.want)
		}
	}
	// A long value goes as a whole too.
	got := everyCut(t, formType, body.Limits{PieceBytes: 8}, func() []body.Stage {
		return []body.Stage{{Stream: remove, Paths: paths(t, "$.b")}}
	}, "a=1&b="+strings.Repeat("long+", 10)+"&c=2")
	if got != "a=1&c=2" {
		t.Errorf("got %s", got)
	}
}

func TestFormEscapes(t *testing.T) {
	write := streamFunc(func(v *filters.Value) error { v.Edit(0, len(v.Text), []byte("ä &=+%")); return nil })
	if got := everyCut(t, formType, body.Limits{}, func() []body.Stage { return []body.Stage{{Stream: write, Paths: paths(t, "$.a")}} }, "a=1&b=2"); got != "a=%C3%A4+%26%3D%2B%25&b=2" {
		t.Errorf("got %s", got)
	}
}

func TestFormLong(t *testing.T) {
	for _, in := range []string{
		"a=" + strings.Repeat("ab+xx%78+%C3%A9", 20),
		"a=" + strings.Repeat("%C3%A9", 30) + "x%78x&b=" + strings.Repeat("x", 100) + "&c=%",
		"a=" + strings.Repeat("%", 50),
	} {
		whole, _, err := runAs(formType, body.Limits{}, hideAll(t)(), []byte(in))
		if err != nil {
			t.Fatal(err)
		}
		if got := everyCut(t, formType, body.Limits{PieceBytes: 16}, hideAll(t), in); got != whole {
			t.Errorf("in pieces: %s\nwhole:     %s", got, whole)
		}
	}
}

func TestXML(t *testing.T) {
	for _, tt := range []struct{ path, in, want string }{
		{"", `<a>x</a>`, `<a>*</a>`},
		{"", `<?xml version="1.0"?>` + "\n<a b='x' c=\"y&#120;&quot;\">x&amp;x</a>\n", `<?xml version="1.0"?>` + "\n<a b='*' c=\"y*&quot;\">*&amp;*</a>\n"},
		{"", `<a>a&#x78;<!-- x --><b/>&unknown;x &bad x</a>`, `<a>a*<!-- * --><b/>&unknown;* &bad *</a>`},
		{"", `<a><![CDATA[<x>]]></a>`, `<a><![CDATA[<*>]]></a>`},
		{"", `<a>x<![CDATA[x]]>x<!--y-->x<?pi x?>x</a>`, `<a>*****<![CDATA[]]><!--y--><?pi *?></a>`},
		{"", `<!DOCTYPE a [<!ENTITY e "x"><!-- ">]' -->]><a>&e;</a><!-- x -->`, `<!DOCTYPE a [<!ENTITY e "*"><!-- ">]' -->]><a>&e;</a><!-- * -->`},
		{"", `<a><b>x</a>`, `<a><b>*</a>`},
		{"", `<a>x< b></a>`, `<a>*< b></a>`},
		{"", `<a>x</a>x`, `<a>*</a>*`},
		{"", `xyz`, `*yz`},
		{"", ` {"a":"\u0078"}`, ` {"a":"*"}`},
		{"", `<a b=x>x</a>`, `<a b=*>*</a>`},
		{"", `<a b="x`, `<a b="*`},
		{"", `<a>x<!-- x`, `<a>*<!-- *`},
		{"", `<a>x<![CDATA[x`, `<a>*<![CDATA[*`},
		{"$.a.b", `<a><b>x</b><c>x</c><b>x<d e="x"/></b>x</a>`, `<a><b>*</b><c>x</c><b>*<d e="*"/></b>x</a>`},
		{"$..b", `<a><b>x</b><c><b>x</b></c>x</a>`, `<a><b>*</b><c><b>*</b></c>x</a>`},
		{"$.a['@b']", `<a b="x" c="x">x</a>`, `<a b="*" c="x">x</a>`},
		{"$..['@id']", `<n:a n:id="x"><b id='x'/></n:a>`, `<n:a n:id="*"><b id='*'/></n:a>`},
		{"$.a.b[*].c", `<a><b><c>x</c></b><b><c>x</c>x</b></a>`, `<a><b><c>*</c></b><b><c>*</c>x</b></a>`},
		{"$.a.b[1]", `<a><b>x</b><c/><b>x</b></a>`, `<a><b>x</b><c/><b>*</b></a>`},
		{"$.a.b[:1]", `<a><b>x</b><c/><b>x</b></a>`, `<a><b>*</b><c/><b>x</b></a>`},
		{"$.Envelope.Body.mail", `<s:Envelope><s:Body><mail>x</mail></s:Body></s:Envelope>`, `<s:Envelope><s:Body><mail>*</mail></s:Body></s:Envelope>`},
		{"$['s:Envelope']..mail", `<s:Envelope><t:mail>x</t:mail></s:Envelope>`, `<s:Envelope><t:mail>*</t:mail></s:Envelope>`},
		{"$.a.none", `<!DOCTYPE a [<!ENTITY e "x">]><a>x<!-- x --></a>`, `<!DOCTYPE a [<!ENTITY e "*">]><a>x<!-- x --></a>`},
	} {
		stages := hideAll(t, tt.path)
		if tt.path == "" {
			stages = hideAll(t)
		}
		if got := everyCut(t, "text/xml", body.Limits{}, stages, tt.in); got != tt.want {
			t.Errorf("%s of %s\n got %s\nwant %s", tt.path, tt.in, got, tt.want)
		}
	}
}

func TestXMLEscapes(t *testing.T) {
	write := func(with string) func() []body.Stage {
		return func() []body.Stage {
			return []body.Stage{{Stream: streamFunc(func(v *filters.Value) error { v.Edit(0, len(v.Text), []byte(with)); return nil })}}
		}
	}
	for _, tt := range []struct{ with, in, want string }{
		{`a<&>"'`, `<a b="1" c='2'>3</a>`, `<a b="a&lt;&amp;&gt;&#34;&#39;" c='a&lt;&amp;&gt;&#34;&#39;'>a&lt;&amp;&gt;"'</a>`},
		{`]]>`, `<a><![CDATA[1]]></a>`, `<a><![CDATA[]]]]>&gt;<![CDATA[]]></a>`},
		{`-->?>`, `<a><!--1--><?p 1?></a>`, `<a><!--___?_--><?p--___?></a>`},
	} {
		if got := everyCut(t, "application/soap+xml", body.Limits{}, write(tt.with), tt.in); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.in, got, tt.want)
		}
	}
}

func TestXMLRemove(t *testing.T) {
	got := everyCut(t, "text/xml", body.Limits{}, func() []body.Stage {
		return []body.Stage{{Stream: remove, Paths: paths(t, "$.a.b", "$.a['@c']")}}
	}, `<a c="1" d="2" ><b>text <![CDATA[more]]></b></a>`)
	if want := `<a d="2" ><b><![CDATA[]]></b></a>`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestXMLKeys(t *testing.T) {
	var got []string
	if _, e, err := runAs("text/xml", body.Limits{}, []body.Stage{{Stream: note(&got)}},
		[]byte(`<r><n:a n:id="1">t<!--c--><![CDATA[u]]>v<b/> w</n:a></r>`)); err != nil || e.Unparsed() {
		t.Fatal(err)
	}
	want := []string{"0/id/1", "5//c", "0/a/tuv", "0/a/ w"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestXMLLimits(t *testing.T) {
	lim := body.Limits{Depth: 3, NameBytes: 8, PieceBytes: 16}
	for _, tt := range []struct {
		doc      string
		unparsed bool
	}{
		{`<a><b><c>x</c></b></a>`, false},
		{`<a><b><c><d>x</d></c></b></a>`, true},
		{`<a23456789>x</a23456789>`, true},
		{`<a b2345678="x"/>`, false},
		{`<a b23456789="x"/>`, true},
		{`<a>` + strings.Repeat("xy&#120;", 30) + `</a>`, false},
		{`<a>x<!-- ` + strings.Repeat("long x ", 30) + `-->x</a>`, false},
		{`<a>x<![CDATA[ ` + strings.Repeat("long x ", 30) + `]]>x</a>`, false},
		{`<a><b/></a><!-- ` + strings.Repeat("long x ", 30) + `-->`, false},
	} {
		out, e, err := runAs("text/xml", lim, hideAll(t)(), []byte(tt.doc))
		want := strings.ReplaceAll(strings.ReplaceAll(tt.doc, "x", "*"), "&#120;", "*")
		if err != nil || e.Unparsed() != tt.unparsed || out != strings.ReplaceAll(want, "&#*", "&#x") {
			t.Errorf("%s: unparsed %v (%v)\n%s", tt.doc, e.Unparsed(), err, out)
		}
		everyCut(t, "text/xml", lim, hideAll(t), tt.doc)
	}
}

const multipartType = `multipart/form-data; boundary="b-1"`

// lines joins lines the way they are sent.
func lines(ls ...string) string { return strings.Join(ls, "\r\n") }

func TestMultipart(t *testing.T) {
	doc := lines("--b-1",
		`Content-Disposition: form-data; name="a"`, "", "x and \u00e9", "--b-1",
		`Content-Disposition: form-data; name="j"`, `Content-Type: application/json`, "", `{"k":"\u0078","l":"x"}`, "--b-1",
		`Content-Disposition: form-data; name="f"; filename="x.csv"`, `Content-Type: text/plain`, "", "x", "--b-1-no", "--b-1",
		`Content-Disposition: form-data; name=i; filename=i.png`, `Content-Type: image/png`, "", "x\x00\r\n\n", "--b-1",
		`Content-Disposition: form-data; name="m"`, `Content-Type: text/xml`, "", `<a>&#120;</a>`, "--b-1--", "")
	for _, tt := range []struct {
		path string
		want [][2]string
	}{
		{"", [][2]string{{"x and", "* and"}, {`"\u0078","l":"x"`, `"*","l":"*"`}, {`"x.csv"`, `"*.csv"`}, {"\r\nx\r\n--b-1-no", "\r\n*\r\n--b-1-no"}, {"&#120;", "*"}}},
		{"$.a", [][2]string{{"x and", "* and"}}},
		{"$.j.k", [][2]string{{`\u0078`, "*"}}},
		{"$..l", [][2]string{{`"l":"x"`, `"l":"*"`}}},
		{"$.f", [][2]string{{`"x.csv"`, `"*.csv"`}, {"\r\nx\r\n--b-1-no", "\r\n*\r\n--b-1-no"}}},
		{"$.m.a", [][2]string{{"&#120;", "*"}}},
		{"$.i", nil},
	} {
		want := doc
		for _, r := range tt.want {
			if !strings.Contains(want, r[0]) {
				t.Fatalf("%q is not there", r[0])
			}
			want = strings.ReplaceAll(want, r[0], r[1])
		}
		stages := hideAll(t, tt.path)
		if tt.path == "" {
			stages = hideAll(t)
		}
		for name, d := range map[string][2]string{"CRLF": {doc, want}, "LF": {strings.ReplaceAll(doc, "\r\n", "\n"), strings.ReplaceAll(want, "\r\n", "\n")}} {
			if got := everyCut(t, multipartType, body.Limits{}, stages, d[0]); got != d[1] {
				t.Errorf("%s, %s\n got %q\nwant %q", tt.path, name, got, d[1])
			}
		}
	}
}

func TestMultipartFiles(t *testing.T) {
	doc := lines("--b", `Content-Disposition: form-data; name="t"; filename="1"`, `Content-Type: text/csv`, "", "x", "--b",
		`Content-Disposition: form-data; name="p"; filename*=UTF-8''%78`, `Content-Type: image/png`, "", "x", "--b--")
	for files, want := range map[filters.Files]int{"": 1, filters.ScanFiles: 1, filters.ScanAllFiles: 2, filters.PassFiles: 0} {
		got := everyCut(t, "multipart/form-data; boundary=b", body.Limits{}, func() []body.Stage { return []body.Stage{{Stream: hide, Files: files}} }, doc)
		if n := strings.Count(got, "\r\n*\r\n"); n != want || !strings.Contains(got, "''%2A") && !strings.Contains(got, "''*") {
			t.Errorf("%q: %d files were changed:\n%s", files, n, got)
		}
	}
}

// TestMultipartOddities: what is not as it should be is shown as well.
func TestMultipartOddities(t *testing.T) {
	for _, tt := range []struct {
		name, contentType, in string
		unparsed              bool
	}{
		{"preamble and epilogue", "multipart/mixed; boundary=b", "x\r\n--b\r\n\r\nx\r\n--b--\r\nx", true},
		{"blank around", "multipart/mixed; boundary=b", "\r\n--b\r\n\r\nx\r\n--b-- \r\n\r\n", false},
		{"no last boundary", "multipart/mixed; boundary=b", "--b\r\n\r\nx", true},
		{"no boundary at all", "multipart/mixed; boundary=b", "x\r\n--c\r\nx", true},
		{"no parameter", "multipart/mixed", "--b\r\n\r\nx\r\n--b--", true},
		{"empty parts", "multipart/mixed; boundary=b", "--b\r\n\r\n--b\r\n\r\n\r\n--b--", false},
		{"no header lines", "multipart/mixed; boundary=b", "--b\r\nx\r\n--b--", true},
		{"broken off in a header", "multipart/mixed; boundary=b", "--b\r\nX-A: x", true},
		{"header fields", "multipart/mixed; boundary=b", "--b\r\nX-A: x\r\n\r\nx\r\n--b--", false},
		{"a boundary within a line", "multipart/mixed; boundary=b", "--b\r\n\r\nx--b--\r\n--bx\r\n--b--", false},
		{"nested", "multipart/mixed; boundary=b", "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n--b--", false},
		{"an unknown type", "multipart/mixed; boundary=b", "--b\r\nContent-Type: image/png\r\n\r\nx\r\n--b--", true},
		{"broken JSON", "multipart/mixed; boundary=b", "--b\r\nContent-Type: application/json\r\n\r\n{x\r\n--b\r\n\r\nx\r\n--b--", true},
		{"a field like JSON", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=n\r\n\r\n[x\r\n--b--", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, e, err := runAs(tt.contentType, body.Limits{}, hideAll(t)(), []byte(tt.in))
			if err != nil || e.Unparsed() != tt.unparsed {
				t.Errorf("unparsed: %v, %v", e.Unparsed(), err)
			}
			want := strings.ReplaceAll(tt.in, "x", "*")
			want = strings.NewReplacer("mi*ed", "mixed").Replace(want)
			if got := everyCut(t, tt.contentType, body.Limits{}, hideAll(t), tt.in); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func TestMultipartIndex(t *testing.T) {
	got := everyCut(t, "multipart/mixed; boundary=b", body.Limits{}, hideAll(t, "$[1]"), "--b\r\n\r\nx\r\n--b\r\n\r\nx\r\n--b--")
	if want := "--b\r\n\r\nx\r\n--b\r\n\r\n*\r\n--b--"; got != want {
		t.Errorf("got %q", got)
	}
}

// TestExactIsJSONOnly: a step that is about the structure of JSON is shown
// nothing of the other formats.
func TestExactIsJSONOnly(t *testing.T) {
	for ct, doc := range map[string]string{
		formType:                          "a=x&b=1",
		"text/xml":                        `<a b="x">x</a>`,
		"multipart/form-data; boundary=b": "--b\r\nContent-Disposition: form-data; name=a\r\nContent-Type: application/json\r\n\r\n{\"a\":\"x\"}\r\n--b--",
	} {
		got := everyCut(t, ct, body.Limits{}, func() []body.Stage {
			return []body.Stage{{Stream: remove, Paths: paths(t, "$..a", "$.a"), Exact: true, Unparsed: filters.PassUnparsed}}
		}, doc)
		if got != doc {
			t.Errorf("%s: %s", ct, got)
		}
	}
}

// formatDocs are bodies of many values with nothing to do in them, escapes
// included.
func formatDocs() map[string]string {
	return map[string]string{
		formType:                          strings.Repeat("name=some+text%2C+and+more&mail=someone%40example.com&", 500),
		"application/xml":                 "<a>" + strings.Repeat(`<row id="12345" m="a&amp;b">some text &#38; more<b>and more</b></row>`+"\n", 500) + "</a>",
		"multipart/form-data; boundary=b": strings.Repeat("--b\r\nContent-Disposition: form-data; name=a\r\n\r\n"+strings.Repeat("some text\r\n", 40)+"\r\n", 50) + "--b--",
	}
}

func TestFormatsAllocateNothingAValue(t *testing.T) {
	if testing.Short() {
		t.Skip("measures")
	}
	nothing := streamFunc(func(*filters.Value) error { return nil })
	for ct, doc := range formatDocs() {
		if strings.HasPrefix(ct, "multipart") {
			continue // a part has a reader of its own
		}
		out := make([]byte, 0, 2*len(doc))
		n := testing.AllocsPerRun(5, func() {
			e := body.TypeOf(ct).NewEditor([]body.Stage{{Stream: nothing}, {Stream: nothing, Paths: paths(t, "$..mail", "$.a.row[*]['@id']")}}, body.Limits{})
			for c := range slices.Chunk([]byte(doc), 8<<10) {
				out, _ = e.Write(context.Background(), out[:0], c)
			}
		})
		if n > 150 {
			t.Errorf("%s: %.0f allocations for a body of 1000 values and more", ct, n)
		}
	}
}

func BenchmarkFormats(b *testing.B) {
	nothing := streamFunc(func(*filters.Value) error { return nil })
	for ct, doc := range formatDocs() {
		b.Run(strings.Split(ct, ";")[0], func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			out := make([]byte, 0, 2*len(doc))
			for b.Loop() {
				e := body.TypeOf(ct).NewEditor([]body.Stage{{Stream: nothing}}, body.Limits{})
				for c := range slices.Chunk([]byte(doc), 32<<10) {
					out, _ = e.Write(context.Background(), out[:0], c)
				}
			}
		})
	}
}

func TestMultipartLimits(t *testing.T) {
	part := "--b\r\n\r\nx\r\n"
	nested := "x"
	for range 9 {
		nested = "--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + nested + "\r\n--b--"
	}
	for _, tt := range []struct {
		name, in string
		unparsed bool
	}{
		{"as many parts as may be", strings.Repeat(part, 1000) + "--b--", false},
		{"one more", strings.Repeat(part, 1001) + "--b--", true},
		{"a long header", "--b\r\nX-A: " + strings.Repeat("x", 17<<10) + "\r\n\r\nx\r\n--b--", true},
		{"bodies in bodies", nested, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, e, err := runAs("multipart/form-data; boundary=b", body.Limits{}, hideAll(t)(), slices.Collect(slices.Chunk([]byte(tt.in), 1000))...)
			want := strings.ReplaceAll(strings.ReplaceAll(tt.in, "x", "*"), "mi*ed", "mixed")
			if err != nil || e.Unparsed() != tt.unparsed || strings.ReplaceAll(out, "mi*ed", "mixed") != want {
				t.Errorf("unparsed: %v, %v", e.Unparsed(), err)
			}
		})
	}
}
