package names

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestDecoding holds path, gains, marginals and tempered against plain ways to
// work out the same.
func TestDecoding(t *testing.T) {
	m, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	s := m.Tagger()
	defer s.Close()
	r := rand.New(rand.NewPCG(1, 2))
	idle := 0
	for range 20000 {
		n, spread := 1+r.IntN(6), 10+r.IntN(400)
		ahead := r.IntN(300)
		for k := range n {
			for l := range Labels {
				s.scores[k][l] = int32(r.IntN(2*spread) - spread)
			}
			s.scores[k][0] += int32(ahead)
		}
		named := m.path(s, n)
		if plain := plainPath(m, s.scores[:n]); worth(m, s.scores[:n], s.label[:n]) < worth(m, s.scores[:n], plain) {
			t.Fatalf("%v is worth less than %v: %v", s.label[:n], plain, s.scores[:n])
		}
		if !m.gains(s.scores[:n]) {
			idle++
			if named {
				t.Fatalf("%v, and nothing gains: %v", s.label[:n], s.scores[:n])
			}
		}
		first := r.IntN(n)
		last := first + r.IntN(n-first)
		m.marginals(s, first, last, n)
		for k := first; k <= last; k++ {
			if want := plainSure(m, s.scores[:n], k); math.Abs(float64(s.sure[k])-want) > 1e-6 {
				t.Fatalf("token %d is of a name for %v, want %v: %v", k, s.sure[k], want, s.scores[:n])
			}
		}
	}
	if idle < 1000 {
		t.Errorf("only %d have no gain", idle)
	}
	for p := float32(0); p <= 1; p += 1.0 / 1024 {
		want := math.Exp(math.Log(float64(p)/max(1-float64(p), 1e-9)) / temperature)
		if got := tempered(p); math.Abs(float64(got)-want/(1+want)) > 1e-6 {
			t.Errorf("tempered(%v) is %v", p, got)
		}
	}
}

// goes reports whether the label l may stand behind p.
func goes(p, l int) bool { return l%2 == 1 || l == 0 || p == l || p == l-1 }

// worth is what labels are worth, as path counts.
func worth(m *Model, scores [][Labels]int32, labels []uint8) (v int64) {
	p := Labels
	for k, l := range labels {
		v += int64(math.Round(float64(m.Move[p][l]/m.Scale)*pathScale)) + int64(scores[k][l])*pathScale
		p = int(l)
	}
	return v
}

func plainPath(m *Model, scores [][Labels]int32) []uint8 {
	var ways [Labels][]uint8
	for l := range ways {
		ways[l] = []uint8{uint8(l)}
	}
	for k := 1; k < len(scores); k++ {
		var next [Labels][]uint8
		for l := range next {
			for p := range ways {
				way := append(append([]uint8(nil), ways[p]...), uint8(l))
				if goes(p, l) && (next[l] == nil || worth(m, scores, way) > worth(m, scores, next[l])) {
					next[l] = way
				}
			}
		}
		ways = next
	}
	best := ways[0]
	for _, way := range ways {
		if worth(m, scores, way) > worth(m, scores, best) {
			best = way
		}
	}
	return best
}

// plainSure is how likely the token k is to be of a name.
func plainSure(m *Model, scores [][Labels]int32, k int) float64 {
	sum := func(only func(l int) bool) float64 {
		var from [Labels]float64
		for i, e := range scores {
			var to [Labels]float64
			for l, v := range e {
				if i == k && !only(l) {
					continue
				}
				power := math.Exp(float64(v) * float64(m.Scale))
				if i == 0 {
					to[l] = math.Exp(float64(m.Move[Labels][l])) * power
					continue
				}
				for p := range from {
					if goes(p, l) {
						to[l] += from[p] * math.Exp(float64(m.Move[p][l])) * power
					}
				}
			}
			from = to
		}
		all := 0.0
		for _, v := range from {
			all += v
		}
		return all
	}
	all := sum(func(int) bool { return true })
	return sum(func(l int) bool { k := KindOf(l); return k != None && k != Other }) / all
}

// TestSaysPostal: the short way to tell a word that is the name of a field with a
// postal code says what reading the name does.
func TestSaysPostal(t *testing.T) {
	m, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	ts := tokens{lex: m.Lexicon, folder: m.folder}
	said := 0
	for _, w := range []string{"zip", "ZIP", "Zip", "zipCode", "ZIPCode", "postcode", "Postcode", "PLZ", "plz", "Postleitzahl", "cap", "O'Neil", "o'zip", "PÜR", "zíp", "Anna", "ANNA", "McZip", "code", "postal", "Postal"} {
		tok := ts.word([]byte(w), 0, true, false)
		reads := m.Lexicon.readKey(m.folder, []byte(w)).attrs&PostalKey != 0
		if tok.postal != reads {
			t.Errorf("%s: %v, and as a name %v", w, tok.postal, reads)
		}
		if reads {
			said++
		}
	}
	if said < 5 {
		t.Errorf("%d of them are", said)
	}
}
