package extproc

import (
	modev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// lane is one direction of the exchange, as the protocol sees it.
type lane struct {
	direction filters.Direction
	// configured is the mode of the data plane's configuration, and mode the
	// one in force: they differ where it was overridden.
	configured, mode modev3.ProcessingMode_BodySendMode
	// planned is the mode that the steps' capabilities were promised for.
	planned  modev3.ProcessingMode_BodySendMode
	course   pipeline.Course
	began    bool // the headers have come
	answered bool // their reply has been sent
	ended    bool // the body has ended
	finished bool // the trailers have come
	// announced is the content-length the message came with, or -1.
	announced int64
	received  int64
	// held are the header changes of a reply that waits for the body.
	heldChanges  []filters.Change
	heldMetadata map[string]map[string]any
	heldClear    bool
}

func (l *lane) configure(m modev3.ProcessingMode_BodySendMode) {
	l.configured, l.mode, l.announced = m, m, -1
}

// overridable reports whether the body modes can be overridden. Where full
// duplex is configured in either direction, the data plane ignores an override
// of both, in silence.
func (st *stream) overridable() bool {
	return st.plane.ModeOverride && !st.early && !st.observe &&
		st.lanes[filters.Request].configured != fullDuplex && st.lanes[filters.Response].configured != fullDuplex
}

// plan decides which body mode the direction is to have for what the steps
// may want. The configured one stays where nothing else is allowed, or
// needed.
func (l *lane) plan(st *stream, wants pipeline.Course, end bool) {
	l.planned = l.configured
	if end || !st.overridable() {
		return
	}
	switch wants {
	case pipeline.StreamBody:
		if l.configured != buffered {
			l.planned = fullDuplex
		}
	case pipeline.CollectBody:
		if l.configured == buffered {
			return
		}
		// Only a request's headers can be held while the body comes in a mode
		// that was not configured; a response's wait in BUFFERED.
		l.planned = buffered
		if l.direction == filters.Request && l.configured != partial {
			l.planned = fullDuplex
		}
	}
}

// caps is what the data plane can do in the planned mode.
func (l *lane) caps(st *stream) pipeline.Caps {
	if st.observe {
		// Nothing goes out, and nothing has to. The modes need not be told then;
		// where no body is sent, its steps have nothing to look at.
		return pipeline.Caps{Body: true, HeadersAfterBody: true, HoldTail: true}
	}
	switch l.planned {
	case buffered, partial, fullDuplex:
		return pipeline.Caps{Body: true, HeadersAfterBody: true, HoldTail: true}
	case streamed:
		return pipeline.Caps{Body: true}
	}
	return pipeline.Caps{}
}

// repliedHeaders answers the headers, or holds the reply until the body is
// in.
func (l *lane) repliedHeaders(st *stream, t pipeline.Turn, end bool) error {
	if st.observe {
		return nil
	}
	if t.Denial != nil {
		return st.deny(l.direction, t.Denial)
	}
	l.course = t.Course
	hold := !end && t.Course == pipeline.CollectBody && l.planned == fullDuplex
	override := l.override(st, t.Course, end)
	if override != nil && l.mode == fullDuplex {
		// The data plane takes the length away only where the mode is
		// configured; the old one would make the other side wait for bytes that
		// never come.
		msg := st.run.Exchange().Message(l.direction)
		if msg.Headers.Has("content-length") {
			gone := filters.Change{Op: filters.RemoveField, Name: "content-length"}
			msg.Headers.Apply(gone)
			t.Changes = append(t.Changes[:len(t.Changes):len(t.Changes)], gone)
		}
	}
	if !hold {
		return l.replyHeaders(st, t.Changes, t.Metadata, t.ClearRouteCache, override)
	}
	l.heldChanges, l.heldMetadata, l.heldClear = t.Changes, t.Metadata, t.ClearRouteCache
	if override == nil {
		return nil
	}
	// The standalone override: the body is to come before the reply.
	return st.send(&extprocv3.ProcessingResponse{ModeOverride: override})
}

// override returns the mode override that asks for what the course needs and
// no more, or nil. From here on the mode is the one in force.
func (l *lane) override(st *stream, course pipeline.Course, end bool) *modev3.ProcessingMode {
	if end || !st.overridable() {
		return nil
	}
	l.mode = l.planned
	if course == pipeline.PassBody {
		l.mode = none
	}
	if l.mode == l.configured {
		return nil
	}
	// Body modes are always explicit; DEFAULT leaves headers and trailers.
	m := &modev3.ProcessingMode{
		RequestBodyMode:  st.lanes[filters.Request].mode,
		ResponseBodyMode: st.lanes[filters.Response].mode,
	}
	// Full duplex wants the trailers.
	if st.lanes[filters.Request].mode == fullDuplex {
		m.RequestTrailerMode = modev3.ProcessingMode_SEND
	}
	if st.lanes[filters.Response].mode == fullDuplex {
		m.ResponseTrailerMode = modev3.ProcessingMode_SEND
	}
	return m
}

// replyHeaders sends the reply to the headers.
func (l *lane) replyHeaders(st *stream, changes []filters.Change, md map[string]map[string]any, clearRoute bool, override *modev3.ProcessingMode) error {
	l.answered = true
	msg := st.run.Exchange().Message(l.direction)
	if l.mode != l.configured && (l.mode == fullDuplex || l.mode == streamed) && l.course != pipeline.PassBody && msg.Headers.Has("content-length") {
		// The data plane drops the length by itself only in modes that it was
		// configured with.
		drop := filters.Change{Op: filters.RemoveField, Name: "content-length"}
		msg.Headers.Apply(drop)
		changes = append(changes[:len(changes):len(changes)], drop)
	}
	return st.reply(&reply{
		phase: filters.HeadersPhase(l.direction), changes: changes, view: &msg.Headers,
		clearRoute: clearRoute && l.direction == filters.Request, metadata: md, override: override,
	})
}

// isEnd reports whether a body message is the last that is to be looked at.
func (l *lane) isEnd(eos bool, chunk []byte) bool {
	switch {
	case eos, l.mode == buffered:
		// BUFFERED has one message, with or without trailers behind it.
		return true
	case l.mode == partial:
		return !l.cutOff(eos, chunk)
	case l.mode == streamed:
		// Trailers may follow, and nothing can be sent with them.
		return l.received == l.announced
	}
	return false
}

// smallestBuffer is below what a data plane's buffer limit is ever set to.
const smallestBuffer = 16 << 10

// cutOff reports whether a BUFFERED_PARTIAL message may be only the beginning
// of a body whose rest goes by unseen. Without the end-of-stream mark it is
// either that, or trailers follow: the length that was announced tells, or a
// size that no buffer limit has.
func (l *lane) cutOff(eos bool, chunk []byte) bool {
	if l.mode != partial || eos || len(chunk) < smallestBuffer {
		return false
	}
	return l.announced != int64(len(chunk))
}

// emitter returns what replies to the bodies of the mode in force.
func (l *lane) emitter() emitter {
	switch l.mode {
	case fullDuplex:
		return duplexEmitter{}
	case streamed:
		return streamedEmitter{}
	}
	return bufferedEmitter{}
}
