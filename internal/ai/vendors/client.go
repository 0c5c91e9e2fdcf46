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
	"time"

	"github.com/sluice-proxy/sluice/internal/ai/wire"
)

// maxReply is the largest answer that is read.
const maxReply = 1 << 20

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
	body := resp.Body
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(body, maxReply), body}
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
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errEgress):
		return &wire.Error{Kind: wire.KindEgress}
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
