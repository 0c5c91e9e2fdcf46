package pipeline

import (
	"context"
	"sync"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
	"github.com/sluice-proxy/sluice/internal/charset"
	"github.com/sluice-proxy/sluice/internal/coding"
)

// lane is one direction of a run.
type lane struct {
	steps          []*Step
	caps           Caps
	course         Course
	typ            body.Type
	started, ended bool
	received       int64

	// active are the steps that run on this exchange; of those, deferred wait
	// for the whole body, and stages edit it as it passes.
	active   []*Step
	deferred []*Step
	stages   []*stage
	// Room for the first of them, and of the changes.
	activeRoom  [4]*Step
	stagesRoom  [2]*stage
	changesRoom [4]filters.Change
	editor      *body.Editor
	// spent is the time that the editor took, its stages included.
	spent time.Duration
	// out is what it wrote last, in room that is lent for the exchange.
	out  []byte
	room *[]byte

	// chars turns the body into UTF-8 and back.
	chars *charset.Transcoder
	text  []byte // what it turned into UTF-8
	wire  []byte // and what it turned back

	// decoder and encoder stand around the edit of a body in a content coding.
	decoder *coding.Decoder
	encoder *coding.Encoder
	coded   []byte

	collected []byte // the body so far, while it is collected
	tap       []byte // a copy of what came, for steps in shadow that need the whole
	tapFull   bool
	keep      int // how much of what goes out is copied, for later phases
	copied    []byte
	copyFull  bool

	// What has gathered for the next turn.
	changes    []filters.Change
	metadata   map[string]map[string]any
	clearRoute bool
}

// wait puts a step among those that wait for the body's end.
func (l *lane) wait(s *Step) { l.deferred = append(l.deferred, s) }

// collects reports whether any waiting step makes the exchange wait.
func (l *lane) collects() bool {
	for _, s := range l.deferred {
		if s.Collects() {
			return true
		}
	}
	return false
}

// shadowed reports whether a step in shadow waits for the whole body.
func (l *lane) shadowed() bool { return len(l.deferred) > 0 }

// kept copies what goes out where a later phase reads it, and returns it.
func (l *lane) kept(r *Run, d filters.Direction, forward []byte, end bool) []byte {
	if l.keep == 0 {
		return forward
	}
	part := forward[:min(len(forward), l.keep-len(l.copied))]
	if !l.copyFull && (!r.within(len(l.copied)+len(part)) || !r.room(len(part))) {
		l.copyFull, l.copied = true, nil
	}
	if !l.copyFull {
		l.copied = append(l.copied, part...)
		if end {
			r.ex.Message(d).Body = l.copied
		}
	}
	return forward
}

// commit carries a ledger's changes into the exchange and the next turn.
func (l *lane) commit(ex *filters.Exchange, d filters.Direction, phase filters.Phase, led *filters.Ledger) {
	msg := ex.Message(d)
	target := &msg.Headers
	if phase == filters.TrailersPhase(d) {
		target = &msg.Trailers
	}
	for _, c := range led.Changes {
		target.Apply(c)
		l.changes = append(l.changes, c)
	}
	for ns, kv := range led.Metadata {
		if l.metadata == nil {
			l.metadata = map[string]map[string]any{}
		}
		if l.metadata[ns] == nil {
			l.metadata[ns] = map[string]any{}
		}
		for k, v := range kv {
			l.metadata[ns][k] = v
		}
	}
	l.clearRoute = l.clearRoute || led.ClearRouteCache
}

// stream passes a chunk through the stages.
func (r *Run) stream(ctx context.Context, l *lane, d filters.Direction, chunk []byte, end bool) []byte {
	if l.shadowed() {
		r.copyTap(l, chunk)
	}
	out := chunk
	if len(l.stages) > 0 {
		start := r.opt.Now()
		if l.editor == nil && len(chunk) == 0 && !end {
			return nil // its charset may not be known yet
		}
		if l.editor == nil {
			l.editor = r.newEditor(l.typ, l.stages)
		}
		if l.room == nil {
			l.room = outputs.Get().(*[]byte)
			l.out = *l.room
		}
		var err error
		l.out, err = l.editor.Write(ctx, l.out[:0], chunk)
		switch {
		case err == nil && end:
			l.out, err = l.editor.Close(ctx, l.out)
		case err == nil:
			for _, st := range l.stages {
				st.rest()
			}
		}
		l.spent += r.opt.Now().Sub(start)
		out = l.out
		if err != nil {
			r.editFailed()
			out = nil
		}
	}
	if end {
		r.closeStages(ctx, l)
		if r.denial == nil && l.shadowed() {
			r.runShadows(ctx, l, d)
		}
	}
	return out
}

func (r *Run) copyTap(l *lane, chunk []byte) {
	if !l.tapFull && (!r.within(len(l.tap)+len(chunk)) || !r.room(len(chunk))) {
		l.tapFull, l.tap = true, nil
	}
	if !l.tapFull {
		l.tap = append(l.tap, chunk...)
	}
}

// editFailed makes sure that a body whose edit was broken off goes no
// further.
func (r *Run) editFailed() {
	if r.denial == nil {
		r.denial = stepFailed()
	}
}

// within reports whether n bytes of a body may be collected.
func (r *Run) within(n int) bool {
	if int64(n) <= r.limits.CollectBytes {
		return true
	}
	r.Reach(CollectBytes)
	return false
}

func (r *Run) newEditor(t body.Type, stages []*stage) *body.Editor {
	var room [2]body.Stage
	bs := room[:0]
	for _, st := range stages {
		// In a step that only observes, a name that it would change looks like one
		// that it leaves, and is to be counted each time.
		bs = append(bs, body.Stage{Stream: st, Paths: st.paths, Join: st.step.Join, Exact: st.step.Needs.Exact, Ignores: st.step.ignores, SameNames: st.step.sameNames && st.enforces, Names: st.step.names, Unparsed: st.step.Needs.Unparsed, Files: st.step.Needs.Files, OnUnparsed: st.unparsed})
	}
	e := t.NewEditor(bs, r.bodyLimits())
	for _, st := range stages {
		st.editor = e
	}
	return e
}

func (r *Run) bodyLimits() body.Limits {
	return body.Limits{Depth: r.limits.Depth, PieceBytes: r.limits.PieceBytes, NameBytes: r.limits.NameBytes, EventBytes: r.limits.EventBytes}
}

// maxRoom is the largest room for an output that is kept for another exchange.
const maxRoom = 256 << 10

// outputs are rooms for outputs.
var outputs = sync.Pool{New: func() any { return new([]byte) }}

// giveBack gives back the room that was lent for the lane's output. Nothing
// of the output is used any more.
func (l *lane) giveBack() {
	if l.room == nil {
		return
	}
	if cap(l.out) <= maxRoom {
		*l.room = l.out[:0]
		outputs.Put(l.room)
	}
	l.room, l.out = nil, nil
}

// closeStages ends the streams and records their decisions.
func (r *Run) closeStages(ctx context.Context, l *lane) {
	share := l.spent
	if len(l.stages) > 0 {
		share /= time.Duration(len(l.stages))
	}
	for _, st := range l.stages {
		st.close(ctx, l, share)
	}
	if l.editor != nil {
		r.noteReached(l.editor)
		l.editor.Release() // its stages are closed
	}
	l.stages, l.editor = nil, nil
}

// noteReached notes the bounds that a body ran into.
func (r *Run) noteReached(e *body.Editor) {
	reached := e.Reached()
	if reached.Depth {
		r.Reach(Depth)
	}
	if reached.Name {
		r.Reach(NameBytes)
	}
	if reached.Value {
		r.Reach(PieceBytes)
	}
	if reached.Event {
		r.Reach(EventBytes)
	}
}

// runCollected runs on the whole body what waited for it, in the order of the
// steps, and returns what is to be forwarded.
func (r *Run) runCollected(ctx context.Context, l *lane, d filters.Direction) []byte {
	doc := l.collected
	l.collected = nil
	opened := make(map[*Step]*stage, len(l.stages))
	for _, st := range l.stages {
		opened[st.step] = st
	}
	l.stages = nil
	waiting := make(map[*Step]bool, len(l.deferred))
	for _, s := range l.deferred {
		waiting[s] = true
	}
	l.deferred = nil
	for _, s := range l.steps {
		if r.denial != nil {
			break
		}
		if st := opened[s]; st != nil {
			doc = r.edit(ctx, l, st, doc)
			delete(opened, s)
		} else if waiting[s] {
			doc = r.runWhole(ctx, l, d, s, doc)
		}
	}
	for _, st := range opened {
		st.close(ctx, l, 0)
	}
	return doc
}

// runWhole runs one step on a whole body and returns what becomes of it.
func (r *Run) runWhole(ctx context.Context, l *lane, d filters.Direction, s *Step, doc []byte) []byte {
	msg := r.ex.Message(d)
	before := msg.Body
	msg.Body = doc
	r.ex.Phase = filters.BodyPhase(d)
	defer func() { msg.Body = before }()
	if s.decideLate && !r.holds(ctx, s) {
		return doc
	}
	l.active = append(l.active, s)
	if s.streams || s.Needs.Body == filters.NoBody {
		// Its Apply is about the headers, whenever it runs.
		r.ex.Phase = filters.HeadersPhase(d)
	}
	if !s.streams {
		body := doc
		r.applyTo(ctx, l, s, &body)
		return body
	}
	if s.Needs.Headers && !r.apply(ctx, l, s) {
		return doc
	}
	r.ex.Phase = filters.BodyPhase(d)
	if s.Paths.NeedsDocument() && l.typ.Format == body.Events {
		r.fail(ctx, s, r.opt.Now(), errEvents)
		return doc
	}
	st := r.open(ctx, l, s, d)
	if st == nil {
		return doc
	}
	if s.Paths != nil && s.Paths.NeedsDocument() {
		paths, err := s.Paths.Locate(doc, r.bodyLimits())
		if err != nil {
			// The paths mean nothing in what does not parse; the editor finds
			// the same and goes by the step's rule.
			paths = nil
		}
		st.paths = paths
	}
	return r.edit(ctx, l, st, doc)
}

// edit passes a whole body through one stage.
func (r *Run) edit(ctx context.Context, l *lane, st *stage, doc []byte) []byte {
	start := r.opt.Now()
	e := r.newEditor(l.typ, []*stage{st})
	out, err := e.Write(ctx, make([]byte, 0, len(doc)+len(doc)/8), doc)
	if err == nil {
		out, err = e.Close(ctx, out)
	}
	spent := r.opt.Now().Sub(start)
	r.noteReached(e)
	st.close(ctx, l, spent)
	e.Release()
	if err != nil {
		r.editFailed()
		return nil
	}
	return out
}

// runShadows runs the shadow steps that need a whole body on a copy of it,
// after it has gone by.
func (r *Run) runShadows(ctx context.Context, l *lane, d filters.Direction) {
	shadows := l.deferred
	l.deferred = nil
	for _, s := range shadows {
		if l.tapFull {
			r.fail(ctx, s, r.opt.Now(), errTooLarge)
			continue
		}
		r.runWhole(ctx, l, d, s, l.tap)
	}
	l.tap = nil
}

// overflow is what happens when a body is larger than may be collected: the
// steps that need the whole of it fail, and where they all continue, the
// others go on with the stream.
func (r *Run) overflow(ctx context.Context, l *lane, d filters.Direction, plain []byte, end bool) []byte {
	for _, s := range l.deferred {
		r.fail(ctx, s, r.opt.Now(), errTooLarge)
	}
	l.deferred = nil
	held := l.collected
	l.collected = nil
	if r.denial != nil {
		return nil
	}
	l.course = StreamBody
	return r.stream(ctx, l, d, append(held, plain...), end)
}
