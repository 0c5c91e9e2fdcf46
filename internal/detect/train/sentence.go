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
	kind := w.pick([]string{"does", "does", "object", "object", "object", "place", "place", "org", "verb", "verb", "alone", "alone", "said"})
	opened := w.chance(0.3)
	if opened {
		w.parts(title1(w.pick(w.grammar.learn["open"]), w.chance(0.7)))
		w.put(w.pick([]string{" ", ", ", " ", ": "}), names.None)
	}
	line := w.pick(g[kind])
	switch kind {
	case "verb":
		line = "{P} " + line + " {P}" + w.maybe(0.3, " "+w.pick(g["thing"]))
	case "alone":
		line = w.pick([]string{"{P} ", "{P} ", "{P} and {P} ", "{P}, {P} and {P} ", "{P} from {C} ", "{P} from {C} ", "{P} in {C} ", "here is {P}, who ", "that's {P}; {F} ", "both {P} and {P} ", "{P}'s {K} "}) + line
	case "said":
		if !opened && w.chance(0.7) {
			w.turns(g["said"])
			return
		}
		line = w.pick([]string{`"` + line + `", said {P}`, `{P} said: "` + line + `"`, `"` + line + `," {P} replied`, `{P} asked: "` + line + `"`, "{P}: " + line, "here's {P}'s {K}: {Z}", "{P}'s {K}, {P}'s {K} and mine"})
	}
	w.parts(title1(line, !opened && w.chance(0.75)))
	if w.chance(0.3) {
		c := w.pick(w.grammar.learn["close"])
		if !strings.HasPrefix(c, ",") && !strings.HasPrefix(c, "!") && !strings.HasPrefix(c, "?") {
			w.put(" ", names.None)
		}
		w.parts(c)
	}
	w.put(w.pick([]string{".", ".", ".", "!", "?", "", ""}), names.None)
}

// turns writes a conversation: who speaks, and what is said.
func (w *writer) turns(lines []string) {
	colon := w.pick([]string{": ", ": ", ":", " - ", "> "})
	quote := w.pick([]string{"", "", `"`, `\"`})
	stamp := w.chance(0.2)
	var who []string
	for range 2 {
		w.newPerson()
		name := w.given()
		if w.chance(0.3) {
			name += " " + w.family()
		}
		who = append(who, name)
	}
	for i := range 2 + w.r.IntN(4) {
		if stamp {
			w.put("["+w.filler("time")+"] ", names.None)
		}
		w.put(who[i%2], names.Person)
		w.put(colon+quote, names.None)
		w.parts(title1(w.pick(lines), w.chance(0.6)))
		w.put(quote+"\n", names.None)
	}
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
		case "K":
			w.put(w.pick(strings.Fields("address phone car mother father brother sister wife husband son daughter friend boss dog house office account order file team book birthday number email team laptop passport doctor lawyer answer idea")), names.None)
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
