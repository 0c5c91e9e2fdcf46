package prompt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/answer"
)

// Asker is a prompt with the provider that answers it.
type Asker struct {
	*Prompt
	asker filters.Asker
}

// Prepare compiles a prompt and readies the provider for it. schema is that of
// the answer, nil for text; def is the answer of last resort, or nil. Errors
// are *filters.FieldErrors with paths as a step has them: provider, prompt.….
func Prepare(c Config, provider string, schema, def []byte, env filters.Env) (*Asker, error) {
	p, err := New(c)
	if err != nil {
		return nil, below("prompt", err)
	}
	if env.Models == nil {
		return nil, &filters.FieldError{Path: "provider", Msg: "there are no providers", Hint: "add a document of kind Provider"}
	}
	t := p.Task()
	t.Schema, t.Default = schema, def
	a, err := env.Models.Prepare(provider, t)
	if err != nil {
		return nil, err
	}
	return &Asker{Prompt: p, asker: a}, nil
}

// below puts a field's error below another field.
func below(path string, err error) error {
	var fe *filters.FieldError
	if !errors.As(err, &fe) {
		return &filters.FieldError{Path: path, Msg: err.Error()}
	}
	return &filters.FieldError{Path: path + "." + fe.Path, Msg: fe.Msg, Hint: fe.Hint}
}

// Ask asks about an exchange.
func (a *Asker) Ask(ctx context.Context, ex *filters.Exchange) (*filters.Answer, error) {
	q, err := a.Question(ex)
	if err != nil {
		return nil, err
	}
	return a.asker.Ask(ctx, q)
}

// Supports reports whether the prompt can be asked in direction d.
func (a *Asker) Supports(d filters.Direction) error {
	if d == filters.Request && a.ReadsResponse() {
		return errors.New("the prompt reads the response, which is not there yet")
	}
	return nil
}

// Schema returns the schema that a step has inline or in a file, as JSON; nil
// where it has neither.
func Schema(inline map[string]any, file string, env filters.Env) ([]byte, error) {
	switch {
	case inline != nil && file != "":
		return nil, &filters.FieldError{Path: "schemaFile", Msg: "there is a schema already"}
	case inline != nil:
		b, err := json.Marshal(inline)
		if err != nil {
			return nil, &filters.FieldError{Path: "schema", Msg: err.Error()}
		}
		return b, nil
	case file == "":
		return nil, nil
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(env.Dir, file)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, &filters.FieldError{Path: "schemaFile", Msg: fmt.Sprintf("cannot be read: %v", errors.Unwrap(err))}
	}
	v, err := answer.Decode(b)
	if err != nil {
		return nil, &filters.FieldError{Path: "schemaFile", Msg: "is not JSON"}
	}
	return answer.Encode(v)
}
