package summarize

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sluice-proxy/sluice/filters"
)

// job is a summary that is to be made. What is in it is masked.
type job struct {
	exchange, set string // exchange is "" for a batch
	caller        filters.Caller
	parts         []filters.Part
	n             int // exchanges
}

// queue has what waits for a worker. A worker is started where there is work
// and ends where there is none: nothing has to be closed when the policies are
// replaced.
type queue struct {
	bound, workers int
	do             func(*job)

	mu      sync.Mutex
	waiting []*job
	running int
}

// add puts a job into the queue, and reports whether there was room.
func (q *queue) add(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= q.bound {
		return false
	}
	q.waiting = append(q.waiting, j)
	if q.running < q.workers {
		q.running++
		go q.work()
	}
	return true
}

func (q *queue) work() {
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 {
			q.running--
			q.waiting = nil
			q.mu.Unlock()
			return
		}
		j := q.waiting[0]
		q.waiting[0] = nil
		q.waiting = q.waiting[1:]
		q.mu.Unlock()
		q.do(j)
	}
}

// maxKinds bounds the kinds that a batch tells apart.
const maxKinds = 64

// batch gathers exchanges.
type batch struct {
	size  int
	every time.Duration
	full  func(*group)

	mu  sync.Mutex
	now *group
}

// group are the exchanges of one summary.
type group struct {
	set    string // of the first
	counts map[string]int
	n      int
}

// add counts an exchange of a kind.
func (b *batch) add(set, kind string) {
	b.mu.Lock()
	g := b.now
	if g == nil {
		g = &group{set: set, counts: map[string]int{}}
		b.now = g
		time.AfterFunc(b.every, func() { b.end(g) })
	}
	if g.counts[kind] == 0 && len(g.counts) >= maxKinds {
		kind = "others"
	}
	g.counts[kind]++
	g.n++
	full := g.n >= b.size
	b.mu.Unlock()
	if full {
		b.end(g)
	}
}

// end hands the group on, where that has not been done.
func (b *batch) end(g *group) {
	b.mu.Lock()
	mine := b.now == g
	if mine {
		b.now = nil
	}
	b.mu.Unlock()
	if mine {
		b.full(g)
	}
}

// shownKinds is how many kinds the sentence of a batch names.
const shownKinds = 5

func (g *group) job() *job {
	kinds := make([]string, 0, len(g.counts))
	for k := range g.counts {
		kinds = append(kinds, k)
	}
	slices.SortFunc(kinds, func(a, b string) int {
		if g.counts[a] != g.counts[b] {
			return g.counts[b] - g.counts[a]
		}
		return strings.Compare(a, b)
	})
	var sentence, table strings.Builder
	sentence.WriteString(strconv.Itoa(g.n) + " exchanges: ")
	rest := g.n
	for i, k := range kinds {
		n := g.counts[k]
		table.WriteString(strconv.Itoa(n) + " × " + k + "\n")
		if i >= shownKinds {
			continue
		}
		if i > 0 {
			sentence.WriteString(", ")
		}
		sentence.WriteString(strconv.Itoa(n) + " × " + k)
		rest -= n
	}
	if rest > 0 {
		sentence.WriteString(", " + strconv.Itoa(rest) + " × others")
	}
	return &job{set: g.set, n: g.n, parts: []filters.Part{
		{Text: "Sum up these exchanges together, with their numbers."},
		{Name: exchangePart, Text: sentence.String() + ".", Data: true},
		{Name: "kinds", Text: table.String(), Data: true},
	}}
}

// reasonOf returns what may be shown of an error.
func reasonOf(err error) string {
	var f *filters.Failure
	switch {
	case errors.As(err, &f):
		return f.Reason
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "error"
}
