package prompt_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/prompt"
)

func exchange() *filters.Exchange {
	ex := &filters.Exchange{ID: "id", Phase: filters.RequestBody}
	ex.Request.Headers = filters.NewHeaders(
		filters.Field{Name: ":method", Value: "POST"}, filters.Field{Name: ":path", Value: "/v1/a?x=1%202&y=3"}, filters.Field{Name: ":authority", Value: "api.example.com"},
		filters.Field{Name: "user-agent", Value: "curl"}, filters.Field{Name: "x-tag", Value: "a"}, filters.Field{Name: "x-tag", Value: "b"}, filters.Field{Name: "authorization", Value: "Bearer secret"})
	ex.Request.Body = []byte(`{"z":1.10,"a":[{"n":"first"},{"n":"second"}, {"n":"third"}],"big":12345678901234567890,"e":"\u0041"}`)
	ex.Response.Headers = filters.NewHeaders(filters.Field{Name: ":status", Value: "404"})
	ex.Consumer = filters.Consumer{ID: "c1", Groups: []string{"g1", "g2"}, Tenant: "t1", Claims: map[string]any{"tier": "gold", "n": int64(3)}}
	ex.Source.Address, ex.Route.Name = "192.0.2.1:4711", "r1"
	ex.Steps = map[string]any{"score": map[string]any{"risk": 0.5, "label": "x"}}
	return ex
}

func TestPlaceholders(t *testing.T) {
	for text, want := range map[string]string{
		"{{method}} {{host}}{{path}}":                                 "POST api.example.com/v1/a",
		"{{query}} {{query.x}} {{query.none}}":                        "x=1%202&y=3 1 2 ",
		"{{header.user-agent}} {{header.X-Tag}}":                      "curl a, b",
		"{{headers}}":                                                 "user-agent: curl\nx-tag: a, b\n",
		"{{claims}} {{claim.tier}} {{claim.n}}":                       `{"n":3,"tier":"gold"} gold 3`,
		"{{consumer.id}} {{consumer.groups}}":                         "c1 g1, g2",
		"{{consumer.tenant}} {{source.address}}":                      "t1 192.0.2.1:4711",
		"{{route.name}} {{response.status}}":                          "r1 404",
		"{{body $.a[*].n}}":                                           `["first","second","third"]`,
		"{{body $.a[-1].n}} {{ body $.z }} {{body $.q}}":              "third 1.10 ",
		"{{body $.a[?(@.n == 'second')]}}":                            `{"n":"second"}`,
		"{{body}}":                                                    `{"a":[{"n":"first"},{"n":"second"},{"n":"third"}],"big":12345678901234567890,"e":"A","z":1.10}`,
		"{{steps.score}} {{steps.score.risk}} {{steps.score.no.way}}": `{"label":"x","risk":0.5} 0.5 `,
		`{{cel request.body.a.size() > 2 ? "}}" : "few"}}`:            "}}",
		"a { b } c": "a { b } c",
	} {
		p, err := prompt.New(prompt.Config{Text: text, Headers: []string{"User-Agent", "x-tag"}})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		q, err := p.Question(exchange())
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var b strings.Builder
		for _, part := range q.Parts {
			if part.Data != (part.Name != "") {
				t.Errorf("%s: part %+v", text, part)
			}
			b.WriteString(part.Text)
		}
		if b.String() != want {
			t.Errorf("%s: got %q, want %q", text, b.String(), want)
		}
		if q.Caller != (filters.Caller{Consumer: "c1", Tenant: "t1", Route: "r1"}) {
			t.Errorf("caller %+v", q.Caller)
		}
	}
}

func TestWhatIsRefused(t *testing.T) {
	for text, says := range map[string]string{
		"{{header.authorization}}":                 "credential",
		"{{header.cookie}}":                        "credential",
		"{{header.x-other}}":                       "not in the prompt's headers",
		`{{cel request.headers["authorization"]}}`: "cannot read headers",
		"{{cel request.boddy}}":                    "no field",
		"{{nothing}}":                              "no such placeholder",
		"{{path now}}":                             "only body and cel",
		"{{body a.b}}":                             "no JSONPath",
		"{{body.a}}":                               "{{body $.name}}",
		"{{method":                                 "not closed",
		"{{steps}}":                                "steps.NAME",
		"{{response.body}}":                        "body is that of the step's direction",
	} {
		_, err := prompt.New(prompt.Config{Text: text, Headers: []string{"user-agent"}})
		var fe *filters.FieldError
		if !errors.As(err, &fe) || fe.Path != "text" || !strings.Contains(fe.Msg, says) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := prompt.New(prompt.Config{Headers: []string{"Authorization"}}); err == nil {
		t.Error("a credential is on the list")
	}
}

func TestNeedsAndVersion(t *testing.T) {
	p, err := prompt.New(prompt.Config{Text: "{{body}} {{steps.a.x}} {{cel steps.b.y}}"})
	if err != nil {
		t.Fatal(err)
	}
	n := p.Needs(filters.Request)
	if n.Body != filters.WholeBody || strings.Join(n.Steps, ",") != "b,a" {
		t.Errorf("needs %+v", n)
	}
	plain, _ := prompt.New(prompt.Config{Text: "{{path}}"})
	if n := plain.Needs(filters.Request); n.Body != filters.NoBody || !n.Headers {
		t.Errorf("needs %+v", n)
	}
	other, _ := prompt.New(prompt.Config{Text: "{{path}}", System: "x"})
	same, _ := prompt.New(prompt.Config{Text: "{{path}}"})
	if plain.Version() == other.Version() || plain.Version() != same.Version() || len(plain.Version()) != 12 {
		t.Errorf("versions %s %s %s", plain.Version(), other.Version(), same.Version())
	}
	late, _ := prompt.New(prompt.Config{Text: "{{response.status}}"})
	if !late.ReadsResponse() || plain.ReadsResponse() {
		t.Error("which prompt reads the response")
	}
}

func TestLongValuesAreCut(t *testing.T) {
	p, err := prompt.New(prompt.Config{Text: "{{body}}", MaxBytes: 8})
	if err != nil {
		t.Fatal(err)
	}
	ex := exchange()
	ex.Request.Body = []byte("plain té text")
	q, err := p.Question(ex)
	if err != nil || q.Parts[0].Text != "plain t [cut]" {
		t.Errorf("%q, %v", q.Parts[0].Text, err)
	}
}
