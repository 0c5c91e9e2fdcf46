package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"text/template"
	"time"
)

// Listener is one way of configuring ext_proc.
type Listener struct {
	// Name is how tests find it.
	Name string
	// Request and Response are body modes: NONE where empty.
	Request, Response string
	// Trailers: they are sent to Sluice. Full duplex demands it.
	Trailers bool
	// Override: allow_mode_override is set, and declared.
	Override bool
	// MessageTimeout is 5s where empty. MaxMessageTimeout is not set where
	// empty.
	MessageTimeout, MaxMessageTimeout string
	// BufferLimit is per_connection_buffer_limit_bytes; Envoy's 1 MiB where 0.
	BufferLimit int
	// Observe is observability_mode.
	Observe bool
	// FailureModeAllow is failure_mode_allow.
	FailureModeAllow bool
}

// Find returns the path of the Envoy to test with.
func Find() (string, error) { return find("SLUICE_ENVOY", "envoy", "envoy") }

// find returns the program that the environment variable names, or that is on
// PATH by the name, or that `make target` got.
func find(env, name, target string) (string, error) {
	if p := os.Getenv(env); p != "" {
		if _, err := os.Stat(p); err != nil {
			return "", fmt.Errorf("%s: %w: run `make %s`", env, err, target)
		}
		return p, nil
	}
	if p, err := exec.LookPath(name); err == nil {
		return p, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("looking for %s: %w", name, err)
	}
	for {
		p := filepath.Join(dir, ".tools", "bin", name)
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
		if filepath.Dir(dir) == dir {
			return "", fmt.Errorf("there is no %s: run `make %s`, or name one in %s", name, target, env)
		}
		dir = filepath.Dir(dir)
	}
}

// Envoy is one that runs.
type Envoy struct {
	admin string
	addrs map[string]string
	cmd   *exec.Cmd
	ended chan struct{}
	log   *tail
	dir   string
}

var bootstrap = template.Must(template.New("envoy").Parse(`admin:
  address: {socket_address: {address: 127.0.0.1, port_value: 0}}
static_resources:
  listeners:
{{- range .Listeners}}
  - name: {{.Name}}
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    {{- if .BufferLimit}}
    per_connection_buffer_limit_bytes: {{.BufferLimit}}
    {{- end}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: {{.Name}}
          http2_protocol_options: {max_concurrent_streams: 800}
          delayed_close_timeout: 0.1s
          http_protocol_options: {enable_trailers: true}
          proxy_100_continue: true
          upgrade_configs: [{upgrade_type: websocket}]
          route_config:
            name: all
            virtual_hosts:
            - name: all
              domains: ["*"]
              # The backend is told what Sluice put into dynamic metadata.
              request_headers_to_add: [{header: {key: x-metadata, value: "%DYNAMIC_METADATA(sluice)%"}}]
              routes:
              - match: {prefix: /direct/}
                direct_response: {status: 200, body: {inline_string: "write to jane@example.com"}}
              - match: {prefix: /gone/}
                route: {cluster: gone}
              - name: h2
                match: {prefix: /, headers: [{name: x-upstream, string_match: {exact: h2}}]}
                route: {cluster: h2, timeout: 120s}
              - name: h1
                match: {prefix: /}
                route: {cluster: h1, timeout: 120s}
          http_filters:
          - name: envoy.filters.http.ext_proc
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor
              grpc_service:
                envoy_grpc: {cluster_name: sluice}
                initial_metadata:
                {{- if .Override}}
                - {key: sluice-mode-override, value: "true"}
                {{- end}}
                {{- if .MaxMessageTimeout}}
                - {key: sluice-max-message-timeout, value: {{.MaxMessageTimeout}}}
                {{- end}}
                - {key: sluice-message-timeout, value: {{.MessageTimeout}}}
              message_timeout: {{.MessageTimeout}}
              {{- if .MaxMessageTimeout}}
              max_message_timeout: {{.MaxMessageTimeout}}
              {{- end}}
              failure_mode_allow: {{.FailureModeAllow}}
              observability_mode: {{.Observe}}
              {{- if .Observe}}
              deferred_close_timeout: 0.2s
              {{- end}}
              allow_mode_override: {{.Override}}
              request_attributes: [source.address, xds.route_name]
              metadata_options: {receiving_namespaces: {untyped: [sluice]}}
              processing_mode:
                request_header_mode: SEND
                response_header_mode: SEND
                request_body_mode: {{.Request}}
                response_body_mode: {{.Response}}
                request_trailer_mode: {{if .Trailers}}SEND{{else}}SKIP{{end}}
                response_trailer_mode: {{if .Trailers}}SEND{{else}}SKIP{{end}}
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
{{- end}}
  clusters:
  - name: h1
    type: STATIC
    connect_timeout: 20s
    circuit_breakers: &many {thresholds: [{max_connections: 100000, max_pending_requests: 100000, max_requests: 100000}]}
    load_assignment: {cluster_name: h1, endpoints: [{lb_endpoints: [{endpoint: {address: {{.Backend}}}}]}]}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http_protocol_options: {enable_trailers: true}}
  - name: h2
    type: STATIC
    connect_timeout: 20s
    circuit_breakers: *many
    load_assignment: {cluster_name: h2, endpoints: [{lb_endpoints: [{endpoint: {address: {{.Backend}}}}]}]}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {max_concurrent_streams: 800}}
  - name: gone
    type: STATIC
    load_assignment: {cluster_name: gone, endpoints: []}
  - name: sluice
    type: STATIC
    connect_timeout: 20s
    circuit_breakers: *many
    load_assignment: {cluster_name: sluice, endpoints: [{lb_endpoints: [{endpoint: {address: {{.Sluice}}}}]}]}
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {max_concurrent_streams: 800}}
`))

func address(a net.Addr) string {
	if t, ok := a.(*net.TCPAddr); ok {
		return fmt.Sprintf("{socket_address: {address: %s, port_value: %d}}", t.IP, t.Port)
	}
	return fmt.Sprintf("{pipe: {path: %q}}", a.String())
}

// Start runs Envoy with the listeners, between the backend and Sluice.
func Start(ctx context.Context, backend, sluice net.Addr, listeners ...Listener) (*Envoy, error) {
	path, err := Find()
	if err != nil {
		return nil, err
	}
	for i := range listeners {
		l := &listeners[i]
		for _, into := range []*string{&l.Request, &l.Response} {
			if *into == "" {
				*into = "NONE"
			}
		}
		if l.MessageTimeout == "" {
			l.MessageTimeout = "5s"
		}
	}
	dir, err := os.MkdirTemp("", "sluice-e2e-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for Envoy: %w", err)
	}
	var text bytes.Buffer
	err = bootstrap.Execute(&text, map[string]any{"Listeners": listeners, "Backend": address(backend), "Sluice": address(sluice)})
	if err != nil {
		return nil, fmt.Errorf("writing Envoy's configuration: %w", err)
	}
	config, adminFile := filepath.Join(dir, "envoy.yaml"), filepath.Join(dir, "admin")
	if err := os.WriteFile(config, text.Bytes(), 0o600); err != nil {
		return nil, fmt.Errorf("writing Envoy's configuration: %w", err)
	}
	e := &Envoy{log: &tail{}, dir: dir, addrs: map[string]string{}, ended: make(chan struct{})}
	// One worker: what the matrix needs is order, not speed.
	e.cmd = exec.Command(path, "-c", config, "--admin-address-path", adminFile, "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warn")
	e.cmd.Stdout, e.cmd.Stderr = e.log, e.log
	if err := e.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting Envoy: %w", err)
	}
	go func() { _ = e.cmd.Wait(); close(e.ended) }()
	if err := e.await(ctx, adminFile); err != nil {
		e.Stop()
		return nil, fmt.Errorf("%w; Envoy says:\n%s", err, e.log)
	}
	return e, nil
}

// await waits until Envoy serves, and learns where.
func (e *Envoy) await(ctx context.Context, adminFile string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return errors.New("Envoy is not ready in time")
		case <-e.ended:
			return errors.New("Envoy has ended")
		case <-time.After(20 * time.Millisecond):
		}
		if e.admin == "" {
			b, err := os.ReadFile(adminFile)
			if err != nil || len(b) == 0 {
				continue
			}
			e.admin = strings.TrimSpace(string(b))
		}
		if s, err := e.ask("/ready"); err != nil || !strings.HasPrefix(s, "LIVE") {
			continue
		}
		text, err := e.ask("/listeners?format=json")
		if err != nil {
			return err
		}
		var list struct {
			ListenerStatuses []struct {
				Name         string `json:"name"`
				LocalAddress struct {
					SocketAddress struct {
						PortValue int `json:"port_value"`
					} `json:"socket_address"`
				} `json:"local_address"`
			} `json:"listener_statuses"`
		}
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			return fmt.Errorf("reading Envoy's listeners: %w", err)
		}
		for _, l := range list.ListenerStatuses {
			e.addrs[l.Name] = fmt.Sprintf("127.0.0.1:%d", l.LocalAddress.SocketAddress.PortValue)
		}
		return nil
	}
}

func (e *Envoy) ask(path string) (string, error) {
	resp, err := http.Get("http://" + e.admin + path)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// Addr returns the address of a listener.
func (e *Envoy) Addr(listener string) string { return e.addrs[listener] }

// Stats returns the counters of ext_proc that are not 0, and Envoy's last log
// lines: what a failed test prints.
func (e *Envoy) Stats() string {
	text, err := e.ask("/stats?usedonly&filter=ext_proc")
	if err != nil {
		text = err.Error() + "\n"
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasSuffix(line, ": 0\n") {
			b.WriteString(line)
		}
	}
	return b.String() + e.log.String()
}

// Stop ends Envoy.
func (e *Envoy) Stop() {
	if e.cmd.Process != nil {
		_ = e.cmd.Process.Kill()
		<-e.ended
	}
	_ = os.RemoveAll(e.dir)
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if n := len(t.buf) - 8<<10; n > 0 {
		t.buf = append(t.buf[:0], t.buf[n:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
