package policies_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sluice-proxy/sluice/policies"
)

func TestSchemaAgreesWithTheLoader(t *testing.T) {
	text, err := policies.Schema(registry())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("policy.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("policy.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, doc string
		valid     bool
	}{
		{"good", `{"apiVersion":"sluice/v1","kind":"Policy","metadata":{"name":"p"},"spec":{"request":[{"filter":"mark","timeout":"50ms","with":{"count":3}}]}}`, true},
		{"settings", `{"apiVersion":"sluice/v1","kind":"Settings","spec":{"limits":{"depth":5},"identity":{"header":{"trusted":true,"id":"x"}}}}`, true},
		{"unknown key", `{"apiVersion":"sluice/v1","kind":"Policy","metadata":{"name":"p"},"spec":{"requests":[]}}`, false},
		{"unknown key of a filter", `{"apiVersion":"sluice/v1","kind":"Policy","metadata":{"name":"p"},"spec":{"request":[{"filter":"mark","with":{"cont":3}}]}}`, false},
		{"unknown filter", `{"apiVersion":"sluice/v1","kind":"Policy","metadata":{"name":"p"},"spec":{"request":[{"filter":"mrak"}]}}`, false},
		{"bad mode", `{"apiVersion":"sluice/v1","kind":"Policy","metadata":{"name":"p"},"spec":{"request":[{"filter":"mark","mode":"off"}]}}`, false},
		{"bad duration", `{"apiVersion":"sluice/v1","kind":"Policy","metadata":{"name":"p"},"spec":{"request":[{"filter":"mark","timeout":"soon"}]}}`, false},
		{"literal secret", `{"apiVersion":"sluice/v1","kind":"Policy","metadata":{"name":"p"},"spec":{"request":[{"filter":"mark","with":{"key":"k"}}]}}`, false},
	} {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(tt.doc)))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); (err == nil) != tt.valid {
			t.Errorf("%s: %v", tt.name, err)
		}
		// JSON is YAML: the loader says the same.
		set, problems := loader().Load(t.Context(), writeFile(t, t.TempDir(), "p.yaml", tt.doc))
		if (set != nil) != tt.valid {
			t.Errorf("%s: the loader says %v", tt.name, problems)
		}
	}
	if !json.Valid(text) {
		t.Error("not JSON")
	}
}
