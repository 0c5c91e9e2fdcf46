package pipeline

import (
	"context"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
	"github.com/sluice-proxy/sluice/internal/coding"
)

// Options are what a Run is given besides its exchange and steps.
type Options struct {
	Limits Limits
	// Recorder may be nil.
	Recorder Recorder
	// Room, where not nil, knows what other exchanges hold.
	Room Room
	// ObserveOnly turns every enforced step into an observed one.
	ObserveOnly bool
	// Now is the clock; time.Now where nil.
	Now func() time.Time
}

// Run is the steps of the matching policies at work on one exchange. It is
// for one goroutine.
type Run struct {
	ex      *filters.Exchange
	chains  Chains
	opt     Options
	limits  Limits
	lanes   [2]lane
	upgrade bool
	denial  *filters.Denial
	done    bool
	records int
	// waits: a step may wait for something outside.
	waits bool
	// recalls: a log step reads the decisions.
	recalls bool
	peak    int
	reached Bounds
	// unprocessed: the exchange was refused and passes; mark says so to the
	// data plane.
	unprocessed bool
	mark        map[string]map[string]any
	// results are what named steps left, by policy: a name is only seen
	// within its policy.
	results map[string]map[string]any

	// Room for what is handed to filters and to the recorder, one at a time.
	ledger filters.Ledger
	rec    Record
	sum    Summary
	trace  Trace
}

// NewRun starts the work on ex.
func NewRun(ex *filters.Exchange, c Chains, opt Options) *Run {
	r := new(Run)
	r.Start(ex, c, opt)
	return r
}

// Start starts the work on ex. r is a zero Run.
func (r *Run) Start(ex *filters.Exchange, c Chains, opt Options) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	r.ex, r.chains, r.opt, r.limits = ex, c, opt, opt.Limits.WithDefaults()
	r.lanes[filters.Request].steps = c.Request
	r.lanes[filters.Response].steps = c.Response
	r.waits = c.wait()
	for _, steps := range [][]*Step{c.Response, c.Log} {
		for _, s := range steps {
			r.recalls = r.recalls || s.recalls
			for d := range s.keeps {
				r.lanes[d].keep = max(r.lanes[d].keep, s.keeps[d])
			}
		}
	}
}

// Waits reports whether a step may wait for something outside.
func (r *Run) Waits() bool { return r.waits }

// Exchange returns the exchange the run works on.
func (r *Run) Exchange() *filters.Exchange { return r.ex }

// Held returns how many bytes the run holds back or keeps a copy of now.
func (r *Run) Held() int {
	n := 0
	for d := range r.lanes {
		l := &r.lanes[d]
		n += len(l.collected) + len(l.tap) + len(l.copied)
		if l.editor != nil {
			n += l.editor.Held()
		}
		if l.chars != nil {
			n += l.chars.Held()
		}
	}
	return n
}

// Wants returns the most that the body of direction d may be needed for,
// before conditions and rollouts are known.
func (r *Run) Wants(d filters.Direction) Course {
	if r.upgrade {
		return PassBody
	}
	l := &r.lanes[d]
	course := PassBody
	if l.keep > 0 {
		course = StreamBody
	}
	for _, s := range l.steps {
		switch {
		case s.Collects():
			return CollectBody
		case s.ReadsBody():
			course = StreamBody
		}
	}
	return course
}

// Budget returns the sum of the declared timeouts of the steps that may run
// in phase p; 0 where none is declared.
func (r *Run) Budget(p filters.Phase) time.Duration {
	var sum time.Duration
	d := p.Direction()
	for _, s := range r.lanes[d].steps {
		runs := false
		switch p {
		case filters.HeadersPhase(d):
			runs = s.Needs.Headers && !s.deferred
		case filters.BodyPhase(d):
			runs = s.ReadsBody()
		case filters.TrailersPhase(d):
			runs = s.Needs.Trailers
		}
		if runs {
			sum += s.Timeout
		}
	}
	return sum
}

// Upgrade tells that the exchange becomes another protocol (WebSocket): its
// bodies are not HTTP bodies and pass. Steps that would have looked at them
// are recorded as skipped.
func (r *Run) Upgrade() {
	if r.upgrade {
		return
	}
	r.upgrade = true
	for d := range r.lanes {
		l := &r.lanes[d]
		if l.course != PassBody {
			l.course, l.stages, l.deferred, l.editor = PassBody, nil, nil, nil
		}
	}
}

// UpgradeRefused tells that the exchange stays HTTP after all: the backend did
// not switch, and its answer is a response like any other. Call it before
// Headers(Response).
func (r *Run) UpgradeRefused() { r.upgrade = false }

// Headers runs the headers phase of direction d. The headers are in the
// exchange already. end: no body follows.
func (r *Run) Headers(ctx context.Context, d filters.Direction, caps Caps, end bool) Turn {
	l := &r.lanes[d]
	l.caps, l.started = caps, true
	l.active, l.stages, l.changes = l.activeRoom[:0], l.stagesRoom[:0], l.changesRoom[:0]
	if r.mark != nil {
		l.metadata, r.mark = r.mark, nil
	}
	r.ex.Phase = filters.HeadersPhase(d)
	msg := r.ex.Message(d)
	hasBody := !end && !r.upgrade
	codings, codingErr := coding.Parse(msg.Headers.Values("content-encoding"))
	l.typ = body.TypeOf(msg.Headers.Get("content-type"))
	l.typ.Believed = d == filters.Response // a backend, and not a caller, says so
	r.strip(l, d, &msg.Headers)
	for _, s := range l.steps {
		if r.denial != nil {
			break
		}
		if !s.Rollout.includes(s, r.ex) {
			r.skip(s, "rollout")
			continue
		}
		if s.ReadsBody() && r.upgrade {
			r.skip(s, "upgrade")
			continue
		}
		late := s.decideLate && hasBody
		if !late && !r.holds(ctx, s) {
			continue
		}
		if s.ReadsBody() && hasBody {
			var obstacle *filters.Failure
			switch {
			case !caps.Body:
				obstacle = &filters.Failure{Reason: "the data plane sends no body"}
			case codingErr != nil && s.Needs.Unparsed == filters.PassUnparsed:
				r.skip(s, "unknown content coding")
				continue
			case codingErr != nil:
				obstacle = &filters.Failure{Reason: "unknown content coding"}
			case !l.typ.Readable() && s.streams && s.Needs.Unparsed == filters.DenyUnparsed:
				obstacle = &filters.Failure{Reason: unreadable(l.typ)}
			case !l.typ.Readable() && s.streams && s.Needs.Unparsed == filters.PassUnparsed:
				r.skip(s, unreadable(l.typ))
				continue
			case s.Collects() && s.OnError == filters.Continue && !caps.HeadersAfterBody && !caps.HoldTail:
				// Holding the whole body back where trailers may end it would
				// risk the body itself, for a step that may be left out.
				obstacle = &filters.Failure{Reason: "the body mode cannot hold a body back"}
			}
			if obstacle != nil {
				r.fail(ctx, s, r.opt.Now(), obstacle)
				continue
			}
			if s.deferred {
				l.wait(s)
				continue
			}
		}
		r.begin(ctx, l, s, d, hasBody)
	}
	switch {
	case r.denial != nil || !hasBody:
		l.course = PassBody
	case len(l.deferred) > 0 && l.collects():
		l.course = CollectBody
	case len(l.stages) > 0 || len(l.deferred) > 0 || l.keep > 0:
		l.course = StreamBody
	}
	if r.denial == nil {
		if l.course != PassBody {
			r.openCodings(l, codings)
			l.chars = l.typ.Transcoder()
		}
		r.amend(l, d)
	}
	return r.turn(l, nil)
}

// begin runs what of a step runs with the headers: Apply, and opening its
// stream.
func (r *Run) begin(ctx context.Context, l *lane, s *Step, d filters.Direction, hasBody bool) {
	// Without a body, what waits for one has nothing to wait for.
	if s.Needs.Headers || s.deferred && !s.streams || s.Needs.Body == filters.WholeBody && !s.streams {
		if !r.apply(ctx, l, s) {
			return
		}
	}
	if s.streams && hasBody {
		st := r.open(ctx, l, s, d)
		if st == nil {
			return
		}
		l.stages = append(l.stages, st)
	}
	l.active = append(l.active, s)
}

// holds evaluates the step's condition and records where the step is left
// out.
func (r *Run) holds(ctx context.Context, s *Step) bool {
	if s.When == nil {
		return true
	}
	start := r.opt.Now()
	r.ex.Steps = r.results[s.Policy]
	ok, err := s.When.Holds(r.ex)
	if err != nil {
		r.fail(ctx, s, start, &filters.Failure{Reason: "condition", Err: err})
		return false
	}
	if !ok {
		r.skip(s, "when")
	}
	return ok
}

// Body takes a chunk of the body of direction d. end: it is the last.
func (r *Run) Body(ctx context.Context, d filters.Direction, chunk []byte, end bool) Turn {
	l := &r.lanes[d]
	l.received += int64(len(chunk))
	defer func() { r.peak = max(r.peak, r.Held()) }()
	if l.ended || r.denial != nil {
		return r.turn(l, nil)
	}
	if r.upgrade || l.course == PassBody {
		l.ended = end
		return r.turn(l, chunk)
	}
	r.ex.Phase = filters.BodyPhase(d)
	l.ended = end
	if l.decoder != nil {
		return r.turn(l, r.recode(ctx, l, d, chunk, end))
	}
	return r.turn(l, r.pass(ctx, l, d, chunk, end))
}

// pass takes plain bytes of a body and returns what goes on of them.
func (r *Run) pass(ctx context.Context, l *lane, d filters.Direction, plain []byte, end bool) []byte {
	plain = l.toUTF8(plain, end)
	var out []byte
	switch {
	case l.course != CollectBody:
		out = r.stream(ctx, l, d, plain, end)
	case !r.within(len(l.collected)+len(plain)) || !r.room(len(plain)):
		out = r.overflow(ctx, l, d, plain, end)
	default:
		l.collected = append(l.collected, plain...)
		r.peak = max(r.peak, r.Held())
		if end {
			out = r.runCollected(ctx, l, d)
		}
	}
	if r.denial != nil {
		return nil
	}
	return l.fromUTF8(l.kept(r, d, out, end), end)
}

// Trailers runs the trailers phase of direction d; the trailers are in the
// exchange already. They end the body where it has not ended: the turn's Body
// is its tail.
func (r *Run) Trailers(ctx context.Context, d filters.Direction) Turn {
	l := &r.lanes[d]
	var end Turn
	if !l.ended && r.denial == nil {
		end = r.Body(ctx, d, nil, true)
	}
	tail := end.Body
	if len(tail) > 0 && !l.caps.HoldTail && r.denial == nil {
		// It cannot be sent any more. A body that is cut short in silence is
		// worse than one that fails.
		r.denial = &filters.Denial{Status: 500, Type: problemTruncated, Title: "The end of the message could not be forwarded"}
	}
	r.ex.Phase = filters.TrailersPhase(d)
	if r.denial == nil {
		r.strip(l, d, &r.ex.Message(d).Trailers)
	}
	for _, s := range l.active {
		if r.denial != nil {
			break
		}
		if s.Needs.Trailers {
			r.apply(ctx, l, s)
		}
	}
	t := r.turn(l, tail)
	if t.Denial == nil {
		t.HeaderChanges = end.Changes
		t.ClearRouteCache = t.ClearRouteCache || end.ClearRouteCache
		t.Metadata = merged(end.Metadata, t.Metadata)
	}
	return t
}

// merged adds the keys of b to a.
func merged(a, b map[string]map[string]any) map[string]map[string]any {
	if a == nil {
		return b
	}
	for ns, kv := range b {
		if a[ns] == nil {
			a[ns] = kv
			continue
		}
		for k, v := range kv {
			a[ns][k] = v
		}
	}
	return a
}

// Coded reports whether the body of direction d is decoded and coded anew. A
// part of it can then not go on beside a rest that nobody has seen.
func (r *Run) Coded(d filters.Direction) bool { return r.lanes[d].decoder != nil }

// Truncated tells that the rest of the body will bypass Sluice. The steps
// that look at it fail; what was held back comes out where they all
// continue, but nothing of a body that is Coded.
func (r *Run) Truncated(ctx context.Context, d filters.Direction) Turn {
	l := &r.lanes[d]
	if l.ended || r.denial != nil {
		return r.turn(l, nil)
	}
	l.ended = true
	cause := &filters.Failure{Reason: "the data plane forwards the rest of the body unseen"}
	for _, s := range l.deferred {
		r.fail(ctx, s, r.opt.Now(), cause)
	}
	for _, st := range l.stages {
		r.fail(ctx, st.step, r.opt.Now(), cause)
	}
	if r.denial != nil || l.decoder != nil {
		return r.turn(l, nil)
	}
	rest := l.toUTF8(nil, true)
	if l.course == CollectBody {
		rest = append(l.collected, rest...)
	} else {
		rest = r.stream(ctx, l, d, rest, true)
	}
	return r.turn(l, l.fromUTF8(l.kept(r, d, rest, true), true))
}

// Finish ends the run: once, when the exchange's stream has ended for
// whatever reason. It runs the log steps.
func (r *Run) Finish(ctx context.Context) {
	if r.done {
		return
	}
	r.done = true
	aborted := false
	for d := range r.lanes {
		l := &r.lanes[d]
		r.ex.Phase = filters.BodyPhase(filters.Direction(d))
		r.closeStages(ctx, l)
		l.closeCodings()
		l.giveBack()
		aborted = aborted || l.course != PassBody && !l.ended
	}
	r.ex.Phase = filters.Log
	for _, s := range r.chains.Log {
		if s.Rollout.includes(s, r.ex) && r.holds(ctx, s) {
			r.apply(ctx, nil, s)
		}
	}
	if r.opt.Recorder != nil {
		r.sum = Summary{
			Exchange: r.ex, Trace: &r.trace, Set: r.chains.Set, Duration: r.opt.Now().Sub(r.ex.Started),
			RequestBytes:  r.lanes[filters.Request].received,
			ResponseBytes: r.lanes[filters.Response].received,
			Denied:        r.denial != nil,
			Aborted:       aborted || r.denial == nil && !r.lanes[filters.Response].started,
			Decisions:     r.records,
			PeakHeld:      r.peak,
			Reached:       r.reached,
			Unprocessed:   r.unprocessed,
		}
		r.opt.Recorder.Exchange(&r.sum)
	}
}

// turn hands out what has gathered since the last one.
func (r *Run) turn(l *lane, forward []byte) Turn {
	t := Turn{Course: l.course, Body: forward, Changes: l.changes, Metadata: l.metadata, ClearRouteCache: l.clearRoute}
	l.changes, l.metadata, l.clearRoute = nil, nil, false
	if r.denial != nil {
		return Turn{Course: l.course, Denial: r.denial}
	}
	return t
}
