package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/all"
	"github.com/sluice-proxy/sluice/internal/ai/vendors"
	"github.com/sluice-proxy/sluice/internal/store"
	"github.com/sluice-proxy/sluice/policies"
)

// loader loads policies with every filter this binary has. The filters' store
// is in memory; the serving process puts the one of the settings in its place.
func loader(log *slog.Logger) *policies.Loader {
	return &policies.Loader{
		Registry: all.Registry(),
		Env:      filters.Env{Now: time.Now, Rand: rand.Reader, Log: log, Store: store.NewMemory(0, time.Now)},
		Dial:     vendors.Dial,
	}
}

// load loads the policies for a command that works on a set. Problems are
// printed, and without a set the command has failed.
func load(ctx context.Context, cmd *cobra.Command, paths []string) (*policies.Set, error) {
	set, problems := loader(slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))).Load(ctx, paths...)
	if err := printProblems(cmd.ErrOrStderr(), problems); err != nil {
		return nil, err
	}
	if set == nil {
		return nil, errReported
	}
	return set, nil
}

// quiet is for commands whose output is all there is to say.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func printProblems(w io.Writer, problems []policies.Problem) error {
	for _, p := range problems {
		if _, err := fmt.Fprintln(w, p.String()); err != nil {
			return err
		}
	}
	return nil
}
