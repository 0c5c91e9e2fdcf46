package examples_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
)

// start runs a program until the test ends; its output is shown when the test
// has failed.
func start(t *testing.T, name string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(name), out.String())
		}
	})
}

// freeAddress is a port of the loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func socketAddress(t *testing.T, addr string) *corev3.Address {
	t.Helper()
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: host, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}
}

// client gives up: an exchange that hangs fails its test.
var client = &http.Client{Timeout: 10 * time.Second}

// await gets the URL until it answers with 200, and returns the body.
func await(t *testing.T, url string) string {
	t.Helper()
	last := ""
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		resp, err := client.Get(url)
		if err != nil {
			last = err.Error()
			continue
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err == nil && resp.StatusCode == http.StatusOK {
			return string(body)
		}
		last = resp.Status
	}
	t.Fatalf("%s does not answer: %s", url, last)
	return ""
}

// TestWhatGenWritesWorks runs Sluice and the real Envoy with exactly what gen
// writes for some policies, and looks at what a client and a backend get.
func TestWhatGenWritesWorks(t *testing.T) {
	envoy := locateEnvoy(t)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Internal", "yes")
		_, _ = io.WriteString(w, `{"internal": "from the backend", "got": `+strconv.Quote(string(body))+`, "n": 1.10}`)
	}))
	defer backend.Close()
	const policy = "apiVersion: sluice/v1\nkind: Policy\nmetadata: {name: quiet}\nspec:\n"
	const response = "  response:\n    - filter: transform\n      with: {json: [{remove: $.internal}]}\n"
	const removal = "    - filter: transform\n      with: {json: [{remove: $.secret}]}\n"
	const request = "  request:\n" + removal
	const matched = "  match: {paths: [/v1/**]}\n"
	for _, c := range []struct {
		name, policy string
		// has is what the configuration has to ask for.
		has  []string
		unix bool
		// want and never are of the answer on /v1/; other on another path.
		want, never, other string
	}{
		{
			name: "every response", policy: policy + response,
			has:  []string{"response_body_mode: FULL_DUPLEX_STREAMED"},
			want: `"n": 1.10`, never: "from the backend", other: `"n": 1.10`,
		},
		{
			name: "some responses, by override", policy: policy + matched + response,
			has:  []string{"allow_mode_override: true"},
			want: `"n": 1.10`, never: "from the backend", other: "from the backend",
		},
		{
			name: "some requests and responses, by override", policy: policy + matched + request + response,
			has:  []string{"allow_mode_override: true"},
			want: `keep`, never: "hidden", other: "hidden",
		},
		{
			name: "some requests, through a socket", policy: policy + matched + request,
			has: []string{"allow_mode_override: true", "pipe:", "response_header_mode: SKIP"}, unix: true,
			want: `keep`, never: "hidden", other: "hidden",
		},
		{
			name: "a decision on the body", policy: policy + matched + "  request:\n    - filter: deny\n      when: has(request.body.never)\n      with: {status: 403}\n" + removal,
			has:  []string{"request_body_mode: FULL_DUPLEX_STREAMED"},
			want: `keep`, never: "hidden", other: "hidden",
		},
		{
			name: "headers alone", policy: policy + "  response:\n    - filter: transform\n      with: {headers: [{remove: x-internal}]}\n",
			has:  []string{"response_header_mode: SEND"},
			want: "from the backend", never: "header X-Internal", other: "from the backend",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			policies := filepath.Join(dir, "policy.yaml")
			if err := os.WriteFile(policies, []byte(c.policy), 0o600); err != nil {
				t.Fatal(err)
			}
			address, admin := freeAddress(t), freeAddress(t)
			if c.unix {
				address = "unix:" + filepath.Join(dir, "s")
			}
			text := sluice(t, "gen", "envoy", "--policies", policies, "--address", address)
			for _, has := range c.has {
				if !strings.Contains(string(text), has) {
					t.Errorf("gen does not ask for %q:\n%s", has, text)
				}
			}
			gen := filepath.Join(dir, "gen.yaml")
			if err := os.WriteFile(gen, text, 0o600); err != nil {
				t.Fatal(err)
			}
			p := fromGen(t, documents(t, gen)[0])
			listen := freeAddress(t)
			config := filepath.Join(dir, "envoy.yaml")
			if err := os.WriteFile(config, p.listening(t, listen, strings.TrimPrefix(backend.URL, "http://")), 0o600); err != nil {
				t.Fatal(err)
			}
			bin, err := binary()
			if err != nil {
				t.Fatal(err)
			}
			start(t, bin, "serve", "--policies", policies, "--listen", address, "--admin", admin, "--drain-timeout", "1s")
			await(t, "http://"+admin+"/readyz")
			start(t, envoy, "-c", config, "--log-level", "warn", "--concurrency", "1", "--use-dynamic-base-id")
			await(t, "http://"+listen+"/other")

			got := post(t, "http://"+listen+"/v1/things")
			if !strings.Contains(got, c.want) || strings.Contains(got, c.never) {
				t.Errorf("want %q and not %q in\n%s", c.want, c.never, got)
			}
			if got := post(t, "http://"+listen+"/other"); !strings.Contains(got, c.other) {
				t.Errorf("on another path, want %q in\n%s", c.other, got)
			}
		})
	}
}

// post returns the answer's body, and a word for the header that the policies
// take away.
func post(t *testing.T, url string) string {
	t.Helper()
	resp, err := client.Post(url, "application/json", strings.NewReader(`{"secret": "hidden", "keep": 2}`))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s", url, resp.Status)
	}
	out := string(body)
	if resp.Header.Get("X-Internal") != "" {
		out += " header X-Internal"
	}
	return out
}

// clusterFor is a cluster of one address.
func clusterFor(t *testing.T, name, addr string) *clusterv3.Cluster {
	t.Helper()
	return &clusterv3.Cluster{
		Name: name,
		LoadAssignment: &endpointv3.ClusterLoadAssignment{
			ClusterName: name,
			Endpoints: []*endpointv3.LocalityLbEndpoints{{LbEndpoints: []*endpointv3.LbEndpoint{{
				HostIdentifier: &endpointv3.LbEndpoint_Endpoint{Endpoint: &endpointv3.Endpoint{Address: socketAddress(t, addr)}},
			}}}},
		},
	}
}
