package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
	"testing"
)

// TestWithoutPaths: a profile that is kept does not tell where it was taken.
func TestWithoutPaths(t *testing.T) {
	var taken bytes.Buffer
	if err := pprof.StartCPUProfile(&taken); err != nil {
		t.Skip("another profile is being taken")
	}
	pprof.StopCPUProfile()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	before := unpacked(t, taken.Bytes())
	kept, err := withoutPaths(&taken)
	if err != nil {
		t.Fatal(err)
	}
	after := unpacked(t, kept)
	if !bytes.Contains(before, []byte(self)) {
		t.Error("the path was not there in the first place")
	}
	if bytes.Contains(after, []byte(filepath.Dir(self))) || !bytes.Contains(after, []byte(filepath.Base(self))) {
		t.Error("the binary goes by another name than its own")
	}
	if again, err := withoutPaths(bytes.NewReader(kept)); err != nil || !bytes.Equal(unpacked(t, again), after) {
		t.Errorf("a profile without paths is not left as it is: %v", err)
	}
}

func unpacked(t *testing.T, profile []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(profile))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
