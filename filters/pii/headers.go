package pii

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
)

// credentials are headers whose change would lock the caller out: * does not
// stand for them.
var credentials = map[string]bool{"authorization": true, "proxy-authorization": true, "cookie": true, "set-cookie": true}

// Apply implements filters.Filter: it looks at headers, query parameters and
// trailers.
func (f *filter) Apply(ctx context.Context, ex *filters.Exchange, led *filters.Ledger) (filters.Decision, error) {
	w, err := f.begin(ex)
	if err != nil {
		return filters.Decision{}, err
	}
	defer w.close()
	d := ex.Phase.Direction()
	msg := ex.Message(d)
	if ex.Phase == filters.TrailersPhase(d) {
		if err := w.fields(ctx, &msg.Trailers, led, func(string) bool { return true }); err != nil {
			return filters.Decision{}, err
		}
		return w.decision(), nil
	}
	if len(f.cfg.Headers) > 0 {
		all := slices.Contains(f.cfg.Headers, "*")
		err := w.fields(ctx, &msg.Headers, led, func(name string) bool {
			return slices.Contains(f.cfg.Headers, name) || all && !credentials[name]
		})
		if err != nil {
			return filters.Decision{}, err
		}
	}
	if d == filters.Request && len(f.cfg.Query) > 0 {
		if err := w.query(ctx, msg.Headers.Get(":path"), led); err != nil {
			return filters.Decision{}, err
		}
	}
	return w.decision(), nil
}

// fields looks at the fields whose names are picked.
func (w *work) fields(ctx context.Context, h *filters.Headers, led *filters.Ledger, pick func(name string) bool) error {
	var done []string
	for field := range h.All() {
		if strings.HasPrefix(field.Name, ":") || !pick(field.Name) || slices.Contains(done, field.Name) {
			continue
		}
		done = append(done, field.Name)
		values := h.Values(field.Name)
		changed := false
		kept := values[:0:0]
		for _, v := range values {
			out, removed, err := w.text(ctx, field.Name, v)
			if err != nil {
				return err
			}
			changed = changed || removed || out != v
			if !removed {
				kept = append(kept, out)
			}
		}
		if !changed {
			continue
		}
		led.RemoveHeader(field.Name)
		for _, v := range kept {
			led.AddHeader(field.Name, v)
		}
	}
	return nil
}

// text looks at one value.
func (w *work) text(ctx context.Context, key, value string) (out string, gone bool, err error) {
	text, o, err := w.look(ctx, key, []byte(value), 0)
	if err != nil || o != changed {
		return value, o == removed, err
	}
	return string(text), false, nil
}

// query looks at the query parameters of a path. Those with nothing in them
// stay as they were written.
func (w *work) query(ctx context.Context, path string, led *filters.Ledger) error {
	base, raw, ok := strings.Cut(path, "?")
	if !ok || raw == "" {
		return nil
	}
	all := slices.Contains(w.cfg.Query, "*")
	var kept []string
	changed := false
	for p := range strings.SplitSeq(raw, "&") {
		k, v, _ := strings.Cut(p, "=")
		name, kerr := url.QueryUnescape(k)
		if kerr != nil {
			name = k
		}
		if !all && !slices.Contains(w.cfg.Query, name) {
			kept = append(kept, p)
			continue
		}
		value, verr := url.QueryUnescape(v)
		if verr != nil {
			value = v // not an encoding: it is looked at as it stands
		}
		out, removed, err := w.text(ctx, name, value)
		if err != nil {
			return err
		}
		switch {
		case removed:
			changed = true
		case out != value:
			changed = true
			kept = append(kept, k+"="+url.QueryEscape(out))
		default:
			kept = append(kept, p)
		}
	}
	if !changed {
		return nil
	}
	if len(kept) > 0 {
		base += "?" + strings.Join(kept, "&")
	}
	led.SetHeader(":path", base)
	return nil
}
