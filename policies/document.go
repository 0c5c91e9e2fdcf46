package policies

import (
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai"
	"github.com/sluice-proxy/sluice/internal/identity"
	"github.com/sluice-proxy/sluice/internal/pipeline"
	"github.com/sluice-proxy/sluice/internal/secret"
	"github.com/sluice-proxy/sluice/internal/store"
)

// apiVersion is the version of the policy language.
const apiVersion = "sluice/v1"

// header is what every document begins with.
type header struct {
	APIVersion string   `json:"apiVersion" doc:"Version of the policy language: sluice/v1."`
	Kind       string   `json:"kind" doc:"Policy, Provider or Settings."`
	Metadata   metadata `json:"metadata,omitempty" doc:"Name and labels."`
	Spec       ast.Node `json:"spec" doc:"What the document says."`
}

type metadata struct {
	Name   string            `json:"name,omitempty" doc:"Name of the document, unique for its kind."`
	Labels map[string]string `json:"labels,omitempty" doc:"Labels, for people and tools."`
}

// policySpec is the spec of a Policy.
type policySpec struct {
	Order    int        `json:"order,omitempty" doc:"Place among the policies that match: lowest first. Policies of the same order go by name. Default 0."`
	Match    matchSpec  `json:"match,omitempty" doc:"Which exchanges the policy applies to; all of them where it is left out. Every part that is given must hold."`
	Request  []stepSpec `json:"request,omitempty" doc:"Steps for the request."`
	Response []stepSpec `json:"response,omitempty" doc:"Steps for the response."`
	Log      []stepSpec `json:"log,omitempty" doc:"Steps after the end of the exchange."`
}

// matchSpec says which exchanges a policy applies to.
type matchSpec struct {
	Hosts     []string       `json:"hosts,omitempty" doc:"Host names, without port: exact, or *.example.com for every name below."`
	Paths     []string       `json:"paths,omitempty" doc:"Path globs, without query: * is one segment or a part of it, ** any number of segments."`
	Methods   []string       `json:"methods,omitempty" doc:"HTTP methods."`
	Headers   []headerMatch  `json:"headers,omitempty" doc:"Request headers that must match."`
	Routes    []string       `json:"routes,omitempty" doc:"Names of the data plane's routes; globs."`
	Consumers *consumerMatch `json:"consumers,omitempty" doc:"Who calls."`
	When      string         `json:"when,omitempty" doc:"CEL condition on the request's headers. One that cannot be evaluated counts as a match: a masking policy must not be dodged by breaking it."`
}

type headerMatch struct {
	Name    string `json:"name" doc:"Name of the header."`
	Exact   string `json:"exact,omitempty" doc:"The value must be this."`
	Regex   string `json:"regex,omitempty" doc:"The whole value must match this RE2 expression."`
	Present *bool  `json:"present,omitempty" doc:"The header must be there, or must not."`
}

type consumerMatch struct {
	IDs       []string `json:"ids,omitempty" doc:"Consumer ids or user names, any of which."`
	Groups    []string `json:"groups,omitempty" doc:"Consumer groups, any of which."`
	Anonymous bool     `json:"anonymous,omitempty" doc:"Also callers that are not identified."`
}

// stepSpec is one step.
type stepSpec struct {
	Name     string          `json:"name,omitempty" doc:"Name of the step, unique in the policy; default: the filter's kind. Later steps see its result as steps.<name>."`
	Filter   string          `json:"filter" doc:"Kind of the filter."`
	When     string          `json:"when,omitempty" doc:"CEL condition; the step is left out where it is false."`
	Mode     string          `json:"mode,omitempty" jsonschema:"enum=enforce,enum=observe,enum=shadow" doc:"enforce acts; observe and shadow only record what they would have done. Default enforce."`
	Rollout  *rolloutSpec    `json:"rollout,omitempty" doc:"Share of the traffic that the step applies to."`
	Timeout  time.Duration   `json:"timeout,omitempty" doc:"Most time that the step may take for a phase or a body; none by default."`
	OnError  filters.OnError `json:"onError,omitempty" jsonschema:"enum=continue,enum=deny,enum=fallback" doc:"What happens when the step fails. The default is the filter's."`
	Fallback *fallbackSpec   `json:"fallback,omitempty" doc:"The filter that takes over, with onError: fallback."`
	With     ast.Node        `json:"with,omitempty" doc:"Configuration of the filter."`
}

type rolloutSpec struct {
	Percent float64 `json:"percent" jsonschema:"minimum=0,maximum=100" doc:"Share in percent."`
	By      string  `json:"by,omitempty" jsonschema:"enum=consumer,enum=request" doc:"What stays on one side: the consumer (default; the request where the caller is anonymous), or the request."`
}

type fallbackSpec struct {
	Filter string   `json:"filter" doc:"Kind of the filter."`
	With   ast.Node `json:"with,omitempty" doc:"Configuration of the filter."`
}

// Provider is a configured AI model.
type Provider struct {
	Name string
	Spec ai.Spec
}

// Settings is the spec of a Settings document: what concerns the server as a
// whole. At most one document in a set has it; flags of the command line come
// before it.
type Settings struct {
	Listeners []Listener      `json:"listeners,omitempty" doc:"Where the data plane is served. Read at start."`
	Admin     Admin           `json:"admin,omitempty" doc:"The admin port. Read at start."`
	Limits    Limits          `json:"limits,omitempty" doc:"Bounds; 0 is the default."`
	Bodies    Bodies          `json:"bodies,omitempty" doc:"How bodies are dealt with."`
	Identity  identity.Config `json:"identity,omitempty" doc:"How a caller is identified."`
	DataPlane DataPlane       `json:"dataPlane,omitempty" doc:"What the data plane's configuration allows, where its gRPC metadata does not say so."`
	Audit     Audit           `json:"audit,omitempty" doc:"The audit log of decisions. Read at start."`
	Store     store.Config    `json:"store,omitempty" doc:"Where state is that outlives an exchange: the token vault, and what models says. Read at start."`
	Models    ai.Sharing      `json:"models,omitempty" doc:"What replicas share of what stands around the models. Read at start."`
	Egress    Egress          `json:"egress,omitempty" doc:"Where steps may send content to."`
	Vault     *secret.Vault   `json:"vault,omitempty" doc:"Vault or OpenBao, for secrets that are there."`
	Telemetry Telemetry       `json:"telemetry,omitempty" doc:"Traces. Read at start."`
}

// Egress is what may be called.
type Egress struct {
	Allow []string `json:"allow,omitempty" doc:"Hosts that steps may send content to: host, host:port, or *.example.com for every name below. Every host where it is left out."`
}

// Listener is an address with its TLS.
type Listener struct {
	Address string `json:"address" doc:"host:port, or unix:/path."`
	TLS     *TLS   `json:"tls,omitempty" doc:"TLS; without it the listener is plain text."`
}

// TLS names the files of a listener's TLS. They are read again when they
// change.
type TLS struct {
	Cert     string `json:"cert" doc:"File of the certificate chain, PEM."`
	Key      string `json:"key" doc:"File of the private key, PEM."`
	ClientCA string `json:"clientCA,omitempty" doc:"File of the CA that clients' certificates must be signed by (mTLS), PEM."`
}

// Admin is the admin port.
type Admin struct {
	Address string `json:"address,omitempty" doc:"host:port; default 127.0.0.1:9003."`
	Pprof   bool   `json:"pprof,omitempty" doc:"Serve /debug/pprof/."`
}

// Limits bound what is held, and for how long. 0 is the default.
type Limits struct {
	CollectBytes     int64         `json:"collectBytes,omitempty" jsonschema:"minimum=0" doc:"Most of a body that is collected for steps that need the whole of it; default 10 MiB. Reaching it is a failure of those steps."`
	ExchangeBytes    int64         `json:"exchangeBytes,omitempty" jsonschema:"minimum=0" doc:"Most body bytes that one exchange may hold, both directions and copies together; default 32 MiB. Reaching it is a failure of the steps that need the whole of a body."`
	TotalBytes       int64         `json:"totalBytes,omitempty" jsonschema:"minimum=0" doc:"Body bytes that all exchanges together may hold; default 256 MiB. Then onOverload holds for new ones. At twice that, it is to running ones as exchangeBytes is."`
	MaxExchanges     int           `json:"maxExchanges,omitempty" jsonschema:"minimum=0" doc:"Most exchanges at once; default 20000. Then onOverload holds for new ones."`
	OnOverload       string        `json:"onOverload,omitempty" jsonschema:"enum=policy,enum=deny,enum=pass" doc:"What happens to a new exchange that there is no room for: deny; pass (unprocessed, with sluice.unprocessed in the dynamic metadata); or policy, the default: pass where every enforced step that could run has onError continue, else deny."`
	OverloadStatus   int           `json:"overloadStatus,omitempty" jsonschema:"enum=429,enum=500" doc:"Status of the denial: 429 (default) or 500."`
	ExchangeDuration time.Duration `json:"exchangeDuration,omitempty" doc:"Longest time that an exchange may last; default 24h. Beyond it, it is denied, or cut off where its response has begun; but it is left alone where no step waits for anything any more, and where it is upgraded (WebSocket)."`
	IdleDuration     time.Duration `json:"idleDuration,omitempty" doc:"Longest time that nothing may happen in an exchange; default 1h. Beyond it, as for exchangeDuration."`
	Depth            int           `json:"depth,omitempty" jsonschema:"minimum=0" doc:"Deepest nesting of a document; default 512. Beyond it, the document counts as unparsed."`
	PieceBytes       int           `json:"pieceBytes,omitempty" jsonschema:"minimum=0" doc:"Length from which on a value is looked at in pieces; default 64 KiB. A finding that is longer than four times that is not found as one."`
	NameBytes        int           `json:"nameBytes,omitempty" jsonschema:"minimum=0" doc:"Longest name of a member; default 16 KiB. Beyond it, the document counts as unparsed."`
	EventBytes       int           `json:"eventBytes,omitempty" jsonschema:"minimum=0" doc:"Longest event of a stream of Server-Sent Events; default 1 MiB. Beyond it, the event counts as unparsed."`
	DecodedBytes     int64         `json:"decodedBytes,omitempty" jsonschema:"minimum=0" doc:"Most that a compressed body may decode to; default 100 MiB. Beyond it, the exchange is denied."`
	DecodedRatio     int64         `json:"decodedRatio,omitempty" jsonschema:"minimum=0" doc:"Most that a compressed body may grow by decoding; default 200 times. Beyond it, the exchange is denied."`
	ModelCacheBytes  int64         `json:"modelCacheBytes,omitempty" jsonschema:"minimum=0" doc:"Most bytes of models' answers that are kept in memory; default 64 MiB. Beyond it, those go that are asked for least."`
	MaxStreams       int           `json:"maxStreams,omitempty" jsonschema:"minimum=0" doc:"Most exchanges at once on one connection; default 800, as gen tells Envoy. Further ones wait, or the data plane opens another connection. Not more than 1000: Envoy closes a connection that has more to end at once. Read at start."`
	MaxMessageBytes  int           `json:"maxMessageBytes,omitempty" jsonschema:"minimum=0" doc:"Most of a body in one message from the data plane; default 16 MiB. Beyond it, the exchange is denied. Read at start."`
}

// bounds are the limits of one exchange.
func (l *Limits) bounds() pipeline.Limits {
	return pipeline.Limits{
		CollectBytes: l.CollectBytes, ExchangeBytes: l.ExchangeBytes, TotalBytes: l.TotalBytes, Exchanges: l.MaxExchanges,
		Overload: pipeline.Overload(l.OnOverload), OverloadStatus: l.OverloadStatus, Duration: l.ExchangeDuration, Idle: l.IdleDuration,
		Depth: l.Depth, PieceBytes: l.PieceBytes, NameBytes: l.NameBytes, EventBytes: l.EventBytes, DecodedBytes: l.DecodedBytes, DecodedRatio: l.DecodedRatio,
	}
}

// Bodies is how bodies are dealt with.
type Bodies struct {
	StripAcceptEncoding bool `json:"stripAcceptEncoding,omitempty" doc:"Ask for responses in no content coding (accept-encoding: identity), where an enforced response step reads the body: nothing has to be decoded and encoded then."`
}

// DataPlane is what the data plane's configuration allows.
type DataPlane struct {
	ModeOverride      bool          `json:"modeOverride,omitempty" doc:"allow_mode_override is set."`
	MessageTimeout    time.Duration `json:"messageTimeout,omitempty" doc:"message_timeout; default 200ms."`
	MaxMessageTimeout time.Duration `json:"maxMessageTimeout,omitempty" doc:"max_message_timeout; without it, no extension is asked for."`
}

// Audit is the audit log.
type Audit struct {
	To string `json:"to,omitempty" doc:"stdout (default), none, or the path of a file."`
}

// Telemetry is where traces go.
type Telemetry struct {
	OTLP   string   `json:"otlp,omitempty" doc:"Address of an OTLP gRPC collector; none by default."`
	Sample *float64 `json:"sample,omitempty" jsonschema:"minimum=0,maximum=1" doc:"Share of exchanges that are traced where the request does not say; default 1."`
}
