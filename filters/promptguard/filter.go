package promptguard

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
)

// Definition describes the filter.
func Definition() filters.Definition {
	return filters.Define(filters.Spec[Config]{
		Kind:       "promptguard",
		Summary:    "Guards a model from what is asked of it: patterns, an injection score and topics, by role, in the bodies of chat APIs and others.",
		Doc:        doc,
		Directions: []filters.Direction{filters.Request},
		Default: Config{
			Injection:      Injection{Threshold: 0.95},
			MaxPromptBytes: 256 << 10,
			Action:         Deny,
			Rewrite:        Rewriting{Text: "[removed by policy]"},
			Problem:        Problem{Status: 403, Title: "The prompt is against the policy"},
			Header:         "x-ai-prompt-risk",
		},
		OnError: filters.Deny,
		Example: example,
		New:     build,
	})
}

const doc = `It waits for the whole body and finds the prompts in it, each with its role:

| body | what is read |
| --- | --- |
| OpenAI chat completions | ` + "`messages`" + `: the texts of each message, in ` + "`content`" + ` and its parts, by ` + "`role`" + ` (developer is system, function is tool) |
| OpenAI Responses | ` + "`input`" + ` (user, or as its items say; ` + "`…_output`" + ` is tool, ` + "`…_call`" + ` assistant), ` + "`instructions`" + ` (system) |
| Anthropic messages | ` + "`system`" + `, ` + "`messages`" + `; a ` + "`tool_result`" + ` in a user's message is tool |
| completions | ` + "`prompt`" + ` and ` + "`suffix`" + ` (user) |
| any of these | tools, functions, formats (system); every text of a member that none of the APIs has (user) |
| with ` + "`paths`" + ` | the texts that the paths select (user) |
| any other | every text, member names too (user): JSON, NDJSON, forms, XML, multipart, plain text |

A body counts as one of the chat APIs' where it has a list of ` + "`messages`" + `, or a
` + "`model`" + ` with ` + "`input`" + ` or ` + "`prompt`" + `. A message without a known role is the user's.
Images, files in base64 and addresses are not read. A prompt of token ids, and a
body in a charset that is not known, cannot be read: the step fails.

Patterns, score and topics see a prompt as it reads: escapes decoded, in
compatibility form (NFKC) and lower case, white space as one space, without
invisible characters (and, where there are any, also with a space for each; tag
characters as the letters that they stand for). Where it can be read in other ways
it is seen in those, too: base64 and hexadecimal decoded, as a whole or within it,
HTML and percent escapes undone, letters that stand apart (i g n o r e) put
together, and Cyrillic and Greek letters beside Latin ones as those that they look
like. Patterns ignore case, and the dot matches line ends. What a role says over
several messages is also looked at as one text, up to ` + "`maxPromptBytes`" + ` from its end.

The rules are the patterns by their names, ` + "`injection`" + `, ` + "`topic`" + ` (none that is
allowed), ` + "`topic.NAME`" + ` (one that is denied) and ` + "`length`" + `. Where several are broken,
deny goes before rewrite and rewrite before mark; prompts are rewritten and the
mark is set both where both are asked for.

- ` + "`deny`" + `: a problem document that names rule, score and roles.
- ` + "`mark`" + `: the header, the dynamic metadata.
- ` + "`rewrite`" + `: the text in the prompt's place, or the message removed. Every other
  byte of the body stays as it was. What is found in all messages of a role
  together is rewritten in each of them.

Without a provider, scores come from small models in this process, trained on
some hundred sentences: they catch what is worded in known ways, and no more, and
have no opinion of less than three words. At the default threshold they catch
about three in four attempts that they have not been trained on, and take about one
in thirty paragraphs of technical prose for one; at 0.9 that is no more, and one in
ten. Of the attempts in 34 disguises of testdata/attempts.jsonl they miss five: a
story, ROT13, digits for letters, letters from right to left, and Russian. Observe
with ` + "`mode: shadow`" + ` or ` + "`mark`" + ` before you deny by them.

A provider is asked once for the injection score and once for the topic, about all
prompts together, and only where nothing is denied yet; it is sent what its
` + "`privacy`" + ` allows. Where it does not answer, the step fails: by default
the request is then denied (` + "`onError: continue`" + ` lets it pass).

The result is ` + "`steps.<name>`" + `: flagged, score (the highest injection score), rule,
rules, roles and action. The decision has the same, and counts the prompts by
rule. Neither holds content.`

// errTokens is for what cannot be read.
var errTokens = &filters.Failure{Reason: "prompt in token ids"}

type filter struct {
	*guard
	paths *body.Paths // nil: none are configured
}

func build(c Config, env filters.Env) (filters.Filter, error) {
	if len(c.Roles) == 0 {
		c.Roles = []Role{User, Tool}
	}
	c.Header = strings.ToLower(c.Header)
	if c.Topics != nil && c.Topics.Threshold == 0 {
		t := *c.Topics
		t.Threshold = 0.5
		c.Topics = &t
	}
	f := &filter{}
	var err error
	if f.paths, err = body.CompilePaths(c.Paths); err != nil {
		return nil, &filters.FieldError{Path: "paths", Msg: err.Error()}
	}
	f.guard, err = newGuard(c, env)
	return f, err
}

// Needs implements filters.Filter.
func (f *filter) Needs(d filters.Direction) filters.Needs {
	if d == filters.Response {
		return filters.Needs{}
	}
	return filters.Needs{Body: filters.WholeBody}
}

// Strips implements filters.Stripper: a client does not mark its own prompt.
func (f *filter) Strips(d filters.Direction, name string) bool {
	return d == filters.Request && name == f.cfg.Header
}

// Apply implements filters.Filter.
func (f *filter) Apply(ctx context.Context, ex *filters.Exchange, led *filters.Ledger) (filters.Decision, error) {
	led.Result = result(nil, 0, nil, "")
	if len(bytes.TrimSpace(ex.Request.Body)) == 0 {
		return filters.Decision{Reason: "no body"}, nil
	}
	ps, rewrite, err := f.prompts(ctx, ex)
	if err != nil {
		return filters.Decision{}, err
	}
	v, err := f.judge(ctx, ex, ps)
	if err != nil {
		return filters.Decision{}, wrap(err)
	}
	d := filters.Decision{Reason: "nothing found", Details: v.details}
	d.Details["prompts"], d.Details["score"] = v.looked, round(v.top)
	if len(v.found) == 0 {
		led.Result = result(nil, v.top, nil, "")
		return d, nil
	}
	f.rank(v.found)
	first := v.found[0]
	rs := rolesFound(v.found, ps)
	led.Result = result(v.found, v.top, rs, first.action)
	d.Details["rule"], d.Details["roles"] = first.rule, rs
	d.Details["score"] = round(max(v.top, first.score))
	for _, x := range v.found {
		d.Findings.Add(x.rule, len(x.prompts))
	}
	if first.action == Deny {
		p := f.cfg.Problem
		led.Deny(filters.Denial{Status: p.Status, Type: p.Type, Title: p.Title, Extensions: map[string]any{
			"rule": first.rule, "score": round(first.score), "roles": rs,
		}})
		d.Verdict, d.Reason = filters.Denied, "denied"
		d.Actions.Add(string(Deny), 1)
		return d, nil
	}
	d.Verdict, d.Reason = filters.Changed, "marked"
	if hit := hits(v.found); len(hit) > 0 {
		out, err := rewrite(hit)
		if err != nil {
			return filters.Decision{}, wrap(err)
		}
		led.SetBody(out)
		d.Reason = "rewritten"
		d.Actions.Add(string(Rewrite), len(hit))
	}
	if i := slices.IndexFunc(v.found, func(x found) bool { return x.action == Mark }); i >= 0 {
		f.mark(led, v.found[i])
		d.Actions.Add(string(Mark), 1)
	}
	return d, nil
}

// prompts reads the body, and returns what rewrites it.
func (f *filter) prompts(ctx context.Context, ex *filters.Exchange) ([]said, func(map[int]bool) ([]byte, error), error) {
	doc := ex.Request.Body
	if f.paths == nil {
		if c := readChat(doc); c != nil {
			if c.tokens {
				return nil, nil, errTokens
			}
			return c.prompts, func(hit map[int]bool) ([]byte, error) { return c.rewrite(hit, f.cfg.Rewrite) }, nil
		}
	}
	typ := body.TypeOf(ex.Request.Headers.Get("content-type"))
	if typ.Known && !typ.Readable() {
		return nil, nil, &filters.Failure{Reason: "unreadable body"}
	}
	v := &values{doc: doc, typ: typ, paths: f.paths}
	if f.paths != nil && f.paths.NeedsDocument() {
		located, err := f.paths.Locate(doc, body.Limits{})
		if err != nil {
			return nil, nil, &filters.Failure{Reason: "paths", Err: err}
		}
		v.paths = located
	}
	ps, err := v.read(ctx)
	if err != nil {
		return nil, nil, wrap(err)
	}
	return ps, func(hit map[int]bool) ([]byte, error) { return v.rewrite(ctx, hit, f.cfg.Rewrite.Text) }, nil
}

// wrap gives an error that is none of ours a reason that may be shown.
func wrap(err error) error {
	var fail *filters.Failure
	if errors.As(err, &fail) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &filters.Failure{Reason: "guarding", Err: err}
}

// rank puts what weighs most first: by action, then by score.
func (f *filter) rank(fs []found) {
	slices.SortStableFunc(fs, func(a, b found) int {
		return cmp.Or(slices.Index(actions, b.action)-slices.Index(actions, a.action), cmp.Compare(b.score, a.score))
	})
}

// hits are the prompts to rewrite.
func hits(fs []found) map[int]bool {
	hit := map[int]bool{}
	for _, x := range fs {
		if x.action == Rewrite {
			for _, i := range x.prompts {
				hit[i] = true
			}
		}
	}
	return hit
}

func (f *filter) mark(led *filters.Ledger, x found) {
	led.SetHeader(f.cfg.Header, fmt.Sprintf("%s;rule=%s", strconv.FormatFloat(round(x.score), 'f', 2, 64), x.rule))
	if f.cfg.Metadata != "" {
		led.SetMetadata(f.cfg.Metadata, "score", round(x.score))
		led.SetMetadata(f.cfg.Metadata, "rule", x.rule)
	}
}

// rolesFound are the roles whose prompts break a rule, each once and in
// order.
func rolesFound(fs []found, ps []said) []any {
	var out []any
	for _, r := range roles {
		if slices.ContainsFunc(fs, func(x found) bool {
			return slices.ContainsFunc(x.prompts, func(i int) bool { return ps[i].is([]Role{r}) })
		}) {
			out = append(out, string(r))
		}
	}
	return out
}

// result is what later steps see.
func result(fs []found, score float64, roles []any, a Action) map[string]any {
	rules := []any{}
	for _, x := range fs {
		rules = append(rules, x.rule)
	}
	if roles == nil {
		roles = []any{}
	}
	m := map[string]any{"flagged": len(fs) > 0, "score": round(score), "rule": "", "rules": rules, "roles": roles, "action": string(a)}
	if len(fs) > 0 {
		m["rule"] = fs[0].rule
	}
	return m
}

// round keeps two digits: more would say nothing.
func round(x float64) float64 { return math.Round(x*100) / 100 }
