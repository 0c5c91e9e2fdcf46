package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// writeProfile takes a CPU profile of the last server, which is Sluice, while
// it is loaded once more.
func (m *measurement) writeProfile(ctx context.Context) error {
	last := len(m.places) - 1
	seconds := max(1, int(m.o.length.Seconds()))
	loaded := make(chan error, 1)
	go func() {
		_, err := m.load(ctx, last)
		loaded <- err
	}()
	err := fetch(ctx, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", m.places[last].admin, seconds), m.o.profile)
	return errors.Join(<-loaded, err)
}

// fetch writes a profile to a file.
func fetch(ctx context.Context, url, file string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("taking the profile: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("taking the profile: status %d", resp.StatusCode)
	}
	text, err := withoutPaths(resp.Body)
	if err != nil {
		return fmt.Errorf("taking the profile: %w", err)
	}
	return os.WriteFile(file, text, 0o600)
}

// stringTable is the number of the field of a profile that has its strings
// (profile.proto of github.com/google/pprof).
const stringTable = 6

// withoutPaths is a profile in which the binary goes by its name alone: a
// profile may be kept, and where it was taken is nobody's business.
func withoutPaths(profile io.Reader) ([]byte, error) {
	z, err := gzip.NewReader(profile)
	if err != nil {
		return nil, err
	}
	in, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	for len(in) > 0 {
		number, kind, n := protowire.ConsumeTag(in)
		if n < 0 {
			return nil, protowire.ParseError(n)
		}
		m := protowire.ConsumeFieldValue(number, kind, in[n:])
		if m < 0 {
			return nil, protowire.ParseError(m)
		}
		field := in[:n+m]
		if number == stringTable && kind == protowire.BytesType {
			text, _ := protowire.ConsumeString(in[n:])
			if i := strings.LastIndexByte(text, '/'); strings.HasPrefix(text, "/") && i >= 0 {
				field = protowire.AppendTag(nil, stringTable, protowire.BytesType)
				field = protowire.AppendString(field, text[i+1:])
			}
		}
		if _, err := packed.Write(field); err != nil {
			return nil, err
		}
		in = in[n+m:]
	}
	if err := packed.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
