// Package answer turns what a model said into an answer that fits a JSON
// Schema: it is parsed, repaired once where it does not parse, and validated.
package answer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/kaptinlin/jsonrepair"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

const (
	maxAnswer = 256 << 10 // the largest answer that is parsed
	maxDepth  = 64        // the deepest
	// maxRepair is the largest answer that is repaired: the time that takes
	// grows with the square of the length.
	maxRepair = 8 << 10
)

// The errors, whose texts are free of content.
var (
	ErrNotJSON = errors.New("the answer is not JSON")
	ErrSchema  = errors.New("the answer does not fit the schema")
)

// Schema is a compiled JSON Schema (2020-12). It is used by many at once.
type Schema struct {
	source   []byte
	compiled *jsonschema.Schema
}

// Compile compiles a schema. It must describe an object, and refers to
// nothing outside of itself.
func Compile(source []byte) (*Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(source))
	if err != nil {
		return nil, fmt.Errorf("the schema is not JSON: %w", err)
	}
	m, ok := doc.(map[string]any)
	if !ok || m["type"] != "object" {
		return nil, errors.New("the schema of an answer has type: object at the top")
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(noLoader{})
	if err := c.AddResource("answer.json", doc); err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	s, err := c.Compile("answer.json")
	if err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	return &Schema{source: source, compiled: s}, nil
}

// noLoader refuses references to files and addresses.
type noLoader struct{}

func (noLoader) Load(string) (any, error) {
	return nil, errors.New("a schema must not refer to anything outside of itself")
}

// Source is the schema as it was compiled.
func (s *Schema) Source() []byte { return s.source }

// Parse returns what the model said as JSON that fits the schema, and
// decoded: whole numbers as int64, other numbers as float64. repaired tells
// that it was not JSON as it came; beyond 8 KiB, nothing is repaired.
func (s *Schema) Parse(text string) (doc []byte, value any, repaired bool, err error) {
	if len(text) > maxAnswer {
		return nil, nil, false, ErrNotJSON
	}
	doc = []byte(text)
	v, err := Decode(doc)
	if err != nil {
		if tooDeep(doc) || len(doc) > maxRepair {
			return nil, nil, false, ErrNotJSON
		}
		fixed, rerr := jsonrepair.Repair(text)
		if rerr != nil || len(fixed) > maxAnswer {
			return nil, nil, false, ErrNotJSON
		}
		doc, repaired = []byte(fixed), true
		if v, err = Decode(doc); err != nil {
			return nil, nil, true, ErrNotJSON
		}
	}
	if err := s.Validate(v); err != nil {
		return nil, nil, repaired, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, doc); err != nil {
		return nil, nil, repaired, ErrNotJSON
	}
	return compact.Bytes(), Plain(v), repaired, nil
}

// Validate holds a decoded document (with json.Numbers) against the schema.
// Its error wraps ErrSchema and says where and why, without the value.
func (s *Schema) Validate(v any) error {
	err := s.compiled.Validate(v)
	if err == nil {
		return nil
	}
	var ve *jsonschema.ValidationError
	if !errors.As(err, &ve) {
		return ErrSchema
	}
	for len(ve.Causes) > 0 {
		ve = ve.Causes[0]
	}
	// The keyword only: a place in the answer could hold a key of the model's
	// making.
	return fmt.Errorf("%w: %s", ErrSchema, keyword(ve.ErrorKind))
}

func keyword(k jsonschema.ErrorKind) string {
	if _, ok := k.(*kind.FalseSchema); ok {
		return "additionalProperties"
	}
	if p := k.KeywordPath(); len(p) > 0 {
		return p[len(p)-1]
	}
	return "schema"
}

// Decode decodes one JSON document that is not deeper than the bound, numbers
// as json.Number. A key that stands twice in an object is an error: what is
// validated must be what is read.
func Decode(doc []byte) (any, error) {
	if tooDeep(doc) {
		return nil, ErrNotJSON
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	v, err := decodeValue(dec)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, ErrNotJSON
	}
	return v, nil
}

// Encode is Decode's other way: compact, names sorted, nothing escaped that
// need not be, so that equal documents are equal texts.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func decodeValue(dec *json.Decoder) (any, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	if n, ok := t.(json.Number); ok && !bounded(string(n)) {
		return nil, ErrNotJSON
	}
	d, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	switch d {
	case '{':
		m := map[string]any{}
		for dec.More() {
			k, err := dec.Token()
			if err != nil {
				return nil, err
			}
			name, ok := k.(string)
			if _, dup := m[name]; dup || !ok {
				return nil, ErrNotJSON
			}
			if m[name], err = decodeValue(dec); err != nil {
				return nil, err
			}
		}
		_, err = dec.Token()
		return m, err
	case '[':
		l := []any{}
		for dec.More() {
			v, err := decodeValue(dec)
			if err != nil {
				return nil, err
			}
			l = append(l, v)
		}
		_, err = dec.Token()
		return l, err
	}
	return nil, ErrNotJSON
}

// bounded reports whether a number is one to reckon with: validators write it
// out, and 1e999999999 would take for ever.
func bounded(n string) bool {
	const most = 400 // digits, and the exponent: beyond what a float64 has
	if len(n) > most {
		return false
	}
	i := strings.IndexAny(n, "eE")
	if i < 0 {
		return true
	}
	exp, err := strconv.Atoi(n[i+1:])
	return err == nil && exp >= -most && exp <= most
}

func tooDeep(doc []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(doc); i++ {
		switch c := doc[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// Plain turns json.Numbers into int64 where they are whole and fit, and into
// float64 otherwise.
func Plain(v any) any {
	switch x := v.(type) {
	case json.Number:
		if i, err := x.Int64(); err == nil {
			return i
		}
		f, _ := x.Float64()
		return f
	case []any:
		out := make([]any, len(x))
		for i := range x {
			out[i] = Plain(x[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(x))
		for k := range x {
			out[k] = Plain(x[k])
		}
		return out
	}
	return v
}
