package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// testCase is some lines of the table: servers that are loaded in turns.
type testCase struct {
	name     string
	exchange exchange
	streams  int // 0: the option's
	servers  []server
	// pairs are what is compared, by place in servers: each with another.
	pairs [][2]int
	// behindEnvoy loads through the real Envoy instead.
	behindEnvoy bool
	// check, where set, is called before anything is measured.
	check func(context.Context, *measurement) error
	// leftOut says why a case cannot be measured here.
	leftOut string
}

const maskPolicy = `apiVersion: sluice/v1
kind: Policy
metadata: {name: bench-mask}
spec:
  match: {paths: [/v1/**]}
  request:
    - filter: pii
  response:
    - filter: pii
`

const headersPolicy = `apiVersion: sluice/v1
kind: Policy
metadata: {name: bench-headers}
spec:
  match: {paths: [/v1/**]}
  request:
    - filter: transform
      with: {headers: [{set: x-bench, value: "1"}, {remove: x-internal}]}
  response:
    - filter: transform
      with: {headers: [{set: x-bench, value: "1"}]}
`

// thousand is the mask policy among a thousand that do not match.
func thousand() string {
	var b strings.Builder
	b.WriteString(maskPolicy)
	for i := range 999 {
		fmt.Fprintf(&b, "---\napiVersion: sluice/v1\nkind: Policy\nmetadata: {name: other-%d}\nspec:\n  match: {paths: [/other/%d/**]}\n  request:\n    - filter: pii\n", i, i)
	}
	return b.String()
}

// telling is the mask policy with an audit log (a file, or none) and with a
// collector of spans, where there is an address of one. Every exchange is
// traced then.
func telling(audit, collector string) string {
	text := maskPolicy + "---\napiVersion: sluice/v1\nkind: Settings\nspec:\n  audit: {to: \"" + audit + "\"}\n"
	if collector != "" {
		text += "  telemetry: {otlp: \"http://" + collector + "\"}\n"
	}
	return text
}

// cases are all cases. sink is the address of a collector of spans.
func (o *options) cases(sink string) []testCase {
	small, big := records(6), records(4200)
	masked := varied(512, func(i int) exchange {
		return exchange{path: "/v1/customers", response: recordsFrom(6*i, 6), chunk: 16 << 10, fullDuplex: true}
	})
	asRequest := varied(512, func(i int) exchange {
		return exchange{path: "/v1/customers", request: recordsFrom(6*i, 6), chunk: 16 << 10, fullDuplex: true}
	})
	people := varied(512, func(i int) exchange {
		return exchange{path: "/v1/people", response: peopleFrom(5*i, 5), chunk: 16 << 10, fullDuplex: true}
	})
	chat := varied(64, func(i int) exchange {
		return exchange{path: "/v1/chat/completions", responseType: "text/event-stream", parts: messagesOf(chatEventsFrom(6*i, 500)), fullDuplex: true}
	})
	all := []testCase{
		o.againstNoop(testCase{name: "response-1.7KB", exchange: masked}, maskPolicy),
		o.againstNoop(testCase{name: "request-1.7KB", exchange: asRequest}, maskPolicy),
		o.againstNoop(testCase{name: "people-1.7KB", exchange: people}, maskPolicy),
		o.againstNoop(testCase{name: "one-stream", streams: 1, exchange: masked}, maskPolicy),
		o.againstNoop(testCase{name: "headers-only", exchange: exchange{path: "/v1/customers"}}, headersPolicy),
		o.againstNoop(testCase{name: "response-1MB", streams: 4, exchange: exchange{path: "/v1/customers", response: big, chunk: 32 << 10, fullDuplex: true}}, maskPolicy),
		o.againstNoop(testCase{name: "response-1MB-16KB", streams: 4, exchange: exchange{path: "/v1/customers", response: big, chunk: 16 << 10, fullDuplex: true}}, maskPolicy),
		o.againstNoop(testCase{name: "sse-500", streams: 4, exchange: chat}, maskPolicy),
		o.againstItself(testCase{name: "thousand-policies", exchange: masked},
			variant{"one policy", maskPolicy}, variant{"a thousand", thousand()}),
		o.againstItself(testCase{name: "telemetry-off", exchange: masked},
			variant{"off", telling("none", "")}, variant{"decisions", telling("{audit}", "")},
			variant{"traces", telling("none", sink)}, variant{"all on", telling("{audit}", sink)}),
		o.cores(testCase{name: "cores", exchange: masked}),
		o.againstNoop(testCase{name: "behind-envoy", behindEnvoy: true, exchange: exchange{path: "/v1/customers", response: small}}, maskPolicy),
	}
	return all
}

// varied is an exchange of n versions.
func varied(n int, version func(i int) exchange) exchange {
	ex := version(0)
	for i := 1; i < n; i++ {
		ex.others = append(ex.others, version(i))
	}
	return ex
}

// againstNoop compares Sluice with the no-op; or, where there is another
// binary to compare with, that one with both.
func (o *options) againstNoop(c testCase, policies string) testCase {
	c.servers = []server{noopServer(), sluiceServer("sluice", o.sluice, policies)}
	c.pairs = [][2]int{{1, 0}}
	if o.base != "" {
		c.servers = []server{noopServer(), sluiceServer("old", o.base, policies), sluiceServer("new", o.sluice, policies)}
		c.pairs = [][2]int{{1, 0}, {2, 0}, {2, 1}}
	}
	return c
}

// variant is Sluice with policies of some name.
type variant struct{ name, policies string }

// againstItself compares variants of Sluice with the first of them. With
// another binary, the last of them is compared instead, as the others are.
func (o *options) againstItself(c testCase, variants ...variant) testCase {
	if o.base != "" {
		return o.againstNoop(c, variants[len(variants)-1].policies)
	}
	for i, v := range variants {
		c.servers = append(c.servers, sluiceServer(v.name, o.sluice, v.policies))
		if i > 0 {
			c.pairs = append(c.pairs, [2]int{i, 0})
		}
	}
	return c
}

// cores compares two cores with one, for the no-op and for Sluice. With four
// cores or more what loads has the others to itself; with fewer it shares the
// server's, so that both are on one core, and then on two.
func (o *options) cores(c testCase) testCase {
	cpus, err := ownCPUs()
	switch _, missing := exec.LookPath("taskset"); {
	case o.base != "":
		c.leftOut = "it compares a binary with itself"
	case err != nil:
		c.leftOut = err.Error()
	case missing != nil:
		c.leftOut = "it needs taskset"
	case len(cpus) < 2:
		c.leftOut = "it needs two cores"
	}
	if c.leftOut != "" {
		return c
	}
	list := func(cpus []int) string {
		var s []string
		for _, n := range cpus {
			s = append(s, strconv.Itoa(n))
		}
		return strings.Join(s, ",")
	}
	for _, s := range []server{noopServer(), sluiceServer("sluice", o.sluice, maskPolicy)} {
		for n := 1; n <= 2; n++ {
			s := s
			s.name += fmt.Sprintf(", %d", n)
			s.cpus = list(cpus[:n])
			s.load = s.cpus
			if len(cpus) >= 4 {
				s.load = list(cpus[2:])
			}
			c.servers = append(c.servers, s)
		}
	}
	c.pairs = [][2]int{{1, 0}, {3, 2}}
	return c
}
