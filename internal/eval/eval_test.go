package main

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/internal/detect"
)

// TestScore: the figures are those that the reference scorer, score.py, gives
// for the same two files.
func TestScore(t *testing.T) {
	gold, err := readDocuments("testdata/data/dev/small.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	pred, err := readDocuments("testdata/found.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	c, err := readCanon("testdata/data/canon.json")
	if err != nil {
		t.Fatal(err)
	}
	var found [][]span
	for _, d := range pred {
		found = append(found, d.Spans)
	}
	type row struct {
		gold, pred          int
		exact, overlap, cov float64
	}
	for _, tt := range []struct {
		types             []string
		rows              map[string]row
		all               row
		leak, over, clean float64
		macro             float64
	}{
		{nil, map[string]row{
			"EMAIL": {1, 1, 1, 1, 1}, "LOCATION": {2, 1, 0.667, 0.667, 1}, "PERSON": {5, 6, 0.364, 0.545, 0.4}, "PHONE": {1, 1, 0, 1, 0},
		}, row{9, 9, 0.444, 0.667, 0.556}, 0.1757, 0.1053, 0.5, 0.803},
		{[]string{"PERSON", "ORGANIZATION"}, map[string]row{
			"ORGANIZATION": {1, 0, 0, 0, 0}, "PERSON": {5, 6, 0.364, 0.545, 0.4},
		}, row{6, 6, 0.333, 0.5, 0.333}, 0.32, 0.1053, 0.5, 0.273},
	} {
		s := compare(gold, found, c, tt.types)
		near := func(what string, got, want float64) {
			t.Helper()
			if math.Abs(got-want) > 0.0005 {
				t.Errorf("%v: %s is %.4f, want %.4f", tt.types, what, got, want)
			}
		}
		check := func(name string, c *tally, want row) {
			t.Helper()
			if c.gold != want.gold || c.pred != want.pred {
				t.Errorf("%v: %s: %d spans and %d findings, want %d and %d", tt.types, name, c.gold, c.pred, want.gold, want.pred)
			}
			near(name+" exact F1", c.exact().f, want.exact)
			near(name+" overlap F1", c.overlap().f, want.overlap)
			near(name+" covered", share(c.covered, c.gold), want.cov)
		}
		if len(s.types) != len(tt.rows) {
			t.Errorf("%v: types %v", tt.types, s.types)
		}
		for name, want := range tt.rows {
			check(name, s.by[name], want)
		}
		check("all", &s.total, tt.all)
		near("leak", s.leak(), tt.leak)
		near("over", s.over(), tt.over)
		near("documents untouched", s.clean(), tt.clean)
		near("mean of the types", s.macro(), tt.macro)
	}
}

// TestFind: findings are placed in the text as it was, whatever is escaped in
// it, and however it is read.
func TestFind(t *testing.T) {
	s, err := detect.New(detect.Options{Entities: []detect.Entity{detect.Email, detect.CreditCard}})
	if err != nil {
		t.Fatal(err)
	}
	f := &finder{scanner: s}
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"write to joe@example.org", []string{"EMAIL_ADDRESS:joe@example.org"}},
		{`{"a": "\u00e9 joe@example.org", "card": 4111111111111111, "b": ["x\ny@example.com"]}`, []string{"EMAIL_ADDRESS:joe@example.org", "CREDIT_CARD:4111111111111111", "EMAIL_ADDRESS:y@example.com"}},
		{"é " + strings.Repeat("word ", 30000) + "joe@example.org", []string{"EMAIL_ADDRESS:joe@example.org"}},
		{`{"broken": joe@example.org`, []string{"EMAIL_ADDRESS:joe@example.org"}},
		{"nothing", nil},
	} {
		spans, err := f.find(tt.text)
		if err != nil {
			t.Errorf("%.40q: %v", tt.text, err)
			continue
		}
		var got []string
		for _, s := range spans {
			got = append(got, s.Type+":"+string([]rune(tt.text)[s.Start:s.End]))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%.40q: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(&out, "testdata/data", nil, "", "", 5, detect.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"## small: 5 documents, 9 spans", "| EMAIL ", "leak "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}
