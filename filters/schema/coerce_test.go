package schema

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/filters"
)

// newFilter builds a filter from its configuration in JSON.
func newFilter(t testing.TB, config string, models filters.Models) *filter {
	t.Helper()
	def := Definition()
	c := def.Config().(*Config)
	if err := json.Unmarshal([]byte(config), c); err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	f, err := def.New(c, filters.Env{Models: models})
	if err != nil {
		t.Fatal(err)
	}
	return f.(*filter)
}

// apply returns the body that goes on, or "" and the status of the denial.
func apply(t testing.TB, f *filter, body string) (string, filters.Decision, *filters.Ledger) {
	t.Helper()
	ex := &filters.Exchange{Phase: filters.RequestBody}
	ex.Request.Body = []byte(body)
	led := &filters.Ledger{}
	d, err := f.Apply(context.Background(), ex, led)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case led.Denial != nil:
		return "", d, led
	case led.BodySet:
		return string(led.Body), d, led
	}
	return body, d, led
}

func TestCoercions(t *testing.T) {
	// The schema is that of the member v, which is required.
	for _, c := range []struct{ name, schema, have, want, did string }{
		{"text to a number", `{"type":"number"}`, `{ "v" : "1.50" }`, `{ "v" : 1.50 }`, "number"},
		{"the digits stay", `{"type":"integer"}`, `{"v":"12345678901234567890123"}`, `{"v":12345678901234567890123}`, "number"},
		{"text with space around it", `{"type":"integer"}`, `{"v":" 7 "}`, `{"v":7}`, "number"},
		{"a leading zero is no number's", `{"type":"integer"}`, `{"v":"007"}`, ``, ""},
		{"hexadecimal is not", `{"type":"integer"}`, `{"v":"0x10"}`, ``, ""},
		{"separators are not", `{"type":"number"}`, `{"v":"1,200"}`, ``, ""},
		{"an exponent without end is not", `{"type":"number","minimum":0}`, `{"v":"1e999999999"}`, ``, ""},
		{"a fraction is no integer", `{"type":"integer"}`, `{"v":"1.5"}`, ``, ""},
		{"a number out of range", `{"type":"integer","maximum":5}`, `{"v":"7"}`, ``, ""},
		{"text to a boolean", `{"type":"boolean"}`, `{"v":"Yes"}`, `{"v":true}`, "boolean"},
		{"no text for a boolean", `{"type":"boolean"}`, `{"v":"perhaps"}`, ``, ""},
		{"a number to text", `{"type":"string"}`, `{"v":1.500}`, `{"v":"1.500"}`, "string"},
		{"a boolean to text", `{"type":"string"}`, `{"v":false}`, `{"v":"false"}`, "string"},
		{"null is not text", `{"type":"string"}`, `{"v":null}`, ``, ""},
		{"null is allowed besides", `{"anyOf":[{"type":"null"},{"type":"integer"}]}`, `{"v":"3"}`, `{"v":3}`, "number"},
		{"of alternatives nobody knows which", `{"anyOf":[{"type":"boolean"},{"type":"integer"}]}`, `{"v":"1"}`, ``, ""},
		{"a date", `{"type":"string","format":"date"}`, `{"v":"2 January 2026"}`, `{"v":"2026-01-02"}`, "date"},
		{"a date with two readings", `{"type":"string","format":"date"}`, `{"v":"01/02/2026"}`, ``, ""},
		{"a time", `{"type":"string","format":"date-time"}`, `{"v":"2026-01-02 10:20:30.125+0200"}`, `{"v":"2026-01-02T10:20:30.125+02:00"}`, "date"},
		{"a time of HTTP", `{"type":"string","format":"date-time"}`, `{"v":"Fri, 02 Jan 2026 10:20:30 GMT"}`, `{"v":"2026-01-02T10:20:30Z"}`, "date"},
		{"a time without an offset", `{"type":"string","format":"date-time"}`, `{"v":"2026-01-02 10:20:30"}`, ``, ""},
		{"an enum by case", `{"enum":["on_hold","done"]}`, `{"v":"On Hold"}`, `{"v":"on_hold"}`, "enum"},
		{"an enum by nearness", `{"enum":["confirmed","cancelled"]}`, `{"v":"canceled"}`, `{"v":"cancelled"}`, "enum"},
		{"near to two", `{"enum":["paid","laid"]}`, `{"v":"maid"}`, ``, ""},
		{"too short to be near", `{"enum":["eu","us"]}`, `{"v":"ex"}`, ``, ""},
		{"three edits", `{"enum":["confirmed"]}`, `{"v":"confim"}`, ``, ""},
		{"an enum of numbers", `{"enum":[1,2]}`, `{"v":"2"}`, `{"v":2}`, "number"},
		{"a const", `{"const":"card"}`, `{"v":"Card"}`, `{"v":"card"}`, "enum"},
		{"a value to an array", `{"type":"array","items":{"type":"string"}}`, `{"v": "a" }`, `{"v": ["a"] }`, "wrap"},
		{"null is no array's", `{"type":"array"}`, `{"v":null}`, ``, ""},
		{"an array of one", `{"type":"string"}`, `{"v":[ "a" ]}`, `{"v":"a"}`, "unwrap"},
		{"an array of two", `{"type":"string"}`, `{"v":["a","b"]}`, ``, ""},
		{"white space", `{"type":"string","pattern":"^[a-z]+$"}`, `{"v":" ab\n"}`, `{"v":"ab"}`, "trim"},
		{"white space that is allowed", `{"type":"string"}`, `{"v":" ab "}`, `{"v":" ab "}`, ""},
		{"a default", `{"type":"string","default":"x"}`, "{\n  \"w\": 1\n}", "{\n  \"w\": 1,\n  \"v\":\"x\"\n}", "default"},
		{"a default that does not fit", `{"type":"string","default":5}`, `{"w":1}`, ``, ""},
		{"another spelling of the name", `{"type":"integer"}`, `{"V" : 1}`, `{"v" : 1}`, "rename"},
		{"two spellings of the name", `{"type":"integer"}`, `{"V":1,"_v":2}`, ``, ""},
		{"two steps", `{"type":"array","items":{"type":"integer"}}`, `{"v":"1"}`, `{"v":[1]}`, "number wrap"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFilter(t, `{"schema":{"type":"object","required":["v"],"properties":{"w":{},"v":`+c.schema+`}}}`, nil)
			got, d, led := apply(t, f, c.have)
			want := c.want
			if c.name == "a default" {
				want = strings.Replace(want, `"v":"x"`, `"v": "x"`, 1) // spaced as the member before it
			}
			if got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
			for kind := range d.Actions.Map() {
				if !strings.Contains(c.did, kind) {
					t.Errorf("did %v, want %s", d.Actions, c.did)
				}
			}
			if (c.did != "") != (d.Verdict == filters.Changed) {
				t.Errorf("verdict %s", d.Verdict)
			}
			valid := led.Result.(map[string]any)["valid"].(bool)
			if valid != (c.want != "") {
				t.Errorf("valid is %t", valid)
			}
		})
	}
}

func TestNamesAndLimits(t *testing.T) {
	const order = `"schema":{"type":"object","required":["customer_name","status","amount"],"additionalProperties":false,"properties":{
		"customer_name":{"type":"string"},"status":{"enum":["draft","confirmed"],"default":"draft"},"amount":{"type":"number","default":5},
		"account_type":{"enum":["savings","current"]}}}`
	for _, c := range []struct{ name, config, have, want string }{
		{"a near name", `{` + order + `}`, `{"custmer_name":"a","status":"draft","amount":1}`, `{"customer_name":"a","status":"draft","amount":1}`},
		{"an amount's name is not guessed", `{` + order + `}`, `{"customer_name":"a","status":"draft","amout":1}`, ``},
		{"it may be spelled another way", `{` + order + `}`, `{"customer_name":"a","status":"draft","Amount":"1.0"}`, `{"customer_name":"a","status":"draft","amount":1.0}`},
		{"an amount has no default", `{` + order + `}`, `{"customer_name":"a","status":"draft"}`, ``},
		{"unless the policy says so", `{"never":["id"],` + order + `}`, `{"customer_name":"a","status":"draft"}`, `{"customer_name":"a","status":"draft","amount":5}`},
		{"an account's value is not guessed", `{` + order + `}`, `{"customer_name":"a","status":"draft","amount":1,"account_type":"saving"}`, ``},
		{"unknown members stay unknown", `{` + order + `}`, `{"customer_name":"a","status":"draft","amount":1,"x":2}`, ``},
		{"or are dropped", `{"dropUnknown":true,` + order + `}`, `{"customer_name":"a", "x":2, "status":"draft","amount":1}`, `{"customer_name":"a", "status":"draft","amount":1}`},
		{"not among the fields", `{"fields":["$.status"],` + order + `}`, `{"customer_name":1,"status":"Draft","amount":1}`, ``},
		{"among the fields", `{"fields":["/status"],` + order + `}`, `{"customer_name":"a","status":"Draft","amount":1}`, `{"customer_name":"a","status":"draft","amount":1}`},
		{"more than may be", `{"maxChanges":1,` + order + `}`, `{"customer_name":1,"status":"Draft","amount":1}`, ``},
		{"as many as may be", `{"maxChanges":2,` + order + `}`, `{"customer_name":1,"status":"Draft","amount":1}`, `{"customer_name":"1","status":"draft","amount":1}`},
		{"nothing may be", `{"coerce":false,` + order + `}`, `{"customer_name":"a","status":"Draft","amount":1}`, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, _ := apply(t, newFilter(t, c.config, nil), c.have)
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestNever(t *testing.T) {
	n := newNever(Definition().Config().(*Config).Never)
	for name, want := range map[string]bool{
		"id": true, "userId": true, "user_ids": true, "userid": true, "order-number": true, "totalAmount": true, "IBAN": true,
		"accountHolder": true, "subtotal": true, "status": false, "name": false, "identity": false, "idea": false, "": false,
	} {
		if n.name(name) != want {
			t.Errorf("%q: %t", name, !want)
		}
	}
}

func TestFields(t *testing.T) {
	for _, c := range []struct {
		field, path string
		want        bool
	}{
		{"$.a", "/a", true}, {"$.a", "/a/b/0", true}, {"$.a", "/b", false}, {"$.a.b", "/a", false},
		{"$.a[*].b", "/a/3/b", true}, {"$.a[*].b", "/a/3/c", false}, {"$.a[1]", "/a/1", true}, {"$['a b']", "/a b", true},
		{"$..b", "/x/y/b/z", true}, {"$..b", "/x/y", false}, {"$", "/x", true}, {"/a~1b/0", "/a~1b/0", true}, {"/a", "/ab", false},
	} {
		p, err := parseField(c.field)
		if err != nil {
			t.Fatal(err)
		}
		at, _ := parseField(c.path)
		var path []string
		for _, s := range at {
			path = append(path, s.token)
		}
		if covers(p, path) != c.want {
			t.Errorf("%s over %s: %t", c.field, c.path, !c.want)
		}
	}
	for _, bad := range []string{"a", "$[?(@.x)]", "$[-1]", "$[1:2]", "$."} {
		if _, err := parseField(bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

func TestWhatIsNoDocument(t *testing.T) {
	f := newFilter(t, `{"schema":{"type":["object","array"],"properties":{"a":{"type":"integer","minimum":0}}}}`, nil)
	for body, says := range map[string]string{
		`{"a":1`:             "not JSON",
		`{"a":1} x`:          "not JSON",
		"\ufeff{}":           "not JSON",
		"{\"a\":\"\xff\"}":   "not JSON",
		`{"a":1,"\u0061":2}`: "stands twice",
		`{"a":1e999999999}`:  "out of bounds",
		strings.Repeat("[", 600) + strings.Repeat("]", 600): "too deeply",
	} {
		got, d, led := apply(t, f, body)
		if got != "" || d.Verdict != filters.Denied || led.Denial.Status != 400 {
			t.Errorf("%.20q goes on", body)
			continue
		}
		errs := led.Denial.Extensions["errors"].([]any)
		if m := errs[0].(map[string]any)["message"].(string); !strings.Contains(m, says) {
			t.Errorf("%.20q: %s", body, m)
		}
	}
}

func TestNamesThatStandTwice(t *testing.T) {
	for _, n := range []int{1, fewMembers - 1, fewMembers, fewMembers + 1, 100} {
		var b strings.Builder
		for i := range n {
			b.WriteString(`"m` + strings.Repeat("x", i) + `":1,`)
		}
		if _, err := parse([]byte("{" + b.String() + `"last":1}`)); err != nil {
			t.Errorf("%d members: %v", n, err)
		}
		for _, twice := range []string{"m", "m" + strings.Repeat("x", n-1)} {
			if _, err := parse([]byte("{" + b.String() + `"` + twice + `":1}`)); !errors.Is(err, errDuplicate) {
				t.Errorf("%d members, and one twice: %v", n, err)
			}
		}
	}
}

func TestNamesOfTheDocumentAreNotShown(t *testing.T) {
	f := newFilter(t, `{"schema":{"type":"object","additionalProperties":{"type":"object","properties":{"n":{"type":"integer"}}}}}`, nil)
	_, d, led := apply(t, f, `{"ada@example.com":{"n":"x"},"5551234":{"n":"y"}}`)
	b, _ := json.Marshal([]any{d, led.Denial, led.Result})
	if s := string(b); strings.Contains(s, "ada@") || strings.Contains(s, "5551234") || !strings.Contains(s, `"/*/n"`) {
		t.Error("a name of the document is shown, or its place is not")
	}
}

func TestManyErrorsAreCutShort(t *testing.T) {
	f := newFilter(t, `{"schema":{"type":"array","items":{"type":"object"}}}`, nil)
	_, d, led := apply(t, f, "["+strings.Repeat("1,", 99)+"1]")
	if n := len(led.Denial.Extensions["errors"].([]any)); n != maxListed || led.Denial.Detail != "errors: 100" || d.Findings.Of("type") != 100 {
		t.Errorf("%d listed, %s, %v", n, led.Denial.Detail, d.Findings)
	}
}

func TestSchemasThatAreRefused(t *testing.T) {
	for _, c := range []struct{ config, path, says string }{
		{`{}`, "schema", "missing"},
		{`{"schema":{"$ref":"https://example.com/s.json"}}`, "schema", "outside"},
		{`{"schema":{"$ref":"file:///etc/passwd"}}`, "schema", "outside"},
		{`{"schema":{"$ref":"other.json"}}`, "schema", "outside"},
		{`{"schema":{"$schema":"http://json-schema.org/draft-04/schema#"}}`, "schema", "draft"},
		{`{"schema":{"type":"text"}}`, "schema", "no JSON Schema"},
		{`{"schema":{"pattern":"(?=a)"}}`, "schema", "no JSON Schema"},
		{`{"schemaFile":"none.json"}`, "schemaFile", "cannot be read"},
		{`{"schema":{},"schemaFile":"none.json"}`, "schemaFile", "already"},
		{`{"schema":{"type":"object"},"suggest":{"provider":"x"}}`, "suggest.provider", "no providers"},
		{`{"schema":{},"fields":["a"]}`, "fields[0]", "JSONPath"},
		{`{"schema":{},"deny":{"status":503}}`, "deny.status", "503"},
		{`{"schema":{},"maxChanges":-1}`, "maxChanges", "between"},
	} {
		def := Definition()
		cfg := def.Config().(*Config)
		if err := json.Unmarshal([]byte(c.config), cfg); err != nil {
			t.Fatal(err)
		}
		err := cfg.Validate()
		if err == nil {
			_, err = def.New(cfg, filters.Env{Dir: t.TempDir()})
		}
		var fe *filters.FieldError
		if !errors.As(err, &fe) || fe.Path != c.path || !strings.Contains(fe.Msg, c.says) {
			t.Errorf("%s: %v", c.config, err)
		}
	}
}

func TestTimeEnds(t *testing.T) {
	f := newFilter(t, `{"schema":{"type":"object","properties":{"a":{"type":"integer"}}}}`, nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ex := &filters.Exchange{Phase: filters.RequestBody}
	ex.Request.Body = []byte(`{"a":"1"}`)
	if _, err := f.Apply(ctx, ex, &filters.Ledger{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
