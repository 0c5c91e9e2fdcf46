package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/sluice-proxy/sluice/extproc"
	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/admin"
	"github.com/sluice-proxy/sluice/internal/ai"
	"github.com/sluice-proxy/sluice/internal/audit"
	"github.com/sluice-proxy/sluice/internal/pipeline"
	"github.com/sluice-proxy/sluice/internal/secret"
	"github.com/sluice-proxy/sluice/internal/store"
	"github.com/sluice-proxy/sluice/internal/telemetry"
	"github.com/sluice-proxy/sluice/policies"
)

// flushTimeout is how long the audit log and the spans may take to be written
// at the end.
const flushTimeout = 5 * time.Second

// daemon is the serving process: it puts the parts together, and nothing
// else.
type daemon struct {
	policies, listen []string
	admin            string
	pprof            bool
	drain            time.Duration
	flagged          func(name string) bool
	stdout           io.Writer
	log              *slog.Logger

	store   *policies.Store
	metrics *telemetry.Metrics
	models  *telemetry.Models
	pool    *ai.Pool
	memory  memory
	// forget are called after a load: the steps before it are not in force.
	forget []func()

	mu       sync.Mutex
	lastLoad admin.Load
}

// run serves until ctx ends, and drains then.
func (d *daemon) run(ctx context.Context) (err error) {
	d.arrangeMemory()
	d.metrics = telemetry.NewMetrics()
	d.models = telemetry.NewModels(d.metrics)
	var shared store.Shared
	load := loader(d.log)
	var notes audit.Shared
	load.Env.Store, load.Env.Notes = &shared, &notes
	if load.Pool, err = ai.NewPool(ai.Options{Log: d.log, Observer: d.models, Dial: load.Dial}); err != nil {
		return fmt.Errorf("preparing the providers: %w", err)
	}
	d.pool = load.Pool
	d.models.Cached(d.pool.Cached)
	d.store, err = policies.Open(ctx, load, d.policies...)
	if err != nil {
		return fmt.Errorf("loading the policies:\n%w", err)
	}
	d.loaded(d.store.Current(), d.store.Problems(), false)
	d.store.OnReload = d.loaded
	settings := d.store.Current().Settings()

	state, err := d.openStore(ctx, settings.Store)
	if err != nil {
		return err
	}
	shared.Use(state)
	settled, err := d.share(settings, state)
	if err != nil {
		return err
	}

	log, err := audit.Open(audit.Config{To: settings.Audit.To, Stdout: d.stdout})
	if err != nil {
		return err
	}
	notes.Use(log)
	d.forget = append(d.forget, log.Forget)
	d.metrics.CounterFunc("sluice_audit_dropped_total", "Audit lines dropped because the queue was full.", func() float64 { return float64(log.Dropped()) })
	d.metrics.CounterFunc("sluice_audit_failed_writes_total", "Writes of the audit log that failed; their lines are lost.", func() float64 { return float64(log.Failed()) })
	recorders := []pipeline.Recorder{d.metrics, log}
	flush := []func(context.Context) error{log.Close, func(context.Context) error { settled(); return state.Close() }}

	if cfg := tracing(settings); cfg.Configured() {
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { d.log.Warn("tracing", "error", err.Error()) }))
		spans, err := telemetry.OpenTracing(ctx, cfg)
		if err != nil {
			return err
		}
		d.metrics.CounterFunc("sluice_spans_dropped_total", "Spans dropped because the queue was full, or that could not be sent.", func() float64 { return float64(spans.Dropped()) })
		recorders = append(recorders, spans)
		d.forget = append(d.forget, spans.Forget)
		flush = append(flush, spans.Close)
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		defer cancel()
		for _, f := range flush {
			if ferr := f(end); ferr != nil {
				d.log.Error("ending", "error", ferr.Error())
			}
		}
		d.log.Info("stopped")
	}()

	server := extproc.New(d.store, extproc.Options{
		Recorder: telemetry.NewFanout(recorders...),
		Metrics:  d.metrics,
		Log:      d.log,
		DataPlane: extproc.DataPlane{
			ModeOverride:      settings.DataPlane.ModeOverride,
			MessageTimeout:    settings.DataPlane.MessageTimeout,
			MaxMessageTimeout: settings.DataPlane.MaxMessageTimeout,
		},
		MaxMessageBytes: settings.Limits.MaxMessageBytes,
		MaxStreams:      settings.Limits.MaxStreams,
		DrainTimeout:    d.drain,
	})
	d.metrics.GaugeFunc("sluice_held_bytes", "Body bytes that are held in all open exchanges.", func() float64 { return float64(server.Held()) })
	return d.serve(ctx, server, settings, log)
}

// openStore opens the store of the settings. One that cannot be reached is
// told of, and the process goes on: only the steps that use it fail.
func (d *daemon) openStore(ctx context.Context, cfg store.Config) (store.Backend, error) {
	state, err := store.Open(cfg, time.Now)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	if err := state.Ping(ctx); err != nil {
		d.log.Error("steps that use the store will fail", "error", err.Error())
	}
	if m, ok := state.(*store.Memory); ok {
		d.metrics.CounterFunc("sluice_store_evicted_total", "Entries of the store in memory that had to go before their time.", func() float64 { return float64(m.Evicted()) })
	}
	return state, nil
}

// share puts the store behind the models' cache and budgets, where the settings
// say so. What it returns waits until the last calls are settled, and ends it.
func (d *daemon) share(settings *policies.Settings, state store.Backend) (settled func(), err error) {
	if !settings.Models.Any() {
		return func() {}, nil
	}
	far, ok := state.(ai.Far)
	if !ok {
		return nil, errors.New("the store is not one that replicas share")
	}
	secrets, err := secret.New(settings.Vault, d.log)
	if err != nil {
		return nil, fmt.Errorf("preparing the keys of what replicas share: %w", err)
	}
	wait, err := d.pool.Share(settings.Models, far, secrets)
	if err != nil {
		secrets.Close()
		return nil, err
	}
	return func() { wait(); secrets.Close() }, nil
}

// serve runs the server, the admin port, the watch over the files and the
// signals beside each other. The admin port outlives the others: while it
// drains, the process is healthy and not ready.
func (d *daemon) serve(ctx context.Context, server *extproc.Server, settings *policies.Settings, log *audit.Log) error {
	var beside sync.WaitGroup
	defer beside.Wait()
	asked := ctx
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	beside.Go(func() {
		<-ctx.Done()
		if asked.Err() != nil {
			d.log.Info("draining", "timeout", d.drain.String())
		}
	})
	adminCtx, stopAdmin := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAdmin()

	address, pprof := d.adminAddress(settings)
	if address != "" {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("opening the admin port: %w", err)
		}
		address = l.Addr().String()
		beside.Go(func() {
			err := admin.Serve(adminCtx, l, admin.Options{Build: build(), Metrics: d.metrics.Handler(), Ready: server.Ready, Policies: d.state, Keys: d.keys, Pprof: pprof})
			if err != nil {
				d.log.Error("the admin port has failed", "error", err.Error())
			}
		})
	}
	beside.Go(func() {
		if err := d.store.Watch(ctx); err != nil {
			d.log.Error("changes of the policies will not be seen; send SIGHUP after one", "error", err.Error())
		}
	})
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	beside.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
			}
			d.log.Info("SIGHUP: loading the policies and opening the audit log anew")
			d.store.Reload(ctx)
			if err := log.Reopen(); err != nil {
				d.log.Error("the audit log goes on in the old file", "error", err.Error())
			}
		}
	})
	ready := func(addrs []net.Addr) {
		var at []string
		for _, a := range addrs {
			at = append(at, a.String())
		}
		set := d.store.Current()
		d.log.Info("serving", "at", at, "admin", address, "set", set.Version(), "policies", len(set.Policies()), "version", build().Version)
	}
	if err := server.Serve(ctx, ready, d.listeners(settings)...); err != nil {
		return fmt.Errorf("serving the data plane: %w", err)
	}
	return nil
}

// listeners are those of the flags, else of the settings, else the default.
// An address of the flags that the settings name too has their TLS.
func (d *daemon) listeners(settings *policies.Settings) []extproc.Listener {
	var all []extproc.Listener
	for _, l := range settings.Listeners {
		x := extproc.Listener{Address: l.Address}
		if l.TLS != nil {
			x.TLS = &extproc.TLSFiles{Cert: l.TLS.Cert, Key: l.TLS.Key, ClientCA: l.TLS.ClientCA}
		}
		all = append(all, x)
	}
	if len(d.listen) == 0 {
		if len(all) == 0 {
			all = []extproc.Listener{{Address: defaultListen}}
		}
		return all
	}
	var chosen []extproc.Listener
	for _, address := range d.listen {
		i := slices.IndexFunc(all, func(l extproc.Listener) bool { return l.Address == address })
		if i < 0 {
			chosen = append(chosen, extproc.Listener{Address: address})
		} else {
			chosen = append(chosen, all[i])
		}
	}
	return chosen
}

// adminAddress is "" where there is to be no admin port.
func (d *daemon) adminAddress(settings *policies.Settings) (address string, pprof bool) {
	address, pprof = d.admin, d.pprof || settings.Admin.Pprof
	if !d.flagged("admin") && settings.Admin.Address != "" {
		address = settings.Admin.Address
	}
	if address == "none" {
		address = ""
	}
	return address, pprof
}

func tracing(settings *policies.Settings) telemetry.TracingConfig {
	cfg := telemetry.TracingConfig{Endpoint: settings.Telemetry.OTLP, Sample: 1, Version: build().Version}
	if s := settings.Telemetry.Sample; s != nil {
		cfg.Sample = *s
	}
	return cfg
}

// loaded takes note of a load of the policies.
func (d *daemon) loaded(set *policies.Set, problems []policies.Problem, refused bool) {
	load := admin.Load{Time: time.Now().UTC(), Result: telemetry.ReloadLoaded}
	for _, p := range problems {
		load.Problems = append(load.Problems, p.String())
	}
	if refused {
		load.Result = telemetry.ReloadRefused
		d.metrics.Reloaded(load.Result, "", nil)
		d.log.Error("policies refused; the set before stays in force", "set", set.Version(), "problems", load.Problems)
	} else {
		d.metrics.Reloaded(load.Result, set.Version(), names(set))
		d.models.Forget(names(set))
		for _, f := range d.forget {
			f()
		}
		d.pool.BoundCache(set.Settings().Limits.ModelCacheBytes)
		d.log.Info("policies loaded", "set", set.Version(), "policies", names(set))
		for _, p := range load.Problems {
			d.log.Warn("a policy has a problem", "problem", p)
		}
	}
	d.mu.Lock()
	d.lastLoad = load
	d.mu.Unlock()
}

// state is what the admin port shows of the policies.
func (d *daemon) state() admin.Policies {
	d.mu.Lock()
	load := d.lastLoad
	d.mu.Unlock()
	set := d.store.Current()
	out := admin.Policies{Version: set.Version(), Policies: []admin.Policy{}, LastLoad: load}
	for _, p := range set.Policies() {
		ap := admin.Policy{Name: p.Name, Order: p.Order, File: p.File, Labels: p.Labels, Steps: []admin.Step{}}
		for _, steps := range [][]*pipeline.Step{p.Request, p.Response, p.Log} {
			for _, s := range steps {
				ap.Steps = append(ap.Steps, adminStep(s))
			}
		}
		out.Policies = append(out.Policies, ap)
	}
	return out
}

// keys are the public keys of what the policies in force sign, each once.
func (d *daemon) keys() [][]byte {
	var out [][]byte
	seen := map[string]bool{}
	for _, p := range d.store.Current().Policies() {
		for _, s := range slices.Concat(p.Request, p.Response, p.Log) {
			for _, f := range []filters.Filter{s.Filter, s.Fallback} {
				signer, ok := f.(filters.Signer)
				if !ok {
					continue
				}
				for _, k := range signer.PublicKeys() {
					if !seen[string(k)] {
						seen[string(k)] = true
						out = append(out, k)
					}
				}
			}
		}
	}
	return out
}

func adminStep(s *pipeline.Step) admin.Step {
	as := admin.Step{Name: s.Name, Filter: s.Kind, In: s.Direction.String(), Mode: string(s.Mode), OnError: string(s.OnError)}
	if s.Log {
		as.In = "log"
	}
	if s.Timeout > 0 {
		as.Timeout = s.Timeout.String()
	}
	if s.Rollout != nil {
		as.Rollout = &s.Rollout.Percent
	}
	return as
}
