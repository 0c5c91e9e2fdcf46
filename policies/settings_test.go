package policies_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/filters/reference"
	"github.com/sluice-proxy/sluice/internal/pipeline"
	"github.com/sluice-proxy/sluice/policies"
)

//go:generate go test . -run ^TestSettingsPageIsCurrent$ -update

// TestSettingsPageIsCurrent: docs/settings.md is what the type says.
func TestSettingsPageIsCurrent(t *testing.T) {
	want := "# Settings\n\nThe keys of the `spec` of a Settings document; see [policies](policies.md#settings) for an example.\nSizes are in bytes; 0 is the default.\n\n" +
		reference.Table(policies.Settings{})
	if !strings.Contains(want, "| `store.type` |") {
		t.Error("the table has not every key")
	}
	if strings.Contains(want, "|  |\n") {
		t.Error("a key has no doc tag")
	}
	const file = "../docs/settings.md"
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s is not current (%v): go generate ./policies writes it", file, err)
	}
}

// TestEveryLimitCanBeSet: what bounds an exchange has its setting, and reaches
// the exchange.
func TestEveryLimitCanBeSet(t *testing.T) {
	set := load(t, `apiVersion: sluice/v1
kind: Settings
spec:
  limits:
    {collectBytes: 1, exchangeBytes: 2, totalBytes: 3, maxExchanges: 4, onOverload: pass, overloadStatus: 500, exchangeDuration: 5s, idleDuration: 6s,
     depth: 7, pieceBytes: 8, nameBytes: 9, eventBytes: 12, decodedBytes: 10, decodedRatio: 11}
`)
	got, def := reflect.ValueOf(set.Limits()), reflect.ValueOf(pipeline.DefaultLimits)
	for i := range got.NumField() {
		if name := got.Type().Field(i).Name; got.Field(i).IsZero() || got.Field(i).Equal(def.Field(i)) {
			t.Errorf("%s is not set", name)
		}
	}
}
