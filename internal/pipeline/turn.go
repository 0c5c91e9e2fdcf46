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

// Limits bound what one exchange may hold. Zero values mean the defaults.
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
}

// DefaultLimits are used for the zero values of Limits.
var DefaultLimits = Limits{CollectBytes: 10 << 20, Depth: 512, PieceBytes: 64 << 10, NameBytes: 16 << 10, EventBytes: 1 << 20, DecodedBytes: 100 << 20, DecodedRatio: 200}

// WithDefaults returns l with its zero values replaced.
func (l Limits) WithDefaults() Limits {
	d := DefaultLimits
	if l.CollectBytes > 0 {
		d.CollectBytes = l.CollectBytes
	}
	if l.Depth > 0 {
		d.Depth = l.Depth
	}
	if l.PieceBytes > 0 {
		d.PieceBytes = l.PieceBytes
	}
	if l.NameBytes > 0 {
		d.NameBytes = l.NameBytes
	}
	if l.EventBytes > 0 {
		d.EventBytes = l.EventBytes
	}
	if l.DecodedBytes > 0 {
		d.DecodedBytes = l.DecodedBytes
	}
	if l.DecodedRatio > 0 {
		d.DecodedRatio = l.DecodedRatio
	}
	return d
}

// Record is one decision, with where it was made.
type Record struct {
	Time     time.Time
	Exchange string // Exchange.ID
	// In is the exchange itself, for recorders that gather by exchange: ids
	// come from outside and need not be unique. Valid during the call.
	In     *filters.Exchange
	Set    string // version of the policy set
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
}

// Recorder is told of every decision and every exchange's end. It is called
// on the exchange's goroutine by many exchanges at once, and must not block.
type Recorder interface {
	Decision(*Record)
	Exchange(*Summary)
}
