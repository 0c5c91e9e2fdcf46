// Package route is the filter that decides where a request goes: by
// conditions, by a label that a model gives it, and by experiments whose
// variants stick to the consumer.
package route

import (
	_ "embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/prompt"
)

//go:embed example.yaml
var example string

// Config is the filter's configuration.
type Config struct {
	// Ask gives the request a label.
	Ask *Ask `json:"ask,omitempty" doc:"Ask a model for a label, that rules can go by."`
	// Rules are tried in order.
	Rules []Rule `json:"rules,omitempty" doc:"Rules, of which the first that holds is followed."`
	// Otherwise is followed where no rule holds.
	Otherwise *Target `json:"otherwise,omitempty" doc:"Where the request goes when no rule holds; without it, it goes where it would have gone."`
	// Experiment salts the assignments.
	Experiment string `json:"experiment,omitempty" doc:"Name of the experiment: it is in the decisions, and another name deals the consumers out anew. Default: the rule's name."`
	// By is what sticks to a variant.
	By string `json:"by,omitempty" jsonschema:"enum=consumer,enum=tenant,enum=request" doc:"What keeps its variant: the consumer (the request where the caller is anonymous), the tenant (likewise), or nothing but the request."`
	// KeepRoute leaves the data plane's choice of a route as it is.
	KeepRoute bool `json:"keepRoute,omitempty" doc:"Do not ask the data plane to choose the route again. By default it is asked where a header or the path changes."`
}

// Ask is a question for a label.
type Ask struct {
	Provider string        `json:"provider" doc:"Name of the provider that is asked."`
	Prompt   prompt.Config `json:"prompt" doc:"The question, see infer."`
	Labels   []string      `json:"labels" doc:"The labels, of which the model gives one."`
	Builtin  string        `json:"x-builtin,omitempty" jsonschema:"enum=intent,enum=risk,enum=complexity,enum=mentioned" doc:"Model of a builtin provider that gives the label, see infer."`
	Default  string        `json:"default,omitempty" doc:"Label where neither the provider nor its fallbacks have one. Without it the step fails, and its onError is followed."`
}

// Rule is a condition and where it leads.
type Rule struct {
	Name string `json:"name" doc:"Name of the rule, for decisions and steps.<name>.rule."`
	When string `json:"when,omitempty" doc:"CEL condition. One that reads the body makes the step wait for the whole of it."`
	// Label must be the one that was asked for.
	Label string `json:"label,omitempty" doc:"The label must be this one."`
	Target
}

// Target is where a request goes: straight, or split among variants.
type Target struct {
	Action
	// Split deals requests out.
	Split []Variant `json:"split,omitempty" doc:"Variants among which requests are dealt out, by weight."`
}

// Variant is one arm of an experiment.
type Variant struct {
	Name   string `json:"name" doc:"Name of the variant, for decisions and steps.<name>.variant."`
	Weight int    `json:"weight" jsonschema:"minimum=0" doc:"Its share, relative to the others'."`
	Action
}

// Action is what is changed.
type Action struct {
	Headers  map[string]string         `json:"headers,omitempty" doc:"Request headers to set, for the data plane's routes to match on."`
	Path     string                    `json:"path,omitempty" doc:"Path to set, without the query, which stays."`
	Metadata map[string]map[string]any `json:"metadata,omitempty" doc:"Dynamic metadata to set, by namespace."`
}

func (a *Action) empty() bool { return len(a.Headers)+len(a.Metadata) == 0 && a.Path == "" }

var headerForm = regexp.MustCompile("^[a-z0-9!#$%&'*+.^_`|~-]+$")

// Validate checks the configuration.
func (c *Config) Validate() error {
	var errs filters.FieldErrors
	if len(c.Rules) == 0 && c.Otherwise == nil {
		errs.Add("", "there is nowhere to go", "give rules, or otherwise")
	}
	if !slices.Contains([]string{"consumer", "tenant", "request"}, c.By) {
		errs.Add("by", fmt.Sprintf("%q is not one of consumer, tenant, request", c.By), "")
	}
	var labels []string
	if c.Ask != nil {
		labels = c.Ask.Labels
		if len(labels) < 2 {
			errs.Add("ask.labels", "there is nothing to choose from", "")
		}
		if c.Ask.Prompt.Text == "" {
			errs.Add("ask.prompt.text", "is missing", "")
		}
		if c.Ask.Default != "" && !slices.Contains(labels, c.Ask.Default) {
			errs.Add("ask.default", fmt.Sprintf("%q is not one of the labels", c.Ask.Default), "")
		}
	}
	names := map[string]bool{}
	for i := range c.Rules {
		r := &c.Rules[i]
		path := fmt.Sprintf("rules[%d]", i)
		if names[r.Name] {
			errs.Add(path+".name", fmt.Sprintf("there is a rule %q already", r.Name), "")
		}
		if r.Label != "" && !slices.Contains(labels, r.Label) {
			errs.Add(path+".label", fmt.Sprintf("%q is not one of the labels that are asked for", r.Label), "")
		}
		names[r.Name] = true
		r.Target.check(path, &errs)
	}
	if c.Otherwise != nil {
		c.Otherwise.check("otherwise", &errs)
	}
	return errs.Err()
}

func (t *Target) check(path string, errs *filters.FieldErrors) {
	if len(t.Split) == 0 {
		t.Action.check(path, errs)
		return
	}
	if !t.Action.empty() {
		errs.Add(path, "a split has its headers, path and metadata in its variants", "")
	}
	sum := 0
	names := map[string]bool{}
	for i := range t.Split {
		v := &t.Split[i]
		at := fmt.Sprintf("%s.split[%d]", path, i)
		if names[v.Name] {
			errs.Add(at+".name", fmt.Sprintf("there is a variant %q already", v.Name), "")
		}
		names[v.Name] = true
		if v.Weight < 0 || v.Weight > 1_000_000 {
			errs.Add(at+".weight", "is not between 0 and 1000000", "")
		}
		sum += max(v.Weight, 0)
		v.Action.check(at, errs)
	}
	if sum == 0 {
		errs.Add(path+".split", "no variant has a weight", "")
	}
}

func (a *Action) check(path string, errs *filters.FieldErrors) {
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		n := strings.ToLower(name)
		switch {
		case !headerForm.MatchString(n) || n == "host" || strings.HasPrefix(n, "x-envoy-"):
			errs.Add(path+".headers", fmt.Sprintf("%q cannot be set", name), "")
		case strings.ContainsFunc(a.Headers[name], func(r rune) bool { return r < ' ' || r == 0x7f }):
			errs.Add(path+".headers."+name, "has a control character", "")
		}
	}
	if a.Path != "" && (!strings.HasPrefix(a.Path, "/") || strings.ContainsAny(a.Path, "?# \r\n\t")) {
		errs.Add(path+".path", fmt.Sprintf("%q is no path", a.Path), "it begins with a slash and has no query")
	}
}
