package telemetry

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
)

// library is the library's histogram with the same settings.
func library() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x", Help: "x", Buckets: stepBuckets, NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: nativeBuckets})
}

func written(t *testing.T, m prometheus.Metric) *dto.Histogram {
	t.Helper()
	var out dto.Metric
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	out.Histogram.CreatedTimestamp = nil
	return out.Histogram
}

// TestHistogramsAreTheLibrarys: what a scrape sees is what the library's
// histogram would show, to a rounding of the sum.
func TestHistogramsAreTheLibrarys(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		name string
		next func() time.Duration
		n    int
	}{
		{"none", nil, 0},
		{"bounds", func() time.Duration {
			return time.Duration(stepBuckets[rnd.IntN(len(stepBuckets))]*1e9) + time.Duration(rnd.IntN(3)-1)
		}, 1000},
		{"zero", func() time.Duration { return 0 }, 3},
		{"like steps", func() time.Duration { return time.Duration(rnd.ExpFloat64() * 20e3) }, 5000},
		{"one octave", func() time.Duration { return time.Millisecond + time.Duration(rnd.Int64N(1e6)) }, 1000},
		{"all", func() time.Duration { return time.Duration(1) << rnd.IntN(61) }, 1000},
		{"more buckets than there may be", func() time.Duration { return time.Duration(rnd.Uint64() >> 2 >> rnd.IntN(62)) }, 20000},
		{"powers of two of seconds", func() time.Duration { return time.Second << rnd.IntN(30) }, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			hs := newHistograms("x", "x", stepBuckets)
			own, lib := hs.with(), library()
			for range c.n {
				d := c.next()
				own.Observe(d)
				lib.Observe(d.Seconds())
			}
			got, want := written(t, hs.series[0]), written(t, lib)
			if diff := got.GetSampleSum() - want.GetSampleSum(); diff > 1e-6*want.GetSampleSum() || -diff > 1e-6*want.GetSampleSum() {
				t.Errorf("the sum is %v, want %v", got.GetSampleSum(), want.GetSampleSum())
			}
			got.SampleSum, want.SampleSum = nil, nil
			if !proto.Equal(got, want) {
				t.Errorf("got\n%v\nwant\n%v", got, want)
			}
		})
	}
}

// TestScrapesFit: also while others observe, the counts of a scrape fit.
func TestScrapesFit(t *testing.T) {
	hs := newHistograms("x", "x", stepBuckets)
	h := hs.with()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for d := time.Duration(0); ; d += 377 * time.Nanosecond {
				select {
				case <-stop:
					return
				default:
					h.Observe(d % time.Second)
				}
			}
		})
	}
	for range 200 {
		got := written(t, hs.series[0])
		sum, n := int64(got.GetZeroCount()), int64(0)
		for _, d := range got.GetPositiveDelta() {
			n += d
			sum += n
		}
		if sum != int64(got.GetSampleCount()) || got.GetBucket()[len(stepBuckets)-1].GetCumulativeCount() != got.GetSampleCount() {
			t.Fatalf("%d in buckets, %d in all", sum, got.GetSampleCount())
		}
	}
	close(stop)
	wg.Wait()
}

func BenchmarkObserve(b *testing.B) {
	own, lib := newHistograms("x", "x", stepBuckets).with(), library()
	b.Run("own", func(b *testing.B) {
		for b.Loop() {
			own.Observe(21 * time.Microsecond)
		}
	})
	b.Run("library", func(b *testing.B) {
		for b.Loop() {
			lib.Observe((21 * time.Microsecond).Seconds())
		}
	})
}
