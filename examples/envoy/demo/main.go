// Command demo starts an example backend, Sluice and a real Envoy, sends a
// handful of requests through them, and shows what goes in beside what comes
// out. It then stays up until Ctrl-C, or with -once exits, with an error where
// an answer is not as expected.
//
// Everything listens on the loopback. Where a usual port is taken a free one
// is used instead; the ports are printed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.envoy, "envoy", "envoy", "the envoy binary")
	flag.StringVar(&o.sluice, "sluice", "bin/sluice", "the sluice binary")
	flag.StringVar(&o.dir, "dir", "examples/envoy", "the folder with envoy.yaml and policies/")
	flag.BoolVar(&o.once, "once", false, "exit after the requests")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := o.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

type options struct {
	envoy, sluice, dir string
	once               bool
}

func (o *options) run(ctx context.Context) error {
	work, err := os.MkdirTemp("", "sluice-demo-")
	if err != nil {
		return fmt.Errorf("making a folder for logs: %w", err)
	}
	failed := true
	defer func() {
		if !failed {
			_ = os.RemoveAll(work)
		}
	}()
	ports, err := choosePorts()
	if err != nil {
		return err
	}
	backend, err := startBackend(ports.addr(backendPort))
	if err != nil {
		return err
	}
	defer backend.stop()

	var running []*process
	defer func() {
		for i := len(running) - 1; i >= 0; i-- {
			running[i].stop()
		}
	}()
	begin := func(name, ready string, command ...string) error {
		p, err := startProcess(name, filepath.Join(work, name+".log"), command...)
		if err != nil {
			return err
		}
		running = append(running, p)
		return p.await(ctx, ready)
	}
	policies := filepath.Join(o.dir, "policies")
	if err := begin("sluice", "http://"+ports.addr(sluiceAdminPort)+"/readyz",
		o.sluice, "serve", "--policies", policies, "--listen", ports.addr(sluicePort), "--admin", ports.addr(sluiceAdminPort)); err != nil {
		return err
	}
	config := filepath.Join(work, "envoy.yaml")
	if err := ports.writeConfig(filepath.Join(o.dir, "envoy.yaml"), config); err != nil {
		return err
	}
	if err := begin("envoy", "http://"+ports.addr(envoyAdminPort)+"/ready",
		o.envoy, "-c", config, "--concurrency", "2", "--log-level", "warn", "--use-dynamic-base-id"); err != nil {
		return err
	}

	show := &show{out: os.Stdout, backend: backend, direct: "http://" + ports.addr(backendPort), through: "http://" + ports.addr(envoyPort)}
	wrong := show.all(ctx)
	if ctx.Err() != nil {
		failed = false
		return nil
	}
	if !o.once {
		ports.print(policies, work)
		if err := waitForEnd(ctx, running); err != nil {
			return err
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d answers were not as expected; logs are in %s", wrong, work)
	}
	failed = false
	return nil
}

// waitForEnd waits for Ctrl-C, or for one of the processes to end by itself.
func waitForEnd(ctx context.Context, running []*process) error {
	for {
		select {
		case <-ctx.Done():
			fmt.Println("\nStopping.")
			return nil
		case <-time.After(500 * time.Millisecond):
		}
		for _, p := range running {
			if p.ended() {
				return errors.New(p.name + " has ended by itself; its log is " + p.log)
			}
		}
	}
}
