package examples_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sluice-proxy/sluice/internal/realtest"
)

// start runs a program until the test ends, or stop is called; its output is
// shown when the test has failed.
func start(t *testing.T, name string, args ...string) (stop func()) {
	t.Helper()
	stop, _ = startKillable(t, name, args...)
	return stop
}

// startKillable also returns what ends the program without a warning.
func startKillable(t *testing.T, name string, args ...string) (stop, kill func()) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		kill := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_ = cmd.Wait()
	})
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("%s:\n%.4000s", filepath.Base(name), out.String())
		}
	})
	return stop, func() {
		_ = cmd.Process.Kill()
		stop() // which waits
	}
}

// freeAddress is a port of the loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(realtest.Port(t)))
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
var client = &http.Client{Timeout: 30 * time.Second}

// await gets the URL until it answers with 200, and returns the body.
func await(t *testing.T, url string) string {
	t.Helper()
	last := ""
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
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

// TestDemo runs what `make demo ONCE=1` runs: every answer is as expected.
func TestDemo(t *testing.T) {
	envoy := locateEnvoy(t)
	sluice, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	demo := filepath.Join(t.TempDir(), "demo")
	if out, err := exec.Command("go", "build", "-o", demo, "./envoy/demo").CombinedOutput(); err != nil {
		t.Fatalf("building the demo: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, demo, "-envoy", envoy, "-sluice", sluice, "-dir", "envoy", "-once")
	// Asked to end, it ends the programs that it has started.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 15 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil || ctx.Err() != nil {
		t.Fatalf("%v, %v\n%s", err, ctx.Err(), out)
	}
	if !strings.Contains(string(out), "#") {
		t.Errorf("nothing was masked\n%s", out)
	}
}

// underLoad is a Sluice and the real Envoy between clients that never pause and
// a backend whose answers the policies take something from; some are slow.
type underLoad struct {
	t                      *testing.T
	dir, policies          string
	address, admin, listen string
	stop, kill             func()
	done, failed, raw, cut atomic.Int64
	over                   atomic.Bool
	load                   sync.WaitGroup
	// rounds are the exchanges of each client.
	rounds [8]atomic.Int64
	// first is the first exchange that failed.
	first atomic.Pointer[string]
}

func newUnderLoad(t *testing.T) *underLoad {
	t.Helper()
	envoy := locateEnvoy(t)
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"internal": "from the ba`)
		if r.URL.Path == "/slow" {
			_ = http.NewResponseController(w).Flush()
			time.Sleep(300 * time.Millisecond)
		}
		_, _ = io.WriteString(w, `ckend", "n": 1.10}`)
	}))
	t.Cleanup(backend.Close)
	u := &underLoad{t: t, dir: t.TempDir(), address: freeAddress(t), admin: freeAddress(t), listen: freeAddress(t)}
	u.policies = filepath.Join(u.dir, "policy.yaml")
	u.write(0)
	gen := filepath.Join(u.dir, "gen")
	if err := os.WriteFile(gen, sluice(t, "gen", "envoy", "--policies", u.policies, "--address", u.address), 0o600); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(u.dir, "envoy")
	p := fromGen(t, documents(t, gen)[0]).patient(t)
	if err := os.WriteFile(config, p.listening(t, u.listen, strings.TrimPrefix(backend.URL, "http://")), 0o600); err != nil {
		t.Fatal(err)
	}
	u.serve()
	start(t, envoy, "-c", config, "--log-level", "warn", "--concurrency", "2", "--use-dynamic-base-id")
	await(t, "http://"+u.listen+"/")
	for worker := range u.rounds {
		u.load.Go(func() { u.client(worker) })
	}
	t.Cleanup(u.end)
	return u
}

// patient has a data plane wait ten times as long for a Sluice that starts
// again: on a busy machine that takes its time.
func (p part) patient(t *testing.T) part {
	t.Helper()
	cfg := p.processor(t)
	cfg.MessageTimeout = durationpb.New(10 * cfg.GetMessageTimeout().AsDuration())
	retries := cfg.GetGrpcService().GetRetryPolicy().GetNumRetries()
	retries.Value *= 10
	typed, err := anypb.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p.filter = &hcmv3.HttpFilter{Name: p.filter.GetName(), ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: typed}}
	return p
}

// write puts a version of the policies into force.
func (u *underLoad) write(version int) {
	text := "apiVersion: sluice/v1\nkind: Policy\nmetadata: {name: quiet, labels: {version: v" + strconv.Itoa(version) + "}}\n" +
		"spec:\n  response:\n    - filter: transform\n      onError: deny\n      with: {json: [{remove: $.internal}]}\n"
	if err := os.WriteFile(u.policies+".new", []byte(text), 0o600); err != nil {
		u.t.Error(err)
	}
	if err := os.Rename(u.policies+".new", u.policies); err != nil {
		u.t.Error(err)
	}
}

// serve starts Sluice.
func (u *underLoad) serve() {
	u.t.Helper()
	bin, err := binary()
	if err != nil {
		u.t.Fatal(err)
	}
	u.stop, u.kill = startKillable(u.t, bin, "serve", "--policies", u.policies, "--listen", u.address, "--admin", u.admin, "--drain-timeout", "10s")
	await(u.t, "http://"+u.admin+"/readyz")
}

func (u *underLoad) client(worker int) {
	path := "/fast"
	if worker%4 == 0 {
		path = "/slow"
	}
	for !u.over.Load() {
		status, body := get("http://" + u.listen + path)
		u.done.Add(1)
		u.rounds[worker].Add(1)
		if status != http.StatusOK || !strings.Contains(body, "1.10") {
			u.failed.Add(1)
			said := strconv.Itoa(status) + " " + body
			u.first.CompareAndSwap(nil, &said)
		}
		if strings.Contains(body, "internal") {
			u.raw.Add(1)
		}
		if status == http.StatusOK && !strings.HasSuffix(body, "}") {
			u.cut.Add(1)
		}
	}
}

// goOn waits until every client has come back twice: its last exchange then
// began after the call.
func (u *underLoad) goOn() {
	u.t.Helper()
	for worker := range u.rounds {
		before := u.rounds[worker].Load()
		u.eventually("a client does not come back", func() bool { return u.rounds[worker].Load() >= before+2 })
	}
}

func (u *underLoad) eventually(not string, ok func() bool) {
	u.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			u.t.Fatal(not)
		}
	}
}

// end ends the load.
func (u *underLoad) end() {
	u.over.Store(true)
	u.load.Wait()
}

// TestReloadAndRestartUnderLoad changes the policies, and restarts Sluice,
// while exchanges come in without a pause. None may fail, and none may come
// through as the backend sent it.
func TestReloadAndRestartUnderLoad(t *testing.T) {
	u := newUnderLoad(t)
	for version := 1; version <= 3; version++ {
		u.write(version)
		u.eventually("new policies are not in force", func() bool {
			return strings.Contains(await(t, "http://"+u.admin+"/policies"), `"version": "v`+strconv.Itoa(version)+`"`)
		})
		u.goOn()
	}
	for range 2 {
		u.stop()
		u.serve()
		u.goOn()
	}
	u.end()
	if u.failed.Load() > 0 {
		t.Errorf("the first exchange that failed: %s", *u.first.Load())
	}
	if u.failed.Load() > 0 || u.raw.Load() > 0 {
		t.Errorf("of %d exchanges %d failed and %d came through raw", u.done.Load(), u.failed.Load(), u.raw.Load())
	}
}

// TestKilledUnderLoad kills Sluice while exchanges are at work. They fail, and
// none comes through as the backend sent it, or cut short as if it were whole;
// when Sluice is back, so are they.
func TestKilledUnderLoad(t *testing.T) {
	u := newUnderLoad(t)
	for range 3 {
		u.goOn()
		u.kill()
		before := u.failed.Load()
		u.eventually("nothing fails: Sluice was not killed while it worked", func() bool { return u.failed.Load() > before })
		u.serve()
	}
	u.goOn() // what had begun before it was back is over
	failed, done := u.failed.Load(), u.done.Load()
	u.goOn()
	u.end()
	if u.failed.Load() > failed {
		t.Errorf("afterwards %d of %d exchanges failed, at first: %s", u.failed.Load()-failed, u.done.Load()-done, *u.first.Load())
	}
	if u.raw.Load() > 0 || u.cut.Load() > 0 {
		t.Errorf("%d exchanges came through raw, and %d cut short as if they were whole", u.raw.Load(), u.cut.Load())
	}
}

// get returns the status, 0 where there is no answer, and the body.
func get(url string) (int, string) {
	resp, err := client.Get(url)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, ""
	}
	return resp.StatusCode, string(body)
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
