package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// connections is how many clients load Envoy at once.
const connections = 32

// front is one Envoy with a listener for each processor.
type front struct {
	addrs          []string
	envoy, backend *process
}

func (f *front) stop() {
	for _, p := range []*process{f.envoy, f.backend} {
		if p != nil {
			p.stop()
		}
	}
}

func serveBackend(spec string) error {
	addr, file, _ := strings.Cut(spec, "=")
	body, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	srv := &http.Server{Addr: addr, ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/events" {
			serveEvents(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})}
	return srv.ListenAndServe()
}

// startEnvoys starts an Envoy in front of processors and of a backend that
// answers with a body.
func (o *options) startEnvoys(ctx context.Context, dir string, processors []string, body []byte) (f *front, err error) {
	f = &front{}
	defer func() {
		if err != nil {
			f.stop()
		}
	}()
	if f.addrs, err = freeAddrs(len(processors) + 1); err != nil {
		return f, err
	}
	backend := f.addrs[len(processors)]
	f.addrs = f.addrs[:len(processors)]
	file, config := filepath.Join(dir, "body.json"), filepath.Join(dir, "envoy.yaml")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		return f, err
	}
	self, err := os.Executable()
	if err != nil {
		return f, err
	}
	at := place{log: filepath.Join(dir, "envoy.log")}
	if f.backend, err = start(ctx, at, self, "backend", backend+"="+file); err != nil {
		return f, err
	}
	text, clusters := "static_resources:\n  listeners:\n", "  clusters:\n"+cluster("backend", backend, false)
	for i, addr := range processors {
		name := "processor-" + strconv.Itoa(i)
		text += listener(name, f.addrs[i])
		clusters += cluster(name, addr, true)
	}
	if err := os.WriteFile(config, []byte(text+clusters), 0o600); err != nil {
		return f, err
	}
	if f.envoy, err = start(ctx, at, o.envoy, "-c", config, "--concurrency", "2", "--log-level", "warn", "--use-dynamic-base-id"); err != nil {
		return f, err
	}
	for _, a := range append(slices.Clone(f.addrs), backend) {
		if err := await(ctx, a); err != nil {
			log, _ := os.ReadFile(at.log)
			return f, fmt.Errorf("%w\n%s", err, log)
		}
	}
	return f, nil
}

func socket(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	return fmt.Sprintf("{socket_address: {address: %s, port_value: %s}}", host, port)
}

func listener(name, addr string) string {
	return fmt.Sprintf(`  - name: %[1]s
    address: %[2]s
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: %[1]s
          route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: backend}}]}]}
          http_filters:
          - name: envoy.filters.http.ext_proc
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor
              grpc_service: {envoy_grpc: {cluster_name: %[1]s}}
              message_timeout: 5s
              processing_mode: {request_header_mode: SEND, response_header_mode: SEND, request_body_mode: NONE, response_body_mode: FULL_DUPLEX_STREAMED, response_trailer_mode: SEND}
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
`, name, socket(addr))
}

func cluster(name, addr string, h2 bool) string {
	s := fmt.Sprintf("  - name: %s\n    type: STATIC\n    load_assignment: {cluster_name: %s, endpoints: [{lb_endpoints: [{endpoint: {address: %s}}]}]}\n", name, name, socket(addr))
	if h2 {
		s += `    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {http2_protocol_options: {}}
`
	}
	return s
}

// load sends requests through one of the listeners: with wrk where it is on
// PATH, else with a generator of the same shape that costs more itself.
func (f *front) load(ctx context.Context, i int, d time.Duration) (played, error) {
	url := "http://" + f.addrs[i] + "/v1/customers"
	if wrk, err := exec.LookPath("wrk"); err == nil {
		return runWrk(ctx, wrk, url, d)
	}
	return runClients(ctx, url, d)
}

var (
	wrkTotal   = regexp.MustCompile(`(\d+) requests in ([\d.]+)s`)
	wrkLatency = regexp.MustCompile(`(?m)^\s+(50|99)%\s+([\d.]+)(us|ms|s)`)
	wrkBad     = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)`)
)

func runWrk(ctx context.Context, wrk, url string, d time.Duration) (played, error) {
	out, err := exec.CommandContext(ctx, wrk, "-t1", "-c", strconv.Itoa(connections), "-d", strconv.Itoa(max(1, int(d.Seconds())))+"s", "--latency", url).Output()
	if err != nil {
		return played{}, fmt.Errorf("wrk: %w", err)
	}
	if m := wrkBad.FindString(string(out)); m != "" {
		return played{}, fmt.Errorf("wrk: %s", m)
	}
	m := wrkTotal.FindStringSubmatch(string(out))
	if m == nil {
		return played{}, errors.New("wrk printed no total")
	}
	n, _ := strconv.Atoi(m[1])
	sec, _ := strconv.ParseFloat(m[2], 64)
	res := played{exchanges: n, perSecond: float64(n) / sec}
	for _, l := range wrkLatency.FindAllStringSubmatch(string(out), -1) {
		v, err := time.ParseDuration(l[2] + l[3])
		if err != nil {
			return played{}, err
		}
		if l[1] == "50" {
			res.p50 = v
		} else {
			res.p99 = v
		}
	}
	return res, nil
}

func runClients(ctx context.Context, url string, d time.Duration) (played, error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	var (
		mu   sync.Mutex
		took []time.Duration
		errs []error
		wg   sync.WaitGroup
	)
	begin := time.Now()
	for range connections {
		wg.Go(func() {
			var mine []time.Duration
			for time.Since(begin) < d && ctx.Err() == nil {
				t := time.Now()
				err := get(ctx, client, url)
				if err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
					return
				}
				mine = append(mine, time.Since(t))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return played{}, err
	}
	if len(took) == 0 {
		return played{}, errors.New("no request was completed")
	}
	slices.Sort(took)
	return played{perSecond: float64(len(took)) / time.Since(begin).Seconds(), exchanges: len(took), p50: took[len(took)/2], p99: took[len(took)*99/100]}, nil
}

func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}
