package pii

import (
	"hash/maphash"
	"sync/atomic"
)

const (
	// cleanSlots is how many names are remembered, and maxClean how long one
	// may be.
	cleanSlots, maxClean = 256, 64
)

// cleanNames remembers names of members in which nothing was found: bodies
// repeat a few of them many times, and what is found in a name depends on
// nothing else. Many streams use it at once. A place that is taken stays
// taken: names that never come again would otherwise push out those that do.
type cleanNames struct {
	seed  maphash.Seed
	slots [cleanSlots]atomic.Pointer[string]
}

func newCleanNames() *cleanNames { return &cleanNames{seed: maphash.MakeSeed()} }

func (c *cleanNames) slot(name []byte) *atomic.Pointer[string] {
	return &c.slots[maphash.Bytes(c.seed, name)%cleanSlots]
}

func (c *cleanNames) has(name []byte) bool {
	if c == nil || len(name) > maxClean {
		return false
	}
	known := c.slot(name).Load()
	return known != nil && *known == string(name)
}

// add remembers a name, but none with a digit in it: that is likely an
// identifier, of which there is no end.
func (c *cleanNames) add(name []byte) {
	if c == nil || len(name) > maxClean {
		return
	}
	for _, b := range name {
		if isDigit(b) {
			return
		}
	}
	if s := c.slot(name); s.Load() == nil {
		text := string(name)
		s.CompareAndSwap(nil, &text)
	}
}
