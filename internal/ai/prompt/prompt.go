// Package prompt is the prompt as configuration: a template over the exchange
// that becomes the parts of a question. What the policy's author wrote and
// what comes from the exchange stay apart to the end, so that the latter can
// be masked, fenced and looked at by itself.
package prompt

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/expr"
)

// Config is a prompt as a policy has it.
type Config struct {
	// System is the instruction.
	System string `json:"system,omitempty" doc:"Instruction for the model."`
	// Text is the template.
	Text string `json:"text,omitempty" doc:"The question, with placeholders: {{method}}, {{host}}, {{path}}, {{query}}, {{query.NAME}}, {{header.NAME}}, {{headers}}, {{claims}}, {{claim.NAME}}, {{consumer.id}} (username, groups, tenant), {{source.address}}, {{route.name}}, {{response.status}}, {{response.header.NAME}}, {{body}}, {{body JSONPATH}}, {{steps.NAME}}, {{steps.NAME.FIELD}}, {{cel EXPRESSION}}. Each is fenced as data. One that reads the body makes the step wait for the whole of it."`
	// Headers are the names that placeholders may read.
	Headers []string `json:"headers,omitempty" doc:"Headers that placeholders may read, and that {{headers}} gives. Credentials (authorization, cookie and the like) are never among them."`
	// Examples are worked questions.
	Examples []Example `json:"examples,omitempty" doc:"Worked questions, shown to the model before the real one."`
	// Temperature of the sampling.
	Temperature *float64 `json:"temperature,omitempty" jsonschema:"minimum=0,maximum=2" doc:"Temperature; the provider's default where it is left out."`
	// MaxTokens of the answer.
	MaxTokens int `json:"maxTokens,omitempty" jsonschema:"minimum=0" doc:"Most tokens of the answer; the provider's default where it is left out."`
	// MaxBytes of a placeholder's value.
	MaxBytes int `json:"maxBytes,omitempty" jsonschema:"minimum=0" doc:"Longest value of one placeholder, in bytes; what is longer is cut. Default 16384."`
}

// Example is a worked question.
type Example struct {
	Question string `json:"question" doc:"The question."`
	Answer   string `json:"answer" doc:"The answer: JSON, where the step has a schema."`
}

const (
	defaultMaxBytes = 16 << 10
	maxText         = 64 << 10 // the longest template
)

// Prompt is a compiled prompt. It is used by many exchanges at once.
type Prompt struct {
	cfg      Config
	pieces   []piece
	version  string
	programs []*expr.Program
	body     bool
	steps    []string
	response bool
}

// piece is literal text, or a placeholder.
type piece struct {
	text string
	name string
	read reader // nil for text
}

// New compiles a prompt. Its errors are *filters.FieldErrors with paths below
// the prompt's.
func New(c Config) (*Prompt, error) {
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultMaxBytes
	}
	if len(c.Text) > maxText {
		return nil, &filters.FieldError{Path: "text", Msg: fmt.Sprintf("is longer than %d KiB", maxText>>10)}
	}
	p := &Prompt{cfg: c}
	p.cfg.Headers = nil
	for i, h := range c.Headers {
		h = strings.ToLower(h)
		if credential(h) {
			return nil, &filters.FieldError{Path: fmt.Sprintf("headers[%d]", i), Msg: fmt.Sprintf("%s holds a credential and does not leave", h)}
		}
		p.cfg.Headers = append(p.cfg.Headers, h)
	}
	if err := p.parse(c.Text); err != nil {
		return nil, &filters.FieldError{Path: "text", Msg: err.Error()}
	}
	b, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("hashing the prompt: %w", err)
	}
	sum := sha256.Sum256(b)
	p.version = hex.EncodeToString(sum[:6])
	return p, nil
}

// credential reports whether a header holds what lets its bearer in.
func credential(name string) bool {
	switch name {
	case "authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "api-key", "x-auth-token", "x-amz-security-token", "x-forwarded-client-cert":
		return true
	}
	return false
}

func (p *Prompt) parse(text string) error {
	for {
		before, after, open := strings.Cut(text, "{{")
		if before != "" {
			p.pieces = append(p.pieces, piece{text: before})
		}
		if !open {
			return nil
		}
		inner, rest, closed := cutPlaceholder(after)
		if !closed {
			return fmt.Errorf("a placeholder is not closed: {{%s", firstWord(after))
		}
		inner = strings.TrimSpace(inner)
		r, err := p.placeholder(inner)
		if err != nil {
			return fmt.Errorf("{{%s}}: %w", inner, err)
		}
		p.pieces = append(p.pieces, piece{name: partName(inner), read: r})
		text = rest
	}
}

// cutPlaceholder finds the }} that ends a placeholder; one in quotes does not.
func cutPlaceholder(s string) (inner, rest string, ok bool) {
	quote := byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
		case c == '\'' || c == '"':
			quote = c
		case c == '}' && i+1 < len(s) && s[i+1] == '}':
			return s[:i], s[i+2:], true
		}
	}
	return "", "", false
}

func firstWord(s string) string {
	f := strings.Fields(s)
	if len(f) == 0 {
		return ""
	}
	return f[0]
}

// partName is the name of a placeholder's part: what stands in it, as far as
// a name may have it.
func partName(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "_"):
			b.WriteByte('_')
		}
	}
	return strings.Trim(strings.ReplaceAll(b.String(), "_.", "."), "_.")
}

// Version is a hash of all that the policy says of the prompt.
func (p *Prompt) Version() string { return p.version }

// ReadsResponse reports whether the prompt reads the response: a step of a
// request cannot have it.
func (p *Prompt) ReadsResponse() bool { return p.response }

// Needs returns what a filter with this prompt must see.
func (p *Prompt) Needs(d filters.Direction) filters.Needs {
	n := expr.Needs(d, p.programs...)
	if p.body {
		n.Body = filters.WholeBody
	}
	for _, s := range p.steps {
		if !slices.Contains(n.Steps, s) {
			n.Steps = append(n.Steps, s)
		}
	}
	return n
}

// Task returns what of the prompt is the same for every question.
func (p *Prompt) Task() filters.Task {
	t := filters.Task{Version: p.version, System: p.cfg.System, Temperature: p.cfg.Temperature, MaxTokens: p.cfg.MaxTokens}
	for _, e := range p.cfg.Examples {
		t.Examples = append(t.Examples, filters.Example{Question: e.Question, Answer: e.Answer})
	}
	return t
}

// Question writes the question for an exchange.
func (p *Prompt) Question(ex *filters.Exchange) (*filters.Question, error) {
	q := &filters.Question{Caller: filters.CallerOf(ex), Parts: make([]filters.Part, 0, len(p.pieces))}
	for i := range p.pieces {
		pc := &p.pieces[i]
		if pc.read == nil {
			q.Parts = append(q.Parts, filters.Part{Text: pc.text})
			continue
		}
		text, err := pc.read(ex)
		if err != nil {
			return nil, &filters.Failure{Reason: "prompt", Err: fmt.Errorf("reading %s: %w", pc.name, err)}
		}
		q.Parts = append(q.Parts, filters.Part{Name: pc.name, Text: cut(text, p.cfg.MaxBytes), Data: true})
	}
	return q, nil
}

// cut cuts a text that is too long, between characters, and says so.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && s[limit]&0xC0 == 0x80 {
		limit--
	}
	return s[:limit] + " [cut]"
}
