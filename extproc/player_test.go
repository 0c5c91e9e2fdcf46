package extproc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	modev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-proxy/sluice/extproc"
	"github.com/sluice-proxy/sluice/filters"
)

const (
	none       = modev3.ProcessingMode_NONE
	buffered   = modev3.ProcessingMode_BUFFERED
	partial    = modev3.ProcessingMode_BUFFERED_PARTIAL
	streamed   = modev3.ProcessingMode_STREAMED
	fullDuplex = modev3.ProcessingMode_FULL_DUPLEX_STREAMED
)

type bodyMode = modev3.ProcessingMode_BodySendMode

// ending is how a body ends.
type ending int

const (
	eosOnLast ending = iota
	eosEmpty
	byTrailers
)

func (e ending) String() string { return [...]string{"eos", "empty eos", "trailers"}[e] }

// message is one direction of an exchange, as the far side sends it.
type message struct {
	headers  []filters.Field
	body     string
	cuts     []int // where the data plane's messages are cut
	ending   ending
	trailers []filters.Field
}

func (m message) chunks() []string {
	var out []string
	at := 0
	for _, c := range m.cuts {
		out = append(out, m.body[at:c])
		at = c
	}
	return append(out, m.body[at:])
}

// plane plays a data plane as strictly as the real one: it keeps to the
// message order of each body mode, and fails on a reply that the mode has no
// place for.
type plane struct {
	modes [2]bodyMode
	// skipTrailers: trailers are not sent to the processor.
	skipTrailers bool
	// metadata are the stream's declarations.
	metadata []string
	// allowOverride is the configuration's allow_mode_override.
	allowOverride bool
	// bufferLimit is where BUFFERED_PARTIAL cuts; 1 MiB where 0.
	bufferLimit int
	// repeatEnd delivers the end of a full-duplex body twice.
	repeatEnd bool
	observe   bool
}

// result is what comes out at the other side.
type result struct {
	headers, trailers filters.Headers
	body              string
	denial            *extprocv3.ImmediateResponse
	replies           int
	timeouts          []time.Duration
	metadata          map[string]any
	clearRoute        bool
	// bypassed: the rest of the body went on without the processor.
	bypassed bool
}

// client is a data plane's connection.
type client struct {
	t    *testing.T
	conn *grpc.ClientConn
}

func dial(t *testing.T, s *extproc.Server) *client {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	addresses, stopped := make(chan []net.Addr, 1), make(chan error, 1)
	go func() {
		stopped <- s.Serve(ctx, func(addrs []net.Addr) { addresses <- addrs }, extproc.Listener{Address: "127.0.0.1:0"})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	conn, err := grpc.NewClient((<-addresses)[0].String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(32<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t, conn}
}

// exchange is one stream at work.
type exchange struct {
	p      plane
	stream extprocv3.ExternalProcessor_ProcessClient
	cancel context.CancelFunc
	first  bool
	modes  [2]bodyMode
}

func (c *client) open(p plane) *exchange {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	ctx = metadata.AppendToOutgoingContext(ctx, p.metadata...)
	stream, err := extprocv3.NewExternalProcessorClient(c.conn).Process(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(cancel)
	return &exchange{p: p, stream: stream, cancel: cancel, first: true, modes: p.modes}
}

func (x *exchange) send(m *extprocv3.ProcessingRequest) error {
	if x.first {
		x.first = false
		m.ProtocolConfig = &extprocv3.ProtocolConfiguration{RequestBodyMode: x.p.modes[0], ResponseBodyMode: x.p.modes[1]}
	}
	m.ObservabilityMode = x.p.observe
	return x.stream.Send(m)
}

func headerMap(fs []filters.Field) *corev3.HeaderMap {
	m := &corev3.HeaderMap{}
	for _, f := range fs {
		m.Headers = append(m.Headers, &corev3.HeaderValue{Key: f.Name, RawValue: []byte(f.Value)})
	}
	return m
}

func headersOf(d filters.Direction, fs []filters.Field, end bool) *extprocv3.ProcessingRequest {
	h := &extprocv3.HttpHeaders{Headers: headerMap(fs), EndOfStream: end}
	if d == filters.Request {
		return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: h}}
	}
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: h}}
}

func bodyOf(d filters.Direction, chunk string, end bool) *extprocv3.ProcessingRequest {
	b := &extprocv3.HttpBody{Body: []byte(chunk), EndOfStream: end}
	if d == filters.Request {
		return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{RequestBody: b}}
	}
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseBody{ResponseBody: b}}
}

func trailersOf(d filters.Direction, fs []filters.Field) *extprocv3.ProcessingRequest {
	t := &extprocv3.HttpTrailers{Trailers: headerMap(fs)}
	if d == filters.Request {
		return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestTrailers{RequestTrailers: t}}
	}
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseTrailers{ResponseTrailers: t}}
}

// errDenied ends a direction early: an immediate response has come.
var errDenied = errors.New("denied")

// reply is a reply with what is common to all of them taken out.
type reply struct {
	headers  *extprocv3.HeadersResponse
	body     *extprocv3.BodyResponse
	trailers *extprocv3.TrailersResponse
}

// recv returns the next reply to direction d.
func (x *exchange) recv(d filters.Direction, res *result) (reply, error) {
	for {
		m, err := x.stream.Recv()
		if err != nil {
			return reply{}, err
		}
		if len(m.GetDynamicMetadata().GetFields()) > 0 {
			res.metadata = m.GetDynamicMetadata().AsMap()
		}
		if o := m.GetOverrideMessageTimeout(); o != nil {
			if m.Response != nil {
				return reply{}, errors.New("a timeout override has to be a message of its own")
			}
			res.timeouts = append(res.timeouts, o.AsDuration())
			continue
		}
		if o := m.GetModeOverride(); o != nil {
			if err := x.override(o); err != nil {
				return reply{}, err
			}
			if m.Response == nil {
				return reply{}, nil
			}
		}
		res.replies++
		var r reply
		of := d
		switch v := m.Response.(type) {
		case *extprocv3.ProcessingResponse_ImmediateResponse:
			res.denial = v.ImmediateResponse
			return reply{}, errDenied
		case *extprocv3.ProcessingResponse_RequestHeaders:
			r.headers, of = v.RequestHeaders, filters.Request
		case *extprocv3.ProcessingResponse_ResponseHeaders:
			r.headers, of = v.ResponseHeaders, filters.Response
		case *extprocv3.ProcessingResponse_RequestBody:
			r.body, of = v.RequestBody, filters.Request
		case *extprocv3.ProcessingResponse_ResponseBody:
			r.body, of = v.ResponseBody, filters.Response
		case *extprocv3.ProcessingResponse_RequestTrailers:
			r.trailers, of = v.RequestTrailers, filters.Request
		case *extprocv3.ProcessingResponse_ResponseTrailers:
			r.trailers, of = v.ResponseTrailers, filters.Response
		default:
			return reply{}, fmt.Errorf("a reply of no kind: %T", m.Response)
		}
		if of != d {
			return reply{}, fmt.Errorf("spurious: a reply to the %s while the %s waits", of, d)
		}
		return r, nil
	}
}

func (x *exchange) override(o *modev3.ProcessingMode) error {
	if !x.p.allowOverride || x.p.modes[0] == fullDuplex || x.p.modes[1] == fullDuplex {
		return nil // ignored in silence
	}
	x.modes = [2]bodyMode{o.GetRequestBodyMode(), o.GetResponseBodyMode()}
	if o.GetRequestBodyMode() == fullDuplex && o.GetRequestTrailerMode() != modev3.ProcessingMode_SEND ||
		o.GetResponseBodyMode() == fullDuplex && o.GetResponseTrailerMode() != modev3.ProcessingMode_SEND {
		return errors.New("full duplex needs the trailers")
	}
	return nil
}

// mutate applies a mutation as the data plane does.
func mutate(h *filters.Headers, m *extprocv3.HeaderMutation) error {
	for _, name := range m.GetRemoveHeaders() {
		h.Apply(filters.Change{Op: filters.RemoveField, Name: name})
	}
	for _, o := range m.GetSetHeaders() {
		if o.GetHeader().GetValue() != "" {
			return errors.New("a value that is not raw becomes an empty header")
		}
		c := filters.Change{Name: o.GetHeader().GetKey(), Value: string(o.GetHeader().GetRawValue())}
		if strings.ContainsAny(c.Value, "\r\n\x00") || c.Name == "" || c.Name != strings.ToLower(c.Name) {
			return errors.New("header_mutation_invalid_character")
		}
		//lint:ignore SA1019 it is the field that Envoy reads
		//lint:ignore SA1019 the field that Envoy reads
		if o.GetAppend().GetValue() {
			c.Op = filters.AddField
		}
		h.Apply(c)
	}
	return nil
}

// play sends one direction and returns what comes out of it.
func (x *exchange) play(d filters.Direction, m message) (*result, error) {
	res := &result{headers: filters.NewHeaders(slices.Clone(m.headers)...)}
	hasBody := m.body != "" || m.ending == byTrailers
	if err := x.send(headersOf(d, m.headers, !hasBody)); err != nil {
		return res, err
	}
	waiting := true
	if x.modes[d] != fullDuplex {
		r, err := x.recv(d, res)
		if err != nil {
			return res, err
		}
		if r.headers != nil {
			waiting = false
			if err := x.headersReply(r.headers, res); err != nil {
				return res, err
			}
		} else if x.modes[d] != fullDuplex {
			return res, fmt.Errorf("the reply to the headers is missing in %s", x.modes[d])
		}
	}
	if !hasBody {
		if waiting {
			return res, x.awaitHeaders(d, res)
		}
		return res, nil
	}
	switch x.modes[d] {
	case none:
		res.body = m.body
		res.trailers = filters.NewHeaders(m.trailers...)
		if m.ending == byTrailers && !x.p.skipTrailers {
			return res, x.trailers(d, m, res)
		}
		return res, nil
	case buffered, partial:
		return res, x.bufferedBody(d, m, res)
	case streamed:
		return res, x.streamedBody(d, m, res)
	case fullDuplex:
		return res, x.duplexBody(d, m, res, waiting)
	}
	return res, fmt.Errorf("mode %s", x.modes[d])
}

func (x *exchange) awaitHeaders(d filters.Direction, res *result) error {
	r, err := x.recv(d, res)
	if err != nil {
		return err
	}
	if r.headers == nil {
		return errors.New("something else came before the reply to the headers")
	}
	return x.headersReply(r.headers, res)
}

func (x *exchange) headersReply(h *extprocv3.HeadersResponse, res *result) error {
	res.clearRoute = h.GetResponse().GetClearRouteCache()
	if h.GetResponse().GetBodyMutation() != nil {
		return errors.New("a body in the reply to the headers")
	}
	return mutate(&res.headers, h.GetResponse().GetHeaderMutation())
}

func (x *exchange) trailers(d filters.Direction, m message, res *result) error {
	res.trailers = filters.NewHeaders(slices.Clone(m.trailers)...)
	if x.p.skipTrailers {
		return nil
	}
	if err := x.send(trailersOf(d, m.trailers)); err != nil {
		return err
	}
	r, err := x.recv(d, res)
	if err != nil {
		return err
	}
	if r.trailers == nil {
		return errors.New("spurious: not a reply to the trailers")
	}
	return mutate(&res.trailers, r.trailers.GetHeaderMutation())
}

// apply returns what a reply makes of a chunk outside full duplex.
func apply(chunk string, b *extprocv3.BodyResponse) (string, error) {
	switch m := b.GetResponse().GetBodyMutation().GetMutation().(type) {
	case nil:
		return chunk, nil
	case *extprocv3.BodyMutation_Body:
		return string(m.Body), nil
	case *extprocv3.BodyMutation_ClearBody:
		if m.ClearBody {
			return "", nil
		}
		return chunk, nil
	}
	return "", errors.New("spurious: a streamed reply outside full duplex")
}

func (x *exchange) bufferedBody(d filters.Direction, m message, res *result) error {
	sent, eos := m.body, m.ending != byTrailers
	limit := x.p.bufferLimit
	if limit == 0 {
		limit = 1 << 20
	}
	if x.modes[d] == partial {
		res.headers.Apply(filters.Change{Op: filters.RemoveField, Name: "content-length"})
		if len(sent) > limit {
			sent, eos, res.bypassed = sent[:limit], false, true
		}
	}
	if m.body != "" {
		if err := x.send(bodyOf(d, sent, eos)); err != nil {
			return err
		}
		r, err := x.recv(d, res)
		if err != nil {
			return err
		}
		if r.body == nil {
			return errors.New("spurious: not a reply to the body")
		}
		if res.body, err = apply(sent, r.body); err != nil {
			return err
		}
		res.body += m.body[len(sent):]
		if err := mutate(&res.headers, r.body.GetResponse().GetHeaderMutation()); err != nil {
			return err
		}
		if n := res.headers.Get("content-length"); n != "" && n != strconv.Itoa(len(res.body)) {
			return errors.New("mismatch_between_content_length_and_the_length_of_the_mutated_body")
		}
	}
	if m.ending == byTrailers {
		return x.trailers(d, m, res)
	}
	return nil
}

// dropLength: the data plane takes the length away where the mode that it was
// configured with lets a body change on its way, not where that was overridden.
func (x *exchange) dropLength(d filters.Direction, res *result) {
	if x.p.modes[d] == x.modes[d] {
		res.headers.Apply(filters.Change{Op: filters.RemoveField, Name: "content-length"})
	}
}

func (x *exchange) streamedBody(d filters.Direction, m message, res *result) error {
	x.dropLength(d, res)
	chunks := m.chunks()
	if m.ending == eosEmpty {
		chunks = append(chunks, "")
	}
	var out strings.Builder
	for i, c := range chunks {
		if err := x.send(bodyOf(d, c, m.ending != byTrailers && i == len(chunks)-1)); err != nil {
			return err
		}
		r, err := x.recv(d, res)
		if err != nil {
			return err
		}
		if r.body == nil {
			return errors.New("spurious: not a reply to the body")
		}
		piece, err := apply(c, r.body)
		if err != nil {
			return err
		}
		out.WriteString(piece)
		res.body = out.String()
	}
	if m.ending == byTrailers {
		return x.trailers(d, m, res)
	}
	return nil
}

func (x *exchange) duplexBody(d filters.Direction, m message, res *result, waiting bool) error {
	x.dropLength(d, res)
	chunks := m.chunks()
	if m.body == "" {
		chunks = nil
	}
	if m.ending == eosEmpty {
		chunks = append(chunks, "")
	}
	// Nothing waits for replies: they are read while the body is sent.
	sent := make(chan error, 1)
	go func() {
		sent <- func() error {
			for i, c := range chunks {
				last := m.ending != byTrailers && i == len(chunks)-1
				if err := x.send(bodyOf(d, c, last)); err != nil {
					return err
				}
				if last && x.p.repeatEnd {
					if err := x.send(bodyOf(d, c, true)); err != nil {
						return err
					}
				}
			}
			if m.ending == byTrailers {
				return x.send(trailersOf(d, m.trailers))
			}
			return nil
		}()
	}()
	defer func() { <-sent }()
	var out strings.Builder
	for {
		r, err := x.recv(d, res)
		switch {
		case err != nil:
			return err
		case r.headers != nil:
			if !waiting {
				return errors.New("spurious: a second reply to the headers")
			}
			waiting = false
			if err := x.headersReply(r.headers, res); err != nil {
				return err
			}
		case waiting:
			return errors.New("the body came before the headers")
		case r.trailers != nil:
			if m.ending != byTrailers {
				return errors.New("spurious: trailers where none were sent")
			}
			res.trailers = filters.NewHeaders(slices.Clone(m.trailers)...)
			return mutate(&res.trailers, r.trailers.GetHeaderMutation())
		case r.body != nil:
			s, ok := r.body.GetResponse().GetBodyMutation().GetMutation().(*extprocv3.BodyMutation_StreamedResponse)
			if !ok {
				return errors.New("spurious: not a streamed reply in full duplex")
			}
			if n := proto.Size(s.StreamedResponse); n > 64<<10 {
				return fmt.Errorf("a chunk of %d bytes", n)
			}
			out.Write(s.StreamedResponse.GetBody())
			res.body = out.String()
			if s.StreamedResponse.GetEndOfStream() {
				if m.ending == byTrailers {
					return errors.New("the end is the trailers'")
				}
				return nil
			}
		}
	}
}

// end closes the stream and reports what was still sent.
func (x *exchange) end() error {
	defer x.cancel()
	if err := x.stream.CloseSend(); err != nil {
		return err
	}
	m, err := x.stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("spurious: a %T after everything was answered", m.Response)
}
