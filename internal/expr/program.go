// Package expr compiles and evaluates CEL expressions over an exchange: the
// conditions of policies and steps, and the values that filters compute.
package expr

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/ext"

	"github.com/sluice-proxy/sluice/filters"
)

const (
	// maxSource is the longest expression.
	maxSource = 16 << 10
	// maxCost bounds the work of one evaluation, in CEL's cost units: about a
	// hundredth of a second.
	maxCost = 200_000
)

// Error is an error in an expression's text.
type Error struct {
	// Line and Column count from 1.
	Line, Column int
	Msg, Hint    string
}

// Error implements error.
func (e *Error) Error() string {
	s := fmt.Sprintf("CEL, line %d, column %d: %s", e.Line, e.Column, e.Msg)
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// variables are what an expression sees, with the fields each has; nil stands
// for any.
var variables = map[string][]string{
	"request":  {"method", "path", "url_path", "query", "host", "scheme", "headers", "trailers", "body"},
	"response": {"status", "headers", "trailers", "body"},
	"consumer": {"id", "username", "groups", "claims", "by", "tenant"},
	"source":   {"address", "principal"},
	"route":    {"name", "cluster", "virtual_host"},
	"exchange": {"id"},
	"metadata": nil,
	"steps":    nil,
}

// environment is built once: it is immutable, and costs milliseconds.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	opts := []cel.EnvOption{
		cel.StdLib(), cel.CrossTypeNumericComparisons(true), cel.ParserExpressionSizeLimit(maxSource),
		cel.OptionalTypes(), ext.Strings(), ext.Lists(), ext.Sets(), ext.Encoders(), ext.Math(),
	}
	for name := range variables {
		opts = append(opts, cel.Variable(name, cel.MapType(cel.StringType, cel.DynType)))
	}
	return cel.NewEnv(opts...)
})

// Program is a compiled expression. It is immutable and used by many
// exchanges at once.
type Program struct {
	source  string
	program cel.Program
	// fields has the fields that are read, by variable; a variable that is
	// read otherwise has its name alone.
	fields map[string][]string
	steps  []string
}

// Condition compiles an expression that gives a boolean.
func Condition(src string) (*Program, error) { return compile(src, true) }

// Value compiles an expression that gives any value.
func Value(src string) (*Program, error) { return compile(src, false) }

func compile(src string, condition bool) (*Program, error) {
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("preparing CEL: %w", err)
	}
	if strings.TrimSpace(src) == "" {
		return nil, &Error{Line: 1, Column: 1, Msg: "the expression is empty"}
	}
	parsed, iss := env.Compile(src)
	if err := firstError(iss); err != nil {
		return nil, err
	}
	if t := parsed.OutputType(); condition && !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, &Error{Line: 1, Column: 1, Msg: fmt.Sprintf("a condition is true or false; this gives %s", t)}
	}
	p := &Program{source: src, fields: map[string][]string{}}
	if err := p.study(parsed.NativeRep()); err != nil {
		return nil, err
	}
	p.program, err = env.Program(parsed, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, &Error{Line: 1, Column: 1, Msg: err.Error()}
	}
	return p, nil
}

func firstError(iss *cel.Issues) error {
	if iss == nil || iss.Err() == nil {
		return nil
	}
	e := iss.Errors()[0]
	out := &Error{Line: e.Location.Line(), Column: e.Location.Column() + 1, Msg: e.Message}
	if name, ok := strings.CutPrefix(e.Message, "undeclared reference to '"); ok {
		name, _, _ = strings.Cut(name, "'")
		out.Msg = fmt.Sprintf("%q is not known", name)
		names := make([]string, 0, len(variables))
		for v := range variables {
			names = append(names, v)
		}
		slices.Sort(names)
		out.Hint = "known: " + strings.Join(names, ", ") + "; text stands in quotes"
	}
	return out
}

// study finds out which fields of the variables the expression reads, and
// refuses those that are not there.
func (p *Program) study(a *ast.AST) error {
	var bad error
	info := a.SourceInfo()
	// selected are the operands that a field is taken of: they are not read as
	// a whole.
	selected := map[int64]bool{}
	fail := func(id int64, msg, hint string) {
		if bad == nil {
			loc := info.GetStartLocation(id)
			bad = &Error{Line: max(1, loc.Line()), Column: loc.Column() + 1, Msg: msg, Hint: hint}
		}
	}
	take := func(id int64, variable, field string) {
		known := variables[variable]
		if known != nil && !slices.Contains(known, field) {
			fail(id, fmt.Sprintf("%s has no field %q", variable, field), "known: "+strings.Join(known, ", "))
			return
		}
		if variable == "steps" && !slices.Contains(p.steps, field) {
			p.steps = append(p.steps, field)
		}
		if !slices.Contains(p.fields[variable], field) {
			p.fields[variable] = append(p.fields[variable], field)
		}
	}
	visit := ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.SelectKind:
			s := e.AsSelect()
			if s.Operand().Kind() == ast.IdentKind {
				if v := s.Operand().AsIdent(); isVariable(v) {
					selected[s.Operand().ID()] = true
					take(e.ID(), v, s.FieldName())
				}
			}
		case ast.CallKind:
			// request["body"] is request.body; "x" in steps reads the step x.
			c := e.AsCall()
			args := c.Args()
			if len(args) != 2 {
				return
			}
			operand, key := args[0], args[1]
			if c.FunctionName() == "@in" {
				operand, key = args[1], args[0]
			} else if c.FunctionName() != "_[_]" && c.FunctionName() != "_[?_]" && c.FunctionName() != "_?._" {
				return
			}
			if operand.Kind() != ast.IdentKind || !isVariable(operand.AsIdent()) || key.Kind() != ast.LiteralKind {
				return
			}
			if name, ok := key.AsLiteral().Value().(string); ok {
				selected[operand.ID()] = true
				take(e.ID(), operand.AsIdent(), name)
			}
		case ast.IdentKind:
			if v := e.AsIdent(); isVariable(v) && !selected[e.ID()] {
				if variables[v] != nil || v == "steps" {
					fail(e.ID(), v+" is read by its fields", v+".<field>")
					return
				}
				if p.fields[v] == nil {
					p.fields[v] = []string{}
				}
			}
		}
	})
	ast.PreOrderVisit(a.Expr(), visit)
	return bad
}

func isVariable(name string) bool { _, ok := variables[name]; return ok }

// NeedsBody reports whether the body of direction d is read.
func (p *Program) NeedsBody(d filters.Direction) bool {
	return slices.Contains(p.fields[d.String()], "body")
}

// NeedsResponse reports whether anything of the response is read.
func (p *Program) NeedsResponse() bool { return len(p.fields["response"]) > 0 }

// Steps are the names of the steps whose results are read.
func (p *Program) Steps() []string { return p.steps }

// Needs returns what a filter with these expressions must see in direction d.
func Needs(d filters.Direction, programs ...*Program) filters.Needs {
	n := filters.Needs{Headers: true}
	for _, p := range programs {
		if p.NeedsBody(d) {
			n.Body = filters.WholeBody
		}
		for _, s := range p.steps {
			if !slices.Contains(n.Steps, s) {
				n.Steps = append(n.Steps, s)
			}
		}
	}
	return n
}

// Holds evaluates a condition.
func (p *Program) Holds(ex *filters.Exchange) (bool, error) {
	v, err := p.Eval(ex)
	if err != nil {
		return false, err
	}
	b, ok := v.(bool)
	if !ok {
		return false, errors.New("the condition gave no boolean")
	}
	return b, nil
}

// Eval evaluates the expression. The result is made of int64, uint64,
// float64, string, bool, []byte, []any, map[string]any and nil. An error may
// quote the exchange and is not for logs.
func (p *Program) Eval(ex *filters.Exchange) (any, error) {
	out, _, err := p.program.Eval(&activation{ex: ex, fields: p.fields})
	if err != nil {
		return nil, fmt.Errorf("evaluating an expression: %w", err)
	}
	return native(out)
}

// Reads reports whether a field of a variable is read.
func (p *Program) Reads(variable, field string) bool {
	return slices.Contains(p.fields[variable], field)
}
