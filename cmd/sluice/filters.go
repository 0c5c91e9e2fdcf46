package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/sluice-proxy/sluice/filters/all"
	"github.com/sluice-proxy/sluice/filters/reference"
)

func newFilters() *cobra.Command {
	return &cobra.Command{
		Use:   "filters [NAME]",
		Short: "List the filters, or print the reference of one",
		Args:  cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var kinds []string
			for _, d := range all.Registry().All() {
				kinds = append(kinds, d.Kind+"\t"+d.Summary)
			}
			return kinds, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listFilters(cmd)
			}
			def, ok := all.Registry().Lookup(args[0])
			if !ok {
				return fmt.Errorf("there is no filter %q; there are %s", args[0], strings.Join(kinds(), ", "))
			}
			text, err := reference.Render(def)
			if err != nil {
				return fmt.Errorf("writing the reference of %s: %w", def.Kind, err)
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), text)
			return err
		},
	}
}

func listFilters(cmd *cobra.Command) error {
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	for _, d := range all.Registry().All() {
		fmt.Fprintf(w, "%s\t%s\t%s\n", d.Kind, d.Places(), d.Summary)
	}
	return w.Flush()
}

func kinds() []string {
	var ks []string
	for _, d := range all.Registry().All() {
		ks = append(ks, d.Kind)
	}
	return ks
}
