package vendors

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"

	"github.com/sluice-proxy/sluice/internal/ai/wire"
)

// Anthropic speaks Anthropic's messages.
type Anthropic struct {
	opt     wire.Endpoint
	service anthropic.MessageService
	client  *http.Client
}

// NewAnthropic returns a transport to Anthropic.
func NewAnthropic(o wire.Endpoint) (*Anthropic, error) {
	client, err := newClient(&o)
	if err != nil {
		return nil, err
	}
	// The service, and not anthropic.NewClient, which reads the environment.
	service := anthropic.NewMessageService(
		option.WithoutEnvironmentDefaults(),
		option.WithBaseURL(strings.TrimSuffix(strings.TrimSuffix(o.BaseURL, "/"), "/v1")+"/"),
		option.WithHTTPClient(client),
		option.WithMaxRetries(0),
	)
	return &Anthropic{opt: o, service: service, client: client}, nil
}

// Close lets go of open connections.
func (t *Anthropic) Close() { t.client.CloseIdleConnections() }

// Send implements wire.Transport.
func (t *Anthropic) Send(ctx context.Context, r *wire.Request) (*wire.Reply, error) {
	key, err := key(&t.opt)
	if err != nil {
		return nil, err
	}
	p, err := t.params(r)
	if err != nil {
		return nil, err
	}
	var opts []option.RequestOption
	if key != "" {
		opts = append(opts, option.WithAPIKey(key))
	}
	for k, v := range t.opt.Parameters {
		opts = append(opts, option.WithJSONSet(k, v))
	}
	m, err := t.service.New(ctx, p, opts...)
	if err != nil {
		var ae *anthropic.Error
		if errors.As(err, &ae) && ae.Response != nil {
			return nil, classify(ctx, err, ae.StatusCode, ae.Response.Header)
		}
		return nil, classify(ctx, err, 0, nil)
	}
	if m.StopReason == "refusal" {
		return nil, &wire.Error{Kind: wire.KindFiltered}
	}
	if len(m.Content) == 0 {
		return nil, &wire.Error{Kind: wire.KindMalformed}
	}
	var text strings.Builder
	for _, b := range m.Content {
		switch {
		case b.Type == "tool_use" && b.Name == schemaName:
			text.Reset()
			text.Write(b.Input)
			return t.reply(m, text.String()), nil
		case b.Type == "text":
			text.WriteString(b.Text)
		}
	}
	if r.Schema != nil {
		return t.reply(m, trimJSON(text.String())), nil
	}
	return t.reply(m, text.String()), nil
}

func (t *Anthropic) reply(m *anthropic.Message, text string) *wire.Reply {
	in := m.Usage.InputTokens + m.Usage.CacheCreationInputTokens + m.Usage.CacheReadInputTokens
	return &wire.Reply{Text: text, Model: string(m.Model), Finish: string(m.StopReason), InputTokens: int(in), OutputTokens: int(m.Usage.OutputTokens)}
}

func (t *Anthropic) params(r *wire.Request) (anthropic.MessageNewParams, error) {
	p := anthropic.MessageNewParams{Model: anthropic.Model(t.opt.Model), MaxTokens: int64(max(r.MaxTokens, 1))}
	if r.Temperature != nil {
		p.Temperature = anthropic.Float(*r.Temperature)
	}
	if s := r.SystemText(t.opt.Structured != "tool"); s != "" {
		p.System = []anthropic.TextBlockParam{{Text: s}}
	}
	for _, m := range r.Messages() {
		if m.Role == "assistant" {
			p.Messages = append(p.Messages, anthropic.NewAssistantMessage(anthropic.NewTextBlock(m.Text)))
		} else {
			p.Messages = append(p.Messages, anthropic.NewUserMessage(anthropic.NewTextBlock(m.Text)))
		}
	}
	if r.Schema == nil || t.opt.Structured != "tool" {
		return p, nil
	}
	var s map[string]any
	if err := json.Unmarshal(r.Schema, &s); err != nil {
		return p, &wire.Error{Kind: wire.KindRefused}
	}
	delete(s, "type")
	p.Tools = []anthropic.ToolUnionParam{anthropic.ToolUnionParamOfTool(anthropic.ToolInputSchemaParam{ExtraFields: s}, schemaName)}
	p.Tools[0].OfTool.Description = anthropic.String("Gives the answer.")
	p.ToolChoice = anthropic.ToolChoiceParamOfTool(schemaName)
	return p, nil
}
