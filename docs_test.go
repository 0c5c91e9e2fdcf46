package sluice_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/all"
	"github.com/sluice-proxy/sluice/internal/ai/vendors"
	"github.com/sluice-proxy/sluice/internal/pipeline"
	"github.com/sluice-proxy/sluice/policies"
)

// pages are all the pages of the documentation.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "policies/*/*.md", "filters/*/*.md", "examples/*/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			out[f] = string(text)
		}
	}
	if len(out) < 10 {
		t.Fatalf("only %d pages", len(out))
	}
	return out
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestPoliciesInPages: every policy that a page shows loads; and the loader
// that says so refuses it with one key more.
func TestPoliciesInPages(t *testing.T) {
	loads := func(text string) (*policies.Set, []policies.Problem) {
		file := filepath.Join(t.TempDir(), "page.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		loader := policies.Loader{Registry: all.Registry(), Dial: vendors.Dial, Env: filters.Env{Now: time.Now}}
		return loader.Load(t.Context(), file)
	}
	n := 0
	for name, text := range pages(t) {
		for _, m := range yamlBlock.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(m[1], "kind: ") || !strings.Contains(m[1], "sluice/v1") {
				continue
			}
			n++
			if set, problems := loads(m[1]); set == nil {
				t.Errorf("%s shows a policy that does not load: %v\n%s", name, problems, m[1])
			}
			if set, _ := loads(strings.Replace(m[1], "\nspec:\n", "\nspec:\n  nonsense: 1\n", 1)); set != nil {
				t.Errorf("%s: a key that there is not was taken\n%s", name, m[1])
			}
		}
	}
	if n < 4 {
		t.Errorf("only %d policies were found", n)
	}
}

// TestOperatingNamesAll: the page has every metric and every limit.
func TestOperatingNamesAll(t *testing.T) {
	page := pages(t)["docs/operating.md"]
	names := regexp.MustCompile(`"(sluice_[a-z_]+)"`)
	var metrics []string
	for _, f := range []string{"internal/telemetry/metrics.go", "cmd/sluice/daemon.go"} {
		source, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range names.FindAllStringSubmatch(string(source), -1) {
			metrics = append(metrics, m[1])
		}
	}
	if len(metrics) < 15 {
		t.Errorf("only %d metrics were found", len(metrics))
	}
	for _, name := range slices.Sorted(slices.Values(metrics)) {
		if !strings.Contains(page, "| `"+name+"` |") {
			t.Errorf("there is no line on the metric %s", name)
		}
	}
	for b := range pipeline.EveryBound.All() {
		if !strings.Contains(page, "| `"+b.String()+"` |") {
			t.Errorf("there is no line on the limit %s", b)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#\s]+)(#[^)\s]*)?\)`)

// TestLinksLead: what a page links to within the tree is there.
func TestLinksLead(t *testing.T) {
	for name, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			target := filepath.Join(filepath.Dir(name), m[1])
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[1])
			}
			if anchor := strings.TrimPrefix(m[2], "#"); anchor != "" {
				page, err := os.ReadFile(target)
				if err != nil || !slices.ContainsFunc(strings.Split(string(page), "\n"), func(l string) bool {
					return strings.HasPrefix(l, "#") && strings.ReplaceAll(strings.ToLower(strings.TrimLeft(l, "# ")), " ", "-") == anchor
				}) {
					t.Errorf("%s links to %s%s, and there is no such heading", name, m[1], m[2])
				}
			}
		}
	}
}
