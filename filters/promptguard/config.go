// Package promptguard is the filter that guards a model from what is asked of
// it: prompts in requests are held against patterns, an injection score and
// topics.
package promptguard

import (
	_ "embed"
	"errors"
	"fmt"
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
	switch {
	case c.Action == "" || !c.Action.known():
		return unknownAction("action", c.Action)
	case c.MaxPromptBytes < 1 || c.MaxPromptBytes > 4<<20:
		return &filters.FieldError{Path: "maxPromptBytes", Msg: "is not between 1 and 4194304"}
	case c.Problem.Status < 400 || c.Problem.Status > 499:
		return &filters.FieldError{Path: "problem.status", Msg: fmt.Sprintf("%d is not between 400 and 499", c.Problem.Status)}
	case !headerForm.MatchString(strings.ToLower(c.Header)):
		return &filters.FieldError{Path: "header", Msg: fmt.Sprintf("%q cannot be set", c.Header), Hint: "it begins with x-"}
	case !(c.Injection.Threshold > 0 && c.Injection.Threshold <= 1):
		return &filters.FieldError{Path: "injection.threshold", Msg: "is not above 0 and up to 1"}
	case !c.Injection.Action.known():
		return unknownAction("injection.action", c.Injection.Action)
	case c.Injection.Off && c.Injection.Provider != "":
		return &filters.FieldError{Path: "injection.off", Msg: "goes without a provider"}
	case c.Injection.Off && c.Topics == nil && len(c.Deny) == 0:
		return &filters.FieldError{Msg: "there is nothing to look for", Hint: "deny, injection or topics"}
	}
	if err := checkRoles("roles", c.Roles); err != nil {
		return err
	}
	if _, err := body.CompilePaths(c.Paths); err != nil {
		var pe *body.PathError
		if errors.As(err, &pe) {
			return &filters.FieldError{Path: fmt.Sprintf("paths[%d]", pe.Index), Msg: pe.Msg}
		}
		return &filters.FieldError{Path: "paths", Msg: err.Error()}
	}
	names := map[string]bool{}
	for i, p := range c.Deny {
		path := fmt.Sprintf("deny[%d]", i)
		if err := checkPattern(path, p.Name, p.Pattern, p.Roles, names); err != nil {
			return err
		}
		if !p.Action.known() {
			return unknownAction(path+".action", p.Action)
		}
	}
	for i, p := range c.Allow {
		if err := checkPattern(fmt.Sprintf("allow[%d]", i), p.Name, p.Pattern, p.Roles, names); err != nil {
			return err
		}
	}
	if c.Topics != nil {
		return c.Topics.check()
	}
	return nil
}

func (a Action) known() bool { return a == "" || slices.Contains(actions, a) }

func unknownAction(path string, a Action) error {
	return &filters.FieldError{Path: path, Msg: fmt.Sprintf("%q is not one of deny, mark, rewrite", a)}
}

func checkRoles(path string, rs []Role) error {
	for i, r := range rs {
		if !slices.Contains(roles, r) {
			return &filters.FieldError{Path: fmt.Sprintf("%s[%d]", path, i), Msg: fmt.Sprintf("%q is not one of user, tool, system, assistant", r)}
		}
	}
	return nil
}

func checkPattern(path, name, pattern string, rs []Role, names map[string]bool) error {
	switch {
	case !nameForm.MatchString(name):
		return &filters.FieldError{Path: path + ".name", Msg: fmt.Sprintf("%q is no name: letters, digits, _ and -", name)}
	case slices.Contains(taken, name) || names[name]:
		return &filters.FieldError{Path: path + ".name", Msg: fmt.Sprintf("there is a rule %q already", name)}
	case pattern == "":
		return &filters.FieldError{Path: path + ".pattern", Msg: "is missing"}
	}
	names[name] = true
	if _, err := regexp.Compile(pattern); err != nil {
		return &filters.FieldError{Path: path + ".pattern", Msg: err.Error()}
	}
	return checkRoles(path+".roles", rs)
}

func (t *Topics) check() error {
	switch {
	case len(t.Allow)+len(t.Deny) == 0:
		return &filters.FieldError{Path: "topics", Msg: "none is allowed and none denied"}
	case t.Threshold < 0 || t.Threshold > 1:
		return &filters.FieldError{Path: "topics.threshold", Msg: "is not between 0 and 1"}
	case t.Unsure != "" && t.Unsure != "act" && t.Unsure != "pass":
		return &filters.FieldError{Path: "topics.unsure", Msg: fmt.Sprintf("%q is not one of act, pass", t.Unsure)}
	case !t.Action.known():
		return unknownAction("topics.action", t.Action)
	}
	asked := 0
	for _, l := range []struct {
		path  string
		names []string
	}{{"topics.allow", t.Allow}, {"topics.deny", t.Deny}} {
		for i, name := range l.names {
			path := fmt.Sprintf("%s[%d]", l.path, i)
			switch {
			case !nameForm.MatchString(name) || name == otherTopic:
				return &filters.FieldError{Path: path, Msg: fmt.Sprintf("%q is no name for a topic: letters, digits, _ and -", name)}
			case l.path == "topics.deny" && slices.Contains(t.Allow, name):
				return &filters.FieldError{Path: path, Msg: fmt.Sprintf("%q is allowed too", name)}
			case len(t.Keywords[name]) > 0:
				continue
			case t.Provider == "" && !slices.Contains(builtin.Classes(builtin.Intent), name):
				return &filters.FieldError{Path: path, Msg: fmt.Sprintf("nothing tells the topic %q", name), Hint: "give it keywords, or a provider; builtin knows " + strings.Join(slices.DeleteFunc(slices.Clone(builtin.Classes(builtin.Intent)), func(c string) bool { return c == otherTopic }), ", ")}
			}
			asked++
		}
	}
	if t.Provider != "" && asked == 0 {
		return &filters.FieldError{Path: "topics.provider", Msg: "has nothing to tell: every topic has keywords"}
	}
	for name, words := range t.Keywords {
		if !slices.Contains(t.Allow, name) && !slices.Contains(t.Deny, name) {
			return &filters.FieldError{Path: "topics.keywords." + name, Msg: "is neither allowed nor denied"}
		}
		for i, w := range words {
			if flat(fold(w, "")) == "" {
				return &filters.FieldError{Path: fmt.Sprintf("topics.keywords.%s[%d]", name, i), Msg: "is empty"}
			}
		}
	}
	return nil
}
