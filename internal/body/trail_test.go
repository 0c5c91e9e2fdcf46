package body_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
)

// trailTokens are what the objects of checkTrail's documents are made of.
var trailTokens = []string{
	`{"a":1,"bb":"x","a name":true}`, `{"a":1,"bb":"x","a name":true},`, `{`, `}`, `[`, `]`, `,`, `:`, `"a":`, `"a": `, `"a" :`, `"bb":`, "\n  \"bb\": ", `"a name":`, `"a nam":`, `"a name of twenty bytes":`,
	`"\u0061":`, `"a`, `"a"`, `"":`, `1`, `"x"`, `"some text"`, `""`, `true`, `null`, ` `, "\n\t", ",\n  \"a\": ", `"contact":{"bb":"x"}`, `"list":[1,2]`, `{"a":`, `,"a":1`, `,,`, "\x00",
}

// checkTrail: what a stage is shown of a document, and what becomes of it, are the
// same whether it wants a name again or not, and so whether names are looked for
// where they stood the last time.
func checkTrail(t *testing.T, picks []byte, seed uint64) {
	t.Helper()
	var b strings.Builder
	b.WriteByte('[')
	for _, p := range picks[:min(len(picks), 80)] {
		b.WriteString(trailTokens[int(p)%len(trailTokens)])
	}
	b.WriteByte(']')
	checkTrailOf(t, []byte(b.String()), seed)
}

func checkTrailOf(t *testing.T, doc []byte, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	var chunks [][]byte
	for rest := doc; len(rest) > 0; {
		n := min(len(rest), 1+r.IntN(90))
		chunks, rest = append(chunks, rest[:n]), rest[n:]
	}
	edited := func(same bool, ignores ...filters.Kind) (out, shown string, unparsed bool) {
		var seen bytes.Buffer
		m := &meddler{seed: seed, shown: &seen}
		see := streamFunc(func(v *filters.Value) error {
			if v.Kind == filters.Name {
				return nil
			}
			return m.Value(t.Context(), v)
		})
		out, e, err := run(body.JSON, body.Limits{Depth: 8}, []body.Stage{{Stream: see, SameNames: same, Ignores: body.KindsOf(ignores...)}}, chunks...)
		if err != nil {
			t.Fatal(err)
		}
		return out, seen.String(), e.Unparsed()
	}
	out, shown, unparsed := edited(false)
	for _, ignores := range [][]filters.Kind{nil, {filters.Name}} {
		if out2, shown2, unparsed2 := edited(true, ignores...); out2 != out || shown2 != shown || unparsed2 != unparsed {
			t.Fatalf("%q in %d chunks becomes\n%q (%v), and shows\n%s\nand else\n%q (%v), and shows\n%s", doc, len(chunks), out2, unparsed2, shown2, out, unparsed, shown)
		}
	}
}

func TestTrail(t *testing.T) {
	for _, doc := range []string{
		`[{"a":1},{"a":2},{"a":3"a":4}]`, `[{"a":1},{"a":2},{"a":3}"a":4]`, `[{"a":1,"b":1},{"a":2,"b":2},{,"a":3}]`, `[{"a":1,"a":1,"a":1},{,"a":2}]`, `[{"a":1},{"a":2},["a":3]]`,
		`[{"a":{"a":{"a":1}},"b":1},{"a":{"a":{"a":1}},"b":1}]`, `[{"a":1,"b":2,"c":3},{"a":1,"c":3,"b":2},{"a":1}]`,
	} {
		for seed := range uint64(20) {
			checkTrailOf(t, []byte(doc+strings.Repeat(" ", 30)), seed)
		}
	}
	r := rand.New(rand.NewPCG(7, 7))
	for range 3000 {
		var picks []byte
		for range r.IntN(12) {
			for range 1 + r.IntN(5) { // whole objects, mostly
				picks = append(picks, 1)
			}
			picks = append(picks, byte(r.IntN(len(trailTokens))))
		}
		checkTrail(t, append(picks, 0), r.Uint64())
	}
}

func FuzzTrail(f *testing.F) {
	f.Add([]byte{1, 1, 1, 0}, uint64(1))
	f.Add([]byte{1, 1, 2, 12, 21, 6, 9, 20, 3, 6, 0}, uint64(2))
	f.Fuzz(checkTrail)
}
