// Package transform is the filter that sets, adds, removes and renames
// headers, query parameters and JSON fields.
package transform

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/expr"
)

//go:embed example.yaml
var example string

// Config is the filter's configuration: three lists, each carried out in
// order.
type Config struct {
	// Headers are changes of the message's headers.
	Headers []Operation `json:"headers,omitempty" doc:"Changes of headers, in order."`
	// Query are changes of the request's query parameters.
	Query []Operation `json:"query,omitempty" doc:"Changes of query parameters, in order. Requests only."`
	// JSON are changes of a JSON body.
	JSON []Operation `json:"json,omitempty" doc:"Changes of a JSON body by RFC 9535 paths, in order of the document."`
	// ClearRouteCache asks the data plane to choose the route again.
	ClearRouteCache bool `json:"clearRouteCache,omitempty" doc:"Ask the data plane to choose the route again. Only has an effect on a request whose headers the step changes before the body."`
}

// Operation is one change: exactly one of set, add, remove and rename.
type Operation struct {
	// Set gives the value and creates what is not there.
	Set string `json:"set,omitempty" doc:"Name (or JSONPath) to set: replaces what is there, creates what is not."`
	// Add adds.
	Add string `json:"add,omitempty" doc:"Name to add a further value to. For JSON: the path of a member to create where it is not there yet."`
	// Remove takes away.
	Remove string `json:"remove,omitempty" doc:"Name (or JSONPath) to remove."`
	// Rename moves.
	Rename string `json:"rename,omitempty" doc:"Name (or JSONPath) to rename, to the name in 'to'."`
	// To is the new name.
	To string `json:"to,omitempty" doc:"The new name, for rename. In JSON it is the member's name, not a path."`
	// Value is a literal.
	Value any `json:"value,omitempty" doc:"The value, for set and add: text for headers and query parameters, any value for JSON."`
	// CEL gives the value by expression.
	CEL string `json:"cel,omitempty" doc:"CEL expression for the value, for set and add. One that reads the body makes the step wait for the whole of it."`
}

type verb uint8

const (
	set verb = iota
	add
	remove
	rename
)

// parse returns what the operation does, and to what.
func (o *Operation) parse() (v verb, target string, err error) {
	n := 0
	for i, s := range []string{o.Set, o.Add, o.Remove, o.Rename} {
		if s != "" {
			v, target = verb(i), s
			n++
		}
	}
	switch {
	case n != 1:
		return v, "", fmt.Errorf("an operation is exactly one of set, add, remove and rename")
	case v == rename && o.To == "":
		return v, "", fmt.Errorf("rename needs 'to'")
	case v != rename && o.To != "":
		return v, "", fmt.Errorf("'to' goes with rename")
	case v <= add && (o.Value == nil) == (o.CEL == ""):
		return v, "", fmt.Errorf("set and add need exactly one of value and cel")
	case v > add && (o.Value != nil || o.CEL != ""):
		return v, "", fmt.Errorf("value and cel go with set and add")
	}
	return v, target, nil
}

// Validate checks every operation.
func (c *Config) Validate() error {
	var errs filters.FieldErrors
	if len(c.Headers)+len(c.Query)+len(c.JSON) == 0 {
		errs.Add("", "there is nothing to do", "give headers, query or json")
	}
	for _, list := range []struct {
		name string
		ops  []Operation
	}{{"headers", c.Headers}, {"query", c.Query}, {"json", c.JSON}} {
		for i := range list.ops {
			if err := list.ops[i].check(list.name); err != nil {
				errs.Add(fmt.Sprintf("%s[%d]", list.name, i), err.Error(), "")
			}
		}
	}
	if len(errs) == 0 && len(c.JSON) > 0 && countPaths(c.JSON) > maxPaths {
		errs.Add("json", fmt.Sprintf("the operations need more than %d paths", maxPaths), "split the step in two")
	}
	return errs.Err()
}

func (o *Operation) check(list string) error {
	v, target, err := o.parse()
	if err != nil {
		return err
	}
	if list == "json" {
		if !strings.HasPrefix(target, "$") {
			return fmt.Errorf("%q is not a JSONPath: it starts with $", target)
		}
		if v == add {
			if _, names := splitTail(target); len(names) == 0 {
				return fmt.Errorf("add needs a path that ends in a name")
			}
		}
		_, err := json.Marshal(o.Value)
		return err
	}
	if o.CEL == "" && v <= add {
		if _, err := scalarText(o.Value); err != nil {
			return err
		}
	}
	if list != "headers" {
		return nil
	}
	for _, name := range []string{target, o.To} {
		if err := checkName(name); err != nil {
			return err
		}
	}
	return nil
}

// immutable are headers that a data plane ignores changes of, in silence.
var immutable = map[string]bool{":authority": true, ":method": true, ":scheme": true, "host": true}

func checkName(name string) error {
	name = strings.ToLower(name)
	switch {
	case name == "":
		return nil
	case immutable[name] || strings.HasPrefix(name, "x-envoy-"):
		return fmt.Errorf("the data plane ignores changes of %q", name)
	case strings.HasPrefix(name, ":") && name != ":path" && name != ":status":
		return fmt.Errorf("%q is not a header", name)
	case strings.Trim(strings.TrimPrefix(name, ":"), tokenChars) != "":
		return fmt.Errorf("%q is not a header name", name)
	}
	return nil
}

// tokenChars are the characters of an RFC 9110 token, in lower case.
const tokenChars = "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~"

// scalarText writes a literal as a header or query value.
func scalarText(v any) (string, error) {
	switch x := v.(type) {
	case string:
		return x, nil
	case bool, int, int64, uint64, float64:
		return fmt.Sprint(x), nil
	}
	return "", fmt.Errorf("the value is to be text, a number or a boolean")
}

// Definition describes the filter.
func Definition() filters.Definition {
	return filters.Define(filters.Spec[Config]{
		Kind:    "transform",
		Summary: "Sets, adds, removes and renames headers, query parameters and JSON fields.",
		Doc:     doc,
		OnError: filters.Continue,
		Example: example,
		New:     build,
	})
}

const doc = `Values are literals or CEL expressions. Headers and query parameters are
changed before the body is looked at; where an expression reads the body of its
own message, the step waits for the whole of it, and header changes then need
a body mode in which the headers wait too (BUFFERED, FULL_DUPLEX_STREAMED).

A JSON body is edited as it passes: what no operation touches goes through
byte for byte. ` + "`set`" + ` on a path that ends in names creates what is missing, also
the objects between; a path with wildcards does so in every place it selects.
` + "`add`" + ` leaves what is there already. Where a name stands twice in an object, every
one of them is changed. Paths with filter expressions need the whole document.
A body that is not JSON goes through unchanged, the JSON parts of a multipart
body too.

Header values with control characters, and the headers that data planes do not
let a processor change (` + "`:authority`, `:method`, `:scheme`, `x-envoy-*`" + `), are refused.

The decision counts the operations that found something to change.`

func build(c Config, _ filters.Env) (filters.Filter, error) {
	h := headers{clearRoute: c.ClearRouteCache}
	var err error
	if h.headers, err = compile("headers", c.Headers, &h.programs); err != nil {
		return nil, err
	}
	if h.query, err = compile("query", c.Query, &h.programs); err != nil {
		return nil, err
	}
	if len(c.JSON) == 0 {
		return &h, nil
	}
	f := &fields{headers: h}
	if f.ops, err = compile("json", c.JSON, &f.programs); err != nil {
		return nil, err
	}
	f.plan()
	return f, nil
}

// operation is a compiled Operation.
type operation struct {
	verb   verb
	target string
	to     string
	text   string // the literal, for headers and query parameters
	json   []byte // the literal, for JSON
	cel    *expr.Program
}

func compile(list string, ops []Operation, programs *[]*expr.Program) ([]operation, error) {
	out := make([]operation, len(ops))
	for i := range ops {
		fail := func(key string, err error) error {
			return &filters.FieldError{Path: fmt.Sprintf("%s[%d]%s", list, i, key), Msg: err.Error()}
		}
		v, target, err := ops[i].parse()
		if err != nil {
			return nil, fail("", err)
		}
		o := operation{verb: v, target: target, to: ops[i].To}
		switch {
		case ops[i].CEL != "":
			if o.cel, err = expr.Value(ops[i].CEL); err != nil {
				return nil, fail(".cel", err)
			}
			*programs = append(*programs, o.cel)
		case v <= add && list == "json":
			o.json, err = json.Marshal(ops[i].Value)
		case v <= add:
			o.text, err = scalarText(ops[i].Value)
		}
		if err != nil {
			return nil, fail(".value", err)
		}
		if list == "headers" {
			o.target, o.to = strings.ToLower(o.target), strings.ToLower(o.to)
		}
		out[i] = o
	}
	return out, nil
}
