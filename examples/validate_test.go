package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	// What the examples pack into an Any has to be linked in to be read.
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/lua/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
)

// decode reads a YAML value into a message: unknown fields and wrong types
// are errors, and so is what the message's own rules forbid.
func decode(t *testing.T, v any, m interface {
	proto.Message
	ValidateAll() error
}) {
	t.Helper()
	text, err := yaml.MarshalWithOptions(v, yaml.JSON())
	if err != nil {
		t.Fatal(err)
	}
	if err := protojson.Unmarshal(text, m); err != nil {
		t.Fatal(err)
	}
	if err := m.ValidateAll(); err != nil {
		t.Fatal(err)
	}
}

// part is what a file adds to a data plane; cluster may be nil.
type part struct {
	filter  *hcmv3.HttpFilter
	cluster *clusterv3.Cluster
}

// processor is the filter's own configuration.
func (p part) processor(t *testing.T) *extprocv3.ExternalProcessor {
	t.Helper()
	var ep extprocv3.ExternalProcessor
	if err := p.filter.GetTypedConfig().UnmarshalTo(&ep); err != nil {
		t.Fatal(err)
	}
	if err := ep.ValidateAll(); err != nil {
		t.Fatal(err)
	}
	return &ep
}

// fromPatch takes the filter and the cluster out of a MeshProxyPatch.
func fromPatch(t *testing.T, doc map[string]any) part {
	t.Helper()
	var p part
	mods, _ := dig(doc, "spec", "default", "appendModifications").([]any)
	for _, m := range mods {
		for kind, op := range map[string]string{"cluster": "Add", "httpFilter": "AddBefore"} {
			mod := dig(m, kind)
			if mod == nil {
				continue
			}
			if got := dig(mod, "operation"); got != op {
				t.Fatalf("the operation on %s is %v", kind, got)
			}
			text, _ := dig(mod, "value").(string)
			var v any
			if err := yaml.UnmarshalWithOptions([]byte(text), &v, yaml.Strict()); err != nil {
				t.Fatal(err)
			}
			if kind == "cluster" {
				p.cluster = &clusterv3.Cluster{}
				decode(t, v, p.cluster)
			} else {
				p.filter = &hcmv3.HttpFilter{}
				decode(t, v, p.filter)
			}
		}
	}
	if p.filter == nil {
		t.Fatal("the patch adds no filter")
	}
	return p
}

// fromGen takes them out of what `sluice gen envoy` writes.
func fromGen(t *testing.T, doc map[string]any) part {
	t.Helper()
	p := part{filter: &hcmv3.HttpFilter{}, cluster: &clusterv3.Cluster{}}
	decode(t, dig(doc, "http_filters", 0), p.filter)
	decode(t, dig(doc, "clusters", 0), p.cluster)
	return p
}

// fromBootstrap takes them out of a complete configuration.
func fromBootstrap(t *testing.T, doc map[string]any) part {
	t.Helper()
	var b bootstrapv3.Bootstrap
	decode(t, doc, &b)
	var p part
	for _, c := range b.GetStaticResources().GetClusters() {
		if c.GetName() == "sluice" {
			p.cluster = c
		}
	}
	for _, l := range b.GetStaticResources().GetListeners() {
		for _, chain := range l.GetFilterChains() {
			for _, f := range chain.GetFilters() {
				var hcm hcmv3.HttpConnectionManager
				if err := f.GetTypedConfig().UnmarshalTo(&hcm); err != nil {
					t.Fatal(err)
				}
				if err := hcm.ValidateAll(); err != nil {
					t.Fatal(err)
				}
				for _, hf := range hcm.GetHttpFilters() {
					if hf.GetName() == "envoy.filters.http.ext_proc" {
						p.filter = hf
					}
				}
			}
		}
	}
	if p.filter == nil || p.cluster == nil {
		t.Fatal("the configuration has no ext_proc filter or no cluster for it")
	}
	return p
}

// bootstrap makes a complete configuration around a part, for Envoy to judge.
func (p part) bootstrap(t *testing.T) []byte {
	t.Helper()
	return p.listening(t, "127.0.0.1:10000", "127.0.0.1:8080")
}

// listening is a bootstrap that listens at one address and leads to another.
func (p part) listening(t *testing.T, listen, backend string) []byte {
	t.Helper()
	pack := func(m proto.Message) *anypb.Any {
		a, err := anypb.New(m)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	name := p.processor(t).GetGrpcService().GetEnvoyGrpc().GetClusterName()
	if p.cluster == nil {
		// The mesh has the cluster already.
		p.cluster = &clusterv3.Cluster{Name: name}
	}
	if p.cluster.GetName() != name {
		t.Fatalf("the filter asks for the cluster %s, which is %s", name, p.cluster.GetName())
	}
	hcm := &hcmv3.HttpConnectionManager{
		StatPrefix: "test",
		HttpFilters: []*hcmv3.HttpFilter{p.filter, {
			Name:       "envoy.filters.http.router",
			ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: pack(&routerv3.Router{})},
		}},
		RouteSpecifier: &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: &routev3.RouteConfiguration{
			VirtualHosts: []*routev3.VirtualHost{{Name: "all", Domains: []string{"*"}, Routes: []*routev3.Route{{
				Match:  &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/"}},
				Action: &routev3.Route_Route{Route: &routev3.RouteAction{ClusterSpecifier: &routev3.RouteAction_Cluster{Cluster: "backend"}}},
			}}}},
		}},
	}
	text, err := protojson.Marshal(&bootstrapv3.Bootstrap{StaticResources: &bootstrapv3.Bootstrap_StaticResources{
		Clusters: []*clusterv3.Cluster{p.cluster, clusterFor(t, "backend", backend)},
		Listeners: []*listenerv3.Listener{{
			Name:    "test",
			Address: socketAddress(t, listen),
			FilterChains: []*listenerv3.FilterChain{{Filters: []*listenerv3.Filter{{
				Name:       "envoy.filters.network.http_connection_manager",
				ConfigType: &listenerv3.Filter_TypedConfig{TypedConfig: pack(hcm)},
			}}}},
		}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestTheRealEnvoyTakesThem puts the filter and the cluster of every example,
// and of everything that gen's own tests write, into a bootstrap and lets
// Envoy judge.
func TestTheRealEnvoyTakesThem(t *testing.T) {
	envoy := locateEnvoy(t)
	var files []string
	for _, pattern := range []string{"envoy/*.yaml", "kong-mesh/*.yaml", "../internal/gen/testdata/*.yaml"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	checked := 0
	for _, file := range files {
		for _, doc := range documents(t, file) {
			var text []byte
			switch {
			case doc["kind"] == "MeshProxyPatch", doc["type"] == "MeshProxyPatch":
				text = fromPatch(t, doc).bootstrap(t)
			case doc["http_filters"] != nil:
				text = fromGen(t, doc).bootstrap(t)
			case doc["static_resources"] != nil:
				fromBootstrap(t, doc)
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				text = b
			default:
				continue
			}
			checked++
			t.Run(file, func(t *testing.T) {
				config := filepath.Join(t.TempDir(), "envoy.yaml") // JSON is YAML
				if err := os.WriteFile(config, text, 0o600); err != nil {
					t.Fatal(err)
				}
				out, err := exec.Command(envoy, "--mode", "validate", "--log-level", "error", "-c", config).CombinedOutput()
				if err != nil || !strings.Contains(string(out), "OK") {
					t.Errorf("Envoy refuses it (%v):\n%s", err, out)
				}
			})
		}
	}
	if checked < 15 {
		t.Errorf("only %d configurations were checked", checked)
	}
}

// locateEnvoy finds the Envoy that `make envoy` provides.
func locateEnvoy(t *testing.T) string {
	t.Helper()
	for _, path := range []string{os.Getenv("SLUICE_ENVOY"), "envoy", "../.tools/bin/envoy"} {
		if path == "" {
			continue
		}
		if found, err := exec.LookPath(path); err == nil {
			if found, err = filepath.Abs(found); err == nil {
				return found
			}
		}
	}
	t.Fatal("there is no Envoy: run `make envoy`, or set SLUICE_ENVOY")
	return ""
}
