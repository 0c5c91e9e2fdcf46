package pipeline

import (
	"context"
	"errors"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
)

// stage is a step at work on one body: it stands between the body's editor
// and the filter's stream, and keeps the step's mode, timeout and failure
// rule.
type stage struct {
	run  *Run
	step *Step
	// enforces: what the step does takes effect.
	enforces bool
	paths    *body.Paths
	stream   filters.Stream
	editor   *body.Editor // of the body, once it has begun
	start    time.Time
	spent    time.Duration
	// over: the stream failed or denied, and sees nothing more.
	over bool
	// recorded: the decision has been recorded already.
	recorded bool
	fellBack bool
	closed   bool
}

// open opens a step's stream; nil where that failed and the step is left out.
func (r *Run) open(ctx context.Context, l *lane, s *Step, d filters.Direction) *stage {
	st := &stage{run: r, step: s, enforces: r.enforces(s), paths: s.Paths, start: r.opt.Now()}
	stream, err := st.openFilter(ctx, s.Filter, d)
	if err == nil {
		st.stream = stream
		return st
	}
	r.failWith(ctx, s, st.start, err, func() error {
		if _, ok := s.Fallback.(filters.Streamer); !ok {
			return r.try(ctx, l, s, s.Fallback, r.opt.Now(), nil, true)
		}
		stream, err := st.openFilter(ctx, s.Fallback, d)
		st.stream, st.fellBack = stream, err == nil
		return err
	})
	if st.stream == nil {
		return nil
	}
	return st
}

func (st *stage) openFilter(ctx context.Context, f filters.Filter, d filters.Direction) (stream filters.Stream, err error) {
	defer caught(&err)
	st.run.ex.Steps = st.run.results[st.step.Policy]
	return f.(filters.Streamer).Open(ctx, st.run.ex, d)
}

// Value implements filters.Stream.
func (st *stage) Value(ctx context.Context, v *filters.Value) error {
	if st.over {
		return nil
	}
	if err := st.show(ctx, v); err != nil {
		v.Reset()
		return st.failed(ctx, err, func(ctx context.Context) error { return st.stream.Value(ctx, v) })
	}
	if !st.enforces {
		v.Discard()
	}
	if v.More && !st.run.lanes[st.step.Direction].caps.HoldTail && st.step.OnError == filters.Continue {
		// What is held could be lost with the body's end: this step rather
		// lets go than cuts the body short.
		v.Release()
	}
	return nil
}

// State implements filters.Steady. In a step that only observes, a value that
// it would change looks like one that it leaves, and is to be counted each time.
func (st *stage) State() (n int, ok bool) {
	steady, ok := st.stream.(filters.Steady)
	if !ok || st.over || st.fellBack || !st.enforces {
		return 0, false
	}
	return steady.State()
}

// rest tells the filter's stream that a chunk of the body is done with.
func (st *stage) rest() {
	if r, ok := st.stream.(filters.Rester); ok {
		r.Rest()
	}
}

// show shows a value to the filter's stream. A step without a timeout takes
// the short way: there may be a million values.
func (st *stage) show(ctx context.Context, v *filters.Value) (err error) {
	if st.step.Timeout > 0 {
		return st.timed(ctx, func(ctx context.Context) error { return st.stream.Value(ctx, v) })
	}
	done := false
	defer caughtUnless(&done, &err)
	err = st.stream.Value(ctx, v)
	done = true
	if v.Kind == filters.Name && err == nil && st.enforces && st.step.names != nil && !v.Touched() {
		st.step.names.Add(v.Text)
	}
	return err
}

// End implements filters.Shaper.
func (st *stage) End(ctx context.Context, o *filters.ObjectEnd) error {
	shaper, ok := st.stream.(filters.Shaper)
	if st.over || !ok {
		return nil
	}
	if err := st.timed(ctx, func(ctx context.Context) error { return shaper.End(ctx, o) }); err != nil {
		o.Added = nil
		return st.failed(ctx, err, nil)
	}
	if !st.enforces {
		o.Added = nil
	}
	return nil
}

// Close implements filters.Stream; the run closes the stages itself.
func (st *stage) Close(context.Context, *filters.Ledger) (filters.Decision, error) {
	return filters.Decision{}, nil
}

// timed makes one call within what is left of the step's time, and turns a
// panic into an error.
func (st *stage) timed(ctx context.Context, call func(context.Context) error) (err error) {
	defer caught(&err)
	limit := st.step.Timeout
	if limit <= 0 {
		return call(ctx)
	}
	start := time.Now()
	c := newBudgetContext(ctx, start.Add(limit-st.spent))
	err = call(c)
	c.release()
	st.spent += time.Since(start)
	if st.spent > limit && (err == nil || errors.Is(err, context.DeadlineExceeded)) {
		err = errTimeout
	}
	return err
}

// failed follows the step's onError after an error in mid-body: nil where
// the body goes on. retry shows the value to the fallback's stream.
func (st *stage) failed(ctx context.Context, err error, retry func(context.Context) error) error {
	r := st.run
	var deny *filters.DenyError
	if errors.As(err, &deny) {
		st.over, st.recorded = true, true
		r.record(st.step, st.start, r.opt.Now().Sub(st.start), filters.Decision{Verdict: filters.Denied}, "")
		if !st.enforces {
			return nil
		}
		r.denial = &deny.Denial
		return errStopped
	}
	streamer, can := st.step.Fallback.(filters.Streamer)
	if st.fellBack || !can || retry == nil {
		st.over, st.recorded = true, true
		r.failWith(ctx, st.step, st.start, err, func() error {
			if st.fellBack {
				return err
			}
			return r.try(ctx, &r.lanes[st.step.Direction], st.step, st.step.Fallback, r.opt.Now(), nil, true)
		})
	} else {
		r.failWith(ctx, st.step, st.start, err, func() error {
			st.fellBack, st.spent = true, 0
			stream, err := st.openFilter(ctx, streamer, st.step.Direction)
			if err != nil {
				return err
			}
			st.stream = stream
			st.editor.Anew(st)
			return st.timed(ctx, retry)
		})
		st.over = !st.fellBack || r.denial != nil
		st.recorded = st.over
	}
	if r.denial != nil {
		return errStopped
	}
	return nil
}

// unparsed is told when the body turns out not to parse and the step does not
// want it then.
func (st *stage) unparsed(ctx context.Context) error {
	if st.over || st.step.Needs.Unparsed != filters.DenyUnparsed {
		return nil
	}
	return st.failed(ctx, &filters.Failure{Reason: "body does not parse"}, nil)
}

// close ends the stream and records what it came to. share is its part of the
// time that the body's edit took, for steps that are not timed themselves.
func (st *stage) close(ctx context.Context, l *lane, share time.Duration) {
	if st.closed {
		return
	}
	st.closed = true
	r := st.run
	r.ledger = filters.Ledger{}
	led := &r.ledger
	dec, err := st.closeFilter(ctx, led)
	if st.recorded {
		return
	}
	if st.step.Timeout > 0 {
		share = st.spent
	}
	if err != nil {
		r.failWith(ctx, st.step, st.start, err, func() error { return err })
		return
	}
	if st.fellBack {
		dec.Reason = joinReason("fallback", dec.Reason)
	}
	r.keepResult(st.step, led)
	if st.enforces {
		led.Changes, led.ClearRouteCache = nil, false
		l.commit(r.ex, st.step.Direction, filters.BodyPhase(st.step.Direction), led)
	}
	r.record(st.step, st.start, share, dec, "")
}

func (st *stage) closeFilter(ctx context.Context, led *filters.Ledger) (dec filters.Decision, err error) {
	defer caught(&err)
	return st.stream.Close(ctx, led)
}
