package claims_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/claims"
	"github.com/sluice-proxy/sluice/filters/filtertest"
	"github.com/sluice-proxy/sluice/internal/ai"
	"github.com/sluice-proxy/sluice/internal/ai/vendors"
)

func TestConformance(t *testing.T) { filtertest.Conform(t, claims.Definition()) }

func TestScenarios(t *testing.T) {
	filtertest.Scenarios(t, filters.NewRegistry(claims.Definition()), "testdata/*.txtar")
}

// scripted answers every question with one text, as a model would.
type scripted struct {
	answer map[string]any
	asked  []filters.Part
}

func (s *scripted) Prepare(string, filters.Task) (filters.Asker, error) { return s, nil }

func (s *scripted) Ask(_ context.Context, q *filters.Question) (*filters.Answer, error) {
	s.asked = q.Parts
	if s.answer == nil {
		return nil, &filters.Failure{Reason: "provider: timeout"}
	}
	return &filters.Answer{Value: s.answer, From: filters.FromModel}, nil
}

func writeKey(t *testing.T, file string, key any) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func keys(t *testing.T) map[string]any {
	t.Helper()
	ec, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, ed, err2 := ed25519.GenerateKey(rand.Reader)
	rs, err3 := rsa.GenerateKey(rand.Reader, 2048)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return map[string]any{"ES256": ec, "EdDSA": ed, "RS256": rs}
}

// config asks for one claim, and puts it into a token.
func config(keyFile string) claims.Config {
	lo, hi := 0.0, 1.0
	return claims.Config{Provider: "p", Require: "any", To: "both", Prefix: "x-ai-",
		Claims: map[string]claims.Claim{"risk_score": {Type: "number", Minimum: &lo, Maximum: &hi}, "tier": {Enum: []string{"gold"}, Optional: true}},
		JWT:    &claims.Token{Issuer: "https://sluice.example.com", Audience: []string{"backend"}, Key: filters.SecretRef{File: keyFile}}}
}

func build(t *testing.T, c claims.Config, env filters.Env) filters.Filter {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	f, err := claims.Definition().New(&c, env)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// verify verifies a token with the keys that the filter publishes.
func verify(t *testing.T, f filters.Filter, token string, now time.Time) (jwt.Token, error) {
	t.Helper()
	set := jwk.NewSet()
	for _, b := range f.(filters.Signer).PublicKeys() {
		k, err := jwk.ParseKey(b)
		if err != nil {
			t.Fatal(err)
		}
		if private, err := jwk.IsPrivateKey(k); err != nil || private {
			t.Fatalf("a private key is published: %v", err)
		}
		if err := set.AddKey(k); err != nil {
			t.Fatal(err)
		}
	}
	return jwt.Parse([]byte(token), jwt.WithKeySet(set), jwt.WithValidate(true), jwt.WithClock(jwt.ClockFunc(func() time.Time { return now })))
}

func TestTheTokenIsSignedAndShort(t *testing.T) {
	for alg, key := range keys(t) {
		t.Run(alg, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "key.pem")
			writeKey(t, file, key)
			now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
			env := filters.Env{Now: func() time.Time { return now }, Rand: rand.Reader, Models: &scripted{answer: map[string]any{"risk_score": 0.25, "tier": "gold"}}}
			f := build(t, config(file), env)
			ex := &filters.Exchange{Consumer: filters.Consumer{ID: "user-7", By: "jwt"}}
			var led filters.Ledger
			if _, err := f.Apply(context.Background(), ex, &led); err != nil {
				t.Fatal(err)
			}
			sent := map[string]string{}
			for _, c := range led.Changes {
				sent[c.Name] = c.Value
			}
			if sent["x-ai-risk-score"] != "0.25" || sent["x-ai-tier"] != "gold" {
				t.Errorf("headers %v", sent)
			}
			tok, err := verify(t, f, sent["x-ai-token"], now)
			if err != nil {
				t.Fatal(err)
			}
			var score float64
			iss, _ := tok.Issuer()
			sub, _ := tok.Subject()
			aud, _ := tok.Audience()
			exp, _ := tok.Expiration()
			if tok.Get("risk_score", &score) != nil || score != 0.25 || iss != "https://sluice.example.com" || sub != "user-7" || fmt.Sprint(aud) != "[backend]" || exp.Sub(now) != time.Minute {
				t.Errorf("token %v", tok)
			}
			if _, err := verify(t, f, sent["x-ai-token"], now.Add(2*time.Minute)); err == nil {
				t.Error("the token is valid after its time")
			}
		})
	}
}

func TestAKeyIsRotated(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key.pem")
	ks := keys(t)
	writeKey(t, file, ks["ES256"])
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	f := build(t, config(file), filters.Env{Now: func() time.Time { return now }, Rand: rand.Reader, Models: &scripted{answer: map[string]any{"risk_score": int64(1)}}})
	sign := func() string {
		var led filters.Ledger
		if _, err := f.Apply(context.Background(), &filters.Exchange{}, &led); err != nil {
			t.Fatal(err)
		}
		return led.Changes[len(led.Changes)-1].Value
	}
	first := sign()
	writeKey(t, file, ks["EdDSA"])
	now = now.Add(50 * time.Second)
	old := sign() // not read again yet
	now = now.Add(20 * time.Second)
	second := sign()
	head := func(tok string) string { h, _, _ := strings.Cut(tok, "."); return h }
	if head(first) != head(old) || head(first) == head(second) {
		t.Error("the key was not taken over after its minute")
	}
	for _, tok := range []string{old, second} {
		if _, err := verify(t, f, tok, now); err != nil {
			t.Errorf("a token in use does not verify: %v", err)
		}
	}
	now = now.Add(10 * time.Minute)
	if n := len(f.(filters.Signer).PublicKeys()); n != 1 {
		t.Errorf("%d keys are published when the old tokens are over", n)
	}
	// A file that is broken in between changes nothing.
	if err := os.WriteFile(file, []byte("-----BEGIN"), 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Minute)
	if head(sign()) != head(second) {
		t.Error("a broken key was taken over")
	}
}

func TestWhatIsRefused(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip("this Go makes no weak keys") // nor would one be taken
	}
	file := filepath.Join(t.TempDir(), "weak.pem")
	writeKey(t, file, weak)
	c := config(file)
	if _, err := claims.Definition().New(&c, filters.Env{Now: time.Now, Rand: rand.Reader, Models: &scripted{}}); err == nil {
		t.Error("a weak key is taken")
	}
}

func TestConfigurationErrors(t *testing.T) {
	lo, hi := 0.0, 1.0
	for want, change := range map[string]func(*claims.Config){
		"claims.exp":                  func(c *claims.Config) { c.Claims["exp"] = claims.Claim{Enum: []string{"a"}} },
		"claims.tier: a text or list": func(c *claims.Config) { c.Claims["tier"] = claims.Claim{} },
		"cannot stand in a header":    func(c *claims.Config) { c.Claims["tier"] = claims.Claim{Enum: []string{"a,b"}} },
		"a minimum and a maximum":     func(c *claims.Config) { c.Claims["risk_score"] = claims.Claim{Type: "number", Minimum: &hi} },
		"prefix":                      func(c *claims.Config) { c.Prefix = "ai-" },
		"jwt.header":                  func(c *claims.Config) { c.JWT.Header = "authorization" },
		"jwt.ttl":                     func(c *claims.Config) { c.JWT.TTL = 2 * time.Hour },
		"jwt.issuer":                  func(c *claims.Config) { c.JWT.Issuer = "" },
		"jwt: goes with":              func(c *claims.Config) { c.To = "headers" },
		"type \"date\"":               func(c *claims.Config) { c.Claims["x"] = claims.Claim{Type: "date"} },
		"is no name":                  func(c *claims.Config) { c.Claims["x\r\ny"] = claims.Claim{Type: "boolean"} },
	} {
		c := config("/k")
		c.Claims["risk_score"] = claims.Claim{Type: "number", Minimum: &lo, Maximum: &hi}
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	c := config("/k")
	c.To, c.JWT = "headers", nil
	c.Claims["tier"] = claims.Claim{Enum: []string{"gold"}, Default: "admin"}
	if _, err := claims.Definition().New(&c, filters.Env{Now: time.Now, Models: &scripted{}}); err == nil || !strings.Contains(err.Error(), "claims.tier.default") {
		t.Errorf("a default that is not allowed: %v", err)
	}
}

func TestTheTokenOfTheClientIsNoPartOfTheQuestion(t *testing.T) {
	models := &scripted{answer: map[string]any{"risk_score": 0.5}}
	c := config("")
	c.To, c.JWT = "headers", nil
	f := build(t, c, filters.Env{Now: time.Now, Models: models})
	ex := &filters.Exchange{Consumer: filters.Consumer{ID: "u", By: "jwt", Claims: map[string]any{"plan": "gold"}}}
	ex.Request.Headers = filters.NewHeaders(filters.Field{Name: "authorization", Value: "Bearer secret-token"}, filters.Field{Name: ":path", Value: "/v1/a?token=secret-query"})
	if _, err := f.Apply(context.Background(), ex, &filters.Ledger{}); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(models.asked)
	if err != nil || strings.Contains(string(b), "secret-") || !strings.Contains(string(b), "gold") {
		t.Errorf("asked %s, %v", b, err)
	}
}

// TestAModelThatObeysTheCallerGrantsNothing: the model does what the call's
// path tells it to, and none of it gets to the backend.
func TestAModelThatObeysTheCallerGrantsNothing(t *testing.T) {
	for _, answer := range []string{
		`{"tier":"admin"}`,
		`{"tier":"gold","is_admin":true}`,
		`{"tier":"gold\r\nx-admin: 1"}`,
		`{"tier":["gold","admin"]}`,
		`{"tier":"gold","risk_score":101}`,
		`Sure! {"tier":"admin"}`,
		`null`,
	} {
		obeying := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{"choices": []any{map[string]any{"finish_reason": "stop", "message": map[string]any{"content": answer}}}})
		}))
		pool, err := ai.NewPool(ai.Options{Dial: vendors.Dial})
		if err != nil {
			t.Fatal(err)
		}
		use, err := pool.Use(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := use.Add("p", ai.Spec{Type: "compatible", Model: "m", BaseURL: obeying.URL}); err != nil {
			t.Fatal(err)
		}
		c := config("")
		c.To, c.JWT = "headers", nil
		c.Claims["risk_score"] = claims.Claim{Type: "integer", Minimum: new(float64), Maximum: ptr(100.0), Optional: true}
		f := build(t, c, filters.Env{Now: time.Now, Models: use.For("p", "s")})
		var led filters.Ledger
		_, err = f.Apply(context.Background(), &filters.Exchange{}, &led)
		var failure *filters.Failure
		if !errors.As(err, &failure) || !strings.HasPrefix(failure.Reason, "answer: ") || !led.Empty() || led.Result != nil {
			t.Errorf("%s: error %v, changes %v", answer, err, led.Changes)
		}
		use.Release()
		obeying.Close()
	}
}

func ptr[T any](v T) *T { return &v }
