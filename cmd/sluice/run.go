package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
	"github.com/sluice-proxy/sluice/internal/replay"
	"github.com/sluice-proxy/sluice/policies"
)

func newRun() *cobra.Command {
	var paths []string
	var requestFile, responseFile string
	cmd := &cobra.Command{
		Use:   "run --policies PATH --request FILE [--response FILE]",
		Short: "Run one exchange through the policies, without a data plane",
		Long: `Run plays one exchange as the data plane would in full duplex, and prints the
decisions, the changes, and the messages that come out.

FILE is an HTTP message as text: the start line, header lines, an empty line,
the body. A line "trailer NAME: VALUE" in the header is a trailer.`,
		Args: cobra.NoArgs,
	}
	fs := cmd.Flags()
	fs.StringArrayVar(&paths, "policies", nil, "`path` of a policy file or folder; may be repeated")
	fs.StringVar(&requestFile, "request", "", "`file` of the request, - for the standard input")
	fs.StringVar(&responseFile, "response", "", "`file` of the backend's response")
	_ = cmd.MarkFlagRequired("policies")
	_ = cmd.MarkFlagRequired("request")
	out := output(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		request, err := readMessage(cmd, requestFile, replay.ParseRequest)
		if err != nil {
			return err
		}
		var response *replay.Message
		if responseFile != "" {
			if response, err = readMessage(cmd, responseFile, replay.ParseResponse); err != nil {
				return err
			}
		}
		set, err := load(cmd.Context(), cmd, paths)
		if err != nil {
			return err
		}
		res := replay.Play(cmd.Context(), fixed{set}, request, response, replay.Options{})
		play := newPlay(request, response, res)
		if *out == "json" {
			enc := json.NewEncoder(cmd.OutOrStdout())
			enc.SetIndent("", "  ")
			enc.SetEscapeHTML(false)
			return enc.Encode(play)
		}
		return play.write(cmd.OutOrStdout())
	}
	return cmd
}

// fixed gives every exchange the steps of one set.
type fixed struct{ set *policies.Set }

// Begin implements replay.Policies.
func (f fixed) Begin(ctx context.Context, ex *filters.Exchange) (pipeline.Chains, pipeline.Limits) {
	return f.set.Begin(ctx, ex)
}

func readMessage(cmd *cobra.Command, file string, parse func([]byte) (*replay.Message, error)) (*replay.Message, error) {
	var text []byte
	var err error
	if file == "-" {
		text, err = io.ReadAll(cmd.InOrStdin())
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the message: %w", err)
	}
	m, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return m, nil
}
