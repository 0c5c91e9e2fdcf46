package coding

import (
	"bytes"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// Encoder applies a stack of codings. Use it by one goroutine.
type Encoder struct {
	layers []writer // in the order in which they are applied
	out    bytes.Buffer
	// waiting: something has been written since the last flush.
	waiting bool
}

// writer is what the libraries' writers have in common.
type writer interface {
	io.WriteCloser
	Flush() error
}

// The levels are the fast ones: a body is coded once, between two machines
// that are near to each other.
const (
	gzipLevel   = gzip.BestSpeed
	brotliLevel = 3
)

// NewEncoder returns an encoder for codings in the order in which they are to
// be applied.
func NewEncoder(codings []Coding) (*Encoder, error) {
	e := &Encoder{layers: make([]writer, len(codings))}
	var to io.Writer = &e.out
	for i := len(codings) - 1; i >= 0; i-- {
		w, err := newWriter(codings[i], to)
		if err != nil {
			return nil, fmt.Errorf("encoding the body as %s: %w", codings[i], err)
		}
		e.layers[i] = w
		to = w
	}
	return e, nil
}

func newWriter(c Coding, to io.Writer) (writer, error) {
	switch c {
	case Gzip:
		return gzip.NewWriterLevel(to, gzipLevel)
	case Deflate:
		return zlib.NewWriterLevel(to, zlib.BestSpeed)
	case Brotli:
		return brotli.NewWriterLevel(to, brotliLevel), nil
	case Zstd:
		return zstd.NewWriter(to, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(1<<20))
	}
	return nil, ErrUnknown
}

// Write codes plain and appends to dst what comes out already.
func (e *Encoder) Write(dst, plain []byte) ([]byte, error) {
	if len(plain) == 0 {
		return dst, nil
	}
	e.waiting = true
	if _, err := e.layers[0].Write(plain); err != nil {
		return dst, fmt.Errorf("encoding the body: %w", err)
	}
	return e.take(dst), nil
}

// Flush appends to dst what it takes to decode all that has been written: a
// stream of events must not wait for a block to fill.
func (e *Encoder) Flush(dst []byte) ([]byte, error) {
	if !e.waiting {
		return dst, nil
	}
	e.waiting = false
	for _, w := range e.layers {
		if err := w.Flush(); err != nil {
			return dst, fmt.Errorf("encoding the body: %w", err)
		}
	}
	return e.take(dst), nil
}

// Close ends the coded body and appends what is left to dst.
func (e *Encoder) Close(dst []byte) ([]byte, error) {
	for _, w := range e.layers {
		if err := w.Close(); err != nil {
			return dst, fmt.Errorf("encoding the body: %w", err)
		}
	}
	return e.take(dst), nil
}

func (e *Encoder) take(dst []byte) []byte {
	dst = append(dst, e.out.Bytes()...)
	e.out.Reset()
	return dst
}
