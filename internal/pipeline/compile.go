package pipeline

import (
	"fmt"
	"math"
	"slices"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
)

// Compile works out what the steps of one policy need. It is called once,
// with the request, response and log steps in that order. An error names the
// step and what is wrong with its paths (a *body.PathError).
func Compile(steps []*Step) error {
	for i, s := range steps {
		if s.Log {
			s.recalls = s.Filter.Needs(filters.Response).Decisions
			continue
		}
		if err := s.compile(steps[:i]); err != nil {
			return fmt.Errorf("step %s: %w", s.Name, err)
		}
	}
	// What a later step reads of an earlier direction's body has to be kept
	// while it passes.
	for _, s := range steps {
		if s.Direction == filters.Request && !s.Log {
			continue
		}
		s.keeps[filters.Request] = s.readsLater(filters.Request)
		if s.Log {
			s.keeps[filters.Response] = s.readsLater(filters.Response)
		}
	}
	return nil
}

// readsLater returns how many bytes of the body of direction d the step, or
// its condition, reads after it has passed.
func (s *Step) readsLater(d filters.Direction) int {
	if s.When != nil && s.When.NeedsBody(d) {
		return math.MaxInt
	}
	if !s.Log {
		return 0
	}
	switch n := s.Filter.Needs(d); {
	case n.Body != filters.WholeBody:
		return 0
	case n.KeepBytes > 0:
		return n.KeepBytes
	}
	return math.MaxInt
}

func (s *Step) compile(earlier []*Step) error {
	for _, f := range []filters.Filter{s.Filter, s.Fallback} {
		if d, ok := f.(filters.Directed); ok {
			if err := d.Supports(s.Direction); err != nil {
				return err
			}
		}
	}
	s.Needs = s.Filter.Needs(s.Direction)
	s.immediate = s.Needs.Immediate && (s.Fallback == nil || s.Fallback.Needs(s.Direction).Immediate)
	_, s.streams = s.Filter.(filters.Streamer)
	s.streams = s.streams && s.Needs.Body != filters.NoBody
	if !s.streams && s.Needs.Body == filters.StreamedBody {
		return fmt.Errorf("filter %s wants a streamed body and is not a streamer", s.Kind)
	}
	s.deferred = s.Needs.Body == filters.WholeBody
	var conditionReads []string
	if s.When != nil {
		s.decideLate = s.When.NeedsBody(s.Direction)
		conditionReads = s.When.Steps()
	}
	for _, e := range earlier {
		// A result that is only there when the body has ended makes its
		// readers wait for it too.
		if !(e.deferred || e.streams) || e.Direction != s.Direction || e.Log {
			continue
		}
		s.decideLate = s.decideLate || slices.Contains(conditionReads, e.Name)
		s.deferred = s.deferred || slices.Contains(s.Needs.Steps, e.Name)
	}
	s.deferred = s.deferred || s.decideLate
	if !s.streams {
		return nil
	}
	s.ignores, s.sameNames = body.KindsOf(s.Needs.Ignores...), s.Needs.SameNames
	if s.names = nil; s.sameNames && s.Needs.AllNames && s.Fallback == nil {
		s.names = new(body.Names)
	}
	if s.Fallback != nil {
		n := s.Fallback.Needs(s.Direction)
		s.ignores, s.sameNames = s.ignores&body.KindsOf(n.Ignores...), s.sameNames && n.SameNames
	}
	paths, err := body.CompilePaths(s.Needs.Paths)
	if err != nil {
		return err
	}
	s.Paths = paths
	if s.Join, err = body.CompileJoin(s.Needs.Join); err != nil {
		return err
	}
	if paths != nil && paths.NeedsDocument() {
		s.deferred = true
	}
	return nil
}

// Collects reports whether the step makes the exchange wait for the whole
// body of its direction.
func (s *Step) Collects() bool { return s.deferred && s.Mode != Shadow }

// Streams reports whether the step edits the body value by value.
func (s *Step) Streams() bool { return s.streams }

// ReadsBody reports whether the step looks at the body of its direction in
// any way.
func (s *Step) ReadsBody() bool { return s.streams || s.deferred }
