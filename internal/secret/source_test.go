package secret_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openbao/openbao/api/v2"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/realtest"
	"github.com/sluice-proxy/sluice/internal/secret"
)

const rootToken = "test-root-token"

// vault starts a real OpenBao in development mode, and returns its address and
// a client with the root token.
func vault(t *testing.T) (string, *api.Client) {
	t.Helper()
	bin := realtest.Tool(t, "SLUICE_OPENBAO")
	addr := fmt.Sprintf("127.0.0.1:%d", realtest.Port(t))
	url := "http://" + addr
	realtest.Start(t, url+"/v1/sys/health", 30*time.Second, []string{"HOME=" + t.TempDir()}, bin, "server", "-dev", "-dev-root-token-id="+rootToken, "-dev-listen-address="+addr, "-dev-no-store-token")
	cfg := api.DefaultConfig()
	cfg.Address = url
	c, err := api.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetAddress(url); err != nil {
		t.Fatal(err)
	}
	c.SetToken(rootToken)
	return url, c
}

func put(t *testing.T, c *api.Client, path, field, value string) {
	t.Helper()
	if _, err := c.KVv2("secret").Put(context.Background(), path, map[string]any{field: value}); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func source(t *testing.T, v *secret.Vault, logs *bytes.Buffer) *secret.Source {
	t.Helper()
	var log *slog.Logger
	if logs != nil {
		log = slog.New(slog.NewTextHandler(logs, nil))
	}
	s, err := secret.New(v, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 200 {
		if ok() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s did not happen", what)
}

func TestVaultAgainstARealServer(t *testing.T) {
	url, root := vault(t)
	put(t, root, "models/openai", "api_key", "key-one")
	ref := filters.SecretRef{Vault: &filters.VaultRef{Path: "models/openai", Field: "api_key"}}

	t.Run("token file, and a key that is rotated", func(t *testing.T) {
		s := source(t, &secret.Vault{Address: url, TokenFile: write(t, rootToken+"\n"), Refresh: 100 * time.Millisecond}, nil)
		got, err := s.Secret(ref)
		if err != nil || got.Reveal() != "key-one" {
			t.Fatalf("secret %q, error %v", got.Reveal(), err)
		}
		put(t, root, "models/openai", "api_key", "key-two")
		eventually(t, "the rotation", func() bool { got, _ := s.Secret(ref); return got.Reveal() == "key-two" })
		// What was there stays while the server is without it.
		if err := root.KVv2("secret").Delete(context.Background(), "models/openai"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
		if got, err := s.Secret(ref); err != nil || got.Reveal() != "key-two" {
			t.Errorf("secret %q, error %v", got.Reveal(), err)
		}
	})
	t.Run("AppRole with a policy of its own", func(t *testing.T) {
		put(t, root, "models/openai", "api_key", "key-three")
		put(t, root, "other", "value", "not yours")
		roleID, secretID := appRole(t, root)
		var logs bytes.Buffer
		s := source(t, &secret.Vault{Address: url, AppRole: &secret.AppRole{RoleID: roleID, SecretIDFile: write(t, secretID)}, Refresh: 100 * time.Millisecond}, &logs)
		got, err := s.Secret(ref)
		if err != nil || got.Reveal() != "key-three" {
			t.Fatalf("secret %q, error %v", got.Reveal(), err)
		}
		if _, err := s.Secret(filters.SecretRef{Vault: &filters.VaultRef{Path: "other"}}); err == nil || !strings.Contains(err.Error(), "403") {
			t.Errorf("a secret that is not allowed: %v", err)
		}
		// A token that has been taken away is followed by a new login.
		if _, err := root.Logical().Write("sys/leases/revoke-prefix/auth/approle", nil); err != nil {
			t.Logf("revoking: %v", err)
		}
		put(t, root, "models/openai", "api_key", "key-four")
		eventually(t, "the login after a revocation", func() bool { got, _ := s.Secret(ref); return got.Reveal() == "key-four" })
		if strings.Contains(logs.String(), secretID) || strings.Contains(logs.String(), "key-") {
			t.Error("a log line holds a secret")
		}
	})
	t.Run("what is not there", func(t *testing.T) {
		s := source(t, &secret.Vault{Address: url, TokenFile: write(t, rootToken)}, nil)
		for _, r := range []filters.VaultRef{{Path: "nothing"}, {Path: "models/openai", Field: "nothing"}, {Mount: "nowhere", Path: "x"}} {
			if _, err := s.Secret(filters.SecretRef{Vault: &r}); err == nil {
				t.Errorf("%+v is there", r)
			}
		}
	})
	t.Run("a wrong token", func(t *testing.T) {
		s := source(t, &secret.Vault{Address: url, TokenFile: write(t, "wrong-token")}, nil)
		if _, err := s.Secret(ref); err == nil || strings.Contains(err.Error(), "wrong-token") {
			t.Errorf("error %v", err)
		}
	})
}

// appRole makes a role that can read models/ and nothing else.
func appRole(t *testing.T, root *api.Client) (roleID, secretID string) {
	t.Helper()
	if err := root.Sys().PutPolicy("models", `path "secret/data/models/*" { capabilities = ["read"] }`); err != nil {
		t.Fatal(err)
	}
	if err := root.Sys().EnableAuthWithOptions("approle", &api.EnableAuthOptions{Type: "approle"}); err != nil {
		t.Fatal(err)
	}
	if _, err := root.Logical().Write("auth/approle/role/sluice", map[string]any{"token_policies": "models", "token_ttl": "1m"}); err != nil {
		t.Fatal(err)
	}
	r, err := root.Logical().Read("auth/approle/role/sluice/role-id")
	if err != nil {
		t.Fatal(err)
	}
	s, err := root.Logical().Write("auth/approle/role/sluice/secret-id", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r.Data["role_id"].(string), s.Data["secret_id"].(string)
}

func TestVaultThatIsNotThere(t *testing.T) {
	s := source(t, &secret.Vault{Address: "http://127.0.0.1:1", TokenFile: write(t, "t")}, nil)
	start := time.Now()
	_, err := s.Secret(filters.SecretRef{Vault: &filters.VaultRef{Path: "x"}})
	if err == nil || time.Since(start) > 10*time.Second {
		t.Errorf("error %v after %s", err, time.Since(start))
	}
	if err := (&secret.Vault{Address: "http://vault.example.com"}).Validate(); err == nil {
		t.Error("plain http to another machine is taken")
	}
	none := source(t, nil, nil)
	if _, err := none.Secret(filters.SecretRef{Vault: &filters.VaultRef{Path: "x"}}); err == nil {
		t.Error("there is a vault")
	}
}

func TestFilesAndVariables(t *testing.T) {
	t.Setenv("SLUICE_TEST_SECRET", "from-env")
	s := source(t, nil, nil)
	if got, err := s.Secret(filters.SecretRef{Env: "SLUICE_TEST_SECRET"}); err != nil || got.Reveal() != "from-env" {
		t.Errorf("secret %q, error %v", got.Reveal(), err)
	}
	f := write(t, "one\r\n")
	for _, want := range []string{"one", "two"} {
		if err := os.WriteFile(f, []byte(want+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Secret(filters.SecretRef{File: f}); err != nil || got.Reveal() != want {
			t.Errorf("secret %q, error %v", got.Reveal(), err)
		}
	}
	if err := os.Remove(f); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Secret(filters.SecretRef{File: f}); err != nil || got.Reveal() != "two" {
		t.Errorf("the last one does not last: %q, %v", got.Reveal(), err)
	}
	if _, err := s.Secret(filters.SecretRef{Env: "A", File: "b"}); err == nil {
		t.Error("two places are taken")
	}
}
