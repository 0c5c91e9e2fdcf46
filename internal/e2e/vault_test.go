package e2e_test

import (
	"crypto/rand"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/e2e"
	"github.com/sluice-proxy/sluice/internal/store"
)

// vaultKey is the environment variable of the key of the policy vault.
const vaultKey = "E2E_TOKEN_KEY"

// vaultEnv is what filters are built with, a store for tokens included.
func vaultEnv() filters.Env {
	return filters.Env{Now: time.Now, Rand: rand.Reader, Store: store.NewMemory(0, nil)}
}

// TestTokensThereAndBack: the backend sees tokens, and what it says of them
// reaches the client as the values, in every mode and however it is cut.
func TestTokensThereAndBack(t *testing.T) {
	const (
		sent  = `{"to": ["jane@example.com", "bob@example.com", "jane@example.com"], "doc": "{\"card\":\"4111 1111 1111 1111\"}"}`
		saw   = `{"to": ["<EMAIL_ADDRESS_1>", "<EMAIL_ADDRESS_2>", "<EMAIL_ADDRESS_1>"], "doc": "{\"card\":\"<CREDIT_CARD_1>\"}"}`
		said  = `{"text": "To \u003cEMAIL_ADDRESS_2\u003e and <EMAIL_ADDRESS_1>", "args": "{\"card\":\"<CREDIT_CARD_1>\"}", "no": "<EMAIL_ADDRESS_7>"}`
		heard = `{"text": "To bob@example.com and jane@example.com", "args": "{\"card\":\"4111 1111 1111 1111\"}", "no": "<EMAIL_ADDRESS_7>"}`
	)
	for _, listener := range []string{"buffered", "streamed", "duplex"} {
		t.Run(listener, func(t *testing.T) {
			t.Parallel()
			for _, s := range shapes {
				got := make(chan string, 1)
				name := backend.Case(func(w http.ResponseWriter, r *http.Request) {
					b, _ := io.ReadAll(r.Body)
					got <- string(b)
					s.respond(w, said)
				})
				req := s.request(t, "http://"+envoy.Addr(listener)+"/vault/x", sent)
				req.Header.Set(e2e.CaseHeader, name)
				req.Header.Set("X-Upstream", "h2")
				resp, err := clients["h2"].Do(req)
				if err != nil {
					t.Fatalf("%s: %v", s.name, err)
				}
				b, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || string(b) != heard {
					t.Errorf("%s: the client got %v\n%s", s.name, err, b)
				}
				if b := <-got; b != saw {
					t.Errorf("%s: the backend got\n%s", s.name, b)
				}
			}
		})
	}
}
