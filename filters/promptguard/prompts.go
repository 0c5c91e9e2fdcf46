package promptguard

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
)

// piece is a text of a prompt, and where the body has it: the bytes of a chat,
// or the number of the value in any other body.
type piece struct {
	start, end int
	text       string
}

// said is a prompt: what one role says in one place.
type said struct {
	roles  []Role // more than one where a message names more than one
	pieces []piece
	// loose: a member that no API has, or a member's name. It is looked at by
	// itself, and has no topic.
	loose bool
	// list and at are the message's place; list is nil for what is no message.
	list *node
	at   int
}

// text is the prompt as a whole.
func (s *said) text() string {
	if len(s.pieces) == 1 {
		return s.pieces[0].text
	}
	var b strings.Builder
	for i, p := range s.pieces {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.text)
	}
	return b.String()
}

// is reports whether the prompt is one of a role in rs.
func (s *said) is(rs []Role) bool {
	return slices.ContainsFunc(s.roles, func(r Role) bool { return slices.Contains(rs, r) })
}

// chat is a body of one of the known APIs.
type chat struct {
	doc     []byte
	prompts []said
	// tokens: a prompt is written as numbers, which cannot be read.
	tokens bool
}

// readChat reads a body as a chat; nil where it is none.
func readChat(doc []byte) *chat {
	root := parse(doc)
	if root == nil || !isChat(root) {
		return nil
	}
	c := &chat{doc: doc}
	for i, name := range root.names {
		m := root.kids[i]
		switch name {
		case "model":
		case "messages", "input":
			c.messages(m)
		case "prompt", "suffix":
			c.plain(User, m)
		case "system", "instructions", "tools", "functions", "tool_choice", "function_call", "response_format", "text":
			c.plain(System, m)
		default:
			c.loose(m)
		}
	}
	return c
}

// isChat reports whether an object has what the APIs need: messages, or a
// model and something for it.
func isChat(root *node) bool {
	for _, m := range root.get("messages") {
		if m.kind == array && len(m.kids) > 0 && !slices.ContainsFunc(m.kids, func(k *node) bool { return k.kind != object }) {
			return true
		}
	}
	return len(root.get("model")) > 0 && len(root.get("input"))+len(root.get("prompt")) > 0
}

// messages reads messages (chat completions, Anthropic) or an input
// (Responses).
func (c *chat) messages(list *node) {
	if list.kind != array {
		c.plain(User, list)
		return
	}
	c.numbers(list)
	for i, m := range list.kids {
		if m.kind != object {
			c.plain(User, m)
			continue
		}
		s := said{roles: rolesOf(m), list: list, at: i}
		c.message(&s, m)
	}
}

// message reads a message or a part of one into s. The result of a tool is a
// prompt of its own.
func (c *chat) message(s *said, m *node) {
	at := len(c.prompts)
	c.prompts = append(c.prompts, said{})
	c.strings(s, m)
	c.prompts[at] = *s
}

// labels are members of messages and their parts that hold no text: names,
// and files by address or in base64.
var labels = []string{
	"role", "type", "id", "name", "tool_call_id", "tool_use_id", "call_id", "status", "media_type", "mime_type",
	"detail", "file_id", "filename", "format", "url", "image_url", "file_url", "file_data", "signature", "encrypted_content", "cache_control",
}

// results are members of a call that the model's server has made by itself,
// with what came of it.
var results = []string{"output", "outputs", "results"}

// strings collects the texts in n.
func (c *chat) strings(s *said, n *node) {
	switch n.kind {
	case text:
		s.pieces = append(s.pieces, piece{n.start, n.end, n.text})
	case array:
		for _, k := range n.kids {
			if k.kind == object && k.word("type") == "tool_result" && !s.is([]Role{Tool}) {
				c.message(&said{roles: []Role{Tool}}, k)
				continue
			}
			c.strings(s, k)
		}
	case object:
		call := strings.HasSuffix(n.word("type"), "_call")
		for i, name := range n.names {
			if call && slices.Contains(results, name) && !s.is([]Role{Tool}) {
				c.message(&said{roles: []Role{Tool}}, n.kids[i])
				continue
			}
			if slices.Contains(labels, name) || name == "data" && n.word("type") != "text" {
				continue
			}
			c.strings(s, n.kids[i])
		}
	}
}

// plain reads a text, texts in a list, or whatever texts an object has.
func (c *chat) plain(r Role, n *node) {
	switch n.kind {
	case text:
		c.prompts = append(c.prompts, said{roles: []Role{r}, pieces: []piece{{n.start, n.end, n.text}}})
	case array:
		if r == User {
			c.numbers(n)
		}
		for _, k := range n.kids {
			c.plain(r, k)
		}
	case object:
		s := said{roles: []Role{r}}
		c.strings(&s, n)
		c.prompts = append(c.prompts, s)
	}
}

// numbers takes note of a list of token ids.
func (c *chat) numbers(list *node) {
	c.tokens = c.tokens || slices.ContainsFunc(list.kids, func(k *node) bool { return k.kind == number })
}

// loose reads what no API has.
func (c *chat) loose(n *node) {
	if n.kind == text {
		c.prompts = append(c.prompts, said{roles: []Role{User}, loose: true, pieces: []piece{{n.start, n.end, n.text}}})
	}
	for _, k := range n.kids {
		c.loose(k)
	}
}

// rolesOf returns whose a message is. One that does not say it, or names a
// role that is not known, counts as the user's.
func rolesOf(m *node) []Role {
	var rs []Role
	for _, n := range m.get("role") {
		r := User
		switch strings.ToLower(strings.TrimSpace(n.text)) {
		case "tool", "function":
			r = Tool
		case "system", "developer":
			r = System
		case "assistant", "model":
			r = Assistant
		}
		rs = append(rs, r)
	}
	if len(rs) > 0 {
		return rs
	}
	switch t := m.word("type"); {
	case strings.HasSuffix(t, "_output"):
		return []Role{Tool}
	case strings.HasSuffix(t, "_call"), t == "reasoning":
		return []Role{Assistant}
	}
	return []Role{User}
}

// splice is a stretch of the body and what takes its place.
type splice struct {
	start, end int
	with       []byte
}

// rewrite replaces the prompts that are hit, or removes their messages.
func (c *chat) rewrite(hit map[int]bool, r Rewriting) ([]byte, error) {
	with, err := json.Marshal(r.Text)
	if err != nil {
		return nil, err
	}
	var ss []splice
	gone := map[*node]map[int]bool{}
	for i := range c.prompts {
		p := &c.prompts[i]
		switch {
		case !hit[i]:
		case r.Remove && p.list != nil:
			if gone[p.list] == nil {
				gone[p.list] = map[int]bool{}
			}
			gone[p.list][p.at] = true
		default:
			for _, t := range p.pieces {
				ss = append(ss, splice{t.start, t.end, with})
			}
		}
	}
	for list, at := range gone {
		ss = append(ss, without(list, at)...)
	}
	slices.SortFunc(ss, func(a, b splice) int {
		if a.start != b.start {
			return a.start - b.start
		}
		return b.end - a.end
	})
	out := make([]byte, 0, len(c.doc)+len(ss)*len(with))
	pos := 0
	for _, s := range ss {
		if s.start < pos {
			continue // in a message that is removed
		}
		out = append(out, c.doc[pos:s.start]...)
		out = append(out, s.with...)
		pos = s.end
	}
	return append(out, c.doc[pos:]...), nil
}

// without removes elements of a list, each with one comma.
func without(list *node, at map[int]bool) []splice {
	first := 0
	for first < len(list.kids) && at[first] {
		first++
	}
	var ss []splice
	switch {
	case first == len(list.kids):
		return []splice{{start: list.kids[0].start, end: list.kids[first-1].end}}
	case first > 0:
		ss = append(ss, splice{start: list.kids[0].start, end: list.kids[first].start})
	}
	for i := first + 1; i < len(list.kids); i++ {
		if at[i] {
			ss = append(ss, splice{start: list.kids[i-1].end, end: list.kids[i].end})
		}
	}
	return ss
}

// values is a body of any other kind, seen value by value.
type values struct {
	doc   []byte
	typ   body.Type
	paths *body.Paths
}

// read returns the prompts: every text that the paths select, or that there
// is.
func (v *values) read(ctx context.Context) ([]said, error) {
	r := &reader{}
	_, err := v.pass(ctx, r)
	return r.prompts, err
}

// rewrite replaces the values that are hit.
func (v *values) rewrite(ctx context.Context, hit map[int]bool, text string) ([]byte, error) {
	return v.pass(ctx, &reader{hit: hit, with: []byte(text)})
}

func (v *values) pass(ctx context.Context, r *reader) ([]byte, error) {
	ed := v.typ.NewEditor([]body.Stage{{Stream: r, Paths: v.paths, Files: filters.ScanAllFiles}}, body.Limits{PieceBytes: len(v.doc) + 1})
	out, err := ed.Write(ctx, nil, v.doc)
	if err != nil {
		return nil, err
	}
	return ed.Close(ctx, out)
}

// reader takes values for prompts, or replaces them.
type reader struct {
	prompts []said
	hit     map[int]bool // nil: only read
	with    []byte
	seen    int
	inside  bool // a value that goes on
}

// Value implements filters.Stream.
func (r *reader) Value(ctx context.Context, v *filters.Value) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if v.Kind != filters.String && v.Kind != filters.Text && v.Kind != filters.Name {
		return nil
	}
	goes := r.inside
	r.inside = v.More
	if !goes {
		r.seen++
	}
	at := r.seen - 1
	switch {
	case r.hit != nil && r.hit[at] && goes:
		v.Edit(0, len(v.Text), nil)
	case r.hit != nil && r.hit[at]:
		v.Edit(0, len(v.Text), r.with)
	case r.hit != nil:
	case goes:
		r.prompts[at].pieces[0].text += string(v.Text)
	default:
		r.prompts = append(r.prompts, said{roles: []Role{User}, loose: v.Kind == filters.Name, pieces: []piece{{text: string(v.Text)}}})
	}
	return nil
}

// Close implements filters.Stream.
func (r *reader) Close(context.Context, *filters.Ledger) (filters.Decision, error) {
	return filters.Decision{}, nil
}
