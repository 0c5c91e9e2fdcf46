// Package pii is the filter that finds personal data and secrets and masks,
// redacts, replaces, hashes or removes them, or denies the exchange.
package pii

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/detect"
)

//go:embed example.yaml
var example string

// Action is what becomes of a finding.
type Action string

// The actions.
const (
	Allow   Action = "allow"
	Mask    Action = "mask"
	Redact  Action = "redact"
	Replace Action = "replace"
	Hash    Action = "hash"
	Remove  Action = "remove"
	Deny    Action = "deny"
)

var actions = []Action{Allow, Mask, Redact, Replace, Hash, Remove, Deny}

// Config is the filter's configuration.
type Config struct {
	// Paths limit the filter to a part of a JSON body.
	Paths []string `json:"paths,omitempty" doc:"JSONPaths (RFC 9535) of what is looked at in a JSON body; an object or array stands for all that is in it. The whole body where it is left out."`
	// Entities to find.
	Entities []string `json:"entities,omitempty" doc:"Entities to find; all where it is left out. See sluice filters pii."`
	// MinScore is the lowest score of a finding.
	MinScore float64 `json:"minScore,omitempty" jsonschema:"minimum=0,maximum=1" doc:"Lowest score that a finding must have, 0 to 1."`
	// Recognisers of the policy's own.
	Recognisers []Recogniser `json:"recognisers,omitempty" doc:"Recognisers of the policy's own, beside those of the entities; what they find is looked for whatever entities names."`

	Treatment
	// Rules give some entities, or some consumers, another treatment.
	Rules []Rule `json:"rules,omitempty" doc:"Other treatments for some entities or consumers; the first rule that matches counts."`

	// Deny is the response of action deny.
	Deny Denial `json:"deny,omitempty" doc:"The response of action deny."`
	// Key is the key of action hash.
	Key filters.SecretRef `json:"hashKey,omitempty" doc:"Where the key of action hash is: env or file. Equal values have equal hashes under one key."`

	// Headers that are looked at too.
	Headers []string `json:"headers,omitempty" doc:"Headers that are looked at too; * is all but those that carry credentials (authorization, cookie, set-cookie), which have to be named."`
	// Query parameters that are looked at too.
	Query []string `json:"query,omitempty" doc:"Query parameters that are looked at too, in requests; * is all."`
	// Trailers are looked at too.
	Trailers bool `json:"trailers,omitempty" doc:"Look at trailers too."`
	// SkipBody leaves the body alone.
	SkipBody bool `json:"skipBody,omitempty" doc:"Do not look at the body."`
	// SkipNames leaves the names of members alone.
	SkipNames bool `json:"skipNames,omitempty" doc:"Do not look at the names of members in JSON."`
	// Unparsed is for bodies that are not JSON or text.
	Unparsed filters.Unparsed `json:"onUnparsed,omitempty" jsonschema:"enum=scanAsText,enum=deny,enum=pass" doc:"A body of another type, or from where on it does not parse: look at it as text, treat it as a failure of the step, or let it pass."`
	// Values that are never touched.
	AllowValues []string `json:"allowValues,omitempty" doc:"Values that are never touched, e.g. the address of the support desk."`
	// Names are how people, places and organisations are found.
	Names Names `json:"names,omitempty" doc:"How people, places, organisations and groups are found."`
	// PhoneRegions for telephone numbers without a country code.
	PhoneRegions []string `json:"phoneRegions,omitempty" doc:"Regions (ISO 3166-1) whose number plans are tried for telephone numbers without a country code."`
}

// Names are how people, places and organisations are found.
type Names struct {
	// Bias is for or against names.
	Bias float64 `json:"bias,omitempty" jsonschema:"minimum=-1,maximum=1" doc:"For (up to 1) or against (down to -1) names: at 1 those are found too that are doubtful, at -1 only those that are beyond doubt. Default 0."`
}

// Treatment is an action with its parameters.
type Treatment struct {
	Action Action `json:"action,omitempty" jsonschema:"enum=allow,enum=mask,enum=redact,enum=replace,enum=hash,enum=remove,enum=deny" doc:"What becomes of a finding."`
	// KeepLast is for mask.
	KeepLast int `json:"keepLast,omitempty" jsonschema:"minimum=0" doc:"For mask: so many letters and digits at the end stay, but never more than half."`
	// KeepDomain is for mask.
	KeepDomain bool `json:"keepDomain,omitempty" doc:"For mask: the domain of an e-mail address stays."`
	// MaskWith is for mask.
	MaskWith string `json:"maskWith,omitempty" doc:"For mask: the character that is written; default *."`
	// Template is for replace.
	Template string `json:"template,omitempty" doc:"For replace: the text that is written; {entity} stands for the entity. Default <{entity}>."`
	// HashLength is for hash.
	HashLength int `json:"hashLength,omitempty" jsonschema:"minimum=8,maximum=64" doc:"For hash: hexadecimal digits that are written; default 32."`
}

// Rule is a treatment for some entities or consumers.
type Rule struct {
	Entities  []string `json:"entities,omitempty" doc:"The rule is for these entities; for all where it is left out."`
	Groups    []string `json:"groups,omitempty" doc:"The rule is for consumers in one of these groups."`
	NotGroups []string `json:"notGroups,omitempty" doc:"The rule is for consumers in none of these groups."`
	MinScore  float64  `json:"minScore,omitempty" jsonschema:"minimum=0,maximum=1" doc:"Lowest score that a finding must have for the rule."`
	Treatment
}

// Denial is the response of action deny.
type Denial struct {
	Status int    `json:"status,omitempty" jsonschema:"minimum=400,maximum=599" doc:"HTTP status."`
	Title  string `json:"title,omitempty" doc:"Title of the problem document."`
}

// Validate checks the configuration.
func (c *Config) Validate() error {
	var all []string
	for _, i := range detect.Entities() {
		all = append(all, string(i.Entity))
	}
	for i := range c.Recognisers {
		r := &c.Recognisers[i]
		if err := r.validate(fmt.Sprintf("recognisers[%d]", i)); err != nil {
			return err
		}
		all = append(all, r.Entity)
	}
	entities := func(path string, names []string) error {
		for i, n := range names {
			if !slices.Contains(all, n) {
				return &filters.FieldError{Path: fmt.Sprintf("%s[%d]", path, i), Msg: fmt.Sprintf("there is no entity %q", n), Hint: "known: " + strings.Join(all, ", ")}
			}
		}
		return nil
	}
	if err := entities("entities", c.Entities); err != nil {
		return err
	}
	if err := c.Treatment.validate(""); err != nil {
		return err
	}
	for i := range c.Rules {
		r := &c.Rules[i]
		path := fmt.Sprintf("rules[%d]", i)
		if err := entities(path+".entities", r.Entities); err != nil {
			return err
		}
		if r.Action == "" {
			return &filters.FieldError{Path: path + ".action", Msg: "is missing"}
		}
		if err := r.Treatment.validate(path + "."); err != nil {
			return err
		}
	}
	switch {
	case c.MinScore < 0 || c.MinScore > 1:
		return &filters.FieldError{Path: "minScore", Msg: "is not between 0 and 1"}
	case c.uses(Hash) && c.Key.IsZero():
		return &filters.FieldError{Path: "hashKey", Msg: "action hash needs a key", Hint: "hashKey: {env: NAME} or {file: PATH}"}
	case c.Names.Bias < -1 || c.Names.Bias > 1:
		return &filters.FieldError{Path: "names.bias", Msg: "is not between -1 and 1"}
	case c.Deny.Status < 400 || c.Deny.Status > 599 || c.Deny.Status >= 502 && c.Deny.Status <= 504:
		return &filters.FieldError{Path: "deny.status", Msg: fmt.Sprintf("status %d is not one to deny with", c.Deny.Status), Hint: "400 to 599, but not 502 to 504, which data planes retry"}
	case !slices.Contains([]filters.Unparsed{filters.ScanAsText, filters.DenyUnparsed, filters.PassUnparsed}, c.Unparsed):
		return &filters.FieldError{Path: "onUnparsed", Msg: fmt.Sprintf("%q is not one of scanAsText, deny, pass", c.Unparsed)}
	case c.SkipBody && len(c.Headers)+len(c.Query) == 0 && !c.Trailers:
		return &filters.FieldError{Path: "skipBody", Msg: "there is nothing left to look at", Hint: "name headers or query"}
	}
	return nil
}

func (t *Treatment) validate(path string) error {
	switch {
	case t.Action != "" && !slices.Contains(actions, t.Action):
		return &filters.FieldError{Path: path + "action", Msg: fmt.Sprintf("%q is not one of allow, mask, redact, replace, hash, remove, deny", t.Action)}
	case t.KeepLast < 0:
		return &filters.FieldError{Path: path + "keepLast", Msg: "is negative"}
	case t.HashLength != 0 && (t.HashLength < 8 || t.HashLength > 64):
		return &filters.FieldError{Path: path + "hashLength", Msg: "is not between 8 and 64"}
	case len([]rune(t.MaskWith)) > 1:
		return &filters.FieldError{Path: path + "maskWith", Msg: "is more than one character"}
	}
	return nil
}

// uses reports whether any treatment has the action.
func (c *Config) uses(a Action) bool {
	return c.Action == a || slices.ContainsFunc(c.Rules, func(r Rule) bool { return r.Action == a })
}

// Definition describes the filter.
func Definition() filters.Definition {
	return filters.Define(filters.Spec[Config]{
		Kind:    "pii",
		Summary: "Finds personal data and secrets and masks, redacts, replaces, hashes or removes them, or denies the exchange.",
		Doc:     doc(),
		Default: Config{
			Treatment: Treatment{Action: Mask},
			Unparsed:  filters.ScanAsText,
			Deny:      Denial{Status: 422, Title: "The message holds data that is not allowed here"},
		},
		OnError: filters.Deny,
		Example: example,
		New:     build,
	})
}

func doc() string {
	var b strings.Builder
	b.WriteString(`Strings, numbers and the names of members are looked at, and text that is not
JSON as it is. What is around a value raises or lowers its score: the words
before it, and the name of the field it is in.

| action | what is written |
| --- | --- |
| ` + "`mask`" + ` | a * for each letter and digit; length and punctuation stay |
| ` + "`redact`" + ` | ` + "`[REDACTED]`" + ` |
| ` + "`replace`" + ` | the template, ` + "`<EMAIL_ADDRESS>`" + ` by default |
| ` + "`hash`" + ` | HMAC-SHA-256 of entity and value under ` + "`hashKey`" + `, in hexadecimal |
| ` + "`remove`" + ` | nothing: the member, element, header or parameter goes away; in text, the finding |
| ` + "`deny`" + ` | the exchange ends with a problem response before anything is forwarded; the whole body is collected for it |
| ` + "`allow`" + ` | the value as it was |

A JSON number that is edited becomes a string. A value that is longer than
` + "`limits.pieceBytes`" + ` is looked at in pieces; findings do not depend on where it
is cut, but ` + "`remove`" + ` then only cuts the finding out.

| entity | what | what has to hold | longest |
| --- | --- | --- | --- |
`)
	for _, i := range detect.Entities() {
		fmt.Fprintf(&b, "| %s | %s | %s | %d |\n", i.Entity, i.Description, i.Validation, i.MaxBytes)
	}
	b.WriteString(`
The decision counts findings by entity and actions by kind. It never holds a
value.`)
	return b.String()
}
