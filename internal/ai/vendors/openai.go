package vendors

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/param"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/shared"
	"github.com/tidwall/gjson"

	"github.com/sluice-proxy/sluice/internal/ai/wire"
)

// OpenAI speaks OpenAI's chat completions: OpenAI itself, Azure OpenAI, and
// the many servers that speak the same.
type OpenAI struct {
	opt     wire.Endpoint
	azure   bool
	ours    bool // OpenAI's or Azure's own service, and not one that is like it
	service openai.ChatCompletionService
	client  *http.Client
}

// NewOpenAI returns a transport to OpenAI.
func NewOpenAI(o wire.Endpoint) (*OpenAI, error) { return newOpenAI(o, false, true) }

// NewCompatible returns a transport to any endpoint that speaks OpenAI's
// protocol.
func NewCompatible(o wire.Endpoint) (*OpenAI, error) { return newOpenAI(o, false, false) }

// NewAzure returns a transport to a deployment at Azure OpenAI.
func NewAzure(o wire.Endpoint) (*OpenAI, error) {
	o.BaseURL = strings.TrimSuffix(o.BaseURL, "/") + "/openai/deployments/" + url.PathEscape(o.Model)
	return newOpenAI(o, true, true)
}

func newOpenAI(o wire.Endpoint, azure, ours bool) (*OpenAI, error) {
	client, err := newClient(&o)
	if err != nil {
		return nil, err
	}
	t := &OpenAI{opt: o, azure: azure, ours: ours, client: client}
	// The service, and not openai.NewClient, which reads address, key and
	// headers from the environment.
	t.service = openai.NewChatCompletionService(
		option.WithBaseURL(strings.TrimSuffix(o.BaseURL, "/")+"/"),
		option.WithHTTPClient(client),
		option.WithMaxRetries(0),
	)
	return t, nil
}

// Close lets go of open connections.
func (t *OpenAI) Close() { t.client.CloseIdleConnections() }

// Send implements wire.Transport.
func (t *OpenAI) Send(ctx context.Context, r *wire.Request) (*wire.Reply, error) {
	key, err := key(&t.opt)
	if err != nil {
		return nil, err
	}
	p, opts, err := t.params(r)
	if err != nil {
		return nil, err
	}
	switch {
	case key == "":
	case t.azure:
		opts = append(opts, option.WithHeader("api-key", key))
	default:
		opts = append(opts, option.WithHeader("authorization", "Bearer "+key))
	}
	if t.azure {
		opts = append(opts, option.WithQuery("api-version", t.opt.APIVersion))
	}
	var s *said
	if t.opt.Stream {
		s, err = t.stream(ctx, p, opts)
	} else {
		s, err = t.whole(ctx, p, opts)
	}
	if err != nil {
		var ae *openai.Error
		if errors.As(err, &ae) && ae.Response != nil {
			return nil, classify(ctx, err, ae.StatusCode, ae.Response.Header)
		}
		return nil, classify(ctx, err, 0, nil)
	}
	return s.reply(r.Schema != nil)
}

// whole asks for the answer in one piece.
func (t *OpenAI) whole(ctx context.Context, p openai.ChatCompletionNewParams, opts []option.RequestOption) (*said, error) {
	c, err := t.service.New(ctx, p, opts...)
	if err != nil {
		return nil, err
	}
	s := &said{model: c.Model, input: c.Usage.PromptTokens, output: c.Usage.CompletionTokens}
	if len(c.Choices) == 0 {
		return s, nil
	}
	m := c.Choices[0].Message
	s.spoke, s.finish = true, c.Choices[0].FinishReason
	s.declined = m.Refusal != "" || s.finish == "content_filter"
	s.text.WriteString(m.Content)
	for _, call := range m.ToolCalls {
		if call.Function.Name == schemaName {
			s.answered(call.Function.Arguments)
		}
	}
	return s, nil
}

// stream asks for the answer in parts, and gathers them. One that ends before
// the model did is a broken connection.
func (t *OpenAI) stream(ctx context.Context, p openai.ChatCompletionNewParams, opts []option.RequestOption) (*said, error) {
	p.StreamOptions.IncludeUsage = openai.Bool(true)
	start := time.Now()
	parts := t.service.NewStreaming(ctx, p, opts...)
	defer func() { _ = parts.Close() }()
	s := &said{}
	answers := int64(-1) // the call that gives the answer
	for parts.Next() {
		c := parts.Current()
		if s.first == 0 {
			s.first = time.Since(start)
		}
		if c.Model != "" {
			s.model = c.Model
		}
		if c.Usage.PromptTokens+c.Usage.CompletionTokens > 0 {
			s.input, s.output = c.Usage.PromptTokens, c.Usage.CompletionTokens
		}
		for _, choice := range c.Choices {
			if choice.Index != 0 {
				continue
			}
			s.spoke = true
			if choice.FinishReason != "" {
				s.finish = choice.FinishReason
			}
			s.declined = s.declined || choice.Delta.Refusal != "" || s.finish == "content_filter"
			if err := s.add(&s.text, choice.Delta.Content); err != nil {
				return nil, err
			}
			for _, call := range choice.Delta.ToolCalls {
				if call.Function.Name == schemaName {
					s.answered("")
					answers = call.Index
				}
				if call.Index != answers {
					continue
				}
				if err := s.add(&s.tool, call.Function.Arguments); err != nil {
					return nil, err
				}
			}
		}
	}
	var told *ssestream.StreamError
	switch err := parts.Err(); {
	case errors.As(err, &told):
		e := gjson.GetBytes(told.Event.Data, "error")
		return nil, broken(e.Get("type").String() + " " + e.Get("code").String())
	case err != nil:
		return nil, err
	case s.spoke && s.finish == "":
		return nil, io.ErrUnexpectedEOF
	}
	return s, nil
}

func (t *OpenAI) params(r *wire.Request) (openai.ChatCompletionNewParams, []option.RequestOption, error) {
	p := openai.ChatCompletionNewParams{Model: shared.ChatModel(t.opt.Model)}
	if r.MaxTokens > 0 {
		if t.ours {
			p.MaxCompletionTokens = openai.Int(int64(r.MaxTokens))
		} else {
			p.MaxTokens = openai.Int(int64(r.MaxTokens))
		}
	}
	if r.Temperature != nil {
		p.Temperature = openai.Float(*r.Temperature)
	}
	told := t.opt.Structured == "prompt" || t.opt.Structured == "object"
	if s := r.SystemText(told); s != "" {
		p.Messages = append(p.Messages, openai.SystemMessage(s))
	}
	for _, m := range r.Messages() {
		if m.Role == "assistant" {
			p.Messages = append(p.Messages, openai.AssistantMessage(m.Text))
		} else {
			p.Messages = append(p.Messages, openai.UserMessage(m.Text))
		}
	}
	if r.Schema != nil {
		if err := t.structure(&p, r.Schema); err != nil {
			return p, nil, err
		}
	}
	var opts []option.RequestOption
	for k, v := range t.opt.Parameters {
		opts = append(opts, option.WithJSONSet(k, v))
	}
	return p, opts, nil
}

// structure asks the vendor to hold the model to the schema.
func (t *OpenAI) structure(p *openai.ChatCompletionNewParams, schema []byte) error {
	var s map[string]any
	if err := json.Unmarshal(schema, &s); err != nil {
		return &wire.Error{Kind: wire.KindRefused}
	}
	strict := strictable(s)
	switch t.opt.Structured {
	case "object":
		p.ResponseFormat.OfJSONObject = &shared.ResponseFormatJSONObjectParam{}
	case "tool":
		f := shared.FunctionDefinitionParam{Name: schemaName, Parameters: s}
		if strict {
			f.Strict = param.NewOpt(true)
		}
		p.Tools = []openai.ChatCompletionToolUnionParam{openai.ChatCompletionFunctionTool(f)}
		p.ToolChoice.OfFunctionToolChoice = &openai.ChatCompletionNamedToolChoiceParam{Function: openai.ChatCompletionNamedToolChoiceFunctionParam{Name: schemaName}}
	case "schema":
		f := shared.ResponseFormatJSONSchemaJSONSchemaParam{Name: schemaName, Schema: s}
		if strict {
			f.Strict = param.NewOpt(true)
		}
		p.ResponseFormat.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: f}
	}
	return nil
}

// strictable reports whether a schema is of the part of JSON Schema that
// OpenAI takes with strict: every object closed, and every property required.
func strictable(s map[string]any) bool {
	for k := range s {
		switch k {
		case "type", "enum", "properties", "required", "additionalProperties", "items", "description", "minimum", "maximum", "minItems", "maxItems", "title", "pattern":
		default:
			return false
		}
	}
	if items, ok := s["items"].(map[string]any); ok && !strictable(items) {
		return false
	}
	props, ok := s["properties"].(map[string]any)
	if !ok {
		return s["type"] != "object"
	}
	required, _ := s["required"].([]any)
	if s["additionalProperties"] != false || len(required) != len(props) {
		return false
	}
	for _, p := range props {
		if m, ok := p.(map[string]any); !ok || !strictable(m) {
			return false
		}
	}
	return true
}
