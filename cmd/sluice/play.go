package main

import (
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/replay"
)

// play is what came of an exchange, as it is printed.
type play struct {
	Set       string         `json:"set"`
	Decisions []playDecision `json:"decisions"`
	// Request and Response hold the messages that come out.
	Request  *playMessage `json:"request,omitempty"`
	Response *playMessage `json:"response,omitempty"`
	Denial   *playDenial  `json:"denial,omitempty"`
	// Metadata is what the data plane is given.
	Metadata        map[string]map[string]any `json:"metadata,omitempty"`
	ClearRouteCache bool                      `json:"clearRouteCache,omitempty"`
}

type playDecision struct {
	Policy   string         `json:"policy"`
	Step     string         `json:"step"`
	Filter   string         `json:"filter"`
	Phase    string         `json:"phase"`
	Mode     string         `json:"mode"`
	Verdict  string         `json:"verdict"`
	Reason   string         `json:"reason,omitempty"`
	OnError  string         `json:"onError,omitempty"`
	Findings map[string]int `json:"findings,omitempty"`
	Actions  map[string]int `json:"actions,omitempty"`
	Details  map[string]any `json:"details,omitempty"`
	Micros   int64          `json:"duration_us"`
}

type playMessage struct {
	Mutations []playMutation `json:"mutations"`
	Headers   [][2]string    `json:"headers"`
	Trailers  [][2]string    `json:"trailers,omitempty"`
	Body      string         `json:"body"`

	text string
}

// playMutation is one change, from the outside: what is different after.
type playMutation struct {
	// Of is "header", "trailer" or "body".
	Of   string `json:"of"`
	Op   string `json:"op"` // set, add or remove
	Name string `json:"name,omitempty"`
	// Value is the new one.
	Value string `json:"value,omitempty"`
	// Before and After are the body's sizes in bytes.
	Before *int `json:"before,omitempty"`
	After  *int `json:"after,omitempty"`
}

type playDenial struct {
	Status     int            `json:"status"`
	Type       string         `json:"type"`
	Title      string         `json:"title"`
	Detail     string         `json:"detail,omitempty"`
	Extensions map[string]any `json:"extensions,omitempty"`
	Headers    [][2]string    `json:"headers,omitempty"`
}

func newPlay(request, response *replay.Message, res *replay.Result) *play {
	p := &play{Decisions: []playDecision{}, Metadata: res.Metadata, ClearRouteCache: res.ClearRouteCache}
	if res.Summary != nil {
		p.Set = res.Summary.Set
	}
	for _, r := range res.Decisions {
		p.Decisions = append(p.Decisions, playDecision{
			Policy: r.Policy, Step: r.Step, Filter: r.Filter, Phase: r.Phase.String(), Mode: string(r.Mode),
			Verdict: r.Decision.Verdict.String(), Reason: r.Decision.Reason, OnError: string(r.OnError),
			Findings: r.Decision.Findings.Map(), Actions: r.Decision.Actions.Map(), Details: r.Decision.Details,
			Micros: r.Duration.Microseconds(),
		})
	}
	p.Request = newPlayMessage(request, res.Request)
	p.Response = newPlayMessage(response, res.Response)
	if d := res.Denial; d != nil {
		p.Denial = &playDenial{Status: d.Status, Type: d.Type, Title: d.Title, Detail: d.Detail, Extensions: d.Extensions}
		if p.Denial.Type == "" {
			p.Denial.Type = "about:blank"
		}
		for _, h := range d.Headers {
			p.Denial.Headers = append(p.Denial.Headers, [2]string{h.Name, h.Value})
		}
	}
	return p
}

func newPlayMessage(in, out *replay.Message) *playMessage {
	if in == nil || out == nil {
		return nil
	}
	m := &playMessage{Mutations: []playMutation{}, Headers: fields(&out.Headers), Trailers: fields(&out.Trailers), Body: string(out.Body), text: out.String()}
	m.Mutations = append(m.Mutations, fieldMutations("header", &in.Headers, &out.Headers)...)
	m.Mutations = append(m.Mutations, fieldMutations("trailer", &in.Trailers, &out.Trailers)...)
	if string(in.Body) != string(out.Body) {
		before, after := len(in.Body), len(out.Body)
		m.Mutations = append(m.Mutations, playMutation{Of: "body", Op: "set", Before: &before, After: &after})
	}
	return m
}

func fields(h *filters.Headers) [][2]string {
	var fs [][2]string
	for f := range h.All() {
		fs = append(fs, [2]string{f.Name, f.Value})
	}
	return fs
}

// fieldMutations tells what makes after of before, name by name.
func fieldMutations(of string, before, after *filters.Headers) []playMutation {
	names := map[string]bool{}
	for _, h := range []*filters.Headers{before, after} {
		for f := range h.All() {
			names[f.Name] = true
		}
	}
	sorted := make([]string, 0, len(names))
	for n := range names {
		sorted = append(sorted, n)
	}
	sort.Strings(sorted)
	var ms []playMutation
	for _, name := range sorted {
		was, is := before.Values(name), after.Values(name)
		switch {
		case strings.Join(was, "\n") == strings.Join(is, "\n") && len(was) == len(is):
		case len(is) == 0:
			ms = append(ms, playMutation{Of: of, Op: "remove", Name: name})
		case len(is) > len(was) && len(was) > 0 && strings.Join(is[:len(was)], "\n") == strings.Join(was, "\n"):
			for _, v := range is[len(was):] {
				ms = append(ms, playMutation{Of: of, Op: "add", Name: name, Value: v})
			}
		default:
			op := "set"
			for _, v := range is {
				ms = append(ms, playMutation{Of: of, Op: op, Name: name, Value: v})
				op = "add"
			}
		}
	}
	return ms
}

// write prints the exchange as text.
func (p *play) write(w io.Writer) error {
	var b strings.Builder
	b.WriteString("decisions (set " + p.Set + "):\n")
	if len(p.Decisions) == 0 {
		b.WriteString("  none: no policy matches\n")
	}
	for _, d := range p.Decisions {
		b.WriteString("  " + d.String() + "\n")
	}
	if p.Denial != nil {
		fmt.Fprintf(&b, "denied: %d %s (%s)\n", p.Denial.Status, p.Denial.Title, p.Denial.Type)
		if p.Denial.Detail != "" {
			b.WriteString("  " + p.Denial.Detail + "\n")
		}
	}
	for _, part := range []struct {
		name string
		m    *playMessage
	}{{"request", p.Request}, {"response", p.Response}} {
		if part.m == nil {
			continue
		}
		b.WriteString(part.name + " changes:\n")
		if len(part.m.Mutations) == 0 {
			b.WriteString("  none\n")
		}
		for _, m := range part.m.Mutations {
			b.WriteString("  " + m.String() + "\n")
		}
	}
	if p.Request != nil && (p.Denial == nil || p.Response != nil) {
		b.WriteString("\n-- request to the backend --\n" + p.Request.text)
	}
	if p.Response != nil {
		b.WriteString("\n-- response to the client --\n" + p.Response.text)
	}
	text := b.String()
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}

// String is the decision as one line.
func (d playDecision) String() string {
	s := fmt.Sprintf("%s/%s (%s) %s, %s: %s", d.Policy, d.Step, d.Filter, d.Phase, d.Mode, d.Verdict)
	if d.Reason != "" {
		s += " (" + d.Reason + ")"
	}
	if d.OnError != "" {
		s += ", onError " + d.OnError
	}
	if c := counts(d.Findings); c != "" {
		s += "; found " + c
	}
	if c := counts(d.Actions); c != "" {
		s += "; did " + c
	}
	return s + "; " + (time.Duration(d.Micros) * time.Microsecond).String()
}

func counts(m map[string]int) string {
	parts := make([]string, 0, len(m))
	for k, n := range m {
		parts = append(parts, fmt.Sprintf("%s %d", k, n))
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}

// String is the change as one line.
func (m playMutation) String() string {
	if m.Of == "body" {
		return fmt.Sprintf("body: %d bytes become %d", *m.Before, *m.After)
	}
	if m.Op == "remove" {
		return fmt.Sprintf("%s %s: removed", m.Of, m.Name)
	}
	return fmt.Sprintf("%s %s: %s %s", m.Of, m.Name, m.Op, m.Value)
}
