package detect_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/internal/detect"
)

func TestCustom(t *testing.T) {
	for _, tt := range []struct {
		name   string
		custom detect.Custom
		text   string
		want   []string
	}{
		{"a literal prefix", detect.Custom{Pattern: `EMP-\d{6}\b`, MaxLength: 10}, "EMP-123456, xEMP-123456 EMP-1234567 EMP-", []string{"X:EMP-123456", "X:EMP-123456"}},
		{"word boundaries", detect.Custom{Pattern: `\b[A-Z]{2}\d{4}\b`, MaxLength: 6}, "AB1234 xAB1234 AB12345 (CD5678)", []string{"X:AB1234", "X:CD5678"}},
		{"the longest", detect.Custom{Pattern: `\d{3,5}`, MaxLength: 5}, "12 123 1234567", []string{"X:123", "X:12345"}},
		{"a checksum", detect.Custom{Pattern: `\b\d{11}\b`, MaxLength: 11, Checksum: "luhn"}, "79927398713 79927398714", []string{"X:79927398713"}},
		{"allowed", detect.Custom{Pattern: `A\d`, MaxLength: 2, Allow: []string{"A1"}}, "A1 A2", []string{"X:A2"}},
		{"only with a word", detect.Custom{Pattern: `A\d`, MaxLength: 2, Score: 0.3, Words: []string{"seat"}}, "A1, and seat A2\nA3", []string{"X:A2"}},
		{"not ASCII", detect.Custom{Pattern: `[äöü]\d`, MaxLength: 4}, "ä1 ë2 ü3", []string{"X:ä1", "X:ü3"}},
		{"terms", detect.Custom{Terms: []string{"Blue Heron", "heron", "Müller AG"}}, "BLUE HERON, herons, Heron; MÜLLER AG.", []string{"X:BLUE HERON", "X:Heron", "X:MÜLLER AG"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.custom.Entity = "X"
			s := scanner(t, detect.Options{Entities: []detect.Entity{detect.JWT}, Custom: []*detect.Custom{&tt.custom}})
			if got := found(s, "", tt.text); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			cutEverywhere(t, s, "", tt.text)
		})
	}
}

// TestManyTerms: a list of many thousand terms costs a text next to nothing.
func TestManyTerms(t *testing.T) {
	c := &detect.Custom{Entity: "X"}
	for i := range 50_000 {
		c.Terms = append(c.Terms, fmt.Sprintf("term%05d of the list", i))
	}
	s := scanner(t, detect.Options{Custom: []*detect.Custom{c}})
	if got := found(s, "", "the Term04711 of the list, term4711 of the list"); !slices.Equal(got, []string{"X:Term04711 of the list"}) {
		t.Errorf("got %q", got)
	}
	text := []byte(strings.Repeat("All happy families are alike, each in its own way. ", 20))
	if n := testing.AllocsPerRun(100, func() { s.Scan(nil, detect.Context{}, text, false) }); n > 0 && !testing.Short() {
		t.Errorf("%.0f allocations", n)
	}
}
