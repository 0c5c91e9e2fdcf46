package pipeline

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/sluice-proxy/sluice/filters"
)

// place is a step in one phase and mode.
type place struct {
	step  *Step
	phase filters.Phase
	// observed: an enforced step was only observed in this exchange.
	observed bool
}

// maxPlaces bounds what a Places keeps. Of further ones it keeps nothing.
const maxPlaces = 2048

// Places keeps what a Recorder has to make only once for decisions of one step
// in one phase and mode, because it depends on nothing else: such as what they
// all say. It is read without a lock, and copied when a decision is the first
// of its kind. It keeps the steps too, and is to Forget them when there is
// another set. The zero value is empty.
type Places[T any] struct {
	known   atomic.Pointer[map[place]T]
	growing sync.Mutex
}

// Of returns what is kept for r, and makes it the first time. For a record
// that no step of a set made it is made each time.
func (p *Places[T]) Of(r *Record, anew func(r *Record) T) T {
	if r.By == nil {
		return anew(r)
	}
	at := place{r.By, r.Phase, r.Mode != r.By.Mode}
	if known := p.known.Load(); known != nil {
		if v, ok := (*known)[at]; ok {
			return v
		}
	}
	v := anew(r)
	p.growing.Lock()
	defer p.growing.Unlock()
	grown := map[place]T{}
	if known := p.known.Load(); known != nil {
		if len(*known) >= maxPlaces {
			return v
		}
		maps.Copy(grown, *known)
	}
	grown[at] = v
	p.known.Store(&grown)
	return v
}

// Forget empties it.
func (p *Places[T]) Forget() {
	p.growing.Lock()
	defer p.growing.Unlock()
	p.known.Store(nil)
}
