package route

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/prompt"
	"github.com/sluice-proxy/sluice/internal/expr"
)

// Definition describes the filter.
func Definition() filters.Definition {
	return filters.Define(filters.Spec[Config]{
		Kind:       "route",
		Summary:    "Chooses where a request goes: by conditions, by a label from a model, and by experiments that stick to the consumer.",
		Doc:        doc,
		Directions: []filters.Direction{filters.Request},
		Default:    Config{By: "consumer"},
		OnError:    filters.Continue,
		Example:    example,
		New:        build,
	})
}

const doc = `The first rule that holds is followed: it sets headers, the path or dynamic
metadata, and the data plane is asked to choose its route again, so that its
routes can match on what was set. A client's own values of the headers that any
rule sets are removed first.

The label comes from a model that may give one of ` + "`ask.labels`" + ` and nothing else;
rules go by it with ` + "`label`" + `. A condition can go by what earlier steps found, as
` + "`steps.<name>`" + `. Neither is needed for an experiment.

A split deals requests out by weight. The variant depends on the experiment's
name and the consumer alone: it is the same in every replica and after every
restart, and growing one variant's weight from the end of the list only moves
those that it gains.

The result is ` + "`steps.<name>`" + `: rule, variant, experiment and label. The decision has the
same in its details, so that an experiment can be read from the audit log.

A rule that reads the body makes Sluice wait for it, and the headers with it:
that takes the mode BUFFERED or FULL_DUPLEX_STREAMED. The data plane's route is
chosen again only for changes that come with the headers.`

type filter struct {
	cfg       Config
	asker     *prompt.Asker // nil: no label
	whens     []*expr.Program
	programs  []*expr.Program
	owns      map[string]bool // headers that rules set
	otherwise *Target
}

func build(c Config, env filters.Env) (filters.Filter, error) {
	f := &filter{cfg: c, whens: make([]*expr.Program, len(c.Rules)), owns: map[string]bool{}, otherwise: c.Otherwise}
	for i := range c.Rules {
		r := &c.Rules[i]
		f.own(&r.Target)
		if r.When == "" {
			continue
		}
		p, err := expr.Condition(r.When)
		if err == nil && p.NeedsResponse() {
			err = errors.New("a request goes out before there is a response")
		}
		if err != nil {
			return nil, &filters.FieldError{Path: fmt.Sprintf("rules[%d].when", i), Msg: err.Error()}
		}
		f.whens[i] = p
		f.programs = append(f.programs, p)
	}
	if c.Otherwise != nil {
		f.own(c.Otherwise)
	}
	if c.Ask == nil {
		return f, nil
	}
	label := map[string]any{"type": "string", "enum": c.Ask.Labels}
	if c.Ask.Builtin != "" {
		label["x-builtin"] = c.Ask.Builtin
	}
	var def []byte
	if c.Ask.Default != "" {
		label["default"] = c.Ask.Default
		def, _ = json.Marshal(map[string]any{"label": c.Ask.Default}) // a text
	}
	schema, err := json.Marshal(map[string]any{"type": "object", "required": []string{"label"}, "additionalProperties": false, "properties": map[string]any{"label": label}})
	if err != nil {
		return nil, &filters.FieldError{Path: "ask.labels", Msg: err.Error()}
	}
	if f.asker, err = prompt.Prepare(c.Ask.Prompt, c.Ask.Provider, schema, def, env); err != nil {
		var fe *filters.FieldError
		if errors.As(err, &fe) {
			return nil, &filters.FieldError{Path: "ask." + fe.Path, Msg: fe.Msg, Hint: fe.Hint}
		}
		return nil, &filters.FieldError{Path: "ask.labels", Msg: err.Error()}
	}
	return f, nil
}

// own takes note of the headers that a target sets.
func (f *filter) own(t *Target) {
	note := func(a *Action) {
		for name := range a.Headers {
			if n := strings.ToLower(name); !f.owns[n] {
				f.owns[n] = true
			}
		}
	}
	note(&t.Action)
	for i := range t.Split {
		note(&t.Split[i].Action)
	}
}

// Strips implements filters.Stripper: a client does not choose its route.
func (f *filter) Strips(_ filters.Direction, name string) bool { return f.owns[name] }

// Needs implements filters.Filter.
func (f *filter) Needs(d filters.Direction) filters.Needs {
	n := expr.Needs(d, f.programs...)
	n.Immediate = f.asker == nil
	if f.asker == nil {
		return n
	}
	a := f.asker.Needs(d)
	n.Body = max(n.Body, a.Body)
	for _, s := range a.Steps {
		if !slices.Contains(n.Steps, s) {
			n.Steps = append(n.Steps, s)
		}
	}
	return n
}

// Supports implements filters.Directed.
func (f *filter) Supports(d filters.Direction) error {
	if f.asker == nil {
		return nil
	}
	return f.asker.Supports(d)
}

// Apply implements filters.Filter.
func (f *filter) Apply(ctx context.Context, ex *filters.Exchange, led *filters.Ledger) (filters.Decision, error) {
	details := map[string]any{}
	label := ""
	if f.asker != nil {
		ans, err := f.asker.Ask(ctx, ex)
		if err != nil {
			return filters.Decision{}, err
		}
		m, _ := ans.Value.(map[string]any)
		label, _ = m["label"].(string)
		maps.Copy(details, ans.Details())
		details["label"] = label
	}
	name, target, err := f.choose(ex, label)
	if err != nil {
		return filters.Decision{}, err
	}
	result := map[string]any{"rule": name, "label": label, "variant": "", "experiment": ""}
	led.Result = result
	details["rule"] = name
	if target == nil {
		return filters.Decision{Reason: "no rule", Details: details}, nil
	}
	action := &target.Action
	if len(target.Split) > 0 {
		experiment := f.cfg.Experiment
		if experiment == "" {
			experiment = name
		}
		v := deal(target.Split, experiment, f.key(ex))
		action = &v.Action
		details["variant"], details["experiment"] = v.Name, experiment
		result["variant"], result["experiment"] = v.Name, experiment
	}
	n := f.act(ex, action, led)
	if n == 0 && len(led.Metadata) == 0 {
		return filters.Decision{Reason: "routed", Details: details}, nil
	}
	return filters.Decision{Verdict: filters.Changed, Reason: "routed", Actions: filters.Counts{{Name: "route", N: 1}}, Details: details}, nil
}

// choose returns the rule that is followed; nil where none is.
func (f *filter) choose(ex *filters.Exchange, label string) (string, *Target, error) {
	for i := range f.cfg.Rules {
		r := &f.cfg.Rules[i]
		if r.Label != "" && r.Label != label {
			continue
		}
		if p := f.whens[i]; p != nil {
			ok, err := p.Holds(ex)
			if err != nil {
				return "", nil, &filters.Failure{Reason: "expression", Err: err}
			}
			if !ok {
				continue
			}
		}
		return r.Name, &r.Target, nil
	}
	if f.otherwise != nil {
		return "otherwise", f.otherwise, nil
	}
	return "", nil, nil
}

// act writes what is to be changed to the ledger, and returns how many
// headers that is.
func (f *filter) act(ex *filters.Exchange, a *Action, led *filters.Ledger) int {
	n := 0
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		led.SetHeader(name, a.Headers[name])
		n++
	}
	if a.Path != "" {
		path := ex.Request.Headers.Get(":path")
		to := a.Path
		if _, query, has := strings.Cut(path, "?"); has {
			to += "?" + query
		}
		if to != path {
			led.SetHeader(":path", to)
			n++
		}
	}
	for ns, kv := range a.Metadata {
		for k, v := range kv {
			led.SetMetadata(ns, k, v)
		}
	}
	led.ClearRouteCache = n > 0 && !f.cfg.KeepRoute
	return n
}

// key is what keeps its variant.
func (f *filter) key(ex *filters.Exchange) string {
	c := &ex.Consumer
	switch {
	case f.cfg.By == "tenant" && c.Tenant != "":
		return c.Tenant
	case f.cfg.By == "consumer" && c.ID != "":
		return c.ID
	case f.cfg.By == "consumer" && c.Username != "":
		return c.Username
	}
	return ex.ID
}

// deal returns the variant of a key. The key's place between 0 and 1 depends
// on the experiment and the key alone, and each variant has a stretch of that
// as long as its weight.
func deal(vs []Variant, experiment, key string) *Variant {
	sum := 0
	for i := range vs {
		sum += vs[i].Weight
	}
	const steps = 1 << 53
	at := float64(hash(experiment, key)>>11) / steps * float64(sum)
	for i := range vs {
		if at -= float64(vs[i].Weight); at < 0 {
			return &vs[i]
		}
	}
	return &vs[len(vs)-1]
}

// hash is FNV-1a with a 64-bit mix at its end: FNV's low bits are weak on
// short keys.
func hash(texts ...string) uint64 {
	h := uint64(14695981039346656037)
	for _, s := range texts {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
