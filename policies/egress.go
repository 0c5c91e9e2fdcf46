package policies

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// egress checks where the steps send content to against what the settings
// allow.
func (b *build) egress() {
	allow := b.set.settings.Egress.Allow
	if len(allow) == 0 {
		return
	}
	for _, p := range b.set.policies {
		for _, s := range slices.Concat(p.Request, p.Response, p.Log) {
			for _, host := range refused(s, allow) {
				problem := p.lines[s]
				problem.Msg = fmt.Sprintf("the step calls %s, which the settings do not allow", host)
				problem.Hint = "add it to egress.allow in the Settings"
				b.problems = append(b.problems, problem)
			}
		}
	}
}

// refused lists the hosts that a step calls and that are not allowed.
func refused(s *pipeline.Step, allow []string) (hosts []string) {
	for _, f := range []filters.Filter{s.Filter, s.Fallback} {
		c, ok := f.(filters.Sender)
		if !ok {
			continue
		}
		for _, address := range c.Calls() {
			u, err := url.Parse(address)
			if err != nil || !slices.ContainsFunc(allow, func(a string) bool { return allows(a, u) }) {
				hosts = append(hosts, hostOf(u, address))
			}
		}
	}
	return hosts
}

func hostOf(u *url.URL, address string) string {
	if u == nil {
		return address
	}
	return u.Host
}

func allows(pattern string, u *url.URL) bool {
	name := strings.ToLower(u.Hostname())
	if below, ok := strings.CutPrefix(pattern, "*."); ok {
		return strings.HasSuffix(name, "."+strings.ToLower(below))
	}
	return strings.EqualFold(pattern, name) || strings.EqualFold(pattern, u.Host)
}
