package claims

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/sluice-proxy/sluice/filters"
)

// rereadEvery is how often the key is read again.
const rereadEvery = time.Minute

// signer signs tokens with a key that can be rotated.
type signer struct {
	cfg    Token
	env    filters.Env
	header string

	mu      sync.Mutex
	source  string // what the key was parsed from
	current signingKey
	// old are keys that tokens still in use may have been signed with.
	old  []oldKey
	next time.Time
}

type signingKey struct {
	private jwk.Key
	public  []byte
	alg     jwa.SignatureAlgorithm
}

type oldKey struct {
	public []byte
	until  time.Time
}

func newSigner(c Config, env filters.Env) (*signer, error) {
	s := &signer{cfg: *c.JWT, env: env, header: strings.ToLower(c.JWT.Header)}
	if s.header == "" {
		s.header = c.Prefix + "token"
	}
	if s.cfg.TTL <= 0 {
		s.cfg.TTL = time.Minute
	}
	return s, s.reread(env.Now())
}

// reread takes over a key that has changed. The old one's public half stays
// for as long as its tokens are valid.
func (s *signer) reread(now time.Time) error {
	s.next = now.Add(rereadEvery)
	text, err := s.env.Secret(s.cfg.Key)
	if err != nil {
		return err
	}
	if text.Reveal() == s.source {
		return nil
	}
	k, err := parseKey(text.Reveal())
	if err != nil {
		return err
	}
	if s.source != "" {
		s.old = append(s.old, oldKey{s.current.public, now.Add(s.cfg.TTL + time.Minute)})
	}
	s.source, s.current = text.Reveal(), k
	return nil
}

// key returns the key to sign with.
func (s *signer) key(now time.Time) signingKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.After(s.next) {
		// The key that is there goes on where this fails.
		if err := s.reread(now); err != nil && s.env.Log != nil {
			s.env.Log.Warn("reading the key of the claims again", "error", err.Error())
		}
	}
	return s.current
}

func (s *signer) publicKeys() [][]byte {
	now := s.env.Now()
	out := [][]byte{s.key(now).public}
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.old[:0]
	for _, o := range s.old {
		if now.Before(o.until) {
			kept = append(kept, o)
			out = append(out, o.public)
		}
	}
	s.old = kept
	return out
}

// sign writes the claims into a token.
func (s *signer) sign(ex *filters.Exchange, claims map[string]any) (string, error) {
	now := s.env.Now()
	id := make([]byte, 16)
	if _, err := io.ReadFull(s.env.Rand, id); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	b := jwt.NewBuilder().Issuer(s.cfg.Issuer).IssuedAt(now).Expiration(now.Add(s.cfg.TTL)).JwtID(hex.EncodeToString(id))
	if ex.Consumer.ID != "" {
		b = b.Subject(ex.Consumer.ID)
	}
	if len(s.cfg.Audience) > 0 {
		b = b.Audience(s.cfg.Audience)
	}
	for name, v := range claims {
		b = b.Claim(name, v)
	}
	tok, err := b.Build()
	if err != nil {
		return "", fmt.Errorf("building the token: %w", err)
	}
	k := s.key(now)
	text, err := jwt.Sign(tok, jwt.WithKey(k.alg, k.private))
	if err != nil {
		return "", fmt.Errorf("signing the token: %w", err)
	}
	return string(text), nil
}

// parseKey reads a private key, PEM or JWK. Its errors do not quote it.
func parseKey(text string) (signingKey, error) {
	isPEM := strings.Contains(text, "-----BEGIN")
	private, err := jwk.ParseKey([]byte(text), jwk.WithPEM(isPEM))
	if err != nil {
		return signingKey{}, errors.New("it is no private key in PEM or JWK")
	}
	var raw any
	if err := jwk.Export(private, &raw); err != nil {
		return signingKey{}, errors.New("it is no private key in PEM or JWK")
	}
	k := signingKey{private: private}
	switch x := raw.(type) {
	case *ecdsa.PrivateKey:
		if x.Curve.Params().BitSize != 256 {
			return k, errors.New("an EC key is of the curve P-256")
		}
		k.alg = jwa.ES256()
	case ed25519.PrivateKey:
		k.alg = jwa.EdDSA()
	case *rsa.PrivateKey:
		if x.N.BitLen() < 2048 {
			return k, errors.New("an RSA key has 2048 bits or more")
		}
		k.alg = jwa.RS256()
	default:
		return k, errors.New("it is no private EC, Ed25519 or RSA key")
	}
	// The id is the key's thumbprint (RFC 7638): the same in every replica.
	thumb, err := private.Thumbprint(crypto.SHA256)
	if err != nil {
		return k, fmt.Errorf("naming the key: %w", err)
	}
	kid := hex.EncodeToString(thumb[:16])
	for _, set := range []struct {
		name  string
		value any
	}{{jwk.KeyIDKey, kid}, {jwk.AlgorithmKey, k.alg}, {jwk.KeyUsageKey, "sig"}} {
		if err := private.Set(set.name, set.value); err != nil {
			return k, fmt.Errorf("naming the key: %w", err)
		}
	}
	public, err := jwk.PublicKeyOf(private)
	if err != nil {
		return k, fmt.Errorf("taking the public key: %w", err)
	}
	if k.public, err = json.Marshal(public); err != nil {
		return k, fmt.Errorf("writing the public key: %w", err)
	}
	return k, nil
}
