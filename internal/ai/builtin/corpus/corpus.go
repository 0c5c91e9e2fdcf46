// Package corpus reads the texts that the builtin models are trained and
// tested on.
package corpus

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// maxExpansions bounds what one line stands for.
const maxExpansions = 24

// Set is labelled texts.
type Set struct {
	Classes []string // in the order of their first line
	Texts   []string
	Labels  []int // places in Classes
	Lines   []int // which line of the file each text is of
}

// Read reads a file: class, tab, text, where (a|b) stands for either; lines
// that begin with # are comments.
func Read(file string) (*Set, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading texts: %w", err)
	}
	s := &Set{}
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		class, text, ok := strings.Cut(line, "\t")
		if !ok {
			return nil, fmt.Errorf("%s:%d: a line is a class, a tab and a text", file, n)
		}
		label := slices.Index(s.Classes, class)
		if label < 0 {
			label = len(s.Classes)
			s.Classes = append(s.Classes, class)
		}
		for _, t := range expand(text) {
			s.Texts, s.Labels, s.Lines = append(s.Texts, t), append(s.Labels, label), append(s.Lines, n)
		}
	}
	return s, nil
}

// expand writes out the choices of a text. Where there are too many
// combinations it takes each choice in turn, so that every one is there.
func expand(text string) []string {
	var literals []string
	var choices [][]string
	total := 1
	literal := ""
	for rest := text; ; {
		before, after, open := strings.Cut(rest, "(")
		inner, tail, closed := strings.Cut(after, ")")
		if !open || !closed {
			literals = append(literals, literal+rest)
			break
		}
		rest = tail
		if !strings.Contains(inner, "|") { // brackets of the text's own
			literal += before + "(" + inner + ")"
			continue
		}
		literals, literal = append(literals, literal+before), ""
		c := strings.Split(inner, "|")
		choices = append(choices, c)
		total = min(total*len(c), 1<<20)
	}
	build := func(pick func(i int) int) string {
		var b strings.Builder
		for i, l := range literals {
			b.WriteString(l)
			if i < len(choices) {
				b.WriteString(choices[i][pick(i)])
			}
		}
		return b.String()
	}
	var out []string
	if total <= maxExpansions {
		for k := range total {
			n := k
			out = append(out, build(func(i int) int {
				c := n % len(choices[i])
				n /= len(choices[i])
				return c
			}))
		}
		return out
	}
	for k := range maxExpansions {
		out = append(out, build(func(i int) int { return (k*(2*i+1) + i) % len(choices[i]) }))
	}
	return out
}
