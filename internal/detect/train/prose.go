package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	comment  = regexp.MustCompile(`(?m)^\s*// ?(.*)$`)
	sentence = regexp.MustCompile(`[A-Z][^.!?]{30,220}[.!?]`)
)

// technical reads what has no names of people or places in it: sentences of
// comments, and lines, of the source of Go's standard library. A sentence with
// a word that could be a name is left out, as far as lists can tell.
func technical(w *world, sentences, lines int) ([]example, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("finding Go's source: %w", err)
	}
	suspect := map[string]bool{}
	for i, s := range w.first {
		if i < 2500 {
			suspect[s] = true
		}
	}
	for _, list := range [][]string{w.populous, w.lands, w.nations} {
		for _, s := range list {
			suspect[s] = true
		}
	}
	for _, s := range strings.Fields("Go Do An The Will Van In Long Son Man Case See May Mark Max Min Page Art Sun Hash Ha An My Sha Tu") {
		delete(suspect, s)
	}
	var said, code []string
	err = filepath.WalkDir(filepath.Join(strings.TrimSpace(string(root)), "src"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "vendor") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var text strings.Builder
		for _, m := range comment.FindAllStringSubmatch(string(b), -1) {
			text.WriteString(strings.TrimSpace(m[1]) + " ")
		}
		for _, s := range sentence.FindAllString(text.String(), -1) {
			clean := !strings.Contains(s, "Copyright")
			for i, word := range strings.Fields(s) {
				clean = clean && (i == 0 || !suspect[strings.Trim(word, `.,;:!?()"'`)])
			}
			if clean {
				said = append(said, s)
			}
		}
		for l := range strings.SplitSeq(string(b), "\n") {
			l = strings.TrimSpace(l)
			if len(l) > 20 && len(l) < 160 && !strings.Contains(l, "//") && !strings.Contains(l, "`") {
				code = append(code, l)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading Go's source: %w", err)
	}
	var out []example
	for range sentences {
		out = append(out, example{text: w.pick(said), key: w.pick([]string{"", "", "content", "description", "message"}), weight: 1})
	}
	for range lines {
		out = append(out, example{text: w.pick(code), key: w.pick([]string{"", "", "content", "code", "text", "line"}), weight: 1})
	}
	return out, nil
}
