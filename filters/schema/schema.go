// Package schema is the filter that holds bodies against a JSON Schema, and
// corrects what was plainly meant.
package schema

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
)

//go:embed example.yaml
var example string

// Config is the filter's configuration.
type Config struct {
	// Schema is the schema itself.
	Schema map[string]any `json:"schema,omitempty" doc:"JSON Schema, of draft 2020-12 or, where its $schema says so, draft 7. Formats are checked. A $ref must not lead outside of it."`
	// SchemaFile holds it.
	SchemaFile string `json:"schemaFile,omitempty" doc:"File of the schema (JSON, up to 1 MiB), from the policy's folder."`
	// Optional: a message without a body is fine.
	Optional bool `json:"optional,omitempty" doc:"Let requests without a body pass. Responses without one always do."`
	// Coerce what was plainly meant.
	Coerce bool `json:"coerce,omitempty" doc:"Correct what does not fit and was plainly meant."`
	// Fields that may be changed.
	Fields []string `json:"fields,omitempty" doc:"What may be changed: JSON Pointers, or JSONPaths of names, indices, wildcards and descents. Each stands for all that is beneath it. Everything where it is left out."`
	// MaxChanges in one body.
	MaxChanges int `json:"maxChanges,omitempty" jsonschema:"minimum=1,maximum=1000" doc:"Most changes of one body. One that needs more is refused."`
	// Never are words of names whose values are not made up.
	Never []string `json:"never,omitempty" doc:"Words of names (orderId, price_net) whose values, and what is beneath them, are never made up: no default, no near value, no suggestion. They are still written in another type, trimmed, wrapped and unwrapped, and have their names spelled right. A word counts too where a word of the name ends in it."`
	// DropUnknown takes away members that the schema forbids.
	DropUnknown bool `json:"dropUnknown,omitempty" doc:"Take away members that additionalProperties: false forbids."`
	// Suggest asks a model for what is left.
	Suggest Suggest `json:"suggest,omitempty" doc:"A model to ask where that was not enough."`
	// Deny is the response.
	Deny Denial `json:"deny,omitempty" doc:"The problem response to a body that does not fit."`
}

// Suggest is the question to a model.
type Suggest struct {
	// Provider is the name of a Provider document.
	Provider string `json:"provider,omitempty" doc:"Name of the provider that is asked. None is where it is left out."`
	// MaxBytes of a body that is asked about.
	MaxBytes int `json:"maxBytes,omitempty" jsonschema:"minimum=1,maximum=262144" doc:"Largest body to ask about. A larger one is refused without."`
}

// Denial is the problem response.
type Denial struct {
	// Status is the HTTP status of the response.
	Status int `json:"status,omitempty" jsonschema:"minimum=400,maximum=599" doc:"HTTP status; 400 for a request and 500 for a response where it is left out. 502, 503 and 504 are refused: data planes retry them."`
	// Type is a URI that names the problem.
	Type string `json:"type,omitempty" doc:"URI that names the kind of problem (RFC 9457 type)."`
	// Title is the same for every occurrence.
	Title string `json:"title,omitempty" doc:"Short text, the same for every occurrence (RFC 9457 title)."`
}

// Validate checks what the schema has no part in.
func (c *Config) Validate() error {
	var errs filters.FieldErrors
	if s := c.Deny.Status; s != 0 {
		if err := filters.CheckStatus(s); err != nil {
			errs.Add("deny.status", err.Error(), "400 and 422 are usual")
		}
	}
	if c.MaxChanges < 1 || c.MaxChanges > 1000 {
		errs.Add("maxChanges", "is not between 1 and 1000", "")
	}
	for i, f := range c.Fields {
		if _, err := parseField(f); err != nil {
			errs.Add(fmt.Sprintf("fields[%d]", i), err.Error(), "")
		}
	}
	return errs.Err()
}

// Definition describes the filter.
func Definition() filters.Definition {
	return filters.Define(filters.Spec[Config]{
		Kind:    "schema",
		Summary: "Holds bodies against a JSON Schema, and corrects what was plainly meant.",
		Doc:     doc,
		Default: Config{
			Coerce:     true,
			MaxChanges: 16,
			Never: []string{"id", "identifier", "uuid", "guid", "key", "number", "reference", "iban", "bic", "account", "card", "ssn",
				"amount", "price", "total", "sum", "balance", "cost", "fee", "tax", "discount", "quantity", "currency"},
			Suggest: Suggest{MaxBytes: 16 << 10},
			Deny:    Denial{Type: "urn:sluice:problem:schema", Title: "The body does not fit its schema"},
		},
		OnError: filters.Deny,
		Example: example,
		New:     build,
	})
}

const doc = `A body that fits goes through byte for byte. One that does not is corrected, where
` + "`coerce`" + ` and its limits let it be; what is not corrected stays as it was written,
numbers to the last digit. One that still does not fit is refused with a problem
document that lists its errors, up to 16.

The body is read as JSON whatever its content type says: one that is not JSON in
UTF-8, has a name twice in an object, is nested deeper than 512, or holds a number
of more than 1024 digits or an exponent beyond 400, does not fit. Sluice waits for
all of it (bounded by the setting ` + "`limits.collectBytes`" + `); a response policy
wants a body mode in which the headers wait too (BUFFERED, FULL_DUPLEX_STREAMED).

What is done about an error, in this order:

| change | what |
| --- | --- |
| ` + "`number`" + `, ` + "`boolean`" + `, ` + "`string`" + ` | text that is a number as JSON writes it, or true, false, yes, no, on, off, y, n, 1 or 0; numbers and booleans to text. The digits stay. |
| ` + "`date`" + ` | a date to ISO 8601 and a time to RFC 3339, where it can only be read in one way: 03/04/2026 cannot, nor can a time without an offset |
| ` + "`enum`" + ` | a value that is an allowed one but for case, spaces, hyphens and underscores, or near to one alone: two edits, or one below six letters, and none below three |
| ` + "`rename`" + ` | a required member that is missing, where one unknown member has a name as near as that |
| ` + "`default`" + ` | a required member that is missing, where the schema has a default for it |
| ` + "`wrap`" + `, ` + "`unwrap`" + ` | a value to an array of it; an array of one element to that |
| ` + "`trim`" + ` | white space off the ends of a string |
| ` + "`drop`" + ` | with ` + "`dropUnknown`" + `, members that ` + "`additionalProperties: false`" + ` forbids |

A body with more than 1000 errors is not corrected, and no name is looked for in an
object of more than 256 members. Of ` + "`anyOf`" + ` and ` + "`oneOf`" + ` nothing is corrected, as
there is no telling which was meant, unless all but one of them are null.

With ` + "`suggest`" + `, a model is then asked for a document that fits. Its answer is
taken over change by change; one that changes what fits or what it must not, or
more than it may, is not taken at all. Where the provider does not answer, the
body is refused. Personal data is replaced before it leaves, as the provider's
` + "`privacy`" + ` says. The schema must then have ` + "`type: object`" + ` at the top. A provider
of type builtin corrects nothing.

An error has the ` + "`path`" + ` in the document (a JSON Pointer, with * for names that the
schema does not have), the ` + "`keyword`" + ` of the schema, and a ` + "`message`" + `: never a value.

` + "`steps.<name>`" + ` is ` + "`{valid, errors, changes}`" + `: whether the body fits now, the list of
errors of the body as it came, and the list of changes as ` + "`{kind, path}`" + ` with the
path in the schema (of a suggestion's, in the document). The decision counts errors
by keyword and changes by kind, and says where in the schema they are.`

type filter struct {
	rules  *rules
	limits limits
	coerce bool
	empty  bool
	ask    *advisor
	deny   Denial
}

func build(c Config, env filters.Env) (filters.Filter, error) {
	r, err := load(c, env)
	if err != nil {
		return nil, err
	}
	f := &filter{rules: r, coerce: c.Coerce, empty: c.Optional, deny: c.Deny,
		limits: limits{never: newNever(c.Never), max: c.MaxChanges, dropUnknown: c.DropUnknown}}
	for i, s := range c.Fields {
		p, err := parseField(s)
		if err != nil {
			return nil, &filters.FieldError{Path: fmt.Sprintf("fields[%d]", i), Msg: err.Error()}
		}
		f.limits.fields = append(f.limits.fields, p)
	}
	if c.Suggest.Provider != "" {
		if f.ask, err = newAdvisor(c.Suggest, r, env); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Needs implements filters.Filter.
func (f *filter) Needs(filters.Direction) filters.Needs {
	return filters.Needs{Body: filters.WholeBody, Immediate: f.ask == nil}
}

// Apply implements filters.Filter.
func (f *filter) Apply(ctx context.Context, ex *filters.Exchange, led *filters.Ledger) (filters.Decision, error) {
	d := ex.Phase.Direction()
	body := ex.Message(d).Body
	if len(body) == 0 {
		if f.empty || d == filters.Response {
			led.Result = result(true, nil, nil)
			return filters.Decision{Reason: "no body"}, nil
		}
		return f.refuse(led, d, []fault{{keyword: "json", text: "the body is missing"}}, nil), nil
	}
	doc, err := parse(body)
	if err != nil {
		return f.refuse(led, d, []fault{whole(err)}, nil), nil
	}
	found := f.rules.faults(doc.root.value())
	if len(found) == 0 {
		led.Result = result(true, nil, nil)
		return filters.Decision{Reason: "fits"}, nil
	}
	c := coercion{rules: f.rules, limits: &f.limits, root: doc.root}
	if f.coerce {
		ok, err := c.run(ctx, found)
		if err != nil {
			return filters.Decision{}, &filters.Failure{Reason: "timeout", Err: err}
		}
		if ok {
			return f.accept(led, doc, found, c.changes, "coerced", nil), nil
		}
	}
	if f.ask == nil {
		return f.refuse(led, d, found, nil), nil
	}
	return f.suggest(ctx, ex, led, body, found), nil
}

// suggest asks the model, and takes its answer over into the body as it came.
func (f *filter) suggest(ctx context.Context, ex *filters.Exchange, led *filters.Ledger, body []byte, found []fault) filters.Decision {
	d := ex.Phase.Direction()
	var errs strings.Builder
	for i := range found[:min(len(found), maxListed)] {
		fmt.Fprintf(&errs, "%s: %s\n", found[i].shown, found[i].message())
	}
	want, details, err := f.ask.ask(ctx, ex, body, errs.String())
	if err != nil {
		reason := "error"
		var failure *filters.Failure
		if errors.As(err, &failure) {
			reason = failure.Reason
		}
		return f.refuse(led, d, found, map[string]any{"suggestion": reason})
	}
	doc, err := parse(body)
	if err != nil {
		return f.refuse(led, d, []fault{whole(err)}, details)
	}
	a := newAdoption(f.rules, &f.limits, doc, found)
	switch {
	case !a.adopt(nil, doc.root, want.root):
		details["suggestion"] = "not allowed"
	case len(f.rules.faults(doc.root.value())) > 0:
		details["suggestion"] = "does not fit"
	default:
		details["suggestion"] = "taken"
		return f.accept(led, doc, found, a.changes, "suggested", details)
	}
	return f.refuse(led, d, found, details)
}

// accept sends the changed body on.
func (f *filter) accept(led *filters.Ledger, doc *document, found []fault, changes []change, reason string, details map[string]any) filters.Decision {
	led.SetBody(doc.bytes())
	led.Result = result(true, list(found), changes)
	dec := filters.Decision{Verdict: filters.Changed, Reason: reason, Details: whereIn(found, details)}
	places := make([]string, 0, len(changes))
	for _, c := range changes {
		dec.Actions.Add(c.kind, 1)
		places = append(places, c.kind+" "+c.place)
	}
	dec.Details["changes"] = places[:min(len(places), maxListed)]
	return dec
}

// refuse ends the exchange.
func (f *filter) refuse(led *filters.Ledger, d filters.Direction, found []fault, details map[string]any) filters.Decision {
	status := f.deny.Status
	if status == 0 {
		status = 400
		if d == filters.Response {
			status = 500
		}
	}
	errs := list(found)
	led.Result = result(false, errs, nil)
	led.Deny(filters.Denial{Status: status, Type: f.deny.Type, Title: f.deny.Title,
		Detail: "errors: " + strconv.Itoa(len(found)), Extensions: map[string]any{"errors": errs}})
	dec := filters.Decision{Verdict: filters.Denied, Reason: "does not fit", Details: whereIn(found, details)}
	for i := range found {
		dec.Findings.Add(found[i].keyword, 1)
	}
	return dec
}

func list(found []fault) []any {
	out := make([]any, 0, min(len(found), maxListed))
	for i := range found[:min(len(found), maxListed)] {
		out = append(out, found[i].listed())
	}
	return out
}

// whereIn is those of the answer, if there was one, with where in the schema
// the errors are.
func whereIn(found []fault, of map[string]any) map[string]any {
	d := map[string]any{}
	for k, v := range of {
		d[k] = v
	}
	var errs []string
	for i := range found[:min(len(found), maxListed)] {
		errs = append(errs, strings.TrimSpace(found[i].keyword+" "+found[i].place))
	}
	d["errors"] = errs
	return d
}

func result(valid bool, errs []any, changes []change) map[string]any {
	list := make([]any, len(changes))
	for i, c := range changes {
		list[i] = map[string]any{"kind": c.kind, "path": c.place}
	}
	if errs == nil {
		errs = []any{}
	}
	return map[string]any{"valid": valid, "errors": errs, "changes": list}
}
