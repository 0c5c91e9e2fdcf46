// Package promptguard is the filter that guards a model from what is asked of
// it: prompts in requests are held against patterns, an injection score and
// topics.
package promptguard

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/builtin"
	"github.com/sluice-proxy/sluice/internal/body"
)

//go:embed example.yaml
var example string

// Action is what becomes of a request in which something was found.
type Action string

// The actions, from the mildest.
const (
	Mark    Action = "mark"    // it goes on, and the backend and later steps are told
	Rewrite Action = "rewrite" // the prompt is replaced or removed
	Deny    Action = "deny"    // it ends here
)

var actions = []Action{Mark, Rewrite, Deny}

// Config is the filter's configuration.
type Config struct {
	// Roles are whose prompts are looked at.
	Roles []Role `json:"roles,omitempty" jsonschema:"enum=user,enum=tool,enum=system,enum=assistant" doc:"Whose prompts are looked at; default user and tool. Add system and assistant where clients are not trusted to write those."`
	// Paths are where the prompts of other bodies are.
	Paths []string `json:"paths,omitempty" doc:"JSONPaths (RFC 9535) of the prompts. They are then what is looked at, as of the role user, and the body is not taken for a chat."`
	// Deny are patterns that a prompt must not match.
	Deny []Pattern `json:"deny,omitempty" doc:"Patterns that no prompt may match anywhere."`
	// Allow are patterns of prompts that are fine.
	Allow []Allowed `json:"allow,omitempty" doc:"Patterns of prompts that nothing is held against. The whole prompt must match: a phrase that is allowed does not excuse what stands beside it."`
	// Injection is the score.
	Injection Injection `json:"injection,omitempty" doc:"The injection score: how likely it is that a prompt gives orders to the model that it should not have."`
	// Topics are what may be talked about.
	Topics *Topics `json:"topics,omitempty" doc:"Topics that are allowed or denied."`
	// MaxPromptBytes bounds a prompt.
	MaxPromptBytes int `json:"maxPromptBytes,omitempty" jsonschema:"minimum=1,maximum=4194304" doc:"Longest prompt, in bytes. A longer one is a finding of the rule length, and only its beginning is looked at. Default 262144."`
	// Action is the default.
	Action Action `json:"action,omitempty" jsonschema:"enum=deny,enum=mark,enum=rewrite" doc:"What a finding leads to where its rule says nothing else."`
	// Rewrite is how.
	Rewrite Rewriting `json:"rewrite,omitempty" doc:"What becomes of a prompt with the action rewrite."`
	// Problem is the response to a denied request.
	Problem Problem `json:"problem,omitempty" doc:"The response to a denied request: a problem document (RFC 9457) with the further members rule, score and roles. It never quotes the prompt."`
	// Header is the mark.
	Header string `json:"header,omitempty" doc:"Header of the mark: the score and the rule, 0.97;rule=injection. A client's own is removed, whatever becomes of the step."`
	// Metadata is a namespace.
	Metadata string `json:"metadata,omitempty" doc:"Namespace of dynamic metadata that the mark goes into too, as score and rule."`
}

// Role is whose prompt it is.
type Role string

// The roles. Those of the APIs are counted as one of them.
const (
	User      Role = "user"
	Tool      Role = "tool"      // tool, function, tool_result, …_output
	System    Role = "system"    // system, developer, instructions
	Assistant Role = "assistant" // assistant, model
)

var roles = []Role{User, Tool, System, Assistant}

// Pattern is something that is not to be in a prompt.
type Pattern struct {
	Name    string `json:"name" doc:"Name of the rule, for decisions and problem documents."`
	Pattern string `json:"pattern" doc:"Regular expression (RE2). It sees the prompt as it reads: see below."`
	Roles   []Role `json:"roles,omitempty" jsonschema:"enum=user,enum=tool,enum=system,enum=assistant" doc:"Whose prompts it is for, of those that are looked at; all of them where it is left out."`
	Action  Action `json:"action,omitempty" jsonschema:"enum=deny,enum=mark,enum=rewrite" doc:"What a match leads to; default the filter's action."`
}

// Allowed is a prompt that is fine.
type Allowed struct {
	Name    string `json:"name" doc:"Name of the rule."`
	Pattern string `json:"pattern" doc:"Regular expression (RE2) that the whole prompt must match."`
	Roles   []Role `json:"roles,omitempty" jsonschema:"enum=user,enum=tool,enum=system,enum=assistant" doc:"Whose prompts it is for; all where it is left out."`
}

// Injection is how the injection score is used.
type Injection struct {
	Off       bool    `json:"off,omitempty" doc:"Do not score."`
	Provider  string  `json:"provider,omitempty" doc:"Name of a provider that scores. Without one the builtin model does, in this process: prompt by prompt, in English."`
	Threshold float64 `json:"threshold,omitempty" jsonschema:"minimum=0,maximum=1" doc:"Score from which on it is a finding, above 0 and up to 1."`
	Action    Action  `json:"action,omitempty" jsonschema:"enum=deny,enum=mark,enum=rewrite" doc:"What a finding leads to; default the filter's action."`
}

// Topics are what may be talked about. They are the user's.
type Topics struct {
	Allow     []string            `json:"allow,omitempty" doc:"Topics that are allowed. With such a list, every user's prompt must have one of them."`
	Deny      []string            `json:"deny,omitempty" doc:"Topics that are denied."`
	Keywords  map[string][]string `json:"keywords,omitempty" doc:"Words that tell a topic, by its name. A topic without any is told by the provider, or where there is none by the builtin intent classification, which knows question, order, payment, refund, cancel, complaint, account, access, export, delete, greeting, code, write, translate, summarize."`
	Provider  string              `json:"provider,omitempty" doc:"Name of a provider that tells the topics that have no keywords."`
	Threshold float64             `json:"threshold,omitempty" jsonschema:"minimum=0,maximum=1" doc:"How sure the builtin classification must be; default 0.5. Below, it knows no topic."`
	Unsure    string              `json:"unsure,omitempty" jsonschema:"enum=act,enum=pass" doc:"Whether a prompt of no known topic is a finding where there is a list of those allowed (act, the default) or not (pass)."`
	Action    Action              `json:"action,omitempty" jsonschema:"enum=deny,enum=mark,enum=rewrite" doc:"What a finding leads to; default the filter's action."`
}

// Rewriting is what becomes of a prompt that is rewritten.
type Rewriting struct {
	Text   string `json:"text,omitempty" doc:"Text that stands in the prompt's place."`
	Remove bool   `json:"remove,omitempty" doc:"Remove the message. What is not an element of messages or input is replaced by the text also then."`
}

// Problem is the response to a denied request.
type Problem struct {
	Status int    `json:"status,omitempty" jsonschema:"minimum=400,maximum=499" doc:"HTTP status, 400 to 499."`
	Type   string `json:"type,omitempty" doc:"URI that names the kind of problem."`
	Title  string `json:"title,omitempty" doc:"Short text, the same for every occurrence."`
}

var (
	nameForm   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)
	headerForm = regexp.MustCompile("^x-[a-z0-9-]{1,62}$")
)

// taken are names of rules that the filter has of its own.
var taken = []string{ruleInjection, ruleTopic, ruleLength}

// Validate checks the configuration.
func (c *Config) Validate() error {
	var errs filters.FieldErrors
	if c.Action == "" {
		errs.Add("action", "is missing", "")
	}
	c.Action.check("action", &errs)
	if c.MaxPromptBytes < 1 || c.MaxPromptBytes > 4<<20 {
		errs.Add("maxPromptBytes", "is not between 1 and 4194304", "")
	}
	if c.Problem.Status < 400 || c.Problem.Status > 499 {
		errs.Add("problem.status", fmt.Sprintf("%d is not between 400 and 499", c.Problem.Status), "")
	}
	if !headerForm.MatchString(strings.ToLower(c.Header)) {
		errs.Add("header", fmt.Sprintf("%q cannot be set", c.Header), "it begins with x-")
	}
	if !(c.Injection.Threshold > 0 && c.Injection.Threshold <= 1) {
		errs.Add("injection.threshold", "is not above 0 and up to 1", "")
	}
	c.Injection.Action.check("injection.action", &errs)
	if c.Injection.Off && c.Injection.Provider != "" {
		errs.Add("injection.off", "goes without a provider", "")
	}
	if c.Injection.Off && c.Topics == nil && len(c.Deny) == 0 {
		errs.Add("", "there is nothing to look for", "deny, injection or topics")
	}
	checkRoles("roles", c.Roles, &errs)
	if _, err := body.CompilePaths(c.Paths); err != nil {
		var pe *body.PathError
		if errors.As(err, &pe) {
			errs.Add(fmt.Sprintf("paths[%d]", pe.Index), pe.Msg, "")
		} else {
			errs.Add("paths", err.Error(), "")
		}
	}
	names := map[string]bool{}
	for i, p := range c.Deny {
		path := fmt.Sprintf("deny[%d]", i)
		checkPattern(path, p.Name, p.Pattern, p.Roles, names, &errs)
		p.Action.check(path+".action", &errs)
	}
	for i, p := range c.Allow {
		checkPattern(fmt.Sprintf("allow[%d]", i), p.Name, p.Pattern, p.Roles, names, &errs)
	}
	if c.Topics != nil {
		c.Topics.check(&errs)
	}
	return errs.Err()
}

// check takes no action for the default.
func (a Action) check(path string, errs *filters.FieldErrors) {
	if a != "" && !slices.Contains(actions, a) {
		errs.Add(path, fmt.Sprintf("%q is not one of deny, mark, rewrite", a), "")
	}
}

func checkRoles(path string, rs []Role, errs *filters.FieldErrors) {
	for i, r := range rs {
		if !slices.Contains(roles, r) {
			errs.Add(fmt.Sprintf("%s[%d]", path, i), fmt.Sprintf("%q is not one of user, tool, system, assistant", r), "")
		}
	}
}

func checkPattern(path, name, pattern string, rs []Role, names map[string]bool, errs *filters.FieldErrors) {
	switch {
	case !nameForm.MatchString(name):
		errs.Add(path+".name", fmt.Sprintf("%q is no name: letters, digits, _ and -", name), "")
	case slices.Contains(taken, name) || names[name]:
		errs.Add(path+".name", fmt.Sprintf("there is a rule %q already", name), "")
	}
	names[name] = true
	if pattern == "" {
		errs.Add(path+".pattern", "is missing", "")
	} else if _, err := regexp.Compile(pattern); err != nil {
		errs.Add(path+".pattern", err.Error(), "")
	}
	checkRoles(path+".roles", rs, errs)
}

func (t *Topics) check(errs *filters.FieldErrors) {
	if len(t.Allow)+len(t.Deny) == 0 {
		errs.Add("topics", "none is allowed and none denied", "")
	}
	if t.Threshold < 0 || t.Threshold > 1 {
		errs.Add("topics.threshold", "is not between 0 and 1", "")
	}
	if t.Unsure != "" && t.Unsure != "act" && t.Unsure != "pass" {
		errs.Add("topics.unsure", fmt.Sprintf("%q is not one of act, pass", t.Unsure), "")
	}
	t.Action.check("topics.action", errs)
	asked := 0
	for _, l := range []struct {
		path  string
		names []string
	}{{"topics.allow", t.Allow}, {"topics.deny", t.Deny}} {
		for i, name := range l.names {
			path := fmt.Sprintf("%s[%d]", l.path, i)
			switch {
			case !nameForm.MatchString(name) || name == otherTopic:
				errs.Add(path, fmt.Sprintf("%q is no name for a topic: letters, digits, _ and -", name), "")
			case l.path == "topics.deny" && slices.Contains(t.Allow, name):
				errs.Add(path, fmt.Sprintf("%q is allowed too", name), "")
			case len(t.Keywords[name]) > 0:
				continue
			case t.Provider == "" && !slices.Contains(builtin.Classes(builtin.Intent), name):
				known := slices.DeleteFunc(slices.Clone(builtin.Classes(builtin.Intent)), func(c string) bool { return c == otherTopic })
				errs.Add(path, fmt.Sprintf("nothing tells the topic %q", name), "give it keywords, or a provider; builtin knows "+strings.Join(known, ", "))
			}
			asked++
		}
	}
	if t.Provider != "" && asked == 0 && len(t.Allow)+len(t.Deny) > 0 {
		errs.Add("topics.provider", "has nothing to tell: every topic has keywords", "")
	}
	for _, name := range slices.Sorted(maps.Keys(t.Keywords)) {
		if !slices.Contains(t.Allow, name) && !slices.Contains(t.Deny, name) {
			errs.Add("topics.keywords."+name, "is neither allowed nor denied", "")
		}
		for i, w := range t.Keywords[name] {
			if flat(fold(w, "")) == "" {
				errs.Add(fmt.Sprintf("topics.keywords.%s[%d]", name, i), "is empty", "")
			}
		}
	}
}
