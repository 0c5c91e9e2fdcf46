package vendors

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-proxy/sluice/internal/ai/wire"
)

// What is read of an answer. A stream says a word or two in an event, and has
// some hundred bytes around them; the text in it is bounded by maxReply.
const (
	maxReply  = 1 << 20
	maxStream = 8 << 20
)

// key returns the key, or "" where none is configured.
func key(e *wire.Endpoint) (string, error) {
	if e.Key == nil {
		return "", nil
	}
	k, err := e.Key()
	if err != nil {
		return "", &wire.Error{Kind: wire.KindKey}
	}
	return k.Reveal(), nil
}

// newClient returns an HTTP client that calls the hosts of the list and no
// others, follows no redirect, and reads bounded answers.
func newClient(o *wire.Endpoint) (*http.Client, error) {
	hosts := o.Egress
	if len(hosts) == 0 {
		u, err := url.Parse(o.BaseURL)
		if err != nil || u.Hostname() == "" {
			return nil, fmt.Errorf("the address of the provider has no host")
		}
		hosts = []string{u.Hostname()}
	}
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        60 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return &http.Client{
		Transport:     &guarded{next: t, hosts: hosts},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// guarded is the way out.
type guarded struct {
	next  *http.Transport
	hosts []string
}

var errEgress = errors.New("the host is not on the egress list")

// RoundTrip implements http.RoundTripper.
func (g *guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if !slices.Contains(g.hosts, r.URL.Hostname()) {
		return nil, errEgress
	}
	resp, err := g.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	bound := int64(maxReply)
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		bound = maxStream
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, bound)
	if resp.StatusCode >= 300 && resp.StatusCode < 400 {
		// The SDKs would read it as an answer.
		resp.StatusCode = http.StatusForbidden
	}
	return resp, nil
}

// CloseIdleConnections lets go of what is kept open.
func (g *guarded) CloseIdleConnections() { g.next.CloseIdleConnections() }

// classify turns an SDK's error into one of ours. status and header are those
// of the answer where there was one.
func classify(ctx context.Context, err error, status int, header http.Header) error {
	var ours *wire.Error
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &ours):
		return ours
	case errors.Is(err, errEgress):
		return &wire.Error{Kind: wire.KindEgress}
	case errors.As(err, new(*http.MaxBytesError)):
		return &wire.Error{Kind: wire.KindTooLong}
	case status == 0:
		var ne net.Error
		var op *url.Error
		if errors.As(err, &op) || errors.As(err, &ne) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return &wire.Error{Kind: wire.KindConnect}
		}
		return &wire.Error{Kind: wire.KindMalformed}
	}
	e := &wire.Error{Kind: wire.KindRefused, Status: status, RetryAfter: retryAfter(header)}
	switch {
	case status == http.StatusTooManyRequests:
		e.Kind = wire.KindLimited
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		e.Kind = wire.KindKey
	case status >= 500:
		e.Kind = wire.KindServer
	}
	return e
}

// retryAfter reads Retry-After (RFC 9110, 10.2.3), and retry-after-ms.
func retryAfter(h http.Header) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("retry-after-ms"), 64); err == nil && ms > 0 {
		return time.Duration(min(ms, 1e9) * float64(time.Millisecond))
	}
	v := h.Get("retry-after")
	if s, err := strconv.ParseFloat(v, 64); err == nil && s > 0 {
		return time.Duration(min(s, 1e6) * float64(time.Second))
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(t))
	}
	return 0
}

// schemaName is the name that an answer's schema or tool goes by.
const schemaName = "answer"

// said is an answer, whole or gathered from the parts of a stream.
type said struct {
	text strings.Builder
	// tool holds the arguments of the call that gives the answer, called
	// whether there is one.
	tool   strings.Builder
	called bool
	// spoke: there is an answer, if an empty one. declined: it is a refusal.
	spoke, declined bool
	model, finish   string
	input, output   int64
	first           time.Duration
}

// answered begins the call that gives the answer. Of several the last counts.
func (s *said) answered(arguments string) {
	s.called = true
	s.tool.Reset()
	s.tool.WriteString(arguments)
}

// add adds a part of the answer to b, within the bound.
func (s *said) add(b *strings.Builder, part string) error {
	if b.Len()+len(part) > maxReply {
		return &wire.Error{Kind: wire.KindTooLong}
	}
	b.WriteString(part)
	return nil
}

// reply makes a reply of the answer.
func (s *said) reply(structured bool) (*wire.Reply, error) {
	switch {
	case s.declined:
		return nil, &wire.Error{Kind: wire.KindFiltered}
	case !s.spoke:
		return nil, &wire.Error{Kind: wire.KindMalformed}
	}
	text := s.text.String()
	if s.called {
		text = s.tool.String()
	}
	if structured {
		text = trimJSON(text)
	}
	return &wire.Reply{Text: text, Model: s.model, Finish: s.finish, InputTokens: int(s.input), OutputTokens: int(s.output), FirstChunk: s.first}, nil
}

// broken is the error of a stream that a vendor ends with one of its own, by
// the words that vendors have for it.
func broken(word string) error {
	switch word = strings.ToLower(word); {
	case strings.Contains(word, "rate_limit"):
		return &wire.Error{Kind: wire.KindLimited}
	case strings.Contains(word, "content_filter"):
		return &wire.Error{Kind: wire.KindFiltered}
	case strings.Contains(word, "authentication"), strings.Contains(word, "permission"):
		return &wire.Error{Kind: wire.KindKey}
	case strings.Contains(word, "invalid_request"), strings.Contains(word, "too_large"), strings.Contains(word, "not_found"):
		return &wire.Error{Kind: wire.KindRefused}
	}
	return &wire.Error{Kind: wire.KindServer}
}

// trimJSON cuts a code fence off that models put around JSON.
func trimJSON(s string) string {
	b := bytes.TrimSpace([]byte(s))
	if rest, ok := bytes.CutPrefix(b, []byte("```")); ok {
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			rest = rest[i+1:]
		}
		b = bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("```")))
	}
	return string(b)
}
