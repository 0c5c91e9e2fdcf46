package pii

import (
	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
)

// tokens takes away an object that tells a text again token by token: what is
// masked in the text would stand there in the clear.
func (w *work) tokens(v *filters.Value) {
	if v.Kind != filters.Object || !body.Retells(v.Key) || !w.hides() {
		return
	}
	v.Remove()
	w.tally.add("", "logprobs")
}

// hides reports whether something of what the consumer gets may be written
// otherwise.
func (w *work) hides() bool {
	if w.cfg.Restore {
		return false
	}
	for _, r := range w.rules {
		switch {
		case r.Action != Allow && r.Action != Deny:
			return true
		case len(r.Entities) == 0 && r.MinScore == 0: // no other rule comes to it
			return false
		}
	}
	return w.cfg.Action != Allow && w.cfg.Action != Deny
}
