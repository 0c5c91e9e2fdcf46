package claims

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/answer"
	"github.com/sluice-proxy/sluice/internal/ai/prompt"
)

// verifiedPart is the name that the verified claims have in the question.
const verifiedPart = "claims"

// standard is the question where the policy has none.
var standard = prompt.Config{
	System: "You assess API callers for a backend. Judge by the verified claims first. Be sparing with rights.",
	Text:   "Assess this call.\nVerified claims: {{claims}}\nGroups: {{consumer.groups}}\nCall: {{method}} {{path}}",
}

// Definition describes the filter.
func Definition() filters.Definition {
	return filters.Define(filters.Spec[Config]{
		Kind:       "claims",
		Summary:    "Asks a model about a verified caller and tells the backend, in X-AI-* headers or in a token that Sluice signs.",
		Doc:        doc,
		Directions: []filters.Direction{filters.Request},
		Default:    Config{Require: "jwt", To: "headers", Prefix: "x-ai-"},
		OnError:    filters.Continue,
		Example:    example,
		New:        build,
	})
}

const doc = `The caller comes from the identity settings; by default only one with a verified
JWT is asked about. The answer can only have the claims that the step names, each
within its range or enum: anything else is a failure of the step, and no claim.

A claim ` + "`risk_score`" + ` goes into the header ` + "`x-ai-risk-score`" + `; a list is written with
commas. With ` + "`to: jwt`" + ` the claims go into a JWT of Sluice's own: ` + "`iss`" + ` as
configured, ` + "`sub`" + ` the consumer's id, ` + "`iat`" + `, ` + "`exp`" + ` and ` + "`jti`" + `. Its key's public half
is in the JWKS at the admin port.

Headers and trailers of the client that begin with the prefix are removed before
any step runs: also where this step is left out by its condition or rollout, and
where it fails. That leaves a decision, ` + "`headers that only Sluice sets`" + `. It does not
happen where the step only observes.

With a provider of type builtin, ` + "`risk_score`" + ` is answered by the risk model, and
texts and lists by what the verified claims mention.

The result is ` + "`steps.<name>`" + `: the claims. The decision says provider, model,
prompt version, tokens and cost; never a value.`

type filter struct {
	cfg   Config
	asker *prompt.Asker
	names []string
	token *signer // nil: headers only
}

func build(c Config, env filters.Env) (filters.Filter, error) {
	f := &filter{cfg: c, names: slices.Sorted(maps.Keys(c.Claims))}
	required, properties := []string{}, map[string]any{}
	for _, name := range f.names {
		cl := c.Claims[name]
		properties[name] = cl.schema()
		if !cl.Optional {
			required = append(required, name)
		}
	}
	schema, err := json.Marshal(map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false})
	if err != nil {
		return nil, &filters.FieldError{Path: "claims", Msg: err.Error()}
	}
	if err := f.checkDefaults(schema, properties); err != nil {
		return nil, err
	}
	var def []byte
	if c.Default != nil {
		if def, err = json.Marshal(c.Default); err != nil {
			return nil, &filters.FieldError{Path: "default", Msg: err.Error()}
		}
	}
	p := c.Prompt
	if p.Text == "" {
		p.Text = standard.Text
		if p.System == "" {
			p.System = standard.System
		}
	}
	if f.asker, err = prompt.Prepare(p, c.Provider, schema, def, env); err != nil {
		var fe *filters.FieldError
		if !errors.As(err, &fe) {
			err = &filters.FieldError{Path: "claims", Msg: err.Error()}
		}
		return nil, err
	}
	if c.JWT != nil {
		if f.token, err = newSigner(c, env); err != nil {
			return nil, &filters.FieldError{Path: "jwt.key", Msg: err.Error()}
		}
	}
	return f, nil
}

// checkDefaults holds each claim's default against its own schema.
func (f *filter) checkDefaults(schema []byte, properties map[string]any) error {
	for _, name := range f.names {
		def := f.cfg.Claims[name].Default
		if def == nil {
			continue
		}
		one, err := json.Marshal(map[string]any{"type": "object", "properties": map[string]any{name: properties[name]}})
		if err != nil {
			return &filters.FieldError{Path: "claims." + name, Msg: err.Error()}
		}
		s, err := answer.Compile(one)
		if err != nil {
			return &filters.FieldError{Path: "claims." + name, Msg: err.Error()}
		}
		doc, err := json.Marshal(map[string]any{name: def})
		if err == nil {
			_, _, _, err = s.Parse(string(doc))
		}
		if err != nil {
			return &filters.FieldError{Path: "claims." + name + ".default", Msg: "is not a value that the claim may have"}
		}
	}
	return nil
}

// Needs implements filters.Filter.
func (f *filter) Needs(d filters.Direction) filters.Needs { return f.asker.Needs(d) }

// Supports implements filters.Directed.
func (f *filter) Supports(d filters.Direction) error { return f.asker.Supports(d) }

// Strips implements filters.Stripper.
func (f *filter) Strips(_ filters.Direction, name string) bool {
	return strings.HasPrefix(name, f.cfg.Prefix)
}

// PublicKeys implements filters.Signer.
func (f *filter) PublicKeys() [][]byte {
	if f.token == nil {
		return nil
	}
	return f.token.publicKeys()
}

// Apply implements filters.Filter.
func (f *filter) Apply(ctx context.Context, ex *filters.Exchange, led *filters.Ledger) (filters.Decision, error) {
	switch c := &ex.Consumer; {
	case f.cfg.Require == "jwt" && c.By != "jwt":
		return filters.Decision{Reason: "no verified token"}, nil
	case f.cfg.Require == "identified" && c.By == "":
		return filters.Decision{Reason: "not identified"}, nil
	}
	ans, err := f.asker.Ask(ctx, ex)
	if err != nil {
		return filters.Decision{}, err
	}
	claims, ok := ans.Value.(map[string]any)
	if !ok {
		return filters.Decision{}, &filters.Failure{Reason: "answer: does not fit the schema"}
	}
	given := 0
	for _, name := range f.names {
		v, ok := claims[name]
		if !ok {
			continue
		}
		given++
		if f.cfg.To != "jwt" {
			led.SetHeader(headerName(f.cfg.Prefix, name), headerValue(v))
		}
	}
	if f.token != nil {
		text, err := f.token.sign(ex, claims)
		if err != nil {
			return filters.Decision{}, &filters.Failure{Reason: "signing", Err: err}
		}
		led.SetHeader(f.token.header, text)
	}
	led.Result = claims
	return filters.Decision{Verdict: filters.Changed, Reason: "answered", Actions: filters.Counts{{Name: "claim", N: given}}, Details: ans.Details()}, nil
}

// headerValue writes a claim as a header's value. The schema has seen to it
// that it is one that the policy allows.
func headerValue(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case int64:
		return strconv.FormatInt(x, 10)
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(x)
	case []any:
		parts := make([]string, len(x))
		for i := range x {
			parts[i] = headerValue(x[i])
		}
		return strings.Join(parts, ",")
	}
	return fmt.Sprint(v)
}
