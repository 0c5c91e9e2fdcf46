package filters

// Direction is one of the two halves of an exchange.
type Direction uint8

// The two directions.
const (
	Request Direction = iota
	Response
)

// String returns "request" or "response".
func (d Direction) String() string {
	if d == Response {
		return "response"
	}
	return "request"
}

// Phase is a point in the life of an exchange at which a step can run.
type Phase uint8

// The phases in the order in which they usually come. Request and response
// phases may interleave: a backend can answer before it has read the whole
// request.
const (
	RequestHeaders Phase = iota
	RequestBody
	RequestTrailers
	ResponseHeaders
	ResponseBody
	ResponseTrailers
	Log
)

var phaseNames = [...]string{
	"request_headers", "request_body", "request_trailers",
	"response_headers", "response_body", "response_trailers", "log",
}

// String returns the phase's name in snake case, as metrics and decisions
// write it.
func (p Phase) String() string {
	if int(p) < len(phaseNames) {
		return phaseNames[p]
	}
	return "unknown"
}

// Direction returns the direction that the phase belongs to; Log counts as
// the response's.
func (p Phase) Direction() Direction {
	if p <= RequestTrailers {
		return Request
	}
	return Response
}

// HeadersPhase, BodyPhase and TrailersPhase return the phase of that part of
// a message in direction d.
func HeadersPhase(d Direction) Phase { return Phase(d) * ResponseHeaders }

// BodyPhase is the body's phase in direction d.
func BodyPhase(d Direction) Phase { return HeadersPhase(d) + 1 }

// TrailersPhase is the trailers' phase in direction d.
func TrailersPhase(d Direction) Phase { return HeadersPhase(d) + 2 }
