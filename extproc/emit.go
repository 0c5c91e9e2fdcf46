package extproc

import (
	"bytes"
	"encoding/json"
	"strconv"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// emitter replies to the body messages of one body mode, and to trailers.
type emitter interface {
	// body replies to a message with chunk in it; eos is the data plane's mark.
	body(st *stream, l *lane, t pipeline.Turn, chunk []byte, eos bool) error
	// trailers replies to the trailers; t.Body is the body's tail.
	trailers(st *stream, l *lane, t pipeline.Turn) error
	// empty replies to a message that comes after the end; chunk goes nowhere.
	empty(st *stream, l *lane, chunk []byte) error
}

// maxChunk is the largest body chunk that is sent in full duplex.
const maxChunk = 62 << 10

// trailersReply sends the reply to the trailers.
func (st *stream) trailersReply(l *lane, t pipeline.Turn) error {
	msg := st.run.Exchange().Message(l.direction)
	return st.reply(&reply{phase: filters.TrailersPhase(l.direction), changes: t.Changes, view: &msg.Trailers, metadata: t.Metadata})
}

// duplexEmitter is FULL_DUPLEX_STREAMED: none to many chunks a message.
type duplexEmitter struct{}

func (duplexEmitter) body(st *stream, l *lane, t pipeline.Turn, _ []byte, eos bool) error {
	if err := l.release(st, &t); err != nil || st.denied {
		return err
	}
	if !l.answered {
		return nil // the headers wait, and so does the body
	}
	if len(t.Metadata) > 0 {
		empty := reply{phase: filters.BodyPhase(l.direction), body: bodyMutation{kind: emptyChunk}, metadata: t.Metadata}
		if err := st.reply(&empty); err != nil || st.denied {
			return err
		}
	}
	for rest := t.Body; len(rest) > 0 || eos; {
		n := min(len(rest), maxChunk)
		last := n == len(rest)
		if err := st.sendChunk(l.direction, rest[:n], eos && last); err != nil || last {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// release sends the reply to the headers that was held, once the body is in
// or need not be waited for any more.
func (l *lane) release(st *stream, t *pipeline.Turn) error {
	if l.answered || !l.ended && t.Course == pipeline.CollectBody {
		return nil
	}
	changes := append(l.heldChanges, t.Changes...)
	md := l.heldMetadata
	for ns, kv := range t.Metadata {
		if md == nil {
			md = map[string]map[string]any{}
		}
		md[ns] = kv
	}
	t.Changes, t.Metadata = nil, nil
	return l.replyHeaders(st, changes, md, l.heldClear || t.ClearRouteCache, nil)
}

func (e duplexEmitter) trailers(st *stream, l *lane, t pipeline.Turn) error {
	tail := pipeline.Turn{Body: t.Body, Course: t.Course, Changes: t.HeaderChanges, ClearRouteCache: t.ClearRouteCache}
	if err := e.body(st, l, tail, nil, false); err != nil || st.denied {
		return err
	}
	return st.trailersReply(l, t)
}

func (duplexEmitter) empty(*stream, *lane, []byte) error { return nil }

// streamedEmitter is STREAMED: exactly one reply a message.
type streamedEmitter struct{}

func (streamedEmitter) body(st *stream, l *lane, t pipeline.Turn, chunk []byte, _ bool) error {
	return st.reply(&reply{phase: filters.BodyPhase(l.direction), body: replacement(t.Body, chunk), metadata: t.Metadata})
}

func (streamedEmitter) trailers(st *stream, l *lane, t pipeline.Turn) error {
	if len(t.HeaderChanges) > 0 {
		// There was no body message in whose reply they could have gone.
		return st.deny(l.direction, refusedMutation())
	}
	return st.trailersReply(l, t)
}

func (streamedEmitter) empty(st *stream, l *lane, chunk []byte) error {
	return st.reply(&reply{phase: filters.BodyPhase(l.direction), body: replacement(nil, chunk)})
}

// bufferedEmitter is BUFFERED and BUFFERED_PARTIAL: one message with the
// body, in whose reply the headers can still be changed.
type bufferedEmitter struct{}

func (bufferedEmitter) body(st *stream, l *lane, t pipeline.Turn, chunk []byte, _ bool) error {
	msg := st.run.Exchange().Message(l.direction)
	r := reply{phase: filters.BodyPhase(l.direction), changes: t.Changes, view: &msg.Headers, body: replacement(t.Body, chunk), metadata: t.Metadata}
	r.clearRoute = t.ClearRouteCache && l.direction == filters.Request
	if r.body.kind != leaveBody && l.mode == buffered && msg.Headers.Has("content-length") {
		// The data plane answers 500 to a length that is not the body's. In
		// BUFFERED_PARTIAL, where more may follow, it drops the length itself.
		length := filters.Change{Op: filters.SetField, Name: "content-length", Value: strconv.Itoa(len(t.Body))}
		msg.Headers.Apply(length)
		r.changes = append(r.changes[:len(r.changes):len(r.changes)], length)
	}
	return st.reply(&r)
}

func (bufferedEmitter) trailers(st *stream, l *lane, t pipeline.Turn) error {
	if len(t.HeaderChanges) > 0 {
		// There was no body message in whose reply they could have gone.
		return st.deny(l.direction, refusedMutation())
	}
	return st.trailersReply(l, t)
}

func (bufferedEmitter) empty(st *stream, l *lane, chunk []byte) error {
	return st.reply(&reply{phase: filters.BodyPhase(l.direction), body: replacement(nil, chunk)})
}

// replacement is the body mutation that puts body in chunk's place.
func replacement(body, chunk []byte) bodyMutation {
	switch {
	case bytes.Equal(body, chunk):
		return bodyMutation{}
	case len(body) == 0:
		return bodyMutation{kind: clearBody}
	}
	return bodyMutation{kind: replaceBody, body: body}
}

// refusedMutation is the denial for a change that the data plane would not
// take.
func refusedMutation() *filters.Denial {
	return &filters.Denial{Status: 500, Type: "urn:sluice:problem:refused-mutation", Title: "A change of the message is not valid"}
}

// deny gives the exchange a response of its own. After the response's headers
// have gone the data plane cuts the connection instead: nothing more of the
// body goes out.
func (st *stream) deny(d filters.Direction, den *filters.Denial) error {
	st.denied = true
	ex := st.run.Exchange()
	var body []byte
	h := &extprocv3.HeaderMutation{}
	if ex.Request.Headers.Get(":method") != "HEAD" {
		body = problem(den, ex.ID)
		h.SetHeaders = append(h.SetHeaders, setHeader("content-type", "application/problem+json"))
	}
	for _, f := range den.Headers {
		if validName(f.Name) && validValue(f.Value) {
			h.SetHeaders = append(h.SetHeaders, setHeader(f.Name, f.Value))
		}
	}
	return st.send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ImmediateResponse{ImmediateResponse: &extprocv3.ImmediateResponse{
		Status:  &typev3.HttpStatus{Code: typev3.StatusCode(den.Status)},
		Headers: h,
		Body:    body,
		Details: "sluice_denied_" + d.String(),
	}}})
}

func setHeader(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: name, RawValue: []byte(value)}}
}

// problem writes the problem document of RFC 9457.
func problem(d *filters.Denial, id string) []byte {
	m := make(map[string]any, len(d.Extensions)+5)
	for k, v := range d.Extensions {
		m[k] = v
	}
	m["type"] = "about:blank"
	if d.Type != "" {
		m["type"] = d.Type
	}
	m["status"] = d.Status
	m["instance"] = "urn:sluice:exchange:" + id
	for k, v := range map[string]string{"title": d.Title, "detail": d.Detail} {
		if v != "" {
			m[k] = v
		}
	}
	b, err := json.Marshal(m)
	if err != nil { // an extension that has no JSON form
		b, _ = json.Marshal(map[string]any{"type": m["type"], "status": d.Status})
	}
	return b
}
