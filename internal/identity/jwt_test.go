package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

// keys are an issuer's.
type keys struct {
	kid     string
	private jwk.Key
	alg     jwa.SignatureAlgorithm
}

func newKeys(t *testing.T) *keys { return makeKeys(t, jwa.ES256(), "k1") }

func makeKeys(t *testing.T, alg jwa.SignatureAlgorithm, kid string) *keys {
	t.Helper()
	var raw any
	var err error
	switch alg {
	case jwa.RS256():
		raw, err = rsa.GenerateKey(rand.Reader, 2048)
	case jwa.EdDSA():
		_, raw, err = ed25519.GenerateKey(rand.Reader)
	default:
		raw, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	k, err := jwk.Import(raw)
	if err != nil {
		t.Fatal(err)
	}
	if kid != "" {
		if err := k.Set(jwk.KeyIDKey, kid); err != nil {
			t.Fatal(err)
		}
	}
	return &keys{kid, k, alg}
}

// set is the key set of these issuers, as they publish it.
func set(t *testing.T, ks ...*keys) []byte {
	t.Helper()
	s := jwk.NewSet()
	for _, k := range ks {
		public, err := k.private.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.AddKey(public); err != nil {
			t.Fatal(err)
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (k *keys) file(t *testing.T) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(f, set(t, k), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// token signs claims, over those of a good token.
func (k *keys) token(t *testing.T, claims map[string]any) string {
	t.Helper()
	tok := jwt.New()
	good := map[string]any{"sub": "u-1", "iss": "https://issuer/", "aud": []string{"api", "other"}, "exp": time.Now().Add(time.Hour), "preferred_username": "jane", "groups": []string{"a", "b"}}
	for _, m := range []map[string]any{good, claims} {
		for name, v := range m {
			if v == nil {
				if err := tok.Remove(name); err != nil {
					t.Fatal(err)
				}
			} else if err := tok.Set(name, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	text, err := jwt.Sign(tok, jwt.WithKey(k.alg, k.private))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestTokens: what of a token is believed, and when none of it is.
func TestTokens(t *testing.T) {
	ours, other := newKeys(t), newKeys(t)
	full := JWT{Issuer: "https://issuer/", Audiences: []string{"api"}}
	part := func(token string, n int, to string) string {
		parts := strings.Split(token, ".")
		parts[n] = base64.RawURLEncoding.EncodeToString([]byte(to))
		return strings.Join(parts, ".")
	}
	good := ours.token(t, nil)
	for _, c := range []struct {
		name   string
		cfg    JWT
		header string
		want   string // id/username/groups
	}{
		{"good", full, "Bearer " + good, "u-1/jane/a,b"},
		{"bearer in lower case", full, "bearer  " + good, "u-1/jane/a,b"},
		{"bare", full, good, "u-1/jane/a,b"},
		{"no demands", JWT{}, "Bearer " + ours.token(t, map[string]any{"iss": nil, "aud": nil}), "u-1/jane/a,b"},
		{"groups in a text", full, ours.token(t, map[string]any{"groups": "x y"}), "u-1/jane/x,y"},
		{"other claims", JWT{IDClaim: "client_id", NameClaim: "email", GroupClaim: "roles"}, ours.token(t, map[string]any{"client_id": "app", "email": "jane@example.com", "roles": []string{"r"}}), "app/jane@example.com/r"},
		{"a claim of another type", full, ours.token(t, map[string]any{"groups": 7}), "u-1/jane/"},
		{"nobody in it", full, ours.token(t, map[string]any{"sub": nil, "preferred_username": nil}), ""},
		{"another issuer", full, ours.token(t, map[string]any{"iss": "https://issuer"}), ""},
		{"no issuer", full, ours.token(t, map[string]any{"iss": nil}), ""},
		{"another audience", full, ours.token(t, map[string]any{"aud": []string{"ap"}}), ""},
		{"no audience", full, ours.token(t, map[string]any{"aud": nil}), ""},
		{"just over", full, ours.token(t, map[string]any{"exp": time.Now().Add(-30 * time.Second)}), "u-1/jane/a,b"},
		{"over", full, ours.token(t, map[string]any{"exp": time.Now().Add(-2 * time.Minute)}), ""},
		{"not yet", full, ours.token(t, map[string]any{"nbf": time.Now().Add(2 * time.Minute)}), ""},
		{"another's key of the same id", full, other.token(t, nil), ""},
		{"another algorithm than is accepted", JWT{Algorithms: []string{"RS256"}}, good, ""},
		{"unsigned", full, strings.Join(strings.Split(part(good, 0, `{"alg":"none"}`), ".")[:2], ".") + ".", ""},
		{"changed claims", full, part(good, 1, `{"sub":"admin","iss":"https://issuer/","aud":"api","exp":4102444800}`), ""},
		{"two parts", full, strings.Join(strings.Split(good, ".")[:2], "."), ""},
		{"JSON serialization", full, `{"payload":"e30","signatures":[]}`, ""},
		{"too long", full, "Bearer " + ours.token(t, map[string]any{"x": strings.Repeat("x", maxToken)}), ""},
		{"another scheme", full, "Basic " + good, ""},
		{"empty", full, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.JWKSFile = ours.file(t)
			who := resolver(t, Config{JWT: &c.cfg}).Identify(t.Context(), caller("", "", "authorization", c.header))
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

// TestAlgorithms: a token is good in each of the usual algorithms where it
// names its key; a public key is no shared secret.
func TestAlgorithms(t *testing.T) {
	for _, alg := range []jwa.SignatureAlgorithm{jwa.RS256(), jwa.ES256(), jwa.EdDSA()} {
		for _, kid := range []string{"k", ""} {
			k := makeKeys(t, alg, kid)
			who := resolver(t, Config{JWT: &JWT{JWKSFile: k.file(t)}}).Identify(t.Context(), caller("", "", "authorization", k.token(t, nil)))
			if kid == "" {
				// Without an id there is no telling which key is meant.
				if who.By != "" {
					t.Errorf("%s without an id: %+v", alg, who)
				}
				continue
			}
			if who.ID != "u-1" || who.Claims["aud"] == nil {
				t.Errorf("%s: %+v", alg, who)
			}
		}
	}
	k := makeKeys(t, jwa.RS256(), "k")
	tok := jwt.New()
	if err := tok.Set("sub", "admin"); err != nil {
		t.Fatal(err)
	}
	secret, err := jwk.Import(set(t, k))
	if err != nil {
		t.Fatal(err)
	}
	if err := secret.Set(jwk.KeyIDKey, "k"); err != nil {
		t.Fatal(err)
	}
	forged, err := jwt.Sign(tok, jwt.WithKey(jwa.HS256(), secret))
	if err != nil {
		t.Fatal(err)
	}
	if who := resolver(t, Config{JWT: &JWT{JWKSFile: k.file(t)}}).Identify(t.Context(), caller("", "", "authorization", string(forged))); who.By != "" {
		t.Error("a token that is signed with the public key as a shared secret counts")
	}
}

// TestClaims: claims are as expressions want them.
func TestClaims(t *testing.T) {
	k := newKeys(t)
	who := resolver(t, Config{JWT: &JWT{JWKSFile: k.file(t)}}).Identify(t.Context(), caller("", "", "authorization", k.token(t, map[string]any{"exp": time.Unix(4102444800, 0), "deep": map[string]any{"a": 1.5}})))
	for name, want := range map[string]any{"exp": int64(4102444800), "aud": []any{"api", "other"}, "deep": map[string]any{"a": 1.5}} {
		if got := who.Claims[name]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %#v, want %#v", name, got, want)
		}
	}
}

// TestRotation: new keys are fetched when a token has one that is not known,
// but not for every such token; old ones stay where the issuer is down, and
// go when it takes them back.
func TestRotation(t *testing.T) {
	first, second := makeKeys(t, jwa.ES256(), "k1"), makeKeys(t, jwa.ES256(), "k2")
	var published atomic.Pointer[[]byte]
	var fetched atomic.Int64
	publish := func(text []byte) { published.Store(&text) }
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		text := *published.Load()
		if text == nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(text)
	}))
	defer srv.Close()
	publish(set(t, first))
	m, err := newJWT(JWT{JWKSURL: srv.URL, Refresh: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	m.missedWait = 0
	m.start()
	defer m.close()
	counts := func(k *keys) bool {
		_, ok := m.identify(caller("", "", "authorization", k.token(t, nil)))
		return ok
	}
	await := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if ok() {
				return
			}
		}
		t.Fatal(what)
	}
	await("the first key is not fetched", func() bool { return counts(first) })
	if counts(second) {
		t.Error("a key counts before it was published")
	}
	publish(set(t, first, second))
	await("the second key is not fetched", func() bool { return counts(second) })
	if !counts(first) {
		t.Error("the first key is gone too early")
	}
	for _, bad := range [][]byte{nil, []byte("no key set")} {
		publish(bad)
		before := fetched.Load()
		await("the issuer is not asked", func() bool {
			counts(makeKeys(t, jwa.ES256(), "k3"))
			return fetched.Load() > before+1
		})
		if !counts(first) || !counts(second) {
			t.Error("the keys went with the issuer")
		}
	}
	publish(set(t, second))
	await("the first key stays", func() bool {
		counts(makeKeys(t, jwa.ES256(), "k3"))
		return !counts(first) && counts(second)
	})

	// Unknown keys do not become requests.
	quiet, err := newJWT(JWT{JWKSURL: srv.URL, Refresh: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	quiet.start()
	defer quiet.close()
	await("no key is fetched", func() bool { return quiet.keys.Load() != nil })
	before := fetched.Load()
	for range 50 {
		if _, ok := quiet.identify(caller("", "", "authorization", first.token(t, nil))); ok {
			t.Error("a key that is gone counts")
		}
	}
	time.Sleep(20 * time.Millisecond)
	if n := fetched.Load() - before; n > 2 {
		t.Errorf("%d requests for 50 tokens", n)
	}
}

// TestRedirect: keys do not come from where they prove nothing.
func TestRedirect(t *testing.T) {
	k := newKeys(t)
	for _, to := range []string{"http://keys.example.com/", "ftp://127.0.0.1/"} {
		srv := httptest.NewServer(http.RedirectHandler(to, http.StatusFound))
		m, err := newJWT(JWT{JWKSURL: srv.URL, Refresh: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.load(t.Context()); err == nil || !strings.Contains(err.Error(), "redirect") {
			t.Errorf("%s: %v", to, err)
		}
		if _, ok := m.identify(caller("", "", "authorization", k.token(t, nil))); ok {
			t.Error("a token counts without keys")
		}
		srv.Close()
	}
}
