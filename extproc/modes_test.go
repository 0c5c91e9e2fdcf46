package extproc_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/extproc"
	"github.com/sluice-proxy/sluice/filters"
)

// payloads are bodies and what is to become of them, by content type.
var payloads = []struct{ contentType, body, masked string }{
	{
		"application/json",
		`{"id": 1.10, "email": "jane@example.com", "tags": ["a\u00e9", "b@example.com"], "n": null}` + "\n",
		`{"id": 1.10, "email": "[MASKED]", "tags": ["a\u00e9", "[MASKED]"], "n": null}` + "\n",
	},
	{"text/plain", "write to jane@example.com", "write to [MASKED]"},
}

// side puts m into direction d of an exchange and plays it.
func side(x *exchange, d filters.Direction, m message) (*result, error) {
	if d == filters.Request {
		m.headers = append(post("/v1/customers"), m.headers...)
		return x.play(d, m)
	}
	if res, err := x.play(filters.Request, message{headers: get("/v1/customers")}); err != nil {
		return res, err
	}
	m.headers = append(status("200"), m.headers...)
	return x.play(d, m)
}

// TestSameBytesInEveryMode sends the same bodies in every mode that can serve
// a masking step, in both directions, cut at every byte, ended in every way,
// with and without a length: the same bytes come out.
func TestSameBytesInEveryMode(t *testing.T) {
	modes := []struct {
		name     string
		mode     bodyMode
		override bool
	}{
		{"buffered", buffered, false},
		{"partial", partial, false},
		{"streamed", streamed, false},
		{"duplex", fullDuplex, false},
		{"none overridden", none, true},
		{"streamed overridden", streamed, true},
		{"partial overridden", partial, true},
	}
	for _, kind := range []struct {
		name    string
		filters []filters.Filter
	}{
		{"streaming", []filters.Filter{mask}},
		{"whole", []filters.Filter{mask, keep}},
		{"whole and headers", []filters.Filter{mask, judge}},
	} {
		collects, judged := len(kind.filters) > 1, kind.name == "whole and headers"
		c := dial(t, extproc.New(both(t, kind.filters...), extproc.Options{}))
		for _, m := range modes {
			if judged && m.mode == streamed && !m.override {
				continue // TestWhatStreamedCannotDo
			}
			t.Run(kind.name+"/"+m.name, func(t *testing.T) {
				p := plane{modes: [2]bodyMode{m.mode, m.mode}}
				if m.override {
					p.allowOverride, p.metadata = true, []string{"sluice-mode-override", "true"}
				}
				for _, pl := range payloads {
					for _, d := range []filters.Direction{filters.Request, filters.Response} {
						for _, e := range []ending{eosOnLast, eosEmpty, byTrailers} {
							everySplit(t, c, p, d, e, pl.contentType, pl.body, pl.masked, collects, judged)
						}
					}
				}
			})
		}
	}
}

func everySplit(t *testing.T, c *client, p plane, d filters.Direction, e ending, contentType, body, want string, collects, judged bool) {
	t.Helper()
	for cut := range len(body) {
		in := message{headers: fieldsOf("content-type", contentType, "x-drop", "1"), body: body, ending: e}
		if cut > 0 {
			in.cuts = []int{cut}
		}
		sized := cut%2 == 1
		if sized {
			in.headers = append(in.headers, filters.Field{Name: "content-length", Value: strconv.Itoa(len(body))})
		}
		if e == byTrailers {
			in.trailers = fieldsOf("x-sum", "1")
		}
		where := fmt.Sprintf("%s, %s, %s cut at %d, sized %t", d, e, contentType, cut, sized)
		x := c.open(p)
		res, err := side(x, d, in)
		if lost := p.modes[d] == streamed && !p.allowOverride && e == byTrailers && (contentType == "text/plain" || collects) && !sized; lost {
			// Nothing can be sent with the trailers any more. The exchange fails
			// loudly.
			if err != errDenied || strings.Contains(res.body, "@") {
				t.Fatalf("%s: %v, and %d bytes went out", where, err, len(res.body))
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		if res.body != want {
			t.Fatalf("%s: got\n%s\nwant\n%s", where, res.body, want)
		}
		if n := res.headers.Get("content-length"); n != "" && n != strconv.Itoa(len(want)) {
			t.Fatalf("%s: the length is %s, and the body's %d", where, n, len(want))
		}
		if judged && (res.headers.Get("x-length") != strconv.Itoa(len(want)) || res.headers.Has("x-drop")) {
			t.Fatalf("%s: the headers did not wait for the body: %s", where, join(res.headers))
		}
		if e == byTrailers && res.trailers.Get("x-sum") != "1" {
			t.Fatalf("%s: the trailers are lost", where)
		}
		if err := x.end(); err != nil {
			t.Fatalf("%s: at the end: %v", where, err)
		}
	}
}
