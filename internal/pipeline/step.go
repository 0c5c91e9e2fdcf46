package pipeline

import (
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
)

// Mode is how far a step goes.
type Mode string

// The modes. Enforce acts. Observe runs in the same place and at the same
// cost, and later steps see its result, but nothing is changed. Shadow also
// changes nothing, is not seen by later steps, and never makes the exchange
// wait for a whole body.
const (
	Enforce Mode = "enforce"
	Observe Mode = "observe"
	Shadow  Mode = "shadow"
)

// Condition decides whether a step runs.
type Condition interface {
	// Holds evaluates the condition on the exchange as it stands.
	Holds(ex *filters.Exchange) (bool, error)
	// NeedsBody reports whether the condition reads the body of direction d.
	NeedsBody(d filters.Direction) bool
	// Steps are the earlier steps whose results the condition reads.
	Steps() []string
}

// Rollout limits a step to a share of the traffic. The same consumer or
// request is always on the same side.
type Rollout struct {
	// Percent of the traffic, 0 to 100.
	Percent float64
	// By is "consumer" (the request where the caller is anonymous) or
	// "request".
	By string
}

// Step is one compiled use of a filter in one direction of a policy.
type Step struct {
	Policy, Name, Kind string
	Direction          filters.Direction
	// Log: the step stands in the policy's log list.
	Log     bool
	Filter  filters.Filter
	When    Condition // nil: always
	Mode    Mode
	Rollout *Rollout      // nil: all traffic
	Timeout time.Duration // 0: none
	OnError filters.OnError
	// Fallback takes over where OnError says so.
	Fallback filters.Filter

	// Needs, Paths and Join are worked out by Compile.
	Needs filters.Needs
	Paths *body.Paths
	Join  *body.Paths
	// deferred: the step waits for the whole body, for itself or for its
	// condition.
	deferred bool
	// decideLate: the condition cannot be evaluated before that.
	decideLate bool
	// streams: the filter edits the body value by value.
	streams bool
	// ignores and sameNames are what a stage need not be shown.
	ignores   body.Kinds
	sameNames bool
	// names, where not nil, are those that the filter leaves as they are in every
	// exchange.
	names *body.Names
	// immediate: the step waits for nothing outside.
	immediate bool
	// keeps is how many bytes the step or its condition reads of the body of a
	// direction that is over by then; math.MaxInt is all of it or nothing.
	keeps [2]int
	// recalls: the step reads the exchange's decisions.
	recalls bool
}

// Chains are the steps that apply to one exchange, in order.
type Chains struct {
	// Set is the version of the policy set.
	Set                    string
	Request, Response, Log []*Step
	// StripAcceptEncoding: a response whose body is edited is asked for in no
	// content coding.
	StripAcceptEncoding bool
}

// wait reports whether one of the steps may wait for something outside.
func (c *Chains) wait() bool {
	for _, steps := range [...][]*Step{c.Request, c.Response} {
		for _, s := range steps {
			if !s.immediate {
				return true
			}
		}
	}
	return len(c.Log) > 0
}
