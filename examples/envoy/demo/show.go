package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// call is one request of the demo and what is expected of it.
type call struct {
	title        string
	method, path string
	headers      [][2]string
	body         string
	// status of the answer.
	status int
	// inRequest: the request is what is changed, and shown as the backend got
	// it. The answer is, otherwise.
	inRequest bool
	// want has to be in what came through, and never must not.
	want, never []string
}

var calls = []call{
	{
		title:  "The customers, as a partner sees them",
		method: "GET", path: "/v1/customers", headers: [][2]string{{"x-api-key", "demo-partner"}}, status: 200,
		want:  []string{`"id": 20260000000000000001`, `"balance": 1.10`, `"card": "**** **** **** 1111"`},
		never: []string{"Jane Roe", "jane.roe@example.com", "john.doe@example.net", "078-05-1120", "555 0142", "4111 1111", "3704 0044"},
	},
	{
		title:  "The same, as support sees them",
		method: "GET", path: "/v1/customers", headers: [][2]string{{"x-api-key", "demo-support"}}, status: 200,
		want:  []string{"Jane Roe", "jane.roe@example.com", "+1 212 555 0142", `"card": "**** **** **** 1111"`},
		never: []string{"078-05-1120", "3704 0044"},
	},
	{
		title:  "A caller who claims to be support and has no key for it",
		method: "GET", path: "/v1/customers", headers: [][2]string{{"x-consumer-groups", "support"}}, status: 200,
		want:  []string{`"balance": 1.10`},
		never: []string{"Jane Roe", "jane.roe@example.com", "555 0142", "078-05-1120"},
	},
	{
		title:  "Plain text that arrives in pieces",
		method: "GET", path: "/v1/notes", headers: [][2]string{{"x-api-key", "demo-partner"}}, status: 200,
		want:  []string{"Called on Monday", "from now on."},
		never: []string{"billing@example.com", "4111 1111 1111 1111", "192.0.2.44"},
	},
	{
		title:  "A request: body and query, as the backend gets them",
		method: "POST", path: "/v1/tickets?from=jane.roe%40example.com&page=2", headers: [][2]string{{"x-api-key", "demo-partner"}, {"content-type", "application/json"}},
		body:   "{\n  \"subject\": \"card declined\",\n  \"text\": \"My card 4111-1111-1111-1111 does\\nnot work, call +1 212 555 0142\"\n}\n",
		status: 204, inRequest: true,
		want:  []string{"page=2", "card declined"},
		never: []string{"jane.roe", "4111-1111", "555 0142"},
	},
	{
		title:  "A large transfer by nobody in particular",
		method: "POST", path: "/v1/transfers", headers: [][2]string{{"content-type", "application/json"}},
		body: "{\"amount\": 25000, \"currency\": \"EUR\"}\n", status: 403, inRequest: false,
		want: []string{"https://example.com/problems/key-needed", `"status"`},
	},
	{
		title:  "A simple prompt, which goes to the small model",
		method: "POST", path: "/v1/ask", headers: [][2]string{{"content-type", "application/json"}, {"x-upstream", "large-model"}},
		body: "{\"prompt\": \"What is twelve times twelve?\"}\n", status: 204, inRequest: true,
		want: []string{"POST /models/small", "twelve"},
	},
	{
		title:  "A complex prompt, which goes to the large one",
		method: "POST", path: "/v1/ask", headers: [][2]string{{"content-type", "application/json"}},
		body:   "{\"prompt\": \"Compare three consensus algorithms in detail, explain the trade-offs step by step and recommend one.\"}\n",
		status: 204, inRequest: true,
		want: []string{"POST /models/large", "consensus"},
	},
}

// show sends the requests and prints them.
type show struct {
	out             io.Writer
	backend         *backend
	direct, through string
}

// all returns how many answers were not as expected.
func (s *show) all(ctx context.Context) (wrong int) {
	for i, c := range calls {
		if ctx.Err() != nil {
			return wrong
		}
		fmt.Fprintf(s.out, "%d. %s\n   %s %s", i+1, c.title, c.method, c.path)
		for _, h := range c.headers {
			fmt.Fprintf(s.out, "  %s: %s", h[0], h[1])
		}
		fmt.Fprintln(s.out)
		if problems := s.one(ctx, c); len(problems) > 0 {
			wrong++
			for _, p := range problems {
				fmt.Fprintln(s.out, "   NOT AS EXPECTED:", p)
			}
		}
		fmt.Fprintln(s.out)
	}
	return wrong
}

func (s *show) one(ctx context.Context, c call) (problems []string) {
	_, raw, err := send(ctx, s.direct, c)
	if err != nil {
		return []string{err.Error()}
	}
	before := s.backend.received()
	status, after, err := send(ctx, s.through, c)
	if err != nil {
		return []string{err.Error()}
	}
	got := s.backend.received()
	left, right := "the backend's answer", fmt.Sprintf("through Envoy and Sluice: %d", status)
	switch {
	case c.inRequest:
		left, right, raw, after = "sent", "what the backend gets", before, got
	case status != 200:
		left, raw = "sent", before
		if got != "" {
			problems = append(problems, "the backend got the request")
		}
	}
	beside(s.out, left, right, raw, after)
	if status != c.status {
		problems = append(problems, fmt.Sprintf("status %d and not %d", status, c.status))
	}
	for _, w := range c.want {
		if !strings.Contains(after, w) {
			problems = append(problems, fmt.Sprintf("%q is missing", w))
		}
	}
	for _, n := range c.never {
		if strings.Contains(after, n) {
			problems = append(problems, fmt.Sprintf("%q came through", n))
		}
	}
	return problems
}

func send(ctx context.Context, base string, c call) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var content io.Reader
	if c.body != "" {
		content = strings.NewReader(c.body)
	}
	req, err := http.NewRequestWithContext(ctx, c.method, base+c.path, content)
	if err != nil {
		return 0, "", err
	}
	for _, h := range c.headers {
		req.Header.Set(h[0], h[1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, "", fmt.Errorf("reading the answer: %w", err)
	}
	return resp.StatusCode, string(b), nil
}

// column is the width of each of the two columns.
const column = 62

// beside prints two texts line by line in two columns, with a mark between
// lines that differ.
func beside(out io.Writer, leftTitle, rightTitle, left, right string) {
	fmt.Fprintf(out, "   %s | %s\n   %s-+-%s\n", pad(leftTitle), rightTitle, strings.Repeat("-", column), strings.Repeat("-", column))
	l := strings.Split(strings.TrimRight(left, "\n"), "\n")
	r := strings.Split(strings.TrimRight(right, "\n"), "\n")
	for i := range max(len(l), len(r)) {
		a, b := at(l, i), at(r, i)
		mark := "|"
		if a != b {
			mark = "#"
		}
		fa, fb := fold(a), fold(b)
		for j := range max(len(fa), len(fb)) {
			fmt.Fprintf(out, "   %s %s %s\n", pad(at(fa, j)), mark, at(fb, j))
		}
	}
}

// at is line i, or nothing behind the last.
func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

// fold splits a line into pieces that fit into a column.
func fold(line string) []string {
	var pieces []string
	rs := []rune(line)
	for len(rs) > column {
		pieces = append(pieces, string(rs[:column]))
		rs = rs[column:]
	}
	return append(pieces, string(rs))
}

func pad(s string) string {
	return s + strings.Repeat(" ", max(0, column-utf8.RuneCountInString(s)))
}
