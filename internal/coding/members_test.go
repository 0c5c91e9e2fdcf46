package coding_test

import (
	"bytes"
	"testing"

	"github.com/sluice-proxy/sluice/internal/coding"
)

// TestMembers: gzip members and zstd frames that follow one another are one
// body (RFC 1952, section 2.2; RFC 8878, section 3.1), also one whose end and
// beginning come in one piece.
func TestMembers(t *testing.T) {
	for _, c := range []coding.Coding{coding.Gzip, coding.Zstd} {
		stack := []coding.Coding{c}
		coded := append(encode(t, stack, []byte(`{"a":1,`)), encode(t, stack, []byte(`"b":2}`))...)
		for _, pieces := range [][][]byte{{coded}, bytewise(coded)} {
			if got, err := decode(stack, coding.Limits{}, pieces...); err != nil || string(got) != `{"a":1,"b":2}` {
				t.Errorf("%s in %d pieces: %q, %v", c, len(pieces), got, err)
			}
		}
	}
}

// TestTrailing: what follows a coded body is an error where the coding can go
// on, and otherwise left out. It never goes through.
func TestTrailing(t *testing.T) {
	for _, tt := range []struct {
		coding coding.Coding
		err    bool
	}{{coding.Gzip, true}, {coding.Zstd, true}, {coding.Deflate, false}, {coding.Brotli, true}} {
		stack := []coding.Coding{tt.coding}
		coded := append(encode(t, stack, []byte("plain")), "joe@example.org, and more of it"...)
		for _, pieces := range [][][]byte{{coded}, bytewise(coded)} {
			got, err := decode(stack, coding.Limits{}, pieces...)
			if (err != nil) != tt.err || err == nil && string(got) != "plain" || bytes.Contains(got, []byte("joe")) {
				t.Errorf("%s in %d pieces: %q, %v", tt.coding, len(pieces), got, err)
			}
		}
	}
}

// FuzzRoundTrip: what is coded is decoded to what it was, however it is cut;
// and whatever a byte of it is changed to, no more comes out than the limit.
func FuzzRoundTrip(f *testing.F) {
	for i := range stacks {
		f.Add(uint8(i), []byte("some text, some text, some text"), uint16(5), byte(1))
	}
	f.Fuzz(func(t *testing.T, which uint8, plain []byte, at uint16, flip byte) {
		stack := stacks[int(which)%len(stacks)]
		coded := encode(t, stack, plain)
		n := int(at) % (len(coded) + 1)
		got, err := decode(stack, coding.Limits{}, coded[:n], coded[n:])
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%v: %d bytes became %d, %v", stack, len(plain), len(got), err)
		}
		if n < len(coded) {
			coded[n] ^= flip
		}
		const limit = 64 << 10
		if got, err := decode(stack, coding.Limits{DecodedBytes: limit}, coded); len(got) > limit {
			t.Fatalf("%v: %d bytes came out, %v", stack, len(got), err)
		}
	})
}
