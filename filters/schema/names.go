package schema

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/ohler55/ojg/jp"
)

// fields are the places of a document that may be changed: each pattern with
// all that is beneath it. None at all means everywhere.
type fields [][]step

// step is one step of a pattern.
type step struct {
	token string
	any   bool // every member and element
	deep  bool // any number of steps
}

// parseField reads a JSON Pointer, or a JSONPath of names, indices, wildcards
// and descents.
func parseField(s string) ([]step, error) {
	if strings.HasPrefix(s, "/") {
		var out []step
		for tok := range strings.SplitSeq(s[1:], "/") {
			out = append(out, step{token: strings.NewReplacer("~1", "/", "~0", "~").Replace(tok)})
		}
		return out, nil
	}
	if !strings.HasPrefix(s, "$") {
		return nil, errors.New("is neither a JSON Pointer nor a JSONPath")
	}
	x, err := jp.ParseString(s)
	if err != nil {
		return nil, fmt.Errorf("is no JSONPath: %w", err)
	}
	out := []step{}
	for _, frag := range x {
		switch f := frag.(type) {
		case jp.Root:
		case jp.Child:
			out = append(out, step{token: string(f)})
		case jp.Nth:
			if f < 0 {
				return nil, errors.New("an index from the end is not known here")
			}
			out = append(out, step{token: strconv.Itoa(int(f))})
		case jp.Wildcard:
			out = append(out, step{any: true})
		case jp.Descent:
			out = append(out, step{deep: true})
		default:
			return nil, errors.New("has something other than names, indices, wildcards and descents")
		}
	}
	return out, nil
}

func (fs fields) allow(path []string) bool {
	if len(fs) == 0 {
		return true
	}
	for _, f := range fs {
		if covers(f, path) {
			return true
		}
	}
	return false
}

// covers reports whether a pattern selects path or something around it.
func covers(pattern []step, path []string) bool {
	if len(pattern) == 0 {
		return true
	}
	if pattern[0].deep {
		for i := range len(path) + 1 {
			if covers(pattern[1:], path[i:]) {
				return true
			}
		}
		return false
	}
	if len(path) == 0 {
		return false
	}
	return (pattern[0].any || pattern[0].token == path[0]) && covers(pattern[1:], path[1:])
}

// never are words; a member whose name has one is not given a value.
type never map[string]bool

func newNever(words []string) never {
	n := never{}
	for _, w := range words {
		n[strings.ToLower(w)] = true
	}
	return n
}

// name reports whether one of the words is in a member's name: it is a word of
// it (accountHolder, price_net, ids), or what a word of it ends in (userid).
func (n never) name(s string) bool {
	for _, w := range words(s) {
		for _, form := range []string{w, strings.TrimSuffix(w, "s")} {
			for word := range n {
				if word != "" && strings.HasSuffix(form, word) {
					return true
				}
			}
		}
	}
	return false
}

// path reports whether a name on the way to a value has one of the words.
func (n never) path(path []string) bool {
	for _, tok := range path {
		if n.name(tok) {
			return true
		}
	}
	return false
}

// beneath reports whether the value holds a member of such a name.
func (n never) beneath(v *node) bool {
	for _, m := range v.members {
		if n.name(m.name) || n.beneath(m.value) {
			return true
		}
	}
	return false
}

// words cuts a name where a word begins: at capitals and between letters and
// other characters.
func words(s string) []string {
	var out []string
	var w strings.Builder
	end := func() {
		if w.Len() > 0 {
			out = append(out, w.String())
			w.Reset()
		}
	}
	lower := false
	for _, r := range s {
		if !unicode.IsLetter(r) {
			end()
			lower = false
			continue
		}
		if unicode.IsUpper(r) && lower {
			end()
		}
		lower = unicode.IsLower(r)
		w.WriteRune(unicode.ToLower(r))
	}
	end()
	return out
}

// squeeze leaves of a name or word what is the same however it is spelled.
func squeeze(s string) string {
	return separators.Replace(strings.ToLower(strings.TrimSpace(s)))
}

var separators = strings.NewReplacer(" ", "", "-", "", "_", "", ".", "")
