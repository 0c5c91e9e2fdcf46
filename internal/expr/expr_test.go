package expr_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/expr"
)

func exchange() *filters.Exchange {
	ex := &filters.Exchange{ID: "id-1"}
	ex.Request.Headers = filters.NewHeaders(
		filters.Field{Name: ":method", Value: "POST"}, filters.Field{Name: ":path", Value: "/v1/a?x=1%202&y=&x=3"},
		filters.Field{Name: ":authority", Value: "api.example.com"}, filters.Field{Name: ":scheme", Value: "https"},
		filters.Field{Name: "x-a", Value: "1"}, filters.Field{Name: "x-a", Value: "2"})
	ex.Request.Body = []byte(`{"amount":1500,"rate":1.5,"big":12345678901234567890,"tags":["a"],"none":null}`)
	ex.Response.Headers = filters.NewHeaders(filters.Field{Name: ":status", Value: "404"})
	ex.Consumer = filters.Consumer{ID: "c1", Groups: []string{"partners"}, Claims: map[string]any{"tier": "gold"}}
	ex.Source.Address = "192.0.2.1:4711"
	ex.Route.Name = "r1"
	ex.Steps = map[string]any{"score": map[string]any{"risk": 0.75}}
	return ex
}

func TestConditions(t *testing.T) {
	for src, want := range map[string]bool{
		`request.method == "POST" && request.path == "/v1/a"`:                true,
		`request.query.x == "1 2" && request.query["y"] == ""`:               true,
		`request.headers["x-a"] == "1, 2"`:                                   true,
		`"x-b" in request.headers`:                                           false,
		`request.host.endsWith(".example.com") && request.scheme == "https"`: true,
		`request.body.amount > 1000`:                                         true,
		`request.body.amount > 1000.5 && request.body.rate < 2`:              true,
		`has(request.body.nothing)`:                                          false,
		`request.body.tags.exists(t, t == "a")`:                              true,
		`request.body.none == null`:                                          true,
		`response.status >= 400 && response.status < 500`:                    true,
		`!("support" in consumer.groups)`:                                    true,
		`consumer.groups.exists(g, g == "partners")`:                         true,
		`consumer.claims.tier == "gold"`:                                     true,
		`source.address.startsWith("192.0.2.")`:                              true,
		`route.name == "r1" && exchange.id == "id-1"`:                        true,
		`steps.score.risk > 0.5`:                                             true,
		`"score" in steps`:                                                   true,
		`response.body == null`:                                              true,
	} {
		p, err := expr.Condition(src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got, err := p.Holds(exchange()); err != nil || got != want {
			t.Errorf("%s: %v, %v", src, got, err)
		}
	}
}

func TestValues(t *testing.T) {
	for src, want := range map[string]any{
		`1 + 1`:                                  int64(2),
		`"a" + request.method`:                   "aPOST",
		`{"a": [1, 2.5, true, null], "b": b"x"}`: map[string]any{"a": []any{int64(1), 2.5, true, nil}, "b": []byte("x")},
		`request.body.tags`:                      []any{"a"},
		`request.headers["x-a"].split(", ")`:     []any{"1", "2"},
		`request.body`:                           map[string]any{"amount": int64(1500), "rate": 1.5, "big": 12345678901234567890.0, "tags": []any{"a"}, "none": nil},
	} {
		p, err := expr.Value(src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got, err := p.Eval(exchange()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %#v, %v", src, got, err)
		}
	}
}

func TestErrorsHaveAPlaceAndAHint(t *testing.T) {
	for _, tt := range []struct {
		src          string
		line, column int
		says         string
	}{
		{`request.boddy`, 1, 8, `no field "boddy"`},
		{`request["boddy"]`, 1, 8, `no field "boddy"`},
		{`consumer.id == foo`, 1, 16, `"foo" is not known`},
		{`1 +`, 1, 4, "Syntax error"},
		{"true &&\n  request.x", 2, 10, `no field "x"`},
		{`"text"`, 1, 1, "a condition is true or false"},
		{``, 1, 1, "empty"},
		{`size(request) > 0`, 1, 6, "read by its fields"},
		{`request.method.matches("(")`, 1, 1, "error parsing regexp"},
	} {
		_, err := expr.Condition(tt.src)
		var e *expr.Error
		if !errors.As(err, &e) || !strings.Contains(e.Error(), tt.says) || e.Line != tt.line {
			t.Errorf("%q: %v", tt.src, err)
		}
	}
}

func TestNeeds(t *testing.T) {
	p, err := expr.Condition(`steps.a.x == 1 && request.body.y == 2 && "z" in steps`)
	if err != nil {
		t.Fatal(err)
	}
	if !p.NeedsBody(filters.Request) || p.NeedsBody(filters.Response) || p.NeedsResponse() || !reflect.DeepEqual(p.Steps(), []string{"a", "z"}) {
		t.Errorf("needs: %v %v %v %v", p.NeedsBody(filters.Request), p.NeedsBody(filters.Response), p.NeedsResponse(), p.Steps())
	}
	n := expr.Needs(filters.Request, p)
	if n.Body != filters.WholeBody || !n.Headers {
		t.Errorf("needs %+v", n)
	}
	if p, _ = expr.Condition(`response.status == 200`); !p.NeedsResponse() {
		t.Error("the response is read")
	}
}

// TestEvaluationIsBounded: an expression that does too much is an error.
func TestEvaluationIsBounded(t *testing.T) {
	list := "[" + strings.Repeat("1,", 99) + "1]"
	p, err := expr.Condition(list + ".all(a, " + list + ".all(b, " + list + ".all(c, a == b || b == c || true)))")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Holds(exchange()); err == nil {
		t.Error("it went on for a million rounds")
	}
}

func TestMissingKeysAreErrors(t *testing.T) {
	p, err := expr.Condition(`request.headers["nope"] == "x"`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Holds(exchange()); err == nil {
		t.Error("a missing header gave an answer")
	}
}

func BenchmarkHeaderCondition(b *testing.B) {
	p, err := expr.Condition(`request.method == "POST" && !("support" in consumer.groups)`)
	if err != nil {
		b.Fatal(err)
	}
	ex := exchange()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Holds(ex); err != nil {
			b.Fatal(err)
		}
	}
}
