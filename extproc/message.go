package extproc

import (
	"errors"
	"strings"
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	modev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-proxy/sluice/filters"
)

// message is one envoy.service.ext_proc.v3.ProcessingRequest, read by hand:
// the general reader takes sixty allocations for what is two here, and that is
// most of what a message costs.
type message struct {
	// phase is HeadersPhase, BodyPhase or TrailersPhase of either direction.
	phase filters.Phase
	known bool // the message has a phase that is known
	// headers are the fields of a headers or trailers message.
	headers filters.Headers
	// body refers to the message's bytes.
	body []byte
	// end is end_of_stream.
	end        bool
	attributes attributes
	// metadata is metadata_context, not read yet.
	metadata []byte
	// observe is observability_mode.
	observe bool
	config  protocolConfig
	// rooms are for the fields of the headers of the exchange's directions.
	rooms [2]fieldRoom
}

// fieldRoom is room for fields, for who takes it first.
type fieldRoom struct {
	fields []filters.Field
	taken  bool
}

// take returns the room, or other where it has been taken.
func (r *fieldRoom) take() []filters.Field {
	if r.taken || r.fields == nil {
		fields := make([]filters.Field, 0, 16)
		if r.taken {
			return fields
		}
		r.fields = fields
	}
	r.taken = true
	return r.fields
}

// empty leaves nothing but the room.
func (r *fieldRoom) empty() {
	clear(r.fields[:cap(r.fields)])
	r.taken = false
}

// protocolConfig is ProtocolConfiguration.
type protocolConfig struct {
	modes [2]modev3.ProcessingMode_BodySendMode
	early bool // send_body_without_waiting_for_header_response
}

// attributes are those of the data plane's attributes that mean something
// here; "" where they are not told.
type attributes struct {
	address, subject, uriSAN, route, cluster, virtualHost string
}

// errMalformed is the error for bytes that are no protobuf message. It quotes
// nothing of them.
var errMalformed = errors.New("the message is malformed")

// Numbers of fields in the proto files of ProcessingRequest and what it holds.
const (
	requestHeadersField   = 2 // and on to 7, the trailers of the response
	responseTrailersField = 7
	metadataField         = 8
	attributesField       = 9
	observeField          = 10
	configField           = 11
)

// phases are what the fields from requestHeadersField on stand for.
var phases = [...]filters.Phase{filters.RequestHeaders, filters.ResponseHeaders, filters.RequestBody, filters.ResponseBody, filters.RequestTrailers, filters.ResponseTrailers}

// read takes over what b says. Where a field stands twice, the last counts.
func (m *message) read(b []byte) error {
	*m = message{rooms: m.rooms}
	return eachField(b, func(n protowire.Number, v []byte) error {
		switch {
		case n >= requestHeadersField && n <= responseTrailersField:
			m.phase, m.known = phases[n-requestHeadersField], true
			m.headers, m.body, m.end = filters.Headers{}, nil, false
			switch d := m.phase.Direction(); m.phase {
			case filters.BodyPhase(d):
				return m.readBody(v)
			case filters.HeadersPhase(d):
				return m.readHeaders(v)
			}
			return m.readTrailers(v)
		case n == metadataField:
			m.metadata = v
		case n == attributesField:
			return m.attributes.readEntry(v)
		case n == configField:
			return m.config.read(v)
		}
		return nil
	}, func(n protowire.Number, v uint64) {
		if n == observeField {
			m.observe = v != 0
		}
	})
}

// eachField goes over the fields of a message: it calls text for each that is
// length-delimited, and number for each varint. Either may be nil.
func eachField(b []byte, text func(protowire.Number, []byte) error, number func(protowire.Number, uint64)) error {
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return errMalformed
		}
		b = b[size:]
		switch kind {
		case protowire.BytesType:
			v, size := protowire.ConsumeBytes(b)
			if size < 0 {
				return errMalformed
			}
			b = b[size:]
			if text == nil {
				continue
			}
			if err := text(n, v); err != nil {
				return err
			}
		case protowire.VarintType:
			v, size := protowire.ConsumeVarint(b)
			if size < 0 {
				return errMalformed
			}
			b = b[size:]
			if number != nil {
				number(n, v)
			}
		default:
			size := protowire.ConsumeFieldValue(n, kind, b)
			if size < 0 {
				return errMalformed
			}
			b = b[size:]
		}
	}
	return nil
}

// readBody reads HttpBody.
func (m *message) readBody(b []byte) error {
	return eachField(b, func(n protowire.Number, v []byte) error {
		if n == 1 {
			m.body = v
		}
		return nil
	}, func(n protowire.Number, v uint64) {
		if n == 2 {
			m.end = v != 0
		}
	})
}

// readHeaders reads HttpHeaders.
func (m *message) readHeaders(b []byte) error {
	return eachField(b, func(n protowire.Number, v []byte) (err error) {
		switch n {
		case 1:
			m.headers, err = readHeaderMap(v, m.rooms[m.phase.Direction()].take())
		case 2: // deprecated, but older data planes write them there
			err = m.attributes.readEntry(v)
		}
		return err
	}, func(n protowire.Number, v uint64) {
		if n == 3 {
			m.end = v != 0
		}
	})
}

// readTrailers reads HttpTrailers.
func (m *message) readTrailers(b []byte) error {
	return eachField(b, func(n protowire.Number, v []byte) (err error) {
		if n == 1 {
			m.headers, err = readHeaderMap(v, make([]filters.Field, 0, 16))
		}
		return err
	}, nil)
}

// readHeaderMap reads HeaderMap into fs. All names and values are parts of one
// string.
func readHeaderMap(b []byte, fs []filters.Field) (filters.Headers, error) {
	text := string(b)
	for at := 0; at < len(b); {
		n, entry, end := textField(b, at)
		if end < 0 {
			return filters.Headers{}, errMalformed
		}
		if at = end; n != 1 {
			continue
		}
		var name, value, raw string
		for entry < end {
			n, from, to := textField(b[:end], entry)
			if to < 0 {
				return filters.Headers{}, errMalformed
			}
			switch entry = to; n {
			case 1:
				name = text[from:to]
			case 2:
				value = text[from:to]
			case 3:
				raw = text[from:to]
			}
		}
		if !isLower(name) {
			if !utf8.ValidString(name) {
				return filters.Headers{}, errMalformed // as the generated code has it; only raw values may be
			}
			name = strings.ToLower(name)
		}
		if !utf8.ValidString(value) {
			return filters.Headers{}, errMalformed
		}
		if raw != "" {
			value = raw
		}
		fs = append(fs, filters.Field{Name: name, Value: value})
	}
	return filters.NewHeaders(fs...), nil
}

// isLower reports whether a name is ASCII without capitals.
func isLower(name string) bool {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || c >= 'A' && c <= 'Z' {
			return false
		}
	}
	return true
}

// textField reads the field at b[at:]: its number, and where its value is. Of
// a field that is not length-delimited, the number is 0. A malformed one ends
// at -1.
func textField(b []byte, at int) (n protowire.Number, from, to int) {
	if at+1 < len(b) && b[at]&0x87 == byte(protowire.BytesType) && b[at] > 7 && b[at+1] < 0x80 {
		// A small number and a short value, as nearly always: a byte each.
		from = at + 2
		if to = from + int(b[at+1]); to > len(b) {
			return 0, 0, -1
		}
		return protowire.Number(b[at] >> 3), from, to
	}
	n, kind, size := protowire.ConsumeTag(b[at:])
	if size < 0 {
		return 0, 0, -1
	}
	at += size
	if size = protowire.ConsumeFieldValue(n, kind, b[at:]); size < 0 {
		return 0, 0, -1
	}
	if to = at + size; kind != protowire.BytesType {
		return 0, to, to
	}
	v, _ := protowire.ConsumeBytes(b[at:to])
	return n, to - len(v), to
}

// read reads ProtocolConfiguration.
func (c *protocolConfig) read(b []byte) error {
	return eachField(b, nil, func(n protowire.Number, v uint64) {
		switch n {
		case 1, 2:
			c.modes[n-1] = modev3.ProcessingMode_BodySendMode(int32(v))
		case 3:
			c.early = v != 0
		}
	})
}

// readEntry reads an entry of a map of google.protobuf.Struct by namespace:
// what the attributes are in.
func (a *attributes) readEntry(b []byte) error {
	return eachField(b, func(n protowire.Number, v []byte) error {
		if n != 2 {
			return nil
		}
		return eachField(v, func(n protowire.Number, v []byte) error {
			if n != 1 { // fields
				return nil
			}
			return a.readField(v)
		}, nil)
	}, nil)
}

// readField reads an entry of Struct.fields.
func (a *attributes) readField(b []byte) error {
	var key, value []byte
	err := eachField(b, func(n protowire.Number, v []byte) error {
		switch n {
		case 1:
			key = v
		case 2: // Value, whose third field is string_value
			return eachField(v, func(n protowire.Number, v []byte) error {
				if n == 3 {
					value = v
				}
				return nil
			}, nil)
		}
		return nil
	}, nil)
	if err != nil || len(value) == 0 {
		return err
	}
	switch string(key) {
	case "source.address":
		a.address = string(value)
	case "connection.subject_peer_certificate":
		a.subject = string(value)
	case "connection.uri_san_peer_certificate":
		a.uriSAN = string(value)
	case "xds.route_name":
		a.route = string(value)
	case "xds.cluster_name":
		a.cluster = string(value)
	case "xds.virtual_host_name":
		a.virtualHost = string(value)
	}
	return nil
}

// tell puts what the attributes tell into the exchange.
func (a *attributes) tell(ex *filters.Exchange) {
	set := func(into *string, v string) {
		if v != "" {
			*into = v
		}
	}
	set(&ex.Source.Address, a.address)
	set(&ex.Source.Principal, a.subject)
	set(&ex.Source.Principal, a.uriSAN)
	set(&ex.Route.Name, a.route)
	set(&ex.Route.Cluster, a.cluster)
	set(&ex.Route.VirtualHost, a.virtualHost)
}

// metadataOf reads metadata_context into maps, by namespace. Where it does not
// parse, there is none.
func metadataOf(b []byte) map[string]map[string]any {
	if len(b) == 0 {
		return nil
	}
	var m corev3.Metadata
	if proto.Unmarshal(b, &m) != nil || len(m.GetFilterMetadata()) == 0 {
		return nil
	}
	out := make(map[string]map[string]any, len(m.GetFilterMetadata()))
	for ns, s := range m.GetFilterMetadata() {
		out[ns] = s.AsMap()
	}
	return out
}
