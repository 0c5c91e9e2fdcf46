package gen

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	mutationv3 "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// FilterName is the name of the filter in the data plane's chain, under which
// routes find it to switch it off.
const FilterName = "envoy.filters.http.ext_proc"

// maxStreams is how many exchanges one data plane may have open with Sluice.
// Every exchange is a stream, and the data plane's own default of 1024 would
// fail the others; Sluice has a bound of its own.
const maxStreams = 65536

// streamsPerConnection is what Sluice takes by default (limits.maxStreams).
// Envoy is told beforehand: it would open more before it hears it from Sluice,
// and each would be refused. It is below 1000 because an exchange ends by a
// reset, and Envoy closes a connection that has more of them in its queue.
const streamsPerConnection = 800

// attributes are what Sluice reads of a connection and a route.
var attributes = []string{
	"source.address",
	"connection.uri_san_peer_certificate",
	"connection.subject_peer_certificate",
	"xds.route_name",
	"xds.cluster_name",
	"xds.virtual_host_name",
}

// Options say where Sluice is.
type Options struct {
	// Address is host:port or unix:/path.
	Address string
	// Cluster is the name of the cluster that leads there.
	Cluster string
	// Metadata are the namespaces of dynamic metadata that policies read;
	// they are sent along.
	Metadata []string
	// AllowRouting lets policies set :authority, :method and host, which the
	// data plane otherwise ignores.
	AllowRouting bool
}

// Filter returns the ext_proc filter that the plan needs.
func Filter(p Plan, opt Options) (*hcmv3.HttpFilter, error) {
	cfg := &extprocv3.ExternalProcessor{
		GrpcService: &corev3.GrpcService{
			TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: opt.Cluster}},
			InitialMetadata: declarations(p),
			RetryPolicy:     retries(),
		},
		FailureModeAllow:  p.FailOpen,
		ProcessingMode:    p.mode(),
		AllowModeOverride: p.ModeOverride,
		MessageTimeout:    durationpb.New(p.MessageTimeout),
		RequestAttributes: attributes,
		MetadataOptions: &extprocv3.MetadataOptions{
			ReceivingNamespaces: &extprocv3.MetadataOptions_MetadataNamespaces{Untyped: []string{"sluice"}},
		},
	}
	if len(opt.Metadata) > 0 {
		cfg.MetadataOptions.ForwardingNamespaces = &extprocv3.MetadataOptions_MetadataNamespaces{Untyped: opt.Metadata}
	}
	if p.MaxMessageTimeout > 0 {
		cfg.MaxMessageTimeout = durationpb.New(p.MaxMessageTimeout)
	}
	if opt.AllowRouting {
		cfg.MutationRules = &mutationv3.HeaderMutationRules{AllowAllRouting: wrapperspb.Bool(true)}
	}
	typed, err := anypb.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("packing the filter: %w", err)
	}
	return &hcmv3.HttpFilter{Name: FilterName, ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: typed}}, nil
}

// retries lets exchanges ride over a restart of Sluice: a stream that Sluice
// has not taken (the port is closed for a moment, or the connection is being
// drained) is tried again, for a second or two at most. One that it has taken
// is not.
func retries() *corev3.RetryPolicy {
	return &corev3.RetryPolicy{
		RetryOn:    "connect-failure,refused-stream",
		NumRetries: wrapperspb.UInt32(12),
		RetryBackOff: &corev3.BackoffStrategy{
			BaseInterval: durationpb.New(50 * time.Millisecond),
			MaxInterval:  durationpb.New(200 * time.Millisecond),
		},
	}
}

func (p Plan) mode() *extprocv3.ProcessingMode {
	m := &extprocv3.ProcessingMode{
		RequestHeaderMode:  extprocv3.ProcessingMode_SEND,
		ResponseHeaderMode: send(p.ResponseHeaders),
	}
	m.RequestBodyMode, m.RequestTrailerMode = p.direction(0)
	m.ResponseBodyMode, m.ResponseTrailerMode = p.direction(1)
	return m
}

// direction is the configured mode of a direction's body and trailers. Full
// duplex asks for the trailers too: they can end the body.
func (p Plan) direction(d int) (extprocv3.ProcessingMode_BodySendMode, extprocv3.ProcessingMode_HeaderSendMode) {
	if p.Body[d] && !p.ModeOverride {
		return extprocv3.ProcessingMode_FULL_DUPLEX_STREAMED, extprocv3.ProcessingMode_SEND
	}
	return extprocv3.ProcessingMode_NONE, send(p.Trailers[d])
}

func send(yes bool) extprocv3.ProcessingMode_HeaderSendMode {
	if yes {
		return extprocv3.ProcessingMode_SEND
	}
	return extprocv3.ProcessingMode_SKIP
}

// declarations tell Sluice, with every stream, what this configuration
// allows: the protocol itself does not.
func declarations(p Plan) []*corev3.HeaderValue {
	var hs []*corev3.HeaderValue
	add := func(k, v string) { hs = append(hs, &corev3.HeaderValue{Key: k, Value: v}) }
	add("sluice-message-timeout", milliseconds(p.MessageTimeout))
	if p.MaxMessageTimeout > 0 {
		add("sluice-max-message-timeout", milliseconds(p.MaxMessageTimeout))
	}
	if p.ModeOverride {
		add("sluice-mode-override", "true")
	}
	var trailers []string
	for d, name := range [...]string{"request", "response"} {
		if _, mode := p.direction(d); mode == extprocv3.ProcessingMode_SEND {
			trailers = append(trailers, name)
		}
	}
	if len(trailers) > 0 {
		add("sluice-trailers", strings.Join(trailers, ","))
	}
	return hs
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + "ms" }

// Cluster returns the cluster that leads to Sluice.
func Cluster(opt Options) (*clusterv3.Cluster, error) {
	address, discovery, err := parseAddress(opt.Address)
	if err != nil {
		return nil, err
	}
	protocol, err := anypb.New(&httpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
					Http2ProtocolOptions: &corev3.Http2ProtocolOptions{MaxConcurrentStreams: wrapperspb.UInt32(streamsPerConnection)},
				},
			},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("packing the cluster's protocol: %w", err)
	}
	return &clusterv3.Cluster{
		Name:                 opt.Cluster,
		ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: discovery},
		ConnectTimeout:       durationpb.New(250 * time.Millisecond),
		CircuitBreakers: &clusterv3.CircuitBreakers{Thresholds: []*clusterv3.CircuitBreakers_Thresholds{{
			MaxRequests:        wrapperspb.UInt32(maxStreams),
			MaxPendingRequests: wrapperspb.UInt32(maxStreams),
			MaxRetries:         wrapperspb.UInt32(maxStreams),
		}}},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol},
		LoadAssignment: &endpointv3.ClusterLoadAssignment{
			ClusterName: opt.Cluster,
			Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
				HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: address}},
			}}}},
		},
	}, nil
}

// parseAddress reads host:port or unix:/path.
func parseAddress(s string) (*corev3.Address, clusterv3.Cluster_DiscoveryType, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		if !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "@") {
			return nil, 0, fmt.Errorf("address %q: the socket's path must be absolute", s)
		}
		return &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: path}}}, clusterv3.Cluster_STATIC, nil
	}
	host, portText, err := net.SplitHostPort(s)
	if err != nil {
		return nil, 0, fmt.Errorf("address %q: it must be host:port or unix:/path", s)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || port == 0 {
		return nil, 0, fmt.Errorf("address %q: the port must be a number from 1 to 65535", s)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	discovery := clusterv3.Cluster_STRICT_DNS
	if ip, err := netip.ParseAddr(host); err == nil {
		discovery = clusterv3.Cluster_STATIC
		if ip.IsUnspecified() {
			return nil, 0, fmt.Errorf("address %q: that is where Sluice listens; the data plane needs an address it can connect to", s)
		}
	}
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address:       host,
		PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}, discovery, nil
}

// RouteDisable returns what a route's typed_per_filter_config has to hold for
// its exchanges to bypass Sluice.
func RouteDisable() (*anypb.Any, error) {
	disabled, err := anypb.New(&extprocv3.ExtProcPerRoute{Override: &extprocv3.ExtProcPerRoute_Disabled{Disabled: true}})
	if err != nil {
		return nil, fmt.Errorf("packing the route's override: %w", err)
	}
	return disabled, nil
}

// Envoy writes the filter and the cluster as one YAML document with two
// members, http_filters and clusters, each to be put where Envoy's
// configuration has a list of that name: the filter before the router.
func Envoy(p Plan, opt Options) ([]byte, error) {
	filter, err := Filter(p, opt)
	if err != nil {
		return nil, err
	}
	cluster, err := Cluster(opt)
	if err != nil {
		return nil, err
	}
	doc := newDocument(p)
	if err := doc.list("http_filters", "before envoy.filters.http.router", snakeCase, filter); err != nil {
		return nil, err
	}
	if err := doc.list("clusters", "", snakeCase, cluster); err != nil {
		return nil, err
	}
	return doc.bytes(), nil
}

// EnvoyRouteDisable writes a route's typed_per_filter_config.
func EnvoyRouteDisable() ([]byte, error) {
	disabled, err := RouteDisable()
	if err != nil {
		return nil, err
	}
	y, err := toYAML(disabled, snakeCase)
	if err != nil {
		return nil, err
	}
	return []byte("typed_per_filter_config:\n  " + FilterName + ":\n" + indent(string(y), "    ")), nil
}
