package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// The sizes of the queue and of the writes.
const (
	// DefaultQueue is how many lines may wait to be written.
	DefaultQueue = 8192
	// pause is how long the writer lets lines gather after a write: woken for
	// each of them, it would cost more than the lines.
	pause = 25 * time.Millisecond
	// maxBuffer is the largest line, and maxSpare the most lines together, whose
	// memory is used again.
	maxBuffer = 8 << 10
	maxSpare  = 1 << 20
	// room is what there is for waiting lines from the start, twice: of each,
	// what is never used is no memory.
	room = 512 << 10
)

// Config says where the lines go.
type Config struct {
	// To is "stdout", "none", or the path of a file, which is made with mode
	// 0640 or appended to. Empty means stdout.
	To string
	// Queue is how many lines may wait; DefaultQueue where 0.
	Queue int
	// Stdout stands in for the standard output where set.
	Stdout io.Writer
}

// Log is the audit log. It is a pipeline.Recorder.
type Log struct {
	path    string // "" for an output that cannot be reopened
	queue   int    // how many lines may wait; 0: none is taken
	due     chan struct{}
	full    chan struct{} // half of the queue waits
	reopen  chan chan error
	stop    chan struct{}
	stopped chan struct{}
	closing sync.Once
	out     io.Writer
	file    *os.File
	dropped atomic.Uint64
	failed  atomic.Uint64
	buffers sync.Pool
	steps   pipeline.Places[[]byte] // stepMembers
	second  atomic.Pointer[second]  // of the last line
	spare   []byte                  // the writer's, for waiting

	mu      sync.Mutex
	waiting []byte
	count   int // lines in waiting
}

// Open opens the log and starts its writer. With To "none" the result is a
// log that takes nothing.
func Open(cfg Config) (*Log, error) {
	queue := cfg.Queue
	if queue <= 0 {
		queue = DefaultQueue
	}
	l := &Log{due: make(chan struct{}, 1), full: make(chan struct{}, 1), reopen: make(chan chan error), stop: make(chan struct{}), stopped: make(chan struct{})}
	l.buffers.New = func() any { b := make([]byte, 0, 512); return &b }
	switch cfg.To {
	case "none":
		close(l.stopped)
		return l, nil
	case "", "stdout":
		l.out = cfg.Stdout
		if l.out == nil {
			l.out = os.Stdout
		}
	default:
		l.path = cfg.To
		if err := l.openFile(); err != nil {
			return nil, err
		}
	}
	l.queue = queue
	l.waiting, l.spare = make([]byte, 0, room), make([]byte, 0, room)
	go l.write()
	return l, nil
}

// Dropped is how many lines were dropped because the queue was full.
func (l *Log) Dropped() uint64 { return l.dropped.Load() }

// Failed is how many writes failed; their lines are lost.
func (l *Log) Failed() uint64 { return l.failed.Load() }

// Decision implements pipeline.Recorder: it queues a line, or drops it where
// the queue is full.
func (l *Log) Decision(r *pipeline.Record) {
	if l.queue == 0 {
		return
	}
	step := l.steps.Of(r, stepMembers)
	l.put(func(b []byte) []byte { return l.appendLine(b, r, step) })
}

// Forget forgets the steps of a set that is not in force any more.
func (l *Log) Forget() { l.steps.Forget() }

func (l *Log) put(line func([]byte) []byte) {
	if l.queue == 0 {
		return
	}
	b := l.buffers.Get().(*[]byte)
	*b = line((*b)[:0])
	l.mu.Lock()
	fits := l.count < l.queue
	if fits {
		l.waiting = append(l.waiting, *b...)
		l.count++
	}
	first, half := l.count == 1, fits && l.count == l.queue/2
	l.mu.Unlock()
	if cap(*b) <= maxBuffer {
		l.buffers.Put(b)
	}
	if !fits {
		l.dropped.Add(1)
	}
	if first { // the writer may sleep
		signal(l.due)
	}
	if half { // or rest too long
		signal(l.full)
	}
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Note implements filters.Notes: it queues a line, or drops it as Decision
// does.
func (l *Log) Note(n *filters.Note) {
	l.put(func(b []byte) []byte { return appendNote(b, n) })
}

// Exchange implements pipeline.Recorder: the decisions say it all.
func (l *Log) Exchange(*pipeline.Summary) {}

// Reopen closes the file and opens its path anew, for log rotation by
// renaming. It does nothing for the standard output.
func (l *Log) Reopen() error {
	if l.path == "" {
		return nil
	}
	done := make(chan error, 1)
	select {
	case l.reopen <- done:
		return <-done
	case <-l.stopped:
		return errors.New("reopening the audit log: it is closed")
	}
}

// Close writes what waits and closes the file. Decisions recorded after it
// are lost. It returns early when ctx ends.
func (l *Log) Close(ctx context.Context) error {
	l.closing.Do(func() { close(l.stop) })
	select {
	case <-l.stopped:
	case <-ctx.Done():
		return fmt.Errorf("writing the last of the audit log: %w", ctx.Err())
	}
	return nil
}

func (l *Log) openFile() error {
	f, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return fmt.Errorf("opening the audit log: %w", err)
	}
	if l.file != nil {
		_ = l.file.Close()
	}
	l.file, l.out = f, f
	return nil
}

// write is the writer: it alone touches out and file after Open.
func (l *Log) write() {
	defer close(l.stopped)
	defer func() {
		if l.file != nil {
			_ = l.file.Close()
		}
	}()
	for {
		select {
		case <-l.due:
			l.drain()
			l.rest()
		case done := <-l.reopen:
			// What was recorded before the call belongs to the old file.
			l.drain()
			done <- l.openFile()
		case <-l.stop:
			l.drain()
			return
		}
	}
}

// rest waits a moment before the next write, but not once there is much to
// write or the log is being closed.
func (l *Log) rest() {
	l.mu.Lock()
	much := l.count > l.queue/2
	l.mu.Unlock()
	if much {
		return
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.full:
	case <-l.stop:
	}
}

// drain writes what waits.
func (l *Log) drain() {
	l.mu.Lock()
	batch := l.waiting
	l.waiting, l.count = l.spare[:0], 0
	l.mu.Unlock()
	if len(batch) > 0 {
		l.flush(batch)
	}
	if l.spare = batch; cap(batch) > maxSpare {
		l.spare = nil
	}
}

// flush writes a batch, and tries once more after a moment: a full pipe or a
// disk that has just been cleared should not cost the lines.
func (l *Log) flush(batch []byte) {
	for try := range 2 {
		n, err := l.out.Write(batch)
		if err == nil {
			return
		}
		batch = batch[n:]
		if try == 0 {
			time.Sleep(50 * time.Millisecond)
		}
	}
	l.failed.Add(1)
}
