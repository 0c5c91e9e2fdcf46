package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/sluice-proxy/sluice/filters"
)

const (
	maxToken    = 16 << 10 // the longest token that is looked at
	maxKeySet   = 1 << 20
	fetchWithin = 10 * time.Second
	// missedWait is the least time between two loads because of keys that are
	// not in the set: tokens with made-up key ids must not become requests.
	missedWait = 10 * time.Second
	clockSkew  = time.Minute
)

// asymmetric are the algorithms whose keys may be public.
var asymmetric = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// jwtMethod is identity from a verified token.
type jwtMethod struct {
	cfg        JWT
	header     string
	algorithms map[string]bool
	keys       atomic.Pointer[jwk.Set]
	// missed is told of a token whose key is not in the set.
	missed     chan struct{}
	missedWait time.Duration
	client     *http.Client
	stop       context.CancelFunc
}

func newJWT(c JWT) (*jwtMethod, error) {
	fail := func(key, msg, hint string) error { return &filters.FieldError{Path: "jwt" + key, Msg: msg, Hint: hint} }
	if (c.JWKSFile == "") == (c.JWKSURL == "") {
		return nil, fail("", "give exactly one of jwksFile and jwksURL", "")
	}
	if u, err := url.Parse(c.JWKSURL); c.JWKSURL != "" && (err != nil || !proves(u)) {
		return nil, fail(".jwksURL", "the address is not https", "keys that came over plain http prove nothing")
	}
	if len(c.Algorithms) == 0 {
		c.Algorithms = []string{"RS256", "ES256", "EdDSA"}
	}
	m := &jwtMethod{cfg: c, header: nameOr(c.Header, "authorization"), algorithms: map[string]bool{}, missed: make(chan struct{}, 1), missedWait: missedWait}
	m.client = &http.Client{CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > 3 || !proves(r.URL) {
			return errors.New("a redirect to an address that is not https")
		}
		return nil
	}}
	for i, a := range c.Algorithms {
		if !slices.Contains(asymmetric, a) {
			return nil, fail(fmt.Sprintf(".algorithms[%d]", i), fmt.Sprintf("%q is not accepted", a), "one of "+strings.Join(asymmetric, ", "))
		}
		m.algorithms[a] = true
	}
	if c.Refresh <= 0 {
		m.cfg.Refresh = 5 * time.Minute
	}
	if c.JWKSFile != "" {
		// A file that is not there is a mistake; an address may come up later.
		if err := m.load(context.Background()); err != nil {
			return nil, fail(".jwksFile", err.Error(), "")
		}
	}
	return m, nil
}

// start keeps the key set up to date until close.
func (m *jwtMethod) start() {
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	go m.refresh(ctx)
}

func (m *jwtMethod) close() { m.stop() }

// proves reports whether keys from an address can be believed: it is https, or
// this machine's own.
func proves(u *url.URL) bool {
	if u.Scheme == "https" {
		return u.Host != ""
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && ip.IsLoopback())
}

// refresh reads the key set again and again: until there is one, and when a
// token has a key that is not in it, sooner.
func (m *jwtMethod) refresh(ctx context.Context) {
	if m.keys.Load() == nil {
		_ = m.load(ctx)
	}
	loaded := time.Now()
	for {
		wait := m.cfg.Refresh
		if m.keys.Load() == nil {
			wait = min(wait, 5*time.Second)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		case <-m.missed:
			if time.Since(loaded) < m.missedWait {
				continue
			}
		}
		// The keys that are there stay in use where this fails.
		_ = m.load(ctx)
		loaded = time.Now()
	}
}

func (m *jwtMethod) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, fetchWithin)
	defer cancel()
	text, err := m.read(ctx)
	if err != nil {
		return fmt.Errorf("reading the key set: %w", err)
	}
	set, err := jwk.Parse(text)
	if err != nil {
		return errors.New("reading the key set: it is not a JWKS")
	}
	m.keys.Store(&set)
	return nil
}

func (m *jwtMethod) read(ctx context.Context) ([]byte, error) {
	if m.cfg.JWKSFile != "" {
		return os.ReadFile(m.cfg.JWKSFile)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.cfg.JWKSURL, nil)
	if err != nil {
		return nil, err
	}
	resp, err := m.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %d", resp.StatusCode)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxKeySet))
}

func (m *jwtMethod) identify(ex *filters.Exchange) (filters.Consumer, bool) {
	text := ex.Request.Headers.Get(m.header)
	if len(text) > 7 && strings.EqualFold(text[:7], "bearer ") {
		text = strings.TrimSpace(text[7:])
	}
	keys := m.keys.Load()
	if text == "" || len(text) > maxToken || keys == nil {
		return filters.Consumer{}, false
	}
	tok, err := m.verify([]byte(text), *keys)
	if err != nil {
		return filters.Consumer{}, false
	}
	c := filters.Consumer{By: "jwt", Claims: map[string]any{}}
	for _, k := range tok.Keys() {
		var v any
		if tok.Get(k, &v) == nil {
			c.Claims[k] = plain(v)
		}
	}
	c.ID, _ = c.Claims[nameOr0(m.cfg.IDClaim, "sub")].(string)
	c.Username, _ = c.Claims[nameOr0(m.cfg.NameClaim, "preferred_username")].(string)
	c.Tenant, _ = c.Claims[nameOr0(m.cfg.TenantClaim, "tenant")].(string)
	switch g := c.Claims[nameOr0(m.cfg.GroupClaim, "groups")].(type) {
	case string:
		c.Groups = strings.Fields(g)
	case []any:
		for _, x := range g {
			if s, ok := x.(string); ok {
				c.Groups = append(c.Groups, s)
			}
		}
	}
	return c, c.ID != "" || c.Username != ""
}

func nameOr0(name, def string) string {
	if name == "" {
		return def
	}
	return name
}

// plain makes a claim fit for expressions.
func plain(v any) any {
	switch x := v.(type) {
	case time.Time:
		return x.Unix()
	case []string:
		out := make([]any, len(x))
		for i, s := range x {
			out[i] = s
		}
		return out
	}
	return v
}

func (m *jwtMethod) verify(text []byte, keys jwk.Set) (jwt.Token, error) {
	msg, err := jws.Parse(text)
	if err != nil || len(msg.Signatures()) != 1 {
		return nil, errors.New("not a token")
	}
	alg, ok := msg.Signatures()[0].ProtectedHeaders().Algorithm()
	if !ok || !m.algorithms[alg.String()] || alg == jwa.NoSignature() {
		return nil, errors.New("the algorithm is not accepted")
	}
	if kid, ok := msg.Signatures()[0].ProtectedHeaders().KeyID(); ok {
		if _, ok := keys.LookupKeyID(kid); !ok {
			select {
			case m.missed <- struct{}{}:
			default:
			}
			return nil, errors.New("the key is not known")
		}
	}
	tok, err := jwt.Parse(text, jwt.WithKeySet(keys, jws.WithInferAlgorithmFromKey(true)), jwt.WithValidate(true), jwt.WithAcceptableSkew(clockSkew))
	if err != nil {
		return nil, err
	}
	if m.cfg.Issuer != "" {
		if iss, _ := tok.Issuer(); iss != m.cfg.Issuer {
			return nil, errors.New("another issuer")
		}
	}
	if len(m.cfg.Audiences) > 0 {
		aud, _ := tok.Audience()
		if !slices.ContainsFunc(aud, func(a string) bool { return slices.Contains(m.cfg.Audiences, a) }) {
			return nil, errors.New("another audience")
		}
	}
	return tok, nil
}
