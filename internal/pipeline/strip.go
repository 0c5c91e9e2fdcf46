package pipeline

import "github.com/sluice-proxy/sluice/filters"

// strip takes away the headers, or trailers, that steps answer for, before
// any of them runs. What was taken is recorded: somebody may have tried to
// pass for more than they are.
func (r *Run) strip(l *lane, d filters.Direction, fields *filters.Headers) {
	for _, s := range l.steps {
		if !r.enforces(s) {
			continue
		}
		for _, f := range [...]filters.Filter{s.Filter, s.Fallback} {
			stripper, ok := f.(filters.Stripper)
			if !ok {
				continue
			}
			led := stripped(stripper, d, fields)
			if len(led.Changes) == 0 {
				continue
			}
			l.commit(r.ex, d, r.ex.Phase, &led)
			r.record(s, r.opt.Now(), 0, filters.Decision{Verdict: filters.Changed, Reason: "headers that only Sluice sets", Actions: filters.Counts{{Name: "strip", N: len(led.Changes)}}}, "")
		}
	}
}

func stripped(s filters.Stripper, d filters.Direction, fields *filters.Headers) (led filters.Ledger) {
	seen := map[string]bool{}
	for f := range fields.All() {
		if !seen[f.Name] && s.Strips(d, f.Name) {
			seen[f.Name] = true
			led.RemoveHeader(f.Name)
		}
	}
	return led
}
