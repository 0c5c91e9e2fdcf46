package extproc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	modev3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-proxy/sluice/extproc"
	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/all"
	"github.com/sluice-proxy/sluice/internal/audit"
	"github.com/sluice-proxy/sluice/internal/h2"
	"github.com/sluice-proxy/sluice/internal/telemetry"
	"github.com/sluice-proxy/sluice/policies"
)

// silent is a data plane that takes every reply.
type silent struct{ bytes int }

func (*silent) Context() context.Context { return context.Background() }
func (*silent) Header(string) string     { return "" }
func (*silent) Flush()                   {}
func (*silent) End(error)                {}
func (s *silent) Send(head, tail []byte) error {
	s.bytes += len(head) + len(tail)
	return nil
}

// serverOf is a server with a policy, the metrics and an audit log.
func serverOf(tb testing.TB, policy string) *extproc.Server {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		tb.Fatal(err)
	}
	store, err := policies.Open(tb.Context(), &policies.Loader{Registry: all.Registry()}, file)
	if err != nil {
		tb.Fatal(err)
	}
	log, err := audit.Open(audit.Config{Stdout: io.Discard})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = log.Close(context.Background()) })
	metrics := telemetry.NewMetrics()
	return extproc.New(store, extproc.Options{Recorder: telemetry.NewFanout(metrics, log), Metrics: metrics})
}

const (
	maskBoth = `apiVersion: sluice/v1
kind: Policy
metadata: {name: mask}
spec:
  match: {paths: [/v1/**]}
  request: [{filter: pii}]
  response: [{filter: pii}]
`
	changeHeaders = `apiVersion: sluice/v1
kind: Policy
metadata: {name: headers}
spec:
  match: {paths: [/v1/**]}
  request:
    - filter: transform
      with: {headers: [{set: x-bench, value: "1"}, {remove: x-internal}]}
  response:
    - filter: transform
      with: {headers: [{set: x-bench, value: "1"}]}
`
)

// customers is a document with five personal values a record.
func customers(n int) string {
	var b strings.Builder
	b.WriteString(`{"page":1,"customers":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"email":"customer%d@example.com","phone":"+1 202 555 0%03d","card":"4111 1111 1111 1111","ssn":"078-05-%04d","ip":"192.0.2.%d","tier":"gold","active":true,"balance":1024.50,"notes":"Prefers letters, renewed in spring, order A-%d."}`,
			i, i, i%1000, 1000+i%9000, i%250, i)
	}
	b.WriteString("]}")
	return b.String()
}

// messagesOf are an exchange in full duplex, as the data plane writes them.
func messagesOf(tb testing.TB, request, response string) [][]byte {
	tb.Helper()
	const duplex = modev3.ProcessingMode_FULL_DUPLEX_STREAMED
	head := func(d filters.Direction, end bool, pairs ...string) *extprocv3.ProcessingRequest {
		var fs []filters.Field
		for i := 0; i < len(pairs); i += 2 {
			fs = append(fs, filters.Field{Name: pairs[i], Value: pairs[i+1]})
		}
		return headersOf(d, fs, end)
	}
	all := []*extprocv3.ProcessingRequest{head(filters.Request, request == "", ":method", "POST", ":path", "/v1/customers", ":authority", "api.example.com",
		":scheme", "http", "content-type", "application/json", "x-request-id", "3f2a6c1e-0000-4000-8000-000000000000", "user-agent", "bench")}
	all[0].ProtocolConfig = &extprocv3.ProtocolConfiguration{RequestBodyMode: duplex, ResponseBodyMode: duplex}
	if request != "" {
		all = append(all, bodyOf(filters.Request, request, true))
	}
	all = append(all, head(filters.Response, response == "", ":status", "200", "content-type", "application/json"))
	if response != "" {
		all = append(all, bodyOf(filters.Response, response, true))
	}
	var out [][]byte
	for _, m := range all {
		b, err := proto.Marshal(m)
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

// play plays an exchange.
func play(tb testing.TB, server *extproc.Server, messages [][]byte) {
	peer := &silent{}
	session := server.OpenPeer(peer)
	for _, m := range messages {
		err := session.Message(m)
		if errors.Is(err, h2.ErrApart) {
			err = session.Message(m)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	session.Close(nil)
	if peer.bytes == 0 {
		tb.Fatal("no reply")
	}
}

func BenchmarkExchange(b *testing.B) {
	for _, c := range []struct{ name, policy, request, response string }{
		{"headers", changeHeaders, "", ""},
		{"response", maskBoth, "", customers(6)},
		{"request", maskBoth, customers(6), ""},
	} {
		b.Run(c.name, func(b *testing.B) {
			server := serverOf(b, c.policy)
			messages := messagesOf(b, c.request, c.response)
			b.ReportAllocs()
			for b.Loop() {
				play(b, server, messages)
			}
		})
	}
}
