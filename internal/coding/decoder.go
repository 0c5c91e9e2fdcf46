package coding

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// Limits bound a decoder. A zero value means the default.
type Limits struct {
	// DecodedBytes is the most that is decoded of one body; 100 MiB.
	DecodedBytes int64
	// Ratio is the most bytes that one coded byte may become, once
	// RatioFrom bytes have been decoded; 200. (deflate's own bound is 1032.)
	Ratio int64
}

// ratioFrom is how much is decoded before the ratio counts: short bodies of
// repeated text are harmless.
const ratioFrom = 1 << 20

// windowBytes bounds the history that a coding may ask for (zstd, br).
const windowBytes = 8 << 20

// Errors of a decoder, beside those of the codings themselves.
var (
	ErrTooLarge  = errors.New("the decoded body is too large")
	ErrRatio     = errors.New("the body grows too much by decoding")
	ErrTruncated = errors.New("the coded body is cut short")
)

// Decoder undoes a stack of codings. Use it by one goroutine, and Close it.
type Decoder struct {
	layers []*layer
	limits Limits
	in     int64
	out    int64
	to     func([]byte) error
	err    error
}

// NewDecoder returns a decoder for codings in the order in which they were
// applied.
func NewDecoder(codings []Coding, lim Limits) *Decoder {
	if lim.DecodedBytes <= 0 {
		lim.DecodedBytes = 100 << 20
	}
	if lim.Ratio <= 0 {
		lim.Ratio = 200
	}
	d := &Decoder{limits: lim}
	for i := len(codings) - 1; i >= 0; i-- {
		d.layers = append(d.layers, newLayer(codings[i]))
	}
	return d
}

// Decode gives the decoder coded bytes, and to what they decode to, a piece of
// at most 32 KiB at a time that is valid during the call: what a few bytes
// decode to need never be there as a whole. With end no more coded bytes come,
// and a body that is cut short is an error. An empty body decodes to nothing.
// An error of to's ends the decoding and is returned as it is.
func (d *Decoder) Decode(coded []byte, end bool, to func(plain []byte) error) error {
	if d.err != nil || d.in == 0 && len(coded) == 0 {
		return d.err
	}
	d.in += int64(len(coded))
	d.to = to
	d.err = d.through(0, coded, end)
	d.to = nil
	return d.err
}

// Close frees the decoder; it can be called at any time.
func (d *Decoder) Close() {
	for _, l := range d.layers {
		l.stop()
	}
}

// through gives coded to layer i and what comes out of it to the next.
func (d *Decoder) through(i int, coded []byte, end bool) error {
	if i == len(d.layers) {
		if len(coded) == 0 {
			return nil
		}
		d.out += int64(len(coded))
		switch {
		case d.out > d.limits.DecodedBytes:
			return fmt.Errorf("decoding the body: %w", ErrTooLarge)
		case d.out > ratioFrom && d.out > d.in*d.limits.Ratio:
			return fmt.Errorf("decoding the body: %w", ErrRatio)
		}
		return d.to(coded)
	}
	l := d.layers[i]
	l.feed(coded, end)
	for {
		out, err := l.pull()
		if err != nil {
			return fmt.Errorf("decoding the body: %w", err)
		}
		if out == nil {
			break
		}
		if err := d.through(i+1, out, false); err != nil {
			return err
		}
	}
	if end && i+1 < len(d.layers) {
		return d.through(i+1, nil, true)
	}
	return nil
}

// layer is one coding. The libraries read from an io.Reader and cannot be
// left in the middle of one, so each runs as a coroutine: its Read gives
// control back when there is nothing to read.
type layer struct {
	coding Coding
	input  []byte
	ended  bool
	done   bool
	next   func() (step, bool)
	stopFn func()
	yield  func(step) bool
}

// step is what a layer's coroutine gives back: decoded bytes, an error, or
// neither, when it wants more input.
type step struct {
	out []byte
	err error
}

func newLayer(c Coding) *layer {
	l := &layer{coding: c}
	l.next, l.stopFn = iter.Pull(l.run)
	return l
}

func (l *layer) feed(p []byte, end bool) { l.input, l.ended = p, end }

func (l *layer) stop() { l.stopFn() }

// pull returns decoded bytes, or nil when the input is used up.
func (l *layer) pull() ([]byte, error) {
	if l.done {
		return nil, nil
	}
	s, ok := l.next()
	if !ok {
		// What follows the coded body is nobody's, and is left out.
		l.done = true
		return nil, nil
	}
	return s.out, s.err
}

// errStopped ends the coroutine when the decoder is closed.
var errStopped = errors.New("stopped")

// Read implements io.Reader for the coding's library.
func (l *layer) Read(p []byte) (int, error) {
	for len(l.input) == 0 {
		if l.ended {
			return 0, io.EOF
		}
		if !l.yield(step{}) {
			return 0, errStopped
		}
	}
	n := copy(p, l.input)
	l.input = l.input[n:]
	return n, nil
}

func (l *layer) run(yield func(step) bool) {
	l.yield = yield
	r, closeReader, err := l.open()
	opened := err == nil
	if opened {
		defer closeReader()
		buf := make([]byte, 32<<10)
		for {
			var n int
			n, err = r.Read(buf)
			if n > 0 && !yield(step{out: buf[:n]}) {
				return
			}
			if err != nil {
				break
			}
		}
	}
	switch {
	case errors.Is(err, errStopped):
	case opened && err == io.EOF:
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		yield(step{err: ErrTruncated})
	default:
		yield(step{err: err})
	}
}

func (l *layer) open() (r io.Reader, done func(), err error) {
	nothing := func() {}
	switch l.coding {
	case Gzip:
		z, err := gzip.NewReader(l)
		return z, nothing, err
	case Deflate:
		return l.openDeflate()
	case Brotli:
		return brotli.NewReader(l), nothing, nil
	case Zstd:
		z, err := zstd.NewReader(l, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(windowBytes))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return nil, nil, ErrUnknown
}

// openDeflate tells zlib (RFC 1950, what the coding is) from bare deflate
// (RFC 1951, what some servers send) by the header's checksum.
func (l *layer) openDeflate() (io.Reader, func(), error) {
	b := bufio.NewReader(l)
	head, err := b.Peek(2)
	if err != nil {
		return nil, nil, err
	}
	if head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		z, err := zlib.NewReader(b)
		return z, func() {}, err
	}
	return flate.NewReader(b), func() {}, nil
}
