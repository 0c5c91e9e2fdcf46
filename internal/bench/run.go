package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

type options struct {
	sluice, envoy string
	// base is an older binary to compare with.
	base    string
	length  time.Duration
	rounds  int
	streams int
	only    []string
	profile string
	report  report
}

// runAll measures what main was asked for, with a collector of spans beside
// it.
func (o *options) runAll(ctx context.Context) error {
	addrs, err := freeAddrs(1)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	sink, err := start(ctx, place{log: os.DevNull}, self, "sink", addrs[0])
	if err != nil {
		return err
	}
	defer sink.stop()
	return o.run(ctx, o.cases(addrs[0]))
}

// run measures cases.
func (o *options) run(ctx context.Context, cases []testCase) error {
	if err := o.known(cases); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := o.report.begin(); err != nil {
		return err
	}
	for _, c := range cases {
		if len(o.only) > 0 && !slices.Contains(o.only, c.name) {
			continue
		}
		if c.behindEnvoy && o.envoy == "" {
			c.leftOut = "no Envoy was given (-envoy)"
		}
		res := result{Case: c.name, LeftOut: c.leftOut}
		if c.leftOut == "" {
			if res, err = o.measure(ctx, dir, c); err != nil {
				return fmt.Errorf("case %s: %w", c.name, err)
			}
		}
		if err := o.report.add(res); err != nil {
			return err
		}
	}
	return o.report.end()
}

// known fails where one of the cases that are asked for does not exist.
func (o *options) known(cases []testCase) error {
	var names []string
	for _, c := range cases {
		names = append(names, c.name)
	}
	for _, n := range o.only {
		if !slices.Contains(names, n) {
			return fmt.Errorf("there is no case %q; there are %s", n, strings.Join(names, ", "))
		}
	}
	return nil
}

// measure loads the servers of a case in turns: forwards, and backwards in
// every other round, so that none is always the first.
func (o *options) measure(ctx context.Context, dir string, c testCase) (result, error) {
	m, err := o.begin(ctx, dir, c)
	if err != nil {
		return result{}, err
	}
	defer m.stop()
	if c.check != nil {
		if err := c.check(ctx, m); err != nil {
			return result{}, err
		}
	}
	var rounds [][]figures
	for n := range o.rounds {
		round := make([]figures, len(c.servers))
		for i := range c.servers {
			if n%2 == 1 {
				i = len(c.servers) - 1 - i
			}
			if round[i], err = m.one(ctx, i); err != nil {
				return result{}, fmt.Errorf("%s: %w", c.servers[i].name, err)
			}
		}
		rounds = append(rounds, round)
	}
	if o.profile != "" {
		if err := m.writeProfile(ctx); err != nil {
			return result{}, err
		}
	}
	return summarise(c, rounds), nil
}

// measurement is a case whose servers run.
type measurement struct {
	o         *options
	c         testCase
	places    []place
	processes []*process
	front     *front // where the load goes through Envoy
	cpus      string // what loads may run on
}

// begin starts the servers of a case and loads each once, to warm up.
func (o *options) begin(ctx context.Context, dir string, c testCase) (m *measurement, err error) {
	m = &measurement{o: o, c: c}
	defer func() {
		if err != nil {
			m.stop()
		}
	}()
	own, err := ownCPUs()
	if err != nil {
		return m, err
	}
	m.cpus = strings.Trim(strings.Join(strings.Fields(fmt.Sprint(own)), ","), "[]")
	addrs, err := freeAddrs(2 * len(c.servers))
	if err != nil {
		return m, err
	}
	dir = filepath.Join(dir, c.name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return m, err
	}
	for i, s := range c.servers {
		file := strconv.Itoa(i)
		at := place{dir: dir, file: file, log: filepath.Join(dir, file+".log"), addr: addrs[2*i], admin: addrs[2*i+1], cpus: s.cpus}
		p, err := s.begin(ctx, at)
		if err != nil {
			return m, err
		}
		m.places, m.processes = append(m.places, at), append(m.processes, p)
	}
	for i, at := range m.places {
		if err := await(ctx, at.addr); err != nil {
			log, _ := os.ReadFile(at.log)
			return m, fmt.Errorf("%s: %w\n%s", c.servers[i].name, err, log)
		}
	}
	if c.behindEnvoy {
		if m.front, err = o.startEnvoys(ctx, dir, m.addrs(), c.exchange.response); err != nil {
			return m, err
		}
	}
	if len(c.exchange.path) == 0 {
		return m, nil // to be loaded by the caller
	}
	for i := range c.servers {
		if _, err := m.load(ctx, i); err != nil {
			return m, fmt.Errorf("%s: %w", c.servers[i].name, err)
		}
	}
	return m, nil
}

func (m *measurement) addrs() []string {
	var all []string
	for _, at := range m.places {
		all = append(all, at.addr)
	}
	return all
}

func (m *measurement) stop() {
	if m.front != nil {
		m.front.stop()
	}
	for _, p := range m.processes {
		p.stop()
	}
}

// load loads a server for the length of one measurement.
func (m *measurement) load(ctx context.Context, i int) (res played, err error) {
	if cpus := m.c.servers[i].load; cpus != "" {
		if err := pinSelf(ctx, cpus); err != nil {
			return played{}, err
		}
		defer func() { err = errors.Join(err, pinSelf(ctx, m.cpus)) }()
	}
	if m.front != nil {
		return m.front.load(ctx, i, m.o.length)
	}
	streams := m.c.streams
	if streams == 0 {
		streams = m.o.streams
	}
	return play(ctx, m.places[i].addr, m.c.exchange, streams, m.o.length)
}

// one is one measurement of one server.
func (m *measurement) one(ctx context.Context, i int) (figures, error) {
	before, err := m.processes[i].cpu()
	if err != nil {
		return figures{}, err
	}
	res, err := m.load(ctx, i)
	if err != nil {
		return figures{}, err
	}
	after, err := m.processes[i].cpu()
	if err != nil {
		return figures{}, err
	}
	return figures{res.perSecond, float64((after - before).Nanoseconds()) / 1e3 / float64(res.exchanges), res.p50, res.p99}, nil
}

// writeProfile takes a CPU profile of the last server, which is Sluice, while
// it is loaded once more.
func (m *measurement) writeProfile(ctx context.Context) error {
	last := len(m.places) - 1
	seconds := max(1, int(m.o.length.Seconds()))
	loaded := make(chan error, 1)
	go func() {
		_, err := m.load(ctx, last)
		loaded <- err
	}()
	err := fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", m.places[last].admin, seconds), m.o.profile)
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
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("taking the profile: status %d", resp.StatusCode)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("taking the profile: %w", err)
	}
	return os.WriteFile(file, text, 0o600)
}
