package pii_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/klauspost/compress/gzip"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/pii"
	"github.com/sluice-proxy/sluice/internal/replay"
	"github.com/sluice-proxy/sluice/policies"
)

const maskBoth = `apiVersion: sluice/v1
kind: Policy
metadata: {name: p}
spec:
  request:
    - filter: pii
      with: {entities: [EMAIL_ADDRESS], action: replace, template: "«mail»"}
  response:
    - filter: pii
      with: {entities: [EMAIL_ADDRESS], action: replace, template: "«mail»"}
`

func openPolicy(t *testing.T, text string) *policies.Store {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := policies.Open(context.Background(), &policies.Loader{Registry: filters.NewRegistry(pii.Definition())}, file)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// answer plays a response, cut as asked, and returns it as the client gets it.
func answer(t *testing.T, store *policies.Store, headers []filters.Field, body []byte, cut func([]byte) [][]byte) *replay.Result {
	t.Helper()
	request, err := replay.ParseRequest([]byte("GET /a HTTP/1.1\n\n"))
	if err != nil {
		t.Fatal(err)
	}
	fields := append([]filters.Field{{Name: ":status", Value: "200"}}, headers...)
	return replay.Play(context.Background(), store, request, &replay.Message{Headers: filters.NewHeaders(fields...), Body: body}, replay.Options{Cut: cut})
}

func bytewise(b []byte) [][]byte { return slices.Collect(slices.Chunk(b, 1)) }

func wide(order binary.AppendByteOrder, text string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, u)
	}
	return b
}

// TestCharsets: the body is read in its charset and written back in it,
// however it is cut.
func TestCharsets(t *testing.T) {
	store := openPolicy(t, maskBoth)
	const doc, want = `{"n":"Zoë 😀","m":"joe@example.org"}`, `{"n":"Zoë 😀","m":"«mail»"}`
	le := func(s string) string { return string(wide(binary.LittleEndian, s)) }
	be := func(s string) string { return string(wide(binary.BigEndian, s)) }
	for _, tt := range []struct{ contentType, body, want string }{
		{"application/json", doc, want},
		{"application/json", "\xef\xbb\xbf" + doc, "\xef\xbb\xbf" + want},
		{"application/json; charset=utf-16le", le(doc), le(want)},
		{"application/json; charset=UTF-16", "\xfe\xff" + be(doc), "\xfe\xff" + be(want)},
		{"application/json", le(doc), le(want)}, // undeclared
		{"application/json; charset=utf-8", be(doc), be(want)},
		{"application/json; charset=utf-16", doc, want}, // it is not
		{"text/plain; charset=utf-16be", be("Zoë, joe@example.org"), be("Zoë, «mail»")},
		{"text/plain; charset=ISO-8859-1", "Zo\xeb, joe@example.org", "Zo\xeb, \xabmail\xbb"},
		{"application/xml", "<?xml version='1.0' encoding='windows-1252'?><a>Zo\xeb, joe&#64;example.org</a>", "<?xml version='1.0' encoding='windows-1252'?><a>Zo\xeb, \xabmail\xbb</a>"},
		{"application/xml", le(`<a b="joe@example.org"/>`), le(`<a b="«mail»"/>`)},
		{"text/plain; charset=iso-8859-2", "joe@example.org", "?mail?"}, // it has no « »
		{"text/plain; charset=shift_jis", "\x83\x5c joe@example.org \x83\x5c", "\x83\x5c ?mail? \x83\x5c"},
		{"application/json; charset=shift_jis", "{\"a\":\"\x83\x5c\",\"m\":\"joe@example.org\"}", "{\"a\":\"\x83\x5c\",\"m\":\"?mail?\"}"},
		{"text/xml", "<?xml version='1.0' encoding='euc-kr'?><a>\xbc\xad joe@example.org</a>", "<?xml version='1.0' encoding='euc-kr'?><a>\xbc\xad ?mail?</a>"},
		{"text/plain; charset=x-none", "joe@example.org", "«mail»"},
		{"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=a\r\nContent-Type: text/plain; charset=utf-16le\r\n\r\n" + le("joe@example.org") + "\r\n--b--",
			"--b\r\nContent-Disposition: form-data; name=a\r\nContent-Type: text/plain; charset=utf-16le\r\n\r\n" + le("«mail»") + "\r\n--b--"},
	} {
		for name, cut := range map[string]func([]byte) [][]byte{"whole": nil, "bytewise": bytewise} {
			res := answer(t, store, []filters.Field{{Name: "content-type", Value: tt.contentType}}, []byte(tt.body), cut)
			if res.Response == nil || string(res.Response.Body) != tt.want {
				t.Errorf("%s, %s: got %q, want %q", tt.contentType, name, res.Response, tt.want)
			}
		}
	}
}

// TestCharsetOfACaller: a caller cannot hide a letter of a text in UTF-8 by
// declaring a charset in which it would be a part of another character. A
// backend is believed.
func TestCharsetOfACaller(t *testing.T) {
	store := openPolicy(t, strings.ReplaceAll(maskBoth, "EMAIL_ADDRESS", "IBAN_CODE"))
	const body, want = "」DE89370400440532013000", "」«mail»"
	for _, label := range []string{"shift_jis", "gb18030", "big5", "euc-kr"} {
		contentType := filters.Field{Name: "content-type", Value: "text/plain; charset=" + label}
		request := &replay.Message{Headers: filters.NewHeaders(
			filters.Field{Name: ":method", Value: "POST"}, filters.Field{Name: ":path", Value: "/a"}, contentType), Body: []byte(body)}
		res := replay.Play(t.Context(), store, request, nil, replay.Options{})
		if res.Request == nil || string(res.Request.Body) != want {
			t.Errorf("%s: got %q, want %q", label, res.Request, want)
		}
		res = answer(t, store, []filters.Field{contentType}, []byte(body), nil)
		if res.Response == nil || string(res.Response.Body) != body {
			t.Errorf("%s: the response is %q", label, res.Response)
		}
	}
}

// TestUnreadableCharset follows onUnparsed.
func TestUnreadableCharset(t *testing.T) {
	for _, tt := range []struct {
		rule, contentType, body string
		passes                  bool
	}{
		{"pass", "text/plain; charset=utf-7", "joe@example.org", true},
		{"deny", "text/plain; charset=utf-7", "joe@example.org", false},
		{"pass", "text/xml", "<?xml version='1.0' encoding='utf-7'?><a>joe@example.org</a>", true},
		{"deny", "text/xml", "<?xml version='1.0' encoding='utf-7'?><a>joe@example.org</a>", false},
	} {
		store := openPolicy(t, strings.ReplaceAll(maskBoth, "{entities", "{onUnparsed: "+tt.rule+", entities"))
		for name, cut := range map[string]func([]byte) [][]byte{"whole": nil, "bytewise": bytewise} {
			res := answer(t, store, []filters.Field{{Name: "content-type", Value: tt.contentType}}, []byte(tt.body), cut)
			if passes := res.Denial == nil && string(res.Response.Body) == tt.body; passes != tt.passes {
				t.Errorf("%s, %s, %s: passes is %v", tt.rule, tt.contentType, name, passes)
			}
		}
	}
}

// TestBinaryStaysWhole: a binary body that is scanned as text changes in what
// is found, and nowhere else.
func TestBinaryStaysWhole(t *testing.T) {
	store := openPolicy(t, maskBoth)
	var all []byte
	for i := range 512 {
		all = append(all, byte(i), byte(i>>1), 0xff, 0xfe, byte(i*7))
	}
	mail := []byte(" joe@example.org ")
	body := append(append(bytes.Clone(all), mail...), all...)
	want := append(append(bytes.Clone(all), " «mail» "...), all...)
	for _, contentType := range []string{"application/octet-stream", "application/grpc", "application/x-protobuf", "image/png"} {
		for name, cut := range map[string]func([]byte) [][]byte{"whole": nil, "bytewise": bytewise} {
			res := answer(t, store, []filters.Field{{Name: "content-type", Value: contentType}}, body, cut)
			if res.Response == nil || !bytes.Equal(res.Response.Body, want) {
				t.Errorf("%s, %s: the body differs", contentType, name)
			}
		}
	}
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write(all); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	res := answer(t, store, []filters.Field{{Name: "content-type", Value: "application/gzip"}}, zipped.Bytes(), nil)
	if !bytes.Equal(res.Response.Body, zipped.Bytes()) {
		t.Error("an archive was changed")
	}
}
