package gen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// spelling is how field names are written. Envoy's documentation has them in
// snake case, Kuma's in camel case; both read both.
type spelling bool

const (
	snakeCase spelling = true
	camelCase spelling = false
)

// toYAML writes a message as YAML, with the fields in the order of their
// declaration.
func toYAML(m proto.Message, s spelling) ([]byte, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: bool(s)}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	v, err := ordered(dec)
	if err != nil {
		return nil, fmt.Errorf("reading %s back: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	out, err := yaml.MarshalWithOptions(v, yaml.Indent(2), yaml.IndentSequence(false))
	if err != nil {
		return nil, fmt.Errorf("writing %s as YAML: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return out, nil
}

// ordered reads the next JSON value with its members' order kept.
func ordered(dec *json.Decoder) (any, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		m := yaml.MapSlice{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			v, err := ordered(dec)
			if err != nil {
				return nil, err
			}
			m = append(m, yaml.MapItem{Key: key, Value: v})
		}
		_, err := dec.Token()
		return m, err
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := ordered(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.Token()
		return list, err
	}
	if n, ok := t.(json.Number); ok {
		if i, err := n.Int64(); err == nil {
			return i, nil
		}
		return n.Float64()
	}
	return t, nil
}

// document is a YAML document with a comment at its head.
type document struct{ b strings.Builder }

func newDocument(p Plan) *document {
	d := &document{}
	d.comment("Written by sluice gen for the policy set " + p.Set + ".")
	for _, r := range p.Reasons {
		d.comment("- " + r)
	}
	return d
}

// comment writes a line; what comes from a policy's names cannot end it.
func (d *document) comment(text string) {
	d.b.WriteString("# " + strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, text) + "\n")
}

// list writes a member that is a list of one message.
func (d *document) list(name, where string, s spelling, m proto.Message) error {
	y, err := toYAML(m, s)
	if err != nil {
		return err
	}
	d.b.WriteString(name + ":")
	if where != "" {
		d.b.WriteString(" # " + where)
	}
	d.b.WriteString("\n" + item(string(y), ""))
	return nil
}

func (d *document) bytes() []byte { return []byte(d.b.String()) }

// item makes a YAML text the item of a list.
func item(text, margin string) string {
	in := indent(text, margin+"  ")
	return margin + "- " + strings.TrimPrefix(in, margin+"  ")
}

// indent puts margin before every line that is not empty.
func indent(text, margin string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			b.WriteString(margin)
		}
		b.WriteString(line)
	}
	return b.String()
}
