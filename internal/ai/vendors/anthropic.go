package vendors

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/tidwall/gjson"

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
	var s *said
	if t.opt.Stream {
		s, err = t.stream(ctx, p, opts)
	} else {
		s, err = t.whole(ctx, p, opts)
	}
	if err != nil {
		var ae *anthropic.Error
		if errors.As(err, &ae) && ae.Response != nil {
			return nil, classify(ctx, err, ae.StatusCode, ae.Response.Header)
		}
		return nil, classify(ctx, err, 0, nil)
	}
	return s.reply(r.Schema != nil)
}

// whole asks for the answer in one piece.
func (t *Anthropic) whole(ctx context.Context, p anthropic.MessageNewParams, opts []option.RequestOption) (*said, error) {
	m, err := t.service.New(ctx, p, opts...)
	if err != nil {
		return nil, err
	}
	s := &said{model: string(m.Model), finish: string(m.StopReason), spoke: len(m.Content) > 0, declined: m.StopReason == "refusal",
		input: m.Usage.InputTokens + m.Usage.CacheCreationInputTokens + m.Usage.CacheReadInputTokens, output: m.Usage.OutputTokens}
	for _, b := range m.Content {
		switch {
		case b.Type == "tool_use" && b.Name == schemaName:
			s.answered(string(b.Input))
		case b.Type == "text":
			s.text.WriteString(b.Text)
		}
	}
	return s, nil
}

// stream asks for the answer in parts, and gathers them. One that ends before
// the message does is a broken connection.
func (t *Anthropic) stream(ctx context.Context, p anthropic.MessageNewParams, opts []option.RequestOption) (*said, error) {
	start := time.Now()
	parts := t.service.NewStreaming(ctx, p, opts...)
	defer func() { _ = parts.Close() }()
	s := &said{}
	began, ended := false, false
	answers := int64(-1) // the block that gives the answer
	for parts.Next() {
		e := parts.Current()
		if s.first == 0 {
			s.first = time.Since(start)
		}
		var err error
		switch e.Type {
		case "message_start":
			began = true
			u := e.Message.Usage
			s.model = string(e.Message.Model)
			s.input, s.output = u.InputTokens+u.CacheCreationInputTokens+u.CacheReadInputTokens, u.OutputTokens
		case "content_block_start":
			s.spoke = true
			switch b := e.ContentBlock; {
			case b.Type == "tool_use" && b.Name == schemaName:
				s.answered("")
				answers = e.Index
			case b.Type == "text":
				err = s.add(&s.text, b.Text)
			}
		case "content_block_delta":
			switch {
			case e.Delta.Type == "text_delta":
				err = s.add(&s.text, e.Delta.Text)
			case e.Delta.Type == "input_json_delta" && e.Index == answers:
				err = s.add(&s.tool, e.Delta.PartialJSON)
			}
		case "message_delta":
			if e.Delta.StopReason != "" {
				s.finish = string(e.Delta.StopReason)
			}
			s.declined = s.finish == "refusal"
			// The counts are of the whole message.
			s.output = e.Usage.OutputTokens
			if n := e.Usage.InputTokens + e.Usage.CacheCreationInputTokens + e.Usage.CacheReadInputTokens; n > 0 {
				s.input = n
			}
		case "message_stop":
			ended = true
		}
		if err != nil {
			return nil, err
		}
	}
	var told *anthropic.Error
	switch err := parts.Err(); {
	case errors.As(err, &told) && told.StatusCode == http.StatusOK:
		return nil, broken(gjson.Get(told.RawJSON(), "error.type").String())
	case err != nil:
		return nil, err
	case began && !ended:
		return nil, io.ErrUnexpectedEOF
	}
	return s, nil
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
