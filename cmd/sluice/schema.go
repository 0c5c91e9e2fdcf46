package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sluice-proxy/sluice/filters/all"
	"github.com/sluice-proxy/sluice/policies"
)

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of policy files, for editors",
		Long: `Schema prints a JSON Schema of everything that can stand in a policy file, with
each filter's configuration. An editor with a YAML language server uses it for
completion and checking:

	# yaml-language-server: $schema=sluice.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			schema, err := policies.Schema(all.Registry())
			if err != nil {
				return fmt.Errorf("making the schema: %w", err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", schema)
			return err
		},
	}
}
