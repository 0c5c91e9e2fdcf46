package detect

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestMayHearIsAllThatCluesSay: what decides whether clues are gathered leaves
// nothing out that they would say.
func TestMayHearIsAllThatCluesSay(t *testing.T) {
	s, err := New(Options{Entities: []Entity{CreditCard, Phone, USSSN, Password, APIKey, DateOfBirth}})
	if err != nil {
		t.Fatal(err)
	}
	pieces := strings.Split(`card |ssn: |{"phone":"|","dob":"|"}|password=|&|order no. |born on | |. |, |(|-|07|1990-01-31|4111 1111 1111 1111|<tel>|</tel>|\n|set("token", "|the quick brown fox jumps over it all |id|created at `, "|")
	r := rand.New(rand.NewPCG(4, 4))
	for range 400 {
		var text strings.Builder
		for range 1 + r.IntN(40) {
			text.WriteString(pieces[r.IntN(len(pieces))])
		}
		whole := []byte(text.String())
		cut := r.IntN(len(whole) + 1)
		ctx := Context{Key: pieces[r.IntN(len(pieces))], Before: whole[max(0, cut-256):cut]}
		sc := &scan{Scanner: s}
		sc.begin(&ctx, sc.lookUp(ctx.Key), whole[cut:], false)
		for p := 0; p < len(sc.text); p += 1 + r.IntN(60) {
			heard := *sc.mayHear(p)
			k := sc.around(p)
			for w := range heard {
				if said := (k.own[w] | k.shared[w]) &^ heard[w]; said != 0 {
					t.Fatalf("at %d of %q behind %q: %x was not heard", p, sc.text, ctx.Before, said)
				}
			}
		}
	}
}
