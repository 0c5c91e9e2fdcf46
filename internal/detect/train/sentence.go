package main

import (
	"strings"

	"github.com/sluice-proxy/sluice/internal/detect/names"
)

// grammar is the sections of grammar.txt by name. One line in nine is held
// out.
type grammar struct{ learn, held map[string][]string }

func readGrammar() *grammar {
	g := &grammar{map[string][]string{}, map[string][]string{}}
	for _, s := range readSections("grammar.txt") {
		for i, line := range s.lines {
			if i%9 == 5 && s.name != "open" && s.name != "close" {
				g.held[s.name] = append(g.held[s.name], line)
				continue
			}
			g.learn[s.name] = append(g.learn[s.name], line)
		}
	}
	return g
}

// composed puts a sentence together.
func (w *world) composed(held bool) example {
	wr := writer{world: w}
	switch n := w.r.IntN(100); {
	case n < 20:
		wr.low = true
	case n < 24:
		wr.up = true
	}
	wr.chooseLand()
	wr.newPerson()
	for k := range 1 + w.r.IntN(3) {
		if k > 0 {
			wr.put(w.pick([]string{" ", " ", " ", "\n", "  "}), names.None)
		}
		wr.clause(held)
	}
	return example{key: w.pick([]string{"", "", "", "content", "message", "text", "body", "note", "comment"}), text: wr.b.String(), gold: wr.gold, weight: 1, held: held}
}

func (w *writer) clause(held bool) {
	g := w.grammar.learn
	if held {
		g = w.grammar.held
	}
	kind := w.pick([]string{"does", "does", "object", "object", "object", "place", "place", "org"})
	opened := w.chance(0.3)
	if opened {
		w.parts(title1(w.pick(w.grammar.learn["open"]), w.chance(0.7)))
		w.put(w.pick([]string{" ", ", ", " ", ": "}), names.None)
	}
	w.parts(title1(w.pick(g[kind]), !opened && w.chance(0.75)))
	if w.chance(0.3) {
		c := w.pick(w.grammar.learn["close"])
		if !strings.HasPrefix(c, ",") && !strings.HasPrefix(c, "!") && !strings.HasPrefix(c, "?") {
			w.put(" ", names.None)
		}
		w.parts(c)
	}
	w.put(w.pick([]string{".", ".", ".", "!", "?", "", ""}), names.None)
}

// title1 begins a sentence with a capital.
func title1(s string, do bool) string {
	if do && s != "" && s[0] >= 'a' && s[0] <= 'z' {
		return strings.ToUpper(s[:1]) + s[1:]
	}
	return s
}

// parts fills a line of the grammar.
func (w *writer) parts(s string) {
	for {
		i := strings.IndexByte(s, '{')
		if i < 0 {
			break
		}
		j := i + strings.IndexByte(s[i:], '}')
		w.put(s[:i], names.None)
		switch s[i+1 : j] {
		case "P":
			switch n := w.r.IntN(10); {
			case n < 4:
				w.newPerson()
				w.put(w.person(), names.Person)
			case n < 7:
				w.slot("first")
			case n < 9:
				w.slot("last")
			default:
				w.slot("title")
				w.put(" ", names.None)
				w.slot("last")
			}
		case "F":
			w.slot("first")
		case "L":
			w.slot("last")
		case "FL":
			w.slot("per")
		case "C":
			switch n := w.r.IntN(10); {
			case n < 5:
				w.slot("city")
			case n < 8:
				w.slot("country")
			case n < 9:
				w.slot("state")
			default:
				w.slot("city")
				w.put(", ", names.None)
				if w.chance(0.5) {
					w.slot("country")
				} else {
					w.slot("state")
				}
			}
		case "A":
			w.slot("addr")
		case "S":
			w.slot("street")
		case "Z":
			w.slot("zip")
		case "O":
			w.slot("org")
		case "N":
			w.slot("nat")
		case "W":
			w.put(w.filler("weekday"), names.None)
		case "M":
			w.put(w.filler("month"), names.None)
		case "D":
			w.put(w.filler("date"), names.None)
		case "T":
			w.put(w.filler("tag"), names.None)
		}
		s = s[j+1:]
	}
	w.put(s, names.None)
}
