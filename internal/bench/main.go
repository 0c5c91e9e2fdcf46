// Command bench measures Sluice against a no-op external processor: the same
// grpc, every message read and answered, nothing changed. Both are loaded by
// the same generator in the same run, in turns, and what is printed is their
// ratio: the machine's noise is in both.
//
//	go run ./internal/bench -sluice bin/sluice [-envoy .tools/bin/envoy] [-for 3s] [-rounds 5]
//	go run ./internal/bench -sluice bin/sluice -base old/sluice
//	go run ./internal/bench -sluice bin/sluice -peer .tools/presidio
//	go run ./internal/bench -sluice bin/sluice -memory
//	go run ./internal/bench -sluice bin/sluice -envoy .tools/bin/envoy -events
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	// What it starts itself beside what it measures.
	if len(os.Args) == 3 {
		switch os.Args[1] {
		case "noop":
			exit(serveNoop(os.Args[2]))
		case "backend":
			exit(serveBackend(os.Args[2]))
		case "sink":
			exit(serveSink(os.Args[2]))
		}
	}
	if len(os.Args) == 5 && os.Args[1] == "shim" {
		exit(serveShim(os.Args[2], os.Args[3], os.Args[4]))
	}
	var o options
	flag.StringVar(&o.sluice, "sluice", "bin/sluice", "the sluice binary")
	flag.StringVar(&o.base, "base", "", "an older sluice binary to compare with, in the same run")
	flag.StringVar(&o.envoy, "envoy", "", "the envoy binary; without it the part behind Envoy is left out, and said so")
	flag.DurationVar(&o.length, "for", 2*time.Second, "length of one measurement")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds; the median counts")
	flag.IntVar(&o.streams, "streams", 32, "exchanges at once, on two connections")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of Sluice under the last case to this file; with -memory, its heap under idle exchanges")
	memory := flag.Bool("memory", false, "measure memory instead")
	events := flag.Bool("events", false, "measure the first event of streams behind Envoy instead")
	peer := flag.String("peer", "", "measure Presidio's analyzer instead, of the virtual environment in this folder")
	asJSON := flag.Bool("json", false, "print a JSON object a case in place of the table")
	only := flag.String("only", "", "cases to run, by comma; all where empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	o.report = table{os.Stdout}
	if *asJSON {
		o.report = lines{os.Stdout}
	}
	err := o.choose(ctx, *memory, *events, *peer)
	if ctx.Err() != nil {
		err = errors.New("broken off")
	}
	exit(err)
}

func (o *options) choose(ctx context.Context, memory, events bool, presidio string) error {
	switch {
	case memory:
		return o.measureMemory(ctx)
	case events:
		return o.measureEvents(ctx)
	case presidio != "":
		return o.run(ctx, o.peerCases(presidio))
	}
	return o.runAll(ctx)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
