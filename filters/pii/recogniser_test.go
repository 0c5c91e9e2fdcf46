package pii_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/pii"
)

// TestRecognisersAreChecked: what is wrong with a recogniser is said at its
// key, and examples that do not hold at the example.
func TestRecognisersAreChecked(t *testing.T) {
	good := pii.Recogniser{Entity: "EMPLOYEE_ID", Pattern: `E\d{6}`, MaxLength: 7}
	for _, tt := range []struct {
		name   string
		change func(*pii.Recogniser)
		path   string
	}{
		{"good", func(*pii.Recogniser) {}, ""},
		{"entity", func(r *pii.Recogniser) { r.Entity = "employee" }, "recognisers[0].entity"},
		{"nothing to find", func(r *pii.Recogniser) { r.Pattern = "" }, "recognisers[0].pattern"},
		{"no length", func(r *pii.Recogniser) { r.MaxLength = 0 }, "recognisers[0].maxLength"},
		{"syntax", func(r *pii.Recogniser) { r.Pattern = "E(" }, "recognisers[0].pattern"},
		{"an end", func(r *pii.Recogniser) { r.Pattern = "E$" }, "recognisers[0].pattern"},
		{"the empty text", func(r *pii.Recogniser) { r.Pattern = "E*" }, "recognisers[0].pattern"},
		{"checksum", func(r *pii.Recogniser) { r.Checksum = "crc" }, "recognisers[0].checksum"},
		{"score", func(r *pii.Recogniser) { r.Score = 2 }, "recognisers[0].score"},
		{"matches", func(r *pii.Recogniser) { r.Examples.Match = []string{"E123456", "F1"} }, "recognisers[0].examples.match[1]"},
		{"does not match", func(r *pii.Recogniser) { r.Examples.NoMatch = []string{"E1234567"} }, "recognisers[0].examples.noMatch[0]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := good
			tt.change(&r)
			c := pii.Config{Recognisers: []pii.Recogniser{r}, Unparsed: filters.ScanAsText, Deny: pii.Denial{Status: 422}, Tenant: pii.ByConsumer, Tokens: pii.Tokens{Style: pii.Numbered, TTL: time.Hour}, Files: filters.ScanFiles}
			err := c.Validate()
			var fe *filters.FieldError
			switch {
			case tt.path == "" && err != nil:
				t.Fatal(err)
			case tt.path != "" && (!errors.As(err, &fe) || fe.Path != tt.path):
				t.Fatalf("got %v, want an error at %s", err, tt.path)
			}
		})
	}
}

// TestDenyFile: the terms of a file are found, and its examples tried with
// them.
func TestDenyFile(t *testing.T) {
	dir := t.TempDir()
	var b strings.Builder
	b.WriteString("# projects\nBlue Heron # a bird\n\n")
	for i := range 20_000 {
		b.WriteString("term" + strings.Repeat(string(rune('a'+i%26)), 1+i/26%40) + "\n")
	}
	if err := os.WriteFile(filepath.Join(dir, "terms.txt"), []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	build := func(r pii.Recogniser) error {
		d := pii.Definition()
		c := d.Config().(*pii.Config)
		c.Recognisers = []pii.Recogniser{r}
		if err := c.Validate(); err != nil {
			return err
		}
		_, err := d.New(c, filters.Env{Dir: dir})
		return err
	}
	r := pii.Recogniser{Entity: "PROJECT", DenyFile: "terms.txt", Examples: pii.Examples{Match: []string{"the blue heron"}, NoMatch: []string{"blue herons"}}}
	if err := build(r); err != nil {
		t.Error(err)
	}
	r.Examples.Match = []string{"a heron"}
	if err := build(r); err == nil {
		t.Error("an example that does not hold is taken")
	}
	r.DenyFile = "none.txt"
	if err := build(r); err == nil {
		t.Error("a file that is not there is taken")
	}
}
