package wire

import (
	"context"
	"fmt"
	"time"

	"github.com/sluice-proxy/sluice/filters"
)

// Request is a question as it goes out. What is personal in it has been
// replaced already.
type Request struct {
	System    string
	Examples  []filters.Example
	Parts     []filters.Part
	Schema    []byte // JSON Schema of the answer; nil for text
	MaxTokens int
	// Temperature is left to the vendor where nil.
	Temperature *float64
	// Nonce is random: the fence around data is made of it.
	Nonce string
}

// Reply is what came back.
type Reply struct {
	// Text is the answer; JSON where the request has a schema and the model
	// kept to it.
	Text string
	// Model is the one that the vendor says it was.
	Model string
	// Finish is why the answer ended, in the vendor's word.
	Finish string
	// InputTokens and OutputTokens are 0 where the vendor does not say.
	InputTokens, OutputTokens int
	// FirstChunk is how long the first part of a streamed answer took; 0 where
	// the answer came whole.
	FirstChunk time.Duration
}

// Transport asks one model.
type Transport interface {
	// Send asks, and returns when there is an answer or ctx ends. Errors are
	// *Errors, or the context's.
	Send(ctx context.Context, r *Request) (*Reply, error)
}

// Endpoint is where a model is, and how it is spoken to.
type Endpoint struct {
	Model, BaseURL, APIVersion string
	// Key gives the key at the time of a call; nil where there is none.
	Key func() (filters.Secret, error)
	// Egress are the hosts that may be called; that of BaseURL alone where
	// empty.
	Egress []string
	// Structured is how the model is held to a schema: schema, object, tool or
	// prompt.
	Structured string
	// Stream asks for the answer in parts.
	Stream bool
	// Parameters are further members of the request's body.
	Parameters map[string]any
}

// Kind is what went wrong, of a fixed set that may be shown.
type Kind string

// The kinds.
const (
	KindConnect   Kind = "connect"      // the connection failed, or broke
	KindServer    Kind = "server error" // 5xx
	KindLimited   Kind = "rate limited" // 429
	KindRefused   Kind = "refused"      // any other 4xx
	KindKey       Kind = "key refused"  // 401 and 403
	KindMalformed Kind = "malformed"    // the answer is not what the protocol says
	KindEgress    Kind = "egress"       // the host is not on the list
	KindFiltered  Kind = "filtered"     // the model, or a filter of the vendor's, declined
	KindTooLong   Kind = "too long"     // the answer is longer than is read of one
)

// Error is a call that failed. Its text says kind and status; the vendor's
// own words are not kept: they may quote the question.
type Error struct {
	Kind   Kind
	Status int // 0 where there was no answer
	// RetryAfter is what the vendor asked for; 0 where it did not.
	RetryAfter time.Duration
}

// Error implements error.
func (e *Error) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("the provider's answer is %s (%d)", e.Kind, e.Status)
	}
	return "the call of the provider failed: " + string(e.Kind)
}

// Retryable reports whether the same call may succeed a moment later.
func (e *Error) Retryable() bool {
	return e.Kind == KindConnect || e.Kind == KindServer || e.Kind == KindLimited || e.Kind == KindMalformed || e.Status == 408
}

// Outage reports whether the provider, and not the question, is at fault:
// what a circuit breaker counts.
func (e *Error) Outage() bool {
	return e.Kind == KindConnect || e.Kind == KindServer || e.Kind == KindLimited || e.Kind == KindKey || e.Kind == KindMalformed || e.Kind == KindTooLong
}
