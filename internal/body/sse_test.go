package body_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/filters"
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

		{"an index twice in an event",
			`data: {"choices":[{"index":0,"text":"a#"},{"index":0,"text":"#"}],"n":1}` + "\n\n" + `data: {"choices":[{"index":1,"text":"#"}],"n":2}` + "\n\n",
			`data: {"choices":[{"index":0,"text":"a"},{"index":0,"text":""}],"n":1}` + "\n\n" + `data: {"choices":[{"index":1,"text":""}],"n":2}` + "\n\n" +
				`data: {"choices":[{"index":0,"text":"**"}],"n":1}` + "\n\n" + `data: {"choices":[{"index":1,"text":"*"}],"n":2}` + "\n\n"},

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

// count replaces every run of #'s by how many there are: it needs to see all
// of a run at once.
var count = streamFunc(func(v *filters.Value) error {
	for i := 0; i < len(v.Text); {
		if v.Text[i] != '#' {
			i++
			continue
		}
		j := i
		for j < len(v.Text) && v.Text[j] == '#' {
			j++
		}
		if j == len(v.Text) && v.More {
			v.Hold(i)
			return nil
		}
		v.Edit(i, j, fmt.Appendf(nil, "<%d>", j-i))
		i = j
	}
	return nil
})

// counted is what count makes of a whole text.
func counted(text string) string {
	return regexp.MustCompile("#+").ReplaceAllStringFunc(text, func(s string) string { return fmt.Sprintf("<%d>", len(s)) })
}

func TestEventsAndPaths(t *testing.T) {
	in := chat(0, "a#") + chat(1, "#") + chat(0, "#b") + `data: {"choices":[{"index":0,"delta":{"reasoning":"#"}}],"note":"#"}` + "\n\ndata: t#\n\n" + done
	for _, tt := range []struct {
		paths    []string
		unparsed filters.Unparsed
		want     string
	}{
		{[]string{"$.choices[*].delta.content"}, filters.PassUnparsed,
			chat(0, "a") + chat(1, "") + chat(0, "<2>b") + `data: {"choices":[{"index":0,"delta":{"reasoning":"#"}}],"note":"#"}` + "\n\ndata: t#\n\n" + chat(1, "<1>") + done},
		{[]string{"$.note"}, filters.PassUnparsed, strings.Replace(in, `"note":"#"`, `"note":"<1>"`, 1)},
		{[]string{"$.none"}, filters.PassUnparsed, in},
		{[]string{"$.none"}, filters.ScanAsText, strings.Replace(in, "data: t#\n\n", "data: t\n\ndata: <1>\n\n", 1)},
	} {
		got := everySplit(t, body.Events, body.Limits{}, func() []body.Stage {
			return []body.Stage{{Stream: count, Paths: paths(t, tt.paths...), Unparsed: tt.unparsed}}
		}, in)
		if got != tt.want {
			t.Errorf("%v, %s:\n got %q\nwant %q", tt.paths, tt.unparsed, got, tt.want)
		}
	}
}

// TestEventsUnderAnotherType: a type that does not tell of events does not
// take the text in them apart.
func TestEventsUnderAnotherType(t *testing.T) {
	in := messages(0, "text_delta", "text", "a#") + messages(0, "text_delta", "text", "#b") + blockStop(0)
	want := messages(0, "text_delta", "text", "a") + messages(0, "text_delta", "text", "<2>b") + blockStop(0)
	refused := errors.New("refused")
	for _, f := range []body.Format{body.Text, body.JSON, body.Lines} {
		for _, unparsed := range []filters.Unparsed{filters.ScanAsText, filters.PassUnparsed, filters.DenyUnparsed} {
			for _, before := range []string{"", "\r\n\n"} {
				stages := func() []body.Stage {
					return []body.Stage{{Stream: count, Unparsed: unparsed, OnUnparsed: func(context.Context) error { return refused }}}
				}
				if f != body.Text && unparsed == filters.DenyUnparsed {
					if _, _, err := run(f, body.Limits{}, stages(), []byte(in)); !errors.Is(err, refused) {
						t.Errorf("format %d: %v", f, err)
					}
					continue
				}
				want := before + want
				if f != body.Text && unparsed == filters.PassUnparsed {
					want = before + in
				}
				if got := everySplit(t, f, body.Limits{}, stages, before+in); got != want {
					t.Errorf("format %d, %s:\n got %q\nwant %q", f, unparsed, got, want)
				}
			}
		}
	}
	// What only begins like it.
	for _, doc := range []string{"data", "event:", "event: #\n", "data: #", "event: " + strings.Repeat("#", 300), "data:\n  a: #\n", "datum #", "d", "event: a\ndata#"} {
		if got := everySplit(t, body.Text, body.Limits{}, func() []body.Stage { return []body.Stage{{Stream: count}} }, doc); got != counted(doc) {
			t.Errorf("%q: %q", doc, got)
		}
	}
}

// TestEventsThroughStages: a later stage sees what an earlier one made, and
// each holds for itself.
func TestEventsThroughStages(t *testing.T) {
	in := chat(0, "a#") + chat(0, "#x") + chat(0, "xb") + chatStop(0)
	want := chat(0, "a") + chat(0, "<2>") + chat(0, "**b") + chatStop(0)
	got := everySplit(t, body.Events, body.Limits{}, func() []body.Stage {
		return []body.Stage{{Stream: count}, {Stream: hide, Paths: paths(t, "$.choices[*].delta.content")}}
	}, in)
	if got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// TestJoinedValuesAsAWhole: what a stage wants of the value, not of its text.
func TestJoinedValuesAsAWhole(t *testing.T) {
	in := chat(0, "ab") + chat(0, "cd") + chat(1, "z") + chat(0, "ef") + chatStop(0)
	after := func(n int, do func(v *filters.Value)) streamFunc {
		return func(v *filters.Value) error {
			if v.Kind == filters.String && v.Key == "content" && string(v.Text) != "z" {
				if n--; n < 0 {
					do(v)
				}
			}
			return nil
		}
	}
	for _, tt := range []struct {
		name string
		do   func(v *filters.Value)
		n    int
		want string
	}{
		{"removed", (*filters.Value).Remove, 0, chat(0, "") + chat(0, "") + chat(1, "z") + chat(0, "") + chatStop(0)},
		{"removed from the second on", (*filters.Value).Remove, 1, chat(0, "ab") + chat(0, "") + chat(1, "z") + chat(0, "") + chatStop(0)},
		{"replaced", func(v *filters.Value) { v.ReplaceJSON([]byte(`"\"n\""`)) }, 0, chat(0, `"n"`) + chat(0, "") + chat(1, "z") + chat(0, "") + chatStop(0)},
		{"replaced by what is no string", func(v *filters.Value) { v.ReplaceJSON([]byte(`{"a":1}`)) }, 0, chat(0, `{"a":1}`) + chat(0, "") + chat(1, "z") + chat(0, "") + chatStop(0)},
		{"renamed", func(v *filters.Value) { v.Rename("n") }, 0,
			strings.Replace(strings.ReplaceAll(in, `"content"`, `"n"`), `"n":"z"`, `"content":"z"`, 1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := everySplit(t, body.Events, body.Limits{}, func() []body.Stage {
				return []body.Stage{{Stream: after(tt.n, tt.do)}}
			}, in)
			if got != tt.want {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
		})
	}
}

// TestJoin: what a step names besides what is known.
func TestJoin(t *testing.T) {
	part := func(candidate int, text string) string {
		return fmt.Sprintf(`data: {"candidates":[{"content":{"parts":[{"text":%q}]},"index":%d}]}`+"\r\n\r\n", text, candidate)
	}
	stop := `data: {"candidates":[{"content":{"parts":[{"text":"#"}]},"index":1,"finishReason":"STOP"}]}` + "\r\n\r\n"
	in := part(0, "a#") + part(1, "#") + part(0, "##b") + stop
	join, err := body.CompileJoin([]string{"$.candidates[*].content.parts[*].text"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		join *body.Paths
		want string
	}{
		{join, part(0, "a") + part(1, "") + part(0, "<3>b") + strings.Replace(stop, "#", "<2>", 1)},
		{nil, part(0, "a<1>") + part(1, "<1>") + part(0, "<2>b") + strings.Replace(stop, "#", "<1>", 1)},
	} {
		// What one stage joins is joined for the other.
		got := everySplit(t, body.Events, body.Limits{}, func() []body.Stage {
			return []body.Stage{{Stream: count}, {Stream: hide, Paths: paths(t, "$.none"), Join: tt.join}}
		}, in)
		if got != tt.want {
			t.Errorf("\n got %q\nwant %q", got, tt.want)
		}
	}
	var pe *body.PathError
	for _, bad := range []string{"candidates", "$.a[-1]", "$.a[?@.b]"} {
		if _, err := body.CompileJoin([]string{"$.a", bad}); !errors.As(err, &pe) || pe.Index != 1 || !pe.Join {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestWhatIsMadeIsMadeOfWhatWentOut: an event that is made for what is left
// holds nothing that a stage has hidden.
func TestWhatIsMadeIsMadeOfWhatWentOut(t *testing.T) {
	in := `event: n#` + "\n" + `data: {"secret":"####","logprobs":{"content":[{"token":"##"}]},"choices":[{"index":0,"user":"##","delta":{"content":"a##"}}]}` + "\n\n"
	want := `event: n<1>` + "\n" + `data: {"secret":"<4>","logprobs":{"content":[{"token":"<2>"}]},"choices":[{"index":0,"user":"<2>","delta":{"content":"a"}}]}` + "\n\n" +
		`event: n<1>` + "\n" + `data: {"secret":"<4>","choices":[{"index":0,"user":"<2>","delta":{"content":"<2>"}}]}` + "\n\n"
	if got := everySplit(t, body.Events, body.Limits{}, func() []body.Stage { return []body.Stage{{Stream: count}} }, in); got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

func TestEventsBeyondTheirBound(t *testing.T) {
	long := strings.Repeat("é ", 40)
	in := chat(0, "a#") + "data: {\"a\":\"" + long + "##" + long + "\"}\n\n" + chat(0, "#b") + chatStop(0)
	failure := errors.New("unparsed")
	for _, tt := range []struct {
		unparsed filters.Unparsed
		err      error
		want     string
	}{
		// What was held of the text before does not wait for the long event.
		{filters.ScanAsText, nil, chat(0, "a") + chat(0, "<1>") + "data: {\"a\":\"" + long + "<2>" + long + "\"}\n\n" + chat(0, "<1>b") + chatStop(0)},
		{filters.PassUnparsed, nil, chat(0, "a") + chat(0, "<1>") + "data: {\"a\":\"" + long + "##" + long + "\"}\n\n" + chat(0, "<1>b") + chatStop(0)},
		{filters.DenyUnparsed, failure, ""},
	} {
		stages := func() []body.Stage {
			return []body.Stage{{Stream: count, Unparsed: tt.unparsed, OnUnparsed: func(context.Context) error { return failure }}}
		}
		lim := body.Limits{EventBytes: 200}
		if tt.err != nil {
			if out, _, err := run(body.Events, lim, stages(), []byte(in)); !errors.Is(err, tt.err) || strings.Contains(out, "#") {
				t.Errorf("%v, %q", err, out)
			}
			continue
		}
		if got := everySplit(t, body.Events, lim, stages, in); got != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.unparsed, got, tt.want)
		}
	}
}

// TestChannelsHaveABound: with more values at once than are followed, the one
// that has been quiet for longest is complete.
func TestChannelsHaveABound(t *testing.T) {
	in := chat(0, "a#") + chat(1, "b#") + chat(0, "#") + chat(2, "c#") + chat(0, "#d")
	want := chat(0, "a") + chat(1, "b") + chat(0, "") + chat(1, "<1>") + chat(2, "c") + chat(0, "<3>d") + chat(2, "<1>")
	if got := everySplit(t, body.Events, body.Limits{Channels: 2}, func() []body.Stage { return []body.Stage{{Stream: count}} }, in); got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	// And what they keep has one.
	e := body.NewEditor(body.Events, []body.Stage{{Stream: count}}, body.Limits{EventBytes: 4096})
	for i := range 2000 {
		if _, err := e.Write(t.Context(), nil, []byte(chat(i, strings.Repeat("#", 500)))); err != nil {
			t.Fatal(err)
		}
		if e.Held() > 4096 {
			t.Fatalf("%d bytes are held", e.Held())
		}
	}
}

// TestManyTextsInOneEvent: what is not followed for want of room is complete
// at once; and what is made of one large event stays small.
func TestManyTextsInOneEvent(t *testing.T) {
	choices := func(text func(i int) string) string {
		var cs []string
		for i := range 4 {
			cs = append(cs, fmt.Sprintf(`{"index":%d,"delta":{"content":%q}}`, i, text(i)))
		}
		return `data: {"choices":[` + strings.Join(cs, ",") + "]}\n\n"
	}
	made := func(i int, text string) string {
		return fmt.Sprintf(`data: {"choices":[{"index":%d,"delta":{"content":%q}}]}`+"\n\n", i, text)
	}
	in := choices(func(int) string { return "a#" }) + choices(func(int) string { return "#" })
	want := choices(func(i int) string { return []string{"a", "a", "a<1>", "a<1>"}[i] }) +
		choices(func(i int) string { return []string{"", "", "<1>", "<1>"}[i] }) + made(0, "<2>") + made(1, "<2>")
	if got := everySplit(t, body.Events, body.Limits{Channels: 2}, func() []body.Stage { return []body.Stage{{Stream: count}} }, in); got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}

	// 200 texts in an event of 1 MiB, of which each would hold something: the
	// first 16 may.
	var cs []string
	for i := range 200 {
		cs = append(cs, fmt.Sprintf(`{"delta":{"content":"#"},"n":%d,"other":[%q]}`, i, strings.Repeat("x", 5000)))
	}
	large := `data: {"choices":[` + strings.Join(cs, ",") + "]}\n\n"
	out := one(t, body.Events, []body.Stage{{Stream: count}}, large)
	if more := len(out) - len(large); more > len(large) || strings.Count(out, "<1>") != 200 || strings.Count(out, "\n\n") != 17 {
		t.Errorf("%d bytes more, and %d texts", more, strings.Count(out, "<1>"))
	}
}

// TestLongTextsInEvents: a text that one stage never lets go of is shown as
// complete at the pieces' bound, and a long part is shown in pieces.
func TestLongTextsInEvents(t *testing.T) {
	long := strings.Repeat("é\n", 100)
	in := chat(0, long+"##") + chat(0, "##"+long) + chatStop(0)
	want := chat(0, long) + chat(0, "<4>"+long) + chatStop(0)
	if got := everySplit(t, body.Events, body.Limits{PieceBytes: 32}, func() []body.Stage { return []body.Stage{{Stream: count}} }, in); got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	e := body.NewEditor(body.Events, []body.Stage{{Stream: count}}, body.Limits{PieceBytes: 32})
	var out []byte
	for range 50 {
		var err error
		if out, err = e.Write(t.Context(), out, []byte(chat(0, strings.Repeat("#", 10)))); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Contains(out, []byte("<140>")) {
		t.Errorf("nothing was let go of: %q", out)
	}
}

// TestBrokenOffAnywhere: wherever a stream breaks off, nothing that a stage
// would hide is there, and no text of a complete event is lost.
func TestBrokenOffAnywhere(t *testing.T) {
	in := chat(0, "one #") + messages(3, "text_delta", "text", "two ##") + chat(0, "## a") + responses("i", "three #\n#") + messages(3, "text_delta", "text", "#") + "data: t#\n\n"
	for cut := range len(in) {
		out := one(t, body.Events, []body.Stage{{Stream: hideRuns('#')}}, in[:cut])
		if strings.Contains(out, "#") {
			t.Fatalf("cut at %d: %q", cut, out)
		}
		before := in[:strings.LastIndex(in[:cut], "\n\n")+1]
		want := strings.Count(before, "#")
		got := 0
		for _, ev := range dispatch([]byte(out)) {
			if ev.complete {
				got += strings.Count(ev.data, "*")
			}
		}
		if got < want {
			t.Fatalf("cut at %d: %d of %d hidden characters are left in %q", cut, got, want, out)
		}
	}
}

// dispatched is an event as a client reads it. texts are its comments, names,
// identifiers and the lines of unknown fields.
type dispatched struct {
	name, data string
	texts      []string
	complete   bool
}

// dispatch reads a whole stream, by WHATWG HTML 9.2.6.
func dispatch(doc []byte) []dispatched {
	text := strings.TrimPrefix(string(doc), "\ufeff")
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	var out []dispatched
	var ev dispatched
	lines := strings.Split(text, "\n")
	var data []string
	finish := func(complete bool) {
		ev.complete, ev.data = complete, strings.Join(data, "\n")
		out = append(out, ev)
		ev, data = dispatched{}, nil
	}
	for i, line := range lines {
		if line == "" {
			if i < len(lines)-1 {
				finish(true)
			}
			continue
		}
		field, value, colon := strings.Cut(line, ":")
		if colon && field == "" {
			ev.texts = append(ev.texts, value)
			continue
		}
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "data":
			data = append(data, value)
		case "event":
			ev.name = value
			ev.texts = append(ev.texts, value)
		case "id":
			ev.texts = append(ev.texts, value)
		default:
			ev.texts = append(ev.texts, line)
		}
	}
	if len(ev.texts) > 0 || data != nil {
		finish(false)
	}
	return out
}

// FuzzSSE compares what a stage is shown with what a client and encoding/json
// read, and checks that nothing is changed that nobody edits, that nothing is
// left of what a stage hides, and that the answer does not depend on the cuts.
func FuzzSSE(f *testing.F) {
	for _, s := range []string{"data: {\"a\":\"#\"}\n\n", "\xef\xbb\xbf: c\r\nid:1\revent: e\ndata:[1,\"\\u0023\"\r\ndata: ]\r\n\r\n", "data: a#\n\ndata: #b\r\rdata: [DONE]\n\n", "foo#\n\ndata: {\"a\":#", "data\n\n\r\n",
		chat(0, "a#") + chat(1, "#") + chatStop(1), responses("i", "#"), messages(0, "text_delta", "text", "#") + blockStop(0), `data: "a#` + "\n\n", "00#\n" + strings.Repeat("y", 600) + "#"} {
		f.Add([]byte(s), uint64(1))
	}
	f.Fuzz(func(t *testing.T, doc []byte, seed uint64) {
		if len(doc) > 4000 {
			return
		}
		wide := body.Limits{Depth: 10_000, NameBytes: 1 << 20}
		var seen []string
		see := streamFunc(func(v *filters.Value) error {
			if len(v.Text) > 0 {
				seen = append(seen, string([]rune(string(v.Text))))
			}
			return nil
		})
		if out, _, err := run(body.Events, wide, []body.Stage{{Stream: see}}, doc); err != nil || out != string(doc) {
			t.Fatalf("the stream was changed: %q, %v", out, err)
		}
		var want []string
		for _, ev := range dispatch(doc) {
			if !ev.complete {
				break // it is read as far as it goes
			}
			want = append(want, ev.texts...)
			switch trimmed := strings.Trim(ev.data, " \t\n"); {
			case trimmed == "" || trimmed == "[DONE]":
			case strings.ContainsRune("{[\"", rune(trimmed[0])) && json.Valid([]byte(ev.data)):
				want = append(want, tokens(t, []byte(ev.data))...)
			default:
				want = append(want, ev.data)
			}
		}
		want = slices.DeleteFunc(want, func(s string) bool { return s == "" })
		for i, s := range want {
			if want[i] = string([]rune(s)); i >= len(seen) || seen[i] != want[i] {
				t.Fatalf("saw %q\nwant %q", seen, want)
			}
		}

		stages := func() []body.Stage {
			return []body.Stage{{Stream: hideRuns('#')}, {Stream: remove, Paths: paths(t, "$..b", "$.choices[1]"), Exact: true}, {Stream: hide, Paths: paths(t, "$..content")}}
		}
		lim := body.Limits{PieceBytes: 24, NameBytes: 64, Depth: 16, EventBytes: 512, Channels: 2}
		whole, _, err := run(body.Events, lim, stages(), doc)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(whole, "#") {
			t.Fatalf("%q became %q", doc, whole)
		}
		var chunks [][]byte
		for rest := doc; len(rest) > 0; {
			seed = seed*6364136223846793005 + 1442695040888963407
			n := min(1+int(seed>>33)%7, len(rest))
			chunks, rest = append(chunks, rest[:n]), rest[n:]
		}
		if got, _, err := run(body.Events, lim, stages(), chunks...); err != nil || got != whole {
			t.Fatalf("cut: %q, %v\nwhole: %q", got, err, whole)
		}
	})
}

// FuzzJoined plays streams of texts that are spread over events, and compares
// what a client puts together with what becomes of the whole texts.
func FuzzJoined(f *testing.F) {
	f.Add([]byte("\x00a#\x01#\x00#b\x43\x02##\x22#\x45"))
	f.Add([]byte("\x01#\x02#\x00#\x01#\x02#\x00#\x41\x42\x40"))
	f.Fuzz(func(t *testing.T, program []byte) {
		type channel struct{ provider, n int }
		write := func(c channel, text string) string {
			switch c.provider {
			case 0:
				return chat(c.n, text)
			case 1:
				return responses(fmt.Sprint(c.n), text)
			case 2:
				return messages(c.n, "text_delta", "text", text)
			}
			return "event: " + fmt.Sprint(c.n) + "\ndata: " + text + "\n\n"
		}
		in, want := "", map[string]string{}
		open := map[channel]string{} // since the channel last ended
		end := func(c channel) {
			want[fmt.Sprint(c)] += counted(open[c])
			delete(open, c)
		}
		for len(program) > 0 {
			op := program[0]
			program = program[1:]
			c := channel{int(op) % 4, int(op/4) % 3}
			if op < 0xC0 {
				n := 0
				for n < len(program) && n < 6 && (program[n] == '#' || program[n] >= 'a' && program[n] <= 'z') {
					n++
				}
				text := string(program[:n])
				program = program[n:]
				if c.provider < 3 {
					text += []string{"", "\"", "\n", "é"}[op/48]
				}
				in += write(c, text)
				open[c] += text
				continue
			}
			switch c.provider {
			case 0:
				in += chatStop(c.n)
				end(c)
			case 1:
				in += fmt.Sprintf(`data: {"type":"response.output_text.done","item_id":"%d","output_index":0,"content_index":0}`+"\n\n", c.n)
				end(c)
			case 2:
				in += blockStop(c.n)
				end(c)
			default:
				in += done
				for c := range open {
					end(c)
				}
			}
		}
		for c := range open {
			end(c)
		}
		out := one(t, body.Events, []body.Stage{{Stream: count}}, in)
		got := map[string]string{}
		for _, ev := range dispatch([]byte(out)) {
			var doc struct {
				Type    string
				Index   int
				Item    string `json:"item_id"`
				Delta   json.RawMessage
				Choices []struct {
					Index int
					Delta struct{ Content string }
				}
			}
			var text string
			var block struct{ Text string }
			c := channel{provider: 3}
			switch err := json.Unmarshal([]byte(ev.data), &doc); {
			case ev.data == "[DONE]" || ev.data == "" && ev.name == "":
				continue
			case err != nil || ev.data[0] != '{':
				text = ev.data
				_, _ = fmt.Sscan(ev.name, &c.n)
			case doc.Type == "content_block_delta":
				c = channel{2, doc.Index}
				if err := json.Unmarshal(doc.Delta, &block); err != nil {
					t.Fatal(err)
				}
				text = block.Text
			case doc.Type == "response.output_text.delta":
				c.provider = 1
				_, _ = fmt.Sscan(doc.Item, &c.n)
				if err := json.Unmarshal(doc.Delta, &text); err != nil {
					t.Fatal(err)
				}
			case len(doc.Choices) == 1:
				c, text = channel{0, doc.Choices[0].Index}, doc.Choices[0].Delta.Content
			default:
				continue
			}
			got[fmt.Sprint(c)] += text
		}
		for c, text := range want {
			if got[c] != text {
				t.Fatalf("%s: got %q, want %q\nof %q\nwas %q", c, got[c], text, in, out)
			}
		}
	})
}

// TestEventsLikeTheLast: events that are alike but for their text are dealt
// with as others are. A space in every second one makes them differ.
func TestEventsLikeTheLast(t *testing.T) {
	tokens := strings.Split(` one|xx| x|x x|\u0078|\"a\nb|é||stop|xxx| end`, "|")
	write := func(template string, differ bool) []byte {
		var b bytes.Buffer
		for i := range 40 {
			ev := strings.ReplaceAll(template, "TEXT", tokens[i*i%len(tokens)])
			if i%13 == 12 {
				ev = strings.ReplaceAll(ev, `"index":0`, `"index":1`)
			}
			if differ && i%2 == 0 {
				ev = strings.ReplaceAll(ev, "}\n", " }\n")
			}
			b.WriteString(ev)
		}
		return b.Bytes()
	}
	act := func(do func(v *filters.Value)) filters.Stream {
		return streamFunc(func(v *filters.Value) error {
			if v.Kind == filters.String {
				do(v)
			}
			return nil
		})
	}
	holdAll := act(func(v *filters.Value) { v.Hold(0) })
	for what, template := range map[string]string{
		"chat":      `data: {"id":"c","choices":[{"index":0,"delta":{"content":"TEXT"},"finish_reason":null}]}` + "\n\n",
		"messages":  "event: content_block_delta\n" + `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"TEXT"}}` + "\n\n",
		"responses": `data: {"type":"response.output_text.delta","item_id":"i","index":0,"delta":"TEXT"}` + "\n\n",
		"ends":      `data: {"choices":[{"index":0,"text":"a x","finish_reason":"TEXT"}]}` + "\n\n",
		"two":       `data: {"choices":[{"index":0,"delta":{"content":"TEXT","refusal":"TEXT"}}]}` + "\n\n",
	} {
		for how, stages := range map[string][]body.Stage{
			"all":     {{Stream: hide}},
			"content": {{Stream: hide, Paths: paths(t, "$.choices[*].delta.content", "$.delta", "$.choices[*].text")}},
			"several": {{Stream: hide, Paths: paths(t, "$..content", "$..delta")}, {Stream: hideRuns('*'), Paths: paths(t, "$..text", "$..delta")}},
			"held":    {{Stream: holdAll, Paths: paths(t, "$..content", "$..text", "$.delta")}},
			"none":    {{Stream: hide, Paths: paths(t, "$.none")}},
			"remove":  {{Stream: act((*filters.Value).Remove), Paths: paths(t, "$..content", "$.delta.text")}},
			"replace": {{Stream: act(func(v *filters.Value) { v.ReplaceJSON([]byte(`"gone"`)) }), Paths: paths(t, "$..content")}},
			"rename":  {{Stream: act(func(v *filters.Value) { v.Rename("renamed") }), Paths: paths(t, "$..content", "$.delta")}},
		} {
			alike, _, err := run(body.Events, body.Limits{}, stages, write(template, false))
			if err != nil {
				t.Fatal(err)
			}
			differ, _, err := run(body.Events, body.Limits{}, stages, write(template, true))
			if differ = strings.ReplaceAll(differ, " }\n", "}\n"); err != nil || alike != differ {
				t.Errorf("%s, %s: %v\n%s\nand where the events differ\n%s", what, how, err, alike, differ)
			}
		}
	}
}

// learner hides c from when it has seen two x at once on, and counts how
// often it has been shown the member id.
type learner struct {
	state, ids int
}

func (l *learner) Value(_ context.Context, v *filters.Value) error {
	if v.Key == "id" && v.Kind == filters.String {
		l.ids++
	}
	if bytes.Contains(v.Text, []byte("xx")) {
		l.state = 1
	}
	if i := bytes.IndexByte(v.Text, 'c'); l.state > 0 && i >= 0 && v.Kind == filters.String {
		v.Edit(i, i+1, []byte("*"))
	}
	return nil
}

func (l *learner) Close(context.Context, *filters.Ledger) (filters.Decision, error) {
	return filters.Decision{}, nil
}

// steadyLearner is one whose state is known.
type steadyLearner struct{ learner }

func (l *steadyLearner) State() (n int, ok bool) { return l.state, true }

// TestSteady: in events that are alike, a stage whose state stays the same is
// shown what is around the text once, and does what it does where it is shown
// all of it.
func TestSteady(t *testing.T) {
	for what, tt := range map[string]struct {
		template string
		text     string
		ids      int
	}{
		"nothing is learned": {`{"id":"c","choices":[{"index":0,"delta":{"content":"TEXT"}}]}`, "a b a b a", 1},
		// What it hides of an event it is shown each time.
		"learned":            {`{"id":"c","choices":[{"index":0,"delta":{"content":"TEXT"}}]}`, "a b xx b a b", 4},
		"nothing to hide":    {`{"id":"e","choices":[{"index":0,"delta":{"content":"TEXT"}}]}`, "a b xx b xx c", 2},
		"behind":             {`{"choices":[{"index":0,"delta":{"content":"TEXT"}}],"id":"c"}`, "a b xx b a b", 6},
		"before and behind":  {`{"id":"c","choices":[{"index":0,"delta":{"content":"TEXT"}}],"model":"c"}`, "a xx a", 3},
		"an object is shown": {`{"id":"e","logprobs":{},"choices":[{"index":0,"delta":{"content":"TEXT"}}]}`, "a b a b a", 1},
	} {
		var events []byte
		for _, text := range strings.Fields(tt.text) {
			events = append(events, "data: "+strings.ReplaceAll(tt.template, "TEXT", text)+"\n\n"...)
		}
		unsteady, steady := &learner{}, &steadyLearner{}
		want, _, err := run(body.Events, body.Limits{}, []body.Stage{{Stream: unsteady}}, events)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := run(body.Events, body.Limits{}, []body.Stage{{Stream: steady}}, events)
		if err != nil || got != want {
			t.Errorf("%s: %v\n%s, want\n%s", what, err, got, want)
		}
		if n := len(strings.Fields(tt.text)); unsteady.ids != n || steady.ids != tt.ids {
			t.Errorf("%s: the member was shown %d and %d times, want %d and %d", what, unsteady.ids, steady.ids, n, tt.ids)
		}
	}
}

// modelStream is a chat of 500 tokens, 30 of which are something to hide.
func modelStream() [][]byte {
	var events [][]byte
	for i := range 500 {
		tok := []string{" the", " quick", " brown", " fox", ".\n"}[i%5]
		if i%16 == 15 {
			tok = " ##"
		}
		events = append(events, []byte(chat(0, tok)))
	}
	return append(events, []byte(chatStop(0)), []byte(done))
}

func TestNoAllocationPerEvent(t *testing.T) {
	nothing := streamFunc(func(v *filters.Value) error { v.Hold(len(v.Text) - 1); return nil })
	events := modelStream()
	ctx := context.Background()
	out := make([]byte, 0, 4096)
	allocs := testing.AllocsPerRun(5, func() {
		e := body.NewEditor(body.Events, []body.Stage{{Stream: nothing}}, body.Limits{})
		for _, ev := range events {
			var err error
			if out, err = e.Write(ctx, out[:0], ev); err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocs > 60 { // the editor's own, for 502 events
		t.Errorf("%.0f allocations", allocs)
	}
}

// BenchmarkEvents edits a model's stream that comes event by event.
func BenchmarkEvents(b *testing.B) {
	nothing := streamFunc(func(*filters.Value) error { return nil })
	events := modelStream()
	size := len(bytes.Join(events, nil))
	for name, stage := range map[string]body.Stage{
		"nothing": {Stream: nothing, Paths: paths(b, "$.none")},
		"content": {Stream: hideRuns('#'), Paths: paths(b, "$.choices[*].delta.content")},
		"all":     {Stream: hideRuns('#')},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			out := make([]byte, 0, 4096)
			ctx := context.Background()
			for b.Loop() {
				e := body.NewEditor(body.Events, []body.Stage{stage}, body.Limits{})
				for _, ev := range events {
					out, _ = e.Write(ctx, out[:0], ev)
				}
				_, _ = e.Close(ctx, out[:0])
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(events)), "ns/event")
		})
	}
}
