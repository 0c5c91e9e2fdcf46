package filters

import "time"

// Exchange is one HTTP request and its response, as a filter sees it: a view
// with the changes of earlier steps already in it. It is used by one
// goroutine at a time, and only for the length of the call it is given to. A
// filter reads it; what it wants changed goes into the Ledger.
type Exchange struct {
	// ID is the correlation id: the request's x-request-id, or one that was
	// made for it. It is in every decision of the exchange.
	ID string
	// Started is when the first message of the exchange was received.
	Started time.Time
	// Policies is the version of the policy set the exchange is pinned to.
	Policies string
	// Phase is the phase that is being run.
	Phase Phase

	Request  Message
	Response Message

	Consumer Consumer
	Source   Source
	Route    Route
	// Metadata is the dynamic metadata that the data plane sent, by namespace.
	Metadata map[string]map[string]any
	// Decisions are those made so far, in order. They are kept, and there, for
	// log steps whose Needs say so; they must not be changed.
	Decisions []Decided
	// Steps holds what named steps left as Ledger.Result, by step name.
	Steps map[string]any
}

// Message is one direction of an exchange.
type Message struct {
	Headers  Headers
	Trailers Headers
	// Body is the whole decoded body, and only set while a step runs that
	// needs the whole of it. It must not be kept or written to.
	Body []byte
}

// Message returns the message of direction d.
func (e *Exchange) Message(d Direction) *Message {
	if d == Response {
		return &e.Response
	}
	return &e.Request
}

// Consumer is who calls, as the identity settings found out. The zero value
// is an anonymous caller.
type Consumer struct {
	ID, Username string
	Groups       []string
	// Tenant is the organisation that the consumer belongs to, or "".
	Tenant string
	// Claims are the claims of a verified JWT, or nil.
	Claims map[string]any
	// By says what vouched for the identity: "header", "jwt", "xfcc", or ""
	// for an anonymous caller.
	By string
}

// Source is the peer that the data plane saw.
type Source struct {
	// Address is the downstream address with port, as the data plane wrote it.
	Address string
	// Principal is the peer's verified identity (SPIFFE id or subject), or "".
	Principal string
}

// Route is the data plane's route, as far as its attributes tell.
type Route struct{ Name, Cluster, VirtualHost string }
