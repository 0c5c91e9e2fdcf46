// Command train makes the models of the builtin provider from the texts in
// data: go run ./train, in the folder internal/ai/builtin (go generate does).
//
// A line of data/NAME.tsv is a class, a tab and a text; (a|b) in it stands for
// either, and a line is as many examples as it has combinations, up to a
// bound. data/NAME.test.tsv and NAME.far.tsv are never trained on: the accuracy
// on the former is printed, and TestHeldOut holds both.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sluice-proxy/sluice/internal/ai/builtin"
	"github.com/sluice-proxy/sluice/internal/ai/builtin/corpus"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "train:", err)
		os.Exit(1)
	}
}

func run() error {
	files, err := filepath.Glob("data/*.tsv")
	if err != nil {
		return err
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".tsv")
		if strings.Contains(name, ".") {
			continue // held out
		}
		set, err := corpus.Read(f)
		if err != nil {
			return err
		}
		m := builtin.Train(set.Classes, set.Texts, set.Labels)
		held, err := corpus.Read("data/" + name + ".test.tsv")
		if err != nil {
			return err
		}
		out, err := os.Create("models/" + name + ".bin")
		if err != nil {
			return err
		}
		if err := m.Write(out); err != nil {
			return fmt.Errorf("writing the model %s: %w", name, err)
		}
		if err := out.Close(); err != nil {
			return err
		}
		right := 0
		for i, t := range held.Texts {
			got, _ := m.Best(t)
			if got == held.Classes[held.Labels[i]] {
				right++
			} else {
				fmt.Printf("  %s for %s: %s\n", got, held.Classes[held.Labels[i]], t)
			}
		}
		fmt.Printf("%s: %d examples of %d classes; %d of %d right on what it has not seen\n", name, len(set.Texts), len(set.Classes), right, len(held.Texts))
	}
	return nil
}
