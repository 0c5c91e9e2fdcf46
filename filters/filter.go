package filters

import "context"

// Filter is one configured use of a filter: compiled, immutable, and used by
// many exchanges at once.
type Filter interface {
	// Needs says what the filter must see in direction d. It is asked once,
	// when the policy is compiled.
	Needs(d Direction) Needs
	// Apply runs the filter in the exchange's current phase: with the headers
	// where Needs.Headers, with the whole body where Needs.Body is WholeBody
	// and the filter is not a Streamer (once, in the body phase, with
	// Exchange.Message(d).Body set; in the headers phase where there is no
	// body), with the trailers where Needs.Trailers, and in the log phase.
	// Changes go into led. An error means that the filter could not do its
	// work; the step's onError is then followed. It must return when ctx ends.
	Apply(ctx context.Context, ex *Exchange, led *Ledger) (Decision, error)
}

// Directed is a Filter that some configurations of which cannot work in both
// directions. Supports is asked once, when the policy is compiled.
type Directed interface {
	Supports(d Direction) error
}

// Sender is a Filter that sends content to other servers by itself. Calls
// returns their addresses: settings can say which are allowed.
type Sender interface {
	Calls() []string
}

// Streamer is a Filter that edits a body as it passes.
type Streamer interface {
	Filter
	// Open starts the work on one body in direction d. The Stream is used by
	// one goroutine.
	Open(ctx context.Context, ex *Exchange, d Direction) (Stream, error)
}

// Stripper is a Filter that answers for headers which no client may set. The
// runner takes them away before any step of the direction runs, also where the
// filter's own step is then left out or fails; not where it only observes.
type Stripper interface {
	Filter
	// Strips reports whether the header or trailer is one of them.
	Strips(d Direction, name string) bool
}

// Signer is a Filter that signs tokens. Its public keys are served at the
// admin port.
type Signer interface {
	Filter
	// PublicKeys returns them as JWKs (RFC 7517), each in JSON.
	PublicKeys() [][]byte
}

// Stream is a filter's work on one body.
type Stream interface {
	// Value is called for each value that the needs' paths select, in
	// document order, with the edits of earlier steps already in it.
	Value(ctx context.Context, v *Value) error
	// Close is called once when the body has ended, also when it was cut
	// short. Only led.Metadata and led.Result are carried out here: the
	// headers are gone.
	Close(ctx context.Context, led *Ledger) (Decision, error)
}

// Steady is a Stream that does the same about the same value, as long as its
// state is the same. Where a stream of events repeats values that it left as
// they are, it need not be shown them again.
type Steady interface {
	Stream
	// State is what, besides a value itself, decides about it, as a number that
	// changes with it. ok is false where there is no such number.
	State() (n int, ok bool)
}

// Rester is a Stream that has room to work in which it shares with others.
type Rester interface {
	Stream
	// Rest is called when all values that have come so far were shown. More may
	// come much later, and many streams may wait: what is only of use while
	// values come is given back.
	Rest()
}

// Shaper is a Stream that can add members. For each object that one of its
// paths selects (not one beneath it), End is called when the object closes.
type Shaper interface {
	Stream
	End(ctx context.Context, o *ObjectEnd) error
}

// ObjectEnd is the end of a selected object.
type ObjectEnd struct {
	// Paths has a bit for each of the step's first 64 paths that selects the
	// object.
	Paths uint64
	// Added are the members to add before the closing brace.
	Added []Member
}

// Member is an object's member: a name, and a value in JSON.
type Member struct {
	Name string
	JSON []byte
}

// Add appends a member. The stream answers for the name not being there yet
// and for json being valid.
func (o *ObjectEnd) Add(name string, json []byte) { o.Added = append(o.Added, Member{name, json}) }

// BodyNeed is how much of a body a filter must see.
type BodyNeed uint8

// The needs, each more than the one before.
const (
	// NoBody: nothing of it.
	NoBody BodyNeed = iota
	// StreamedBody: value by value, as it passes. The filter is a Streamer.
	StreamedBody
	// WholeBody: all of it before anything is forwarded. A Streamer still gets
	// it value by value, any other filter as Exchange.Message(d).Body.
	WholeBody
)

// Needs is what a filter must see in one direction. Of a step in a policy's log
// list, whose Apply runs after the exchange in any case, only Body, KeepBytes,
// Steps and Decisions count: WholeBody is there a copy of what was forwarded, and
// no body where that was more than limits.collectBytes.
type Needs struct {
	// Headers: Apply is called in the headers phase. A filter that needs the
	// whole body and is not a Streamer is called once, when that is there.
	Headers bool
	// Body is how much of the body the filter must see.
	Body BodyNeed
	// Trailers: Apply is called in the trailers phase.
	Trailers bool
	// Paths are the RFC 9535 JSONPaths of the values to show to the Stream.
	// Empty: every value and every member name there is.
	Paths []string
	// Join are the JSONPaths of strings that a stream of events spreads over
	// many of them, besides those of the known models' streams: each is one
	// value, shown in pieces. They count for the direction's other steps too.
	Join []string
	// Exact: a path that selects an object or array stands for that alone. If
	// not set, it stands for every value and name beneath it too. Such a step
	// is about the structure of JSON and is shown nothing of other formats.
	Exact bool
	// Ignores are kinds of values that the Stream does nothing about; it is not
	// shown them.
	Ignores []Kind
	// SameNames: what the Stream does about a member's name depends on the name
	// alone. It may be shown a name once a body where it leaves it as it is.
	SameNames bool
	// AllNames: and it is the same in every exchange. With SameNames, it may not be
	// shown a name that it has left as it was in another body.
	AllNames bool
	// Steps are the names of earlier steps whose results the filter reads.
	// The runner then runs it no earlier than those.
	Steps []string
	// KeepBytes: a log step is content with the beginning of the body, this many
	// bytes of it. It may get more.
	KeepBytes int
	// Decisions: a log step reads Exchange.Decisions.
	Decisions bool
	// Immediate: Apply and the Stream only compute, and wait for nothing
	// outside: no model, no store, no file. The exchange is then worked on where
	// its messages are read, and not on a goroutine of its own.
	Immediate bool
	// Unparsed says what to do with a body of no known type, or from where on
	// it does not parse.
	Unparsed Unparsed
	// Files says what the Stream is shown of files in a multipart body; those
	// of text-like types where it is empty.
	Files Files
}

// Files is what a streaming filter wants to see of files in a multipart body.
type Files string

// The choices.
const (
	ScanFiles    Files = "scan"    // those of types that can be read
	ScanAllFiles Files = "scanAll" // the others too, as Unparsed says
	PassFiles    Files = "pass"    // none
)

// Unparsed is what a streaming filter wants for a body that is not of a known
// type, or from where on it does not parse.
type Unparsed string

// The choices.
const (
	ScanAsText   Unparsed = "scanAsText" // show the rest as plain text
	DenyUnparsed Unparsed = "deny"       // treat it as a failure of the step
	PassUnparsed Unparsed = "pass"       // let the rest go by unseen
)
