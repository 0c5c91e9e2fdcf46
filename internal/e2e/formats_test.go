package e2e_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/sluice-proxy/sluice/internal/e2e"
)

// TestFormats sends a body of each format, charset and coding through, in the
// request and in the response, and compares what arrives.
func TestFormats(t *testing.T) {
	wide := func(text string) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(text)) {
			b = binary.LittleEndian.AppendUint16(b, u)
		}
		return string(b)
	}
	// Long enough to come in several chunks.
	long := strings.Repeat("lorem ipsum dolor sit amet ", 3000)
	const part = "--b\r\nContent-Disposition: form-data; name=\"m\"\r\n\r\n"
	for _, tt := range []struct{ name, contentType, codings, body, want string }{
		{"JSON", "application/json", "", `{"m":"joe\u0040example.org","l":"` + long + `"}`, `{"m":"<mail>","l":"` + long + `"}`},
		{"NDJSON", "application/x-ndjson", "", "{\"m\":\"joe@example.org\"}\n[1]\n", "{\"m\":\"<mail>\"}\n[1]\n"},
		{"text", "text/plain", "", long + "joe@example.org", long + "<mail>"},
		{"form", "application/x-www-form-urlencoded", "", "a=" + strings.ReplaceAll(long, " ", "+") + "&m=joe%40example.org&c=%20", "a=" + strings.ReplaceAll(long, " ", "+") + "&m=%3Cmail%3E&c=%20"},
		{"multipart", "multipart/form-data; boundary=b", "", part + "joe@example.org\r\n" + part + long + "\r\n--b--\r\n", part + "<mail>\r\n" + part + long + "\r\n--b--\r\n"},
		{"XML", "application/xml", "", `<a m="joe&#64;example.org">` + long + "</a>", `<a m="&lt;mail&gt;">` + long + "</a>"},
		{"UTF-16", "application/json; charset=utf-16le", "", wide(`["é","joe@example.org"]`), wide(`["é","<mail>"]`)},
		{"Latin-1", "text/plain; charset=iso-8859-1", "", "\xe9 joe@example.org", "\xe9 <mail>"},
		{"gzip", "application/json", "gzip", `["joe@example.org"]`, `["<mail>"]`},
		{"deflate and br", "application/xml", "deflate, br", `<a>joe@example.org</a>`, `<a>&lt;mail&gt;</a>`},
		{"zstd", "application/x-www-form-urlencoded", "zstd", "m=joe@example.org", "m=%3Cmail%3E"},
		{"binary", "application/octet-stream", "", "\x00\xff\xfe joe@example.org\x00\xff", "\x00\xff\xfe <mail>\x00\xff"},
		{"protobuf", "application/grpc", "", "\x00\x00\x00\x00\x05\x0a\x03abc", "\x00\x00\x00\x00\x05\x0a\x03abc"},
	} {
		body := encoded(t, tt.codings, tt.body)
		for _, listener := range []string{"duplex", "buffered", "streamed"} {
			t.Run(tt.name+"/"+listener, func(t *testing.T) {
				got := make(chan string, 1)
				name := backend.Case(func(w http.ResponseWriter, r *http.Request) {
					b, err := io.ReadAll(r.Body)
					if err != nil {
						t.Error(err)
					}
					got <- string(b)
					w.Header().Set("Content-Type", tt.contentType)
					if tt.codings != "" {
						w.Header().Set("Content-Encoding", tt.codings)
					}
					_, _ = w.Write(body)
				})
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+envoy.Addr(listener)+"/mask/x", bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("Content-Type", tt.contentType)
				req.Header.Set(e2e.CaseHeader, name)
				if tt.codings != "" {
					req.Header.Set("Content-Encoding", tt.codings)
				}
				resp, err := clients["h1"].Do(req)
				if err != nil {
					t.Fatalf("%v\n%s", err, envoy.Stats())
				}
				defer func() { _ = resp.Body.Close() }()
				b, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Fatalf("%d, %v", resp.StatusCode, err)
				}
				if got := decoded(t, tt.codings, string(b)); got != tt.want {
					t.Errorf("the response is %.200q", got)
				}
				if got := decoded(t, tt.codings, <-got); got != tt.want {
					t.Errorf("the request is %.200q", got)
				}
			})
		}
	}
}

// encoded applies the codings that names list.
func encoded(t *testing.T, names, text string) []byte {
	t.Helper()
	body := []byte(text)
	for name := range strings.SplitSeq(names, ", ") {
		var out bytes.Buffer
		var w io.WriteCloser
		switch name {
		case "gzip":
			w = gzip.NewWriter(&out)
		case "deflate":
			w = zlib.NewWriter(&out)
		case "br":
			w = brotli.NewWriter(&out)
		case "zstd":
			var err error
			if w, err = zstd.NewWriter(&out); err != nil {
				t.Fatal(err)
			}
		default:
			return body
		}
		if _, err := w.Write(body); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		body = out.Bytes()
	}
	return body
}

// decoded undoes them.
func decoded(t *testing.T, names, coded string) string {
	t.Helper()
	list := strings.Split(names, ", ")
	slices.Reverse(list)
	for _, name := range list {
		var r io.Reader
		var err error
		switch name {
		case "gzip":
			r, err = gzip.NewReader(strings.NewReader(coded))
		case "deflate":
			r, err = zlib.NewReader(strings.NewReader(coded))
		case "br":
			r = brotli.NewReader(strings.NewReader(coded))
		case "zstd":
			r, err = zstd.NewReader(strings.NewReader(coded))
		default:
			return coded
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		coded = string(b)
	}
	return coded
}
