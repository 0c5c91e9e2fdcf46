package body_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"mime/multipart"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
)

// cutByChance cuts doc at places that seed decides.
func cutByChance(doc []byte, seed uint64) (chunks [][]byte) {
	for len(doc) > 0 {
		seed = seed*6364136223846793005 + 1442695040888963407
		n := min(1+int(seed>>33)%7, len(doc))
		chunks, doc = append(chunks, doc[:n]), doc[n:]
	}
	return chunks
}

// neverDependsOnCuts checks that the answer, and that nothing is lost where
// nothing is edited.
func neverDependsOnCuts(t *testing.T, contentType string, doc []byte, seed uint64) {
	t.Helper()
	lim := body.Limits{PieceBytes: 24, NameBytes: 64, Depth: 8}
	for _, stages := range []func() []body.Stage{
		func() []body.Stage {
			return []body.Stage{{Stream: hide}, {Stream: remove, Paths: paths(t, "$..b", "$.a.c[1]")}, {Stream: hide, Paths: paths(t, "$..a")}}
		},
		func() []body.Stage {
			return []body.Stage{{Stream: hide, Paths: paths(t, "$.a"), Unparsed: filters.PassUnparsed}, {Stream: hide, Files: filters.PassFiles}}
		},
	} {
		want, _, err := runAs(contentType, lim, stages(), doc)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := runAs(contentType, lim, stages(), cutByChance(doc, seed)...); err != nil || got != want {
			t.Fatalf("cut: %q, %v\nwhole: %q", got, err, want)
		}
	}
	nothing := streamFunc(func(*filters.Value) error { return nil })
	for _, l := range []body.Limits{{}, lim} {
		got, _, err := runAs(contentType, l, []body.Stage{{Stream: nothing}, {Stream: nothing, Paths: paths(t, "$.a")}}, cutByChance(doc, seed)...)
		if err != nil || got != string(doc) {
			t.Fatalf("nothing was edited, and %q became %q (%v)", doc, got, err)
		}
	}
	// What many small edits make of it is bounded.
	if got, _, err := runAs(contentType, lim, []body.Stage{{Stream: streamFunc(func(v *filters.Value) error {
		for i, c := range v.Text {
			if c == 'x' {
				v.Edit(i, i+1, []byte("*"))
			}
		}
		return nil
	}), Files: filters.ScanAllFiles}}, cutByChance(doc, seed)...); err != nil || len(got) > 12*len(doc)+12 {
		t.Fatalf("%d bytes became %d (%v)", len(doc), len(got), err)
	}
}

func FuzzForm(f *testing.F) {
	f.Add([]byte("a=xx&%61=b+c%20x&x&=&b=%zz&a=%78%78%C3%A9"), uint64(1))
	f.Add([]byte("&&a=%7&a=1;b=2&"+strings.Repeat("%78", 40)+"="+strings.Repeat("é", 40)), uint64(2))
	f.Fuzz(checkForm)
}

func checkForm(t *testing.T, doc []byte, seed uint64) {
	neverDependsOnCuts(t, formType, doc, seed)
	text := strings.TrimLeft(strings.TrimPrefix(string(doc), "\xef\xbb\xbf"), " \t\r\n")
	if text == "" || text[0] == '{' || text[0] == '[' || len(text) > 10_000 {
		return
	}
	var want []string
	for pair := range strings.SplitSeq(text, "&") {
		k, v, ok := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(k)
		value, err2 := url.QueryUnescape(v)
		switch {
		case err1 != nil || err2 != nil:
			return
		case ok:
			want = append(want, name, value)
		case pair != "":
			want = append(want, name)
		}
	}
	var got []string
	see := streamFunc(func(v *filters.Value) error { got = append(got, string(v.Text)); return nil })
	if _, e, err := runAs(formType, body.Limits{}, []body.Stage{{Stream: see}}, doc); err != nil || e.Unparsed() || !slices.Equal(got, want) {
		t.Fatalf("saw %q\nwant %q (%v)", got, want, err)
	}
}

// xmlTexts are the texts and attributes as encoding/xml sees them; ok is false
// where it sees no document.
func xmlTexts(doc []byte) (texts []string, ok bool) {
	dec := xml.NewDecoder(bytes.NewReader(doc))
	var run strings.Builder
	flush := func() {
		if strings.Trim(run.String(), " \t\r\n") != "" {
			texts = append(texts, run.String())
		}
		run.Reset()
	}
	depth, roots := 0, 0
	for {
		tok, err := dec.RawToken()
		if errors.Is(err, io.EOF) {
			return texts, depth == 0 && roots > 0
		}
		if err != nil {
			return nil, false
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			flush()
			depth++
			roots++
			for _, a := range tok.Attr {
				texts = append(texts, a.Value)
			}
		case xml.EndElement:
			flush()
			if depth--; depth < 0 {
				return nil, false
			}
		case xml.Directive:
			flush()
			if !bytes.HasPrefix(tok, []byte("DOCTYPE ")) {
				return nil, false // encoding/xml lets more pass than there is
			}
		case xml.CharData:
			if depth == 0 && strings.Trim(string(tok), " \t\r\n") != "" {
				return nil, false
			}
			run.Write(tok)
		}
	}
}

func FuzzXML(f *testing.F) {
	f.Add([]byte(`<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e "x">]><a b="x" c='&#120;'><c>xx</c><c/><c>x<![CDATA[x]]>x<!-- x -->x</c>&e;</a>`), uint64(1))
	f.Add([]byte(`<n:a n:b="&lt;x"><b>x</b> x<b>&#x78;&amp;<?p x?></b></n:a>`), uint64(2))
	f.Add([]byte(`<a>`+strings.Repeat("x<!---->", 9)+strings.Repeat("<![CDATA[x]]>é", 9)+`</a>`), uint64(3))
	f.Add([]byte(`{"a":"<x>"}`), uint64(4))
	f.Fuzz(checkXML)
}

func checkXML(t *testing.T, doc []byte, seed uint64) {
	neverDependsOnCuts(t, "application/xml", doc, seed)
	if bytes.ContainsRune(doc, '\r') || len(doc) > 10_000 {
		return // encoding/xml changes line ends
	}
	want, ok := xmlTexts(doc)
	if !ok {
		return
	}
	// Tags have to match for a document; RawToken does not look at that.
	for dec := xml.NewDecoder(bytes.NewReader(doc)); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return
		}
	}
	var got []string
	see := streamFunc(func(v *filters.Value) error {
		if v.Kind != filters.Text {
			got = append(got, string(v.Text))
		}
		return nil
	})
	if _, e, err := runAs("application/xml", body.Limits{}, []body.Stage{{Stream: see}}, doc); err != nil || e.Unparsed() || !slices.Equal(got, want) {
		t.Fatalf("unparsed: %v, saw %q\nwant %q (%v)", e.Unparsed(), got, want, err)
	}
	// What is edited is a document still.
	write := streamFunc(func(v *filters.Value) error {
		if n := len(v.Text); n > 0 && v.Kind != filters.Text {
			from := n / 2
			for from > 0 && !utf8.RuneStart(v.Text[from]) {
				from--
			}
			v.Edit(from, n, []byte(`]]>&<"'`))
		}
		return nil
	})
	out, _, err := runAs("application/xml", body.Limits{}, []body.Stage{{Stream: write}, {Stream: hide}}, doc)
	if _, ok := xmlTexts([]byte(out)); err != nil || !ok {
		t.Fatalf("%q became %q, which is no document (%v)", doc, out, err)
	}
}

// plainStart reports whether b does not begin with what may be the beginning
// of something else than text.
func plainStart(b []byte) bool {
	return len(b) > 0 && bytes.IndexByte([]byte("{[ \t\r\n\xef\xff\xfe\x00"), b[0]) < 0
}

func FuzzMultipart(f *testing.F) {
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nxx\r\n--bx\r\n--b\r\nContent-Disposition: form-data; name=b; filename=\"x\\\"x\"\r\nContent-Type: application/json\r\n\r\n{\"a\":\"\\u0078\"}\r\n--b--\r\nx"), uint64(1))
	f.Add([]byte("x\n--b\nX: x\n\n--b \n\nx\n--b--"), uint64(2))
	f.Add([]byte("--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: text/xml\r\n\r\n<a>x</a>\r\n--c--\r\n--b\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na=%78&b=x\r\n--b"), uint64(3))
	f.Add([]byte("--b\r\nContent-Type: image/png\r\nContent-Disposition: form-data; name*=utf-8''%78; filename=x\r\n\r\nx\r\n\r\n--b--"), uint64(4))
	f.Fuzz(checkMultipart)
}

func checkMultipart(t *testing.T, doc []byte, seed uint64) {
	const contentType = "multipart/form-data; boundary=b"
	neverDependsOnCuts(t, contentType, doc, seed)
	// mime/multipart takes the first line end for that of the body.
	cr, lf := bytes.Count(doc, []byte("\r")), bytes.Count(doc, []byte("\n"))
	if pairs := bytes.Count(doc, []byte("\r\n")); len(doc) > 10_000 || cr != 0 && (cr != lf || pairs != lf) || !bytes.HasPrefix(doc, []byte("--b")) {
		return
	}
	var want []string
	for r := multipart.NewReader(bytes.NewReader(doc), "b"); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return
		}
		content, err := io.ReadAll(p)
		if err != nil {
			return
		}
		if len(p.Header) != 1 || p.FormName() != "n" || p.FileName() != "" || strings.Contains(p.Header.Get("Content-Disposition"), "*") ||
			!plainStart(content) {
			return
		}
		want = append(want, string(content))
	}
	var got []string
	see := streamFunc(func(v *filters.Value) error {
		if v.Kind == filters.String {
			got = append(got, string(v.Text))
		}
		return nil
	})
	if _, _, err := runAs(contentType, body.Limits{}, []body.Stage{{Stream: see}}, doc); err != nil || !slices.Equal(got, want) {
		t.Fatalf("saw %q\nwant %q (%v)", got, want, err)
	}
}

// tokens are what bodies of the formats are made of: FuzzTokens puts them
// together, and so gets deeper than bytes do.
var tokensOf = []struct {
	check  func(t *testing.T, doc []byte, seed uint64)
	begin  string
	tokens []string
}{
	{checkXML, "<a>", []string{"<", ">", "/", "a", "b", "<a>", "</a>", "<b>", "</b>", "<c>", "</c>", "<a ", "<c/>", "b='x'", `c="x`, `"`, "'", "&#120;", "&amp;", "&", "&e;",
		"<!--", "-->", "--", "<![CDATA[", "]]>", "<?p ", "?>", "<!DOCTYPE a [", "]>", "x", "xx", "é", " ", "\n", "\r\n", "<?xml version='1.0'?>", strings.Repeat("x", 33), "]", "{", "="}},
	{checkForm, "a=", []string{"a", "b", "=", "&", "%78", "%", "%7", "+", "x", "é", "%C3", "%A9", ";", strings.Repeat("x", 30), "{", "\n", "[", "\""}},
	{checkMultipart, "--b\r\n", []string{"--b", "--b--", "\r\n", "\n", "\r", "--b\r\n", "\r\n--b\r\n", "\r\n\r\n", "Content-Disposition: form-data; name=n\r\n",
		"Content-Disposition: form-data; name=\"a\"\r\n", "Content-Disposition: form-data; name=b; filename=\"x\\\"x\"\r\n",
		"Content-Type: application/json\r\n", "Content-Type: text/xml; charset=utf-16le\r\n", "Content-Type: image/png\r\n",
		"Content-Type: application/x-www-form-urlencoded\r\n", "Content-Transfer-Encoding: base64\r\n", "Content-Transfer-Encoding: quoted-printable\r\n",
		"Content-Type: multipart/mixed; boundary=c\r\n", "--c\r\n", "\r\n--c--", "x", "eHh4", "=78", "=\r\n", "=", `{"a":"\u0078"}`, "<a>x</a>",
		"<\x00a\x00>\x00x\x00<\x00/\x00a\x00>\x00", "a=x&b=%78", strings.Repeat("x", 33), "X-A: x\r\n", "[x", "\xff\xfe"}},
}

func FuzzTokens(f *testing.F) {
	f.Add(uint8(0), []byte{30, 26, 12, 27, 26, 36, 30, 39}, uint64(1))
	f.Add(uint8(1), []byte{4, 3, 2, 8, 10, 11, 13}, uint64(2))
	f.Add(uint8(2), []byte{8, 9, 2, 25, 6, 15, 13, 2, 21, 1}, uint64(3))
	f.Fuzz(func(t *testing.T, which uint8, picks []byte, seed uint64) {
		kind := &tokensOf[int(which)%len(tokensOf)]
		var doc []byte
		if which < 128 {
			doc = append(doc, kind.begin...)
		}
		for _, p := range picks[:min(len(picks), 60)] {
			doc = append(doc, kind.tokens[int(p)%len(kind.tokens)]...)
		}
		kind.check(t, doc, seed)
	})
}
