package transform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/expr"
)

// headers changes headers and query parameters.
type headers struct {
	headers, query []operation
	programs       []*expr.Program
	clearRoute     bool
}

// Supports implements filters.Directed.
func (f *headers) Supports(d filters.Direction) error {
	if d == filters.Response && len(f.query) > 0 {
		return errors.New("a response has no query parameters")
	}
	return nil
}

// Needs implements filters.Filter.
func (f *headers) Needs(d filters.Direction) filters.Needs {
	n := expr.Needs(d, f.programs...)
	n.Immediate = true
	return n
}

// Apply implements filters.Filter.
func (f *headers) Apply(_ context.Context, ex *filters.Exchange, led *filters.Ledger) (filters.Decision, error) {
	n, err := f.change(ex, led)
	if err != nil {
		return filters.Decision{}, &filters.Failure{Reason: "expression", Err: err}
	}
	return decision(n), nil
}

func decision(n int) filters.Decision {
	if n == 0 {
		return filters.Decision{Verdict: filters.Passed}
	}
	return filters.Decision{Verdict: filters.Changed, Actions: filters.Counts{{Name: "transform", N: n}}}
}

// change writes the changes to the ledger and returns their number.
func (f *headers) change(ex *filters.Exchange, led *filters.Ledger) (int, error) {
	msg := ex.Message(ex.Phase.Direction())
	// Later operations see what earlier ones did.
	view := msg.Headers
	did := 0
	put := func(c filters.Change) {
		view.Apply(c)
		led.Changes = append(led.Changes, c)
		did++
	}
	for i := range f.headers {
		o := &f.headers[i]
		switch o.verb {
		case set, add:
			text, err := o.value(ex)
			if err != nil {
				return 0, err
			}
			op := filters.SetField
			if o.verb == add {
				op = filters.AddField
			}
			put(filters.Change{Op: op, Name: o.target, Value: text})
		case remove:
			if view.Has(o.target) {
				put(filters.Change{Op: filters.RemoveField, Name: o.target})
			}
		case rename:
			values := view.Values(o.target)
			if len(values) == 0 {
				continue
			}
			put(filters.Change{Op: filters.RemoveField, Name: o.target})
			for j, v := range values {
				op := filters.AddField
				if j == 0 {
					op = filters.SetField
				}
				put(filters.Change{Op: op, Name: o.to, Value: v})
			}
		}
	}
	if len(f.query) > 0 {
		path := view.Get(":path")
		changed, err := f.changeQuery(ex, path)
		if err != nil {
			return 0, err
		}
		if changed != path {
			put(filters.Change{Op: filters.SetField, Name: ":path", Value: changed})
		}
	}
	led.ClearRouteCache = f.clearRoute && did > 0 && ex.Phase.Direction() == filters.Request
	return did, nil
}

// value evaluates the operation's value as text.
func (o *operation) value(ex *filters.Exchange) (string, error) {
	if o.cel == nil {
		return o.text, nil
	}
	v, err := o.cel.Eval(ex)
	if err != nil {
		return "", err
	}
	text, err := scalarText(v)
	if err != nil {
		// A list or map goes into a header as JSON.
		b, jerr := json.Marshal(v)
		if jerr != nil {
			return "", err
		}
		text = string(b)
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }); i >= 0 {
		return "", fmt.Errorf("the value has a control character")
	}
	return text, nil
}

// changeQuery returns the path with its query changed. Parameters that no
// operation touches stay as they were written, in their order.
func (f *headers) changeQuery(ex *filters.Exchange, path string) (string, error) {
	base, raw, had := strings.Cut(path, "?")
	var params []string
	if had && raw != "" {
		params = strings.Split(raw, "&")
	}
	nameOf := func(p string) string {
		k, _, _ := strings.Cut(p, "=")
		name, err := url.QueryUnescape(k)
		if err != nil {
			return k
		}
		return name
	}
	for i := range f.query {
		o := &f.query[i]
		switch o.verb {
		case set, add:
			text, err := o.value(ex)
			if err != nil {
				return "", err
			}
			written := url.QueryEscape(o.target) + "=" + url.QueryEscape(text)
			kept, placed := params[:0:0], false
			for _, p := range params {
				switch {
				case o.verb == add || nameOf(p) != o.target:
					kept = append(kept, p)
				case !placed:
					kept, placed = append(kept, written), true
				}
			}
			if !placed {
				kept = append(kept, written)
			}
			params = kept
		case remove:
			kept := params[:0:0]
			for _, p := range params {
				if nameOf(p) != o.target {
					kept = append(kept, p)
				}
			}
			params = kept
		case rename:
			for j, p := range params {
				if nameOf(p) == o.target {
					_, v, eq := strings.Cut(p, "=")
					params[j] = url.QueryEscape(o.to)
					if eq {
						params[j] += "=" + v
					}
				}
			}
		}
	}
	if len(params) == 0 {
		return base, nil
	}
	return base + "?" + strings.Join(params, "&"), nil
}
