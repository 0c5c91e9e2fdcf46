// Package reference writes the reference page of a filter from what the
// filter says of itself: its definition, and the fields of its configuration
// type.
package reference

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/sluice-proxy/sluice/filters"
)

// Render returns the page in Markdown.
func Render(def filters.Definition) (string, error) {
	cfg := reflect.ValueOf(def.Config())
	if cfg.Kind() != reflect.Pointer || cfg.Elem().Kind() != reflect.Struct {
		return "", fmt.Errorf("filter %s: the configuration is not a struct", def.Kind)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n\n", def.Kind, def.Summary)
	fmt.Fprintf(&b, "Stands in: %s. On failure, by default: %s.\n\n", def.Places(), def.OnError)
	if doc := strings.TrimSpace(def.Doc); doc != "" {
		b.WriteString(doc + "\n\n")
	}
	if table := Table(cfg.Elem().Interface()); table != "" {
		b.WriteString("## Configuration\n\n" + table + "\n")
	}
	if example := strings.TrimSpace(def.Example); example != "" {
		fmt.Fprintf(&b, "## Example\n\n```yaml\n%s\n```\n", example)
	}
	return b.String(), nil
}

// Table writes the keys of a configuration, a struct with its defaults in it,
// as a table in Markdown; "" where it has none.
func Table(cfg any) string {
	rows := fieldsOf(reflect.ValueOf(cfg), "", nil)
	if len(rows) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("| key | type | default | what |\n| --- | --- | --- | --- |\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.key, r.kind, r.def, strings.ReplaceAll(r.doc, "|", "\\|"))
	}
	return b.String()
}

// row is one key of the configuration.
type row struct{ key, kind, def, doc string }

func fieldsOf(v reflect.Value, prefix string, rows []row) []row {
	for _, f := range reflect.VisibleFields(v.Type()) {
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		fv := v.FieldByIndex(f.Index)
		r := row{key: prefix + name, kind: kindOf(f.Type), doc: f.Tag.Get("doc")}
		if c := constraints(f.Tag.Get("jsonschema")); c != "" {
			r.doc = strings.TrimSpace(r.doc + " " + c)
		}
		switch {
		case !fv.IsZero() && fv.Kind() != reflect.Struct:
			b, err := json.Marshal(fv.Interface())
			if err == nil {
				r.def = "`" + string(b) + "`"
			}
		case !strings.Contains(opts, "omitempty"):
			r.def = "required"
		}
		rows = append(rows, r)
		elem, suffix := f.Type, "."
		switch elem.Kind() {
		case reflect.Slice:
			elem, suffix = elem.Elem(), "[]."
		case reflect.Map:
			elem, suffix = elem.Elem(), ".<name>."
		}
		if elem.Kind() == reflect.Pointer {
			elem = elem.Elem()
		}
		if elem.Kind() == reflect.Struct {
			inner := reflect.New(elem).Elem()
			if f.Type.Kind() == reflect.Struct {
				inner = fv
			}
			rows = fieldsOf(inner, prefix+name+suffix, rows)
		}
	}
	return rows
}

func kindOf(t reflect.Type) string {
	if t == reflect.TypeFor[time.Duration]() {
		return "duration"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kindOf(t.Elem())
	case reflect.Slice:
		return "list of " + kindOf(t.Elem())
	case reflect.Map:
		return "mapping of " + kindOf(t.Elem())
	case reflect.Struct:
		return "mapping"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "integer"
	case reflect.Float64:
		return "number"
	case reflect.Interface:
		return "any"
	}
	return "text"
}

// constraints writes the constraints of a jsonschema tag in words.
func constraints(tag string) string {
	var enum, out []string
	for part := range strings.SplitSeq(tag, ",") {
		k, v, _ := strings.Cut(part, "=")
		switch k {
		case "enum":
			enum = append(enum, "`"+v+"`")
		case "minimum":
			out = append(out, "At least "+v+".")
		case "maximum":
			out = append(out, "At most "+v+".")
		}
	}
	if len(enum) > 0 {
		out = append([]string{"One of " + strings.Join(enum, ", ") + "."}, out...)
	}
	return strings.Join(out, " ")
}
