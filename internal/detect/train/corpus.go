package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/sluice-proxy/sluice/internal/detect/names"
)

// kinds maps the types of labelled texts.
var kinds = map[string]names.Kind{
	"PERSON": names.Person, "PER": names.Person,
	"LOCATION": names.Place, "LOC": names.Place, "GPE": names.Place, "ADDRESS": names.Place,
	"ORGANIZATION": names.Organization, "ORG": names.Organization, "CORPORATION": names.Organization, "GROUP": names.Organization,
	"NRP": names.Group, "NORP": names.Group,
	"MISC": names.Other, "PRODUCT": names.Other, "CREATIVE-WORK": names.Other,
}

// readCorpus reads labelled texts: a JSON object a line, positions in code
// points.
func readCorpus(file string, nations map[string]bool, weight float32) ([]example, error) {
	h, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading labelled texts: %w", err)
	}
	defer h.Close()
	var out []example
	sc := bufio.NewScanner(h)
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var d struct {
			Text  string
			Spans []struct {
				Start, End int
				Type       string
			}
		}
		if err := json.Unmarshal(sc.Bytes(), &d); err != nil {
			return nil, fmt.Errorf("reading labelled texts: %s: %w", file, err)
		}
		at := make([]int, 0, len(d.Text)+1)
		for i := range d.Text {
			at = append(at, i)
		}
		at = append(at, len(d.Text))
		e := example{text: d.Text, weight: weight}
		for _, s := range d.Spans {
			k := kinds[strings.ToUpper(s.Type)]
			if k == names.None || s.End >= len(at) || s.Start >= s.End {
				continue
			}
			g := names.Gold{Start: at[s.Start], End: at[s.End], Kind: k}
			if nations[d.Text[g.Start:g.End]] && k != names.Place {
				g.Kind = names.Group
			}
			e.gold = append(e.gold, g)
		}
		if utf8.ValidString(d.Text) {
			out = append(out, e)
		}
	}
	return out, sc.Err()
}

// lowered is an example in lower case. It is nil where that moves positions.
func lowered(e example) *example {
	l := strings.ToLower(e.text)
	if len(l) != len(e.text) {
		return nil
	}
	e.text = l
	return &e
}
