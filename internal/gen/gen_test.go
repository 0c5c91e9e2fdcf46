package gen

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

var update = flag.Bool("update", false, "write the golden files anew")

// when is a condition that reads the bodies of the named directions.
type when []filters.Direction

func (w when) Holds(*filters.Exchange) (bool, error) { return true, nil }
func (w when) Steps() []string                       { return nil }
func (w when) NeedsBody(d filters.Direction) bool {
	for _, x := range w {
		if x == d {
			return true
		}
	}
	return false
}

// whole is a filter with given needs, and streaming one that edits bodies.
type whole struct {
	filters.Filter
	needs filters.Needs
}

func (f whole) Needs(filters.Direction) filters.Needs { return f.needs }

type streaming struct {
	filters.Streamer
	needs filters.Needs
}

func (f streaming) Needs(filters.Direction) filters.Needs { return f.needs }

var (
	headers  = whole{needs: filters.Needs{Headers: true}}
	stream   = streaming{needs: filters.Needs{Body: filters.StreamedBody}}
	collect  = whole{needs: filters.Needs{Body: filters.WholeBody}}
	trailing = whole{needs: filters.Needs{Trailers: true}}
)

func step(d filters.Direction, name string, f filters.Filter) *pipeline.Step {
	return &pipeline.Step{Name: name, Kind: "test", Direction: d, Filter: f, Mode: pipeline.Enforce, OnError: filters.Continue}
}

func with(s *pipeline.Step, change func(*pipeline.Step)) *pipeline.Step { change(s); return s }

func compiled(t *testing.T, ps []Policy) []Policy {
	t.Helper()
	for _, p := range ps {
		if err := pipeline.Compile(p.Steps); err != nil {
			t.Fatal(err)
		}
	}
	return ps
}

func TestPlan(t *testing.T) {
	request, response := filters.Request, filters.Response
	type plan struct {
		request, response, override, responseHeaders, failOpen bool
		trailers                                               [2]bool
		maxTimeout                                             time.Duration
	}
	one := func(always bool, steps ...*pipeline.Step) []Policy {
		return []Policy{{Name: "p", Always: always, Steps: steps}}
	}
	for _, c := range []struct {
		name     string
		policies []Policy
		want     plan
	}{
		{"no policies", nil, plan{failOpen: true}},
		{"headers of the request only", one(true, step(request, "a", headers)), plan{failOpen: true}},
		{"headers of the response only", one(true, step(response, "a", headers)), plan{responseHeaders: true, failOpen: true}},
		{"a body that every exchange's policy reads", one(true, step(response, "a", stream)),
			plan{response: true, responseHeaders: true, failOpen: true}},
		{"a body that only some exchanges' policy reads", one(false, step(response, "a", stream)),
			plan{response: true, override: true, responseHeaders: true, failOpen: true}},
		{"a step with a condition does not always read", one(true, with(step(response, "a", stream), func(s *pipeline.Step) { s.When = when{} })),
			plan{response: true, override: true, responseHeaders: true, failOpen: true}},
		{"nor one in rollout", one(true, with(step(response, "a", stream), func(s *pipeline.Step) { s.Rollout = &pipeline.Rollout{Percent: 5} })),
			plan{response: true, override: true, responseHeaders: true, failOpen: true}},
		{"one direction always, the other sometimes", []Policy{
			{Name: "p", Always: true, Steps: []*pipeline.Step{step(request, "a", stream)}},
			{Name: "q", Steps: []*pipeline.Step{step(response, "b", stream)}},
		}, plan{request: true, response: true, override: true, responseHeaders: true, failOpen: true}},
		{"held headers are not for the override", one(false, step(request, "a", collect)), plan{request: true, failOpen: true}},
		{"a shadow holds nothing", one(false, with(step(request, "a", collect), func(s *pipeline.Step) { s.Mode = pipeline.Shadow })),
			plan{request: true, override: true, failOpen: true}},
		{"a condition on the own body holds", one(false, with(step(request, "a", headers), func(s *pipeline.Step) { s.When = when{request} })),
			plan{request: true, failOpen: true}},
		{"a response condition on the request's body keeps it", one(true, with(step(response, "a", headers), func(s *pipeline.Step) { s.When = when{request} })),
			plan{request: true, responseHeaders: true, failOpen: true}},
		{"a log condition on both", one(true, with(step(response, "a", headers), func(s *pipeline.Step) { s.Log, s.When = true, when{request, response} })),
			plan{request: true, response: true, responseHeaders: true, failOpen: true}},
		{"trailers alone", one(true, step(response, "a", trailing)), plan{responseHeaders: true, failOpen: true, trailers: [2]bool{false, true}}},
		{"a step that denies on failure", one(true, with(step(request, "a", headers), func(s *pipeline.Step) { s.OnError = filters.Deny })), plan{}},
		{"a fallback can fail too", one(true, with(step(request, "a", headers), func(s *pipeline.Step) { s.OnError = filters.Fallback })), plan{}},
		{"an observer denies nothing", one(true, with(step(request, "a", headers), func(s *pipeline.Step) { s.OnError, s.Mode = filters.Deny, pipeline.Observe })),
			plan{failOpen: true}},
		{"short timeouts", one(true, with(step(request, "a", headers), func(s *pipeline.Step) { s.Timeout = 50 * time.Millisecond })), plan{failOpen: true}},
		{"the timeouts of a phase add up", one(true,
			with(step(request, "a", headers), func(s *pipeline.Step) { s.Timeout = 1500 * time.Millisecond }),
			with(step(request, "b", headers), func(s *pipeline.Step) { s.Timeout = time.Second }),
			with(step(response, "c", headers), func(s *pipeline.Step) { s.Timeout = time.Second }),
		), plan{responseHeaders: true, failOpen: true, maxTimeout: 4 * time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := NewPlan("v", compiled(t, c.policies))
			got := plan{p.Body[0], p.Body[1], p.ModeOverride, p.ResponseHeaders, p.FailOpen, p.Trailers, p.MaxMessageTimeout}
			if got != c.want {
				t.Errorf("got  %+v\nwant %+v\n%s", got, c.want, strings.Join(p.Reasons, "\n"))
			}
		})
	}
}

func masking(t *testing.T) Plan {
	t.Helper()
	return NewPlan("4f1c8a2b90de", compiled(t, []Policy{
		{Name: "baseline", Always: true, Steps: []*pipeline.Step{
			with(step(filters.Response, "mask", stream), func(s *pipeline.Step) { s.OnError = filters.Deny }),
		}},
	}))
}

func sometimes(t *testing.T) Plan {
	t.Helper()
	return NewPlan("4f1c8a2b90de", compiled(t, []Policy{
		{Name: "customers", Steps: []*pipeline.Step{
			with(step(filters.Request, "look-up", headers), func(s *pipeline.Step) { s.Timeout = 3 * time.Second }),
			step(filters.Response, "mask", stream),
		}},
	}))
}

func TestGolden(t *testing.T) {
	tcp := Options{Address: "127.0.0.1:9002", Cluster: "sluice"}
	socket := Options{Address: "unix:/run/sluice/sluice.sock", Cluster: "sluice"}
	service := Options{Cluster: MeshService{Mesh: "default", Name: "sluice", Zone: "default", Port: "9002"}.Cluster(2)}
	backend := map[string]string{"app": "backend"}
	for _, c := range []struct {
		file  string
		write func() ([]byte, error)
	}{
		{"envoy.yaml", func() ([]byte, error) { return Envoy(masking(t), tcp) }},
		{"envoy-override.yaml", func() ([]byte, error) {
			return Envoy(sometimes(t), Options{Address: "sluice.example.com:9002", Cluster: "sluice", Metadata: []string{"envoy.filters.http.jwt_authn"}, AllowRouting: true})
		}},
		{"envoy-socket.yaml", func() ([]byte, error) { return Envoy(masking(t), socket) }},
		{"envoy-route-disable.yaml", EnvoyRouteDisable},
		{"kuma-universal-loopback.yaml", func() ([]byte, error) {
			return Kuma(masking(t), Patch{Name: "sluice", Mesh: "default", Target: Universal, Form: Loopback, Origin: Inbound, Labels: backend, Options: tcp})
		}},
		{"kuma-universal-service.yaml", func() ([]byte, error) {
			return Kuma(masking(t), Patch{Name: "sluice", Mesh: "default", Target: Universal, Form: Service, Origin: Inbound, Labels: backend, Options: service})
		}},
		{"kuma-kubernetes-socket.yaml", func() ([]byte, error) {
			return Kuma(masking(t), Patch{Name: "sluice", Mesh: "default", Target: Kubernetes, Form: Socket, Origin: Inbound, Labels: backend, Options: socket})
		}},
		{"kuma-universal-gateway.yaml", func() ([]byte, error) {
			return Kuma(masking(t), Patch{Name: "sluice", Mesh: "default", Target: Universal, Form: Loopback, Origin: Gateway, Options: tcp})
		}},
		{"kuma-universal-egress.yaml", func() ([]byte, error) {
			return Kuma(sometimes(t), Patch{Name: "sluice", Mesh: "default", Target: Universal, Form: Loopback, Origin: Outbound, Listener: "kri_extsvc_default_default__llm_", Labels: backend, Options: tcp})
		}},
	} {
		t.Run(c.file, func(t *testing.T) {
			got, err := c.write()
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", c.file)
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s differs (run with -update and review); got\n%s", golden, got)
			}
		})
	}
}

// TestWhatIsWrittenReadsBack: the YAML is the message that it was made of,
// for a strict reader.
func TestWhatIsWrittenReadsBack(t *testing.T) {
	opt := Options{Address: "127.0.0.1:9002", Cluster: "sluice"}
	for name, plan := range map[string]Plan{"always": masking(t), "sometimes": sometimes(t), "nothing": NewPlan("v", nil)} {
		t.Run(name, func(t *testing.T) {
			out, err := Envoy(plan, opt)
			if err != nil {
				t.Fatal(err)
			}
			var doc struct {
				Filters  []any `yaml:"http_filters"`
				Clusters []any `yaml:"clusters"`
			}
			if err := yaml.UnmarshalWithOptions(out, &doc, yaml.Strict()); err != nil {
				t.Fatal(err)
			}
			var filter hcmv3.HttpFilter
			var cluster clusterv3.Cluster
			fromYAML(t, doc.Filters[0], &filter)
			fromYAML(t, doc.Clusters[0], &cluster)
			wantFilter, err := Filter(plan, opt)
			if err != nil {
				t.Fatal(err)
			}
			wantCluster, err := Cluster(opt)
			if err != nil {
				t.Fatal(err)
			}
			var got, want extprocv3.ExternalProcessor
			if err := errors.Join(filter.GetTypedConfig().UnmarshalTo(&got), wantFilter.GetTypedConfig().UnmarshalTo(&want)); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(&got, &want) || !proto.Equal(&cluster, wantCluster) {
				t.Error("what was written is not what was meant")
			}
			for _, m := range []interface{ ValidateAll() error }{&got, &cluster} {
				if err := m.ValidateAll(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func fromYAML(t *testing.T, v any, m proto.Message) {
	t.Helper()
	text, err := yaml.MarshalWithOptions(v, yaml.JSON())
	if err != nil {
		t.Fatal(err)
	}
	if err := protojson.Unmarshal(text, m); err != nil {
		t.Fatal(err)
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct{ in, wantErr string }{
		{"127.0.0.1:9002", ""},
		{":9002", ""},
		{"[::1]:9002", ""},
		{"sluice.example.com:9002", ""},
		{"unix:/run/sluice.sock", ""},
		{"unix:///run/sluice.sock", ""},
		{"unix:@abstract", ""},
		{"unix:relative.sock", "must be absolute"},
		{"127.0.0.1", "must be host:port or unix:/path"},
		{"127.0.0.1:0", "port"},
		{"127.0.0.1:70000", "port"},
		{"127.0.0.1:http", "port"},
		{"0.0.0.0:9002", "an address it can connect to"},
		{"", "must be host:port"},
	} {
		_, err := Cluster(Options{Address: c.in, Cluster: "sluice"})
		if (err == nil) != (c.wantErr == "") || err != nil && !strings.Contains(err.Error(), c.wantErr) {
			t.Errorf("%q: %v, want %q", c.in, err, c.wantErr)
		}
	}
}

func TestPatchesThatCannotWorkAreRefused(t *testing.T) {
	good := Patch{Name: "sluice", Mesh: "default", Target: Universal, Form: Loopback, Origin: Inbound, Options: Options{Address: "127.0.0.1:9002", Cluster: "sluice"}}
	for _, c := range []struct {
		name, want string
		change     func(*Patch)
	}{
		{"no mesh", "name and a mesh", func(p *Patch) { p.Mesh = "" }},
		{"target", "universal or kubernetes", func(p *Patch) { p.Target = "nomad" }},
		{"form", "loopback, socket or service", func(p *Patch) { p.Form = "pipe" }},
		{"origin", "inbound, outbound or gateway", func(p *Patch) { p.Origin = "" }},
		{"an outbound loop", "lead through Sluice", func(p *Patch) { p.Origin = Outbound }},
		{"a socket by port", "does not go with", func(p *Patch) { p.Form = Socket }},
		{"a port by socket", "does not go with", func(p *Patch) { p.Address = "unix:/run/s.sock" }},
		{"no cluster", "cluster's name", func(p *Patch) { p.Cluster = "" }},
		{"labels on a gateway", "no labels", func(p *Patch) { p.Origin, p.Labels = Gateway, map[string]string{"a": "b"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := good
			c.change(&p)
			if _, err := Kuma(NewPlan("v", nil), p); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	if _, err := Kuma(NewPlan("v", nil), good); err != nil {
		t.Error(err)
	}
}

func TestMeshServiceCluster(t *testing.T) {
	s := MeshService{Mesh: "default", Name: "sluice", Zone: "default", Port: "9002"}
	if got := s.Cluster(2); got != "default_sluice__default_msvc_9002" {
		t.Error(got)
	}
	if got := s.Cluster(3); got != "kri_msvc_default_default__sluice_9002" {
		t.Error(got)
	}
}

func TestANameCannotEndTheComment(t *testing.T) {
	plan := Plan{Set: "v", Reasons: []string{"sent for a\nhttp_filters: []/b\u2028c"}}
	out, err := Envoy(plan, Options{Address: "127.0.0.1:9002", Cluster: "sluice"})
	if err != nil {
		t.Fatal(err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(out), yaml.Strict())
	var doc map[string][]any
	if err := dec.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	if len(doc["http_filters"]) != 1 {
		t.Error("the comment became configuration")
	}
	if err := dec.Decode(&doc); !errors.Is(err, io.EOF) {
		t.Errorf("more than one document: %v", err)
	}
}
