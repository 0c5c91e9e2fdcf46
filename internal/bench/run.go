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
	"slices"
	"strconv"
	"strings"
	"time"
)

type options struct {
	sluice, envoy string
	length        time.Duration
	rounds        int
	streams       int
	only          []string
	profile       string
}

// testCase is one line of the table.
type testCase struct {
	name     string
	policies string
	exchange exchange
	streams  int // 0: the option's
	// behindEnvoy loads through the real Envoy instead.
	behindEnvoy bool
}

const maskPolicy = `apiVersion: sluice/v1
kind: Policy
metadata: {name: bench-mask}
spec:
  match: {paths: [/v1/**]}
  request:
    - filter: pii
  response:
    - filter: pii
`

const headersPolicy = `apiVersion: sluice/v1
kind: Policy
metadata: {name: bench-headers}
spec:
  match: {paths: [/v1/**]}
  request:
    - filter: transform
      with: {headers: [{set: x-bench, value: "1"}, {remove: x-internal}]}
  response:
    - filter: transform
      with: {headers: [{set: x-bench, value: "1"}]}
`

// thousand is the mask policy among a thousand that do not match.
func thousand() string {
	var b strings.Builder
	b.WriteString(maskPolicy)
	for i := range 999 {
		fmt.Fprintf(&b, "---\napiVersion: sluice/v1\nkind: Policy\nmetadata: {name: other-%d}\nspec:\n  match: {paths: [/other/%d/**]}\n  request:\n    - filter: pii\n", i, i)
	}
	return b.String()
}

func (o *options) cases() []testCase {
	small, big := records(6), records(4200)
	return []testCase{
		{name: "response-1.7KB", policies: maskPolicy, exchange: exchange{path: "/v1/customers", response: small, chunk: 16 << 10, fullDuplex: true}},
		{name: "request-1.7KB", policies: maskPolicy, exchange: exchange{path: "/v1/customers", request: small, chunk: 16 << 10, fullDuplex: true}},
		{name: "one-stream", policies: maskPolicy, streams: 1, exchange: exchange{path: "/v1/customers", response: small, chunk: 16 << 10, fullDuplex: true}},
		{name: "headers-only", policies: headersPolicy, exchange: exchange{path: "/v1/customers"}},
		{name: "response-1MB", policies: maskPolicy, streams: 4, exchange: exchange{path: "/v1/customers", response: big, chunk: 32 << 10, fullDuplex: true}},
		{name: "thousand-policies", policies: thousand(), exchange: exchange{path: "/v1/customers", response: small, chunk: 16 << 10, fullDuplex: true}},
		{name: "behind-envoy", policies: maskPolicy, behindEnvoy: true, exchange: exchange{path: "/v1/customers", response: small}},
	}
}

// figures are one measurement of one processor.
type figures struct {
	perSecond, cpu float64 // cpu: microseconds an exchange
	p50, p99       time.Duration
}

func (o *options) run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	fmt.Printf("%-20s %12s %12s %8s %10s %10s %8s %12s %12s\n", "case", "no-op /s", "sluice /s", "ratio", "no-op µs", "sluice µs", "ratio", "added p50", "added p99")
	for _, c := range o.cases() {
		if len(o.only) > 0 && !slices.Contains(o.only, c.name) {
			continue
		}
		if c.behindEnvoy && o.envoy == "" {
			fmt.Printf("%-20s left out: no Envoy was given (-envoy)\n", c.name)
			continue
		}
		if err := o.measure(ctx, dir, c); err != nil {
			return fmt.Errorf("case %s: %w", c.name, err)
		}
	}
	fmt.Println("\nratio /s: over 1 is faster than the no-op; µs is the processor's CPU time an exchange, under 1 is cheaper.")
	return nil
}

func (o *options) measure(ctx context.Context, dir string, c testCase) error {
	file := filepath.Join(dir, c.name+".yaml")
	if err := os.WriteFile(file, []byte(c.policies), 0o600); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	addrs, err := freeAddrs(3)
	if err != nil {
		return err
	}
	quiet := filepath.Join(dir, c.name+".log")
	noop, err := start(ctx, quiet, self, "noop", addrs[0])
	if err != nil {
		return err
	}
	defer noop.stop()
	sluice, err := start(ctx, quiet, o.sluice, "serve", "--policies", file, "--listen", addrs[1], "--admin", addrs[2], "--pprof")
	if err != nil {
		return err
	}
	defer sluice.stop()
	load := func(addr string) (played, error) { return o.playCase(ctx, addr, c) }
	if c.behindEnvoy {
		front, err := o.startEnvoys(ctx, dir, quiet, self, addrs[0], addrs[1], c.exchange.response)
		if err != nil {
			return err
		}
		defer front.stop()
		load = func(addr string) (played, error) { return front.load(ctx, addr == addrs[0], o.length) }
	}
	for _, a := range addrs[:2] {
		if err := await(ctx, a); err != nil {
			log, _ := os.ReadFile(quiet)
			return fmt.Errorf("%w\n%s", err, log)
		}
		if _, err := load(a); err != nil { // warm up
			return err
		}
	}
	var a, b []figures
	for range o.rounds {
		x, err := one(noop, addrs[0], load)
		if err != nil {
			return err
		}
		y, err := one(sluice, addrs[1], load)
		if err != nil {
			return err
		}
		a, b = append(a, x), append(b, y)
	}
	report(c.name, a, b)
	if o.profile == "" {
		return nil
	}
	return o.writeProfile(ctx, addrs[2], func() error { _, err := load(addrs[1]); return err })
}

// writeProfile takes a CPU profile of Sluice while it is loaded once more.
func (o *options) writeProfile(ctx context.Context, admin string, load func() error) error {
	seconds := max(1, int(o.length.Seconds()))
	loaded := make(chan error, 1)
	go func() { loaded <- load() }()
	err := fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", admin, seconds), o.profile)
	return errors.Join(<-loaded, err)
}

// fetch writes a profile to a file.
func fetch(ctx context.Context, url, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("taking the profile: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("taking the profile: %w", err)
	}
	return os.WriteFile(file, text, 0o600)
}

func (o *options) playCase(ctx context.Context, addr string, c testCase) (played, error) {
	streams := c.streams
	if streams == 0 {
		streams = o.streams
	}
	return play(ctx, addr, c.exchange, streams, o.length)
}

func one(p *process, addr string, load func(string) (played, error)) (figures, error) {
	before, err := p.cpu()
	if err != nil {
		return figures{}, err
	}
	res, err := load(addr)
	if err != nil {
		return figures{}, err
	}
	after, err := p.cpu()
	if err != nil {
		return figures{}, err
	}
	return figures{res.perSecond, float64((after - before).Microseconds()) / float64(res.exchanges), res.p50, res.p99}, nil
}

// report prints the medians over the rounds, and the median of the rounds'
// ratios.
func report(name string, a, b []figures) {
	med := func(n int, f func(i int) float64) float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = f(i)
		}
		slices.Sort(v)
		return v[n/2]
	}
	n := len(a)
	fmt.Printf("%-20s %12.0f %12.0f %8.3f %10.1f %10.1f %8.3f %12s %12s\n", name,
		med(n, func(i int) float64 { return a[i].perSecond }), med(n, func(i int) float64 { return b[i].perSecond }),
		med(n, func(i int) float64 { return b[i].perSecond / a[i].perSecond }),
		med(n, func(i int) float64 { return a[i].cpu }), med(n, func(i int) float64 { return b[i].cpu }),
		med(n, func(i int) float64 { return b[i].cpu / a[i].cpu }),
		time.Duration(med(n, func(i int) float64 { return float64(b[i].p50 - a[i].p50) })).Round(time.Microsecond),
		time.Duration(med(n, func(i int) float64 { return float64(b[i].p99 - a[i].p99) })).Round(time.Microsecond))
}

// process is a server under measurement.
type process struct{ cmd *exec.Cmd }

func start(ctx context.Context, logFile, bin string, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, bin, args...)
	f, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	cmd.Stderr = f
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", bin, err)
	}
	return &process{cmd}, nil
}

func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// cpu returns the user and system time that the process has used (proc(5):
// fields 14 and 15 of stat, in ticks of 10 ms).
func (p *process) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if !ok || len(f) < 13 {
		return 0, errors.New("reading /proc/PID/stat")
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

func freeAddrs(n int) ([]string, error) {
	var addrs []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// await waits until addr takes connections.
func await(ctx context.Context, addr string) error {
	for range 200 {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return fmt.Errorf("nothing listens on %s", addr)
}
