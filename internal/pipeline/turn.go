package pipeline

import (
	"time"

	"github.com/sluice-proxy/sluice/filters"
)

// Caps is what the data plane can still do with one direction of the
// exchange. The adapter fills it from the body mode, taking into account what
// it can have overridden.
type Caps struct {
	// Body: body messages come.
	Body bool
	// HeadersAfterBody: header changes and denials take effect after the
	// whole body has been seen (headers held back, or BUFFERED).
	HeadersAfterBody bool
	// HoldTail: bytes may be held back across messages without being lost
	// when trailers end the body.
	HoldTail bool
}

// Course is how the body of one direction is handled.
type Course uint8

// The courses.
const (
	// PassBody: no step looks at it.
	PassBody Course = iota
	// StreamBody: it is edited as it passes.
	StreamBody
	// CollectBody: all of it must be in before anything is forwarded, the
	// headers included where Caps.HeadersAfterBody.
	CollectBody
)

// String names the course.
func (c Course) String() string { return [...]string{"pass", "stream", "collect"}[c] }

// Turn is what is to be done after one message. What it refers to is valid
// until the next call on the Run.
type Turn struct {
	// Course of the direction's body, in every turn. It can go from
	// CollectBody to StreamBody before the body has ended: what was held back,
	// the headers included, then goes out.
	Course Course
	// Changes to the headers (from Headers, or from Body at the end of a
	// collected body) or to the trailers (from Trailers), in order.
	Changes []filters.Change
	// HeaderChanges are to the headers, from Trailers, where they ended a
	// collected body.
	HeaderChanges []filters.Change
	// Body is what is to be forwarded now. From Trailers: the tail, to be
	// sent before them.
	Body []byte
	// Denial, where set, ends the exchange; nothing else in the turn counts.
	Denial *filters.Denial
	// Metadata is dynamic metadata for the data plane, by namespace.
	Metadata map[string]map[string]any
	// ClearRouteCache asks the data plane to choose the route again.
	ClearRouteCache bool
}

// Trace is where an exchange is in a trace. It is the recorder of spans that keeps
// it here; it is zero at first.
type Trace struct {
	ID     [16]byte
	Span   [8]byte // the exchange's
	Parent [8]byte // the caller's, or zero
	// Decisions is how many have a span so far.
	Decisions uint16
	// Decided: it is known whether the exchange is Sampled.
	Decided, Sampled bool
}

// Record is one decision, with where it was made.
type Record struct {
	Time     time.Time
	Exchange string // Exchange.ID
	// In is the exchange itself. Valid during the call, as is Trace.
	In *filters.Exchange
	// Trace is the same in all records of an exchange and in its summary.
	Trace *Trace `json:"-"`
	Set   string // version of the policy set
	// By is the step itself, of one set: what is kept for it need not be looked
	// up by its names.
	By     *Step `json:"-"`
	Policy string
	Step   string
	Filter string
	Phase  filters.Phase
	Mode   Mode
	// Decision is what the step concluded. In observe and shadow, what it
	// would have done.
	Decision filters.Decision
	// OnError is the rule that was followed where the verdict is Failed.
	OnError  filters.OnError
	Duration time.Duration
}

// Summary is one exchange at its end.
type Summary struct {
	Exchange      *filters.Exchange
	Trace         *Trace `json:"-"` // as in the records
	Set           string
	Duration      time.Duration
	RequestBytes  int64 // body bytes received, by direction
	ResponseBytes int64
	// Denied says whether Sluice answered in the backend's place.
	Denied bool
	// Aborted says whether the exchange ended before its response did.
	Aborted   bool
	Decisions int
	// PeakHeld is the most bytes of bodies that were held at once.
	PeakHeld int
	// Reached are the limits that the exchange ran into, and Unprocessed says
	// whether it passed unprocessed because of one.
	Reached     Bounds
	Unprocessed bool
}

// Recorder is told of every decision and every exchange's end. It is called
// on the exchange's goroutine by many exchanges at once, and must not block.
// What it is given is only valid during the call.
type Recorder interface {
	Decision(*Record)
	Exchange(*Summary)
}
