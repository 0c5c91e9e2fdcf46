package extproc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	modev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-proxy/sluice/extproc"
	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/h2"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// script is a data plane whose messages are there from the beginning. It keeps
// the replies by the message that they were sent at.
type script struct {
	headers map[string]string
	in      []*extprocv3.ProcessingRequest
	replies [][]*extprocv3.ProcessingResponse
	err     error // of a reply that is none
}

func (s *script) Context() context.Context { return context.Background() }

func (s *script) Header(name string) string { return s.headers[name] }

func (s *script) Flush() {}

func (s *script) End(error) {}

func (s *script) Wake(time.Time) {}

func (s *script) Send(head, tail []byte) error {
	message := slices.Concat(head, tail)
	r := &extprocv3.ProcessingResponse{}
	if err := proto.Unmarshal(message, r); err != nil {
		s.err = err
	}
	last := len(s.replies) - 1
	s.replies[last] = append(s.replies[last], r)
	return nil
}

// run plays the messages to a server, to the first that it refuses.
func (s *script) run(server *extproc.Server) error {
	session := server.OpenPeer(s)
	var err error
	for _, m := range s.in {
		b, merr := proto.Marshal(m)
		if merr != nil {
			return merr
		}
		s.replies = append(s.replies, nil)
		if err = session.Message(b); errors.Is(err, h2.ErrApart) {
			err = session.Message(b)
		}
		if err != nil {
			break
		}
	}
	session.Close(err)
	return errors.Join(s.err, err)
}

// policiesOf are the steps of the fuzz targets: of every kind of need, failing
// open and closed, acting and not.
func policiesOf(t testing.TB) []*steps {
	shadow := func(s *pipeline.Step) { s.Mode = pipeline.Shadow }
	mixed := both(t, mask)
	for d, steps := range []*[]*pipeline.Step{&mixed.chains.Request, &mixed.chains.Response} {
		*steps = append(*steps, compile(t, filters.Direction(d), []option{onError(filters.Continue)}, judge)...)
		*steps = append(*steps, compile(t, filters.Direction(d), []option{shadow}, keep)...)
	}
	small := both(t, mask, judge)
	small.limits = pipeline.Limits{CollectBytes: 20, PieceBytes: 16, NameBytes: 8, Depth: 4}
	return []*steps{both(t), both(t, mask), both(t, mask, keep), both(t, judge), both(t, trailing, mask), mixed, small}
}

// sequence reads messages in any order from fuzz data.
func sequence(data []byte) []*extprocv3.ProcessingRequest {
	var out []*extprocv3.ProcessingRequest
	for len(data) >= 2 && len(out) < 64 {
		op, n := data[0], min(int(data[1]), len(data)-2)
		text := string(data[2 : 2+n])
		data = data[2+n:]
		d, end := filters.Direction(op>>2&1), op&8 != 0
		var m *extprocv3.ProcessingRequest
		switch op & 3 {
		case 0:
			hs := fieldsOf("content-type", []string{"application/json", "text/plain", "image/png", ""}[op>>4&3])
			if d == filters.Request {
				hs = append(post("/"+strconv.Itoa(n)), hs...)
			} else {
				hs = append(status("200"), hs...)
			}
			if op&64 != 0 {
				hs = append(hs, fieldsOf("content-length", strconv.Itoa(n))...)
			}
			if op&128 != 0 {
				hs = append(hs, fieldsOf("upgrade", "websocket", "connection", "upgrade", "content-encoding", "gzip")...)
			}
			m = headersOf(d, hs, end)
		case 1, 2:
			m = bodyOf(d, text, end)
		case 3:
			m = trailersOf(d, fieldsOf("x-drop", "1"))
			if op&16 != 0 {
				m = &extprocv3.ProcessingRequest{} // of no known phase
			}
		}
		out = append(out, m)
	}
	return out
}

var bodyModes = []bodyMode{none, streamed, buffered, partial, fullDuplex, modev3.ProcessingMode_GRPC}

// FuzzStream: whatever messages come, in whatever order, the stream ends, and
// no reply is sent that the data plane has no place for.
func FuzzStream(f *testing.F) {
	for _, which := range []uint8{0, 1, 2, 3, 4, 5, 6} {
		for _, mode := range []uint8{1, 2, 3, 4} {
			f.Add(which, mode, mode, uint8(0), []byte("\x00\x00\x01\x0c[\"jane@exampl\x09\x03e\"]\x04\x00\x05\x09[\"b@c.de\"]\x07\x00"))
		}
	}
	f.Add(uint8(1), uint8(4), uint8(4), uint8(3), []byte("\x00\x00\x09\x03a@b\x09\x03a@b\x03\x00\x03\x00\x0c\x00\x0d\x01x"))
	sets := policiesOf(f)
	f.Fuzz(func(t *testing.T, which, request, response, flags uint8, data []byte) {
		p := plane{modes: [2]bodyMode{bodyModes[int(request)%len(bodyModes)], bodyModes[int(response)%len(bodyModes)]}, observe: flags&1 != 0, allowOverride: flags&2 != 0}
		in := sequence(data)
		if len(in) == 0 {
			return
		}
		in[0].ProtocolConfig = &extprocv3.ProtocolConfiguration{RequestBodyMode: p.modes[0], ResponseBodyMode: p.modes[1], SendBodyWithoutWaitingForHeaderResponse: flags&4 != 0}
		for _, m := range in {
			m.ObservabilityMode = p.observe
		}
		headers := map[string]string{}
		if p.allowOverride {
			headers["sluice-mode-override"] = "true"
		}
		b := &book{}
		server := extproc.New(sets[int(which)%len(sets)], extproc.Options{Recorder: b, Metrics: b})
		s := &script{headers: headers, in: in}
		_ = s.run(server) // only a message of no known phase is an error
		if s.err != nil {
			t.Fatal(s.err)
		}
		if b.opened != 1 || b.closed != 1 || server.Held() != 0 || len(b.summaries) > 1 {
			t.Fatalf("opened %d, closed %d, %d bytes held, %d summaries", b.opened, b.closed, server.Held(), len(b.summaries))
		}
		if err := s.legal(p); err != nil {
			t.Fatal(err)
		}
	})
}

// legal reports the first reply that a data plane has no place for.
func (s *script) legal(p plane) error {
	modes := p.modes
	type side struct{ answered, ended, eosCame, trailers, began bool }
	var sides [2]side
	denied := false
	for i, rs := range s.replies {
		in := s.in[i]
		d, phase := phaseOf(in)
		side := &sides[d]
		mode := modes[d]
		first := !side.began
		side.began = true
		if phase == 'b' && in.GetRequestBody().GetEndOfStream() || in.GetResponseBody().GetEndOfStream() {
			side.eosCame = true
		}
		if p.observe && len(rs) > 0 {
			return fmt.Errorf("message %d: a reply to a data plane that only shows", i)
		}
		bodies := 0
		for _, r := range rs {
			if denied {
				return fmt.Errorf("message %d: a reply after the denial", i)
			}
			if o := r.GetModeOverride(); o != nil {
				if !p.allowOverride || p.modes[0] == fullDuplex || p.modes[1] == fullDuplex {
					return fmt.Errorf("message %d: an override that is not allowed", i)
				}
				modes = [2]bodyMode{o.GetRequestBodyMode(), o.GetResponseBodyMode()}
			}
			var body *extprocv3.BodyResponse
			of := filters.Request
			switch m := r.GetResponse().(type) {
			case nil:
				if r.GetModeOverride() == nil {
					return fmt.Errorf("message %d: an empty reply", i)
				}
				continue
			case *extprocv3.ProcessingResponse_ImmediateResponse:
				denied = true
				if c := m.ImmediateResponse.GetStatus().GetCode(); c < 400 || c >= 502 && c <= 504 {
					return fmt.Errorf("message %d: denied with %d", i, c)
				}
				continue
			case *extprocv3.ProcessingResponse_ResponseHeaders, *extprocv3.ProcessingResponse_RequestHeaders:
				if _, ok := m.(*extprocv3.ProcessingResponse_ResponseHeaders); ok {
					of = filters.Response
				}
				if sides[of].answered {
					return fmt.Errorf("message %d: a second reply to the headers", i)
				}
				sides[of].answered = true
			case *extprocv3.ProcessingResponse_RequestBody:
				body = m.RequestBody
			case *extprocv3.ProcessingResponse_ResponseBody:
				body, of = m.ResponseBody, filters.Response
			case *extprocv3.ProcessingResponse_ResponseTrailers, *extprocv3.ProcessingResponse_RequestTrailers:
				if _, ok := m.(*extprocv3.ProcessingResponse_ResponseTrailers); ok {
					of = filters.Response
				}
				if phase != 't' || sides[of].trailers {
					return fmt.Errorf("message %d: a reply to trailers that did not come", i)
				}
				sides[of].trailers = true
			}
			if of != d {
				return fmt.Errorf("message %d: a reply to the other direction", i)
			}
			if body == nil {
				continue
			}
			bodies++
			streamedReply, isStreamed := body.GetResponse().GetBodyMutation().GetMutation().(*extprocv3.BodyMutation_StreamedResponse)
			if isStreamed != (mode == fullDuplex) {
				return fmt.Errorf("message %d: a streamed reply is %t in %s", i, isStreamed, mode)
			}
			if !isStreamed {
				continue
			}
			if side.ended {
				return fmt.Errorf("message %d: a chunk after the end", i)
			}
			if side.trailers {
				return fmt.Errorf("message %d: a chunk after the trailers", i)
			}
			c := streamedReply.StreamedResponse
			if len(c.GetBody()) > 62<<10 {
				return fmt.Errorf("message %d: a chunk of %d bytes", i, len(c.GetBody()))
			}
			if c.GetEndOfStream() {
				if !side.eosCame {
					return fmt.Errorf("message %d: an end that the data plane did not send", i)
				}
				side.ended = true
			}
		}
		if p.observe || denied || phase != 'b' || mode == fullDuplex || mode == none || mode == modev3.ProcessingMode_GRPC {
			continue
		}
		if bodies != 1 && !(first && denied) {
			return fmt.Errorf("message %d: %d replies to a body in %s", i, bodies, mode)
		}
	}
	return nil
}

// phaseOf returns a message's direction, and h, b, t or 0.
func phaseOf(m *extprocv3.ProcessingRequest) (filters.Direction, byte) {
	switch m.GetRequest().(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		return filters.Request, 'h'
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		return filters.Response, 'h'
	case *extprocv3.ProcessingRequest_RequestBody:
		return filters.Request, 'b'
	case *extprocv3.ProcessingRequest_ResponseBody:
		return filters.Response, 'b'
	case *extprocv3.ProcessingRequest_RequestTrailers:
		return filters.Request, 't'
	case *extprocv3.ProcessingRequest_ResponseTrailers:
		return filters.Response, 't'
	}
	return filters.Request, 0
}

// FuzzExchange: the answer to a body does not depend on how the data plane
// cuts it, in any mode, and is the same in the modes that can do the same.
func FuzzExchange(f *testing.F) {
	for i, body := range []string{`{"email": "jane@example.com", "n": 1.10}`, `["forbidden"]`, `write to jane@example.com`, `{"a": "x@y`, `[[[[["a@b"]]]]]`, "\xef\xbb\xbf[1]"} {
		for _, which := range []uint8{1, 2, 3, 4, 5, 6} {
			f.Add(which, uint8(i), []byte(body), []byte{3, 1, 9})
		}
	}
	sets := policiesOf(f)
	f.Fuzz(func(t *testing.T, which, flags uint8, body, cuts []byte) {
		if len(body) == 0 || len(body) > 8<<10 {
			return
		}
		server := extproc.New(sets[int(which)%len(sets)], extproc.Options{})
		d := filters.Direction(flags & 1)
		ending := ending(int(flags>>1&3) % 3)
		sized := flags&8 != 0
		contentType := []string{"application/json", "text/plain"}[flags>>4&1]
		want := map[bodyMode]string{}
		for _, mode := range []bodyMode{buffered, partial, streamed, fullDuplex} {
			if mode == streamed && ending == byTrailers {
				continue // what is held at the end cannot be sent, and what is held depends on the cuts
			}
			whole := answer(server, mode, d, ending, sized, contentType, body, nil)
			want[mode] = whole
			if mode == buffered || mode == partial {
				continue // it comes in one message
			}
			if got := answer(server, mode, d, ending, sized, contentType, body, cuts); got != whole {
				t.Fatalf("%s, %s, %s: whole\n%s\ncut\n%s", mode, d, ending, whole, got)
			}
		}
		if want[buffered] != want[fullDuplex] || want[partial] != want[buffered] {
			t.Fatalf("buffered\n%s\npartial\n%s\nfull duplex\n%s", want[buffered], want[partial], want[fullDuplex])
		}
	})
}

// answer plays a body and writes down what comes of it: the denial, or what
// goes on.
func answer(server *extproc.Server, mode bodyMode, d filters.Direction, e ending, sized bool, contentType string, body, cuts []byte) string {
	hs := fieldsOf("content-type", contentType, "x-drop", "1")
	if sized {
		hs = append(hs, fieldsOf("content-length", strconv.Itoa(len(body)))...)
	}
	var in []*extprocv3.ProcessingRequest
	if d == filters.Request {
		hs = append(post("/"), hs...)
	} else {
		in = append(in, headersOf(filters.Request, get("/"), true))
		hs = append(status("200"), hs...)
	}
	in = append(in, headersOf(d, hs, false))
	rest := string(body)
	for _, n := range cuts {
		if int(n) < len(rest) && n > 0 {
			in = append(in, bodyOf(d, rest[:n], false))
			rest = rest[n:]
		}
	}
	in = append(in, bodyOf(d, rest, e == eosOnLast))
	if e == eosEmpty && (mode == streamed || mode == fullDuplex) {
		in = append(in, bodyOf(d, "", true))
	} else if e == eosEmpty {
		in[len(in)-1] = bodyOf(d, rest, true)
	}
	if e == byTrailers {
		in = append(in, trailersOf(d, fieldsOf("x-drop", "1")))
	}
	in[0].ProtocolConfig = &extprocv3.ProtocolConfiguration{RequestBodyMode: mode, ResponseBodyMode: mode}
	s := &script{in: in}
	if err := s.run(server); err != nil {
		return "error: " + err.Error()
	}
	out := result{headers: filters.NewHeaders(slices.Clone(hs)...), trailers: filters.NewHeaders(fieldsOf("x-drop", "1")...)}
	var text strings.Builder
	for i, rs := range s.replies {
		for _, r := range rs {
			if i == 0 && d == filters.Response {
				continue
			}
			var err error
			switch m := r.GetResponse().(type) {
			case *extprocv3.ProcessingResponse_ImmediateResponse:
				return "denied: " + m.ImmediateResponse.GetStatus().String()
			case *extprocv3.ProcessingResponse_RequestHeaders:
				err = mutate(&out.headers, m.RequestHeaders.GetResponse().GetHeaderMutation())
			case *extprocv3.ProcessingResponse_ResponseHeaders:
				err = mutate(&out.headers, m.ResponseHeaders.GetResponse().GetHeaderMutation())
			case *extprocv3.ProcessingResponse_RequestTrailers:
				err = mutate(&out.trailers, m.RequestTrailers.GetHeaderMutation())
			case *extprocv3.ProcessingResponse_ResponseTrailers:
				err = mutate(&out.trailers, m.ResponseTrailers.GetHeaderMutation())
			}
			if err != nil {
				return "refused: " + err.Error()
			}
			b := r.GetRequestBody()
			if b == nil {
				b = r.GetResponseBody()
			}
			if b == nil {
				continue
			}
			if mode == fullDuplex {
				text.Write(b.GetResponse().GetBodyMutation().GetStreamedResponse().GetBody())
				continue
			}
			_, chunk := bodyBytes(s.in[i])
			piece, err := apply(chunk, b)
			if err != nil {
				return "refused: " + err.Error()
			}
			text.WriteString(piece)
			if err := mutate(&out.headers, b.GetResponse().GetHeaderMutation()); err != nil {
				return "refused: " + err.Error()
			}
		}
	}
	// The data plane takes the length away itself, or has it put right.
	out.headers.Apply(filters.Change{Op: filters.RemoveField, Name: "content-length"})
	if e != byTrailers {
		out.trailers = filters.Headers{}
	}
	return join(out.headers) + "\n" + text.String() + "\n" + join(out.trailers)
}

func bodyBytes(m *extprocv3.ProcessingRequest) (filters.Direction, string) {
	if b := m.GetRequestBody(); b != nil {
		return filters.Request, string(b.GetBody())
	}
	return filters.Response, string(m.GetResponseBody().GetBody())
}
