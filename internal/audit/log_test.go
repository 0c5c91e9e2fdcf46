package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

func record(exchange string) *pipeline.Record {
	return &pipeline.Record{
		Time: time.Date(2026, 11, 2, 11, 0, 0, 1000, time.FixedZone("", 3600)), Exchange: exchange, Set: "4f1c",
		Policy: "customer-api", Step: "mask", Filter: "pii", Phase: filters.ResponseBody, Mode: pipeline.Enforce,
		Decision: filters.Decision{
			Verdict:  filters.Changed,
			Findings: filters.Counts{{Name: "EMAIL_ADDRESS", N: 3}, {Name: "US_SSN", N: 1}},
			Actions:  filters.Counts{{Name: "mask", N: 4}},
			Details:  map[string]any{"score": 0.5, "kind": "json", "whole": true, "n": 3, "left out": []string{"x"}},
		},
		Duration: 212900 * time.Nanosecond,
	}
}

func TestLine(t *testing.T) {
	want := `{"time":"2026-11-02T10:00:00.000001Z","exchange":"id-1","set":"4f1c","policy":"customer-api","step":"mask","filter":"pii","phase":"response_body","mode":"enforce","verdict":"changed","findings":{"EMAIL_ADDRESS":3,"US_SSN":1},"actions":{"mask":4},"details":{"kind":"json","n":3,"score":0.5,"whole":true},"duration_us":212}` + "\n"
	first := record("id-1")
	if got := string(new(Log).appendLine(nil, first, stepMembers(first))); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	failed := &pipeline.Record{Exchange: "e", Decision: filters.Decision{Verdict: filters.Failed, Reason: "timeout"}, OnError: filters.Deny}
	if got := string(new(Log).appendLine(nil, failed, stepMembers(failed))); !strings.Contains(got, `"mode":"enforce","verdict":"failed","reason":"timeout","onError":"deny","duration_us":0}`) {
		t.Errorf("got %s", got)
	}
}

// TestTimes: as RFC 3339 has them, of one second and of others.
func TestTimes(t *testing.T) {
	var l Log
	at := time.Date(2026, 11, 2, 10, 59, 59, 0, time.FixedZone("", 5400))
	for _, after := range []time.Duration{0, 1, 10, 1e3, 120_034_000, 999_999_999, 1e9, 1e9 + 5e8, 0, -1, 24 * time.Hour, -200 * 365 * 24 * time.Hour} {
		when := at.Add(after)
		if got, want := string(l.appendTime(nil, when)), when.UTC().Format(time.RFC3339Nano); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestNoteLine(t *testing.T) {
	n := &filters.Note{
		Time: time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC), Exchange: "id-1", Set: "4f1c", Policy: "invoices", Step: "sum-up",
		Kind: "summary", Text: "User updated invoice INV-1001 to 'paid'.\n\u2028", Details: map[string]any{"answer": "model", "left out": []string{"x"}},
	}
	want := `{"time":"2026-11-02T10:00:00Z","exchange":"id-1","set":"4f1c","policy":"invoices","step":"sum-up","note":"summary","text":"User updated invoice INV-1001 to 'paid'.\u000a\u2028","details":{"answer":"model"}}` + "\n"
	if got := string(appendNote(nil, n)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	many := &filters.Note{Kind: "summary", Details: map[string]any{"failure": "timeout"}}
	if got := string(appendNote(nil, many)); strings.Contains(got, "exchange") || strings.Contains(got, "text") {
		t.Errorf("got %s", got)
	}
}

// TestSharedTakesNotesFromItsLogOn: filters are built before the log is open.
func TestSharedTakesNotesFromItsLogOn(t *testing.T) {
	var s Shared
	s.Note(&filters.Note{Exchange: "before"})
	var out bytes.Buffer
	l, err := Open(Config{Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	s.Use(l)
	s.Note(&filters.Note{Exchange: "after"})
	closeLog(t, l)
	if got := ids(t, out.Bytes()); len(got) != 1 || got[0] != "after" {
		t.Errorf("the log holds %v", got)
	}
}

// TestStringsAreEscapedAnywhere: any byte, in any place of what is looked at by
// eight bytes.
func TestStringsAreEscapedAnywhere(t *testing.T) {
	for c := range 256 {
		for n := 1; n <= 17; n++ {
			for at := range n {
				text := []byte(strings.Repeat("x", n))
				text[at] = byte(c)
				want := n
				if c < ' ' || c > '~' || c == '"' || c == '\\' {
					want = at
				}
				if got := plain(string(text)); got != want {
					t.Fatalf("%d of %q are plain, want %d", got, text, want)
				}
			}
		}
	}
}

// FuzzLine: whatever comes from outside, a record is one line of valid JSON
// from which the id can be read again.
func FuzzLine(f *testing.F) {
	f.Add("plain", "reason")
	f.Add("a\"b\\c\nd\x00e\x7f\u2028", "\xff\xfe")
	f.Fuzz(func(t *testing.T, id, reason string) {
		r := record(id)
		r.Decision.Reason = reason
		line := new(Log).appendLine(nil, r, stepMembers(r))
		if bytes.IndexByte(line, '\n') != len(line)-1 {
			t.Fatal("not one line")
		}
		var got struct{ Exchange string }
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("not JSON: %v", err)
		}
		if utf8.ValidString(id) && got.Exchange != id {
			t.Fatalf("the id %q became %q", id, got.Exchange)
		}
	})
}

func closeLog(t *testing.T, l *Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

func ids(t *testing.T, text []byte) []string {
	t.Helper()
	var out []string
	sc := bufio.NewScanner(bytes.NewReader(text))
	for sc.Scan() {
		var line struct{ Exchange string }
		if err := json.Unmarshal(sc.Bytes(), &line); err != nil {
			t.Fatalf("line %d: %v", len(out)+1, err)
		}
		out = append(out, line.Exchange)
	}
	return out
}

func TestCloseWritesWhatWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	l, err := Open(Config{To: path})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				l.Decision(record("id"))
			}
		})
	}
	wg.Wait()
	closeLog(t, l)
	closeLog(t, l) // closing again does no harm
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(ids(t, text)); n != 2000 || l.Dropped() != 0 {
		t.Errorf("%d lines and %d dropped, want 2000 and 0", n, l.Dropped())
	}
	if err := l.Reopen(); err == nil {
		t.Error("a closed log was reopened")
	}
}

// stuck is an output that takes nothing until it is let go.
type stuck struct {
	release chan struct{}
	buf     bytes.Buffer
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.release
	return s.buf.Write(p)
}

func TestAFullQueueDropsAndCounts(t *testing.T) {
	out := &stuck{release: make(chan struct{})}
	l, err := Open(Config{Queue: 4, Stdout: out})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		for range 100 {
			l.Decision(record("id"))
		}
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("recording waits for the output")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := l.Close(ctx); err == nil {
		t.Error("closing did not say that lines are still to be written")
	}
	close(out.release)
	closeLog(t, l)
	if n := len(ids(t, out.buf.Bytes())); l.Dropped() == 0 || uint64(n)+l.Dropped() != 100 {
		t.Errorf("%d lines and %d dropped, want 100 together", n, l.Dropped())
	}
}

func TestReopenFollowsARotation(t *testing.T) {
	dir := t.TempDir()
	path, old := filepath.Join(dir, "audit.log"), filepath.Join(dir, "audit.log.1")
	l, err := Open(Config{To: path})
	if err != nil {
		t.Fatal(err)
	}
	l.Decision(record("before"))
	if err := os.Rename(path, old); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Decision(record("after"))
	closeLog(t, l)
	for file, want := range map[string]string{old: "before", path: "after"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := ids(t, text); len(got) != 1 || got[0] != want {
			t.Errorf("%s holds %v, want %q", filepath.Base(file), got, want)
		}
	}
}

func TestNoneTakesNothing(t *testing.T) {
	l, err := Open(Config{To: "none"})
	if err != nil {
		t.Fatal(err)
	}
	l.Decision(record("id"))
	closeLog(t, l)
	if l.Dropped() != 0 {
		t.Error("lines that nobody wants count as dropped")
	}
}

func TestAFileThatCannotBeOpenedIsAnError(t *testing.T) {
	if _, err := Open(Config{To: filepath.Join(t.TempDir(), "no", "such", "folder.log")}); err == nil {
		t.Error("no error")
	}
}

func BenchmarkDecision(b *testing.B) {
	l, err := Open(Config{To: filepath.Join(b.TempDir(), "audit.log")})
	if err != nil {
		b.Fatal(err)
	}
	r := record("3d5b9c1e-6c80-4ff2-9d8f-0a6b2f9f8a11")
	b.ReportAllocs()
	for b.Loop() {
		l.Decision(r)
	}
}
