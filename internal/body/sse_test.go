package body_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/internal/body"
)

// chat, responses and messages are events in the shapes of OpenAI's chat
// completions and responses and of Anthropic's messages.
func chat(choice int, text string) string {
	return fmt.Sprintf(`data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":%d,"delta":{"content":%s},"logprobs":null,"finish_reason":null}]}`+"\n\n", choice, quoted(text))
}

func chatStop(choice int) string {
	return fmt.Sprintf(`data: {"id":"c-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":%d,"delta":{},"logprobs":null,"finish_reason":"stop"}]}`+"\n\n", choice)
}

func responses(item string, text string) string {
	return fmt.Sprintf("event: response.output_text.delta\ndata: "+`{"type":"response.output_text.delta","item_id":%q,"output_index":0,"content_index":0,"delta":%s,"sequence_number":7}`+"\n\n", item, quoted(text))
}

func messages(block int, kind, member, text string) string {
	return fmt.Sprintf("event: content_block_delta\ndata: "+`{"type":"content_block_delta","index":%d,"delta":{"type":%q,%q:%s}}`+"\n\n", block, kind, member, quoted(text))
}

func blockStop(block int) string {
	return fmt.Sprintf("event: content_block_stop\ndata: "+`{"type":"content_block_stop","index":%d}`+"\n\n", block)
}

func quoted(text string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(text)
	return strings.TrimSuffix(b.String(), "\n")
}

const done = "data: [DONE]\n\n"

func TestEvents(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"JSON in an event", "data: {\"a\":\"##\"}\n\n", "data: {\"a\":\"**\"}\n\n"},
		{"nothing to do", ": c\r\nid:  7\revent:e\r\rdata:{\"a\" : 1.10}\n\n\n\n", ": c\r\nid:  7\revent:e\r\rdata:{\"a\" : 1.10}\n\n\n\n"},
		{"byte order mark", "\xef\xbb\xbfdata: {\"a\":\"#\"}\n\n", "\xef\xbb\xbfdata: {\"a\":\"*\"}\n\n"},
		{"no space", "data:{\"a\":\"#\"}\r\n\r\n", "data:{\"a\":\"*\"}\r\n\r\n"},
		{"carriage returns", "data: {\"a\":\"#\"}\r\rdata: {\"a\":\"#\"}\r\r", "data: {\"a\":\"*\"}\r\rdata: {\"a\":\"*\"}\r\r"},
		{"several lines", "data: {\"a\":\nid: 1\r\ndata:   \"#\",\r\ndata: \"b\":1}\n\n", "data: {\"a\":\nid: 1\r\ndata:   \"*\",\r\ndata: \"b\":1}\n\n"},
		{"comments, names, identifiers and other fields", ": a #\nevent: #\nid: #\nretry: 10\nfoo #: #\n#\ndata: 1\n\n", ": a *\nevent: *\nid: *\nretry: 10\nfoo *: *\n*\ndata: 1\n\n"},
		{"no blank line at the end", "data: {\"a\":\"#\"}", "data: {\"a\":\"*\"}"},
		{"broken off", "data: {\"a\":\"#", "data: {\"a\":\"*"},
		{"no data", "event: ping\n\n: #\n\n", "event: ping\n\n: *\n\n"},
		{"a field without a value", "data\n\ndata\ndata\n\n", "data\n\ndata\ndata\n\n"},
		{"text", "data: a #\ndata: b #\n\n", "data: a *\ndata: b \n\ndata: *\n\n"},
		{"text that begins with spaces", "data:a\n\ndata:  #\n\ndata:  #\n\n", "data:a\n\ndata:  \n\ndata: * \n\ndata: *\n\n"},
		{"text over events", "data: a#\n\ndata: #b\n\n" + done, "data: a\n\ndata: **b\n\n" + done},
		{"text that is left", "event: t\ndata: a#\n\n" + done, "event: t\ndata: a\n\nevent: t\ndata: *\n\n" + done},
		{"digits are text", "data: 1\n\ndata: [\n\ndata: {\n\n", "data: 1\n\ndata: [\n\ndata: {\n\n"},
		{"strings over events", "data: \"a#\"\n\ndata: \"#b\"\n\n", "data: \"a\"\n\ndata: \"**b\"\n\n"},
		{"the end of text in a cut event", "data: a#\n\ndata: #b", "data: a\n\ndata: **b\n\ndata: "},

		{"chat", chat(0, "a#") + chat(0, "#b") + chatStop(0) + done, chat(0, "a") + chat(0, "**b") + chatStop(0) + done},
		{"chat, text left at the end", chat(0, "a#") + chatStop(0) + done, chat(0, "a") + chat(0, "*") + chatStop(0) + done},
		{"chat, no end", chat(0, "a#"), chat(0, "a") + chat(0, "*")},
		{"chat, only DONE", chat(0, "a#") + done, chat(0, "a") + chat(0, "*") + done},
		{"chat, two choices", chat(0, "a#") + chat(1, "#") + chat(0, "#c") + chat(1, "d"), chat(0, "a") + chat(1, "") + chat(0, "**c") + chat(1, "*d")},
		{"the reason with the text", chat(0, "a#") + strings.Replace(chat(0, "#"), `"finish_reason":null`, `"finish_reason":"stop"`, 1), chat(0, "a") + strings.Replace(chat(0, "**"), `"finish_reason":null`, `"finish_reason":"stop"`, 1)},
		{"an empty reason is none", strings.ReplaceAll(chat(0, "a#")+chat(0, "#b"), `"finish_reason":null`, `"finish_reason":""`), strings.ReplaceAll(chat(0, "a")+chat(0, "**b"), `"finish_reason":null`, `"finish_reason":""`)},
		{"the index behind the text",
			`data: {"choices":[{"delta":{"content":"a#"},"index":1},{"delta":{"content":"#"},"index":0}]}` + "\n\n" + `data: {"choices":[{"delta":{"content":"b"},"index":0},{"delta":{"content":"#c"},"index":1}]}` + "\n\n",
			`data: {"choices":[{"delta":{"content":"a"},"index":1},{"delta":{"content":""},"index":0}]}` + "\n\n" + `data: {"choices":[{"delta":{"content":"*b"},"index":0},{"delta":{"content":"**c"},"index":1}]}` + "\n\n"},
		{"what is told once is not told again",
			`data: {"id":"i","usage":{"n":1},"choices":[{"index":1,"delta":{"role":"assistant","tool_calls":[{"index":2,"id":"call","type":"function","function":{"name":"f","arguments":"{#"}}]}}]}` + "\n\n" + done,
			`data: {"id":"i","usage":{"n":1},"choices":[{"index":1,"delta":{"role":"assistant","tool_calls":[{"index":2,"id":"call","type":"function","function":{"name":"f","arguments":"{"}}]}}]}` + "\n\n" +
				`data: {"id":"i","choices":[{"index":1,"delta":{"tool_calls":[{"index":2,"function":{"arguments":"*"}}]}}]}` + "\n\n" + done},
		{"elements without an index keep their place",
			`data: {"choices":[{"text":"ab"},{"text":"#"}]}` + "\n\n",
			`data: {"choices":[{"text":"ab"},{"text":""}]}` + "\n\n" + `data: {"choices":[{"text":""},{"text":"*"}]}` + "\n\n"},

		{"responses", responses("i", "a#") + responses("j", "#") + responses("i", "#b") + "event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"item_id\":\"j\",\"output_index\":0,\"content_index\":0,\"text\":\"#\"}\n\n",
			responses("i", "a") + responses("j", "") + responses("i", "**b") + responses("j", "*") + "event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"item_id\":\"j\",\"output_index\":0,\"content_index\":0,\"text\":\"*\"}\n\n"},
		{"messages", messages(0, "text_delta", "text", "a#") + messages(1, "input_json_delta", "partial_json", `{"#`) + messages(0, "text_delta", "text", "#b") + blockStop(1) + blockStop(0),
			messages(0, "text_delta", "text", "a") + messages(1, "input_json_delta", "partial_json", `{"`) + messages(0, "text_delta", "text", "**b") + messages(1, "input_json_delta", "partial_json", `*`) + blockStop(1) + blockStop(0)},
		{"another block's end is none", messages(0, "text_delta", "text", "a#") + blockStop(1) + messages(0, "text_delta", "text", "#b"), messages(0, "text_delta", "text", "a") + blockStop(1) + messages(0, "text_delta", "text", "**b")},
		{"sound is no text", `data: {"type":"response.audio.delta","delta":"a#"}` + "\n\n" + `data: {"type":"response.audio.delta","delta":"#b"}` + "\n\n", `data: {"type":"response.audio.delta","delta":"a*"}` + "\n\n" + `data: {"type":"response.audio.delta","delta":"*b"}` + "\n\n"},
		{"broken off in a text", chat(0, "a#") + `data: {"choices":[{"index":0,"delta":{"content":"#`, chat(0, "a") + chat(0, "**") + `data: {"choices":[{"index":0,"delta":{"content":"`},
		{"broken off in an escape", `data: {"choices":[{"index":0,"delta":{"content":"#\u00`, `data: {"choices":[{"index":0,"delta":{"content":"*\u00`},
		{"a last event that is cut", chat(0, "a#") + strings.TrimSuffix(chat(0, "#b"), "\n"), chat(0, "a") + chat(0, "**b") + strings.TrimSuffix(chat(0, ""), "\n")},
		{"escapes", chat(0, "\"a#") + strings.Replace(chat(0, "?#b"), "?", `\u0023\n`, 1), chat(0, "\"a") + strings.Replace(chat(0, "**?*b"), "?", `\n`, 1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := everySplit(t, body.Events, body.Limits{}, func() []body.Stage { return []body.Stage{{Stream: hideRuns('#')}} }, tt.in)
			if got != tt.want {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
		})
	}
}
