package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
)

// The addresses where nothing else is said.
const (
	defaultListen = "127.0.0.1:9002"
	defaultAdmin  = "127.0.0.1:9003"
)

func newServe() *cobra.Command {
	var d daemon
	var level slog.LevelVar
	cmd := &cobra.Command{
		Use:   "serve --policies PATH",
		Short: "Serve the data plane",
		Long: `Serve is the external processor. It serves Envoy's ext_proc at each --listen
address and its own state (health, metrics, policies) at the admin address.

The policies are loaded again when their files change, and on SIGHUP; a set with
a problem is refused, and the one before stays in force. On SIGHUP the audit
log's file is opened anew, too.

On SIGTERM it drains: it is not ready any more, takes no new exchange, and lets
those in flight end, for as long as --drain-timeout. A second SIGTERM ends it at
once.

Flags count more than a Settings document in the policies. TLS is configured
there, by address.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.flagged = func(name string) bool { return cmd.Flags().Changed(name) }
			d.stdout = cmd.OutOrStdout()
			d.log = slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: &level}))
			return d.run(cmd.Context())
		},
	}
	fs := cmd.Flags()
	fs.StringArrayVar(&d.policies, "policies", nil, "`path` of a policy file or folder; may be repeated")
	fs.StringArrayVar(&d.listen, "listen", nil, "`address` to serve the data plane at: host:port or unix:/path; may be repeated (default "+defaultListen+")")
	fs.StringVar(&d.admin, "admin", defaultAdmin, "`address` of the admin port, or none")
	fs.BoolVar(&d.pprof, "pprof", false, "serve /debug/pprof/ at the admin port")
	fs.DurationVar(&d.drain, "drain-timeout", 30*time.Second, "`time` that exchanges in flight have to end")
	fs.TextVar(&level, "log-level", &level, "least `level` of log lines: debug, info, warn or error")
	_ = cmd.MarkFlagRequired("policies")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if d.drain <= 0 {
			return fmt.Errorf("--drain-timeout %s: it must be more than nothing", d.drain)
		}
		return nil
	}
	return cmd
}
