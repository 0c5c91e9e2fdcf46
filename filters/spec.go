package filters

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sort"
	"strings"
	"time"
)

// OnError is what happens when a step fails.
type OnError string

// The choices.
const (
	Continue OnError = "continue" // the exchange goes on as if the step were not there
	Deny     OnError = "deny"     // the exchange ends with a problem response
	Fallback OnError = "fallback" // the step's fallback filter takes over
)

// Env is what a filter is built with. Nothing else reaches it from outside:
// clock and randomness are handed in so that tests own them.
type Env struct {
	// Now is the clock.
	Now func() time.Time
	// Rand is a source of random bytes.
	Rand io.Reader
	// Log is for what an operator must know. Never content.
	Log *slog.Logger
	// Dir is the folder of the policy file: relative file names start there.
	Dir string
	// Store is the shared state. Nil where a filter is built by itself.
	Store Store
	// Models are the AI providers of the policies. Nil where a filter is built
	// by itself.
	Models Models
	// Secrets reads the secrets that a configuration refers to; Secret uses
	// it.
	Secrets Secrets
	// Policy and Step are where the filter is used.
	Policy, Step string
	// Notes takes what is said after a decision. Nil where nobody listens.
	Notes Notes
}

// Secret reads the secret that ref refers to.
func (e Env) Secret(ref SecretRef) (Secret, error) {
	if err := ref.Validate(); err != nil || e.Secrets == nil {
		return ref.Read()
	}
	return e.Secrets.Secret(ref)
}

// Spec describes a filter whose configuration is of type C, a struct. C is
// the one source of the configuration's form: its json tags name the keys
// (omitempty marks the optional ones), jsonschema tags and doc comments give
// constraints and reference. If *C has a Validate() error method it is called
// after decoding; it can return a *FieldError to point at a key, or several
// joined (FieldErrors).
type Spec[C any] struct {
	// Kind is the name policies use.
	Kind string
	// Summary is one sentence for lists.
	Summary string
	// Doc is Markdown for the reference page: what it does, its bounds, what
	// it leaves in steps.<name> and in decisions.
	Doc string
	// Directions in which a step may use the filter; none means both.
	Directions []Direction
	// InLog: the filter may stand in a policy's log steps.
	InLog bool
	// OnlyLog: it may stand nowhere else.
	OnlyLog bool
	// Default is the configuration before the policy's keys are read into it.
	Default C
	// OnError is the default for steps: Deny for what must not leak, Continue
	// for what enriches.
	OnError OnError
	// Example is an example policy document, complete and valid.
	Example string
	// New compiles a configuration.
	New func(cfg C, env Env) (Filter, error)
}

// Definition is a Spec without its type parameter.
type Definition struct {
	Kind, Summary, Doc, Example string
	Directions                  []Direction
	InLog, OnlyLog              bool
	OnError                     OnError
	// Config returns a pointer to a fresh configuration with the defaults in
	// it.
	Config func() any
	// New compiles a configuration that Config returned.
	New func(cfg any, env Env) (Filter, error)
}

// Allows reports whether a step in direction d may use the filter.
func (d Definition) Allows(dir Direction) bool {
	if d.OnlyLog {
		return false
	}
	if len(d.Directions) == 0 {
		return true
	}
	for _, x := range d.Directions {
		if x == dir {
			return true
		}
	}
	return false
}

// Places says in which of a policy's lists the filter may stand.
func (d Definition) Places() string {
	var places []string
	for _, dir := range []Direction{Request, Response} {
		if d.Allows(dir) {
			places = append(places, dir.String())
		}
	}
	if d.InLog {
		places = append(places, "log")
	}
	return strings.Join(places, ", ")
}

// Define turns a Spec into a Definition.
func Define[C any](s Spec[C]) Definition {
	return Definition{
		Kind: s.Kind, Summary: s.Summary, Doc: s.Doc, Example: s.Example,
		Directions: s.Directions, InLog: s.InLog || s.OnlyLog, OnlyLog: s.OnlyLog, OnError: s.OnError,
		Config: func() any { c := s.Default; return &c },
		New: func(cfg any, env Env) (Filter, error) {
			c, ok := cfg.(*C)
			if !ok {
				return nil, fmt.Errorf("filter %s: configuration is a %T", s.Kind, cfg)
			}
			return s.New(*c, env)
		},
	}
}

// FieldError is an error in one key of a configuration.
type FieldError struct {
	// Path leads to the key, by json names and indices: "rules[1].entities[0]".
	Path string
	Msg  string
	// Hint says what to write instead; may be empty.
	Hint string
}

// Error implements error.
func (e *FieldError) Error() string {
	s := e.Msg
	if e.Path != "" {
		s = e.Path + ": " + s
	}
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// FieldErrors gathers what is wrong with a configuration, so that all of it is
// told at once.
type FieldErrors []error

// Add adds an error in the key that path leads to.
func (e *FieldErrors) Add(path, msg, hint string) {
	*e = append(*e, &FieldError{Path: path, Msg: msg, Hint: hint})
}

// Err returns them, joined; nil where there is none.
func (e FieldErrors) Err() error { return errors.Join(e...) }

// Registry is the filters a binary knows, by kind.
type Registry struct{ byKind map[string]Definition }

// NewRegistry returns a registry of defs. Two of one kind are an error of the
// program, and panic.
func NewRegistry(defs ...Definition) *Registry {
	r := &Registry{byKind: make(map[string]Definition, len(defs))}
	for _, d := range defs {
		if _, dup := r.byKind[d.Kind]; dup || d.Kind == "" {
			panic(fmt.Sprintf("filters: kind %q is registered twice or empty", d.Kind))
		}
		r.byKind[d.Kind] = d
	}
	return r
}

// Lookup returns the definition of kind.
func (r *Registry) Lookup(kind string) (Definition, bool) {
	d, ok := r.byKind[kind]
	return d, ok
}

// All returns the definitions in the order of their kinds.
func (r *Registry) All() []Definition {
	ds := make([]Definition, 0, len(r.byKind))
	for _, d := range r.byKind {
		ds = append(ds, d)
	}
	sort.Slice(ds, func(i, j int) bool { return ds[i].Kind < ds[j].Kind })
	return ds
}
