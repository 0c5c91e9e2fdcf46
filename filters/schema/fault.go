package schema

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// maxListed is how many errors a problem document and a decision list.
const maxListed = 16

// fault is one way in which a document does not fit.
type fault struct {
	path    []string // where in the document
	shown   string   // the same as a JSON Pointer, with * for names that are content
	place   string   // where in the schema, a JSON Pointer
	keyword string
	kind    jsonschema.ErrorKind
	schema  *jsonschema.Schema
	text    string // the message, where there is no kind
}

// faults holds a document against the schema. None: it fits.
func (r *rules) faults(v any) []fault {
	err := r.schema.Validate(v)
	if err == nil {
		return nil
	}
	var ve *jsonschema.ValidationError
	if !errors.As(err, &ve) {
		return []fault{{keyword: "schema"}}
	}
	fs := r.collect(ve, nil)
	for i := range fs {
		fs[i].shown = r.shown(v, fs[i].path)
	}
	// Names first: a member with a wrong one is missing in one place and
	// unknown in another. Then by place, as the validator has no order.
	slices.SortStableFunc(fs, func(a, b fault) int {
		return cmp.Or(cmp.Compare(order(a.kind), order(b.kind)), slices.Compare(a.path, b.path), cmp.Compare(a.place, b.place), cmp.Compare(a.keyword, b.keyword))
	})
	return fs
}

func order(k jsonschema.ErrorKind) int {
	switch k.(type) {
	case *kind.Required, *kind.DependentRequired, *kind.Dependency:
		return 0
	case *kind.AdditionalProperties:
		return 2
	}
	return 1
}

// collect appends the errors at the tree's leaves. Of alternatives only those
// of the one that is left when null is not meant; otherwise there is no telling
// which was, and the alternatives as a whole are the error.
func (r *rules) collect(ve *jsonschema.ValidationError, into []fault) []fault {
	switch ve.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
		for _, c := range ve.Causes {
			into = r.collect(c, into)
		}
		return into
	case *kind.AnyOf, *kind.OneOf:
		var left []*jsonschema.ValidationError
		for _, c := range ve.Causes {
			t, ok := c.ErrorKind.(*kind.Type)
			if !ok || len(c.InstanceLocation) != len(ve.InstanceLocation) || !slices.Equal(t.Want, []string{"null"}) {
				left = append(left, c)
			}
		}
		if len(left) == 1 {
			return r.collect(left[0], into)
		}
	}
	_, place, _ := strings.Cut(ve.SchemaURL, "#")
	f := fault{path: ve.InstanceLocation, place: place, kind: ve.ErrorKind, keyword: "schema", schema: r.places[ve.SchemaURL]}
	if p := ve.ErrorKind.KeywordPath(); len(p) > 0 {
		f.keyword = p[0]
	}
	if _, ok := ve.ErrorKind.(*kind.FalseSchema); ok {
		f.keyword = "false"
	}
	return append(into, f)
}

// message says what is wrong in words of the schema, and nothing of the value.
func (f *fault) message() string {
	if f.text != "" {
		return f.text
	}
	switch k := f.kind.(type) {
	case *kind.Type:
		return "is to be " + strings.Join(k.Want, " or ")
	case *kind.Required:
		return "lacks " + strings.Join(k.Missing, ", ")
	case *kind.DependentRequired:
		return "lacks " + strings.Join(k.Missing, ", ")
	case *kind.Dependency:
		return "lacks " + strings.Join(k.Missing, ", ")
	case *kind.Enum:
		return "is none of the allowed values"
	case *kind.Const:
		return "is not the allowed value"
	case *kind.Format:
		return "is not in the format " + k.Want
	case *kind.Pattern:
		return "does not match the pattern"
	case *kind.AdditionalProperties:
		return "has members that are not allowed: " + strconv.Itoa(len(k.Properties))
	case *kind.MinLength:
		return fmt.Sprintf("is shorter than %d", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("is longer than %d", k.Want)
	case *kind.MinItems:
		return fmt.Sprintf("has fewer than %d elements", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("has more than %d elements", k.Want)
	case *kind.AdditionalItems:
		return "has elements that are not allowed: " + strconv.Itoa(k.Count)
	case *kind.Contains, *kind.MinContains:
		return "has too few elements of those wanted"
	case *kind.MaxContains:
		return "has too many elements of those wanted"
	case *kind.MinProperties:
		return fmt.Sprintf("has fewer than %d members", k.Want)
	case *kind.MaxProperties:
		return fmt.Sprintf("has more than %d members", k.Want)
	case *kind.Minimum:
		return "is below the minimum"
	case *kind.ExclusiveMinimum:
		return "is not above the minimum"
	case *kind.Maximum:
		return "is above the maximum"
	case *kind.ExclusiveMaximum:
		return "is not below the maximum"
	case *kind.MultipleOf:
		return "is not a multiple of the step"
	case *kind.UniqueItems:
		return "has equal elements"
	case *kind.PropertyNames:
		return "has a member of a name that is not allowed"
	case *kind.AnyOf:
		return "fits none of the alternatives"
	case *kind.OneOf:
		return "does not fit exactly one of the alternatives"
	case *kind.Not:
		return "fits what is excluded"
	case *kind.FalseSchema:
		return "is not allowed here"
	}
	return "does not fit"
}

// listed is a fault as the client and later steps see it.
func (f *fault) listed() map[string]any {
	return map[string]any{"path": f.shown, "keyword": f.keyword, "message": f.message()}
}

// shown is the path with * for the names that the schema does not have.
func (r *rules) shown(v any, path []string) string {
	out := slices.Clone(path)
	for i, tok := range path {
		switch x := v.(type) {
		case map[string]any:
			v = x[tok]
			if !r.names[tok] {
				out[i] = "*"
			}
		case []any:
			v = nil
			if at, err := strconv.Atoi(tok); err == nil && at >= 0 && at < len(x) {
				v = x[at]
			}
		default:
			out[i] = "*"
		}
	}
	return pointer(out)
}

// places are what a change can help: the members that are missing or not
// allowed, or all that is at the error's place.
func (f *fault) places() [][]string {
	var names []string
	switch k := f.kind.(type) {
	case *kind.Required:
		names = k.Missing
	case *kind.DependentRequired:
		names = k.Missing
	case *kind.Dependency:
		names = k.Missing
	case *kind.AdditionalProperties:
		names = k.Properties
	default:
		return [][]string{f.path}
	}
	out := make([][]string, len(names))
	for i, n := range names {
		out[i] = append(slices.Clone(f.path), n)
	}
	return out
}

// whole is the fault of a body that cannot be held against the schema.
func whole(err error) fault { return fault{keyword: "json", text: err.Error()} }
