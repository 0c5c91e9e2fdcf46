package filters

import (
	"context"
	"strings"
)

// Models gives a filter the AI providers that the policies configure. It is
// in Env, and knows for which policy and step it was handed out.
type Models interface {
	// Prepare checks that the named provider can do the task, and readies it:
	// a bad schema, an unknown provider or a task that the provider is not
	// able to do is an error when the policy is compiled, a *FieldError where
	// it has a place. It is called from Spec.New.
	Prepare(provider string, t Task) (Asker, error)
}

// Task is what is the same in every question that a step asks.
type Task struct {
	// Version names the wording of the prompt: it is in the cache's key and in
	// decisions.
	Version string
	// System is the instruction. What the policy's author wrote, never
	// content.
	System string
	// Examples are worked questions, shown to the model before the real one.
	Examples []Example
	// Schema is the JSON Schema (2020-12) that the answer must fit, an object
	// at the top. Nil asks for text.
	Schema []byte
	// Temperature of the sampling; nil leaves it to the provider.
	Temperature *float64
	// MaxTokens bounds the answer; 0 is the provider's default.
	MaxTokens int
	// Default is the answer of last resort (JSON that fits the schema), given
	// where neither the provider nor its fallbacks have one. Nil: an error.
	Default []byte
}

// Example is a worked question and its answer.
type Example struct {
	Question, Answer string
}

// Asker asks one task's questions. It is used by many exchanges at once.
type Asker interface {
	// Ask returns when there is an answer or ctx ends, whatever the provider
	// does. An error is a *Failure with a reason that may be shown. An answer
	// to a task with a schema fits it.
	Ask(ctx context.Context, q *Question) (*Answer, error)
}

// Question is one question.
type Question struct {
	// Caller is who it is asked for: the cache is kept apart by tenant, and
	// budgets count by it.
	Caller Caller
	// Parts are the prompt, in order.
	Parts []Part
}

// Part is a piece of a prompt.
type Part struct {
	// Name tells what a piece of data is ("body", "claims"); letters, digits,
	// dots, dashes and underscores.
	Name string
	Text string
	// Data: the text comes from the exchange and not from the policy. It is
	// fenced, so that the model takes it for data, and personal data in it is
	// replaced before it leaves where the provider says so.
	Data bool
}

// Caller is who a question is asked for. The zero value is nobody in
// particular.
type Caller struct{ Consumer, Tenant, Route string }

// CallerOf returns the caller of an exchange. It can be kept: it is no part of
// the text of the headers, which would be kept with it.
func CallerOf(ex *Exchange) Caller {
	who := ex.Consumer.ID
	if who == "" {
		who = ex.Consumer.Username
	}
	return Caller{Consumer: strings.Clone(who), Tenant: strings.Clone(ex.Consumer.Tenant), Route: strings.Clone(ex.Route.Name)}
}

// Answer is a model's answer. It must not be changed: equal questions share
// it.
type Answer struct {
	// JSON is the answer to a task with a schema, and Value the same decoded,
	// as expressions want it: whole numbers are int64.
	JSON  []byte
	Value any
	// Text is the answer to a task without one.
	Text string

	// Provider is the one that answered, which may be a fallback.
	Provider, Model string
	// Prompt is the task's version.
	Prompt string
	// From says where the answer comes from.
	From  AnswerSource
	Usage Usage
}

// AnswerSource is where an answer comes from.
type AnswerSource string

// The sources.
const (
	FromModel   AnswerSource = "model"   // it was asked now
	FromCache   AnswerSource = "cache"   // an equal question was answered before
	FromStale   AnswerSource = "stale"   // likewise, but longer ago than the cache's ttl; a fallback
	FromDefault AnswerSource = "default" // the task's default
)

// Usage is what an answer took. An answer that was not asked now took
// nothing.
type Usage struct {
	InputTokens, OutputTokens int
	// Estimated: the provider did not say how many; they were counted here.
	Estimated bool
	// Alone: the counters of budgets that replicas share could not be reached,
	// and this replica's own counted.
	Alone bool
	// Cost in US dollars; nil where the model has no price.
	Cost *float64
}

// Details are what a decision may say of the answer: no content.
func (a *Answer) Details() map[string]any {
	d := map[string]any{"provider": a.Provider, "model": a.Model, "answer": string(a.From)}
	if a.Prompt != "" {
		d["prompt"] = a.Prompt
	}
	if a.From != FromModel {
		return d
	}
	d["input_tokens"], d["output_tokens"] = a.Usage.InputTokens, a.Usage.OutputTokens
	if a.Usage.Cost != nil {
		d["cost_usd"] = *a.Usage.Cost
	} else {
		d["unpriced"] = true
	}
	if a.Usage.Alone {
		d["budget"] = "counted alone"
	}
	return d
}
