package sluice_test

import (
	"crypto/rand"
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
	"github.com/sluice-proxy/sluice/internal/store"
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

// complete makes a document of a part of one; "" where it is of something else.
func complete(block string) string {
	const head = "apiVersion: sluice/v1\nkind: "
	indented := func(by int) string {
		return regexp.MustCompile("(?m)^(.)").ReplaceAllString(block, strings.Repeat(" ", by)+"$1")
	}
	switch key, _, _ := strings.Cut(block, ":"); {
	case strings.Contains(block, head):
		return block
	case key == "spec":
		return head + "Settings\n" + block
	case key == "request" || key == "response":
		return head + "Policy\nmetadata: {name: page}\nspec:\n" + indented(2)
	case key == "recognisers":
		return head + "Policy\nmetadata: {name: page}\nspec:\n  response:\n    - filter: pii\n      with:\n" + indented(8)
	}
	return ""
}

// TestPoliciesInPages: every policy that a page shows loads, and so does every
// part of one; and the loader that says so refuses it with one key more.
func TestPoliciesInPages(t *testing.T) {
	t.Setenv("TOKEN_KEY", strings.Repeat("k", 32))
	kept, err := store.Open(store.Config{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = kept.Close() }()
	loads := func(text string) (*policies.Set, []policies.Problem) {
		dir := t.TempDir()
		for name, text := range map[string]string{"page.yaml": text, "projects.txt": "blue heron\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		loader := policies.Loader{Registry: all.Registry(), Dial: vendors.Dial, Env: filters.Env{Now: time.Now, Store: kept, Rand: rand.Reader}}
		return loader.Load(t.Context(), dir)
	}
	n := 0
	for name, text := range pages(t) {
		for _, m := range yamlBlock.FindAllStringSubmatch(text, -1) {
			doc := complete(m[1])
			if doc == "" {
				if !strings.HasPrefix(m[1], "groups:\n") { // Prometheus's
					t.Errorf("%s: nobody checks this\n%s", name, m[1])
				}
				continue
			}
			n++
			if set, problems := loads(doc); set == nil {
				t.Errorf("%s shows a policy that does not load: %v\n%s", name, problems, doc)
			}
			if set, _ := loads(strings.Replace(doc, "\nspec:\n", "\nspec:\n  nonsense: 1\n", 1)); set != nil {
				t.Errorf("%s: a key that there is not was taken\n%s", name, doc)
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

var script = regexp.MustCompile(`scripts/[a-z-]+\.sh`)

// TestScriptsAreThere: what the Makefile and the scripts call or read is there.
func TestScriptsAreThere(t *testing.T) {
	callers, err := filepath.Glob("scripts/*.sh")
	if err != nil || len(callers) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, name := range append(callers, "Makefile") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, called := range script.FindAllString(string(text), -1) {
			if _, err := os.Stat(called); err != nil {
				t.Errorf("%s names %s, which is not there", name, called)
			}
		}
	}
}
