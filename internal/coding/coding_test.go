package coding_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/klauspost/compress/flate"

	"github.com/sluice-proxy/sluice/internal/coding"
)

var stacks = [][]coding.Coding{
	{coding.Gzip}, {coding.Deflate}, {coding.Brotli}, {coding.Zstd},
	{coding.Gzip, coding.Brotli}, {coding.Zstd, coding.Deflate, coding.Gzip},
}

func encode(t testing.TB, stack []coding.Coding, plain []byte) []byte {
	t.Helper()
	e, err := coding.NewEncoder(stack)
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.Write(nil, plain)
	if err == nil {
		out, err = e.Close(out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func decode(stack []coding.Coding, lim coding.Limits, pieces ...[]byte) ([]byte, error) {
	d := coding.NewDecoder(stack, lim)
	defer d.Close()
	var out []byte
	to := func(plain []byte) error {
		out = append(out, plain...)
		return nil
	}
	for _, p := range pieces {
		if err := d.Decode(p, false, to); err != nil {
			return out, err
		}
	}
	return out, d.Decode(nil, true, to)
}

func bytewise(b []byte) [][]byte { return slices.Collect(slices.Chunk(b, 1)) }

func TestRoundTripHoweverCut(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, 70_000)
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	for _, stack := range stacks {
		for name, plain := range map[string][]byte{
			"short": []byte(`{"a":1}`), "text": bytes.Repeat([]byte("the quick brown fox "), 3000), "random": random,
		} {
			t.Run(fmt.Sprint(stack, name), func(t *testing.T) {
				coded := encode(t, stack, plain)
				for _, pieces := range [][][]byte{{coded}, bytewise(coded), slices.Collect(slices.Chunk(coded, 1000))} {
					got, err := decode(stack, coding.Limits{}, pieces...)
					if err != nil || !bytes.Equal(got, plain) {
						t.Fatalf("in %d pieces: %d bytes of %d, %v", len(pieces), len(got), len(plain), err)
					}
				}
			})
		}
	}
}

// TestFlushedBytesAreThereAtOnce: an event that was flushed comes out of the
// decoder without the next one.
func TestFlushedBytesAreThereAtOnce(t *testing.T) {
	for _, stack := range stacks {
		e, err := coding.NewEncoder(stack)
		if err != nil {
			t.Fatal(err)
		}
		d := coding.NewDecoder(stack, coding.Limits{})
		for i := range 5 {
			event := fmt.Appendf(nil, "data: event %d\n\n", i)
			coded, err := e.Write(nil, event)
			if err == nil {
				coded, err = e.Flush(coded)
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []byte
			err = d.Decode(coded, false, func(plain []byte) error { got = append(got, plain...); return nil })
			if err != nil || !bytes.Equal(got, event) {
				t.Fatalf("%v: event %d: got %q, %v", stack, i, got, err)
			}
		}
		d.Close()
	}
}

func TestTruncated(t *testing.T) {
	plain := bytes.Repeat([]byte("some text "), 500)
	for _, stack := range stacks {
		coded := encode(t, stack, plain)
		for _, n := range []int{1, len(coded) / 2, len(coded) - 1} {
			if _, err := decode(stack, coding.Limits{}, coded[:n]); err == nil {
				t.Errorf("%v: cut at %d of %d without an error", stack, n, len(coded))
			}
		}
	}
}

func TestGarbage(t *testing.T) {
	for _, stack := range stacks {
		if _, err := decode(stack, coding.Limits{}, bytes.Repeat([]byte("not coded at all "), 10)); err == nil {
			t.Errorf("%v: garbage was decoded", stack)
		}
	}
}

// TestPieces: what a few bytes decode to comes in small pieces, and the one
// who takes them can stop.
func TestPieces(t *testing.T) {
	enough := errors.New("enough")
	for _, stack := range stacks {
		coded := encode(t, stack, make([]byte, 512<<10))
		d := coding.NewDecoder(stack, coding.Limits{})
		n := 0
		err := d.Decode(coded, true, func(plain []byte) error {
			if n += len(plain); len(plain) > 32<<10 {
				t.Errorf("%v: a piece of %d bytes", stack, len(plain))
			}
			if n > 100<<10 {
				return enough
			}
			return nil
		})
		if err != enough || n > 200<<10 || d.Decode(coded, true, nil) != enough {
			t.Errorf("%v: %v after %d bytes", stack, err, n)
		}
		d.Close()
	}
}

func TestEmptyBody(t *testing.T) {
	for _, stack := range stacks {
		if got, err := decode(stack, coding.Limits{}); err != nil || len(got) != 0 {
			t.Errorf("%v: %q, %v", stack, got, err)
		}
	}
}

// TestBomb: a body that explodes is refused after a bounded amount of work.
func TestBomb(t *testing.T) {
	for _, stack := range [][]coding.Coding{{coding.Gzip}, {coding.Brotli}, {coding.Zstd}, {coding.Gzip, coding.Gzip}} {
		coded := encode(t, stack, make([]byte, 64<<20))
		got, err := decode(stack, coding.Limits{}, coded)
		if !errors.Is(err, coding.ErrRatio) || len(got) > max(2<<20, 201*len(coded)) {
			t.Errorf("%v: %d bytes came out of %d, %v", stack, len(got), len(coded), err)
		}
		if _, err := decode(stack, coding.Limits{DecodedBytes: 1 << 10}, coded); !errors.Is(err, coding.ErrTooLarge) {
			t.Errorf("%v: %v", stack, err)
		}
	}
}

// TestBareDeflate: some servers send RFC 1951 where RFC 1950 is meant.
func TestBareDeflate(t *testing.T) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 5)
	if err != nil {
		t.Fatal(err)
	}
	plain := bytes.Repeat([]byte(`{"k":"v"}`), 100)
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := decode([]coding.Coding{coding.Deflate}, coding.Limits{}, bytewise(b.Bytes())...)
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		values []string
		want   []coding.Coding
		err    bool
	}{
		{nil, nil, false},
		{[]string{"identity"}, nil, false},
		{[]string{"GZIP"}, []coding.Coding{coding.Gzip}, false},
		{[]string{"deflate, x-gzip", "br"}, []coding.Coding{coding.Deflate, coding.Gzip, coding.Brotli}, false},
		{[]string{"compress"}, nil, true},
		{[]string{"gzip,gzip,gzip,gzip"}, nil, true},
	} {
		got, err := coding.Parse(tt.values)
		if !slices.Equal(got, tt.want) || (err != nil) != tt.err {
			t.Errorf("%q: %v, %v", tt.values, got, err)
		}
	}
}

func FuzzDecoder(f *testing.F) {
	for i, stack := range stacks {
		f.Add(uint8(i), encode(f, stack, []byte(`{"a":"some text, some text"}`)), uint16(3))
	}
	f.Fuzz(func(t *testing.T, which uint8, coded []byte, at uint16) {
		stack := stacks[int(which)%len(stacks)]
		lim := coding.Limits{DecodedBytes: 1 << 20}
		whole, err := decode(stack, lim, coded)
		n := min(int(at), len(coded))
		cut, cutErr := decode(stack, lim, coded[:n], coded[n:])
		// However it is cut, the same comes out. After an error as much may
		// have come out as the libraries' own buffers let go.
		if (err == nil) != (cutErr == nil) || err == nil && !bytes.Equal(whole, cut) {
			t.Fatalf("whole: %d bytes, %v; cut: %d bytes, %v", len(whole), err, len(cut), cutErr)
		}
	})
}
