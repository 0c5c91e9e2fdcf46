package gen

import (
	"fmt"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// DefaultMessageTimeout is how long the data plane waits for the answer to
// one message. Its own default of 200 ms is less than a pause of a busy
// machine.
const DefaultMessageTimeout = time.Second

// Policy is what of a policy decides on the data plane's configuration.
type Policy struct {
	Name string
	// Always: the policy matches every exchange.
	Always bool
	// Steps are its request, response and log steps, compiled.
	Steps []*pipeline.Step
}

// Plan is what a set of policies needs of the data plane.
type Plan struct {
	// Set is the version of the policy set.
	Set string
	// Body says whether the body of a direction is sent: in full duplex,
	// which can do all that a step can ask for. Where ModeOverride is set it
	// is only sent for the exchanges that need it.
	Body [2]bool
	// ResponseHeaders says whether they are sent. The request's always are:
	// the policies are matched by them.
	ResponseHeaders bool
	// Trailers says whether a direction's trailers are sent where its body is
	// not.
	Trailers [2]bool
	// ModeOverride: the filter is configured without bodies, and Sluice asks
	// for them exchange by exchange. It is chosen where some exchanges need no
	// body and none has to have its headers held back while the body comes in:
	// the data plane's message timeout would run during that.
	ModeOverride bool
	// MessageTimeout is the data plane's patience with one message, and
	// MaxMessageTimeout how far Sluice may extend it for a phase whose steps
	// declare more. 0: it need not.
	MessageTimeout, MaxMessageTimeout time.Duration
	// FailOpen: exchanges go on without Sluice when it cannot be reached. Only
	// where no enforced step would have denied on a failure of its own.
	FailOpen bool
	// Reasons say in words why, a line each.
	Reasons []string
}

// bodyUse is how the body of one direction is used by the whole set.
type bodyUse struct {
	reads    string // the first step that reads it
	collects string // the first step that needs the whole of it
	always   bool   // every exchange's body is read
}

// NewPlan works out what the policies of the set with the given version need.
func NewPlan(set string, policies []Policy) Plan {
	p := Plan{Set: set, MessageTimeout: DefaultMessageTimeout, FailOpen: true}
	var use [2]bodyUse
	var budget [filters.Log + 1]time.Duration
	closedBy, responseBy := "", ""
	for _, pol := range policies {
		for _, s := range pol.Steps {
			at := pol.Name + "/" + s.Name
			if s.Direction == filters.Response || s.Log {
				p.ResponseHeaders = true
				first(&responseBy, at)
			}
			for d := range use {
				use[d].take(filters.Direction(d), s, at, pol.Always)
			}
			if s.Log {
				continue
			}
			if s.Needs.Trailers {
				p.Trailers[s.Direction] = true
			}
			for _, phase := range phasesOf(s) {
				budget[phase] += s.Timeout
			}
			if s.OnError != filters.Continue && enforced(s) {
				p.FailOpen = false
				first(&closedBy, at)
			}
		}
	}
	p.chooseBodies(use)
	longest := time.Duration(0)
	for _, b := range budget {
		longest = max(longest, b)
	}
	if longest > p.MessageTimeout/2 {
		p.MaxMessageTimeout = longest.Truncate(time.Second) + 2*time.Second
		p.because("Sluice may extend the message timeout to %s: the steps of one phase declare up to %s", p.MaxMessageTimeout, longest)
	}
	if p.ResponseHeaders {
		p.because("response headers are sent for %s", responseBy)
	} else {
		p.because("response headers are not sent: no step looks at the response")
	}
	if p.FailOpen {
		p.because("exchanges go on when Sluice cannot be reached: no step denies on failure")
	} else {
		p.because("exchanges fail when Sluice cannot be reached: %s denies on failure", closedBy)
	}
	return p
}

func (p *Plan) chooseBodies(use [2]bodyUse) {
	collects, sometimes := "", false
	for d := range use {
		p.Body[d] = use[d].reads != ""
		first(&collects, use[d].collects)
		sometimes = sometimes || p.Body[d] && !use[d].always
	}
	p.ModeOverride = sometimes && collects == ""
	for d := range use {
		switch dir := filters.Direction(d); {
		case !p.Body[d]:
			p.because("the %s body is not sent: no step reads it", dir)
		case p.ModeOverride:
			p.because("the %s body is sent for the exchanges that need it, as %s does", dir, use[d].reads)
		default:
			p.because("the %s body is sent for %s", dir, use[d].reads)
		}
	}
	if sometimes && collects != "" {
		p.because("bodies are sent for every exchange: %s holds the headers until the body is in, and only a configured full duplex mode has no timeout for that", collects)
	}
}

func (p *Plan) because(format string, args ...any) {
	p.Reasons = append(p.Reasons, fmt.Sprintf(format, args...))
}

// take adds a step's use of direction d's body.
func (u *bodyUse) take(d filters.Direction, s *pipeline.Step, at string, always bool) {
	own := !s.Log && s.Direction == d && s.ReadsBody()
	// A condition of a later direction, or of the log, reads what has to be
	// kept of the body while it passes.
	kept := s.When != nil && s.When.NeedsBody(d) && (s.Log || s.Direction != d)
	if !own && !kept {
		return
	}
	first(&u.reads, at)
	if own && s.Collects() {
		first(&u.collects, at)
	}
	full := s.Rollout == nil || s.Rollout.Percent >= 100
	if always && (kept || s.When == nil && full) {
		u.always = true
	}
}

// phasesOf are the phases in which the step can take time.
func phasesOf(s *pipeline.Step) []filters.Phase {
	var ps []filters.Phase
	if s.Needs.Headers {
		ps = append(ps, filters.HeadersPhase(s.Direction))
	}
	if s.ReadsBody() {
		ps = append(ps, filters.BodyPhase(s.Direction))
	}
	if s.Needs.Trailers {
		ps = append(ps, filters.TrailersPhase(s.Direction))
	}
	return ps
}

func enforced(s *pipeline.Step) bool { return s.Mode != pipeline.Observe && s.Mode != pipeline.Shadow }

func first(to *string, s string) {
	if *to == "" {
		*to = s
	}
}
