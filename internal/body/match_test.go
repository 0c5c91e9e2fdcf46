package body

import (
	"fmt"
	"strings"
	"testing"
)

// TestAutomaton walks through documents by the automaton and without it.
func TestAutomaton(t *testing.T) {
	var many, deep []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("$..name%d", i))
	}
	for i := range 14 {
		deep = append(deep, fmt.Sprintf("$..a%[1]d..b%[1]d..c%[1]d", i))
	}
	for _, tt := range []struct {
		name  string
		paths []string
		none  bool // it is too large for an automaton
	}{
		{"top", []string{"$"}, false},
		{"names", []string{"$.a.b", "$.a.c", "$.longer_name_1.b", "$.longer_name_2", "$['']"}, false},
		{"anywhere", []string{"$..a", "$..a.b", "$..longer_name_1", "$..*.c"}, false},
		{"indices", []string{"$[0]", "$.a[1].b", "$..a[1:9:3]", "$[12]", "$..b[2][2]"}, false},
		{"many", many, false},
		{"deep", deep, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ps, err := CompilePaths(tt.paths)
			if err != nil {
				t.Fatal(err)
			}
			if none := ps.top.to == nil; none != tt.none {
				t.Fatalf("no automaton: %v", none)
			}
			bare := *ps
			bare.top.to, bare.nodes = nil, nil
			for _, exact := range []bool{false, true} {
				m, plain := newMatcher(ps, exact), newMatcher(&bare, exact)
				m.root()
				plain.root()
				names := strings.Fields("a b c a0 b0 c0 a1 b1 c1 longer_name_1 longer_name_2 longer_name_3 longer_n name7 name299 name300 none")
				seed, depth := uint64(1), 0
				for range 20_000 {
					seed = seed*6364136223846793005 + 1442695040888963407
					chance := int(seed >> 33)
					var name []byte
					if chance%3 > 0 {
						name = []byte(append(names, "")[chance/3%(len(names)+1)])
					}
					index := chance / 64 % 14
					depth = 1 + chance/1024%(depth+1)%12
					m.child(depth, name, index)
					plain.child(depth, name, index)
					got, want := m.levels[depth], plain.levels[depth]
					got.node = nil
					if got != want || m.goes(depth) != plain.goes(depth) {
						t.Fatalf("%q or %d, exact %v: %+v, and without the automaton %+v", name, index, exact, got, want)
					}
				}
			}
		})
	}
}
