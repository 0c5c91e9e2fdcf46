package schema

import (
	"strings"
	"testing"
)

func BenchmarkFits(b *testing.B)    { benchmark(b, `{"name":"a","n":1.5,"kind":"small"}`, true) }
func BenchmarkCoerced(b *testing.B) { benchmark(b, `{"name":"a","n":"1.5","kind":"small"}`, false) }

// benchmark runs bodies of 1 MiB; one that is changed has its change in the
// first element.
func benchmark(b *testing.B, first string, fits bool) {
	f := newFilter(b, `{"schema":{"type":"array","items":{"type":"object","required":["name"],"properties":{"name":{"type":"string"},"n":{"type":"number"},"kind":{"enum":["small","large"]}}}}}`, nil)
	body := "[" + first + strings.Repeat(`,{"name":"b","n":2,"kind":"large"}`, 31000) + "]"
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, led := apply(b, f, body); led.BodySet == fits || led.Denial != nil {
			b.Fatal("not what was to be measured")
		}
	}
}
