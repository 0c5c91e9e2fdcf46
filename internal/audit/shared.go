package audit

import (
	"sync/atomic"

	"github.com/sluice-proxy/sluice/filters"
)

// Shared is a log that filters are built with before it is known where it is:
// the settings that say so are loaded together with the policies. The zero
// value takes nothing.
type Shared struct{ log atomic.Pointer[Log] }

// Use sets the log.
func (s *Shared) Use(l *Log) { s.log.Store(l) }

// Note implements filters.Notes.
func (s *Shared) Note(n *filters.Note) {
	if l := s.log.Load(); l != nil {
		l.Note(n)
	}
}
