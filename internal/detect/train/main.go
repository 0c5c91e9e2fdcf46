// The train program makes the model of internal/detect/names: from the labelled
// texts and the gazetteers in a folder, and from texts that it makes up of the
// lists beside it. The comments of Go's standard library stand for texts without
// names. The same seed, and the same version of Go, make the same model.
//
//	go run ./internal/detect/train -data DIR
package main

import (
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/sluice-proxy/sluice/internal/detect/names"
)

func main() {
	log.SetFlags(0)
	data := flag.String("data", "", "folder with train/ and gazetteers/")
	out := flag.String("o", "internal/detect/names/model.bin", "where the model is written to")
	seed := flag.Uint64("seed", 1, "seed of all that is random")
	texts := flag.Int("texts", 50000, "texts that are made up")
	fields := flag.Int("fields", 60000, "fields that are made up")
	epochs := flag.Int("epochs", 8, "times that all is gone through")
	decay := flag.Float64("decay", 2e-6, "by how much weights are drawn to zero in each step")
	real := flag.Float64("real", 3, "weight of a labelled text against one that is made up")
	drop := flag.Float64("drop", 0.3, "share of the features that are left out at random")
	flag.Parse()
	if err := run(*data, *out, *seed, *texts, *fields, *epochs, float32(*decay), float32(*drop), float32(*real)); err != nil {
		log.Fatal(err)
	}
}

func run(data, out string, seed uint64, texts, fields, epochs int, decay, drop, real float32) error {
	began := time.Now()
	w, err := newWorld(data, seed)
	if err != nil {
		return err
	}
	lex, err := lexicon(w, data)
	if err != nil {
		return err
	}
	train, held, err := collect(w, data, texts, fields, real)
	if err != nil {
		return err
	}
	log.Printf("%d texts to learn from, %d of templates that are held out", len(train), len(held))

	r := rand.New(rand.NewPCG(seed, 2))
	hide := func() (word, attrs bool) { return r.Float64() < 0.2, r.Float64() < 0.15 }
	sampler := names.NewSampler(lex)
	c := newChain()
	c.l2 = decay
	for epoch := range epochs {
		c.lr = 0.2 / (1 + 0.3*float32(epoch))
		loss, tokens, missed := 0.0, 0, 0
		var samples []names.Sample
		for _, i := range r.Perm(len(train)) {
			e := &train[i]
			var m int
			samples, m = sampler.Samples(samples[:0], []byte(e.text), e.key, e.gold, hide)
			missed += m
			for k := range samples {
				thin(r, &samples[k], drop)
				loss += c.learn(&samples[k], e.weight)
				tokens += len(samples[k].Labels)
			}
		}
		if epoch >= epochs/2 {
			c.remember()
		}
		log.Printf("epoch %d: loss %.4f a token, %d tokens, %d of names are in no island; %s", epoch+1, loss/float64(tokens), tokens, missed, time.Since(began).Round(time.Second))
	}
	m := c.model(lex)
	f, err := os.Create(out)
	if err != nil {
		return fmt.Errorf("writing the model: %w", err)
	}
	if err := m.Write(f); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("writing the model: %w", err)
	}
	written, err := os.ReadFile(out)
	if err != nil {
		return fmt.Errorf("reading the model again: %w", err)
	}
	if m, err = names.Read(written); err != nil {
		return err
	}
	figures("texts of templates that were held out", m, held)
	return nil
}

// collect gathers what is learnt from and what is held out.
func collect(w *world, data string, texts, fields int, real float32) (train, held []example, err error) {
	nations := map[string]bool{}
	for _, n := range w.nations {
		nations[n] = true
	}
	for _, c := range []struct {
		file   string
		weight float32
	}{{"wikigold", 1.5 * real}, {"wnut17_train", real}, {"btc_nohandle", real}, {"sec_fin5", real / 2}} {
		es, err := readCorpus(filepath.Join(data, "train", c.file+".jsonl"), nations, c.weight)
		if err != nil {
			return nil, nil, err
		}
		for _, e := range es {
			if c.file == "sec_fin5" && hasPerson(e) {
				continue // roles are labelled as people there
			}
			train = append(train, e)
			if w.chance(0.15) {
				if l := lowered(e); l != nil {
					train = append(train, *l)
				}
			}
		}
	}
	plain, err := technical(w, texts/10, texts/10)
	if err != nil {
		return nil, nil, err
	}
	train = append(train, plain...)
	all := templates()
	for range texts {
		t := all[w.r.IntN(len(all))]
		if t.held && w.chance(0.9) {
			continue
		}
		e := w.example(t)
		if t.held {
			held = append(held, e)
		} else {
			train = append(train, e)
		}
	}
	for range texts {
		switch n := w.r.IntN(100); {
		case n < 50:
			train = append(train, w.composed(false))
		case n < 65:
			train = append(train, w.block())
		case n < 80:
			train = append(train, w.table())
		case n < 98:
			train = append(train, w.object())
		default:
			held = append(held, w.composed(true))
		}
	}
	total := fieldWeights()
	for range fields {
		train = append(train, w.field(total))
	}
	return train, held, nil
}

func hasPerson(e example) bool {
	for _, g := range e.gold {
		if g.Kind == names.Person {
			return true
		}
	}
	return false
}

// figures prints overlap and exact F1 by kind.
func figures(what string, m *names.Model, es []example) {
	type count struct{ gold, found, hitGold, hitFound, exact int }
	var by [6]count
	for _, e := range es {
		f := m.Field(e.key)
		spans, _, _ := m.Tag(nil, nil, names.Input{Text: []byte(e.text), Field: &f})
		for _, g := range e.gold {
			by[g.Kind].gold++
			for _, s := range spans {
				if s.Kind == g.Kind && s.Start < g.End && g.Start < s.End {
					by[g.Kind].hitGold++
					break
				}
			}
		}
		for _, s := range spans {
			by[s.Kind].found++
			hit := false
			for _, g := range e.gold {
				if s.Kind == g.Kind && s.Start < g.End && g.Start < s.End {
					hit = true
					if s.Start == g.Start && s.End == g.End {
						by[s.Kind].exact++
					}
				}
			}
			if hit {
				by[s.Kind].hitFound++
			}
		}
	}
	log.Printf("%s:", what)
	for k, name := range []string{"", "person", "place", "organisation", "group"} {
		c := by[k]
		if c.gold == 0 {
			continue
		}
		p, r := float64(c.hitFound)/float64(max(1, c.found)), float64(c.hitGold)/float64(c.gold)
		pe, re := float64(c.exact)/float64(max(1, c.found)), float64(c.exact)/float64(c.gold)
		log.Printf("  %-12s %6d  overlap P %.3f R %.3f F1 %.3f  exact F1 %.3f", name, c.gold, p, r, 2*p*r/max(p+r, 1e-9), 2*pe*re/max(pe+re, 1e-9))
	}
}
