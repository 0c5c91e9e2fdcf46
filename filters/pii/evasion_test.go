package pii_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/pii"
	"github.com/sluice-proxy/sluice/internal/replay"
	"github.com/sluice-proxy/sluice/policies"
)

// TestEvasionTable holds docs/evasion.md to the scenarios: every row that is
// covered names one at least, or a test, and every scenario of an evasion
// stands in a row.
func TestEvasionTable(t *testing.T) {
	text, err := os.ReadFile("../../docs/evasion.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := ""
	for _, f := range glob(t, "*_test.go") {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		tests += string(b)
	}
	named := map[string]bool{}
	covered, open := 0, 0
	for line := range strings.Lines(string(text)) {
		cells := regexp.MustCompile(` *(?:^\||\||\|$) *`).Split(strings.TrimSpace(line), -1)
		if len(cells) < 6 || cells[2] != "yes" && cells[2] != "no" {
			continue
		}
		what, by := cells[1], cells[4]
		if cells[2] == "no" {
			open++
			if by != "" || cells[3] == "" {
				t.Errorf("%s: it is not covered, and the table does not say why, or names a scenario", what)
			}
			continue
		}
		covered++
		for name := range strings.SplitSeq(by, ", ") {
			named[name] = true
			if strings.HasPrefix(name, "Test") {
				if !strings.Contains(tests, "func "+name+"(") {
					t.Errorf("%s: there is no test %s", what, name)
				}
				continue
			}
			if _, err := os.Stat("testdata/" + name + ".txtar"); err != nil {
				t.Errorf("%s: there is no scenario %q", what, name)
			}
		}
	}
	if covered < 15 || open < 8 {
		t.Errorf("the table has %d rows that are covered and %d that are not", covered, open)
	}
	for _, f := range glob(t, "testdata/evasion-*.txtar") {
		name := strings.TrimSuffix(filepath.Base(f), ".txtar")
		if !named[name] && name != "evasion-off" {
			t.Errorf("scenario %s is in no row", name)
		}
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("nothing matches %s (%v)", pattern, err)
	}
	return files
}

// TestStackedCodings: a second content coding hides nothing, and one that is
// not known fails the step.
func TestStackedCodings(t *testing.T) {
	dir := t.TempDir()
	policy := "apiVersion: sluice/v1\nkind: Policy\nmetadata: {name: p}\nspec:\n  response:\n    - filter: pii\n"
	if err := os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := policies.Open(t.Context(), &policies.Loader{Registry: filters.NewRegistry(pii.Definition()), Env: filters.Env{Now: time.Now}}, dir)
	if err != nil {
		t.Fatal(err)
	}
	var zipped, both bytes.Buffer
	z := gzip.NewWriter(&zipped)
	write(t, z, []byte(`{"mail":"jane.doe@example.com"}`))
	b := brotli.NewWriter(&both)
	write(t, b, zipped.Bytes())
	play := func(coding string) *replay.Result {
		return replay.Play(context.Background(), store, &replay.Message{Headers: filters.NewHeaders(filters.Field{Name: ":method", Value: "GET"}, filters.Field{Name: ":path", Value: "/a"})},
			&replay.Message{Headers: filters.NewHeaders(filters.Field{Name: ":status", Value: "200"}, filters.Field{Name: "content-type", Value: "application/json"}, filters.Field{Name: "content-encoding", Value: coding}), Body: both.Bytes()},
			replay.Options{})
	}
	res := play("gzip, br")
	if res.Denial != nil {
		t.Fatalf("denied: %v", res.Denial)
	}
	unzipped, err := gzip.NewReader(brotli.NewReader(bytes.NewReader(res.Response.Body)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(unzipped)
	if err != nil || string(got) != `{"mail":"****.***@*******.***"}` {
		t.Errorf("%q, %v", got, err)
	}
	if res := play("rot13"); res.Denial == nil || res.Denial.Status != 500 {
		t.Errorf("a coding that is not known passed")
	}
}

func write(t *testing.T, w io.WriteCloser, b []byte) {
	t.Helper()
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
