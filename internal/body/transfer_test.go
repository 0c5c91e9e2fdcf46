package body_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
)

// encodedPart is a multipart body of one part in a transfer encoding.
func encodedPart(encoding, contentType, content string) string {
	return "--b\r\nContent-Disposition: form-data; name=a\r\nContent-Type: " + contentType + "\r\nContent-Transfer-Encoding: " + encoding + "\r\n\r\n" + content + "\r\n--b--\r\n"
}

func inLines(s string, n int, end string) string {
	var b strings.Builder
	for len(s) > n {
		b.WriteString(s[:n] + end)
		s = s[n:]
	}
	return b.String() + s
}

func TestTransferEncodings(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString
	const doc, want = `{"k":"xx and x","l":["x",1.10]}`, `{"k":"** and *","l":["*",1.10]}`
	for _, tt := range []struct{ name, encoding, contentType, in, want string }{
		{"base64", "base64", "application/json", b64([]byte(doc)), b64([]byte(want))},
		{"base64 in lines", "BASE64", "application/json", inLines(b64([]byte(doc)), 12, "\r\n") + "\r\n", inLines(b64([]byte(want)), 12, "\r\n")},
		{"base64 with odd lines, unedited", "base64", "text/plain", "YWJ\n jZGVm\n\nZw=\n=\n", "YWJ\n jZGVm\n\nZw=\n=\n"},
		{"without padding", "base64", "text/plain", "YXh4", "YSoq"},
		{"padding that is missing", "base64", "text/plain", "eA", "Kg=="},
		{"not base64, from a place on", "base64", "text/plain", "YWJj!xyz", "YWJj!*yz"},
		{"quoted-printable", "quoted-printable", "text/plain", "a=3Dx =C3=A9=\r\n=78x\r\nend", "a=3D* =C3=A9**\r\nend"},
		{"quoted-printable, unedited", "quoted-printable", "text/plain", "=61=\n=C3=A9 =zz=4 =\r", "=61=\n=C3=A9 =zz=4 =\r"},
		{"in a charset", "base64", "text/plain; charset=utf-16le", b64([]byte("x\x00\xe9\x00")), b64([]byte("*\x00\xe9\x00"))},
		{"not known", "x-uuencode", "text/plain", "x", "*"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := everyCut(t, "multipart/form-data; boundary=b", body.Limits{}, hideAll(t), encodedPart(tt.encoding, tt.contentType, tt.in))
			if want := encodedPart(tt.encoding, tt.contentType, tt.want); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func FuzzTransfer(f *testing.F) {
	f.Add([]byte("YWJ\r\njeHh4\r\n\r\neA=="), true, uint64(1))
	f.Add([]byte("a=78=\r\nx=zz =C3=A9\nx= x"), false, uint64(2))
	f.Add([]byte("x text, and more text that has nothing in it, for a longer line than can be"), false, uint64(3))
	f.Fuzz(func(t *testing.T, content []byte, isBase64 bool, seed uint64) {
		if bytes.Contains(content, []byte("--b")) || bytes.HasSuffix(content, []byte("\n")) {
			return
		}
		encoding := "quoted-printable"
		if isBase64 {
			encoding = "base64"
		}
		const contentType = "multipart/form-data; boundary=b"
		doc := []byte(encodedPart(encoding, "text/plain", string(content)))
		neverDependsOnCuts(t, contentType, doc, seed)
		decode := func(b []byte) (string, error) {
			var r io.Reader = quotedprintable.NewReader(bytes.NewReader(b))
			if isBase64 {
				r = base64.NewDecoder(base64.StdEncoding, bytes.NewReader(b))
			}
			text, err := io.ReadAll(r)
			return string(text), err
		}
		plain, err := decode(content)
		if err != nil || isBase64 && len(bytes.ReplaceAll(bytes.ReplaceAll(content, []byte("\r"), nil), []byte("\n"), nil))%4 != 0 ||
			!plainStart([]byte(plain)) || bytes.ContainsAny(content, "\x00") || strings.Contains(plain, "\x00") ||
			strings.HasPrefix(plain, "<?xml") {
			return
		}
		// mime/quotedprintable drops white space before line ends, and what is
		// behind a soft one.
		var seen strings.Builder
		see := streamFunc(func(v *filters.Value) error {
			if v.Kind == filters.String {
				seen.Write(v.Text)
			}
			return nil
		})
		if _, _, err := runAs(contentType, body.Limits{}, []body.Stage{{Stream: see}}, doc); err != nil {
			t.Fatal(err)
		}
		loose := func(s string) string { return strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "").Replace(s) }
		if isBase64 && seen.String() != plain || loose(seen.String()) != loose(plain) && !bytes.Contains(content, []byte("=")) {
			t.Fatalf("saw %q, want %q", seen.String(), plain)
		}
		// What is written decodes to what the stages made of it.
		out, _, err := runAs(contentType, body.Limits{}, []body.Stage{{Stream: hide}}, doc)
		if err != nil {
			t.Fatal(err)
		}
		_, got, _ := strings.Cut(out, "\r\n\r\n")
		got = strings.TrimSuffix(got, "\r\n--b--\r\n")
		if text, err := decode([]byte(got)); err != nil || isBase64 && text != strings.ReplaceAll(plain, "x", "*") {
			t.Fatalf("%q became %q, which is %q (%v)", content, got, text, err)
		}
	})
}
