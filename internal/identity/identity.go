// Package identity finds out who calls: from headers that a gateway set, from
// a verified JWT, or from the mesh's client certificate. What a client could
// have written itself counts only where the configuration says that its
// setter is trusted. A caller that cannot be identified is anonymous.
package identity

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/gaissmai/bart"

	"github.com/sluice-proxy/sluice/filters"
)

// Config says how callers are identified. The methods are tried in the order
// jwt, header, xfcc: the first that identifies the caller counts.
type Config struct {
	// Header takes the identity from headers of a gateway (Kong's names).
	Header *Header `json:"header,omitempty" doc:"Identity from headers that a gateway sets."`
	// JWT takes it from a verified token.
	JWT *JWT `json:"jwt,omitempty" doc:"Identity from a verified JWT."`
	// XFCC takes it from x-forwarded-client-cert.
	XFCC *XFCC `json:"xfcc,omitempty" doc:"Identity from the mesh's x-forwarded-client-cert: the SPIFFE id of the caller."`
}

// Header is identity from headers.
type Header struct {
	Trust
	ID       string `json:"id,omitempty" doc:"Header of the consumer's id; default x-consumer-id."`
	Username string `json:"username,omitempty" doc:"Header of the user name; default x-consumer-username."`
	Groups   string `json:"groups,omitempty" doc:"Header of the groups, separated by commas; default x-consumer-groups."`
	Tenant   string `json:"tenant,omitempty" doc:"Header of the tenant; default x-consumer-tenant."`
}

// Trust says whose headers are believed.
type Trust struct {
	Trusted    bool     `json:"trusted,omitempty" doc:"The data plane removes these headers from clients' requests, so that whoever set them is trusted."`
	From       []string `json:"from,omitempty" doc:"CIDRs of the peers that are trusted to set them."`
	Principals []string `json:"principals,omitempty" doc:"Verified identities (SPIFFE ids, subjects) of the peers that are trusted to set them."`
}

// JWT is identity from a verified token.
type JWT struct {
	Header    string        `json:"header,omitempty" doc:"Header that holds the token, with or without Bearer; default authorization."`
	JWKSFile  string        `json:"jwksFile,omitempty" doc:"File of the key set."`
	JWKSURL   string        `json:"jwksURL,omitempty" doc:"https address of the key set; fetched in the background."`
	Refresh   time.Duration `json:"refresh,omitempty" doc:"How often the key set is read again; default 5m. A token whose key is not in it has it read sooner."`
	Issuer    string        `json:"issuer,omitempty" doc:"The iss that tokens must have."`
	Audiences []string      `json:"audiences,omitempty" doc:"The aud of which tokens must have one."`
	// Algorithms that signatures may have.
	Algorithms []string `json:"algorithms,omitempty" doc:"Signature algorithms that are accepted; default RS256, ES256 and EdDSA. Symmetric ones and none never are."`
	IDClaim    string   `json:"idClaim,omitempty" doc:"Claim of the consumer's id; default sub."`
	NameClaim  string   `json:"nameClaim,omitempty" doc:"Claim of the user name; default preferred_username."`
	GroupClaim string   `json:"groupClaim,omitempty" doc:"Claim of the groups, a list or text separated by spaces; default groups."`
	// TenantClaim is the claim of the tenant.
	TenantClaim string `json:"tenantClaim,omitempty" doc:"Claim of the tenant, the organisation of the caller; default tenant."`
}

// XFCC is identity from x-forwarded-client-cert.
type XFCC struct {
	Trust
}

// Resolver identifies callers. It is used by many exchanges at once.
type Resolver struct {
	header *headerMethod
	jwt    *jwtMethod
	xfcc   *trust
}

// New returns a resolver. Its errors are *filters.FieldErrors.
func New(c Config) (*Resolver, error) {
	r := &Resolver{}
	if c.Header != nil {
		t, err := newTrust(c.Header.Trust, "header")
		if err != nil {
			return nil, err
		}
		r.header = &headerMethod{trust: t,
			id: nameOr(c.Header.ID, "x-consumer-id"), username: nameOr(c.Header.Username, "x-consumer-username"), groups: nameOr(c.Header.Groups, "x-consumer-groups"),
			tenant: nameOr(c.Header.Tenant, "x-consumer-tenant")}
	}
	if c.XFCC != nil {
		t, err := newTrust(c.XFCC.Trust, "xfcc")
		if err != nil {
			return nil, err
		}
		r.xfcc = t
	}
	if c.JWT != nil {
		m, err := newJWT(*c.JWT)
		if err != nil {
			return nil, err
		}
		m.start()
		r.jwt = m
	}
	return r, nil
}

// Close ends what runs in the background.
func (r *Resolver) Close() {
	if r != nil && r.jwt != nil {
		r.jwt.close()
	}
}

// Identify returns the caller of ex. It does not wait for anything.
func (r *Resolver) Identify(_ context.Context, ex *filters.Exchange) filters.Consumer {
	if r.jwt != nil {
		if c, ok := r.jwt.identify(ex); ok {
			return c
		}
	}
	if r.header != nil {
		if c, ok := r.header.identify(ex); ok {
			return c
		}
	}
	if r.xfcc != nil && r.xfcc.holds(ex) {
		if id := spiffeID(ex.Request.Headers.Values("x-forwarded-client-cert")); id != "" {
			return filters.Consumer{ID: id, By: "xfcc"}
		}
	}
	return filters.Consumer{}
}

func nameOr(name, def string) string {
	if name == "" {
		return def
	}
	return strings.ToLower(name)
}

// trust decides whether a peer's headers are believed.
type trust struct {
	always     bool
	from       bart.Lite
	principals map[string]bool
}

func newTrust(c Trust, path string) (*trust, error) {
	t := &trust{always: c.Trusted, principals: map[string]bool{}}
	if !c.Trusted && len(c.From) == 0 && len(c.Principals) == 0 {
		return nil, &filters.FieldError{Path: path, Msg: "nobody is trusted to set these headers, so they would never count",
			Hint: "set trusted: true where the data plane removes them from clients' requests, or name from or principals"}
	}
	for i, s := range c.From {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			a, aerr := netip.ParseAddr(s)
			if aerr != nil {
				return nil, &filters.FieldError{Path: fmt.Sprintf("%s.from[%d]", path, i), Msg: fmt.Sprintf("%q is no CIDR", s), Hint: "write 10.0.0.0/8"}
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		t.from.Insert(p.Masked())
	}
	for _, s := range c.Principals {
		t.principals[s] = true
	}
	return t, nil
}

func (t *trust) holds(ex *filters.Exchange) bool {
	if t.always || ex.Source.Principal != "" && t.principals[ex.Source.Principal] {
		return true
	}
	ap, err := netip.ParseAddrPort(ex.Source.Address)
	addr := ap.Addr()
	if err != nil {
		if addr, err = netip.ParseAddr(ex.Source.Address); err != nil {
			return false
		}
	}
	return t.from.Contains(addr.Unmap())
}

type headerMethod struct {
	trust                        *trust
	id, username, groups, tenant string
}

func (m *headerMethod) identify(ex *filters.Exchange) (filters.Consumer, bool) {
	h := &ex.Request.Headers
	id, username := h.Get(m.id), h.Get(m.username)
	if id == "" && username == "" || !m.trust.holds(ex) {
		return filters.Consumer{}, false
	}
	c := filters.Consumer{ID: id, Username: username, Tenant: h.Get(m.tenant), By: "header"}
	for _, v := range h.Values(m.groups) {
		for g := range strings.SplitSeq(v, ",") {
			if g = strings.TrimSpace(g); g != "" {
				c.Groups = append(c.Groups, g)
			}
		}
	}
	return c, true
}

// spiffeID returns the SPIFFE id of the last element of
// x-forwarded-client-cert: the one that the data plane itself added for its
// direct peer. Elements are separated by commas, pairs by semicolons, and
// values may be quoted.
func spiffeID(values []string) string {
	if len(values) == 0 {
		return ""
	}
	elements := splitQuoted(values[len(values)-1], ',')
	last := elements[len(elements)-1]
	for _, pair := range splitQuoted(last, ';') {
		k, v, _ := strings.Cut(pair, "=")
		if !strings.EqualFold(strings.TrimSpace(k), "URI") {
			continue
		}
		v = strings.Trim(strings.TrimSpace(v), `"`)
		if strings.HasPrefix(v, "spiffe://") {
			return v
		}
	}
	return ""
}

// splitQuoted splits at sep outside of double quotes.
func splitQuoted(s string, sep byte) []string {
	var out []string
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == sep && !quoted:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}
