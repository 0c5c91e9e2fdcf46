// Command train makes the models of the builtin provider from the texts in
// data: go run ./train, in the folder internal/ai/builtin (go generate does).
//
// A line of data/NAME.tsv is a class, a tab and a text; (a|b) in it stands for
// either, and a line is as many examples as it has combinations, up to a
// bound. data/NAME.test.tsv, NAME.far.tsv and NAME.blind.tsv are never trained
// on: the accuracy on the former is printed, and tests hold all. With -cross no
// model is written, and what is printed is the accuracy on a quarter of the
// lines when the model has learnt from the others, for each quarter in turn.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/sluice-proxy/sluice/internal/ai/builtin"
	"github.com/sluice-proxy/sluice/internal/ai/builtin/corpus"
)

func main() {
	cross := flag.Bool("cross", false, "learn from three quarters of the lines, and judge by the fourth")
	flag.Parse()
	if err := run(*cross); err != nil {
		fmt.Fprintln(os.Stderr, "train:", err)
		os.Exit(1)
	}
}

func run(cross bool) error {
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
		if cross {
			right := 0.0
			for quarter := range quarters {
				right += leftOut(name, set, quarter)
			}
			fmt.Printf("%s: %.3f of what it has not seen, by lines\n", name, right/quarters)
			continue
		}
		m := builtin.Train(set.Classes, set.Texts, set.Labels, builtin.TrainingOf(name))
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

const quarters = 4

// leftOut is the accuracy on a quarter of the lines, each line counting once,
// of a model that has learnt from the other lines.
func leftOut(name string, set *corpus.Set, quarter int) float64 {
	var texts []string
	var labels []int
	for i, t := range set.Texts {
		if set.Lines[i]%quarters != quarter {
			texts, labels = append(texts, t), append(labels, set.Labels[i])
		}
	}
	m := builtin.Train(set.Classes, texts, labels, builtin.TrainingOf(name))
	right, all := map[int]float64{}, map[int]float64{}
	for i, t := range set.Texts {
		if line := set.Lines[i]; line%quarters == quarter {
			all[line]++
			if got, _ := m.Best(t); got == set.Classes[set.Labels[i]] {
				right[line]++
			}
		}
	}
	sum := 0.0
	for line, n := range all {
		sum += right[line] / n
	}
	return sum / float64(len(all))
}
