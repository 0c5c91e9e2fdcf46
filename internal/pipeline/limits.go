package pipeline

import (
	"cmp"
	"iter"
	"time"

	"github.com/sluice-proxy/sluice/filters"
)

// Limits bound what one exchange may hold, and how long it may last. Zero
// values mean the defaults.
type Limits struct {
	// CollectBytes is the most of a body that is collected for steps that
	// need the whole of it. Reaching it is a failure of those steps.
	CollectBytes int64
	// Depth is the deepest nesting of a document; beyond it, it counts as
	// unparsed.
	Depth int
	// PieceBytes is the most of one value that is held before it is shown to
	// the steps in pieces.
	PieceBytes int
	// NameBytes is the longest name of an object's member; beyond it the
	// document counts as unparsed.
	NameBytes int
	// EventBytes is the most of one event of a stream of events that is held;
	// beyond it the event counts as unparsed.
	EventBytes int
	// DecodedBytes is the most that a body in a content coding may decode to,
	// and DecodedRatio the most that it may grow by it. Beyond either the
	// exchange is denied.
	DecodedBytes, DecodedRatio int64
	// ExchangeBytes is the most body bytes that one exchange may hold, both
	// directions and all copies together. Reaching it is a failure of the steps
	// that need the whole of a body.
	ExchangeBytes int64
	// TotalBytes is how many body bytes all exchanges together may hold before
	// new ones are refused. At twice that, running ones may hold no more than
	// they do: it is to them as ExchangeBytes is.
	TotalBytes int64
	// Exchanges is how many may be open at once before new ones are refused.
	Exchanges int
	// Duration is how long an exchange may last, and Idle how long nothing may
	// happen in it. Beyond either it is denied.
	Duration, Idle time.Duration
	// Overload is what refusing means, and OverloadStatus the status of a
	// denial by it.
	Overload       Overload
	OverloadStatus int
}

// Overload is what happens to a new exchange that there is no room for.
type Overload string

// What can happen to it. OverloadPolicy is OverloadPass where every enforced
// step of the exchange has onError continue, and OverloadDeny otherwise.
const (
	OverloadPolicy Overload = "policy"
	OverloadDeny   Overload = "deny"
	OverloadPass   Overload = "pass"
)

// DefaultLimits are used for the zero values of Limits.
var DefaultLimits = Limits{
	CollectBytes: 10 << 20, Depth: 512, PieceBytes: 64 << 10, NameBytes: 16 << 10, EventBytes: 1 << 20, DecodedBytes: 100 << 20, DecodedRatio: 200,
	ExchangeBytes: 32 << 20, TotalBytes: 256 << 20, Exchanges: 20_000, Duration: 24 * time.Hour, Idle: time.Hour,
	Overload: OverloadPolicy, OverloadStatus: 429,
}

// WithDefaults returns l with its zero values replaced.
func (l Limits) WithDefaults() Limits {
	d := &DefaultLimits
	return Limits{
		CollectBytes: cmp.Or(l.CollectBytes, d.CollectBytes), Depth: cmp.Or(l.Depth, d.Depth), PieceBytes: cmp.Or(l.PieceBytes, d.PieceBytes),
		NameBytes: cmp.Or(l.NameBytes, d.NameBytes), EventBytes: cmp.Or(l.EventBytes, d.EventBytes), DecodedBytes: cmp.Or(l.DecodedBytes, d.DecodedBytes), DecodedRatio: cmp.Or(l.DecodedRatio, d.DecodedRatio),
		ExchangeBytes: cmp.Or(l.ExchangeBytes, d.ExchangeBytes), TotalBytes: cmp.Or(l.TotalBytes, d.TotalBytes), Exchanges: cmp.Or(l.Exchanges, d.Exchanges),
		Duration: cmp.Or(l.Duration, d.Duration), Idle: cmp.Or(l.Idle, d.Idle),
		Overload: cmp.Or(l.Overload, d.Overload), OverloadStatus: cmp.Or(l.OverloadStatus, d.OverloadStatus),
	}
}

// Bound is one limit that an exchange has run into. Its name is that of the
// setting.
type Bound uint8

// The bounds.
const (
	MaxMessageBytes Bound = iota
	CollectBytes
	ExchangeBytes
	TotalBytes
	MaxExchanges
	Depth
	NameBytes
	PieceBytes
	EventBytes
	DecodedBytes
	DecodedRatio
	ExchangeDuration
	IdleDuration
	boundCount
)

var boundNames = [boundCount]string{
	"maxMessageBytes", "collectBytes", "exchangeBytes", "totalBytes", "maxExchanges", "depth", "nameBytes", "pieceBytes", "eventBytes",
	"decodedBytes", "decodedRatio", "exchangeDuration", "idleDuration",
}

// String names the bound as the settings do.
func (b Bound) String() string { return boundNames[b] }

// Bounds is a set of them.
type Bounds uint32

// EveryBound has all of them.
const EveryBound = Bounds(1<<boundCount - 1)

// All goes over the set.
func (s Bounds) All() iter.Seq[Bound] {
	return func(yield func(Bound) bool) {
		for b := range boundCount {
			if s&(1<<b) != 0 && !yield(b) {
				return
			}
		}
	}
}

// Reach notes that the exchange has run into a bound.
func (r *Run) Reach(b Bound) { r.reached |= 1 << b }

// Room is asked before an exchange holds more of a body.
type Room interface {
	// Full reports whether all exchanges together hold so much that none of
	// them may hold more.
	Full() bool
}

// room reports whether n more bytes may be held, and notes the bound where
// they may not.
func (r *Run) room(n int) bool {
	switch {
	case int64(r.Held()+n) > r.limits.ExchangeBytes:
		r.Reach(ExchangeBytes)
	case r.opt.Room != nil && r.opt.Room.Full():
		r.Reach(TotalBytes)
	default:
		return true
	}
	return false
}

const (
	problemOverload = "urn:sluice:problem:overload"
	problemTimeout  = "urn:sluice:problem:exchange-timeout"
)

// Refuse tells that there is no room for the exchange, because of b: it is
// denied, or passes unprocessed with a mark in the data plane's dynamic
// metadata (sluice: unprocessed: b). Call it before anything else.
func (r *Run) Refuse(b Bound) {
	r.Reach(b)
	for d := range r.lanes {
		for _, s := range r.lanes[d].steps {
			r.skip(s, "overload")
		}
	}
	for _, s := range r.chains.Log {
		r.skip(s, "overload")
	}
	r.chains.Log = nil
	r.waits = r.chains.wait()
	if !r.mayPass() {
		r.denial = &filters.Denial{Status: r.limits.OverloadStatus, Type: problemOverload, Title: "There is no room for the exchange",
			Headers: []filters.Field{{Name: "retry-after", Value: "1"}}}
		return
	}
	r.unprocessed = true
	for d := range r.lanes {
		r.lanes[d].steps, r.lanes[d].keep = nil, 0
	}
	r.mark = map[string]map[string]any{"sluice": {"unprocessed": b.String()}}
}

// mayPass reports whether the exchange may pass unprocessed.
func (r *Run) mayPass() bool {
	if r.limits.Overload != OverloadPolicy {
		return r.limits.Overload == OverloadPass
	}
	for d := range r.lanes {
		for _, s := range r.lanes[d].steps {
			if r.enforces(s) && s.OnError != filters.Continue {
				return false
			}
		}
	}
	return true
}

// Stop denies the exchange because of a bound that does not belong to a step:
// its lifetime, or a message that is too large. Where it need not be denied
// (must is false) and no step waits for anything any more, it is left alone
// and the denial is nil.
func (r *Run) Stop(b Bound, must bool) *filters.Denial {
	if r.denial == nil && !must && !r.pending() {
		return nil
	}
	r.Reach(b)
	switch {
	case r.denial != nil:
	case b == MaxMessageBytes:
		r.denial = &filters.Denial{Status: 413, Type: problemTooLarge, Title: "A message is too large to be checked"}
		if r.lanes[filters.Response].started {
			r.denial.Status = 500
		}
	default:
		r.denial = &filters.Denial{Status: 500, Type: problemTimeout, Title: "The exchange took too long"}
	}
	return r.denial
}

// pending reports whether there is a phase to come that a step runs in.
func (r *Run) pending() bool {
	for d := range r.lanes {
		l := &r.lanes[d]
		switch {
		case !l.started:
			if len(l.steps) > 0 && !(filters.Direction(d) == filters.Request && r.lanes[filters.Response].started) {
				return true
			}
		case l.course != PassBody && !l.ended:
			return true
		}
		for _, s := range l.active {
			if s.Needs.Trailers {
				return true
			}
		}
	}
	return false
}
