package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// figures are one measurement of one server.
type figures struct {
	perSecond, cpu float64 // cpu: microseconds an exchange
	p50, p99       time.Duration
}

// result is what came of a case: medians over the rounds.
type result struct {
	Case    string       `json:"case"`
	LeftOut string       `json:"leftOut,omitempty"`
	Servers []measured   `json:"servers,omitempty"`
	Ratios  []comparison `json:"ratios,omitempty"`
}

// measured is one server.
type measured struct {
	Name      string  `json:"name"`
	PerSecond float64 `json:"perSecond"`
	CPUMicros float64 `json:"cpuMicros"`
	P50Micros float64 `json:"p50Micros"`
	P99Micros float64 `json:"p99Micros"`
}

// comparison is one server against another: the medians of the rounds' ratios
// and differences, not the ratios of the medians, since what disturbs the
// machine for longer than a round is in both.
type comparison struct {
	Measured       string  `json:"measured"`
	Against        string  `json:"against"`
	PerSecond      float64 `json:"perSecond"`
	CPU            float64 `json:"cpu"`
	AddedP50Micros float64 `json:"addedP50Micros"`
	AddedP99Micros float64 `json:"addedP99Micros"`

	measured, against measured
}

// summarise makes the result of the rounds' figures, by server.
func summarise(c testCase, rounds [][]figures) result {
	median := func(f func(round []figures) float64) float64 {
		v := make([]float64, len(rounds))
		for i, r := range rounds {
			v[i] = f(r)
		}
		slices.Sort(v)
		return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
	}
	micros := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	res := result{Case: c.name}
	for i, s := range c.servers {
		res.Servers = append(res.Servers, measured{
			Name:      s.name,
			PerSecond: median(func(r []figures) float64 { return r[i].perSecond }),
			CPUMicros: median(func(r []figures) float64 { return r[i].cpu }),
			P50Micros: median(func(r []figures) float64 { return micros(r[i].p50) }),
			P99Micros: median(func(r []figures) float64 { return micros(r[i].p99) }),
		})
	}
	for _, p := range c.pairs {
		i, j := p[0], p[1]
		res.Ratios = append(res.Ratios, comparison{
			Measured: c.servers[i].name, Against: c.servers[j].name,
			PerSecond:      median(func(r []figures) float64 { return r[i].perSecond / r[j].perSecond }),
			CPU:            median(func(r []figures) float64 { return r[i].cpu / r[j].cpu }),
			AddedP50Micros: median(func(r []figures) float64 { return micros(r[i].p50 - r[j].p50) }),
			AddedP99Micros: median(func(r []figures) float64 { return micros(r[i].p99 - r[j].p99) }),
			measured:       res.Servers[i], against: res.Servers[j],
		})
	}
	return res
}

// report writes results as they come.
type report interface {
	begin() error
	add(result) error
	end() error
}

// table is for a reader.
type table struct{ w io.Writer }

const tableLine = "%-18s %-11s %-11s %9s %9s %7s %9s %9s %7s %9s %9s\n"

func (t table) begin() error {
	_, err := fmt.Fprintf(t.w, tableLine, "case", "measured", "against", "/s", "against", "ratio", "µs", "against", "ratio", "added p50", "added p99")
	return err
}

func (t table) add(r result) error {
	if r.LeftOut != "" {
		_, err := fmt.Fprintf(t.w, "%-18s left out: %s\n", r.Case, r.LeftOut)
		return err
	}
	number := func(v float64, decimals int) string { return fmt.Sprintf("%.*f", decimals, v) }
	for _, c := range r.Ratios {
		_, err := fmt.Fprintf(t.w, tableLine, r.Case, c.Measured, c.Against,
			number(c.measured.PerSecond, 0), number(c.against.PerSecond, 0), number(c.PerSecond, 3),
			number(c.measured.CPUMicros, 1), number(c.against.CPUMicros, 1), number(c.CPU, 3),
			number(c.AddedP50Micros, 0)+"µs", number(c.AddedP99Micros, 0)+"µs")
		if err != nil {
			return err
		}
	}
	return nil
}

func (t table) end() error {
	_, err := fmt.Fprint(t.w, "\n/s: exchanges a second; a ratio over 1 is faster. µs: the server's CPU time an exchange; a ratio under 1 is cheaper.\n")
	return err
}

// lines is for programs: a JSON object a case.
type lines struct{ w io.Writer }

func (lines) begin() error { return nil }

func (l lines) add(r result) error { return json.NewEncoder(l.w).Encode(r) }

func (lines) end() error { return nil }
