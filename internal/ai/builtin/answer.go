package builtin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/wire"
)

// Model is the name and version of the models in this binary. It is part of
// the cache's key: new models are asked anew.
const Model = "sluice-builtin-2"

// Keyword names, in a property's schema, the model that answers it.
const Keyword = "x-builtin"

// OfKeyword names, in a property's schema, the piece of data that it is
// answered from (the placeholder's name); all of it by default.
const OfKeyword = "x-builtin-of"

// The models that a property can stand for.
const (
	Intent       = "intent"          // what the text wants: a class of the intent model
	Risk         = "risk"            // low, medium or high
	RiskScore    = "risk_score"      // the probability of risk, on the property's scale
	Complexity   = "complexity"      // simple or complex
	Injection    = "injection_score" // the probability of a prompt injection, on the property's scale
	SummaryOf    = "summary"         // sentences of the text
	Mentioned    = "mentioned"       // the enum's value, or values, that the text mentions
	Confidence   = "confidence"      // the probability of the intent that was answered
	fixedDefault = "default"         // what the schema says
)

// byName are names of properties that stand for a model without a keyword.
var byName = map[string]string{
	"intent": Intent, "risk": Risk, "risk_level": Risk, "risk_score": RiskScore, "riskscore": RiskScore,
	"complexity": Complexity, "injection_score": Injection, "injection": Injection, "summary": SummaryOf,
	"tier": Mentioned, "allowed_operations": Mentioned, "confidence": Confidence,
}

// Classes returns the classes of the model that a keyword stands for, or nil
// where it has none.
func Classes(keyword string) []string {
	var m *Linear
	var err error
	switch keyword {
	case Intent:
		m, err = intentModel()
	case Risk:
		m, err = riskModel()
	case Complexity:
		m, err = complexityModel()
	}
	if m == nil || err != nil {
		return nil
	}
	return m.Classes
}

// property is what a property's schema says, as far as it matters here.
type property struct {
	Type             any              `json:"type"`
	Enum             []any            `json:"enum"`
	Const            *json.RawMessage `json:"const"`
	Default          *json.RawMessage `json:"default"`
	Minimum, Maximum *float64
	MaxLength        *int      `json:"maxLength"`
	MaxItems         *int      `json:"maxItems"`
	Items            *property `json:"items"`
	Builtin          string    `json:"x-builtin"`
	Of               string    `json:"x-builtin-of"`
}

type schema struct {
	Properties map[string]*property `json:"properties"`
	Required   []string             `json:"required"`
}

// Check reports whether the schema can be answered. Nil is a text: it is
// answered by a summary.
func Check(schemaJSON []byte) error {
	if schemaJSON == nil {
		return nil
	}
	s, err := parse(schemaJSON)
	if err != nil {
		return err
	}
	for _, name := range s.Required {
		p := s.Properties[name]
		if p == nil {
			return fmt.Errorf("builtin cannot answer %q: it has no schema", name)
		}
		if _, err := p.model(name); err != nil {
			return err
		}
	}
	for name, p := range s.Properties {
		if p.Builtin != "" {
			if _, err := p.model(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func parse(schemaJSON []byte) (*schema, error) {
	var s schema
	if err := json.Unmarshal(schemaJSON, &s); err != nil {
		return nil, fmt.Errorf("builtin cannot read the schema: %w", err)
	}
	return &s, nil
}

// model returns what answers a property.
func (p *property) model(name string) (string, error) {
	m := p.Builtin
	if m == "" {
		m = byName[strings.ToLower(strings.ReplaceAll(name, "-", "_"))]
	}
	switch {
	case m == "" && (p.Const != nil || p.Default != nil):
		return fixedDefault, nil
	case m == "":
		return "", fmt.Errorf("builtin cannot answer %q: give it %s: %s, or a default, or ask another provider", name, Keyword,
			strings.Join([]string{Intent, Risk, RiskScore, Complexity, Injection, SummaryOf, Mentioned, Confidence}, ", "))
	}
	switch m {
	case Intent, Risk, Complexity:
		classes := Classes(m)
		for _, e := range p.Enum {
			if s, ok := e.(string); !ok || !slices.Contains(classes, s) {
				return "", fmt.Errorf("builtin cannot answer %q with %v: %s knows %s", name, e, m, strings.Join(classes, ", "))
			}
		}
		return m, nil
	case Mentioned:
		if len(p.values()) == 0 {
			return "", fmt.Errorf("builtin cannot answer %q: %s needs an enum, for an array in its items", name, m)
		}
		if p.Type != "array" && p.Default == nil {
			return "", fmt.Errorf("builtin cannot answer %q: nothing may be mentioned, so it needs a default", name)
		}
		return m, nil
	case RiskScore, Injection, SummaryOf, Confidence:
		return m, nil
	}
	return "", fmt.Errorf("builtin has no model %q", m)
}

// values are the values that a mention may have.
func (p *property) values() []any {
	if p.Type == "array" && p.Items != nil {
		return p.Items.Enum
	}
	return p.Enum
}

// Transport answers from the data of a request. It is a wire.Transport.
type Transport struct{}

// Send implements wire.Transport.
func (Transport) Send(ctx context.Context, r *wire.Request) (*wire.Reply, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data := r.Data()
	reply := &wire.Reply{Model: Model, Finish: "stop"}
	if r.Schema == nil {
		limit := r.MaxTokens * 4
		if limit <= 0 {
			limit = 400
		}
		reply.Text = Summary(textOf(data, ""), limit)
		return reply, nil
	}
	answer, err := Answer(r.Schema, data)
	if err != nil {
		return nil, &wire.Error{Kind: wire.KindRefused}
	}
	reply.Text = string(answer)
	return reply, nil
}

// textOf is the text of the data, or of the pieces with one name.
func textOf(data []filters.Part, name string) string {
	var b strings.Builder
	for _, p := range data {
		if name == "" || p.Name == name {
			b.WriteString(p.Text)
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// Answer answers a schema about data.
func Answer(schemaJSON []byte, data []filters.Part) ([]byte, error) {
	s, err := parse(schemaJSON)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	for name, p := range s.Properties {
		m, err := p.model(name)
		if err != nil {
			if slices.Contains(s.Required, name) {
				return nil, err
			}
			continue
		}
		v, err := p.answer(m, textOf(data, p.Of), s)
		if err != nil {
			return nil, err
		}
		if v != nil {
			out[name] = v
		}
	}
	return json.Marshal(out)
}

func (p *property) answer(model, text string, s *schema) (any, error) {
	switch model {
	case Intent:
		name, _, err := p.class(intentModel, text)
		return name, err
	case Risk:
		name, _, err := p.class(riskModel, text)
		return name, err
	case Complexity:
		name, _, err := p.class(complexityModel, text)
		return name, err
	case Confidence:
		_, pr, err := s.intent().class(intentModel, text)
		return p.scaled(pr), err
	case RiskScore:
		m, err := riskModel()
		if err != nil {
			return nil, err
		}
		return p.scaled(m.Probability(text, "high") + m.Probability(text, "medium")/2), nil
	case Injection:
		pr, err := InjectionScore(text)
		if err != nil {
			return nil, err
		}
		return p.scaled(pr), nil
	case SummaryOf:
		limit := 280
		if p.MaxLength != nil {
			limit = *p.MaxLength
		}
		return Summary(text, limit), nil
	case Mentioned:
		return p.mentioned(text), nil
	}
	if p.Const != nil {
		return *p.Const, nil
	}
	return *p.Default, nil
}

// intent is the property that is answered with the intent; one that allows any
// where there is none.
func (s *schema) intent() *property {
	for name, p := range s.Properties {
		if m, err := p.model(name); err == nil && m == Intent {
			return p
		}
	}
	return &property{}
}

// class returns the likeliest class, of those that the enum allows, and its
// probability.
func (p *property) class(model func() (*Linear, error), text string) (string, float64, error) {
	m, err := model()
	if err != nil {
		return "", 0, err
	}
	best, top := "", -1.0
	for c, pr := range m.Predict(text) {
		if pr > top && (len(p.Enum) == 0 || slices.Contains(p.Enum, any(m.Classes[c]))) {
			best, top = m.Classes[c], pr
		}
	}
	return best, top, nil
}

// scaled puts a probability on the property's scale: 0 to 1, or its minimum
// to its maximum; whole where the type is integer.
func (p *property) scaled(pr float64) any {
	lo, hi := 0.0, 1.0
	if p.Minimum != nil {
		lo = *p.Minimum
	}
	if p.Maximum != nil {
		hi = *p.Maximum
	}
	v := lo + min(max(pr, 0), 1)*(hi-lo)
	if p.Type == "integer" {
		return int64(math.Round(v))
	}
	return math.Round(v*1000) / 1000
}

// mentioned returns the values of the enum that stand in the text as words.
func (p *property) mentioned(text string) any {
	text = strings.ToLower(text)
	var found []any
	for _, v := range p.values() {
		if s, ok := v.(string); ok && hasWord(text, strings.ToLower(s)) {
			found = append(found, s)
		}
	}
	if p.Type == "array" {
		if p.MaxItems != nil && len(found) > *p.MaxItems {
			found = found[:*p.MaxItems]
		}
		if found == nil {
			found = []any{}
		}
		return found
	}
	if len(found) == 0 {
		return *p.Default
	}
	return found[0]
}

// hasWord reports whether w stands in text and is not a part of a longer
// word.
func hasWord(text, w string) bool {
	if w == "" {
		return false
	}
	for from := 0; ; {
		i := strings.Index(text[from:], w)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(w)
		if (start == 0 || !wordByte(text[start-1])) && (end == len(text) || !wordByte(text[end])) {
			return true
		}
		from = end
	}
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == ':' || c == '-' || c == '.' || c >= 0x80
}

// InjectionScore is the probability that a text tries to instruct the model
// that reads it. A long text is scored piece by piece, and its worst piece
// counts: an instruction does not hide in a long document.
func InjectionScore(text string) (float64, error) {
	m, err := injectionModel()
	if err != nil {
		return 0, err
	}
	top := 0.0
	for _, s := range windows(text) {
		top = max(top, m.Probability(s, "injection"))
	}
	return top, nil
}

// windows are runs of sentences that overlap, each of a few dozen words.
func windows(text string) []string {
	const wanted = 40
	sentences := splitSentences(text)
	var out []string
	for i := 0; i < len(sentences); {
		n, j := 0, i
		for j < len(sentences) && (n == 0 || n < wanted) {
			n += bytes.Count([]byte(sentences[j]), []byte(" ")) + 1
			j++
		}
		out = append(out, strings.Join(sentences[i:j], " "))
		if j == len(sentences) {
			break
		}
		i = max(i+1, i+(j-i)/2)
	}
	return out
}

var _ wire.Transport = Transport{}
