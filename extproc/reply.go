package extproc

import (
	"errors"
	"fmt"
	"strings"

	modev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sluice-proxy/sluice/filters"
)

const (
	maxHeaderValue = 60 << 10 // Envoy answers 500 to 64 KiB and more
	maxMutations   = 100
)

// reply is what the data plane is told about one message: a ProcessingResponse
// that is written by hand, since the general writer takes an allocation for
// every part of it.
type reply struct {
	// phase is that of the message.
	phase filters.Phase
	// changes are to the headers, or to the trailers in their phase, and view
	// is what they came to.
	changes []filters.Change
	view    *filters.Headers
	// clearRoute only counts beside a change of the headers.
	clearRoute bool
	body       bodyMutation
	metadata   map[string]map[string]any
	override   *modev3.ProcessingMode
}

// bodyMutation is what becomes of a message's body. The zero value leaves it.
type bodyMutation struct {
	kind bodyMutationKind
	body []byte
}

type bodyMutationKind uint8

const (
	leaveBody bodyMutationKind = iota
	replaceBody
	clearBody
	emptyChunk // an empty chunk of a full-duplex body
)

// Numbers of fields in the proto files of ProcessingResponse and what it
// holds. Those of the phases stand in the order of phases.
const (
	trailersReplyField = 5

	commonMutationField   = 2
	commonBodyField       = 3
	commonClearRouteField = 5
)

// fieldOf is the field of ProcessingResponse for a phase.
func fieldOf(p filters.Phase) protowire.Number {
	for i, q := range phases {
		if p == q {
			return protowire.Number(i + 1)
		}
	}
	return 0
}

// append appends the reply; scratch is room for its parts, and is returned
// with what it has grown to. An error is a name, value or number of changes
// that the data plane would answer with 500.
func (r *reply) append(dst, scratch []byte) (out, room []byte, err error) {
	if r.override != nil || len(r.metadata) > 0 {
		md, err := dynamicMetadata(r.metadata)
		if err != nil {
			return dst, scratch, err
		}
		rest := &extprocv3.ProcessingResponse{ModeOverride: r.override, DynamicMetadata: md}
		if dst, err = (proto.MarshalOptions{}).MarshalAppend(dst, rest); err != nil {
			return dst, scratch, fmt.Errorf("writing a reply: %w", err)
		}
	}
	field := fieldOf(r.phase)
	mutation := protowire.Number(commonMutationField)
	if field >= trailersReplyField {
		mutation = 1
	}
	scratch, err = appendMutation(scratch[:0], mutation, r.changes, r.view)
	if err != nil {
		return dst, scratch, err
	}
	inner := len(scratch)
	if field >= trailersReplyField {
		dst = appendLead(dst, field, inner)
		return append(dst, scratch...), scratch, nil
	}
	changed := inner > 0
	clears := r.clearRoute && changed
	if clears {
		inner += 2
	}
	if r.body.kind != leaveBody {
		inner += 1 + protowire.SizeBytes(r.body.size())
	}
	if inner == 0 && r.phase == filters.HeadersPhase(r.phase.Direction()) {
		return appendLead(dst, field, 0), scratch, nil
	}
	dst = appendLead(dst, field, 1+protowire.SizeBytes(inner))
	dst = appendLead(dst, 1, inner)
	dst = append(dst, scratch...)
	dst = r.body.append(dst)
	if clears {
		dst = append(protowire.AppendTag(dst, commonClearRouteField, protowire.VarintType), 1)
	}
	return dst, scratch, nil
}

// appendLead appends what stands before a message of size bytes that is a
// field of another.
func appendLead(dst []byte, field protowire.Number, size int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.BytesType), uint64(size))
}

// size is that of the BodyMutation.
func (m *bodyMutation) size() int {
	switch m.kind {
	case replaceBody:
		return 1 + protowire.SizeBytes(len(m.body))
	case clearBody, emptyChunk:
		return 2
	}
	return 0
}

// append appends the field of CommonResponse.
func (m *bodyMutation) append(dst []byte) []byte {
	if m.kind == leaveBody {
		return dst
	}
	dst = appendLead(dst, commonBodyField, m.size())
	switch m.kind {
	case replaceBody:
		return protowire.AppendBytes(protowire.AppendTag(dst, 1, protowire.BytesType), m.body)
	case clearBody:
		return append(protowire.AppendTag(dst, 2, protowire.VarintType), 1)
	}
	return appendLead(dst, 3, 0)
}

var (
	errName  = errors.New("a header name is not valid")
	errValue = errors.New("a header value is not valid")
	errMany  = fmt.Errorf("more than %d headers are changed", maxMutations)
)

// appendMutation turns changes into what the data plane is told, a
// HeaderMutation as the field of another message: the net effect for each
// name, as the view h has it. Nothing is appended where there is none. An
// error is a name, value or number that the data plane would answer with 500.
func appendMutation(dst []byte, field protowire.Number, changes []filters.Change, h *filters.Headers) ([]byte, error) {
	if len(changes) == 0 {
		return dst, nil
	}
	// What stands before the message is written behind it, when its size is
	// known, and the two change places.
	start, n := len(dst), 0
	for i := range changes {
		name := changes[i].Name
		if ignored(name) || mentioned(changes[:i], name) {
			continue
		}
		if !validName(name) {
			return dst, errName
		}
		set := 0
		for f := range h.All() {
			if f.Name != name {
				continue
			}
			if !validValue(f.Value) {
				return dst, errValue
			}
			// Every append_action overwrites; only the old field appends.
			dst = appendSetHeader(dst, f, set > 0)
			set++
		}
		n += set
		if set == 0 && name[0] != ':' { // no message is without those
			dst = protowire.AppendString(protowire.AppendTag(dst, 2, protowire.BytesType), name)
			n++
		}
	}
	if n > maxMutations {
		return dst, errMany
	}
	if n == 0 {
		return dst, nil
	}
	size := len(dst) - start
	var lead [12]byte
	l := appendLead(lead[:0], field, size)
	dst = append(dst, l...)
	copy(dst[start+len(l):], dst[start:start+size])
	copy(dst[start:], l)
	return dst, nil
}

// appendSetHeader appends set_headers: a HeaderValueOption.
func appendSetHeader(dst []byte, f filters.Field, another bool) []byte {
	value := 0
	if f.Value != "" {
		value = 1 + protowire.SizeBytes(len(f.Value))
	}
	header := 1 + protowire.SizeBytes(len(f.Name)) + value
	size := 1 + protowire.SizeBytes(header)
	if another {
		size += 4
	}
	dst = appendLead(dst, 1, size)
	dst = appendLead(dst, 1, header)
	dst = protowire.AppendString(protowire.AppendTag(dst, 1, protowire.BytesType), f.Name)
	if value > 0 {
		dst = protowire.AppendString(protowire.AppendTag(dst, 3, protowire.BytesType), f.Value)
	}
	if another {
		dst = appendLead(dst, 2, 2) // append: a BoolValue
		dst = append(protowire.AppendTag(dst, 1, protowire.VarintType), 1)
	}
	return dst
}

func mentioned(changes []filters.Change, name string) bool {
	for i := range changes {
		if changes[i].Name == name {
			return true
		}
	}
	return false
}

// ignored are headers whose change no configuration of the data plane allows.
func ignored(name string) bool { return strings.HasPrefix(name, "x-envoy-") }

func validName(s string) bool {
	switch s {
	case ":path", ":status", ":authority", ":method", ":scheme":
		return true
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

func validValue(s string) bool {
	if len(s) > maxHeaderValue {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// dynamicMetadata is what the data plane is given back: a struct for each
// namespace.
func dynamicMetadata(m map[string]map[string]any) (*structpb.Struct, error) {
	if len(m) == 0 {
		return nil, nil
	}
	out := make(map[string]any, len(m))
	for ns, kv := range m {
		out[ns] = kv
	}
	s, err := structpb.NewStruct(out)
	if err != nil {
		return nil, fmt.Errorf("writing dynamic metadata: %w", err)
	}
	return s, nil
}

// appendChunkHead appends a ProcessingResponse that is a chunk of a full-duplex
// body, but for the body itself, which is to follow: {request_body or
// response_body: {response: {body_mutation: {streamed_response:
// {end_of_stream, body}}}}}. There is no other reply of which there are so
// many, and the body is not copied for it.
func appendChunkHead(dst []byte, d filters.Direction, body int, end bool) []byte {
	chunk := 0
	if body > 0 {
		chunk += 1 + protowire.SizeBytes(body)
	}
	if end {
		chunk += 2
	}
	mutation := 1 + protowire.SizeBytes(chunk)
	common := 1 + protowire.SizeBytes(mutation)
	dst = appendLead(dst, fieldOf(filters.BodyPhase(d)), 1+protowire.SizeBytes(common))
	dst = appendLead(dst, 1, common)
	dst = appendLead(dst, commonBodyField, mutation)
	dst = appendLead(dst, 3, chunk)
	if end {
		dst = append(protowire.AppendTag(dst, 2, protowire.VarintType), 1)
	}
	if body > 0 {
		dst = appendLead(dst, 1, body)
	}
	return dst
}
