// Package price knows what models cost: a table in the binary, or one in the
// format of LiteLLM's cost file. A model that is in neither has no price,
// which is not a price of nothing.
package price

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// maxFile is the largest price file.
const maxFile = 32 << 20

// Price is what tokens cost, in US dollars each.
type Price struct{ Input, Output float64 }

// Of returns the cost of a call.
func (p Price) Of(input, output int) float64 {
	return p.Input*float64(input) + p.Output*float64(output)
}

// Table has prices by the name of the model.
type Table map[string]Price

//go:embed builtin.json
var builtinJSON []byte

// builtinTable is the table in the binary, and the date of its prices.
var builtinTable = sync.OnceValue(func() (t struct {
	AsOf   string                `json:"as_of"`
	Models map[string][2]float64 `json:"usd_per_million_tokens"`
}) {
	if err := json.Unmarshal(builtinJSON, &t); err != nil {
		panic("the price table in the binary: " + err.Error())
	}
	return t
})

// Builtin returns the table in the binary and the day its prices were noted.
func Builtin() (Table, string) {
	b := builtinTable()
	t := make(Table, len(b.Models))
	for name, p := range b.Models {
		t[name] = Price{p[0] / 1e6, p[1] / 1e6}
	}
	return t, b.AsOf
}

// Load reads a file in LiteLLM's format: an object with, by model,
// input_cost_per_token and output_cost_per_token.
func Load(file string) (Table, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading prices: %w", err)
	}
	defer func() { _ = f.Close() }()
	t, err := Parse(f)
	if err != nil {
		return nil, fmt.Errorf("reading prices from %s: %w", file, err)
	}
	return t, nil
}

// Parse reads LiteLLM's format. Entries without both prices are left out.
func Parse(r io.Reader) (Table, error) {
	var entries map[string]json.RawMessage
	if err := json.NewDecoder(io.LimitReader(r, maxFile)).Decode(&entries); err != nil {
		return nil, fmt.Errorf("it is not an object of models: %w", err)
	}
	t := Table{}
	for name, raw := range entries {
		var e struct {
			Input  *float64 `json:"input_cost_per_token"`
			Output *float64 `json:"output_cost_per_token"`
		}
		// sample_spec explains the format in text.
		if name == "sample_spec" || json.Unmarshal(raw, &e) != nil || e.Input == nil || e.Output == nil || *e.Input < 0 || *e.Output < 0 {
			continue
		}
		t[name] = Price{*e.Input, *e.Output}
	}
	if len(t) == 0 {
		return nil, fmt.Errorf("no model in it has input_cost_per_token and output_cost_per_token")
	}
	return t, nil
}

// Find returns the price of a model of a kind of provider ("azure"): by the
// kind and the name, the name, or the name without a date at its end.
func (t Table) Find(kind, model string) (Price, bool) {
	for _, name := range []string{kind + "/" + model, model, withoutDate(model)} {
		if p, ok := t[name]; ok {
			return p, true
		}
	}
	return Price{}, false
}

// withoutDate cuts -2024-07-18 or -20240718 off.
func withoutDate(model string) string {
	for _, form := range []string{"-dddd-dd-dd", "-dddddddd"} {
		n := len(model) - len(form)
		if n <= 0 {
			continue
		}
		ok := true
		for i := range form {
			c := model[n+i]
			ok = ok && (form[i] == 'd' && c >= '0' && c <= '9' || form[i] == '-' && c == '-')
		}
		if ok {
			return model[:n]
		}
	}
	return strings.TrimSuffix(model, "-latest")
}
