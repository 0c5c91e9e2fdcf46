package extproc_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sluice-proxy/sluice/extproc"
	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

const document = `{"email": "jane@example.com"}`
const maskedDocument = `{"email": "[MASKED]"}`

var jsonType = fieldsOf("content-type", "application/json")

// TestDenialByTheBody: a denial that needs the whole body is a response of
// its own in every mode that can hold one back, and nothing of the message
// goes on.
func TestDenialByTheBody(t *testing.T) {
	for _, mode := range []bodyMode{buffered, partial, streamed, fullDuplex} {
		for _, d := range []filters.Direction{filters.Request, filters.Response} {
			for _, e := range []ending{eosOnLast, eosEmpty, byTrailers} {
				c := dial(t, extproc.New(one(t, d, judge), extproc.Options{}))
				x := c.open(plane{modes: [2]bodyMode{mode, mode}})
				body := `{"a": "forbidden"}`
				res, err := side(x, d, message{headers: append(slices.Clone(jsonType), filters.Field{Name: "content-length", Value: "18"}), body: body, cuts: []int{5}, ending: e})
				if !errors.Is(err, errDenied) {
					t.Errorf("%s, %s, %s: %v", mode, d, e, err)
					continue
				}
				if res.body != "" {
					t.Errorf("%s, %s, %s: a part of the body went on", mode, d, e)
				}
				if got := int(res.denial.GetStatus().GetCode()); got != 403 {
					t.Errorf("%s, %s, %s: status %d", mode, d, e, got)
				}
				if err := x.end(); err != nil {
					t.Errorf("%s, %s, %s: after the denial: %v", mode, d, e, err)
				}
			}
		}
	}
}

// TestProblemDocument: what a denial looks like.
func TestProblemDocument(t *testing.T) {
	c := dial(t, extproc.New(one(t, filters.Request, judge), extproc.Options{}))
	x := c.open(plane{modes: [2]bodyMode{fullDuplex, none}})
	res, err := x.play(filters.Request, message{headers: post("/", "x-request-id", "abc-1"), body: "forbidden"})
	if !errors.Is(err, errDenied) {
		t.Fatal(err)
	}
	var h filters.Headers
	if err := mutate(&h, res.denial.GetHeaders()); err != nil {
		t.Fatal(err)
	}
	if got, want := join(h), "content-type=application/problem+json;retry-after=7;"; got != want {
		t.Errorf("headers %s, want %s", got, want)
	}
	var doc map[string]any
	if err := json.Unmarshal(res.denial.GetBody(), &doc); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"type": "urn:example:no", "title": "No", "status": 403.0, "detail": "Not this one", "instance": "urn:sluice:exchange:abc-1", "rule": "r1"}
	for k, v := range want {
		if doc[k] != v {
			t.Errorf("%s is %v, want %v", k, doc[k], v)
		}
	}
	if len(doc) != len(want) {
		t.Errorf("the document has %d members, want %d", len(doc), len(want))
	}

	t.Run("HEAD has none", func(t *testing.T) {
		deny := inHeaders(func(led *filters.Ledger, _ *filters.Headers) { led.Deny(filters.Denial{Status: 403}) })
		c := dial(t, extproc.New(one(t, filters.Request, deny), extproc.Options{}))
		res, err := c.open(plane{}).play(filters.Request, message{headers: fieldsOf(":method", "HEAD", ":path", "/")})
		if !errors.Is(err, errDenied) || len(res.denial.GetBody()) > 0 {
			t.Errorf("%v, and %d bytes", err, len(res.denial.GetBody()))
		}
	})
}

// TestWhatStreamedCannotDo: header changes that the body decides cannot be
// carried out in STREAMED. The step fails, and its onError decides; the body
// does not leak on the way.
func TestWhatStreamedCannotDo(t *testing.T) {
	for _, rule := range []filters.OnError{filters.Deny, filters.Continue} {
		b := &book{}
		c := dial(t, extproc.New(one(t, filters.Request, judge, onError(rule)), extproc.Options{Recorder: b}))
		x := c.open(plane{modes: [2]bodyMode{streamed, none}})
		res, err := x.play(filters.Request, message{headers: post("/"), body: document, cuts: []int{7}})
		failed := slices.ContainsFunc(b.decisions, func(r pipeline.Record) bool { return r.Decision.Verdict == filters.Failed && r.OnError == rule })
		if !failed {
			t.Errorf("%s: the failure is not recorded: %+v", rule, b.decisions)
		}
		switch rule {
		case filters.Deny:
			if !errors.Is(err, errDenied) || res.body != "" {
				t.Errorf("deny: %v, %q", err, res.body)
			}
		default:
			if err != nil || res.body != document {
				t.Errorf("continue: %v, %q", err, res.body)
			}
		}
	}
}

// TestCutOffBody: in BUFFERED_PARTIAL the rest of a long body bypasses the
// processor. A step that has to see it fails.
func TestCutOffBody(t *testing.T) {
	long := `{"a": "` + strings.Repeat("x", 40_000) + `", "email": "jane@example.com"}`
	p := plane{modes: [2]bodyMode{none, partial}, bufferLimit: 32 << 10}
	t.Run("deny", func(t *testing.T) {
		x := dial(t, extproc.New(one(t, filters.Response, mask), extproc.Options{})).open(p)
		if res, err := side(x, filters.Response, message{headers: jsonType, body: long}); !errors.Is(err, errDenied) {
			t.Errorf("%v, and %d bytes", err, len(res.body))
		}
	})
	t.Run("continue", func(t *testing.T) {
		x := dial(t, extproc.New(one(t, filters.Response, mask, onError(filters.Continue)), extproc.Options{})).open(p)
		res, err := side(x, filters.Response, message{headers: jsonType, body: long})
		if err != nil || res.body != long {
			t.Errorf("%v, and %d bytes of %d", err, len(res.body), len(long))
		}
	})
	t.Run("complete", func(t *testing.T) {
		whole := p
		whole.bufferLimit = 64 << 10
		for _, e := range []ending{eosOnLast, byTrailers} {
			x := dial(t, extproc.New(one(t, filters.Response, mask), extproc.Options{})).open(whole)
			hs := append(slices.Clone(jsonType), filters.Field{Name: "content-length", Value: strconv.Itoa(len(long))})
			res, err := side(x, filters.Response, message{headers: hs, body: long, ending: e})
			if err != nil || !strings.Contains(res.body, "[MASKED]") || strings.Contains(res.body, "@") {
				t.Errorf("%s: %v, and %d bytes of %d", e, err, len(res.body), len(long))
			}
		}
	})
}

// TestModeOverride: where it is allowed, no more of a body is asked for than
// the steps need.
func TestModeOverride(t *testing.T) {
	headersOnly := inHeaders(func(led *filters.Ledger, _ *filters.Headers) { led.SetHeader("x-seen", "1") })
	never := onlyWhen(condition(func(*filters.Exchange) bool { return false }))
	tests := []struct {
		name       string
		configured bodyMode
		steps      func(filters.Direction) *steps
		want       [2]bodyMode // by direction
	}{
		{"a body nobody reads is not sent", buffered, func(d filters.Direction) *steps { return one(t, d, headersOnly) }, [2]bodyMode{none, none}},
		{"nor one whose step is left out", streamed, func(d filters.Direction) *steps { return one(t, d, mask, never) }, [2]bodyMode{none, none}},
		{"a body that is edited streams", none, func(d filters.Direction) *steps { return one(t, d, mask) }, [2]bodyMode{fullDuplex, fullDuplex}},
		{"also where tails could not be held", streamed, func(d filters.Direction) *steps { return one(t, d, mask) }, [2]bodyMode{fullDuplex, fullDuplex}},
		{"buffered is good enough", buffered, func(d filters.Direction) *steps { return one(t, d, mask) }, [2]bodyMode{buffered, buffered}},
		{"a whole body", none, func(d filters.Direction) *steps { return one(t, d, judge) }, [2]bodyMode{fullDuplex, buffered}},
		{"full duplex cannot be overridden", fullDuplex, func(d filters.Direction) *steps { return one(t, d, headersOnly) }, [2]bodyMode{fullDuplex, fullDuplex}},
	}
	for _, tt := range tests {
		for _, d := range []filters.Direction{filters.Request, filters.Response} {
			c := dial(t, extproc.New(tt.steps(d), extproc.Options{DataPlane: extproc.DataPlane{ModeOverride: true}}))
			x := c.open(plane{modes: [2]bodyMode{tt.configured, tt.configured}, allowOverride: true})
			if _, err := side(x, d, message{headers: jsonType, body: document}); err != nil {
				t.Errorf("%s, %s: %v", tt.name, d, err)
				continue
			}
			if x.modes[d] != tt.want[d] {
				t.Errorf("%s, %s: the mode is %s, want %s", tt.name, d, x.modes[d], tt.want[d])
			}
			if err := x.end(); err != nil {
				t.Errorf("%s, %s: %v", tt.name, d, err)
			}
		}
	}
	t.Run("full duplex in one direction prevents it in the other", func(t *testing.T) {
		opt := extproc.Options{DataPlane: extproc.DataPlane{ModeOverride: true}}
		for d, modes := range map[filters.Direction][2]bodyMode{filters.Request: {none, fullDuplex}, filters.Response: {fullDuplex, none}} {
			x := dial(t, extproc.New(one(t, d, mask), opt)).open(plane{modes: modes, allowOverride: true})
			if res, err := side(x, d, message{headers: jsonType, body: document}); !errors.Is(err, errDenied) {
				t.Errorf("%s: %v, %s", d, err, res.body)
			}
		}
	})
	t.Run("not where it was not declared", func(t *testing.T) {
		x := dial(t, extproc.New(one(t, filters.Request, headersOnly), extproc.Options{})).open(plane{modes: [2]bodyMode{buffered, buffered}, allowOverride: true})
		if _, err := x.play(filters.Request, message{headers: post("/"), body: document}); err != nil || x.modes[0] != buffered {
			t.Errorf("%v, %s", err, x.modes[0])
		}
	})
}

// condition is a Condition on the headers alone.
type condition func(*filters.Exchange) bool

func (c condition) Holds(ex *filters.Exchange) (bool, error) { return c(ex), nil }
func (condition) NeedsBody(filters.Direction) bool           { return false }
func (condition) Steps() []string                            { return nil }

// TestNoneWithoutOverride: in NONE a body step cannot do its work, and its
// onError decides.
func TestNoneWithoutOverride(t *testing.T) {
	x := dial(t, extproc.New(one(t, filters.Response, mask), extproc.Options{})).open(plane{})
	if _, err := side(x, filters.Response, message{headers: jsonType, body: document}); !errors.Is(err, errDenied) {
		t.Errorf("deny: %v", err)
	}
	x = dial(t, extproc.New(one(t, filters.Response, mask, onError(filters.Continue)), extproc.Options{})).open(plane{})
	if res, err := side(x, filters.Response, message{headers: jsonType, body: document}); err != nil || res.body != document {
		t.Errorf("continue: %v", err)
	}
}

// TestEndTwice: a full-duplex body whose end is delivered twice is processed
// once.
func TestEndTwice(t *testing.T) {
	x := dial(t, extproc.New(both(t, mask), extproc.Options{})).open(plane{modes: [2]bodyMode{fullDuplex, fullDuplex}, repeatEnd: true})
	for _, d := range []filters.Direction{filters.Request, filters.Response} {
		hs := append(post("/"), jsonType...)
		if d == filters.Response {
			hs = append(status("200"), jsonType...)
		}
		res, err := x.play(d, message{headers: hs, body: document})
		if err != nil || res.body != maskedDocument {
			t.Errorf("%s: %v, %s", d, err, res.body)
		}
	}
	if err := x.end(); err != nil {
		t.Error(err)
	}
}

// TestBytesAfterTheEnd: what comes after a body's end was looked at by
// nobody, and goes nowhere.
func TestBytesAfterTheEnd(t *testing.T) {
	x := dial(t, extproc.New(one(t, filters.Request, mask), extproc.Options{})).open(plane{modes: [2]bodyMode{streamed, none}})
	res := &result{}
	if err := x.send(headersOf(filters.Request, append(post("/", "content-length", "29"), jsonType...), false)); err != nil {
		t.Fatal(err)
	}
	if err := x.awaitHeaders(filters.Request, res); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{maskedDocument, ""} {
		if err := x.send(bodyOf(filters.Request, document, false)); err != nil {
			t.Fatal(err)
		}
		r, err := x.recv(filters.Request, res)
		if err != nil || r.body == nil {
			t.Fatal(err)
		}
		if got, err := apply(document, r.body); err != nil || got != want {
			t.Errorf("message %d: %v, %s", i, err, got)
		}
	}
}

// TestUpgrades: the bytes of another protocol pass, and those of a response
// that is HTTP after all do not.
func TestUpgrades(t *testing.T) {
	modes := plane{modes: [2]bodyMode{fullDuplex, fullDuplex}}
	websocket := get("/chat", "connection", "keep-alive, Upgrade", "upgrade", "websocket")
	t.Run("switched", func(t *testing.T) {
		x := dial(t, extproc.New(both(t, judge, mask), extproc.Options{})).open(modes)
		res := &result{}
		for i, d := range []filters.Direction{filters.Request, filters.Response} {
			hs := websocket
			if i == 1 {
				hs = status("101", "upgrade", "websocket", "connection", "upgrade")
			}
			if err := x.send(headersOf(d, hs, false)); err != nil {
				t.Fatal(err)
			}
			if err := x.awaitHeaders(d, res); err != nil {
				t.Fatalf("the %s headers are held back: %v", d, err)
			}
		}
		for _, d := range []filters.Direction{filters.Response, filters.Request, filters.Response} {
			if err := x.send(bodyOf(d, "jane@example.com", false)); err != nil {
				t.Fatal(err)
			}
			r, err := x.recv(d, res)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(r.body.GetResponse().GetBodyMutation().GetStreamedResponse().GetBody()); got != "jane@example.com" {
				t.Errorf("%s: %q", d, got)
			}
		}
	})
	t.Run("refused", func(t *testing.T) {
		x := dial(t, extproc.New(both(t, mask), extproc.Options{})).open(modes)
		if err := x.send(headersOf(filters.Request, websocket, false)); err != nil {
			t.Fatal(err)
		}
		if err := x.awaitHeaders(filters.Request, &result{}); err != nil {
			t.Fatal(err)
		}
		res, err := x.play(filters.Response, message{headers: append(status("200"), jsonType...), body: document})
		if err != nil || res.body != maskedDocument {
			t.Errorf("%v, %s", err, res.body)
		}
	})
	t.Run("with a body it is a request like any other", func(t *testing.T) {
		x := dial(t, extproc.New(both(t, mask), extproc.Options{})).open(modes)
		hs := append(post("/", "connection", "upgrade", "upgrade", "websocket", "content-length", "29"), jsonType...)
		if res, err := x.play(filters.Request, message{headers: hs, body: document}); err != nil || res.body != maskedDocument {
			t.Errorf("%v, %s", err, res.body)
		}
	})
}

// TestMoreTime: where the steps of a phase declare more than the data plane
// waits, more is asked for, once, and no more than may be.
func TestMoreTime(t *testing.T) {
	slow := part{needs: filters.Needs{Headers: true}}
	declared := []string{"sluice-message-timeout", "200ms", "sluice-max-message-timeout", "3s"}
	tests := []struct {
		name     string
		mode     bodyMode
		timeout  time.Duration
		metadata []string
		want     []time.Duration
	}{
		{"longer", none, time.Second, declared, []time.Duration{1100 * time.Millisecond}},
		{"longer than may be", none, time.Minute, declared, []time.Duration{3 * time.Second}},
		{"short", none, 50 * time.Millisecond, declared, nil},
		{"none declared", none, 0, declared, nil},
		{"where the bound is not known", none, time.Second, nil, nil},
	}
	for _, tt := range tests {
		x := dial(t, extproc.New(one(t, filters.Request, slow, timeout(tt.timeout)), extproc.Options{})).open(plane{modes: [2]bodyMode{tt.mode, none}, metadata: tt.metadata})
		res, err := x.play(filters.Request, message{headers: get("/")})
		if err != nil || !slices.Equal(res.timeouts, tt.want) {
			t.Errorf("%s: %v, %v, want %v", tt.name, err, res.timeouts, tt.want)
		}
	}
}

// TestHeaderChanges: several changes of one name come out right, repeated
// fields included.
func TestHeaderChanges(t *testing.T) {
	f := inHeaders(func(led *filters.Ledger, _ *filters.Headers) {
		led.SetHeader("x-a", "1")
		led.RemoveHeader("x-a")
		led.RemoveHeader("x-b")
		led.SetHeader("x-b", "new")
		led.AddHeader("x-c", "2")
		led.AddHeader("x-c", "3")
		led.SetHeader(":path", "/changed")
		led.ClearRouteCache = true
	})
	x := dial(t, extproc.New(one(t, filters.Request, f), extproc.Options{})).open(plane{})
	res, err := x.play(filters.Request, message{headers: get("/", "x-a", "0", "x-b", "old", "x-b", "older", "x-c", "1")})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := join(res.headers), ":method=GET;:path=/changed;:authority=api.example.com;:scheme=http;x-b=new;x-c=1;x-c=2;x-c=3;"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if !res.clearRoute {
		t.Error("the route is not chosen again")
	}
}

// TestRefusedMutations: what the data plane would answer with 500 never gets
// there.
func TestRefusedMutations(t *testing.T) {
	many := func(led *filters.Ledger, _ *filters.Headers) {
		for i := range 150 {
			led.SetHeader("x-"+strings.Repeat("a", i+1), "1")
		}
	}
	for name, f := range map[string]func(*filters.Ledger, *filters.Headers){
		"a name":       func(led *filters.Ledger, _ *filters.Headers) { led.SetHeader("x y", "1") },
		"a value":      func(led *filters.Ledger, _ *filters.Headers) { led.SetHeader("x-a", "1\r\nx-b: 2") },
		"a long value": func(led *filters.Ledger, _ *filters.Headers) { led.SetHeader("x-a", strings.Repeat("a", 70<<10)) },
		"too many":     many,
	} {
		x := dial(t, extproc.New(one(t, filters.Request, inHeaders(f)), extproc.Options{})).open(plane{})
		res, err := x.play(filters.Request, message{headers: get("/")})
		if !errors.Is(err, errDenied) || res.denial.GetStatus().GetCode() != 500 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTrailers: trailers are changed, and dynamic metadata goes out.
func TestTrailers(t *testing.T) {
	for _, mode := range []bodyMode{none, buffered, partial, streamed, fullDuplex} {
		x := dial(t, extproc.New(one(t, filters.Response, trailing), extproc.Options{})).open(plane{modes: [2]bodyMode{mode, mode}})
		res, err := side(x, filters.Response, message{headers: jsonType, body: document, ending: byTrailers, trailers: fieldsOf("x-sum", "1", "x-drop", "1")})
		if err != nil || join(res.trailers) != "x-sum=1;x-checked=yes;" || res.body != document {
			t.Errorf("%s: %v, %s", mode, err, join(res.trailers))
		}
	}
}

// TestMetadata goes in and out.
func TestMetadata(t *testing.T) {
	s := one(t, filters.Request, inHeaders(func(led *filters.Ledger, _ *filters.Headers) { led.SetMetadata("sluice", "risk", 0.5) }))
	x := dial(t, extproc.New(s, extproc.Options{})).open(plane{})
	st, err := structpb.NewStruct(map[string]any{"tier": "gold"})
	if err != nil {
		t.Fatal(err)
	}
	at, err := structpb.NewStruct(map[string]any{"source.address": "192.0.2.1:1234", "xds.route_name": "r", "connection.uri_san_peer_certificate": "spiffe://mesh/web"})
	if err != nil {
		t.Fatal(err)
	}
	req := headersOf(filters.Request, get("/", "x-request-id", "id-1"), true)
	req.MetadataContext = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"plan": st}}
	req.Attributes = map[string]*structpb.Struct{"envoy.filters.http.ext_proc": at}
	if err := x.send(req); err != nil {
		t.Fatal(err)
	}
	res := &result{}
	if err := x.awaitHeaders(filters.Request, res); err != nil {
		t.Fatal(err)
	}
	if ns, _ := res.metadata["sluice"].(map[string]any); ns["risk"] != 0.5 {
		t.Errorf("out: %v", res.metadata)
	}
	ex := s.last()
	if ex.ID != "id-1" || ex.Metadata["plan"]["tier"] != "gold" || ex.Source != (filters.Source{Address: "192.0.2.1:1234", Principal: "spiffe://mesh/web"}) || ex.Route.Name != "r" {
		t.Errorf("in: %q %v %v %v", ex.ID, ex.Metadata, ex.Source, ex.Route)
	}
}

// TestFirstMessageIsTheResponse: the request's phases may be skipped by
// configuration.
func TestFirstMessageIsTheResponse(t *testing.T) {
	for _, mode := range []bodyMode{buffered, streamed, fullDuplex} {
		x := dial(t, extproc.New(both(t, mask), extproc.Options{})).open(plane{modes: [2]bodyMode{none, mode}})
		res, err := x.play(filters.Response, message{headers: append(status("200"), jsonType...), body: document})
		if err != nil || res.body != maskedDocument {
			t.Errorf("%s: %v, %s", mode, err, res.body)
		}
	}
	t.Run("or its body", func(t *testing.T) {
		x := dial(t, extproc.New(both(t, mask), extproc.Options{})).open(plane{modes: [2]bodyMode{none, buffered}})
		if err := x.send(bodyOf(filters.Response, "jane@example.com", true)); err != nil {
			t.Fatal(err)
		}
		r, err := x.recv(filters.Response, &result{})
		if err != nil || r.body == nil {
			t.Fatal(err)
		}
		if got, err := apply("jane@example.com", r.body); err != nil || got != "[MASKED]" {
			t.Errorf("%v, %s", err, got)
		}
	})
}

// TestInterleaved: a response begins before the request's body has ended.
func TestInterleaved(t *testing.T) {
	x := dial(t, extproc.New(both(t, mask), extproc.Options{})).open(plane{modes: [2]bodyMode{streamed, streamed}})
	res := &result{}
	step := func(d filters.Direction, m *extprocv3.ProcessingRequest, chunk, want string) {
		t.Helper()
		if err := x.send(m); err != nil {
			t.Fatal(err)
		}
		r, err := x.recv(d, res)
		if err != nil {
			t.Fatal(err)
		}
		if r.headers != nil {
			return
		}
		if got, err := apply(chunk, r.body); err != nil || got != want {
			t.Errorf("%s: %v, %q, want %q", d, err, got, want)
		}
	}
	step(filters.Request, headersOf(filters.Request, append(post("/"), jsonType...), false), "", "")
	step(filters.Request, bodyOf(filters.Request, `["a@b`, false), `["a@b`, `[`)
	step(filters.Response, headersOf(filters.Response, append(status("200"), jsonType...), false), "", "")
	step(filters.Response, bodyOf(filters.Response, `["c@d`, false), `["c@d`, `[`)
	step(filters.Request, bodyOf(filters.Request, `.example"]`, true), `.example"]`, `"[MASKED]"]`)
	step(filters.Response, bodyOf(filters.Response, `.example"]`, true), `.example"]`, `"[MASKED]"]`)
	if err := x.end(); err != nil {
		t.Error(err)
	}
}

// TestObservabilityMode: nothing is ever replied, and the steps run.
func TestObservabilityMode(t *testing.T) {
	b := &book{}
	x := dial(t, extproc.New(both(t, mask, judge), extproc.Options{Recorder: b, Metrics: b})).open(plane{modes: [2]bodyMode{streamed, streamed}, observe: true})
	for _, m := range []*extprocv3.ProcessingRequest{
		headersOf(filters.Request, append(post("/"), jsonType...), false),
		bodyOf(filters.Request, document, true),
		headersOf(filters.Response, append(status("200"), jsonType...), false),
		bodyOf(filters.Response, `{"a": "forbidden"}`, false),
		trailersOf(filters.Response, nil),
	} {
		if err := x.send(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.end(); err != nil {
		t.Error(err)
	}
	b.await(t, "the end", func(b *book) bool { return b.closed == 1 && len(b.summaries) == 1 })
	denied := slices.ContainsFunc(b.decisions, func(r pipeline.Record) bool {
		return r.Decision.Verdict == filters.Denied && r.Mode == pipeline.Observe
	})
	if !denied || b.summaries[0].Denied {
		t.Errorf("what would have been denied is to be recorded, and only that: %+v", b.decisions)
	}
}

// TestPanic costs one stream, and is counted; the server goes on.
func TestPanic(t *testing.T) {
	b := &book{}
	s := &panicking{steps: one(t, filters.Request, mask)}
	c := dial(t, extproc.New(s, extproc.Options{Metrics: b, Recorder: b}))
	x := c.open(plane{})
	if _, err := x.play(filters.Request, message{headers: get("/", "x-panic", "1")}); grpcstatus.Code(err) != codes.Internal {
		t.Errorf("got %v", err)
	}
	if _, err := c.open(plane{modes: [2]bodyMode{fullDuplex, none}}).play(filters.Request, message{headers: post("/"), body: document}); err != nil {
		t.Error(err)
	}
	b.await(t, "counting the panic", func(b *book) bool { return b.panics == 1 && b.opened == 2 })
}

type panicking struct{ *steps }

func (p *panicking) Begin(ctx context.Context, ex *filters.Exchange) (pipeline.Chains, pipeline.Limits) {
	if ex.Request.Headers.Has("x-panic") {
		panic("quotes content")
	}
	return p.steps.Begin(ctx, ex)
}

// TestEveryStreamIsFinished: whenever a data plane goes away, the exchange
// ends once, and nothing is held any more.
func TestEveryStreamIsFinished(t *testing.T) {
	all := []*extprocv3.ProcessingRequest{
		headersOf(filters.Request, append(post("/"), jsonType...), false),
		bodyOf(filters.Request, `{"email": "jane@exa`, false),
		bodyOf(filters.Request, `mple.com"}`, true),
		headersOf(filters.Response, append(status("200"), jsonType...), false),
		bodyOf(filters.Response, `{"email": "jane@`, false),
	}
	for n := 1; n <= len(all); n++ {
		b := &book{}
		server := extproc.New(both(t, mask, keep), extproc.Options{Metrics: b, Recorder: b})
		x := dial(t, server).open(plane{modes: [2]bodyMode{fullDuplex, fullDuplex}})
		for _, m := range all[:n] {
			if err := x.send(m); err != nil {
				t.Fatal(err)
			}
		}
		b.await(t, "receiving", func(b *book) bool { return b.messages == n })
		x.cancel()
		b.await(t, "finishing", func(b *book) bool { return b.closed == 1 && server.Held() == 0 && len(b.summaries) == 1 })
		if !b.summaries[0].Aborted {
			t.Errorf("after %d messages: the exchange does not count as aborted", n)
		}
		all[0].ProtocolConfig = nil
	}
}

// TestLargeMessages: a message of several megabytes is nothing special.
func TestLargeMessages(t *testing.T) {
	big := `["` + strings.Repeat("x", 8<<20) + `", "jane@example.com"]`
	for _, mode := range []bodyMode{buffered, streamed, fullDuplex} {
		s := one(t, filters.Request, mask)
		c := dial(t, extproc.New(s, extproc.Options{}))
		res, err := c.open(plane{modes: [2]bodyMode{mode, none}, bufferLimit: 16 << 20}).play(filters.Request, message{headers: append(post("/"), jsonType...), body: big})
		if err != nil || !strings.HasSuffix(res.body, `x", "[MASKED]"]`) {
			t.Errorf("%s: %v, %d bytes", mode, err, len(res.body))
		}
	}
}

// TestHeldHeadersGoWhenNothingWaits: where a body grows past what may be
// collected and its step continues, the headers and what was held go out, and
// the rest streams.
func TestHeldHeadersGoWhenNothingWaits(t *testing.T) {
	s := both(t, mask)
	s.chains.Request = append(compile(t, filters.Request, []option{onError(filters.Continue)}, judge), s.chains.Request...)
	s.limits.CollectBytes = 100
	body := `["jane@example.com", "` + strings.Repeat("x", 500) + `", "b@example.com"]`
	want := `["[MASKED]", "` + strings.Repeat("x", 500) + `", "[MASKED]"]`
	for _, e := range []ending{eosOnLast, eosEmpty, byTrailers} {
		x := dial(t, extproc.New(s, extproc.Options{})).open(plane{modes: [2]bodyMode{fullDuplex, none}})
		res, err := x.play(filters.Request, message{headers: append(post("/"), jsonType...), body: body, cuts: []int{30, 200, 400}, ending: e})
		if err != nil || res.body != want {
			t.Errorf("%s: %v\n%s", e, err, res.body)
		}
		if err := x.end(); err != nil {
			t.Error(err)
		}
	}
}
