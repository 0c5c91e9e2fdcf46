package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
	"github.com/sluice-proxy/sluice/internal/telemetry"
)

// TestSummarise: medians are of the rounds' own ratios.
func TestSummarise(t *testing.T) {
	c := testCase{name: "x", servers: []server{{name: "no-op"}, {name: "sluice"}}, pairs: [][2]int{{1, 0}}}
	// The machine is half as fast in the second round; the ratio stays.
	res := summarise(c, [][]figures{
		{{perSecond: 1000, cpu: 40, p50: 100 * time.Microsecond}, {perSecond: 900, cpu: 44, p50: 130 * time.Microsecond}},
		{{perSecond: 500, cpu: 80, p50: 200 * time.Microsecond}, {perSecond: 450, cpu: 88, p50: 240 * time.Microsecond}},
	})
	if got := res.Servers[0].PerSecond; got != 750 {
		t.Errorf("the median of two is %v", got)
	}
	got := res.Ratios[0]
	if got.PerSecond != 0.9 || got.CPU != 1.1 || got.AddedP50Micros != 35 {
		t.Errorf("%+v", got)
	}

	var text bytes.Buffer
	if err := (lines{&text}).add(res); err != nil {
		t.Fatal(err)
	}
	var read struct {
		Case   string
		Ratios []struct {
			Measured, Against string
			PerSecond         float64
		}
	}
	if err := json.Unmarshal(text.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	if read.Case != "x" || len(read.Ratios) != 1 || read.Ratios[0].Measured != "sluice" || read.Ratios[0].Against != "no-op" || read.Ratios[0].PerSecond != 0.9 {
		t.Errorf("%+v", read)
	}
	text.Reset()
	if err := (table{&text}).add(res); err != nil {
		t.Fatal(err)
	}
	if f := strings.Fields(text.String()); len(f) != 11 || f[5] != "0.900" || f[8] != "1.100" || f[9] != "35µs" {
		t.Errorf("the line is %q", text.String())
	}
}

// TestCases: what is asked for by name is there, and a pair is of two servers.
func TestCases(t *testing.T) {
	for _, o := range []options{{sluice: "new"}, {sluice: "new", base: "old"}} {
		all := append(o.cases("127.0.0.1:1"), o.peerCases("venv")...)
		for _, c := range all {
			if c.leftOut == "" && len(c.pairs) == 0 {
				t.Errorf("%s compares nothing", c.name)
			}
			for _, p := range c.pairs {
				if p[0] == p[1] || p[0] >= len(c.servers) || p[1] >= len(c.servers) {
					t.Errorf("%s compares %v of %d servers", c.name, p, len(c.servers))
				}
			}
		}
		o.only = []string{"headers-only"}
		if err := o.known(all); err != nil {
			t.Error(err)
		}
		o.only = []string{"header-only"}
		if err := o.known(all); err == nil || !strings.Contains(err.Error(), "headers-only") {
			t.Errorf("a case that there is not: %v", err)
		}
	}
}

func TestParseCPUs(t *testing.T) {
	for list, want := range map[string][]int{"0": {0}, "0-2": {0, 1, 2}, "0-1,4": {0, 1, 4}} {
		if got, err := parseCPUs(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", list, got, err)
		}
	}
	for _, list := range []string{"", "a", "1-", "1,"} {
		if got, err := parseCPUs(list); err == nil {
			t.Errorf("%q is %v", list, got)
		}
	}
}

// TestCPUClock: work shows on the clock, waiting does not.
func TestCPUClock(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has the clocks of other processes")
	}
	read := func() time.Duration {
		c, err := cpuOf(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := read()
	for read()-before < time.Millisecond { // reading is work
	}
	worked := read()
	time.Sleep(300 * time.Millisecond)
	if slept := read() - worked; slept > 200*time.Millisecond {
		t.Errorf("300 ms of sleep took %v", slept)
	}
}

// TestShim: places are of characters, and what overlaps is masked once.
func TestShim(t *testing.T) {
	analyzer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Text     string   `json:"text"`
			Entities []string `json:"entities"`
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.Text != `"Zoë: a@example.com"` || !slices.Equal(asked.Entities, []string{"EMAIL_ADDRESS"}) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = w.Write([]byte(`[{"start":6,"end":19,"score":1.0},{"start":8,"end":19,"score":0.5},{"start":900,"end":901}]`))
	}))
	defer analyzer.Close()
	s := &shim{url: analyzer.URL, entities: []string{"EMAIL_ADDRESS"}, client: analyzer.Client()}
	got, err := s.mask(t.Context(), []byte(`"Zoë: a@example.com"`))
	if err != nil || string(got) != `"Zoë: *@*******.***"` {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := s.mask(t.Context(), []byte(`{}`)); err == nil {
		t.Errorf("an error became %s", got)
	}
}

// TestSink: the collector takes spans, more of them than windows begin with.
func TestSink(t *testing.T) {
	addrs, err := freeAddrs(1)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = serveSink(addrs[0]) }()
	if err := await(t.Context(), addrs[0]); err != nil {
		t.Fatal(err)
	}
	spans, err := telemetry.OpenTracing(t.Context(), telemetry.TracingConfig{Endpoint: addrs[0], Sample: 1})
	if err != nil {
		t.Fatal(err)
	}
	ex := filters.Exchange{ID: strings.Repeat("i", 100<<10)}
	for range 20 {
		spans.Exchange(&pipeline.Summary{Exchange: &ex, Trace: new(pipeline.Trace)})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := spans.Close(ctx); err != nil {
		t.Error(err)
	}
	if n := spans.Dropped(); n != 0 {
		t.Errorf("%d spans have not arrived", n)
	}
}
