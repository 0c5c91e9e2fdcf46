package main

import (
	"fmt"
	"io"
	"slices"
	"unicode"
)

// tally counts the spans of a type.
type tally struct {
	gold, pred           int
	exactGold, exactPred int
	hitGold, hitPred     int
	covered              int
}

func (t *tally) add(o *tally) {
	t.gold += o.gold
	t.pred += o.pred
	t.exactGold += o.exactGold
	t.exactPred += o.exactPred
	t.hitGold += o.hitGold
	t.hitPred += o.hitPred
	t.covered += o.covered
}

// ratio is precision, recall and F1.
type ratio struct{ p, r, f float64 }

func ratioOf(hitPred, pred, hitGold, gold int) ratio {
	var x ratio
	switch {
	case pred > 0:
		x.p = float64(hitPred) / float64(pred)
	case gold == 0:
		x.p = 1
	}
	if gold > 0 {
		x.r = float64(hitGold) / float64(gold)
	} else {
		x.r = 1
	}
	if x.p+x.r > 0 {
		x.f = 2 * x.p * x.r / (x.p + x.r)
	}
	return x
}

func (t *tally) exact() ratio   { return ratioOf(t.exactPred, t.pred, t.exactGold, t.gold) }
func (t *tally) overlap() ratio { return ratioOf(t.hitPred, t.pred, t.hitGold, t.gold) }

// score is what comes out of comparing what was found with what is there.
//
// A finding overlaps a span of its type where they have a character in
// common, and is exact where both ends agree. A finding on a span of a type
// that is not scored counts neither way. Only letters and digits count for
// leak and over.
type score struct {
	documents int
	types     []string
	by        map[string]*tally
	total     tally

	personal, leaked   int // letters and digits in scored spans; those not masked
	other, overmasked  int // letters and digits in no span; those masked
	withData, noLeak   int // documents with scored spans; those of which nothing leaks
	without, untouched int // documents without; those in which nothing is found
}

func share(n, of int) float64 { return float64(n) / float64(max(1, of)) }

func (s *score) leak() float64  { return share(s.leaked, s.personal) }
func (s *score) over() float64  { return share(s.overmasked, s.other) }
func (s *score) clean() float64 { return share(s.untouched, s.without) }

// macro is the mean of the overlap F1 of the types that occur.
func (s *score) macro() float64 {
	sum, n := 0.0, 0
	for _, t := range s.types {
		if c := s.by[t]; c.gold > 0 {
			sum += c.overlap().f
			n++
		}
	}
	return sum / float64(max(1, n))
}

// compare scores the findings found in the documents gold. Only the types
// named are scored; where none is, all that occur in gold but those that the
// canon ignores.
func compare(gold []document, found [][]span, c *canon, types []string) *score {
	scored := map[string]bool{}
	for _, t := range types {
		scored[c.of(t)] = true
	}
	if len(types) == 0 {
		for _, d := range gold {
			for _, s := range d.Spans {
				if t := c.of(s.Type); !slices.Contains(c.Ignore, t) {
					scored[t] = true
				}
			}
		}
	}
	s := &score{documents: len(gold), by: map[string]*tally{}}
	for t := range scored {
		s.types = append(s.types, t)
		s.by[t] = &tally{}
	}
	slices.Sort(s.types)
	for i := range gold {
		s.document(&gold[i], found[i], c, scored)
	}
	for _, t := range s.types {
		s.total.add(s.by[t])
	}
	return s
}

func (s *score) document(d *document, found []span, c *canon, scored map[string]bool) {
	text := []rune(d.Text)
	var wanted, neutral, mine []span
	for _, g := range d.Spans {
		g.Type = c.of(g.Type)
		if scored[g.Type] {
			wanted = append(wanted, g)
		} else {
			neutral = append(neutral, g)
		}
	}
	masked := make([]bool, len(text))  // by any finding
	maskedS := make([]bool, len(text)) // by one of a scored type
	seen := map[span]bool{}
	for _, p := range found {
		p.Type, p.Score = c.of(p.Type), 0
		p.End = min(p.End, len(text))
		if p.End <= p.Start || seen[p] {
			continue
		}
		seen[p] = true
		for k := p.Start; k < p.End; k++ {
			masked[k] = true
			maskedS[k] = maskedS[k] || scored[p.Type]
		}
		if scored[p.Type] {
			mine = append(mine, p)
		}
	}
	for _, p := range mine {
		exact, hit, onAny, onNeutral := false, false, false, false
		for _, g := range wanted {
			if overlaps(g, p) {
				onAny = true
				if g.Type == p.Type {
					hit = true
					exact = exact || g.Start == p.Start && g.End == p.End
				}
			}
		}
		for _, g := range neutral {
			onNeutral = onNeutral || overlaps(g, p)
		}
		if !onAny && onNeutral {
			continue
		}
		t := s.by[p.Type]
		t.pred++
		t.exactPred += number(exact)
		t.hitPred += number(hit)
	}
	const inScored, inOther = 1, 2
	place := make([]uint8, len(text))
	for _, g := range neutral {
		fill(place, g, inOther)
	}
	leaks := false
	for _, g := range wanted {
		t := s.by[g.Type]
		t.gold++
		hit, exact, covered := false, false, true
		for _, p := range mine {
			if p.Type == g.Type && overlaps(g, p) {
				hit = true
				exact = exact || g.Start == p.Start && g.End == p.End
			}
		}
		for k := g.Start; k < min(g.End, len(text)); k++ {
			if !masked[k] && isLetterOrDigit(text[k]) {
				covered = false
			}
		}
		leaks = leaks || !covered
		t.exactGold += number(exact)
		t.hitGold += number(hit)
		t.covered += number(covered)
		fill(place, g, inScored)
	}
	for k, r := range text {
		if !isLetterOrDigit(r) {
			continue
		}
		switch place[k] {
		case inScored:
			s.personal++
			s.leaked += number(!masked[k])
		case 0:
			s.other++
			s.overmasked += number(maskedS[k])
		}
	}
	if len(wanted) > 0 {
		s.withData++
		s.noLeak += number(!leaks)
	} else {
		s.without++
		s.untouched += number(len(mine) == 0)
	}
}

func overlaps(a, b span) bool { return a.Start < b.End && b.Start < a.End }

func fill(place []uint8, g span, v uint8) {
	for k := g.Start; k < min(g.End, len(place)); k++ {
		place[k] = v
	}
}

func isLetterOrDigit(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// write prints the score as a table.
func (s *score) write(w io.Writer) {
	row := func(name string, t *tally) {
		e, o := t.exact(), t.overlap()
		fmt.Fprintf(w, "| %-18s | %5d | %5d | %.3f | %.3f | %.3f | %.3f | %.3f | %.3f |\n", name, t.gold, t.pred, o.p, o.r, o.f, e.f, e.r, share(t.covered, t.gold))
	}
	fmt.Fprintln(w, "| entity             |  gold | found | overlap P | R | F1 | exact F1 | exact R | covered |")
	fmt.Fprintln(w, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, t := range s.types {
		row(t, s.by[t])
	}
	row("ALL", &s.total)
	fmt.Fprintf(w, "\nleak %.4f, over %.4f, documents of which nothing leaks %.3f, documents without personal data untouched %.3f, mean F1 of the types %.3f\n",
		s.leak(), s.over(), share(s.noLeak, s.withData), s.clean(), s.macro())
}
