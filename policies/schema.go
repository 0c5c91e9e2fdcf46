package policies

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai"
)

// Schema returns the JSON Schema (2020-12) of the policy language, for editors:
// one branch for each kind of document, and for each filter's configuration.
// It is made from the types that the loader decodes into.
func Schema(reg *filters.Registry) ([]byte, error) {
	g := generator{reg: reg}
	var kinds []any
	for _, k := range []struct {
		name string
		spec *jsonschema.Schema
	}{
		{"Policy", g.of(reflect.TypeFor[policySpec]())},
		{"Provider", g.of(reflect.TypeFor[ai.Spec]())},
		{"Settings", g.of(reflect.TypeFor[Settings]())},
	} {
		s := g.of(reflect.TypeFor[header]())
		s.Properties.Set("apiVersion", &jsonschema.Schema{Const: apiVersion})
		s.Properties.Set("kind", &jsonschema.Schema{Const: k.name})
		s.Properties.Set("spec", k.spec)
		kinds = append(kinds, s)
	}
	return json.MarshalIndent(map[string]any{
		"$schema": jsonschema.Version,
		"$id":     "https://github.com/sluice-proxy/sluice/policy.schema.json",
		"title":   "Sluice policy",
		"oneOf":   kinds,
	}, "", "  ")
}

// generator makes schemas from types. The types are few and flat, and the
// rules are the decoder's: a nested type is written out where it stands.
type generator struct{ reg *filters.Registry }

func (g generator) of(t reflect.Type) *jsonschema.Schema {
	switch {
	case t == durationType:
		return &jsonschema.Schema{Type: "string", Pattern: `^([0-9.]+(ns|us|µs|ms|s|m|h))+$`}
	case t == nodeType || t.Kind() == reflect.Interface:
		return &jsonschema.Schema{}
	case t == reflect.TypeFor[stepSpec]():
		return g.step(t)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return g.of(t.Elem())
	case reflect.Struct:
		return g.structure(t)
	case reflect.Map:
		return &jsonschema.Schema{Type: "object", AdditionalProperties: g.of(t.Elem())}
	case reflect.Slice:
		return &jsonschema.Schema{Type: "array", Items: g.of(t.Elem())}
	case reflect.Bool:
		return &jsonschema.Schema{Type: "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return &jsonschema.Schema{Type: "integer"}
	case reflect.Float64:
		return &jsonschema.Schema{Type: "number"}
	}
	return &jsonschema.Schema{Type: "string"}
}

func (g generator) structure(t reflect.Type) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema}
	for _, f := range fieldsOf(t) {
		sf := t.FieldByIndex(f.index)
		p := g.of(sf.Type)
		p.Description = sf.Tag.Get("doc")
		constrain(p, sf.Tag.Get("jsonschema"))
		s.Properties.Set(f.name, p)
		if f.required {
			s.Required = append(s.Required, f.name)
		}
	}
	return s
}

// constrain reads the constraints of a jsonschema tag.
func constrain(s *jsonschema.Schema, tag string) {
	for part := range strings.SplitSeq(tag, ",") {
		k, v, _ := strings.Cut(part, "=")
		to := s
		switch k {
		case "enum":
			if s.Items != nil {
				to = s.Items
			}
			to.Enum = append(to.Enum, v)
		case "minimum":
			s.Minimum = json.Number(v)
		case "maximum":
			s.Maximum = json.Number(v)
		case "minLength":
			if n, err := strconv.ParseUint(v, 10, 64); err == nil {
				s.MinLength = &n
			}
		case "pattern":
			s.Pattern = v
		}
	}
}

// step is a step's schema, with a branch for each filter's configuration.
func (g generator) step(t reflect.Type) *jsonschema.Schema {
	s := g.structure(t)
	filter, _ := s.Properties.Get("filter")
	for _, def := range g.reg.All() {
		filter.Enum = append(filter.Enum, def.Kind)
		is := jsonschema.NewProperties()
		is.Set("filter", &jsonschema.Schema{Const: def.Kind})
		then := jsonschema.NewProperties()
		with := g.of(reflect.TypeOf(def.Config()).Elem())
		with.Description = def.Summary
		// What has a default need not be given.
		with.Required = missing(with.Required, reflect.ValueOf(def.Config()).Elem())
		then.Set("with", with)
		s.AllOf = append(s.AllOf, &jsonschema.Schema{If: &jsonschema.Schema{Properties: is}, Then: &jsonschema.Schema{Properties: then}})
	}
	return s
}

// missing returns the required keys that the defaults do not give.
func missing(required []string, defaults reflect.Value) []string {
	var out []string
	for _, f := range fieldsOf(defaults.Type()) {
		for _, name := range required {
			if f.name == name && defaults.FieldByIndex(f.index).IsZero() {
				out = append(out, name)
			}
		}
	}
	return out
}
