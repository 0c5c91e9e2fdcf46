package main

import (
	"embed"
	"fmt"
	"strings"
)

// The lists are facts that are generally known: names as they are common in
// a country, how addresses are written there, what things are called.
//
//go:embed lists/*.txt
var listFiles embed.FS

// section is a part of a list: under a heading, what is listed by kind.
type section struct {
	name   string
	weight int
	lists  map[string][]string
	lines  []string // of a list without kinds
}

// readSections reads a list: [heading] weight, and lines of "kind: words" or
// plain lines.
func readSections(file string) []*section {
	data, err := listFiles.ReadFile("lists/" + file)
	if err != nil {
		panic(err) // it is embedded
	}
	cur := &section{weight: 1, lists: map[string][]string{}}
	out := []*section{cur}
	for line := range strings.SplitSeq(string(data), "\n") {
		if line == "" || strings.HasPrefix(line, "# ") {
			continue
		}
		if strings.HasPrefix(line, "[") && strings.Contains(line, "]") && !strings.Contains(line, "{") {
			name, weight, _ := strings.Cut(line[1:], "]")
			cur = &section{name: name, weight: 1, lists: map[string][]string{}}
			fmt.Sscan(weight, &cur.weight) //nolint:errcheck // no weight is 1
			out = append(out, cur)
			continue
		}
		kind, words, ok := strings.Cut(line, ": ")
		if ok && !strings.ContainsAny(kind, " {\"<") && file != "templates.txt" && file != "grammar.txt" {
			for w := range strings.FieldsSeq(words) {
				cur.lists[kind] = append(cur.lists[kind], w)
			}
			if strings.Contains(words, "|") || strings.HasSuffix(kind, "format") {
				cur.lists[kind] = strings.Split(words, "|")
			}
			continue
		}
		cur.lines = append(cur.lines, line)
	}
	if len(out[0].lines) == 0 && len(out[0].lists) == 0 {
		out = out[1:]
	}
	return out
}

// spaced turns the hyphens that hold a listed name together into spaces.
func spaced(s string) string { return strings.ReplaceAll(s, "-", " ") }
