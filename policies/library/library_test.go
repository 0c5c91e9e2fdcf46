// Package library_test plays the scenarios of the ready-made policies.
package library_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/filters/all"
	"github.com/sluice-proxy/sluice/filters/filtertest"
)

func TestScenarios(t *testing.T) {
	filtertest.Scenarios(t, all.Registry(), "testdata/*.txtar")
}

// TestEveryPolicyHasAScenario also holds the README's list complete.
func TestEveryPolicyHasAScenario(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no policies (%v)", err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(f, ".yaml")
		if m, _ := filepath.Glob("testdata/" + name + "*.txtar"); len(m) == 0 {
			t.Errorf("%s has no scenario", f)
		}
	}
}
