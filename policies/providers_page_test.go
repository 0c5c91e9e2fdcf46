package policies_test

import (
	"os"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/filters/reference"
	"github.com/sluice-proxy/sluice/internal/ai"
	"github.com/sluice-proxy/sluice/internal/secret"
)

// TestTheProvidersPageIsCurrent: the tables in docs/providers.md are what the
// configuration types say (go test ./policies -update).
func TestTheProvidersPageIsCurrent(t *testing.T) {
	const page, begin, end = "../docs/providers.md", "<!-- %s -->\n", "<!-- end -->\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	got := string(text)
	for name, cfg := range map[string]any{"provider": ai.Spec{}, "vault": secret.Vault{}, "sharing": ai.Sharing{}} {
		mark := strings.Replace(begin, "%s", name, 1)
		before, rest, ok1 := strings.Cut(got, mark)
		_, after, ok2 := strings.Cut(rest, end)
		if !ok1 || !ok2 {
			t.Fatalf("the page has no place for the table %s", name)
		}
		got = before + mark + reference.Table(cfg) + end + after
	}
	if got == string(text) {
		return
	}
	if !*update {
		t.Fatal("docs/providers.md is not current: go test ./policies -update writes it")
	}
	if err := os.WriteFile(page, []byte(got), 0o644); err != nil {
		t.Fatal(err)
	}
}
