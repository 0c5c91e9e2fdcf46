package ai

import (
	"time"

	"github.com/sluice-proxy/sluice/filters"
)

// Place is what an observation is told by: names from policies.
type Place struct {
	// Provider is the name of the provider's document, Type its kind
	// ("openai"), and Model what it is asked for.
	Provider, Type, Model string
	Policy, Step, Route   string
}

// Call is one call of a model, with its retries. It holds no content.
type Call struct {
	Place
	// ResponseModel is what the vendor says answered.
	ResponseModel string
	Start         time.Time
	Duration      time.Duration
	// FirstChunk is how long the first part of a streamed answer took, in the
	// try that gave it; 0 where it was not streamed.
	FirstChunk time.Duration
	Usage      filters.Usage
	// Finish is why the model stopped, in the vendor's word.
	Finish string
	// Repaired: the answer was not JSON as it came.
	Repaired bool
	// Failure is what went wrong, of a fixed set; "" where nothing did.
	Failure string
}

// Asked is one question to one provider, and what became of it.
type Asked struct {
	Place
	// From is where the answer comes from; "" where there is none.
	From filters.AnswerSource
	// Failure is why there is none, of a fixed set.
	Failure  string
	Duration time.Duration
	// Masked counts what was replaced before the question left, by entity.
	Masked map[string]int
}

// Observer is told of every call and question, and of what providers are up
// to. It is called by many at once and must not block.
type Observer interface {
	ModelCall(*Call)
	ModelAsked(*Asked)
	// ModelBreaker tells that a provider's breaker is now closed, open or
	// half-open.
	ModelBreaker(provider, state string)
	// ModelStore tells what became of an operation (get, put, reserve, settle)
	// on what replicas share (cache, budgets): words of a fixed set.
	ModelStore(what, operation, result string)
}

type noObserver struct{}

func (noObserver) ModelCall(*Call)             {}
func (noObserver) ModelAsked(*Asked)           {}
func (noObserver) ModelBreaker(string, string) {}

func (noObserver) ModelStore(string, string, string) {}
