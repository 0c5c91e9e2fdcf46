package extproc

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	modev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// stream is one exchange at work.
type stream struct {
	server *Server
	grpc   extprocv3.ExternalProcessor_ProcessServer
	ctx    context.Context
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
}

func newStream(s *Server, g extprocv3.ExternalProcessor_ProcessServer) *stream {
	st := &stream{server: s, grpc: g, ctx: g.Context(), plane: s.opt.DataPlane}
	if md, ok := metadata.FromIncomingContext(st.ctx); ok {
		st.plane = declared(md, st.plane)
	}
	for d := range st.lanes {
		st.lanes[d].direction = filters.Direction(d)
	}
	// Those of the policies come with the first message.
	st.count(&pipeline.DefaultLimits)
	return st
}

func (st *stream) id() string {
	if st.run == nil {
		return ""
	}
	return st.run.Exchange().ID
}

// finish ends the run, whatever ended the stream.
func (st *stream) finish() {
	st.life.end()
	st.hold(0)
	if st.run == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			st.server.panicked(st, p)
		}
	}()
	// The stream's context is over; the log steps are not.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(st.ctx), 10*time.Second)
	defer cancel()
	st.run.Finish(ctx)
}

// serve receives messages until the data plane ends the stream. While one is
// worked on, and while a reply waits to be taken, no other is received: the
// data plane's own flow control is the brake.
func (st *stream) serve() error {
	for {
		req, err := st.grpc.Recv()
		if err == nil {
			err = st.work(req)
		}
		if err == nil {
			continue
		}
		// Streams end by being canceled, more often than not.
		if errors.Is(err, io.EOF) || status.Code(err) == codes.Canceled || st.ctx.Err() != nil {
			return nil
		}
		if status.Code(err) == codes.ResourceExhausted && st.run != nil {
			st.run.Reach(pipeline.MaxMessageBytes)
		}
		return err
	}
}

// work handles one message, within the stream's lifetime.
func (st *stream) work(req *extprocv3.ProcessingRequest) error {
	st.life.working.Lock()
	defer st.life.working.Unlock()
	st.life.touch()
	if err := st.handle(req); err != nil {
		return err
	}
	if st.life.late.Load() {
		if left, bound := st.life.left(); left <= 0 && !st.expire(bound) {
			st.life.late.Store(false)
		}
	}
	return nil
}

func (st *stream) handle(req *extprocv3.ProcessingRequest) error {
	if !st.configured {
		st.configure(req)
	}
	if st.run != nil {
		attributes(st.run.Exchange(), req.GetAttributes())
	}
	switch m := req.GetRequest().(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		st.server.opt.Metrics.Message(filters.RequestHeaders)
		return st.headers(filters.Request, m.RequestHeaders, req)
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		st.server.opt.Metrics.Message(filters.ResponseHeaders)
		return st.headers(filters.Response, m.ResponseHeaders, req)
	case *extprocv3.ProcessingRequest_RequestBody:
		st.server.opt.Metrics.Message(filters.RequestBody)
		return st.body(filters.Request, m.RequestBody, req)
	case *extprocv3.ProcessingRequest_ResponseBody:
		st.server.opt.Metrics.Message(filters.ResponseBody)
		return st.body(filters.Response, m.ResponseBody, req)
	case *extprocv3.ProcessingRequest_RequestTrailers:
		st.server.opt.Metrics.Message(filters.RequestTrailers)
		return st.trailers(filters.Request, m.RequestTrailers, req)
	case *extprocv3.ProcessingRequest_ResponseTrailers:
		st.server.opt.Metrics.Message(filters.ResponseTrailers)
		return st.trailers(filters.Response, m.ResponseTrailers, req)
	}
	// A message of a later version of the protocol: there is no reply to it
	// that would be right.
	return status.Error(codes.InvalidArgument, "the message has no known phase")
}

// configure takes from the first message, whatever it is, what is said once a
// stream.
func (st *stream) configure(req *extprocv3.ProcessingRequest) {
	st.configured = true
	st.observe = req.GetObservabilityMode()
	c := req.GetProtocolConfig()
	st.lanes[filters.Request].configure(c.GetRequestBodyMode())
	st.lanes[filters.Response].configure(c.GetResponseBodyMode())
	st.early = c.GetSendBodyWithoutWaitingForHeaderResponse()
}

// begin starts the run. The request's headers are in ex where they were sent.
func (st *stream) begin(ex *filters.Exchange, req *extprocv3.ProcessingRequest) {
	ex.Started = st.server.opt.Now()
	ex.ID = exchangeID(&ex.Request.Headers)
	ex.Metadata = metadataOf(req.GetMetadataContext())
	for _, as := range []*extprocv3.HttpHeaders{req.GetRequestHeaders(), req.GetResponseHeaders()} {
		//lint:ignore SA1019 older data planes write them there
		//lint:ignore SA1019 older data planes write them there
		attributes(ex, as.GetAttributes())
	}
	attributes(ex, req.GetAttributes())
	chains, limits := st.server.policies.Begin(st.ctx, ex)
	st.limits = limits.WithDefaults()
	st.run = pipeline.NewRun(ex, chains, pipeline.Options{
		Limits: st.limits, Room: st, Recorder: st.server.opt.Recorder, ObserveOnly: st.observe, Now: st.server.opt.Now,
	})
	st.count(&st.limits)
	if b, full := st.server.full(&st.limits); full {
		st.run.Refuse(b)
	}
}

// exchange returns the exchange, begun if it has not been: the request phases
// may have been skipped.
func (st *stream) exchange(req *extprocv3.ProcessingRequest) *filters.Exchange {
	if st.run == nil {
		st.begin(&filters.Exchange{}, req)
	}
	return st.run.Exchange()
}

func (st *stream) headers(d filters.Direction, h *extprocv3.HttpHeaders, req *extprocv3.ProcessingRequest) error {
	l := &st.lanes[d]
	if st.denied || l.began {
		return nil
	}
	l.began = true
	hs := fields(h.GetHeaders())
	if d == filters.Request && st.run == nil {
		ex := &filters.Exchange{}
		ex.Request.Headers = hs
		st.begin(ex, req)
	}
	ex := st.exchange(req)
	ex.Message(d).Headers = hs
	if d == filters.Response && len(req.GetMetadataContext().GetFilterMetadata()) > 0 {
		ex.Metadata = metadataOf(req.GetMetadataContext())
	}
	end := h.GetEndOfStream()
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

func (st *stream) body(d filters.Direction, b *extprocv3.HttpBody, req *extprocv3.ProcessingRequest) error {
	l := &st.lanes[d]
	st.exchange(req)
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
		return l.emitter().empty(st, l, b.GetBody())
	}
	if err := st.extend(l, filters.BodyPhase(d)); err != nil {
		return err
	}
	eos := b.GetEndOfStream()
	chunk := b.GetBody()
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

func (st *stream) trailers(d filters.Direction, tr *extprocv3.HttpTrailers, req *extprocv3.ProcessingRequest) error {
	l := &st.lanes[d]
	ex := st.exchange(req)
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
	ex.Message(d).Trailers = fields(tr.GetTrailers())
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
	return st.send(&extprocv3.ProcessingResponse{OverrideMessageTimeout: durationpb.New(d)})
}

func (st *stream) send(r *extprocv3.ProcessingResponse) error {
	if st.observe {
		return nil
	}
	err := st.grpc.Send(r)
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
	n, err := strconv.ParseInt(h.Get("content-length"), 10, 64)
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
