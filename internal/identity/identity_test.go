package identity

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/filters"
)

// caller is an exchange's beginning.
func caller(address, principal string, headers ...string) *filters.Exchange {
	ex := &filters.Exchange{Source: filters.Source{Address: address, Principal: principal}}
	var fs []filters.Field
	for i := 0; i < len(headers); i += 2 {
		fs = append(fs, filters.Field{Name: headers[i], Value: headers[i+1]})
	}
	ex.Request.Headers = filters.NewHeaders(fs...)
	return ex
}

func resolver(t *testing.T, c Config) *Resolver {
	t.Helper()
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// TestHeaders: headers that a client can write itself count only where their
// setter is trusted.
func TestHeaders(t *testing.T) {
	always := Trust{Trusted: true}
	near := Trust{From: []string{"10.0.0.0/8", "192.0.2.7", "2001:db8::/32"}}
	gateway := Trust{Principals: []string{"spiffe://mesh/gateway"}}
	kong := []string{"x-consumer-id", "c-1", "x-consumer-username", "jane", "x-consumer-groups", "a, b,,c"}
	for _, c := range []struct {
		name    string
		cfg     Header
		ex      *filters.Exchange
		want    string // id/username/groups; "" is anonymous
		because string
	}{
		{name: "trusted", cfg: Header{Trust: always}, ex: caller("203.0.113.9:1", "", kong...), want: "c-1/jane/a,b,c"},
		{name: "several group headers", cfg: Header{Trust: always}, ex: caller("", "", "x-consumer-id", "c-1", "x-consumer-groups", "a", "x-consumer-groups", "b"), want: "c-1//a,b"},
		{name: "a user name alone", cfg: Header{Trust: always}, ex: caller("", "", "x-consumer-username", "jane"), want: "/jane/"},
		{name: "groups alone are nobody", cfg: Header{Trust: always}, ex: caller("", "", "x-consumer-groups", "admin")},
		{name: "other names", cfg: Header{Trust: always, ID: "X-User", Groups: "X-Roles"}, ex: caller("", "", "x-user", "u", "x-roles", "r", "x-consumer-id", "c"), want: "u//r"},
		{name: "from a trusted range", cfg: Header{Trust: near}, ex: caller("10.1.2.3:4711", "", kong...), want: "c-1/jane/a,b,c"},
		{name: "an address without a port", cfg: Header{Trust: near}, ex: caller("10.1.2.3", "", kong...), want: "c-1/jane/a,b,c"},
		{name: "one address", cfg: Header{Trust: near}, ex: caller("192.0.2.7:1", "", kong...), want: "c-1/jane/a,b,c"},
		{name: "IPv6", cfg: Header{Trust: near}, ex: caller("[2001:db8::1]:80", "", kong...), want: "c-1/jane/a,b,c"},
		{name: "IPv4 in IPv6", cfg: Header{Trust: near}, ex: caller("[::ffff:10.0.0.1]:80", "", kong...), want: "c-1/jane/a,b,c"},
		{name: "from elsewhere", cfg: Header{Trust: near}, ex: caller("192.0.2.8:1", "", kong...)},
		{name: "from nobody knows where", cfg: Header{Trust: near}, ex: caller("", "", kong...)},
		{name: "an address that is none", cfg: Header{Trust: near}, ex: caller("10.0.0.0/8", "", kong...)},
		{name: "by a trusted peer", cfg: Header{Trust: gateway}, ex: caller("203.0.113.9:1", "spiffe://mesh/gateway", kong...), want: "c-1/jane/a,b,c"},
		{name: "by another peer", cfg: Header{Trust: gateway}, ex: caller("203.0.113.9:1", "spiffe://mesh/gateway2", kong...)},
		{name: "by a peer without a name", cfg: Header{Trust: gateway}, ex: caller("203.0.113.9:1", "", kong...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			who := resolver(t, Config{Header: &c.cfg}).Identify(t.Context(), c.ex)
			got := ""
			if who.By != "" {
				got = who.ID + "/" + who.Username + "/" + strings.Join(who.Groups, ",")
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestXFCC: the caller is the peer of the data plane, whose element is the
// last; elements before it are what that peer passed on.
func TestXFCC(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []string
		want   string
	}{
		{"one element", []string{"By=spiffe://mesh/us;Hash=468e;URI=spiffe://mesh/web"}, "spiffe://mesh/web"},
		{"several elements", []string{"By=spiffe://a;URI=spiffe://mesh/first,By=spiffe://b;URI=spiffe://mesh/last"}, "spiffe://mesh/last"},
		{"several headers", []string{"URI=spiffe://mesh/first", "URI=spiffe://mesh/last"}, "spiffe://mesh/last"},
		{"a quoted subject", []string{`Subject="/C=US/O=A, Inc.;URI=spiffe://mesh/fake/CN=x";URI=spiffe://mesh/web`}, "spiffe://mesh/web"},
		{"a quote in a quoted subject", []string{`Subject="CN=\",URI=spiffe://mesh/fake,\"";URI=spiffe://mesh/web`}, "spiffe://mesh/web"},
		{"a quoted certificate", []string{`Hash=1;Cert="-----BEGIN%20CERTIFICATE-----%0A,;URI=spiffe://mesh/fake";URI=spiffe://mesh/web;DNS=web.example.com`}, "spiffe://mesh/web"},
		{"a quoted id", []string{`URI="spiffe://mesh/web"`}, "spiffe://mesh/web"},
		{"two ids", []string{"URI=https://example.com;URI=spiffe://mesh/web"}, "spiffe://mesh/web"},
		{"lower case and spaces", []string{"uri=spiffe://mesh/first, uri = spiffe://mesh/web"}, "spiffe://mesh/web"},
		{"the last one has none", []string{"URI=spiffe://mesh/first,Hash=1"}, ""},
		{"no SPIFFE id", []string{"URI=https://example.com/web"}, ""},
		{"by whom it was seen", []string{"By=spiffe://mesh/us"}, ""},
		{"a quote without an end", []string{`Subject="CN=x;URI=spiffe://mesh/fake`}, ""},
		{"empty", []string{""}, ""},
		{"none", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var hs []string
			for _, v := range c.values {
				hs = append(hs, "x-forwarded-client-cert", v)
			}
			cfg := Config{XFCC: &XFCC{Trust{From: []string{"127.0.0.0/8"}}}}
			who := resolver(t, cfg).Identify(t.Context(), caller("127.0.0.1:9", "", hs...))
			if who.ID != c.want || (who.By == "xfcc") != (c.want != "") {
				t.Errorf("got %+v, want %q", who, c.want)
			}
			if who := resolver(t, cfg).Identify(t.Context(), caller("192.0.2.1:9", "", hs...)); who.ID != "" {
				t.Errorf("%q counts from a peer that nobody trusts", who.ID)
			}
		})
	}
}

// TestOrder: a verified token comes before headers, and those before the
// mesh's certificate.
func TestOrder(t *testing.T) {
	keys := newKeys(t)
	r := resolver(t, Config{
		Header: &Header{Trust: Trust{Trusted: true}}, XFCC: &XFCC{Trust{Trusted: true}},
		JWT: &JWT{JWKSFile: keys.file(t)},
	})
	all := []string{"x-forwarded-client-cert", "URI=spiffe://mesh/web", "x-consumer-id", "c-1", "authorization", "Bearer " + keys.token(t, nil)}
	for n, want := range map[int]string{6: "jwt", 4: "header", 2: "xfcc", 0: ""} {
		if who := r.Identify(t.Context(), caller("", "", all[:n]...)); who.By != want {
			t.Errorf("by %q, want %q", who.By, want)
		}
	}
	if who := r.Identify(t.Context(), caller("", "", append(slices.Clone(all[:4]), "authorization", "Bearer x.y.z")...)); who.By != "header" {
		t.Errorf("a token that is none: by %q", who.By)
	}
}

// TestBadConfig: a configuration that trusts nobody, or what proves nothing,
// is refused at its key.
func TestBadConfig(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		path string
	}{
		{Config{Header: &Header{}}, "header"},
		{Config{XFCC: &XFCC{}}, "xfcc"},
		{Config{XFCC: &XFCC{Trust{From: []string{"10.0.0.0/8", "10.0.0"}}}}, "xfcc.from[1]"},
		{Config{JWT: &JWT{}}, "jwt"},
		{Config{JWT: &JWT{JWKSFile: "a", JWKSURL: "https://example.com"}}, "jwt"},
		{Config{JWT: &JWT{JWKSFile: "testdata/there-is-none"}}, "jwt.jwksFile"},
		{Config{JWT: &JWT{JWKSURL: "http://example.com/keys"}}, "jwt.jwksURL"},
		{Config{JWT: &JWT{JWKSURL: "http://127.0.0.1.example.com/keys"}}, "jwt.jwksURL"},
		{Config{JWT: &JWT{JWKSURL: "http://localhost.example.com/keys"}}, "jwt.jwksURL"},
		{Config{JWT: &JWT{JWKSURL: "https:///keys"}}, "jwt.jwksURL"},
		{Config{JWT: &JWT{JWKSURL: "https://example.com", Algorithms: []string{"RS256", "HS256"}}}, "jwt.algorithms[1]"},
		{Config{JWT: &JWT{JWKSURL: "https://example.com", Algorithms: []string{"none"}}}, "jwt.algorithms[0]"},
	} {
		r, err := New(c.cfg)
		var fe *filters.FieldError
		if !errors.As(err, &fe) || fe.Path != c.path {
			t.Errorf("%+v: %v, want an error at %s", c.cfg, err, c.path)
		}
		r.Close()
	}
}
