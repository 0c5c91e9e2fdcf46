// Package pii is the filter that finds personal data and secrets and masks,
// hashes, encrypts or removes them, replaces them by tokens or made-up values,
// or denies the exchange. The same filter puts back what tokens stand for.
package pii

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

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
	// Those that can be undone, and the one that looks as if nothing was done.
	Tokenize   Action = "tokenize"
	Encrypt    Action = "encrypt"
	Synthesize Action = "synthesize"
)

var actions = []Action{Allow, Mask, Redact, Replace, Hash, Tokenize, Encrypt, Synthesize, Remove, Deny}

// defaultScore is the lowest score of a finding where nothing is said.
const defaultScore = 0.5

// Config is the filter's configuration.
type Config struct {
	// Paths limit the filter to a part of the body.
	Paths []string `json:"paths,omitempty" doc:"JSONPaths (RFC 9535) of what is looked at in the body; an object or array stands for all that is in it. docs/bodies.md tells what the paths of forms, multipart bodies and XML are. The whole body where it is left out."`
	// Join are strings that a stream of events spreads over many of them.
	Join []string `json:"join,omitempty" doc:"JSONPaths of strings that a stream of Server-Sent Events spreads over many events, each of which is looked at as one value: $.candidates[*].content.parts[*].text. Those of OpenAI's and Anthropic's streams are known."`
	// Entities to find.
	Entities []string `json:"entities,omitempty" doc:"Entities to find; all where it is left out. See sluice filters pii."`
	// MinScore is the lowest score of a finding.
	MinScore float64 `json:"minScore,omitempty" jsonschema:"minimum=0,maximum=1" doc:"Lowest score that a finding must have, 0 to 1; default 0.5."`
	// Scores are thresholds of single entities.
	Scores map[string]float64 `json:"scores,omitempty" doc:"Lowest scores for single entities, in place of minScore: {PERSON: 0.6}."`
	// Recognisers of the policy's own.
	Recognisers []Recogniser `json:"recognisers,omitempty" doc:"Recognisers of the policy's own, beside those of the entities; what they find is looked for whatever entities names."`

	Treatment
	// Rules give some entities, or some consumers, another treatment.
	Rules []Rule `json:"rules,omitempty" doc:"Other treatments for some entities or consumers; the first rule that matches counts."`

	// Deny is the response of action deny.
	Deny Denial `json:"deny,omitempty" doc:"The response of action deny."`
	// Key is what hashes, tokens, ciphertexts and made-up values are made with.
	Key filters.SecretRef `json:"key,omitempty" doc:"Where the key of hash, tokenize, encrypt, synthesize and restore is, of at least 16 bytes: env or file. Equal values of one tenant come out equal under one key."`
	// Tenant is whose values never come out equal to another's.
	Tenant Tenant `json:"tenant,omitempty" jsonschema:"enum=consumer,enum=route,enum=none" doc:"Whose data is kept apart: equal values of two tenants never come out equal, and one's tokens mean nothing to another. The consumer (all callers without an identity are one), the data plane's route, or nobody's."`
	// TenantClaim is for tenants of several consumers.
	TenantClaim string `json:"tenantClaim,omitempty" doc:"Claim of the caller's verified JWT that names the tenant, in place of tenant. The step fails where a caller has none."`
	// Tokens are for action tokenize.
	Tokens Tokens `json:"tokens,omitempty" doc:"The tokens of action tokenize."`
	// Detectors outside of this process.
	Detectors []Detector `json:"detectors,omitempty" doc:"Detectors outside of this process that are asked too, about texts of the body. The whole body is collected for it."`
	// Restore turns the step around.
	Restore bool `json:"restore,omitempty" doc:"Put back what tokens and ciphertexts of the same tenant stand for, and look for nothing else. With the key, tenant and tokens of the step that wrote them."`

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
	// Decode is what values are looked into.
	Decode []Coding `json:"decode,omitempty" jsonschema:"enum=unicode,enum=json,enum=base64,enum=url,enum=html" doc:"What is seen through: look-alikes and invisible characters of Unicode, JSON documents in strings and their \\u escapes in text, values that are base64 as a whole, percent escapes, HTML entities. An empty list turns it off."`
	// Unparsed is for bodies that are not JSON or text.
	Unparsed filters.Unparsed `json:"onUnparsed,omitempty" jsonschema:"enum=scanAsText,enum=deny,enum=pass" doc:"A body of another type, or from where on it does not parse: look at it as text, treat it as a failure of the step, or let it pass. A content coding that cannot be undone is a failure but for pass."`
	// Files of a multipart body.
	Files filters.Files `json:"files,omitempty" jsonschema:"enum=scan,enum=scanAll,enum=pass" doc:"Files in a multipart body: look at those of text-like types (text, JSON, XML and the like), at all of them (the others as onUnparsed says), or at none."`
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
	Action Action `json:"action,omitempty" jsonschema:"enum=allow,enum=mask,enum=redact,enum=replace,enum=hash,enum=tokenize,enum=encrypt,enum=synthesize,enum=remove,enum=deny" doc:"What becomes of a finding."`
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
	// Random is for encrypt.
	Random bool `json:"random,omitempty" doc:"For encrypt: equal values come out different each time."`
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

// Validate checks the configuration, and tells all that is wrong with it.
func (c *Config) Validate() error {
	var errs filters.FieldErrors
	known := c.validateFinders(&errs)
	hint := "known: " + strings.Join(known, ", ")
	entity := func(path, name string) {
		if !slices.Contains(known, name) {
			errs.Add(path, fmt.Sprintf("there is no entity %q", name), hint)
			hint = "" // once is enough
		}
	}
	share := func(path string, x float64) {
		if x < 0 || x > 1 {
			errs.Add(path, "is not between 0 and 1", "")
		}
	}
	for i, n := range c.Entities {
		entity(fmt.Sprintf("entities[%d]", i), n)
	}
	share("minScore", c.MinScore)
	for _, e := range slices.Sorted(maps.Keys(c.Scores)) {
		entity("scores."+e, e)
		share("scores."+e, c.Scores[e])
	}
	c.Treatment.validate("", &errs)
	for i := range c.Rules {
		r := &c.Rules[i]
		path := fmt.Sprintf("rules[%d].", i)
		for k, n := range r.Entities {
			entity(fmt.Sprintf("%sentities[%d]", path, k), n)
		}
		share(path+"minScore", r.MinScore)
		if r.Action == "" {
			errs.Add(path+"action", "is missing", "")
		}
		r.Treatment.validate(path, &errs)
	}
	c.validateKeys(&errs)
	c.validateBody(&errs)
	if c.Restore && (c.Action != Mask || len(c.Rules)+len(c.Entities)+len(c.Scores)+len(c.AllowValues)+len(c.Detectors) > 0 || c.MinScore > 0) {
		errs.Add("restore", "a step that puts values back looks for nothing else", "leave out action, rules, entities, minScore, scores, allowValues and detectors")
	}
	if c.Names.Bias < -1 || c.Names.Bias > 1 {
		errs.Add("names.bias", "is not between -1 and 1", "")
	}
	if err := filters.CheckStatus(c.Deny.Status); err != nil {
		errs.Add("deny.status", err.Error(), "422 is usual")
	}
	return errs.Err()
}

// validateFinders checks what finds entities and returns all that there are.
func (c *Config) validateFinders(errs *filters.FieldErrors) (known []string) {
	for _, i := range detect.Entities() {
		known = append(known, string(i.Entity))
	}
	for i := range c.Detectors {
		d := &c.Detectors[i]
		d.validate(fmt.Sprintf("detectors[%d]", i), errs)
		known = append(known, d.entities()...)
	}
	for i := range c.Recognisers {
		r := &c.Recognisers[i]
		r.validate(fmt.Sprintf("recognisers[%d]", i), errs)
		known = append(known, r.Entity)
	}
	return known
}

// validateKeys checks the key, and whose it is.
func (c *Config) validateKeys(errs *filters.FieldErrors) {
	if c.Key.IsZero() && (c.Restore || c.uses(Hash, Tokenize, Encrypt, Synthesize)) {
		errs.Add("key", "is missing: hash, tokenize, encrypt, synthesize and restore need one", "key: {env: NAME} or {file: PATH}")
	}
	if !slices.Contains([]Tenant{ByConsumer, ByRoute, ByNobody}, c.Tenant) {
		errs.Add("tenant", fmt.Sprintf("%q is not one of consumer, route, none", c.Tenant), "")
	}
	if c.Tokens.Style != Numbered && c.Tokens.Style != Opaque {
		errs.Add("tokens.style", fmt.Sprintf("%q is not one of numbered, opaque", c.Tokens.Style), "")
	}
	if c.Tokens.TTL <= 0 {
		errs.Add("tokens.ttl", "is not a time to live", "")
	}
}

// validateBody checks how bodies are read.
func (c *Config) validateBody(errs *filters.FieldErrors) {
	for i, d := range c.Decode {
		if !slices.Contains(allCodings, d) {
			errs.Add(fmt.Sprintf("decode[%d]", i), fmt.Sprintf("%q is not one of unicode, json, base64, url, html", d), "")
		}
	}
	if !slices.Contains([]filters.Unparsed{filters.ScanAsText, filters.DenyUnparsed, filters.PassUnparsed}, c.Unparsed) {
		errs.Add("onUnparsed", fmt.Sprintf("%q is not one of scanAsText, deny, pass", c.Unparsed), "")
	}
	if !slices.Contains([]filters.Files{filters.ScanFiles, filters.ScanAllFiles, filters.PassFiles}, c.Files) {
		errs.Add("files", fmt.Sprintf("%q is not one of scan, scanAll, pass", c.Files), "")
	}
	if c.SkipBody && len(c.Headers)+len(c.Query) == 0 && !c.Trailers {
		errs.Add("skipBody", "there is nothing left to look at", "name headers or query")
	}
}

func (t *Treatment) validate(path string, errs *filters.FieldErrors) {
	if t.Action != "" && !slices.Contains(actions, t.Action) {
		errs.Add(path+"action", fmt.Sprintf("%q is not one of %s", t.Action, strings.ReplaceAll(strings.Trim(fmt.Sprint(actions), "[]"), " ", ", ")), "")
	}
	if t.KeepLast < 0 {
		errs.Add(path+"keepLast", "is negative", "")
	}
	if t.HashLength != 0 && (t.HashLength < 8 || t.HashLength > 64) {
		errs.Add(path+"hashLength", "is not between 8 and 64", "")
	}
	if len([]rune(t.MaskWith)) > 1 {
		errs.Add(path+"maskWith", "is more than one character", "")
	}
}

// uses reports whether any treatment has one of the actions.
func (c *Config) uses(as ...Action) bool {
	return slices.Contains(as, c.Action) || slices.ContainsFunc(c.Rules, func(r Rule) bool { return slices.Contains(as, r.Action) })
}

// Definition describes the filter.
func Definition() filters.Definition {
	return filters.Define(filters.Spec[Config]{
		Kind:    "pii",
		Summary: "Finds personal data and secrets and masks, hashes, encrypts or removes them, replaces them by tokens or made-up values, or denies the exchange; puts back what tokens stand for.",
		Doc:     doc(),
		Default: Config{
			Treatment: Treatment{Action: Mask},
			Unparsed:  filters.ScanAsText,
			Files:     filters.ScanFiles,
			Decode:    allCodings,
			Tenant:    ByConsumer,
			Tokens:    Tokens{Style: Numbered, TTL: time.Hour},
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
| ` + "`hash`" + ` | HMAC-SHA-256 of entity and value under ` + "`key`" + ` and the tenant, in hexadecimal |
| ` + "`tokenize`" + ` | ` + "`<EMAIL_ADDRESS_1>`" + `, or ` + "`tok_…`" + `; the value goes into the store, encrypted, and ` + "`restore`" + ` puts it back |
| ` + "`encrypt`" + ` | ` + "`enc_…`" + `: AES-256-GCM in base64url, which ` + "`restore`" + ` decrypts |
| ` + "`synthesize`" + ` | a made-up value of the same kind and form: the same for equal values, never the value itself |
| ` + "`remove`" + ` | nothing: the member, element, header or parameter goes away; in text, the finding |
| ` + "`deny`" + ` | the exchange ends with a problem response before anything is forwarded; the whole body is collected for it |
| ` + "`allow`" + ` | the value as it was |

A JSON number that is edited becomes a string. A value that is longer than
` + "`limits.pieceBytes`" + ` is looked at in pieces; findings do not depend on where it
is cut, but ` + "`remove`" + ` then only cuts the finding out. So it is with a text that a
stream of Server-Sent Events spreads over many: it is one value, and what of it
is still open moves on to its next event.

The log probabilities of a model's answer (` + "`logprobs`" + `) tell its text again token by
token. Where the step looks at them and changes what it finds, they are taken away.

Values are looked at as they are meant (` + "`decode`" + `): see the table of
[evasions](../../docs/evasion.md).

| entity | what | what has to hold | longest |
| --- | --- | --- | --- |
`)
	for _, i := range detect.Entities() {
		fmt.Fprintf(&b, "| %s | %s | %s | %d |\n", i.Entity, i.Description, i.Validation, i.MaxBytes)
	}
	b.WriteString(`
With ` + "`detectors`" + `, others are asked too: once a body, for which the whole of it is
collected, with short values together. ` + "`http`" + ` is a server that speaks Presidio's
` + "`/analyze`" + `; places that it gives are checked against the text. ` + "`provider`" + ` is a model
of a Provider document, which quotes what it finds: of that counts what is one of the
listed entities and stands in the text, everywhere in the texts that it was asked about
at once, as whole words where it does so. Data goes to it fenced, and as the provider's
` + "`privacy`" + ` says: what that hashes, the model cannot quote. Quotes of one character are
left out. An answer of more than 128 quotes, of longer ones than 256 characters, or
of ones that stand in more than 4096 places, is none.

Where a detector fails, what is found here counts, and the decision has the reason
` + "`detector`" + `; with ` + "`required`" + ` the step fails. Texts of more than ` + "`limits.pieceBytes`" + `
and headers are not told to it.

How tokens work, and what they need, is told in [tokenisation](../../docs/tokenisation.md).

The decision counts findings by entity and actions by kind. It never holds a
value.`)
	return b.String()
}
