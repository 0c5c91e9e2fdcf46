package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluice-proxy/sluice/internal/detect"
)

// sets are the types that are scored of a file where not all are.
var sets = map[string][]string{
	"wnut17_dev": {"PERSON", "LOCATION"},
}

func main() {
	log.SetFlags(0)
	data := flag.String("data", "../shared/data", "folder with dev/*.jsonl and canon.json")
	types := flag.String("types", "", "types to score, with commas between; those of the file where empty")
	pred := flag.String("pred", "", "folder to write the findings to, as score.py takes them")
	errors := flag.Int("errors", 0, "print so many of the spans that were missed or wrong")
	bias := flag.Float64("bias", 0, "for or against names, -1 to 1")
	flag.Parse()
	if err := run(os.Stdout, *data, flag.Args(), *types, *pred, *errors, detect.Options{NameBias: *bias}); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer, data string, names []string, types, pred string, errors int, opt detect.Options) error {
	c, err := readCanon(filepath.Join(data, "canon.json"))
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(data, "dev", "*.jsonl"))
	if err != nil {
		return err
	}
	s, err := detect.New(opt)
	if err != nil {
		return err
	}
	f := &finder{scanner: s}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		if len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		gold, err := readDocuments(file)
		if err != nil {
			return err
		}
		found := make([][]span, len(gold))
		for i, d := range gold {
			if found[i], err = f.find(d.Text); err != nil {
				return fmt.Errorf("%s, document %s: %w", name, d.ID, err)
			}
		}
		if pred != "" {
			if err := writeFound(filepath.Join(pred, name+".jsonl"), gold, found); err != nil {
				return err
			}
		}
		want := sets[name]
		if types != "" {
			want = strings.Split(types, ",")
		}
		sc := compare(gold, found, c, want)
		fmt.Fprintf(out, "\n## %s: %d documents, %d spans\n\n    go run ./internal/eval -data DIR %s\n\n", name, len(gold), sc.total.gold, name)
		sc.write(out)
		if errors > 0 {
			listErrors(out, gold, found, c, sc, errors)
		}
	}
	return nil
}

func writeFound(file string, gold []document, found [][]span) error {
	h, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("writing findings: %w", err)
	}
	w := bufio.NewWriter(h)
	enc := json.NewEncoder(w)
	for i, d := range gold {
		if err := enc.Encode(document{ID: d.ID, Spans: append([]span{}, found[i]...)}); err != nil {
			return fmt.Errorf("writing findings: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing findings: %w", err)
	}
	return h.Close()
}

// listErrors prints spans that were missed and findings that are wrong, with
// what stands around them.
func listErrors(out io.Writer, gold []document, found [][]span, c *canon, sc *score, limit int) {
	for i, d := range gold {
		text := []rune(d.Text)
		show := func(what string, s span) {
			if limit--; limit >= 0 {
				fmt.Fprintf(out, "%s %-10s %q in %q\n", what, c.of(s.Type), string(text[s.Start:s.End]), string(text[max(0, s.Start-50):min(len(text), s.End+40)]))
			}
		}
		same := func(a span, in []span) bool {
			return slices.ContainsFunc(in, func(b span) bool { return overlaps(a, b) && c.of(a.Type) == c.of(b.Type) })
		}
		for _, g := range d.Spans {
			if sc.by[c.of(g.Type)] != nil && !same(g, found[i]) {
				show("missed", g)
			}
		}
		for _, p := range found[i] {
			if sc.by[c.of(p.Type)] != nil && !same(p, d.Spans) {
				show("wrong ", p)
			}
		}
	}
}
