package telemetry

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// A histogram of durations is what a prometheus.Histogram with these settings
// is, and looks the same to who scrapes it; but an observation is two additions
// here, where the library looks for a bucket in a map that is shared.
const (
	// nativeSchema has buckets that are 2^(1/8) wide, below a factor of 1.1.
	nativeSchema  = 3
	nativeBuckets = 100
	zeroThreshold = 0x1p-128
)

// eighths are the bounds of native buckets between 0.5 and 1: powers of
// 2^(1/8), as the library has them.
var eighths = [8]float64{
	0.5, 0.5452538663326288, 0.5946035575013605, 0.6484197773255048,
	0.7071067811865475, 0.7711054127039704, 0.8408964152537144, 0.9170040432046711,
}

// The native buckets that a positive time.Duration can fall into, from a
// nanosecond to 292 years, by number: bucket k ends at 2^(k/8) seconds.
const (
	firstBucket = -240
	octaves     = 65
)

// bucketOf returns the number of the native bucket of a positive number of
// seconds.
func bucketOf(seconds float64) int {
	frac, exp := math.Frexp(seconds)
	i := 0
	for i < len(eighths) && eighths[i] < frac {
		i++
	}
	return i + (exp-1)*len(eighths)
}

// histogram counts durations. Each cell is what falls into one native bucket,
// or into one of the two parts of one that a classic bound cuts: all numbers of
// a scrape come from the same cells, and fit.
type histogram struct {
	bounds []float64 // of the classic buckets
	// cuts has, for a native bucket, the classic bound within it.
	cuts    *[octaves * 8]float64
	created time.Time
	zero    atomic.Uint64
	// sum is in nanoseconds, but for what was carried over: by so many words.
	sum, words atomic.Int64
	cells      [octaves]atomic.Pointer[octave]
}

// octave are the cells of eight native buckets: what is not above the bound
// that cuts it, and what is. There are only those that something fell into.
type octave [8][2]atomic.Uint64

// word is what of a sum is carried over: ten thousand exchanges at once last so
// long in five days.
const word = 1 << 62

// cutsOf returns where the bounds of classic buckets, in seconds, cut native
// ones; each at most one.
func cutsOf(bounds []float64) *[octaves * 8]float64 {
	cuts := new([octaves * 8]float64)
	for i := range cuts {
		cuts[i] = math.Inf(1)
	}
	for _, b := range bounds {
		cuts[bucketOf(b)-firstBucket] = b
	}
	return cuts
}

// Observe counts a duration.
func (h *histogram) Observe(d time.Duration) {
	if d <= 0 {
		h.zero.Add(1)
		return
	}
	seconds := d.Seconds()
	at := bucketOf(seconds) - firstBucket
	o := h.cells[at/8].Load()
	if o == nil {
		h.cells[at/8].CompareAndSwap(nil, new(octave))
		o = h.cells[at/8].Load()
	}
	above := 0
	if seconds > h.cuts[at] {
		above = 1
	}
	o[at%8][above].Add(1)
	if h.sum.Add(int64(d)) >= word {
		h.sum.Add(-word)
		h.words.Add(1)
	}
}

// write is prometheus.Metric's Write.
func (h *histogram) write() *dto.Histogram {
	type bucket struct {
		number int
		count  int64
	}
	var native []bucket
	zero := h.zero.Load()
	count := zero
	// below has what falls into each classic bucket, and behind the last.
	below := make([]uint64, len(h.bounds)+1)
	below[0] = zero
	class := 0
	for i := range h.cells {
		o := h.cells[i].Load()
		for j := range 8 {
			number := i*8 + j + firstBucket
			cut := !math.IsInf(h.cuts[number-firstBucket], 1)
			if o != nil {
				low, high := o[j][0].Load(), o[j][1].Load()
				below[class] += low
				if cut {
					below[class+1] += high
				}
				if low+high > 0 {
					native = append(native, bucket{number, int64(low + high)})
				}
				count += low + high
			}
			if cut {
				class++
			}
		}
	}
	schema := int32(nativeSchema)
	for ; len(native) > nativeBuckets; schema-- {
		wider := native[:0]
		for _, b := range native {
			if b.number > 0 {
				b.number++
			}
			b.number /= 2
			if last := len(wider) - 1; last >= 0 && wider[last].number == b.number {
				wider[last].count += b.count
			} else {
				wider = append(wider, b)
			}
		}
		native = wider
	}
	out := &dto.Histogram{
		SampleCount: &count, SampleSum: new(float64(h.words.Load())*word/1e9 + float64(h.sum.Load())/1e9), CreatedTimestamp: timestamppb.New(h.created),
		Schema: &schema, ZeroThreshold: new(zeroThreshold), ZeroCount: &zero,
	}
	var sum uint64
	for i, b := range h.bounds {
		sum += below[i]
		out.Bucket = append(out.Bucket, &dto.Bucket{CumulativeCount: new(sum), UpperBound: new(b)})
	}
	// Runs of buckets, each with how far it is from the one before, and the
	// differences of their counts. A gap of one or two is not worth a run.
	next, before := 0, int64(0)
	add := func(n int64) {
		*out.PositiveSpan[len(out.PositiveSpan)-1].Length++
		out.PositiveDelta = append(out.PositiveDelta, n-before)
		before = n
	}
	for i, b := range native {
		gap := b.number - next
		if i == 0 || gap > 2 {
			out.PositiveSpan = append(out.PositiveSpan, &dto.BucketSpan{Offset: new(int32(gap)), Length: new(uint32(0))})
		} else {
			for range gap {
				add(0)
			}
		}
		add(b.count)
		next = b.number + 1
	}
	return out
}

// histograms are those of one metric, by the values of its labels. They are a
// prometheus.Collector.
type histograms struct {
	desc   *prometheus.Desc
	bounds []float64
	cuts   *[octaves * 8]float64

	mu     sync.Mutex
	series []*series
}

// series is a histogram with the values of its labels. It is a
// prometheus.Metric.
type series struct {
	desc   *prometheus.Desc
	values []string
	labels []*dto.LabelPair
	histogram
}

func newHistograms(name, help string, bounds []float64, labels ...string) *histograms {
	return &histograms{desc: prometheus.NewDesc(name, help, labels, nil), bounds: bounds, cuts: cutsOf(bounds)}
}

// with returns the histogram of some labels, and makes it the first time.
func (hs *histograms) with(values ...string) *histogram {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for _, s := range hs.series {
		if slices.Equal(s.values, values) {
			return &s.histogram
		}
	}
	s := &series{desc: hs.desc, values: values, labels: prometheus.MakeLabelPairs(hs.desc, values)}
	s.bounds, s.cuts, s.created = hs.bounds, hs.cuts, time.Now()
	hs.series = append(hs.series, s)
	return &s.histogram
}

// forget drops those whose first label has a value.
func (hs *histograms) forget(first string) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.series = slices.DeleteFunc(slices.Clone(hs.series), func(s *series) bool { return s.values[0] == first })
}

// Describe implements prometheus.Collector.
func (hs *histograms) Describe(to chan<- *prometheus.Desc) { to <- hs.desc }

// Collect implements prometheus.Collector.
func (hs *histograms) Collect(to chan<- prometheus.Metric) {
	hs.mu.Lock()
	all := slices.Clone(hs.series)
	hs.mu.Unlock()
	for _, s := range all {
		to <- s
	}
}

// Desc implements prometheus.Metric.
func (s *series) Desc() *prometheus.Desc { return s.desc }

// Write implements prometheus.Metric.
func (s *series) Write(out *dto.Metric) error {
	out.Label, out.Histogram = s.labels, s.write()
	return nil
}
