// Package sluice_test holds the tests of the tree as a whole.
package sluice_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/sluice-proxy/sluice/"

// allowed says which of the project's packages each part may import; a part
// is the longest prefix here that a package's path starts with. The tests'
// own imports do not count.
var allowed = map[string][]string{
	"filters":            {}, // the contract: the standard library only
	"filters/all":        {"filters"},
	"filters/reference":  {"filters"},
	"filters/filtertest": {"filters", "policies", "internal/ai", "internal/replay", "internal/store"},
	"filters/":           {"filters", "internal/body", "internal/detect", "internal/ai", "internal/explain", "internal/keyring", "internal/store", "internal/expr"},
	"internal/body":      {"filters", "internal/charset"},
	"internal/charset":   {},
	"internal/detect":    {"filters"},
	"internal/secret":    {"filters"},
	"internal/keyring":   {"filters"},
	"internal/realtest":  {},
	"internal/ai":        {"filters", "internal/ai", "internal/body", "internal/detect", "internal/expr", "internal/keyring", "internal/secret"},
	"internal/ai/budget": {"internal/keyring", "internal/store"},
	"internal/expr":      {"filters"},
	"internal/identity":  {"filters"},
	"internal/store":     {"filters"},
	"internal/coding":    {},
	"internal/explain":   {},
	"internal/pipeline":  {"filters", "internal/body", "internal/charset", "internal/coding"},
	"internal/replay":    {"filters", "internal/pipeline"},
	"internal/telemetry": {"filters", "internal/ai", "internal/pipeline"},
	"internal/audit":     {"filters", "internal/pipeline"},
	"policies":           {"filters", "filters/reference", "internal/ai", "internal/body", "internal/expr", "internal/identity", "internal/pipeline", "internal/secret", "internal/store"},
	"extproc":            {"filters", "policies", "internal/h2", "internal/pipeline"},
	"internal/h2":        {},
	"internal/admin":     {"filters", "policies", "internal/pipeline"},
	"internal/gen":       {"filters", "policies", "internal/pipeline"},
}

// free are the parts at the top: wiring, tests and tools.
var free = []string{"cmd/", "internal/e2e", "internal/bench", "internal/eval", "internal/detect/train", "examples/", "filters/all"}

// TestImportsPointOneWay holds the direction of the imports: extproc →
// policies → pipeline → filters, filters of a kind never to one another.
func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		path, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours || isFree(path) {
			continue
		}
		ok, known := allowedFor(path)
		if !known {
			t.Errorf("%s has no rule here: say what it may import", path)
			continue
		}
		for _, imp := range p.Imports {
			to, ours := strings.CutPrefix(imp, module)
			if ours && !permitted(ok, path, to) {
				t.Errorf("%s must not import %s", path, to)
			}
			if path == "filters" && strings.Contains(strings.Split(imp, "/")[0], ".") {
				t.Errorf("the contract imports %s: only the standard library is allowed there", imp)
			}
			if strings.HasPrefix(imp, "github.com/envoyproxy/") && path != "extproc" && path != "internal/gen" && !strings.HasPrefix(path, "extproc/") {
				t.Errorf("%s imports %s: only extproc knows the protocol, and gen the data plane's configuration", path, imp)
			}
		}
	}
}

func isFree(path string) bool {
	for _, f := range free {
		if strings.HasPrefix(path+"/", strings.TrimSuffix(f, "/")+"/") {
			return true
		}
	}
	return false
}

func allowedFor(path string) ([]string, bool) {
	best, found := "", false
	for prefix := range allowed {
		if path == prefix || strings.HasPrefix(path, strings.TrimSuffix(prefix, "/")+"/") && prefix != "filters" {
			if len(prefix) > len(best) {
				best, found = prefix, true
			}
		}
	}
	return allowed[best], found
}

// permitted: what the rule names and what is below the part itself.
func permitted(rule []string, from, to string) bool {
	if strings.HasPrefix(to, from+"/") {
		return true
	}
	for _, r := range rule {
		if to == r || r != "filters" && strings.HasPrefix(to, r+"/") {
			return true
		}
	}
	return false
}

type listed struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var ps []listed
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	if len(ps) < 5 {
		t.Fatalf("go list named only %d packages", len(ps))
	}
	return ps
}
