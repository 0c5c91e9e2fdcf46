package pii_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/pii"
	"github.com/sluice-proxy/sluice/internal/body"
)

// provider is a model's stream as a client knows it.
type provider struct {
	name string
	key  string // of the member that the text is in
	// event is the event with a part of a channel's text, end the one that
	// ends the channel.
	event func(channel int, text string) string
	end   func(channel int) string
	// read takes a text out of an event's data.
	read func(data map[string]any) (channel int, text string, ok bool)
}

var providers = []provider{
	{"chat completions", "content",
		func(ch int, text string) string {
			return "data: " + marshal(map[string]any{"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m",
				"choices": []any{map[string]any{"index": ch, "delta": map[string]any{"content": text}, "finish_reason": nil}}}) + "\n\n"
		},
		func(ch int) string {
			return fmt.Sprintf(`data: {"id":"chatcmpl-1","choices":[{"index":%d,"delta":{},"finish_reason":"stop"}]}`+"\n\n", ch)
		},
		func(data map[string]any) (int, string, bool) {
			for _, c := range data["choices"].([]any) {
				choice := c.(map[string]any)
				text, ok := choice["delta"].(map[string]any)["content"].(string)
				return int(choice["index"].(float64)), text, ok
			}
			return 0, "", false
		}},
	{"tool calls", "arguments",
		func(ch int, text string) string {
			return "data: " + marshal(map[string]any{"id": "chatcmpl-1", "choices": []any{map[string]any{"index": 0, "finish_reason": nil,
				"delta": map[string]any{"tool_calls": []any{map[string]any{"index": ch, "function": map[string]any{"arguments": text}}}}}}}) + "\n\n"
		},
		func(int) string { return ": nothing\n\n" },
		func(data map[string]any) (int, string, bool) {
			call := data["choices"].([]any)[0].(map[string]any)["delta"].(map[string]any)["tool_calls"].([]any)[0].(map[string]any)
			return int(call["index"].(float64)), call["function"].(map[string]any)["arguments"].(string), true
		}},
	{"responses", "delta",
		func(ch int, text string) string {
			return "event: response.output_text.delta\ndata: " + marshal(map[string]any{"type": "response.output_text.delta", "item_id": fmt.Sprint("msg_", ch),
				"output_index": ch, "content_index": 0, "delta": text, "sequence_number": 3}) + "\n\n"
		},
		func(ch int) string {
			return fmt.Sprintf("event: response.output_text.done\ndata: "+`{"type":"response.output_text.done","item_id":"msg_%d","output_index":%d,"content_index":0,"text":""}`+"\n\n", ch, ch)
		},
		func(data map[string]any) (int, string, bool) {
			if data["type"] != "response.output_text.delta" {
				return 0, "", false
			}
			return int(data["output_index"].(float64)), data["delta"].(string), true
		}},
	{"messages", "text",
		func(ch int, text string) string {
			return "event: content_block_delta\ndata: " + marshal(map[string]any{"type": "content_block_delta", "index": ch,
				"delta": map[string]any{"type": "text_delta", "text": text}}) + "\n\n"
		},
		func(ch int) string {
			return fmt.Sprintf("event: content_block_stop\ndata: "+`{"type":"content_block_stop","index":%d}`+"\n\n", ch)
		},
		func(data map[string]any) (int, string, bool) {
			if data["type"] != "content_block_delta" {
				return 0, "", false
			}
			return int(data["index"].(float64)), data["delta"].(map[string]any)["text"].(string), true
		}},
}

func marshal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// read puts the texts of a stream together as a client does.
func (p *provider) texts(t *testing.T, stream string) map[int]string {
	t.Helper()
	stream = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(stream)
	texts := map[int]string{}
	for _, event := range strings.Split(stream, "\n\n") {
		for _, line := range strings.Split(event, "\n") {
			data, ok := strings.CutPrefix(line, "data: ")
			if !ok || data == "[DONE]" {
				continue
			}
			var doc map[string]any
			if err := json.Unmarshal([]byte(data), &doc); err != nil {
				t.Fatalf("an event's data is no JSON: %v", err)
			}
			if ch, text, ok := p.read(doc); ok {
				texts[ch] += text
			}
		}
	}
	return texts
}

// editor returns an editor with one pii step.
func editor(t testing.TB, f body.Format) *body.Editor { return editorOf(t, f, nil) }

// editorOf looks for some entities only; for all where there are none.
func editorOf(t testing.TB, f body.Format, entities []string) *body.Editor {
	t.Helper()
	def := pii.Definition()
	cfg := def.Config().(*pii.Config)
	cfg.Entities = entities
	filter, err := def.New(cfg, filters.Env{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := filter.(filters.Streamer).Open(context.Background(), &filters.Exchange{}, filters.Response)
	if err != nil {
		t.Fatal(err)
	}
	return body.NewEditor(f, []body.Stage{{Stream: stream}}, body.Limits{})
}

// whole is a text masked in one piece.
func whole(t *testing.T, key, text string) string {
	t.Helper()
	e := editor(t, body.JSON)
	out, err := e.Write(context.Background(), nil, []byte(marshal(map[string]string{key: text})))
	if err == nil {
		out, err = e.Close(context.Background(), out)
	}
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	return got[key]
}

var snippets = []string{"Write to ", "jane.doe@example.com", " or ", "joe+tag@mail.example.org", ", card 4111 1111 1111 1111", " and 4111-1111-1111-1111",
	"\n\"call\" +1 202 555 0143", " \\o/ ", "(202) 555-0143", " 078-05-1120 ", " 192.0.2.44", "ünïcödé 🙂 ", "{\"mail\": \"jane@example.com\"}", " ", ". ", "Nothing here at all, ", "GB29 NWBK 6016 1331 9268 19"}

// tokens cuts a text into tokens of a few characters.
func tokens(rnd *rand.Rand, text string) []string {
	var out []string
	for rs := []rune(text); len(rs) > 0; {
		n := min(1+rnd.IntN(9), len(rs))
		out, rs = append(out, string(rs[:n])), rs[n:]
	}
	return out
}

func TestTextOverEventsIsMaskedAsOne(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, p := range providers {
		t.Run(p.name, func(t *testing.T) {
			for range 150 {
				want := map[int]string{}
				left := map[int][]string{}
				for ch := range 1 + rnd.IntN(3) {
					var text strings.Builder
					for range 1 + rnd.IntN(12) {
						text.WriteString(snippets[rnd.IntN(len(snippets))])
					}
					want[ch] = whole(t, p.key, text.String())
					left[ch] = tokens(rnd, text.String())
				}
				var stream strings.Builder
				for n := len(left); len(left) > 0; {
					ch := rnd.IntN(n)
					switch toks, live := left[ch]; {
					case !live:
					case len(toks) == 0:
						if rnd.IntN(4) > 0 {
							stream.WriteString(p.end(ch))
						}
						delete(left, ch)
					default:
						stream.WriteString(p.event(ch, toks[0]))
						left[ch] = toks[1:]
					}
					if rnd.IntN(10) == 0 {
						stream.WriteString(": keep-alive\n\n")
					}
				}
				if rnd.IntN(2) == 0 {
					stream.WriteString("data: [DONE]\n\n")
				}
				in := stream.String()
				in = strings.ReplaceAll(in, "\n", []string{"\n", "\r\n", "\r"}[rnd.IntN(3)])
				if rnd.IntN(4) == 0 {
					in = in[:len(in)-1] // no blank line at the end
				}
				e := editor(t, body.Events)
				var out []byte
				var err error
				for rest := []byte(in); len(rest) > 0 && err == nil; {
					n := min(1+rnd.IntN(400), len(rest))
					out, err = e.Write(context.Background(), out, bytes.Clone(rest[:n]))
					rest = rest[n:]
				}
				if err == nil {
					out, err = e.Close(context.Background(), out)
				}
				if err != nil {
					t.Fatal(err)
				}
				got := p.texts(t, string(out))
				for ch := range want {
					if got[ch] != want[ch] {
						t.Fatalf("channel %d:\n got %q\nwant %q\nof %q", ch, got[ch], want[ch], in)
					}
				}
			}
		})
	}
}

// TestHeldOfAText measures how many bytes of a text are held back after each
// event: no more than what a match may still need. Where names are not looked
// for that is nothing where nothing is live; a word with a capital waits for
// the words that tell whether it is a name.
func TestHeldOfAText(t *testing.T) {
	text := "hello there, write to jane.doe@example.com or call +1 202 555 0143 about card 4111 1111 1111 1111, please. " +
		strings.Repeat("thank you very much for all that you have done for us. ", 20)
	for _, looks := range []struct {
		name       string
		entities   []string
		most, none int
	}{
		{"patterns", []string{"EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD"}, 64, 10},
		{"everything", nil, 176, 0},
	} {
		for _, p := range providers {
			t.Run(looks.name+"/"+p.name, func(t *testing.T) {
				e := editorOf(t, body.Events, looks.entities)
				rnd := rand.New(rand.NewPCG(3, 4))
				in, out, most, none := 0, 0, 0, 0
				for _, tok := range append([]string{"hello "}, tokens(rnd, text)...) {
					got, err := e.Write(context.Background(), nil, []byte(p.event(0, tok)))
					if err != nil {
						t.Fatal(err)
					}
					if len(got) == 0 {
						t.Fatal("an event was held")
					}
					in, out = in+len(tok), out+len(p.texts(t, string(got))[0])
					if most = max(most, in-out); in == out {
						none++
					}
					if in == len("hello ") && out != in && looks.entities != nil {
						t.Errorf("of the first token, %d bytes were held", in-out)
					}
				}
				t.Logf("at most %d bytes held, nothing after %d events", most, none)
				if most > looks.most {
					t.Errorf("%d bytes were held", most)
				}
				if none < looks.none {
					t.Errorf("text was held after all but %d events", none)
				}
			})
		}
	}
}
