package pipeline

import (
	"context"
	"errors"
	"time"

	"github.com/sluice-proxy/sluice/filters"
)

// Problem types of the responses that the runner itself gives.
const (
	problemStepFailed = "urn:sluice:problem:step-failed"
	problemTooLarge   = "urn:sluice:problem:body-too-large"
	problemTruncated  = "urn:sluice:problem:truncated"
)

var (
	errTooLarge = &filters.Failure{Reason: "body too large"}
	errEvents   = &filters.Failure{Reason: "a path needs one document, not events"}
	errPanic    = &filters.Failure{Reason: "panic"}
	errTimeout  = &filters.Failure{Reason: "timeout"}
	// errHeadersGone: the step wants headers changed that have been sent.
	errHeadersGone = &filters.Failure{Reason: "the headers are gone"}
	// errStopped ends a body's edit; the run's denial says why.
	errStopped = errors.New("the exchange was denied")
)

func stepFailed() *filters.Denial {
	return &filters.Denial{Status: 500, Type: problemStepFailed, Title: "A step of the policy failed"}
}

// caught turns a panic of a filter into an error of its step. It is to be
// deferred itself.
func caught(err *error) {
	if recover() != nil {
		*err = errPanic
	}
}

// caughtUnless is caught for what is called a million times: where done is set,
// it need not ask.
func caughtUnless(done *bool, err *error) {
	if !*done && recover() != nil {
		*err = errPanic
	}
}

// enforces reports whether what the step does takes effect.
func (r *Run) enforces(s *Step) bool {
	return s.Mode != Observe && s.Mode != Shadow && !r.opt.ObserveOnly
}

// call calls a filter's Apply with the step's timeout, and turns a panic into
// an error.
func (r *Run) call(ctx context.Context, s *Step, f filters.Filter, led *filters.Ledger) (dec filters.Decision, err error) {
	if s.Timeout > 0 {
		c := newBudgetContext(ctx, time.Now().Add(s.Timeout))
		defer c.release()
		defer func() {
			if err == nil && c.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
				err = errTimeout
			}
		}()
		ctx = c
	}
	defer caught(&err)
	return f.Apply(ctx, r.ex, led)
}

// apply runs a step's Apply in the current phase and reports whether the
// step goes on.
func (r *Run) apply(ctx context.Context, l *lane, s *Step) bool { return r.applyTo(ctx, l, s, nil) }

// applyTo also takes over a changed body into *doc.
func (r *Run) applyTo(ctx context.Context, l *lane, s *Step, doc *[]byte) bool {
	start := r.opt.Now()
	err := r.try(ctx, l, s, s.Filter, start, doc, false)
	if err == nil {
		return r.denial == nil
	}
	r.failWith(ctx, s, start, err, func() error { return r.try(ctx, l, s, s.Fallback, r.opt.Now(), doc, true) })
	return false
}

// try applies one filter of a step and settles what it wants.
func (r *Run) try(ctx context.Context, l *lane, s *Step, f filters.Filter, start time.Time, doc *[]byte, fallback bool) error {
	r.ex.Steps = r.results[s.Policy]
	r.ledger = filters.Ledger{}
	led := &r.ledger
	dec, err := r.call(ctx, s, f, led)
	if err != nil {
		var deny *filters.DenyError
		if !errors.As(err, &deny) {
			return err
		}
		led.Denial = &deny.Denial
	}
	phase := r.ex.Phase
	late := l != nil && l.course == CollectBody && phase != filters.TrailersPhase(s.Direction)
	if late && len(led.Changes) > 0 && !l.caps.HeadersAfterBody && r.enforces(s) {
		return errHeadersGone
	}
	switch {
	case led.Denial != nil:
		dec.Verdict = filters.Denied
	case !led.Empty() && dec.Verdict == filters.Passed:
		dec.Verdict = filters.Changed
	}
	if fallback {
		dec.Reason = joinReason("fallback", dec.Reason)
	}
	r.keepResult(s, led)
	if r.enforces(s) && l != nil {
		if led.Denial != nil {
			r.denial = led.Denial
		}
		l.commit(r.ex, s.Direction, phase, led)
		if led.BodySet && doc != nil {
			*doc = led.Body
		}
	}
	r.record(s, start, r.opt.Now().Sub(start), dec, "")
	return nil
}

func joinReason(a, b string) string {
	if b == "" {
		return a
	}
	return a + ": " + b
}

// keepResult makes a step's result visible to later steps of its policy.
func (r *Run) keepResult(s *Step, led *filters.Ledger) {
	if led.Result == nil || s.Mode == Shadow {
		return
	}
	if r.results == nil {
		r.results = map[string]map[string]any{}
	}
	if r.results[s.Policy] == nil {
		r.results[s.Policy] = map[string]any{}
	}
	r.results[s.Policy][s.Name] = led.Result
}

// fail records that a step failed and follows its onError. A fallback gets
// its Apply in the current phase.
func (r *Run) fail(ctx context.Context, s *Step, start time.Time, err error) {
	l := &r.lanes[s.Direction]
	r.failWith(ctx, s, start, err, func() error { return r.try(ctx, l, s, s.Fallback, r.opt.Now(), nil, true) })
}

func (r *Run) failWith(_ context.Context, s *Step, start time.Time, err error, fallback func() error) {
	r.record(s, start, r.opt.Now().Sub(start), filters.Decision{Verdict: filters.Failed, Reason: reasonOf(err)}, s.OnError)
	if !r.enforces(s) || s.OnError == filters.Continue || r.denial != nil {
		return
	}
	if s.OnError == filters.Fallback && s.Fallback != nil {
		start = r.opt.Now()
		ferr := fallback()
		if ferr == nil {
			return
		}
		r.record(s, start, r.opt.Now().Sub(start), filters.Decision{Verdict: filters.Failed, Reason: joinReason("fallback", reasonOf(ferr))}, filters.Deny)
		if r.denial != nil {
			return
		}
	}
	if errors.Is(err, errTooLarge) && s.Direction == filters.Request {
		r.denial = &filters.Denial{Status: 413, Type: problemTooLarge, Title: "The request body is too large to be checked"}
		return
	}
	r.denial = stepFailed()
}

// reasonOf returns what may be shown of an error.
func reasonOf(err error) string {
	var f *filters.Failure
	switch {
	case errors.As(err, &f):
		return f.Reason
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return "error"
}

// skip records that a step does not run.
func (r *Run) skip(s *Step, reason string) {
	r.record(s, r.opt.Now(), 0, filters.Decision{Verdict: filters.Skipped, Reason: reason}, "")
}

// maxRecalled is how many decisions of an exchange are kept for log steps.
const maxRecalled = 1000

func (r *Run) record(s *Step, start time.Time, took time.Duration, dec filters.Decision, onError filters.OnError) {
	r.records++
	if r.opt.Recorder == nil && !r.recalls {
		return
	}
	mode := s.Mode
	if r.opt.ObserveOnly && mode != Shadow {
		mode = Observe
	}
	if r.recalls && len(r.ex.Decisions) < maxRecalled {
		r.ex.Decisions = append(r.ex.Decisions, filters.Decided{
			Policy: s.Policy, Step: s.Name, Filter: s.Kind, Phase: r.ex.Phase, Mode: string(mode), Decision: dec, OnError: onError,
		})
	}
	if r.opt.Recorder == nil {
		return
	}
	r.rec = Record{
		Time: start, Exchange: r.ex.ID, In: r.ex, Trace: &r.trace, Set: r.chains.Set, By: s,
		Policy: s.Policy, Step: s.Name, Filter: s.Kind,
		Phase: r.ex.Phase, Mode: mode, Decision: dec, OnError: onError, Duration: took,
	}
	r.opt.Recorder.Decision(&r.rec)
}
