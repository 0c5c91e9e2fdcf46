package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-proxy/sluice/policies"
)

func newCheck() *cobra.Command {
	var mode string
	cmd := &cobra.Command{
		Use:   "check PATH...",
		Short: "Check policies, and print every problem with its place",
		Long: `Check loads policies as serve does and prints every problem with file, line,
column and a hint. The exit status is 1 when there is one.

With --mode it also tells what the policies ask for that a body mode of Envoy
cannot do: one mode for both directions (NONE, BUFFERED, BUFFERED_PARTIAL,
STREAMED, FULL_DUPLEX_STREAMED), or one each (request=NONE,response=STREAMED).`,
		Args: cobra.MinimumNArgs(1),
	}
	cmd.Flags().StringVar(&mode, "mode", "", "body `mode` of the data plane's configuration to check against")
	out := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, paths []string) error {
		set, problems := loader(quiet()).Load(cmd.Context(), paths...)
		if mode != "" {
			modes, err := policies.ParseModes(mode)
			if err != nil {
				return fmt.Errorf("--mode: %w", err)
			}
			if set != nil {
				problems = append(problems, set.Check(modes)...)
			}
		}
		ok := set != nil && !slices.ContainsFunc(problems, func(p policies.Problem) bool { return p.Severity == policies.SeverityError })
		if err := report(cmd, *out, set, problems, ok, len(paths)); err != nil {
			return err
		}
		if !ok {
			return errReported
		}
		return nil
	}
	return cmd
}

// report prints what came of a check.
func report(cmd *cobra.Command, format string, set *policies.Set, problems []policies.Problem, ok bool, paths int) error {
	w := cmd.OutOrStdout()
	if format == "json" {
		result := struct {
			OK       bool               `json:"ok"`
			Version  string             `json:"version,omitempty"`
			Policies []string           `json:"policies,omitempty"`
			Problems []policies.Problem `json:"problems"`
		}{OK: ok, Problems: problems}
		if result.Problems == nil {
			result.Problems = []policies.Problem{}
		}
		if set != nil {
			result.Version, result.Policies = set.Version(), names(set)
		}
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(result)
	}
	if err := printProblems(w, problems); err != nil || !ok {
		return err
	}
	_, err := fmt.Fprintf(w, "ok: %d %s (%s), set %s\n", len(names(set)), plural(len(names(set)), "policy", "policies"), strings.Join(names(set), ", "), set.Version())
	return err
}

func names(set *policies.Set) []string {
	var ns []string
	for _, p := range set.Policies() {
		ns = append(ns, p.Name)
	}
	return ns
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
