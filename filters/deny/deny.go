// Package deny is the filter that ends an exchange with a problem response.
package deny

import (
	"context"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/expr"
)

//go:embed example.yaml
var example string

// Config is the filter's configuration. When to deny is the step's `when`.
type Config struct {
	// Status is the HTTP status of the response.
	Status int `json:"status,omitempty" jsonschema:"minimum=400,maximum=599" doc:"HTTP status of the response. 502, 503 and 504 are refused: data planes retry them."`
	// Type is a URI that names the problem.
	Type string `json:"type,omitempty" doc:"URI that names the kind of problem (RFC 9457 type)."`
	// Title is the same for every occurrence.
	Title string `json:"title,omitempty" doc:"Short text, the same for every occurrence (RFC 9457 title)."`
	// Detail is the text for this occurrence.
	Detail string `json:"detail,omitempty" doc:"Text for this occurrence (RFC 9457 detail)."`
	// Extensions are further members of the problem document.
	Extensions map[string]any `json:"extensions,omitempty" doc:"Further members of the problem document."`
	// Headers are added to the response.
	Headers map[string]string `json:"headers,omitempty" doc:"Headers of the response, e.g. retry-after."`
	// CEL gives any of it by expression.
	CEL Expressions `json:"cel,omitempty" doc:"CEL expressions that give a part of the response; each takes the place of the literal."`
}

// Expressions are the parts of the response that CEL can give.
type Expressions struct {
	// Status must be an int.
	Status string `json:"status,omitempty" doc:"CEL for the status: an int, 400 to 599."`
	// Title must be a string.
	Title string `json:"title,omitempty" doc:"CEL for the title: a string."`
	// Detail must be a string.
	Detail string `json:"detail,omitempty" doc:"CEL for the detail: a string. The client sees it: put nothing into it that it must not."`
	// Extensions must be a map.
	Extensions string `json:"extensions,omitempty" doc:"CEL for the extensions: a map."`
}

// reserved are the members of a problem document that have fields of their
// own.
var reserved = []string{"type", "title", "status", "detail", "instance"}

// Validate checks the literals.
func (c *Config) Validate() error {
	var errs filters.FieldErrors
	if err := filters.CheckStatus(c.Status); err != nil {
		errs.Add("status", err.Error(), "403 is usual")
	}
	for _, k := range reserved {
		if _, ok := c.Extensions[k]; ok {
			errs.Add("extensions."+k, "is a member that the problem document has already", "")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Headers)) {
		if name == "" || strings.HasPrefix(name, ":") || strings.ContainsAny(name, " \t\r\n") {
			errs.Add("headers", fmt.Sprintf("%q is not a header name", name), "")
		}
	}
	return errs.Err()
}

// Definition describes the filter.
func Definition() filters.Definition {
	return filters.Define(filters.Spec[Config]{
		Kind:    "deny",
		Summary: "Ends the exchange with an RFC 9457 problem response.",
		Doc:     doc,
		Default: Config{Status: 403, Title: "Forbidden by policy"},
		OnError: filters.Deny,
		Example: example,
		New:     build,
	})
}

const doc = `The step's ` + "`when`" + ` says when to deny; without one, every exchange that the
policy matches is denied. A condition that reads the body makes Sluice wait for
the whole of it before anything is forwarded (bounded by the setting
` + "`limits.collectBytes`" + `).

On a response whose headers have gone out already, the data plane cannot send
another response and cuts the connection. A response policy that must decide on
the body therefore wants BUFFERED or FULL_DUPLEX_STREAMED, where the headers
wait.

The decision's verdict is ` + "`denied`" + `; its reason is the status.`

func build(c Config, _ filters.Env) (filters.Filter, error) {
	d := &deny{denial: filters.Denial{
		Status: c.Status, Type: c.Type, Title: c.Title, Detail: c.Detail, Extensions: c.Extensions,
	}}
	for name, v := range c.Headers {
		d.denial.Headers = append(d.denial.Headers, filters.Field{Name: strings.ToLower(name), Value: v})
	}
	for _, e := range []struct {
		key, src string
		into     **expr.Program
	}{
		{"status", c.CEL.Status, &d.status}, {"title", c.CEL.Title, &d.title},
		{"detail", c.CEL.Detail, &d.detail}, {"extensions", c.CEL.Extensions, &d.extensions},
	} {
		if e.src == "" {
			continue
		}
		p, err := expr.Value(e.src)
		if err != nil {
			return nil, &filters.FieldError{Path: "cel." + e.key, Msg: err.Error()}
		}
		*e.into = p
		d.programs = append(d.programs, p)
	}
	return d, nil
}

type deny struct {
	denial                            filters.Denial
	status, title, detail, extensions *expr.Program
	programs                          []*expr.Program
}

// Needs implements filters.Filter.
func (f *deny) Needs(d filters.Direction) filters.Needs {
	n := expr.Needs(d, f.programs...)
	n.Immediate = true
	return n
}

// Apply implements filters.Filter.
func (f *deny) Apply(_ context.Context, ex *filters.Exchange, led *filters.Ledger) (filters.Decision, error) {
	d := f.denial
	if err := f.evaluate(ex, &d); err != nil {
		return filters.Decision{}, &filters.Failure{Reason: "expression", Err: err}
	}
	led.Deny(d)
	return filters.Decision{Verdict: filters.Denied, Reason: fmt.Sprintf("status %d", d.Status)}, nil
}

func (f *deny) evaluate(ex *filters.Exchange, d *filters.Denial) error {
	if f.status != nil {
		v, err := f.status.Eval(ex)
		if err != nil {
			return err
		}
		n, ok := v.(int64)
		if !ok || filters.CheckStatus(int(n)) != nil {
			return fmt.Errorf("the status is not one to deny with")
		}
		d.Status = int(n)
	}
	if f.extensions != nil {
		v, err := f.extensions.Eval(ex)
		if err != nil {
			return err
		}
		m, ok := v.(map[string]any)
		if !ok {
			return fmt.Errorf("the extensions are not a map")
		}
		for _, k := range reserved {
			if _, ok := m[k]; ok {
				return fmt.Errorf("the extensions hold a reserved member")
			}
		}
		d.Extensions = m
	}
	for _, t := range []struct {
		p    *expr.Program
		into *string
	}{{f.title, &d.Title}, {f.detail, &d.Detail}} {
		if t.p == nil {
			continue
		}
		v, err := t.p.Eval(ex)
		if err != nil {
			return err
		}
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("the text is not a string")
		}
		*t.into = s
	}
	return nil
}
