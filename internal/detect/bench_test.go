package detect_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/internal/detect"
)

var words = strings.Fields("the of and to in that was his it with as had he for at her not be she on this you but him is my we all have from which said so what me if one were them when no there out are now like up do into your then its some could time about very over made after any upon only our day these more than did other such before us must thought here too every little old years great again never without house night long face himself room hand under being right still door might eyes nothing though first against head last through always water perhaps something street morning")

// prose is text with no more in it than a sentence's number now and then.
func prose(r *rand.Rand, size int) []byte {
	var b strings.Builder
	for b.Len() < size {
		n := 6 + r.IntN(14)
		for i := range n {
			w := words[r.IntN(len(words))]
			if i == 0 {
				w = strings.ToUpper(w[:1]) + w[1:]
			} else {
				b.WriteByte(' ')
			}
			b.WriteString(w)
			if i == n/2 && r.IntN(3) == 0 {
				b.WriteByte(',')
			}
		}
		switch r.IntN(12) {
		case 0:
			fmt.Fprintf(&b, " %d", 1+r.IntN(200))
		case 1:
			b.WriteString(": so it is")
		}
		b.WriteString(". ")
	}
	return []byte(b.String())
}

func digits(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + r.IntN(10))
	}
	return string(b)
}

// card is a number with a valid check digit.
func card(r *rand.Rand) string {
	d := []byte("4" + digits(r, 15))
	sum := 0
	for i := range 15 {
		v := int(d[i] - '0')
		if i%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	d[15] = byte('0' + (10-sum%10)%10)
	return string(d)
}

// record is a JSON object of a customer.
func record(r *rand.Rand, notes int) string {
	return fmt.Sprintf(`{"id":%d,"status":"active","email":"user%d@example.com","phone":"+1 202 555 %04d","ssn":"%03d-%02d-%04d","card":"%s","ip":"10.%d.%d.%d","amount":%d.%02d,"createdAt":"2026-0%d-1%dT10:%d:00Z","trace":"%016x%016x","note":%q}`,
		r.IntN(1e9), r.IntN(1e5), r.IntN(1e4), 100+r.IntN(500), 10+r.IntN(80), 1000+r.IntN(8000), card(r), r.IntN(256), r.IntN(256), r.IntN(256),
		r.IntN(9999), r.IntN(100), 1+r.IntN(9), r.IntN(10), 10+r.IntN(50), r.Uint64(), r.Uint64(), string(prose(r, notes)))
}

// texts are what is measured: dense has a finding every few words, mixed is
// JSON with prose in it, prose has next to nothing.
func texts(size int) map[string][]byte {
	r := rand.New(rand.NewPCG(7, 7))
	var dense, mixed strings.Builder
	for dense.Len() < size {
		fmt.Fprintf(&dense, "%s user%d@example.com paid with %s from 192.0.2.%d, SSN %03d-%02d-%04d, call +1 202 555 %04d. ",
			words[r.IntN(len(words))], r.IntN(1e5), card(r), r.IntN(256), 100+r.IntN(500), 10+r.IntN(80), 1000+r.IntN(8000), r.IntN(1e4))
	}
	for mixed.Len() < size {
		mixed.WriteString(record(r, 500))
		mixed.WriteByte(10)
	}
	return map[string][]byte{"dense": []byte(dense.String())[:size], "mixed": []byte(mixed.String())[:size], "prose": prose(r, size)[:size]}
}

// cpu is what the process has used: where others share the cores, it says more
// than the clock.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkScan(b *testing.B) {
	for _, name := range []string{"patterns/dense", "patterns/mixed", "patterns/prose", "all/dense", "all/mixed", "all/prose"} {
		b.Run(name, func(b *testing.B) {
			which, kind, _ := strings.Cut(name, "/")
			s := scanner(b, options(which))
			data := texts(64 << 10)[kind]
			var fs []detect.Finding
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			begun := cpu()
			for b.Loop() {
				fs, _ = s.Scan(fs[:0], detect.Context{}, data, false)
			}
			b.ReportMetric(float64(len(data))*float64(b.N)/1e6/(cpu()-begun).Seconds(), "cpu-MB/s")
		})
	}
}

// BenchmarkValue scans values of JSON one by one, as a filter does.
func BenchmarkValue(b *testing.B) {
	r := rand.New(rand.NewPCG(9, 9))
	for _, v := range []struct {
		name, key string
		text      func() string
	}{
		{"empty", "note", func() string { return "" }},
		{"email", "email", func() string { return fmt.Sprintf("customer%d@example.com", r.IntN(1e4)) }},
		{"phone", "phone", func() string { return fmt.Sprintf("+1 202 555 %04d", r.IntN(1e4)) }},
		{"card", "card", func() string { c := card(r); return c[:4] + " " + c[4:8] + " " + c[8:12] + " " + c[12:] }},
		{"ssn", "ssn", func() string { return fmt.Sprintf("078-05-%04d", 1000+r.IntN(9000)) }},
		{"ip", "ip", func() string { return fmt.Sprintf("192.0.2.%d", r.IntN(250)) }},
		{"iban", "account", func() string { return "DE89 3704 0044 0532 0130 00" }},
		{"enum", "tier", func() string { return "gold" }},
		{"number", "balance", func() string { return fmt.Sprintf("%d.50", 1000+r.IntN(9000)) }},
		{"integer", "id", func() string { return fmt.Sprint(r.IntN(1e5)) }},
		{"uuid", "id", func() string { return fmt.Sprintf("%s-1234-4000-8000-%012x", "3f2a6c1e", r.Uint64()>>16) }},
		{"date", "createdAt", func() string { return fmt.Sprintf("2026-0%d-1%dT10:%d:00Z", 1+r.IntN(9), r.IntN(10), 10+r.IntN(50)) }},
		{"note", "notes", func() string { return fmt.Sprintf("Prefers letters, renewed in spring, order A-%d.", r.IntN(1e4)) }},
		{"prose", "notes", func() string { return string(prose(r, 200)) }},
	} {
		for _, which := range []string{"patterns", "all"} {
			b.Run(which+"/"+v.name, func(b *testing.B) {
				se := scanner(b, options(which)).Open()
				defer se.Close()
				var texts [64][]byte
				for i := range texts {
					texts[i] = []byte(v.text())
				}
				fs := make([]detect.Finding, 0, 16)
				ctx := &detect.Context{Key: v.key}
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					fs, _ = se.Scan(fs[:0], ctx, texts[i%len(texts)], false)
				}
			})
		}
	}
}

// options are for the recognisers of patterns alone, or for everything.
func options(which string) (opt detect.Options) {
	if which == "all" {
		return opt
	}
	for _, i := range detect.Entities() {
		switch i.Entity {
		case detect.Person, detect.Location, detect.Organization, detect.NRP:
		default:
			opt.Entities = append(opt.Entities, i.Entity)
		}
	}
	return opt
}

// BenchmarkBody reports the slowest hundredth of bodies of 4 KB.
func BenchmarkBody(b *testing.B) {
	for _, which := range []string{"patterns", "all"} {
		b.Run(which, func(b *testing.B) { benchmarkBody(b, scanner(b, options(which))) })
	}
}

func benchmarkBody(b *testing.B, s *detect.Scanner) {
	r := rand.New(rand.NewPCG(8, 8))
	var bodies [][]byte
	for range 64 {
		var t strings.Builder
		for t.Len() < 4096 {
			t.WriteString(record(r, 500))
		}
		bodies = append(bodies, []byte(t.String())[:4096])
	}
	var fs []detect.Finding
	var took []time.Duration
	b.SetBytes(4096)
	for i := 0; b.Loop(); i++ {
		begun := time.Now()
		fs, _ = s.Scan(fs[:0], detect.Context{}, bodies[i%len(bodies)], false)
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-us")
}
