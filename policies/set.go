package policies

import (
	"context"
	"slices"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai"
	"github.com/sluice-proxy/sluice/internal/identity"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// Policy is one compiled policy.
type Policy struct {
	Name   string
	Order  int
	File   string
	Labels map[string]string
	// Request, Response and Log are its steps.
	Request, Response, Log []*pipeline.Step

	match matcher
	// lines are where the steps stand in the file.
	lines map[*pipeline.Step]Problem
}

// Always reports whether the policy matches every exchange.
func (p *Policy) Always() bool {
	m := &p.match
	paths := len(m.paths) == 0 || slices.ContainsFunc(m.paths, func(g glob) bool { return g.text == "/**" || g.text == "**" })
	return paths && len(m.hosts) == 0 && len(m.methods) == 0 && len(m.headers) == 0 && len(m.routes) == 0 && m.consumers == nil && m.when == nil
}

// Set is a set of policies that were loaded together. It is immutable.
type Set struct {
	version   string
	settings  Settings
	policies  []*Policy
	providers []Provider
	resolver  *identity.Resolver
	limits    pipeline.Limits
	models    *ai.Use
	index     index
}

// Version is a hash of what the set was loaded from.
func (s *Set) Version() string { return s.version }

// Settings returns the set's settings.
func (s *Set) Settings() *Settings { return &s.settings }

// Policies returns the policies in the order in which they apply.
func (s *Set) Policies() []*Policy { return s.policies }

// Providers returns the configured providers.
func (s *Set) Providers() []Provider { return s.providers }

// Models returns the providers as a step of a policy sees them, or nil where
// there are none.
func (s *Set) Models(policy, step string) filters.Models {
	if s.models == nil {
		return nil
	}
	return s.models.For(policy, step)
}

// Limits returns the bounds of one exchange.
func (s *Set) Limits() pipeline.Limits { return s.limits }

// Match returns the steps of every policy that matches the exchange, in
// order.
func (s *Set) Match(ex *filters.Exchange) pipeline.Chains {
	c := pipeline.Chains{Set: s.version, StripAcceptEncoding: s.settings.Bodies.StripAcceptEncoding}
	t := newTarget(ex)
	var only *Policy
	n := 0
	s.index.candidates(&t, func(p *Policy) {
		if !p.match.matches(&t) {
			return
		}
		n++
		if n == 1 {
			only = p
			return
		}
		if n == 2 {
			c.Request, c.Response, c.Log = slices.Clone(only.Request), slices.Clone(only.Response), slices.Clone(only.Log)
		}
		c.Request = append(c.Request, p.Request...)
		c.Response = append(c.Response, p.Response...)
		c.Log = append(c.Log, p.Log...)
	})
	if n == 1 { // the usual case copies nothing
		c.Request, c.Response, c.Log = only.Request, only.Response, only.Log
	}
	return c
}

// Begin identifies the caller of an exchange and returns the steps that apply
// to it.
func (s *Set) Begin(ctx context.Context, ex *filters.Exchange) (pipeline.Chains, pipeline.Limits) {
	ex.Policies = s.version
	if s.resolver != nil {
		ex.Consumer = s.resolver.Identify(ctx, ex)
	}
	return s.Match(ex), s.limits
}

// close frees what the set holds.
func (s *Set) close() {
	if s.resolver != nil {
		s.resolver.Close()
	}
	if s.models != nil {
		s.models.Release()
	}
}

// index finds the policies that can match a path without asking all of them:
// those whose patterns all begin with a literal segment are found by it.
type index struct {
	ordered []*Policy
	// bySegment has, for a first path segment, the places in ordered of the
	// policies that want it; rest are the places of all others. Both ascend.
	bySegment map[string][]int
	rest      []int
}

func newIndex(ordered []*Policy) index {
	x := index{ordered: ordered, bySegment: map[string][]int{}}
	for i, p := range ordered {
		segments, ok := firstSegments(p.match.paths)
		if !ok {
			x.rest = append(x.rest, i)
			continue
		}
		for _, s := range segments {
			x.bySegment[s] = append(x.bySegment[s], i)
		}
	}
	// A segment that nearly everybody begins with (v1) splits nothing, and two
	// of them do: key those by two.
	return x.split()
}

// splitAt is how many policies of one first segment are worth a second key.
const splitAt = 16

func (x index) split() index {
	for seg, places := range x.bySegment {
		if len(places) < splitAt || strings.Contains(seg, "/") {
			continue
		}
		var stay []int
		for _, i := range places {
			seconds, ok := secondSegments(x.ordered[i].match.paths, seg)
			if !ok {
				stay = append(stay, i)
				continue
			}
			for _, s := range seconds {
				x.bySegment[seg+"/"+s] = append(x.bySegment[seg+"/"+s], i)
			}
		}
		x.bySegment[seg] = stay
	}
	return x
}

func firstSegments(globs []glob) ([]string, bool) {
	var out []string
	for _, g := range globs {
		seg, ok := segmentAt(g, 0)
		if !ok {
			return nil, false
		}
		if !slices.Contains(out, seg) {
			out = append(out, seg)
		}
	}
	return out, len(globs) > 0
}

func secondSegments(globs []glob, first string) ([]string, bool) {
	var out []string
	for _, g := range globs {
		if f, _ := segmentAt(g, 0); f != first {
			continue
		}
		seg, ok := segmentAt(g, 1)
		if !ok {
			return nil, false
		}
		if !slices.Contains(out, seg) {
			out = append(out, seg)
		}
	}
	return out, true
}

// segmentAt returns segment n of a pattern, where it is literal and whole.
func segmentAt(g glob, n int) (string, bool) {
	rest, ok := strings.CutPrefix(g.text, "/")
	if !ok {
		return "", false
	}
	for ; ; n-- {
		seg, after, more := strings.Cut(rest, "/")
		if strings.Contains(seg, "*") || seg == "" {
			return "", false
		}
		if n == 0 {
			return seg, true
		}
		if !more {
			return "", false
		}
		rest = after
	}
}

// candidates calls yield with every policy that may match, in order.
func (x *index) candidates(t *target, yield func(*Policy)) {
	first, after, _ := strings.Cut(strings.TrimPrefix(t.path, "/"), "/")
	second, _, _ := strings.Cut(after, "/")
	lists := [3][]int{x.rest, x.bySegment[first], nil}
	if second != "" {
		// The path is first/second/…: the key is a part of it.
		if start := strings.Index(t.path, first); start >= 0 {
			lists[2] = x.bySegment[t.path[start:start+len(first)+1+len(second)]]
		}
	}
	last := -1
	for {
		best := -1
		for i := range lists {
			for len(lists[i]) > 0 && lists[i][0] <= last {
				lists[i] = lists[i][1:]
			}
			if len(lists[i]) > 0 && (best < 0 || lists[i][0] < best) {
				best = lists[i][0]
			}
		}
		if best < 0 {
			return
		}
		last = best
		yield(x.ordered[best])
	}
}

// Matches reports whether the named policy matches the exchange.
func (s *Set) Matches(policy string, ex *filters.Exchange) bool {
	t := newTarget(ex)
	return slices.ContainsFunc(s.policies, func(p *Policy) bool { return p.Name == policy && p.match.matches(&t) })
}
