package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/answer"
)

const (
	// maxSchema is how large a schema may be.
	maxSchema = 1 << 20
	// resource is the name under which a schema is compiled. Nothing is read
	// from it.
	resource = "sluice:///schema.json"
)

// drafts are the ones that a schema may name in $schema.
var drafts = map[string]bool{
	"https://json-schema.org/draft/2020-12/schema": true, "https://json-schema.org/draft/2020-12/schema#": true,
	"http://json-schema.org/draft-07/schema": true, "http://json-schema.org/draft-07/schema#": true,
	"https://json-schema.org/draft-07/schema": true, "https://json-schema.org/draft-07/schema#": true,
}

// rules are a compiled schema. They are used by many exchanges at once.
type rules struct {
	source []byte
	schema *jsonschema.Schema
	places map[string]*jsonschema.Schema
	// names are those of all properties that the schema describes: whatever
	// else stands in a document as a name is content.
	names map[string]bool
}

// load compiles the schema of a configuration.
func load(c Config, env filters.Env) (*rules, error) {
	field, source := "schema", []byte(nil)
	switch {
	case c.Schema != nil && c.SchemaFile != "":
		return nil, &filters.FieldError{Path: "schemaFile", Msg: "there is a schema already"}
	case c.Schema != nil:
		b, err := json.Marshal(c.Schema)
		if err != nil {
			return nil, &filters.FieldError{Path: "schema", Msg: err.Error()}
		}
		source = b
	case c.SchemaFile != "":
		field = "schemaFile"
		b, err := readFile(c.SchemaFile, env.Dir)
		if err != nil {
			return nil, &filters.FieldError{Path: field, Msg: err.Error()}
		}
		source = b
	default:
		return nil, &filters.FieldError{Path: "schema", Msg: "is missing", Hint: "give schema or schemaFile"}
	}
	if len(source) > maxSchema {
		return nil, &filters.FieldError{Path: field, Msg: fmt.Sprintf("is larger than %d KiB", maxSchema>>10)}
	}
	r, err := compile(source)
	if err != nil {
		return nil, &filters.FieldError{Path: field, Msg: err.Error()}
	}
	return r, nil
}

func readFile(name, dir string) ([]byte, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", errors.Unwrap(err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSchema+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", errors.Unwrap(err))
	}
	return b, nil
}

func compile(source []byte) (*rules, error) {
	if _, err := answer.Decode(source); err != nil {
		return nil, errors.New("is not JSON, has a name twice, or is nested deeper than 64")
	}
	// The compiler changes what it is given: it gets a document of its own.
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(source))
	if err != nil {
		return nil, errors.New("is not JSON")
	}
	m, ok := doc.(map[string]any)
	if !ok {
		return nil, errors.New("is not an object")
	}
	if id, ok := m["$schema"]; ok {
		if s, _ := id.(string); !drafts[s] {
			return nil, errors.New("$schema names neither draft 2020-12 nor draft 7")
		}
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	c.UseLoader(noLoader{})
	if err := c.AddResource(resource, doc); err != nil {
		return nil, fmt.Errorf("is no JSON Schema: %w", err)
	}
	s, err := c.Compile(resource)
	if err != nil {
		return nil, fmt.Errorf("is no JSON Schema: %w", err)
	}
	r := &rules{source: source, schema: s, places: map[string]*jsonschema.Schema{}, names: map[string]bool{}}
	r.walk(s)
	return r, nil
}

// noLoader refuses references to files and addresses.
type noLoader struct{}

func (noLoader) Load(string) (any, error) {
	return nil, errors.New("a $ref must not lead outside of the schema")
}

// walk notes every part of a schema by its place, and the names in it.
func (r *rules) walk(s *jsonschema.Schema) {
	if s == nil || r.places[s.Location] != nil {
		return
	}
	r.places[s.Location] = s
	for name, p := range s.Properties {
		r.names[name] = true
		r.walk(p)
	}
	for _, name := range s.Required {
		r.names[name] = true
	}
	for name, p := range s.DependentSchemas {
		r.names[name] = true
		r.walk(p)
	}
	for _, p := range s.PatternProperties {
		r.walk(p)
	}
	for _, d := range s.Dependencies {
		r.walkAny(d)
	}
	if s.DynamicRef != nil {
		r.walk(s.DynamicRef.Ref)
	}
	for _, l := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems} {
		for _, p := range l {
			r.walk(p)
		}
	}
	for _, p := range []*jsonschema.Schema{s.Ref, s.RecursiveRef, s.Not, s.If, s.Then, s.Else, s.PropertyNames, s.UnevaluatedProperties, s.Contains, s.Items2020, s.UnevaluatedItems} {
		r.walk(p)
	}
	for _, a := range []any{s.AdditionalProperties, s.Items, s.AdditionalItems} {
		r.walkAny(a)
	}
}

func (r *rules) walkAny(v any) {
	switch x := v.(type) {
	case *jsonschema.Schema:
		r.walk(x)
	case []*jsonschema.Schema:
		for _, s := range x {
			r.walk(s)
		}
	}
}
