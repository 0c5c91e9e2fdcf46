package extproc

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	modev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/h2"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// peer is the data plane's end of a stream.
type peer interface {
	// Context ends when the stream does.
	Context() context.Context
	// Header returns a header of the stream: gRPC's metadata.
	Header(name string) string
	// Send sends a ProcessingResponse, which is head and tail, and does not
	// keep them.
	Send(head, tail []byte) error
	// Flush writes what was sent, without waiting for the end of the work.
	Flush()
	// End ends the stream with the error's status.
	End(err error)
	// Wake has the session woken at a time, or before.
	Wake(at time.Time)
}

// stream is one exchange at work. It is the h2.Session of its gRPC stream.
type stream struct {
	server *Server
	peer   peer
	ctx    context.Context
	msg    message // the one in hand
	room   []byte  // for a reply
	parts  []byte  // and for parts of one
	// plane is what the data plane's configuration allows.
	plane DataPlane
	run   *pipeline.Run
	lanes [2]lane
	// configured: the first message, with the body modes, has come.
	configured bool
	// observe: replies are not wanted (observability_mode).
	observe bool
	// early: bodies come without waiting for the reply to the headers.
	early bool
	// upgrade: the request asks for another protocol.
	upgrade bool
	// denied: an immediate response has been given; nothing else is.
	denied bool
	limits pipeline.Limits
	life   lifetime
	held   int
	// work is what the exchange itself is in: empty before, and when the stream
	// is closed.
	work *work
}

// work is room for an exchange and for the run on it.
type work struct {
	exchange filters.Exchange
	run      pipeline.Run
}

// open begins an exchange, in memory that may have been another's. Nothing of
// that one is left but room: whatever else is kept over from one exchange to
// the next would have to be named here.
func (st *stream) open(s *Server, p peer) {
	room, parts, rooms, w := st.room, st.parts, st.msg.rooms, st.work
	if w == nil {
		w = new(work)
	}
	if room == nil || parts == nil {
		b := make([]byte, 256)
		room, parts = b[:128:128], b[128:]
	}
	*st = stream{}
	st.room, st.parts, st.msg.rooms, st.work = room[:0], parts[:0], rooms, w
	st.server, st.peer, st.ctx = s, p, p.Context()
	st.plane = declared(p.Header, s.opt.DataPlane)
	for d := range st.lanes {
		st.lanes[d].direction = filters.Direction(d)
	}
	st.life.began = time.Now()
	// Those of the policies come with the first message.
	st.count(&pipeline.DefaultLimits)
}

func (st *stream) id() string {
	if st.run == nil {
		return ""
	}
	return st.run.Exchange().ID
}

// Waits implements h2.Session.
func (st *stream) Waits() bool { return st.run != nil && st.run.Waits() }

// Woken implements h2.Session.
func (st *stream) Woken() { st.check() }

// Close implements h2.Session: it ends the run, whatever ended the stream, and
// lets go of the exchange.
func (st *stream) Close(err error) {
	defer func() {
		st.server.load.open.Add(-1)
		st.server.opt.Metrics.StreamClosed()
	}()
	st.life.end()
	st.hold(0)
	if st.run != nil {
		st.finish(err)
	}
	for d := range st.msg.rooms {
		st.msg.rooms[d].empty()
	}
	st.run, st.lanes, st.msg = nil, [2]lane{}, message{rooms: st.msg.rooms}
	*st.work = work{}
}

// finish ends the run.
func (st *stream) finish(err error) {
	if status.Code(err) == codes.ResourceExhausted {
		st.run.Reach(pipeline.MaxMessageBytes)
	}
	// The stream's context may be over; the log steps are not.
	ctx := context.Background()
	if st.run.Waits() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(st.ctx), 10*time.Second)
		defer cancel()
	}
	st.run.Finish(ctx)
}

// Message implements h2.Session: it handles one message, within the stream's
// lifetime. While it does, and while a reply waits to be taken, no other is
// received: the data plane's own flow control is the brake.
func (st *stream) Message(data []byte) error {
	st.life.working.Lock()
	defer st.life.working.Unlock()
	st.life.touch()
	if err := st.msg.read(data); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	if !st.configured {
		// Which steps there are tells whether any of them may wait; the others of
		// the connection are not to wait with it.
		st.configure(&st.msg)
		if st.begin(&st.msg); st.run.Waits() {
			return h2.ErrApart
		}
	}
	if err := st.handle(&st.msg); err != nil {
		return err
	}
	if st.life.late.Load() {
		if left, bound := st.life.left(); left <= 0 && !st.expire(bound) {
			st.life.late.Store(false)
		}
	}
	return nil
}

func (st *stream) handle(m *message) error {
	if !m.known {
		// A message of a later version of the protocol: there is no reply to it
		// that would be right.
		return status.Error(codes.InvalidArgument, "the message has no known phase")
	}
	m.attributes.tell(st.run.Exchange())
	st.server.opt.Metrics.Message(m.phase)
	switch d := m.phase.Direction(); m.phase {
	case filters.HeadersPhase(d):
		return st.headers(d, m)
	case filters.BodyPhase(d):
		return st.body(d, m)
	default:
		return st.trailers(d, m)
	}
}

// configure takes from the first message, whatever it is, what is said once a
// stream.
func (st *stream) configure(m *message) {
	st.configured = true
	st.observe = m.observe
	st.early = m.config.early
	for d := range st.lanes {
		st.lanes[d].configure(m.config.modes[d])
	}
}

// begin starts the run, with the first message. The request's headers are in
// it, unless the data plane is configured not to send them.
func (st *stream) begin(m *message) {
	ex := &st.work.exchange
	if m.phase == filters.RequestHeaders {
		ex.Request.Headers = m.headers
	}
	ex.Started = st.server.opt.Now()
	ex.ID = exchangeID(&ex.Request.Headers)
	ex.Metadata = metadataOf(m.metadata)
	m.attributes.tell(ex)
	chains, limits := st.server.policies.Begin(st.ctx, ex)
	st.limits = limits.WithDefaults()
	st.run = &st.work.run
	st.run.Start(ex, chains, pipeline.Options{
		Limits: st.limits, Room: st, Recorder: st.server.opt.Recorder, ObserveOnly: st.observe, Now: st.server.opt.Now,
	})
	st.count(&st.limits)
	if b, full := st.server.full(&st.limits); full {
		st.run.Refuse(b)
	}
}

func (st *stream) headers(d filters.Direction, m *message) error {
	l := &st.lanes[d]
	if st.denied || l.began {
		return nil
	}
	l.began = true
	hs := m.headers
	ex := st.run.Exchange()
	ex.Message(d).Headers = hs
	if d == filters.Response && len(m.metadata) > 0 {
		ex.Metadata = metadataOf(m.metadata)
	}
	end := m.end
	switch {
	case d == filters.Request && isUpgrade(&hs):
		st.upgrade = true
		st.run.Upgrade()
	case d == filters.Response && st.upgrade && !switched(&ex.Request.Headers, &hs):
		st.upgrade = false
		st.run.UpgradeRefused()
	}
	l.announced = announcedLength(&hs)
	l.plan(st, st.run.Wants(d), end)
	if err := st.extend(l, filters.HeadersPhase(d)); err != nil {
		return err
	}
	t := st.run.Headers(st.ctx, d, l.caps(st), end)
	l.ended = end
	return l.repliedHeaders(st, t, end)
}

func (st *stream) body(d filters.Direction, m *message) error {
	l := &st.lanes[d]
	if st.denied {
		return nil
	}
	if !l.began {
		// The headers' phase is skipped by configuration: the steps run on what
		// there is.
		l.began = true
		l.plan(st, st.run.Wants(d), false)
		t := st.run.Headers(st.ctx, d, l.caps(st), false)
		if t.Denial != nil {
			return st.deny(d, t.Denial)
		}
		l.answered, l.course = true, t.Course
	}
	if l.ended {
		// In full duplex the end can be delivered twice; elsewhere every
		// message wants its reply. Bytes that come after the end have been
		// looked at by nobody, and go nowhere.
		return l.emitter().empty(st, l, m.body)
	}
	if err := st.extend(l, filters.BodyPhase(d)); err != nil {
		return err
	}
	eos, chunk := m.end, m.body
	l.received += int64(len(chunk))
	if len(chunk) > st.server.opt.MaxMessageBytes {
		l.ended = true
		return st.deny(d, st.run.Stop(pipeline.MaxMessageBytes, true))
	}
	st.hold(st.run.Held() + len(chunk))
	defer func() { st.hold(st.run.Held()) }()
	end := l.isEnd(eos, chunk)
	var t pipeline.Turn
	switch {
	case !l.cutOff(eos, chunk):
		t = st.run.Body(st.ctx, d, chunk, end)
	case st.run.Coded(d):
		end = true
		t = st.run.Truncated(st.ctx, d)
		t.Body = chunk
	default:
		end = true
		t = st.run.Body(st.ctx, d, chunk, false)
		if t.Denial == nil {
			out := append([]byte(nil), t.Body...)
			t = st.run.Truncated(st.ctx, d)
			t.Body = append(out, t.Body...)
		}
	}
	l.ended = end
	if st.observe {
		return nil
	}
	if t.Denial != nil {
		return st.deny(d, t.Denial)
	}
	l.course = t.Course
	return l.emitter().body(st, l, t, chunk, eos)
}

func (st *stream) trailers(d filters.Direction, m *message) error {
	l := &st.lanes[d]
	ex := st.run.Exchange()
	if st.denied || l.finished {
		return nil
	}
	l.finished = true
	if !l.began {
		l.began, l.answered = true, true
		l.plan(st, pipeline.PassBody, true)
		if t := st.run.Headers(st.ctx, d, l.caps(st), true); t.Denial != nil {
			return st.deny(d, t.Denial)
		}
	}
	ex.Message(d).Trailers = m.headers
	if err := st.extend(l, filters.TrailersPhase(d)); err != nil {
		return err
	}
	defer func() { st.hold(st.run.Held()) }()
	t := st.run.Trailers(st.ctx, d)
	l.ended = true
	if st.observe {
		return nil
	}
	if t.Denial != nil {
		return st.deny(d, t.Denial)
	}
	l.course = t.Course
	return l.emitter().trailers(st, l, t)
}

// extend asks for more time where the steps of a phase declare more than the
// data plane waits by itself: a message of its own, once for each message that
// it waits for.
func (st *stream) extend(l *lane, p filters.Phase) error {
	// In full duplex nobody waits.
	if st.observe || st.plane.MaxMessageTimeout <= 0 || l.mode == fullDuplex {
		return nil
	}
	need := st.run.Budget(p)
	if need <= st.plane.MessageTimeout/2 {
		return nil
	}
	d := min(need+st.plane.MessageTimeout/2, st.plane.MaxMessageTimeout)
	if d <= st.plane.MessageTimeout {
		return nil
	}
	if err := st.send(&extprocv3.ProcessingResponse{OverrideMessageTimeout: durationpb.New(d)}); err != nil {
		return err
	}
	st.peer.Flush() // before the time is used
	return nil
}

// maxReplyRoom is how much room for a reply a stream keeps.
const maxReplyRoom = 64 << 10

func (st *stream) send(r *extprocv3.ProcessingResponse) error {
	if st.observe {
		return nil
	}
	var err error
	if st.room, err = (proto.MarshalOptions{}).MarshalAppend(st.room[:0], r); err != nil {
		return fmt.Errorf("writing a reply: %w", err)
	}
	return st.deliver(nil)
}

// reply sends the reply to a message. A change that the data plane would not
// take denies the exchange.
func (st *stream) reply(r *reply) error {
	if st.observe {
		return nil
	}
	var err error
	if st.room, st.parts, err = r.append(st.room[:0], st.parts); err != nil {
		return st.deny(r.phase.Direction(), refusedMutation())
	}
	return st.deliver(nil)
}

// sendChunk sends a chunk of a full-duplex body.
func (st *stream) sendChunk(d filters.Direction, body []byte, end bool) error {
	if st.observe {
		return nil
	}
	st.room = appendChunkHead(st.room[:0], d, len(body), end)
	return st.deliver(body)
}

// deliver sends what was written, and tail behind it.
func (st *stream) deliver(tail []byte) error {
	err := st.peer.Send(st.room, tail)
	if cap(st.room) > maxReplyRoom {
		st.room = nil
	}
	st.life.touch()
	return err
}

// isUpgrade reports whether the request asks for another protocol, and has no
// body of its own: a backend that does not switch would read that as HTTP, and
// it has to be looked at.
func isUpgrade(h *filters.Headers) bool {
	if h.Get(":method") == "CONNECT" {
		return true
	}
	if !h.Has("upgrade") || h.Has("transfer-encoding") || announcedLength(h) > 0 {
		return false
	}
	for _, v := range h.Values("connection") {
		for token := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(token), "upgrade") {
				return true
			}
		}
	}
	return false
}

// switched reports whether the response's status agrees to the upgrade that
// the request asked for.
func switched(request, response *filters.Headers) bool {
	status := response.Get(":status")
	if request.Get(":method") == "CONNECT" {
		return strings.HasPrefix(status, "2")
	}
	return status == "101"
}

// announcedLength is the content-length, or -1 where there is none that means
// anything.
func announcedLength(h *filters.Headers) int64 {
	text := h.Get("content-length")
	if text == "" {
		return -1
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// Short names for the body modes.
const (
	none       = modev3.ProcessingMode_NONE
	buffered   = modev3.ProcessingMode_BUFFERED
	partial    = modev3.ProcessingMode_BUFFERED_PARTIAL
	streamed   = modev3.ProcessingMode_STREAMED
	fullDuplex = modev3.ProcessingMode_FULL_DUPLEX_STREAMED
)
