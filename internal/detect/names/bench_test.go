package names_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/internal/detect/names"
)

// value is the text of a field.
type value struct{ key, text string }

var (
	plainSentences = []string{
		"The committee met in the afternoon and agreed that the old bridge had to be closed for the winter.",
		"Nobody had asked the engineers, who were busy with the new harbour and its two cranes.",
		"In the meantime the ferry runs twice a day; it takes about an hour and is free for those who live there.",
		"When the rain stopped we went on to the market, but most of the stalls were closed by then.",
		"Your order has been shipped and should arrive within three working days. Thank you for your patience!",
		"Please restart the service before you run the migration again, otherwise the lock is not released.",
		"However, the second test was a little slower than the first one because of the larger input.",
		"It is not clear why the report was late. Perhaps the printer had run out of paper again.",
	}
	namedSentences = []string{
		"The mayor, Anna Lindqvist, said on Tuesday that the money was not there.",
		"I have asked Pieter van der Merwe to look at the second invoice again.",
		"Please send the keys to Chinedu Okonkwo before the end of the week.",
		"We were told by Maria Gonzalez that the delivery is late once more.",
	}
	firstNames = strings.Fields("Anna Pieter Chinedu Maria Olga Ingrid Kofi James Sofia Mehmet Yuki Priya Lars Fatima Diego Hannah")
	lastNames  = strings.Fields("Lindqvist Merwe Okonkwo Gonzalez Smirnova Halvorsen Mensah Carter Rossi Demir Tanaka Sharma Nilsson Haddad Alvarez Weber")
	streets    = strings.Fields("Lindenallee Storgata Hauptstrasse Oxford Baker Hlavna Mayor Kerkstraat")
	cities     = strings.Fields("Trondheim Berlin Accra Cork Madrid London Utrecht Lyon")
)

// kindsOfValues makes a value of each kind; n tells them apart.
var kindsOfValues = []struct {
	name string
	make func(r *rand.Rand, n int) value
}{
	{"enum", func(r *rand.Rand, n int) value {
		return value{[]string{"status", "tier", "type"}[n%3], []string{"active", "gold", "pending", "refund"}[r.IntN(4)]}
	}},
	{"slug", func(r *rand.Rand, n int) value {
		return value{"category", plainWord(r) + "-" + plainWord(r)}
	}},
	{"number", func(r *rand.Rand, n int) value { return value{"amount", fmt.Sprint(r.IntN(1e6))} }},
	{"uuid", func(r *rand.Rand, n int) value {
		return value{"id", fmt.Sprintf("%08x-%04x-4a2b-9c3d-%012x", r.Uint32(), r.IntN(1<<16), r.Uint64()>>16)}
	}},
	{"email", func(r *rand.Rand, n int) value {
		return value{"email", fmt.Sprintf("customer%d@example.com", r.IntN(1e6))}
	}},
	{"card", func(r *rand.Rand, n int) value {
		return value{"card", fmt.Sprintf("4111 1111 %04d %04d", r.IntN(1e4), r.IntN(1e4))}
	}},
	{"date", func(r *rand.Rand, n int) value {
		return value{"createdAt", fmt.Sprintf("2025-0%d-1%dT10:%d:04Z", 1+r.IntN(9), r.IntN(10), 10+r.IntN(50))}
	}},
	{"url", func(r *rand.Rand, n int) value {
		return value{"href", fmt.Sprintf("https://api.example.com/v1/customers/%d/orders?page=%d", r.IntN(1e6), r.IntN(100))}
	}},
	{"note", func(r *rand.Rand, n int) value {
		return value{"notes", fmt.Sprintf("Prefers letters, renewed in spring, order A-%d.", r.IntN(1e6))}
	}},
	{"sentence", func(r *rand.Rand, n int) value {
		return value{"comment", plainSentences[r.IntN(len(plainSentences))]}
	}},
	{"named", func(r *rand.Rand, n int) value {
		return value{"comment", namedSentences[r.IntN(len(namedSentences))]}
	}},
	{"name", func(r *rand.Rand, n int) value { return value{"name", pick(r, firstNames) + " " + pick(r, lastNames)} }},
	{"address", func(r *rand.Rand, n int) value {
		return value{"address", fmt.Sprintf("%s %s\n%s %d\n%05d %s", pick(r, firstNames), pick(r, lastNames), pick(r, streets), 1+r.IntN(99), r.IntN(1e5), pick(r, cities))}
	}},
	{"prose", func(r *rand.Rand, n int) value {
		var b strings.Builder
		for b.Len() < 4096 {
			if r.IntN(12) == 0 {
				b.WriteString(pick(r, namedSentences))
			} else {
				b.WriteString(pick(r, plainSentences))
			}
			b.WriteByte(' ')
		}
		return value{"", b.String()[:4096]}
	}},
	{"json", func(r *rand.Rand, n int) value {
		var b strings.Builder
		for b.Len() < 4096 {
			fmt.Fprintf(&b, `{"id":"%08x","status":"active","amount":%d.50,"created_at":"2025-01-02T03:04:05Z","customer":{"name":"%s %s","email":"c%d@example.org","address":{"street":"%s %d","city":"%s","zip":"%05d"}},"items":[{"sku":"AB-%d","title":"desk lamp","qty":2}],"note":%q}`,
				r.Uint32(), r.IntN(1e5), pick(r, firstNames), pick(r, lastNames), r.IntN(1e5), pick(r, streets), r.IntN(99), pick(r, cities), r.IntN(1e5), r.IntN(1e4), pick(r, plainSentences))
		}
		return value{"", b.String()[:4096]}
	}},
}

func pick(r *rand.Rand, of []string) string { return of[r.IntN(len(of))] }

// plainWord is a word of the sentences, in small letters.
func plainWord(r *rand.Rand) string {
	words := strings.FieldsFunc(strings.ToLower(pick(r, plainSentences)), func(c rune) bool { return c < 'a' || c > 'z' })
	return pick(r, words)
}

// BenchmarkValue measures values as the fields of documents have them, of each
// kind 512 that differ.
func BenchmarkValue(b *testing.B) { benchmarkValues(b, 0) }

// BenchmarkNewValue measures values that were not met before, though their
// words were.
func BenchmarkNewValue(b *testing.B) {
	benchmarkValues(b, 1e-12) // less than the model can tell
}

// benchmarkValues adds a step to the bias with each value.
func benchmarkValues(b *testing.B, step float64) {
	m := model(b)
	for _, kind := range kindsOfValues {
		b.Run(kind.name, func(b *testing.B) {
			r := rand.New(rand.NewPCG(3, 3))
			var ins []names.Input
			size := 0
			for n := range 512 {
				v := kind.make(r, n)
				size += len(v.text)
				ins = append(ins, names.Input{Field: field(m, v.key), Text: []byte(v.text)})
			}
			var spans []names.Span
			var extents []names.Extent
			b.SetBytes(int64(size / len(ins)))
			b.ReportAllocs()
			tagger := m.Tagger()
			defer tagger.Close()
			bias := 0.0
			for n := 0; b.Loop(); n++ {
				in := ins[n%len(ins)]
				in.Bias = bias
				bias += step
				spans, extents, _ = tagger.Tag(spans[:0], extents[:0], &in)
			}
		})
	}
}
