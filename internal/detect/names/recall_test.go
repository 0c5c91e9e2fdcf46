package names

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// fresh returns a tagger that has met nothing.
func fresh(m *Model) *Tagger {
	s := newTagger(m.Lexicon, m.folder)
	s.m, s.ts.words = m, new(vocabulary)
	return s
}

// otherDigits writes other digits in place of those of a text.
func otherDigits(r *rand.Rand, text string) string {
	b := []byte(text)
	for i, c := range b {
		if classOf[c] == digitClass {
			b[i] = '0' + byte(r.IntN(10))
		}
	}
	return string(b)
}

func (m *Memory) clone() *Memory {
	c := &Memory{fresh: m.fresh}
	for i, h := range m.words {
		c.add(h, m.at[i])
	}
	return c
}

// FuzzRecall: what is found in a value, and remembered of it, is the same for a
// tagger that has met it, or one with other digits, and for one that has not.
func FuzzRecall(f *testing.F) {
	for _, text := range []string{
		"Prefers letters, renewed in spring, order A-17.", "Anna Lindqvist\nLindenallee 12\n10115 Berlin", "10115", "D-10115", "SW1A 2AA", "line1_2: Rose 4",
		"zip_1 90211 Cork", "zip2: 90211, floor 3", "Halvorsen met Ingrid Halvorsen and halvorsen again", "No 007 and 0", strings.Repeat("7", 50), "a7_b 12 St. 5",
		"Rua 7 de Setembro 19", "8 Mile Road", "Anna Bella Clara Dora Emma Frida Gerda Hanna", "",
	} {
		for _, key := range []string{"", "name", "zip", "line1_2"} {
			f.Add(text, key, uint64(len(text)))
		}
	}
	m, err := Default()
	if err != nil {
		f.Fatal(err)
	}
	met := fresh(m)
	f.Fuzz(func(t *testing.T, text, key string, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		field := m.Field(key)
		mems := []*Memory{nil, {}, {}}
		for range []int{0, 3, 240, 254, 300}[r.IntN(5)] {
			mems[2].add(r.Uint64(), 0)
		}
		var first []Span
		other := text
		if !strings.Contains(text, "_") {
			other = otherDigits(r, text)
		}
		for _, mem := range mems {
			for i, text := range []string{text, other, text, "Please ask " + text, text} {
				in := Input{Text: []byte(text), Field: &field}
				var mine *Memory
				if mem != nil {
					mine = mem.clone()
					in.Memory = mine
				}
				want, _, _ := fresh(m).Tag(nil, nil, &in)
				in.Memory = mem
				got, _, settled := met.Tag(nil, nil, &in)
				if !slices.Equal(got, want) || settled != len(text) {
					t.Fatalf("%q, the time %d: %v, %v by one that has not met it", text, i, got, want)
				}
				if mem != nil && (!slices.Equal(mem.words, mine.words) || !slices.Equal(mem.at, mine.at)) {
					t.Fatalf("%q, the time %d: remembers %d words, and %d by one that has not met it", text, i, len(mem.words), len(mine.words))
				}
				if mem == nil && i == 0 {
					first = want
				}
				if mem == nil && i == 1 && !slices.Equal(want, first) {
					t.Fatalf("%q: %v, %q: %v", text, want, other, first)
				}
			}
		}
	})
}

// TestMemoryIndex: a memory has what was added, and forgets what is not settled.
func TestMemoryIndex(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var m Memory
	var has []uint64
	for range 2000 {
		settled := len(has)
		for at := range r.IntN(30) {
			h := r.Uint64() &^ (0xFF << 32) // many have places in common
			if len(has) > 0 && r.IntN(4) == 0 {
				h = has[r.IntN(len(has))]
			}
			m.add(h, at)
			if !slices.Contains(has, h) && len(has) < maxRemembered {
				has = append(has, h)
			}
			if at < 10 {
				settled = len(has)
			}
		}
		if r.IntN(3) == 0 {
			m.Settle(100)
		} else {
			m.Settle(10)
			has = has[:settled]
		}
		if !reflect.DeepEqual(m.words, has) && len(has) > 0 || m.Len() != len(has) {
			t.Fatalf("%d words, and %d were added", m.Len(), len(has))
		}
		for _, h := range has {
			if !m.has(h) {
				t.Fatal("a word is not found")
			}
		}
		if m.has(r.Uint64()) {
			t.Fatal("a word is found that was not added")
		}
		if len(has) == maxRemembered || r.IntN(20) == 0 {
			m, has = Memory{}, nil
		}
	}
}

// FuzzAgain: the tokens of a text that goes on are the same for a tagger that
// has what it goes on from, and for one that has not.
func FuzzAgain(f *testing.F) {
	for _, text := range []string{
		"Please call Ingrid Halvorsen in Trondheim tomorrow; she is there until 5.", "a \n  b\t\tc  \u00a0d \u00a0\x01 \x01\x01 e", strings.Repeat("=", 60) + strings.Repeat(" ", 40) + strings.Repeat("x", 90),
		"zip: 10115, O'Brien's d’Angelo''s 王小明 \xe2\x80 \xff zip_code 7", "",
	} {
		for seed := range uint64(8) {
			f.Add(text, seed)
		}
	}
	m, err := Default()
	if err != nil {
		f.Fatal(err)
	}
	met, other := fresh(m), fresh(m)
	f.Fuzz(func(t *testing.T, part string, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		var text []byte
		for len(part) > 0 && len(text) < 600 {
			const of = "aB7_ .'-\n\t\x01\u00a0"
			switch at := r.IntN(len(part)); r.IntN(4) {
			case 0:
				text = append(text, strings.Repeat(of[r.IntN(len(of)):][:1], 1+r.IntN(50))...)
			default:
				text = append(text, part[at:]...)
			}
		}
		settled, shown := 0, 0
		for shown < len(text) {
			shown = min(shown+1+r.IntN(30), len(text))
			before := text[max(0, settled-192-r.IntN(60)):settled]
			more := r.IntN(8) > 0
			base, first, lim := met.fill(before, nil, text[settled:shown], more)
			other.buf = other.buf[:0]
			otherBase, otherFirst, otherLim := other.fill(before, nil, text[settled:shown], more)
			if base != otherBase || first != otherFirst || lim != otherLim || met.ts.postal != other.ts.postal ||
				!slices.Equal(met.toks, other.toks) || !slices.Equal(met.ts.starts, other.ts.starts) {
				t.Fatalf("%q behind %q:\n%v\n%v", text[settled:shown], before, met.toks, other.toks)
			}
			met.settled = r.IntN(shown - settled + 1)
			if settled += met.settled; r.IntN(10) == 0 {
				settled = r.IntN(settled + 1) // another text
			}
		}
	})
}
