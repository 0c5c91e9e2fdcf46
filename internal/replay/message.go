// Package replay plays one exchange through the pipeline without a data
// plane: for `sluice run`, and for scenarios in tests. It plays what the most
// capable data plane would do (full duplex), with the body cut as asked.
package replay

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
)

// Message is one HTTP message as text: a start line, header lines, an empty
// line, and the body as it is.
type Message struct {
	// Headers hold the start line too, as pseudo-headers.
	Headers  filters.Headers
	Body     []byte
	Trailers filters.Headers
}

// ParseRequest reads a request:
//
//	POST /v1/customers?x=1 HTTP/1.1
//	host: api.example.com
//	content-type: application/json
//
//	{"email": "jane@example.com"}
//
// Header names are lower-cased. Lines that start with "trailer " in the
// header block are trailers.
func ParseRequest(text []byte) (*Message, error) {
	start, m, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("parsing the request: %w", err)
	}
	parts := strings.Fields(start)
	if len(parts) < 2 || len(parts) > 3 || !strings.HasPrefix(parts[1], "/") && parts[1] != "*" {
		return nil, fmt.Errorf("parsing the request: the first line is to be METHOD /path [HTTP/1.1]")
	}
	host := m.Headers.Get("host")
	m.Headers.Apply(filters.Change{Op: filters.RemoveField, Name: "host"})
	fields := []filters.Field{{Name: ":method", Value: parts[0]}, {Name: ":path", Value: parts[1]}, {Name: ":scheme", Value: "http"}}
	if host != "" {
		fields = append(fields, filters.Field{Name: ":authority", Value: host})
	}
	m.prepend(fields)
	return m, nil
}

// ParseResponse reads a response, whose first line is "HTTP/1.1 200 OK" or
// just the status.
func ParseResponse(text []byte) (*Message, error) {
	start, m, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("parsing the response: %w", err)
	}
	parts := strings.Fields(start)
	if len(parts) > 0 && strings.HasPrefix(parts[0], "HTTP/") {
		parts = parts[1:]
	}
	if len(parts) == 0 || len(parts[0]) != 3 || strings.Trim(parts[0], "0123456789") != "" {
		return nil, fmt.Errorf("parsing the response: the first line is to be HTTP/1.1 STATUS")
	}
	m.prepend([]filters.Field{{Name: ":status", Value: parts[0]}})
	return m, nil
}

func (m *Message) prepend(fields []filters.Field) {
	for f := range m.Headers.All() {
		fields = append(fields, f)
	}
	m.Headers = filters.NewHeaders(fields...)
}

func parse(text []byte) (start string, m *Message, err error) {
	text = bytes.TrimLeft(text, "\r\n")
	head, body, _ := cutBlank(text)
	lines := strings.Split(strings.ReplaceAll(string(head), "\r\n", "\n"), "\n")
	m = &Message{Body: body}
	var headers, trailers []filters.Field
	for i, line := range lines[1:] {
		if line == "" {
			continue
		}
		name, isTrailer := strings.CutPrefix(line, "trailer ")
		k, v, ok := strings.Cut(name, ":")
		if !ok || strings.TrimSpace(k) == "" {
			return "", nil, fmt.Errorf("line %d is not a header", i+2)
		}
		f := filters.Field{Name: strings.ToLower(strings.TrimSpace(k)), Value: strings.TrimSpace(v)}
		if isTrailer {
			trailers = append(trailers, f)
		} else {
			headers = append(headers, f)
		}
	}
	m.Headers, m.Trailers = filters.NewHeaders(headers...), filters.NewHeaders(trailers...)
	return lines[0], m, nil
}

func cutBlank(text []byte) (head, body []byte, found bool) {
	i, n := bytes.Index(text, []byte("\n\n")), 2
	if j := bytes.Index(text, []byte("\r\n\r\n")); j >= 0 && (i < 0 || j < i) {
		i, n = j, 4
	}
	if i < 0 {
		return bytes.TrimRight(text, "\r\n"), nil, false
	}
	return text[:i], text[i+n:], true
}

// String writes the message as it would be parsed.
func (m *Message) String() string {
	var b strings.Builder
	if s := m.Headers.Get(":status"); s != "" {
		b.WriteString("HTTP/1.1 " + s + "\n")
	} else {
		b.WriteString(m.Headers.Get(":method") + " " + m.Headers.Get(":path") + " HTTP/1.1\n")
		if h := m.Headers.Get(":authority"); h != "" {
			b.WriteString("host: " + h + "\n")
		}
	}
	for f := range m.Headers.All() {
		if !strings.HasPrefix(f.Name, ":") {
			b.WriteString(f.Name + ": " + f.Value + "\n")
		}
	}
	for f := range m.Trailers.All() {
		b.WriteString("trailer " + f.Name + ": " + f.Value + "\n")
	}
	b.WriteString("\n")
	b.Write(m.Body)
	return b.String()
}
