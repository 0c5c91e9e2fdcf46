package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/sluice-proxy/sluice/internal/admin"
)

// version is set by the linker; without it, it comes from the module.
var version string

// build is what is known of this binary.
func build() admin.Build {
	b := admin.Build{Version: version, Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Revision = s.Value
		}
	}
	return b
}

func newVersion() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Print the version of this binary", Args: cobra.NoArgs}
	out := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		b := build()
		if *out == "json" {
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetIndent("", "  ")
			return enc.Encode(b)
		}
		line := "sluice " + b.Version
		if b.Revision != "" {
			line += " (" + b.Revision + ")"
		}
		_, err := fmt.Fprintln(cmd.OutOrStdout(), line+" "+b.Go)
		return err
	}
	return cmd
}
