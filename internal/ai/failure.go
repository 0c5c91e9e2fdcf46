package ai

import (
	"context"
	"errors"

	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/answer"
	"github.com/sluice-proxy/sluice/internal/ai/wire"
)

var (
	errBudget      = errors.New("the budget is used up")
	errBudgetStore = errors.New("the budget cannot be looked up")
	errPrivacy     = errors.New("what must not leave could not be replaced")
	// errAbandoned: nobody waits for the answer any more, because it took too
	// long.
	errAbandoned = errors.New("the answer came too late for every caller")
)

// failure makes of an error one whose reason may be shown.
func failure(err error) error {
	var f *filters.Failure
	if err == nil || errors.As(err, &f) {
		return err
	}
	return &filters.Failure{Reason: reason(err), Err: err}
}

// reason is what may be shown of an error: a text from a fixed set.
func reason(err error) string {
	var we *wire.Error
	switch {
	case errors.As(err, &we):
		return "provider: " + string(we.Kind)
	case errors.Is(err, errBudgetStore): // whatever the store's error is
		return "budget store"
	case errors.Is(err, circuitbreaker.ErrOpen):
		return "provider: circuit open"
	case errors.Is(err, bulkhead.ErrFull):
		return "provider: too many calls"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errAbandoned):
		return "provider: timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, errBudget):
		return "budget"
	case errors.Is(err, errPrivacy):
		return "privacy"
	case errors.Is(err, answer.ErrNotJSON):
		return "answer: not JSON"
	case errors.Is(err, answer.ErrSchema):
		return "answer: does not fit the schema"
	}
	return "provider: error"
}
