package extproc

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	modev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sluice-proxy/sluice/filters"
)

// readAsProto reads a message as the generated code does.
func readAsProto(b []byte) (*message, error) {
	var r extprocv3.ProcessingRequest
	if err := proto.Unmarshal(b, &r); err != nil {
		return nil, err
	}
	m := &message{observe: r.GetObservabilityMode(), known: r.GetRequest() != nil}
	m.config.early = r.GetProtocolConfig().GetSendBodyWithoutWaitingForHeaderResponse()
	m.config.modes = [2]modev3.ProcessingMode_BodySendMode{r.GetProtocolConfig().GetRequestBodyMode(), r.GetProtocolConfig().GetResponseBodyMode()}
	headers := func(p filters.Phase, h *corev3.HeaderMap) {
		m.phase = p
		var fs []filters.Field
		for _, x := range h.GetHeaders() {
			v := x.GetValue()
			if len(x.GetRawValue()) > 0 {
				v = string(x.GetRawValue())
			}
			fs = append(fs, filters.Field{Name: strings.ToLower(x.GetKey()), Value: v})
		}
		m.headers = filters.NewHeaders(fs...)
	}
	body := func(p filters.Phase, b *extprocv3.HttpBody) {
		m.phase, m.body, m.end = p, b.GetBody(), b.GetEndOfStream()
	}
	switch x := r.GetRequest().(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		headers(filters.RequestHeaders, x.RequestHeaders.GetHeaders())
		m.end = x.RequestHeaders.GetEndOfStream()
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		headers(filters.ResponseHeaders, x.ResponseHeaders.GetHeaders())
		m.end = x.ResponseHeaders.GetEndOfStream()
	case *extprocv3.ProcessingRequest_RequestBody:
		body(filters.RequestBody, x.RequestBody)
	case *extprocv3.ProcessingRequest_ResponseBody:
		body(filters.ResponseBody, x.ResponseBody)
	case *extprocv3.ProcessingRequest_RequestTrailers:
		headers(filters.RequestTrailers, x.RequestTrailers.GetTrailers())
	case *extprocv3.ProcessingRequest_ResponseTrailers:
		headers(filters.ResponseTrailers, x.ResponseTrailers.GetTrailers())
	}
	return m, nil
}

// differs tells how two readings of a message differ, or "".
func differs(a, b *message) string {
	switch {
	case a.known != b.known || a.phase != b.phase:
		return fmt.Sprintf("phase: %v %v, %v %v", a.known, a.phase, b.known, b.phase)
	case a.end != b.end:
		return fmt.Sprintf("end: %v, %v", a.end, b.end)
	case !bytes.Equal(a.body, b.body):
		return fmt.Sprintf("body: %d bytes, %d bytes", len(a.body), len(b.body))
	case a.observe != b.observe || a.config != b.config:
		return "configuration"
	case !slices.Equal(slices.Collect(a.headers.All()), slices.Collect(b.headers.All())):
		return fmt.Sprintf("headers: %v, %v", a.headers, b.headers)
	}
	return ""
}

func headerMap(kv ...string) *corev3.HeaderMap {
	m := &corev3.HeaderMap{}
	for i := 0; i < len(kv); i += 2 {
		m.Headers = append(m.Headers, &corev3.HeaderValue{Key: kv[i], RawValue: []byte(kv[i+1])})
	}
	return m
}

// requests are messages of every kind.
func requests() []*extprocv3.ProcessingRequest {
	fields, err := structpb.NewStruct(map[string]any{"source.address": "192.0.2.1:4711", "xds.route_name": "r", "connection.uri_san_peer_certificate": "spiffe://a/b", "other": 1.5, "list": []any{"x"}})
	if err != nil {
		panic(err)
	}
	attributes := map[string]*structpb.Struct{"envoy.filters.http.ext_proc": fields}
	config := &extprocv3.ProtocolConfiguration{RequestBodyMode: modev3.ProcessingMode_FULL_DUPLEX_STREAMED, ResponseBodyMode: modev3.ProcessingMode_BUFFERED, SendBodyWithoutWaitingForHeaderResponse: true}
	hs := headerMap(":path", "/a?b=c", ":method", "POST", "X-Mixed", "Case", "empty", "", "x-bin", "\xff\x00")
	hs.Headers = append(hs.Headers, &corev3.HeaderValue{Key: "old", Value: "value alone"}, &corev3.HeaderValue{})
	return []*extprocv3.ProcessingRequest{
		{},
		{ObservabilityMode: true, ProtocolConfig: config, Attributes: attributes, Request: &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: &extprocv3.HttpHeaders{Headers: hs, EndOfStream: true}}},
		{Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: &extprocv3.HttpHeaders{Headers: headerMap(":status", "200")}}},
		{Request: &extprocv3.ProcessingRequest_RequestBody{RequestBody: &extprocv3.HttpBody{Body: []byte("hello")}}},
		{Request: &extprocv3.ProcessingRequest_ResponseBody{ResponseBody: &extprocv3.HttpBody{EndOfStream: true}}},
		{Request: &extprocv3.ProcessingRequest_RequestTrailers{RequestTrailers: &extprocv3.HttpTrailers{Trailers: headerMap("a", "1", "a", "2")}}},
		{Request: &extprocv3.ProcessingRequest_ResponseTrailers{ResponseTrailers: &extprocv3.HttpTrailers{}}},
		{Request: &extprocv3.ProcessingRequest_ResponseTrailers{ResponseTrailers: &extprocv3.HttpTrailers{}}, MetadataContext: &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"ns": fields}}},
	}
}

func TestMessagesAreReadAsTheGeneratedCodeDoes(t *testing.T) {
	for i, r := range requests() {
		b, err := proto.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		want, err := readAsProto(b)
		if err != nil {
			t.Fatal(err)
		}
		var got message
		if err := got.read(b); err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		if d := differs(&got, want); d != "" {
			t.Errorf("message %d differs: %s", i, d)
		}
	}
}

func TestAttributesAndMetadata(t *testing.T) {
	all := requests()
	b, err := proto.Marshal(all[1])
	if err != nil {
		t.Fatal(err)
	}
	var m message
	if err := m.read(b); err != nil {
		t.Fatal(err)
	}
	var ex filters.Exchange
	m.attributes.tell(&ex)
	if want := (filters.Source{Address: "192.0.2.1:4711", Principal: "spiffe://a/b"}); ex.Source != want || ex.Route.Name != "r" {
		t.Errorf("the exchange is told %+v, %+v", ex.Source, ex.Route)
	}
	if b, err = proto.Marshal(all[len(all)-1]); err != nil {
		t.Fatal(err)
	}
	if err := m.read(b); err != nil {
		t.Fatal(err)
	}
	if md := metadataOf(m.metadata); md["ns"]["other"] != 1.5 {
		t.Errorf("the metadata is %v", md)
	}
}

func TestChunksAreWrittenAsTheGeneratedCodeDoes(t *testing.T) {
	for _, d := range []filters.Direction{filters.Request, filters.Response} {
		for _, size := range []int{0, 1, 100, 130, 20_000, maxChunk} {
			for _, end := range []bool{false, true} {
				body := bytes.Repeat([]byte("x"), size)
				var r extprocv3.ProcessingResponse
				if err := proto.Unmarshal(append(appendChunkHead(nil, d, len(body), end), body...), &r); err != nil {
					t.Fatal(err)
				}
				b := r.GetRequestBody()
				if d == filters.Response {
					b = r.GetResponseBody()
				}
				c := b.GetResponse().GetBodyMutation().GetStreamedResponse()
				if c == nil || !bytes.Equal(c.GetBody(), body) || c.GetEndOfStream() != end {
					t.Errorf("%v, %d bytes, end %v: %v", d, size, end, c)
				}
			}
		}
	}
}

// FuzzMessage: what the generated code reads is read, and means the same.
// Fields that stand twice are merged there; here the last one counts, and no
// data plane sends them.
func FuzzMessage(f *testing.F) {
	for _, r := range requests() {
		b, err := proto.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var got message
		err := got.read(b)
		want, wantErr := readAsProto(b)
		if wantErr != nil {
			return // it may be invalid UTF-8 in a field that is not looked at
		}
		if err != nil {
			t.Fatalf("it is refused: %v", err)
		}
		// Written anew, nothing stands twice.
		var r extprocv3.ProcessingRequest
		if err := proto.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		r.ProtoReflect().SetUnknown(nil)
		again, err := proto.Marshal(&r)
		if err != nil {
			t.Fatal(err)
		}
		if err := got.read(again); err != nil {
			t.Fatalf("written anew it is refused: %v", err)
		}
		if d := differs(&got, want); d != "" {
			t.Errorf("it differs: %s", d)
		}
	})
}
