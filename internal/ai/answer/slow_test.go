package answer_test

import (
	"strings"
	"testing"
	"time"
)

// TestNoAnswerTakesLong: what a model says may be made to be hard to read.
func TestNoAnswerTakesLong(t *testing.T) {
	s := compile(t, schema)
	for name, unit := range map[string]string{"quotes": `"`, "backslashes": `\`, "commas": ",", "colons": ":", "letters": "a", "numbers": "1", "strings": `"a" `, "members": `"a":1,`, "halves": `{"a`, "comments": "/*", "lines": "//\n", "escapes": `\"`, "plus": `"a"+`, "calls": "f(", "spaces": " ", "fences": "```", "words": "a b ", "elements": "1,", "dots": ".", "minus": "-", "apostrophes": "'"} {
		for _, prefix := range []string{"", "{", `{"n":`, `{"n":"`} {
			for _, n := range []int{8 << 10, 256 << 10} {
				text := prefix + strings.Repeat(unit, (n-len(prefix))/len(unit))
				start := time.Now()
				_, _, _, _ = s.Parse(text)
				if took := time.Since(start); took > time.Second {
					t.Errorf("%d bytes of %s after %q took %s", n, name, prefix, took)
				}
			}
		}
	}
}
