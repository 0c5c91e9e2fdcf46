// Package infer is the filter that asks a model about an exchange and hands
// the answer to later steps.
package infer

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/prompt"
)

//go:embed example.yaml
var example string

// Config is the filter's configuration.
type Config struct {
	// Provider is the name of a Provider document.
	Provider string `json:"provider" doc:"Name of the provider that is asked."`
	// Prompt is the question.
	Prompt prompt.Config `json:"prompt" doc:"The question."`
	// Schema of the answer.
	Schema map[string]any `json:"schema,omitempty" doc:"JSON Schema (2020-12) of the answer, an object at the top. Without one the answer is text."`
	// SchemaFile holds it.
	SchemaFile string `json:"schemaFile,omitempty" doc:"File of the schema, from the policy's folder."`
	// Default is the answer of last resort.
	Default map[string]any `json:"default,omitempty" doc:"Answer where neither the provider nor its fallbacks have one. It must fit the schema. Without it the step fails, and its onError is followed."`
}

// Definition describes the filter.
func Definition() filters.Definition {
	return filters.Define(filters.Spec[Config]{
		Kind:    "infer",
		Summary: "Asks a model about the exchange; the answer is there for later steps.",
		Doc:     doc,
		InLog:   true,
		OnError: filters.Continue,
		Example: example,
		New:     build,
	})
}

const doc = `The prompt is a template over the exchange. What comes from the exchange is
fenced as data with a random fence, and instructions in it have no effect on the
shape of the answer: that is held against the schema, repaired once where it is
not JSON, and an answer that does not fit is a failure of the step and never a
result. Personal data in it is replaced before it leaves, as the provider's
` + "`privacy`" + ` says.

The answer is ` + "`steps.<name>`" + ` for the conditions and configurations of later steps:
the object that the schema describes, or ` + "`{text: …}`" + ` where there is none.

Give the step a ` + "`timeout`" + `: the exchange waits for the answer no longer. With the
provider's ` + "`cache`" + `, an answer that comes later serves the next equal question.

With a provider of type builtin the prompt's wording does not matter: each
property of the schema is answered by the model that its name or its
` + "`x-builtin`" + ` stands for.

| x-builtin | answers |
| --- | --- |
| ` + "`intent`" + ` | what the text wants: question, order, payment, refund, cancel, complaint, account, access, export, delete, greeting, code, write, translate, summarize, or other where it wants none of these |
| ` + "`confidence`" + ` | the probability of that intent, among all of them |
| ` + "`risk`" + ` | low, medium or high |
| ` + "`risk_score`" + ` | the probability of risk, from the property's minimum to its maximum (0 to 1) |
| ` + "`complexity`" + ` | simple or complex |
| ` + "`injection_score`" + ` | the probability that the text instructs the model that reads it |
| ` + "`summary`" + ` | sentences of the text, up to maxLength |
| ` + "`mentioned`" + ` | the value of the enum that the text mentions, or for an array all of them |

These are small models, trained on some hundred English sentences: a hint, and
no verdict.

The decision says provider, model, prompt version, tokens and cost, and where
the answer comes from (model, cache, stale, default). It never holds the prompt
or the answer.`

type filter struct {
	asker *prompt.Asker
}

func build(c Config, env filters.Env) (filters.Filter, error) {
	schema, err := prompt.Schema(c.Schema, c.SchemaFile, env)
	if err != nil {
		return nil, err
	}
	if c.Prompt.Text == "" {
		return nil, &filters.FieldError{Path: "prompt.text", Msg: "is missing"}
	}
	var def []byte
	if c.Default != nil {
		if schema == nil {
			return nil, &filters.FieldError{Path: "default", Msg: "goes with a schema"}
		}
		if def, err = json.Marshal(c.Default); err != nil {
			return nil, &filters.FieldError{Path: "default", Msg: err.Error()}
		}
	}
	a, err := prompt.Prepare(c.Prompt, c.Provider, schema, def, env)
	if err != nil {
		var fe *filters.FieldError
		if !errors.As(err, &fe) {
			err = &filters.FieldError{Path: "schema", Msg: err.Error()}
		}
		return nil, err
	}
	return &filter{asker: a}, nil
}

// Needs implements filters.Filter.
func (f *filter) Needs(d filters.Direction) filters.Needs { return f.asker.Needs(d) }

// Supports implements filters.Directed.
func (f *filter) Supports(d filters.Direction) error { return f.asker.Supports(d) }

// Apply implements filters.Filter.
func (f *filter) Apply(ctx context.Context, ex *filters.Exchange, led *filters.Ledger) (filters.Decision, error) {
	ans, err := f.asker.Ask(ctx, ex)
	if err != nil {
		return filters.Decision{}, err
	}
	led.Result = ans.Value
	if ans.Value == nil {
		led.Result = map[string]any{"text": ans.Text}
	}
	return filters.Decision{Reason: "answered", Details: ans.Details()}, nil
}
