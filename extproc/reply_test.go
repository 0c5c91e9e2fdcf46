package extproc

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	modev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluice-proxy/sluice/filters"
)

// TestReply holds what is written by hand against the generated code.
func TestReply(t *testing.T) {
	view := filters.NewHeaders(filters.Field{Name: "x-tier", Value: "gold"}, filters.Field{Name: "set-cookie", Value: "a=1"},
		filters.Field{Name: "x-empty"}, filters.Field{Name: "set-cookie", Value: "b=\xff"}, filters.Field{Name: ":path", Value: "/new"},
		filters.Field{Name: "x-envoy-retry-on", Value: "5xx"}, filters.Field{Name: "x-long", Value: strings.Repeat("long ", 100)})
	set := func(names ...string) (cs []filters.Change) {
		for _, n := range names {
			cs = append(cs, filters.Change{Op: filters.SetField, Name: n})
		}
		return cs
	}
	header := func(name, value string, another bool) *corev3.HeaderValueOption {
		o := &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: name, RawValue: []byte(value)}}
		if another {
			//lint:ignore SA1019 it is the field that Envoy reads
			o.Append = wrapperspb.Bool(true)
		}
		return o
	}
	tier := &extprocv3.HeaderMutation{SetHeaders: []*corev3.HeaderValueOption{header("x-tier", "gold", false)}}
	headers := func(c *extprocv3.CommonResponse) *extprocv3.ProcessingResponse {
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{Response: c}}}
	}
	body := func(c *extprocv3.CommonResponse) *extprocv3.ProcessingResponse {
		return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseBody{ResponseBody: &extprocv3.BodyResponse{Response: c}}}
	}
	large := []byte(strings.Repeat("body ", 10_000))
	override := &modev3.ProcessingMode{RequestBodyMode: modev3.ProcessingMode_FULL_DUPLEX_STREAMED}
	overridden := headers(nil)
	overridden.ModeOverride = override
	md, err := structpb.NewStruct(map[string]any{"sluice": map[string]any{"risk": 0.5}})
	if err != nil {
		t.Fatal(err)
	}
	told := body(&extprocv3.CommonResponse{BodyMutation: &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_StreamedResponse{StreamedResponse: &extprocv3.StreamedBodyResponse{}}}})
	told.DynamicMetadata = md

	for _, c := range []struct {
		name  string
		reply reply
		want  *extprocv3.ProcessingResponse
	}{
		{"nothing to do", reply{phase: filters.RequestHeaders}, headers(nil)},
		{"a header is set", reply{changes: set("x-tier", "x-tier")}, headers(&extprocv3.CommonResponse{HeaderMutation: tier})},
		{"the route is chosen again", reply{changes: set("x-tier"), clearRoute: true}, headers(&extprocv3.CommonResponse{HeaderMutation: tier, ClearRouteCache: true})},
		{"not without a change", reply{clearRoute: true}, headers(nil)},
		{"values, none and gone", reply{changes: set("set-cookie", "x-empty", "x-gone", ":path", ":authority", "x-envoy-retry-on", "x-long")}, headers(&extprocv3.CommonResponse{HeaderMutation: &extprocv3.HeaderMutation{
			SetHeaders: []*corev3.HeaderValueOption{header("set-cookie", "a=1", false), header("set-cookie", "b=\xff", true), header("x-empty", "", false),
				header(":path", "/new", false), header("x-long", view.Get("x-long"), false)},
			RemoveHeaders: []string{"x-gone"},
		}})},
		{"the body modes are overridden", reply{override: override}, overridden},
		{"a body stays", reply{phase: filters.ResponseBody}, body(&extprocv3.CommonResponse{})},
		{"a body is replaced", reply{phase: filters.ResponseBody, changes: set("x-tier"), body: bodyMutation{replaceBody, large}}, body(&extprocv3.CommonResponse{
			HeaderMutation: tier, BodyMutation: &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: large}}})},
		{"a body is cleared", reply{phase: filters.ResponseBody, body: bodyMutation{kind: clearBody}}, body(&extprocv3.CommonResponse{
			BodyMutation: &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_ClearBody{ClearBody: true}}})},
		{"metadata goes with an empty chunk", reply{phase: filters.ResponseBody, body: bodyMutation{kind: emptyChunk}, metadata: map[string]map[string]any{"sluice": {"risk": 0.5}}}, told},
		{"trailers", reply{phase: filters.ResponseTrailers, changes: set("x-tier")}, &extprocv3.ProcessingResponse{
			Response: &extprocv3.ProcessingResponse_ResponseTrailers{ResponseTrailers: &extprocv3.TrailersResponse{HeaderMutation: tier}}}},
		{"trailers stay", reply{phase: filters.RequestTrailers}, &extprocv3.ProcessingResponse{
			Response: &extprocv3.ProcessingResponse_RequestTrailers{RequestTrailers: &extprocv3.TrailersResponse{}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.reply.view = &view
			if c.reply.phase == 0 {
				c.reply.phase = filters.RequestHeaders
			}
			b, _, err := c.reply.append(nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			var got extprocv3.ProcessingResponse
			if err := proto.Unmarshal(b, &got); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(&got, c.want) {
				t.Errorf("got  %v\nwant %v", &got, c.want)
			}
			if size := proto.Size(c.want); len(b) != size {
				t.Errorf("%d bytes, and the generated code writes %d", len(b), size)
			}
		})
	}
}

func TestReplyRefuses(t *testing.T) {
	var many []filters.Field
	var changes []filters.Change
	for i := range maxMutations + 1 {
		name := fmt.Sprintf("x-%d", i)
		many = append(many, filters.Field{Name: name})
		changes = append(changes, filters.Change{Name: name})
	}
	for _, c := range []struct {
		name, value string
		want        error
	}{{"x y", "", errName}, {"", "", errName}, {"x", "a\nb", errValue}, {"x", strings.Repeat("v", maxHeaderValue+1), errValue}} {
		view := filters.NewHeaders(filters.Field{Name: c.name, Value: c.value})
		r := reply{phase: filters.RequestHeaders, changes: []filters.Change{{Name: c.name}}, view: &view}
		if _, _, err := r.append(nil, nil); !errors.Is(err, c.want) {
			t.Errorf("%q: %.20q: %v", c.name, c.value, err)
		}
	}
	view := filters.NewHeaders(many...)
	r := reply{phase: filters.RequestHeaders, changes: changes, view: &view}
	if _, _, err := r.append(nil, nil); !errors.Is(err, errMany) {
		t.Errorf("%d changes: %v", len(changes), err)
	}
}
