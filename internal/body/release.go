package body

import "sync"

// editors are those that have been released: empty, with room.
var editors = sync.Pool{New: func() any { return new(Editor) }}

// Release gives the editor's memory back, for another body. It may be called
// once, when nobody uses the editor any more, nor anything that it has shown;
// what it has written is not its own. An editor need not be released.
func (e *Editor) Release() {
	for _, r := range e.stages {
		r.empty()
	}
	w := e.walker
	if s, is := e.codec.(*events); is {
		w = s.walker
	}
	if w != nil {
		e.spare = w
		e.spare.empty()
	}
	*e = Editor{stages: e.stages[:0], spare: e.spare}
	editors.Put(e)
}

// empty leaves nothing of a runner but room.
func (r *runner) empty() {
	r.forgetNames()
	*r = runner{own: r.own, trail: r.trail}
}

// The largest room that a walker leaves to another.
const (
	keptFrames = 64
	keptNames  = 1 << 10
)

// empty leaves nothing of a walker but room.
func (w *walker) empty() {
	var room walker
	if cap(w.frames) <= keptFrames {
		room.frames = w.frames[:0]
	}
	if cap(w.names) <= keptNames {
		room.names = w.names[:0]
	}
	*w = room
}
