package filtertest

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
)

// Conform checks what every filter promises: it describes itself, its example
// is a valid policy that uses it, a zero configuration gives a filter or a
// clear error and never a panic, and building it leaves no goroutine behind.
func Conform(t *testing.T, def filters.Definition) {
	t.Helper()
	if def.Kind == "" || def.Summary == "" || def.Doc == "" {
		t.Error("kind, summary and doc are needed")
	}
	if !strings.HasSuffix(def.Summary, ".") {
		t.Error("the summary is to be a sentence")
	}
	switch def.OnError {
	case filters.Continue, filters.Deny:
	default:
		t.Errorf("the default onError is %q", def.OnError)
	}
	t.Run("example", func(t *testing.T) {
		if !strings.Contains(def.Example, "filter: "+def.Kind) {
			t.Fatal("the example does not use the filter")
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "example.yaml"), []byte(def.Example), 0o600); err != nil {
			t.Fatal(err)
		}
		var logs bytes.Buffer
		store := openStore(t, filters.NewRegistry(def), dir, &logs)
		if n := len(store.Current().Policies()); n == 0 {
			t.Error("the example has no policy")
		}
	})
	t.Run("zero configuration", func(t *testing.T) {
		before := runtime.NumGoroutine()
		cfg := def.Config()
		if v, ok := cfg.(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				return
			}
		}
		f, err := def.New(cfg, filters.Env{Now: time.Now, Rand: zeros{}})
		if err == nil && f == nil {
			t.Error("neither a filter nor an error")
		}
		for range 50 {
			if runtime.NumGoroutine() <= before {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Error("building the filter left a goroutine behind")
	})
}
