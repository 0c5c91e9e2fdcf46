package telemetry

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// The fields of OTLP's messages that are written here
// (https://github.com/open-telemetry/opentelemetry-proto, trace_service.proto,
// trace.proto and common.proto).
const (
	requestResourceSpans    protowire.Number = 1
	resourceSpansScopeSpans protowire.Number = 2
	scopeSpansSpans         protowire.Number = 2

	spanTraceID      protowire.Number = 1
	spanID           protowire.Number = 2
	spanParentSpanID protowire.Number = 4
	spanName         protowire.Number = 5
	spanKind         protowire.Number = 6
	spanStart        protowire.Number = 7
	spanEnd          protowire.Number = 8
	spanAttributes   protowire.Number = 9
	spanStatus       protowire.Number = 15
	spanFlags        protowire.Number = 16

	statusMessage protowire.Number = 2
	statusCode    protowire.Number = 3

	attributeKey   protowire.Number = 1
	attributeValue protowire.Number = 2
	valueString    protowire.Number = 1
	valueInt       protowire.Number = 3
	valueDouble    protowire.Number = 4
)

// A span begins with what all have, each in its place: a span is a copy of what
// is known of it beforehand, with the rest filled in and more behind it. In
// front is the field "spans" of a ScopeSpans, with two bytes for its length.
const (
	lengthAt  = 1
	spanAt    = lengthAt + 2
	traceIDAt = spanAt + 2
	spanIDAt  = traceIDAt + 16 + 2
	startAt   = spanIDAt + 8 + 1
	endAt     = startAt + 8 + 1
)

// spans are spans as they go to the collector: a sequence of the field "spans" of
// a ScopeSpans.
type spans struct {
	encoded []byte
	begun   int // where in encoded the span that is being written begins
}

// spanOf begins a span that is to be copied.
func spanOf(name string, kind tracepb.Span_SpanKind) *spans {
	b := []byte{tag(scopeSpansSpans), 0, 0}
	b = append(appendLength(b, spanTraceID, 16), make([]byte, 16)...)
	b = append(appendLength(b, spanID, 8), make([]byte, 8)...)
	b = protowire.AppendFixed64(protowire.AppendTag(b, spanStart, protowire.Fixed64Type), 0)
	b = protowire.AppendFixed64(protowire.AppendTag(b, spanEnd, protowire.Fixed64Type), 0)
	b = protowire.AppendVarint(protowire.AppendTag(b, spanKind, protowire.VarintType), uint64(kind))
	s := &spans{encoded: b}
	s.text(spanName, name)
	return s
}

func newTraceID() (id trace.TraceID) {
	for !id.IsValid() {
		binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
		binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	}
	return id
}

func newSpanID() (id trace.SpanID) {
	for !id.IsValid() {
		binary.NativeEndian.PutUint64(id[:], rand.Uint64())
	}
	return id
}

// beginExchange and beginStep begin a span of an exchange, and of a decision in
// it, with a copy of one that was begun with spanOf. What follows up to end
// belongs to it.
func (s *spans) beginExchange(like []byte, of *pipeline.Trace, start time.Time, took time.Duration) {
	remote := trace.SpanID(of.Parent).IsValid()
	s.begin(like, of.ID, of.Span, of.Parent, remote, start, took)
}

func (s *spans) beginStep(like []byte, in *pipeline.Trace, start time.Time, took time.Duration) {
	s.begin(like, in.ID, newSpanID(), in.Span, false, start, took)
}

func (s *spans) begin(like []byte, in trace.TraceID, id, parent trace.SpanID, remote bool, start time.Time, took time.Duration) {
	s.begun = len(s.encoded)
	s.encoded = append(s.encoded, like...)
	b := s.encoded[s.begun:]
	copy(b[traceIDAt:], in[:])
	copy(b[spanIDAt:], id[:])
	at := start.UnixNano()
	binary.LittleEndian.PutUint64(b[startAt:], uint64(max(0, at)))
	binary.LittleEndian.PutUint64(b[endAt:], uint64(max(0, at+int64(took))))
	flags := uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK) | uint32(trace.FlagsSampled)
	if remote {
		flags |= uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
	}
	b = protowire.AppendFixed32(protowire.AppendTag(s.encoded, spanFlags, protowire.Fixed32Type), flags)
	if parent.IsValid() {
		b = append(appendLength(b, spanParentSpanID, len(parent)), parent[:]...)
	}
	s.encoded = b
}

// end ends the span: only now is it known how long it is.
func (s *spans) end() {
	n := len(s.encoded) - s.begun - spanAt
	if length := s.encoded[s.begun+lengthAt : s.begun+spanAt]; n>>7 > 0 && n>>14 == 0 {
		length[0], length[1] = byte(n)|0x80, byte(n>>7)
		return
	}
	var room [binary.MaxVarintLen64]byte
	s.encoded = slices.Replace(s.encoded, s.begun+lengthAt, s.begun+spanAt, protowire.AppendVarint(room[:0], uint64(n))...)
}

// failed sets the span's status.
func (s *spans) failed(reason string) {
	reason = valid(reason)
	code := uint64(tracepb.Status_STATUS_CODE_ERROR)
	b := appendLength(s.encoded, spanStatus, sizeOf(statusMessage, len(reason))+protowire.SizeTag(statusCode)+protowire.SizeVarint(code))
	b = append(appendLength(b, statusMessage, len(reason)), reason...)
	s.encoded = protowire.AppendVarint(protowire.AppendTag(b, statusCode, protowire.VarintType), code)
}

// attribute, attributeInt and attributeFloat add an attribute to the span. Of
// attributeInt, the attribute's name is prefix and name together.
func (s *spans) attribute(name, value string) {
	value = valid(value)
	s.key(name, "", sizeOf(valueString, len(value)))
	s.text(valueString, value)
}

func (s *spans) attributeInt(prefix, name string, value int64) {
	name = valid(name)
	if key := len(prefix) + len(name); key < 64 && value >= 0 && value < 128 { // a byte each, as nearly always
		b := append(s.encoded, tag(spanAttributes), byte(key)+6, tag(attributeKey), byte(key))
		b = append(append(b, prefix...), name...)
		s.encoded = append(b, tag(attributeValue), 2, byte(valueInt)<<3, byte(value))
		return
	}
	s.key(prefix, name, protowire.SizeTag(valueInt)+protowire.SizeVarint(uint64(value)))
	s.encoded = protowire.AppendVarint(protowire.AppendTag(s.encoded, valueInt, protowire.VarintType), uint64(value))
}

func (s *spans) attributeFloat(name string, value float64) {
	s.key(name, "", protowire.SizeTag(valueDouble)+protowire.SizeFixed64())
	s.encoded = protowire.AppendFixed64(protowire.AppendTag(s.encoded, valueDouble, protowire.Fixed64Type), math.Float64bits(value))
}

// key writes an attribute up to its value, of which size bytes follow.
func (s *spans) key(prefix, name string, size int) {
	key := len(prefix) + len(name)
	b := s.encoded
	if all := 4 + key + size; all < 128 { // a byte each, as nearly always
		b = append(b, tag(spanAttributes), byte(all), tag(attributeKey), byte(key))
		b = append(b, prefix...)
		b = append(b, name...)
		s.encoded = append(b, tag(attributeValue), byte(size))
		return
	}
	b = appendLength(b, spanAttributes, sizeOf(attributeKey, key)+sizeOf(attributeValue, size))
	b = appendLength(b, attributeKey, key)
	b = append(b, prefix...)
	b = append(b, name...)
	s.encoded = appendLength(b, attributeValue, size)
}

func (s *spans) text(field protowire.Number, value string) {
	s.encoded = append(appendLength(s.encoded, field, len(value)), value...)
}

// appendLength appends what stands before the n bytes of a field.
func appendLength(b []byte, field protowire.Number, n int) []byte {
	if field < 16 && n < 128 { // a byte each, as nearly always
		return append(b, tag(field), byte(n))
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.BytesType), uint64(n))
}

// tag is the tag of a field below 16 that has a length.
func tag(field protowire.Number) byte {
	return byte(protowire.EncodeTag(field, protowire.BytesType))
}

// sizeOf is the size of a field with n bytes in it.
func sizeOf(field protowire.Number, n int) int {
	return protowire.SizeTag(field) + protowire.SizeBytes(n)
}

// valid returns text as protobuf takes it: a single bad byte, which an
// exchange's id from outside may have, would spoil the whole batch.
func valid(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
