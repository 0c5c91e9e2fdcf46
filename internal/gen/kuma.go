package gen

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Form is how the sidecars of a mesh reach Sluice.
type Form string

// The forms.
const (
	// Loopback: Sluice runs beside each workload and listens on the loopback.
	Loopback Form = "loopback"
	// Socket: the same on a Unix socket.
	Socket Form = "socket"
	// Service: Sluice is a service of the mesh. The sidecar has a cluster for
	// it, with mTLS, and the patch only names it.
	Service Form = "service"
)

// Target is what the patch is applied to.
type Target string

// The targets.
const (
	Universal  Target = "universal"
	Kubernetes Target = "kubernetes"
)

// Origin is the side of the sidecar whose exchanges go through Sluice.
type Origin string

// The origins.
const (
	// Inbound: what comes to the workload.
	Inbound Origin = "inbound"
	// Outbound: what the workload sends through one listener.
	Outbound Origin = "outbound"
	// Gateway: what comes to a builtin gateway.
	Gateway Origin = "gateway"
)

// Patch says what a MeshProxyPatch is to be.
type Patch struct {
	Name, Mesh string
	Target     Target
	Form       Form
	Origin     Origin
	// Labels choose the data plane proxies; all of the mesh where empty.
	Labels map[string]string
	// Namespace is the system namespace that the Kubernetes object is in.
	Namespace string
	// Listener is the unified name of the outbound listener. Without one, the
	// way to Sluice itself would lead through Sluice.
	Listener string
	Options
}

// SystemNamespace is where Kong Mesh keeps its objects.
const SystemNamespace = "kong-mesh-system"

// MeshService is a service of the mesh, to name the sidecars' own cluster
// that leads to it.
type MeshService struct {
	Mesh, Name, Namespace, Zone string
	// Port is the port's name or number.
	Port string
}

// Cluster returns the cluster's name. Releases before 3.0 join mesh, name,
// namespace, zone, the kind and the port; with 3.0 it is the resource's
// identifier.
func (s MeshService) Cluster(release int) string {
	if release >= 3 {
		return strings.Join([]string{"kri_msvc", s.Mesh, s.Zone, s.Namespace, s.Name, s.Port}, "_")
	}
	return strings.Join([]string{s.Mesh, s.Name, s.Namespace, s.Zone, "msvc", s.Port}, "_")
}

func (p *Patch) validate() error {
	switch {
	case p.Name == "" || p.Mesh == "":
		return errors.New("the patch needs a name and a mesh")
	case p.Target != Universal && p.Target != Kubernetes:
		return fmt.Errorf("target %q: it must be universal or kubernetes", p.Target)
	case p.Form != Loopback && p.Form != Socket && p.Form != Service:
		return fmt.Errorf("form %q: it must be loopback, socket or service", p.Form)
	case p.Origin != Inbound && p.Origin != Outbound && p.Origin != Gateway:
		return fmt.Errorf("origin %q: it must be inbound, outbound or gateway", p.Origin)
	case p.Origin == Outbound && p.Listener == "":
		return errors.New("origin outbound needs the listener it is for: without one the sidecar's own way to Sluice would lead through Sluice")
	case p.Origin == Gateway && len(p.Labels) > 0:
		return errors.New("origin gateway takes no labels: the patch is for the mesh's builtin gateways")
	case p.Form == Socket != strings.HasPrefix(p.Address, "unix:") && p.Form != Service:
		return fmt.Errorf("form %s does not go with the address %s", p.Form, p.Address)
	case p.Cluster == "":
		return errors.New("the patch needs the cluster's name")
	}
	return nil
}

// Kuma writes the MeshProxyPatch.
func Kuma(plan Plan, p Patch) ([]byte, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	var modifications []any
	if p.Form != Service {
		cluster, err := Cluster(p.Options)
		if err != nil {
			return nil, err
		}
		value, err := toYAML(cluster, camelCase)
		if err != nil {
			return nil, err
		}
		modifications = append(modifications, yaml.MapSlice{{Key: "cluster", Value: yaml.MapSlice{
			{Key: "operation", Value: "Add"},
			{Key: "value", Value: string(value)},
		}}})
	}
	filter, err := Filter(plan, p.Options)
	if err != nil {
		return nil, err
	}
	value, err := toYAML(filter, camelCase)
	if err != nil {
		return nil, err
	}
	match := yaml.MapSlice{
		{Key: "name", Value: "envoy.filters.http.router"},
		{Key: "origin", Value: string(p.Origin)},
	}
	if p.Listener != "" {
		match = append(match, yaml.MapItem{Key: "listenerTags", Value: yaml.MapSlice{{Key: "kuma.io/unified-name", Value: p.Listener}}})
	}
	modifications = append(modifications, yaml.MapSlice{{Key: "httpFilter", Value: yaml.MapSlice{
		// Before the router and so behind the sidecar's own access control.
		{Key: "operation", Value: "AddBefore"},
		{Key: "match", Value: match},
		{Key: "value", Value: string(value)},
	}}})
	object := append(p.head(), yaml.MapItem{Key: "spec", Value: yaml.MapSlice{
		{Key: "targetRef", Value: p.targetRef()},
		{Key: "default", Value: yaml.MapSlice{{Key: "appendModifications", Value: modifications}}},
	}})
	out, err := yaml.MarshalWithOptions(object, yaml.Indent(2), yaml.IndentSequence(true), yaml.UseLiteralStyleIfMultiline(true))
	if err != nil {
		return nil, fmt.Errorf("writing the patch: %w", err)
	}
	doc := newDocument(plan)
	doc.b.Write(out)
	return doc.bytes(), nil
}

func (p *Patch) head() yaml.MapSlice {
	if p.Target == Universal {
		return yaml.MapSlice{
			{Key: "type", Value: "MeshProxyPatch"},
			{Key: "mesh", Value: p.Mesh},
			{Key: "name", Value: p.Name},
		}
	}
	namespace := p.Namespace
	if namespace == "" {
		namespace = SystemNamespace
	}
	return yaml.MapSlice{
		{Key: "apiVersion", Value: "kuma.io/v1alpha1"},
		{Key: "kind", Value: "MeshProxyPatch"},
		{Key: "metadata", Value: yaml.MapSlice{
			{Key: "name", Value: p.Name},
			{Key: "namespace", Value: namespace},
			{Key: "labels", Value: yaml.MapSlice{{Key: "kuma.io/mesh", Value: p.Mesh}}},
		}},
	}
}

func (p *Patch) targetRef() yaml.MapSlice {
	kind := "Dataplane"
	switch {
	case p.Origin == Gateway:
		kind = "MeshGateway"
	case len(p.Labels) == 0:
		kind = "Mesh"
	}
	ref := yaml.MapSlice{{Key: "kind", Value: kind}}
	if len(p.Labels) > 0 {
		var labels yaml.MapSlice
		for _, k := range slices.Sorted(maps.Keys(p.Labels)) {
			labels = append(labels, yaml.MapItem{Key: k, Value: p.Labels[k]})
		}
		ref = append(ref, yaml.MapItem{Key: "labels", Value: labels})
	}
	return ref
}
