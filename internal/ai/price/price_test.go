package price_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/internal/ai/price"
)

func TestLiteLLMsFormat(t *testing.T) {
	const file = `{
		"sample_spec": {"input_cost_per_token": "a number", "max_tokens": "a text"},
		"m1": {"input_cost_per_token": 1.5e-07, "output_cost_per_token": 6e-07, "litellm_provider": "openai"},
		"azure/m1": {"input_cost_per_token": 2e-07, "output_cost_per_token": 8e-07},
		"free": {"input_cost_per_token": 0, "output_cost_per_token": 0},
		"image": {"input_cost_per_pixel": 1},
		"half": {"input_cost_per_token": 1},
		"negative": {"input_cost_per_token": -1, "output_cost_per_token": 1}
	}`
	name := filepath.Join(t.TempDir(), "prices.json")
	if err := os.WriteFile(name, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	table, err := price.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		kind, model string
		found       bool
		input       float64
	}{
		{"openai", "m1", true, 1.5e-7}, {"azure", "m1", true, 2e-7}, {"openai", "m1-2026-07-18", true, 1.5e-7}, {"openai", "m1-20260718", true, 1.5e-7},
		{"openai", "m1-latest", true, 1.5e-7}, {"openai", "free", true, 0}, {"openai", "image", false, 0}, {"openai", "half", false, 0}, {"openai", "negative", false, 0},
		{"openai", "sample_spec", false, 0}, {"openai", "m1-mini", false, 0},
	} {
		p, ok := table.Find(tt.kind, tt.model)
		if ok != tt.found || p.Input != tt.input {
			t.Errorf("%s/%s: %v, %v", tt.kind, tt.model, p, ok)
		}
	}
	for _, bad := range []string{"", "[]", "{}", `{"a":1}`} {
		if _, err := price.Parse(strings.NewReader(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestTheTableInTheBinary(t *testing.T) {
	table, asOf := price.Builtin()
	if _, err := time.Parse("2006-01-02", asOf); err != nil || len(table) < 20 {
		t.Errorf("%d prices as of %q", len(table), asOf)
	}
	p, ok := table.Find("openai", "gpt-4o-mini-2024-07-18")
	if !ok || p.Of(1_000_000, 1_000_000) < 0.7499 || p.Of(1_000_000, 1_000_000) > 0.7501 {
		t.Errorf("gpt-4o-mini: %v", p)
	}
}
