package keyring_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/keyring"
)

const secret = "0123456789abcdef0123456789abcdef"

func ring(s, tenant string) *keyring.Ring {
	return &keyring.Ring{Secret: filters.NewSecret(s), Tenant: tenant}
}

// TestKeysAreApart: by secret, tenant and purpose, and by nothing else.
func TestKeysAreApart(t *testing.T) {
	seen := map[string]string{}
	for _, s := range []string{secret, secret + "x"} {
		for _, tenant := range []string{"", "a", "b"} {
			for _, p := range []keyring.Purpose{"names", "values"} {
				who := s + "/" + tenant + "/" + string(p)
				key := string(ring(s, tenant).Key(p))
				if other, dup := seen[key]; dup || len(key) != 32 {
					t.Errorf("%s and %s have one key, of %d bytes", who, other, len(key))
				}
				seen[key] = who
				if again := string(ring(s, tenant).Key(p)); again != key {
					t.Errorf("%s has two keys", who)
				}
			}
		}
	}
}

func TestNamesTellNothing(t *testing.T) {
	r := ring(secret, "")
	a := r.Name("n", "kind", "jane@example.com", "x")
	if !strings.HasPrefix(a, "kind/") || strings.Contains(a, "jane") || len(a) != len("kind/")+43 {
		t.Errorf("the name is %s", a)
	}
	for what, b := range map[string]string{
		"parts cut elsewhere": r.Name("n", "kind", "jane@example.comx"), "another kind": r.Name("n", "kinds", "jane@example.com", "x"),
		"another purpose": r.Name("m", "kind", "jane@example.com", "x"), "another key": ring(secret+"x", "").Name("n", "kind", "jane@example.com", "x"),
	} {
		if a == b {
			t.Errorf("%s: the same name", what)
		}
	}
}

func TestSealAndOpen(t *testing.T) {
	r := ring(secret, "t")
	sealed, err := r.Seal("v", "the value", "name", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("the value")) {
		t.Error("it is in the clear")
	}
	if got, ok := r.Open("v", sealed, "name"); !ok || string(got) != "the value" {
		t.Errorf("%q, %v", got, ok)
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for what, open := range map[string]func() ([]byte, bool){
		"about another entry": func() ([]byte, bool) { return r.Open("v", sealed, "other") },
		"for another purpose": func() ([]byte, bool) { return r.Open("w", sealed, "name") },
		"of another tenant":   func() ([]byte, bool) { return ring(secret, "u").Open("v", sealed, "name") },
		"with another secret": func() ([]byte, bool) { return ring(secret+"x", "t").Open("v", sealed, "name") },
		"changed":             func() ([]byte, bool) { return r.Open("v", changed, "name") },
		"cut off":             func() ([]byte, bool) { return r.Open("v", sealed[:8], "name") },
		"nothing":             func() ([]byte, bool) { return r.Open("v", nil, "name") },
	} {
		if got, ok := open(); ok || len(got) > 0 {
			t.Errorf("%s: it opens as %q", what, got)
		}
	}
}

// changing are secrets that tests change.
type changing struct {
	mu     sync.Mutex
	secret string
}

func (c *changing) Secret(filters.SecretRef) (filters.Secret, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.secret == "" {
		return filters.Secret{}, errors.New("it is not there")
	}
	return filters.NewSecret(c.secret), nil
}

func (c *changing) set(s string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.secret = s
}

// TestSource: a secret that changes is in use after a minute, and one that
// cannot be read, or is too short, does not replace the one before.
func TestSource(t *testing.T) {
	var mu sync.Mutex
	now := time.Unix(1000, 0)
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	secrets := &changing{}
	s, err := keyring.NewSource(secrets, filters.SecretRef{Env: "X"}, clock)
	if err == nil || s.Ring() != nil {
		t.Fatalf("there is a ring without a secret: %v", err)
	}
	becomes := func(want string) {
		t.Helper()
		mu.Lock()
		now = now.Add(keyring.RereadEvery)
		mu.Unlock()
		got := ""
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if r := s.Ring(); r != nil {
				got = r.Secret.Reveal()
			}
			if got == want {
				return
			}
		}
		t.Errorf("the secret is %q, not %q", got, want)
	}
	secrets.set(secret)
	becomes(secret)
	before := s.Ring()
	becomes(secret)
	if s.Ring() != before {
		t.Error("the same secret has a new ring")
	}
	secrets.set(secret + "2")
	if s.Ring() != before {
		t.Error("it is read for every call")
	}
	becomes(secret + "2")
	for _, bad := range []string{"", "short"} {
		secrets.set(bad)
		for range 3 {
			becomes(secret + "2")
		}
	}
	if _, err := keyring.NewSource(secrets, filters.SecretRef{Env: "X"}, clock); err == nil || !strings.Contains(err.Error(), "less than 16 bytes") {
		t.Errorf("a short secret: %v", err)
	}
}
