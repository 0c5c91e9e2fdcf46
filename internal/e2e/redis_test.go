package e2e_test

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/pii"
	"github.com/sluice-proxy/sluice/internal/e2e"
	"github.com/sluice-proxy/sluice/internal/replay"
	"github.com/sluice-proxy/sluice/internal/store"
	"github.com/sluice-proxy/sluice/policies"
)

const vaultPolicy = `apiVersion: sluice/v1
kind: Policy
metadata: {name: pseudonymise}
spec:
  request:
    - filter: pii
      with:
        action: tokenize
        key: {env: TOKEN_KEY}
        tokens: {style: STYLE}
  response:
    - name: restore
      filter: pii
      with: {restore: true, key: {env: TOKEN_KEY}}
---
apiVersion: sluice/v1
kind: Settings
spec:
  store: {type: redis, address: ADDRESS, timeout: 2s}
`

// replica is what one process has of its own: policies, and a connection to
// the store that their settings name.
func replica(t *testing.T, address, style string) *policies.Store {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	text := strings.NewReplacer("STYLE", style, "ADDRESS", address).Replace(vaultPolicy)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var shared store.Shared
	ps, err := policies.Open(t.Context(), &policies.Loader{
		Registry: filters.NewRegistry(pii.Definition()),
		Env:      filters.Env{Now: time.Now, Rand: rand.Reader, Store: &shared},
	}, file)
	if err != nil {
		t.Fatal(err)
	}
	state, err := store.Open(ps.Current().Settings().Store, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = state.Close() })
	shared.Use(state)
	return ps
}

func play(t *testing.T, ps *policies.Store, request, reply string) *replay.Result {
	t.Helper()
	req, err := replay.ParseRequest([]byte("POST /a HTTP/1.1\ncontent-type: application/json\n\n" + request))
	if err != nil {
		t.Fatal(err)
	}
	res, err := replay.ParseResponse([]byte("HTTP/1.1 200\ncontent-type: application/json\n\n" + reply))
	if err != nil {
		t.Fatal(err)
	}
	return replay.Play(context.Background(), ps, req, res, replay.Options{})
}

// TestVaultInRedis: what one replica tokenizes, another puts back; nothing of
// it is in Redis in the clear; and with Redis gone, tokenize fails closed and
// restore leaves the tokens.
func TestVaultInRedis(t *testing.T) {
	t.Setenv("TOKEN_KEY", "0123456789abcdef0123456789abcdef")
	server, err := e2e.StartRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	a, b := replica(t, server.Address, "opaque"), replica(t, server.Address, "opaque")

	res := play(t, a, `{"to":"jane.doe@example.com"}`, `{}`)
	if res.Denial != nil {
		t.Fatalf("denied: %+v, %v", res.Denial, res.Decisions)
	}
	token := regexp.MustCompile(`tok_[a-z2-7]{26}`).FindString(string(res.Request.Body))
	if token == "" || strings.Contains(string(res.Request.Body), "jane") {
		t.Fatalf("the backend got %s", res.Request.Body)
	}
	if res := play(t, b, `{}`, `{"sent":"`+token+`"}`); res.Denial != nil || string(res.Response.Body) != `{"sent":"jane.doe@example.com"}` {
		t.Errorf("the other replica gave %+v", res)
	}

	// Numbers are given out once, whichever replica asks.
	n := replica(t, server.Address, "numbered")
	if res := play(t, n, `{"a":"jane.doe@example.com","b":"joe@example.org","c":"jane.doe@example.com"}`, `["<EMAIL_ADDRESS_2>","<EMAIL_ADDRESS_1>"]`); res.Denial != nil ||
		string(res.Request.Body) != `{"a":"<EMAIL_ADDRESS_1>","b":"<EMAIL_ADDRESS_2>","c":"<EMAIL_ADDRESS_1>"}` || string(res.Response.Body) != `["joe@example.org","jane.doe@example.com"]` {
		t.Errorf("numbered: %s, %s", res.Request, res.Response)
	}

	server.Kill()
	if res := play(t, a, `{"to":"jane.doe@example.com"}`, `{}`); res.Denial == nil || res.Denial.Status != 500 {
		t.Errorf("without Redis, tokenize let %v through", res.Request)
	} else if last := res.Decisions[len(res.Decisions)-1]; last.Decision.Verdict != filters.Failed || last.Decision.Reason != "store" {
		t.Errorf("the decision is %+v", last.Decision)
	}
	if res := play(t, b, `{}`, `{"sent":"`+token+`"}`); res.Denial != nil || string(res.Response.Body) != `{"sent":"`+token+`"}` {
		t.Errorf("without Redis, restore gave %+v", res)
	}

	// It comes back without a restart of Sluice. What was in it is gone.
	if err := server.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if res := play(t, a, `{"to":"jane.doe@example.com"}`, `{"sent":"`+token+`"}`); res.Denial != nil || string(res.Response.Body) != `{"sent":"jane.doe@example.com"}` {
		t.Errorf("with Redis again: %+v", res)
	}
}
