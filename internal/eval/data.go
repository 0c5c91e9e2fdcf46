package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// span is a piece of a text, in code points, end exclusive.
type span struct {
	Start int     `json:"start"`
	End   int     `json:"end"`
	Type  string  `json:"type"`
	Score float64 `json:"score,omitempty"`
}

// document is a text and the spans in it.
type document struct {
	ID    json.RawMessage `json:"id"`
	Text  string          `json:"text"`
	Spans []span          `json:"spans"`
}

// readDocuments reads a JSON object a line. A document without an id has the
// number of its line.
func readDocuments(file string) ([]document, error) {
	h, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading documents: %w", err)
	}
	defer h.Close()
	var out []document
	sc := bufio.NewScanner(h)
	sc.Buffer(nil, 64<<20)
	for line := 0; sc.Scan(); line++ {
		if strings.TrimSpace(sc.Text()) == "" {
			continue
		}
		var d document
		if err := json.Unmarshal(sc.Bytes(), &d); err != nil {
			return nil, fmt.Errorf("reading documents: %s, line %d: %w", file, line+1, err)
		}
		if d.ID == nil {
			d.ID = json.RawMessage(fmt.Sprint(line))
		}
		out = append(out, d)
	}
	return out, sc.Err()
}

// canon maps names of types to those that are scored.
type canon struct {
	Alias  map[string]string `json:"alias"`
	Ignore []string          `json:"ignore"`
}

func readCanon(file string) (*canon, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the names of types: %w", err)
	}
	var c canon
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, fmt.Errorf("reading the names of types: %s: %w", file, err)
	}
	return &c, nil
}

// of returns the name that a type is scored under.
func (c *canon) of(t string) string {
	if a, ok := c.Alias[t]; ok {
		return a
	}
	u := strings.ToUpper(t)
	if a, ok := c.Alias[u]; ok {
		return a
	}
	return u
}
