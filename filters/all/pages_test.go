package all_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/filters/all"
	"github.com/sluice-proxy/sluice/filters/reference"
)

var update = flag.Bool("update", false, "write the pages anew")

// TestPagesAreCurrent: docs/filters/<kind>.md and filters/<kind>/README.md are
// what the configuration types say (go test ./filters/all -update).
func TestPagesAreCurrent(t *testing.T) {
	index := "# Filters\n\n| filter | what it does |\n| --- | --- |\n"
	for _, def := range all.Registry().All() {
		page, err := reference.Render(def)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(page, "|  |\n") {
			t.Errorf("%s: a key has no doc tag", def.Kind)
		}
		index += "| [" + def.Kind + "](" + def.Kind + ".md) | " + def.Summary + " |\n"
		for _, f := range []string{filepath.Join("../../docs/filters", def.Kind+".md"), filepath.Join("..", def.Kind, "README.md")} {
			current(t, f, page)
		}
	}
	current(t, "../../docs/filters/README.md", index)
}

func current(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != want {
		t.Errorf("%s is not current (%v): go test ./filters/all -update writes it", file, err)
	}
}
