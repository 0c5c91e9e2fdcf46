package policies

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/expr"
)

// matcher is a compiled match.
type matcher struct {
	hosts     []string // lower case; a leading dot stands for every name below
	paths     []glob
	methods   []string
	headers   []headerRule
	routes    []glob
	consumers *consumerMatch
	when      *expr.Program
}

type headerRule struct {
	name    string
	exact   string
	regex   *regexp.Regexp
	present *bool
}

// target is what of an exchange policies are matched against, worked out once
// for all of them.
type target struct {
	ex     *filters.Exchange
	host   string
	path   string
	method string
}

func newTarget(ex *filters.Exchange) target {
	t := target{ex: ex}
	host := ex.Request.Headers.Get(":authority")
	if host == "" {
		host = ex.Request.Headers.Get("host")
	}
	if strings.IndexByte(host, ':') >= 0 {
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
	}
	t.host = strings.TrimSuffix(strings.ToLower(host), ".")
	path, _, _ := strings.Cut(ex.Request.Headers.Get(":path"), "?")
	t.path = normalPath(path)
	t.method = ex.Request.Headers.Get(":method")
	return t
}

// matches reports whether every part that is given holds.
func (m *matcher) matches(t *target) bool {
	if len(m.hosts) > 0 && !slices.ContainsFunc(m.hosts, func(h string) bool {
		return h == t.host || h[0] == '.' && strings.HasSuffix(t.host, h)
	}) {
		return false
	}
	if len(m.paths) > 0 && !slices.ContainsFunc(m.paths, func(g glob) bool { return g.matches(t.path) }) {
		return false
	}
	if len(m.methods) > 0 && !slices.Contains(m.methods, t.method) {
		return false
	}
	for i := range m.headers {
		if !m.headers[i].matches(&t.ex.Request.Headers) {
			return false
		}
	}
	if len(m.routes) > 0 && !slices.ContainsFunc(m.routes, func(g glob) bool { return g.matches(t.ex.Route.Name) }) {
		return false
	}
	if m.consumers != nil && !m.consumers.matches(&t.ex.Consumer) {
		return false
	}
	if m.when != nil {
		ok, err := m.when.Holds(t.ex)
		return ok || err != nil // broken by the request: the policy applies
	}
	return true
}

func (r *headerRule) matches(h *filters.Headers) bool {
	if r.present != nil {
		return h.Has(r.name) == *r.present
	}
	return slices.ContainsFunc(h.Values(r.name), func(v string) bool {
		return r.regex == nil && v == r.exact || r.regex != nil && r.regex.MatchString(v)
	})
}

func (c *consumerMatch) matches(who *filters.Consumer) bool {
	if who.ID == "" && who.Username == "" {
		return c.Anonymous
	}
	if len(c.IDs) == 0 && len(c.Groups) == 0 {
		return true
	}
	return who.ID != "" && slices.Contains(c.IDs, who.ID) || who.Username != "" && slices.Contains(c.IDs, who.Username) ||
		slices.ContainsFunc(who.Groups, func(g string) bool { return slices.Contains(c.Groups, g) })
}

// glob is a path pattern: * stands for any characters but a slash, ** for any
// at all; "/a/**" also matches "/a".
type glob struct {
	text string
	// literal is what it begins with before any star.
	literal string
}

func newGlob(text string) (glob, error) {
	if strings.Contains(text, "***") {
		return glob{}, fmt.Errorf("%q has more than two stars in a row", text)
	}
	g := glob{text: text, literal: text}
	if i := strings.IndexByte(text, '*'); i >= 0 {
		g.literal = text[:i]
	}
	return g, nil
}

func (g *glob) matches(s string) bool {
	if g.literal == g.text {
		return s == g.text
	}
	if strings.HasSuffix(g.text, "/**") && globMatch(g.text[:len(g.text)-3], s) {
		return true
	}
	return globMatch(g.text, s)
}

// globMatch matches with backtracking to the last * and the last **, which is
// enough, and takes time in the product of the lengths at worst.
func globMatch(p, s string) bool {
	i, j := 0, 0
	star, starAt, deep, deepAt := -1, 0, -1, 0
	for j < len(s) {
		switch {
		case strings.HasPrefix(p[i:], "**"):
			deep, deepAt, star = i, j, -1
			i += 2
			continue
		case i < len(p) && p[i] == '*':
			star, starAt = i, j
			i++
			continue
		case i < len(p) && p[i] == s[j]:
			i++
			j++
			continue
		case star >= 0 && s[starAt] != '/':
			starAt++
			i, j = star+1, starAt
			continue
		case deep >= 0:
			deepAt++
			i, j, star = deep+2, deepAt, -1
			continue
		}
		return false
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

// normalPath writes a path in the one way in which policies compare it: what
// needs no percent-encoding decoded (RFC 3986, 6.2.2.2), dot segments removed
// (5.2.4), double slashes joined, and backslashes as slashes, as backends
// tend to read them.
func normalPath(p string) string {
	if isNormal(p) {
		return p
	}
	b := make([]byte, 0, len(p))
	for i := 0; i < len(p); i++ {
		c := p[i]
		if c == '%' && i+2 < len(p) {
			if v, ok := unhex(p[i+1], p[i+2]); ok {
				if v >= 0x20 && v < 0x7f && v != '%' && v != '?' && v != '#' {
					c = v
					i += 2
				}
			}
		}
		if c == '\\' {
			c = '/'
		}
		b = append(b, c)
	}
	var segments []string
	trailing := false
	for seg := range strings.SplitSeq(string(b), "/") {
		// Path parameters are not part of the segment's name.
		name, _, _ := strings.Cut(seg, ";")
		trailing = name == "" || name == "." || name == ".."
		switch name {
		case "", ".":
		case "..":
			if len(segments) > 0 {
				segments = segments[:len(segments)-1]
			}
		default:
			segments = append(segments, name)
		}
	}
	out := "/" + strings.Join(segments, "/")
	if trailing && len(segments) > 0 {
		out += "/"
	}
	return out
}

// isNormal reports whether there is nothing to do.
func isNormal(p string) bool {
	for i := range len(p) {
		switch c := p[i]; {
		case c == '%', c == '\\', c == ';':
			return false
		case c == '/' && i+1 < len(p) && (p[i+1] == '/' || p[i+1] == '.'):
			return false
		}
	}
	return strings.HasPrefix(p, "/")
}

func unhex(hi, lo byte) (byte, bool) {
	h, ok1 := hexValue(hi)
	l, ok2 := hexValue(lo)
	return h<<4 | l, ok1 && ok2
}

func hexValue(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
