// Command sluice is an external processor for Envoy and Kong Mesh, and the
// tools around its policies. Each subcommand stands in a file of its own and
// is wiring only.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run()) }

// run is the program; it returns the exit status.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal ends a command in order, the second at once.
	context.AfterFunc(ctx, stop)
	root := newRoot()
	if err := root.ExecuteContext(ctx); err != nil {
		if !errors.Is(err, errReported) {
			fmt.Fprintln(os.Stderr, "sluice:", err)
		}
		return 1
	}
	return 0
}

// errReported ends a command with status 1 after it has said why itself.
var errReported = errors.New("the problems have been printed")

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "sluice",
		Short: "An external processor for Envoy and Kong Mesh that runs policies over HTTP exchanges",
		Long: `Sluice is an external processor (ext_proc) for Envoy and Kong Mesh. The data
plane streams each HTTP exchange to it; it runs the filters that your policies
name, such as the masking of personal data, and answers with the changes.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(os.Stdout)
	root.SetErr(os.Stderr)
	root.AddCommand(newServe(), newCheck(), newScan(), newRun(), newExplain(), newGen(), newFilters(), newSchema(), newVersion())
	return root
}

// output is the flag -o of commands that can write JSON.
func output(cmd *cobra.Command) *string {
	o := cmd.Flags().StringP("output", "o", "text", "`format` of the output: text or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if *o != "text" && *o != "json" {
			return fmt.Errorf("output %q: it must be text or json", *o)
		}
		return nil
	}
	return o
}
