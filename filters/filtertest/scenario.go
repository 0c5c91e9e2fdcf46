package filtertest

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/vendors"
	"github.com/sluice-proxy/sluice/internal/replay"
	"github.com/sluice-proxy/sluice/internal/store"
	"github.com/sluice-proxy/sluice/policies"
)

var update = flag.Bool("update", false, "write the want parts of the scenarios anew")

// Scenarios runs every scenario that matches pattern ("testdata/*.txtar").
// None at all is a failure.
func Scenarios(t *testing.T, reg *filters.Registry, pattern string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenario matches %s (%v)", pattern, err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".txtar")
		t.Run(name, func(t *testing.T) { runFile(t, reg, f) })
	}
}

// scenario is one file, loaded.
type scenario struct {
	archive *txtar.Archive
	store   *policies.Store
	logs    *bytes.Buffer
	request *replay.Message
	reply   *replay.Message
}

func (s *scenario) part(name string) (string, bool) {
	for _, f := range s.archive.Files {
		if f.Name == name {
			return string(f.Data), true
		}
	}
	return "", false
}

var parts = map[string]bool{
	"include": true, "request": true, "response": true, "env": true, "never": true,
	"want.request": true, "want.response": true, "want.denial": true, "want.decisions": true,
}

func runFile(t *testing.T, reg *filters.Registry, file string) {
	ar, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &scenario{archive: ar, logs: &bytes.Buffer{}}
	dir := t.TempDir()
	for _, f := range ar.Files {
		if parts[f.Name] {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f.Name)), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if include, ok := s.part("include"); ok {
		from := filepath.Join(filepath.Dir(file), strings.TrimSpace(include))
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(from)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if env, ok := s.part("env"); ok {
		for line := range strings.Lines(env) {
			if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
				t.Setenv(k, v)
			}
		}
	}
	s.store = openStore(t, reg, dir, s.logs)
	s.load(t)

	whole := s.play(replay.Options{})
	if *update {
		s.update(t, file, whole)
		return
	}
	s.compare(t, whole)
	s.neverSaid(t, whole)
	want := s.outcome(whole)
	for _, v := range s.variants() {
		if got := s.outcome(s.play(v.opt)); got != want {
			t.Errorf("%s: the answer differs from that of the uncut body\ngot:\n%s\nwant:\n%s", v.name, got, want)
			return
		}
	}
}

func openStore(t *testing.T, reg *filters.Registry, dir string, logs io.Writer) *policies.Store {
	t.Helper()
	loader := &policies.Loader{Registry: reg, Dial: vendors.Dial, Env: filters.Env{
		Now: time.Now, Rand: zeros{}, Notes: unheard{}, Store: store.NewMemory(0, time.Now), Log: slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}}
	store, err := policies.Open(context.Background(), loader, dir)
	if err != nil {
		t.Fatalf("loading the scenario's policies: %v", err)
	}
	return store
}

// unheard takes notes that nobody reads: they come when the exchange is over.
type unheard struct{}

func (unheard) Note(*filters.Note) {}

// zeros is randomness that a golden file can hold.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func (s *scenario) load(t *testing.T) {
	t.Helper()
	text, ok := s.part("request")
	if !ok {
		t.Fatal("the scenario has no request")
	}
	var err error
	// txtar ends every part with a newline that is not the message's.
	if s.request, err = replay.ParseRequest([]byte(strings.TrimSuffix(text, "\n"))); err != nil {
		t.Fatal(err)
	}
	if text, ok := s.part("response"); ok {
		if s.reply, err = replay.ParseResponse([]byte(strings.TrimSuffix(text, "\n"))); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *scenario) play(opt replay.Options) *replay.Result {
	opt.Exchange = func(ex *filters.Exchange) { ex.Source.Address = "192.0.2.1:4711" }
	return replay.Play(context.Background(), s.store, s.request, s.reply, opt)
}

func denialText(d *filters.Denial) string {
	if d == nil {
		return ""
	}
	b, _ := json.MarshalIndent(struct {
		Status     int             `json:"status"`
		Type       string          `json:"type,omitempty"`
		Title      string          `json:"title,omitempty"`
		Detail     string          `json:"detail,omitempty"`
		Extensions map[string]any  `json:"extensions,omitempty"`
		Headers    []filters.Field `json:"headers,omitempty"`
	}{d.Status, d.Type, d.Title, d.Detail, d.Extensions, d.Headers}, "", "  ")
	return string(b) + "\n"
}

// decisionsText has a line a decision. A trailers phase only counts where the
// message has trailers: a variant that merely ends with them adds nothing.
func (s *scenario) decisionsText(res *replay.Result) string {
	var b strings.Builder
	for _, r := range res.Decisions {
		if r.Phase == filters.RequestTrailers && s.request.Trailers.Len() == 0 ||
			r.Phase == filters.ResponseTrailers && s.reply.Trailers.Len() == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s %s %s %s", r.Step, r.Phase, r.Mode, r.Decision.Verdict)
		if r.Decision.Reason != "" {
			fmt.Fprintf(&b, " %q", r.Decision.Reason)
		}
		b.WriteString(counts(r.Decision.Findings) + counts(r.Decision.Actions))
		b.WriteByte('\n')
	}
	return b.String()
}

func counts(c filters.Counts) string {
	var b strings.Builder
	for _, x := range c {
		fmt.Fprintf(&b, " %s=%d", x.Name, x.N)
	}
	return b.String()
}

func messageText(m *replay.Message) string {
	if m == nil {
		return ""
	}
	return m.String() + "\n"
}

// outcome is all that must not depend on how the body is cut.
func (s *scenario) outcome(res *replay.Result) string {
	return messageText(res.Request) + messageText(res.Response) + denialText(res.Denial) + s.decisionsText(res)
}

func (s *scenario) compare(t *testing.T, res *replay.Result) {
	t.Helper()
	check := func(part, got, unchanged string) {
		want, ok := s.part(part)
		if !ok {
			want = unchanged
		}
		if got != want {
			t.Errorf("%s differs\ngot:\n%s\nwant:\n%s", part, got, want)
		}
	}
	check("want.denial", denialText(res.Denial), "")
	if res.Denial == nil || res.Request != nil {
		check("want.request", messageText(res.Request), messageText(s.request))
	}
	if res.Denial == nil {
		check("want.response", messageText(res.Response), messageText(s.reply))
	}
	if _, ok := s.part("want.decisions"); !ok {
		t.Error("the scenario has no want.decisions")
	}
	check("want.decisions", s.decisionsText(res), "")
}

// neverSaid checks that nothing that must not be said is in a decision or a
// log line.
func (s *scenario) neverSaid(t *testing.T, res *replay.Result) {
	t.Helper()
	never, ok := s.part("never")
	if !ok {
		return
	}
	said, err := json.Marshal(res.Decisions)
	if err != nil {
		t.Fatal(err)
	}
	all := string(said) + denialText(res.Denial) + s.logs.String()
	for line := range strings.Lines(never) {
		if line = strings.TrimSpace(line); line != "" && strings.Contains(all, line) {
			t.Errorf("a decision, denial or log line holds what must never be said")
		}
	}
}

type variant struct {
	name string
	opt  replay.Options
}

// variants are all the ways in which the same exchange is played again.
func (s *scenario) variants() []variant {
	bytewise := func(b []byte) [][]byte {
		cs := make([][]byte, len(b))
		for i := range b {
			cs[i] = b[i : i+1]
		}
		return cs
	}
	vs := []variant{
		{"cut at every byte", replay.Options{Cut: bytewise}},
		{"ended by an empty chunk", replay.Options{Ending: replay.EndEmpty}},
		{"ended by trailers", replay.Options{Ending: replay.EndWithTrailers}},
		{"cut at every byte, ended by trailers", replay.Options{Cut: bytewise, Ending: replay.EndWithTrailers}},
	}
	longest := len(s.request.Body)
	if s.reply != nil {
		longest = max(longest, len(s.reply.Body))
	}
	for at := 1; at < min(longest, 2048); at++ {
		vs = append(vs, variant{fmt.Sprintf("cut at %d", at), replay.Options{Cut: func(b []byte) [][]byte {
			if at >= len(b) {
				return [][]byte{b}
			}
			return [][]byte{b[:at], b[at:]}
		}}})
	}
	return vs
}

func (s *scenario) update(t *testing.T, file string, res *replay.Result) {
	t.Helper()
	kept := s.archive.Files[:0]
	var never *txtar.File
	for _, f := range s.archive.Files {
		switch {
		case f.Name == "never":
			never = &txtar.File{Name: f.Name, Data: f.Data}
		case !strings.HasPrefix(f.Name, "want."):
			kept = append(kept, f)
		}
	}
	add := func(name, got, unless string) {
		if got != unless {
			kept = append(kept, txtar.File{Name: name, Data: []byte(got)})
		}
	}
	if res.Request != nil {
		add("want.request", messageText(res.Request), messageText(s.request))
	}
	if res.Response != nil {
		add("want.response", messageText(res.Response), messageText(s.reply))
	}
	add("want.denial", denialText(res.Denial), "")
	kept = append(kept, txtar.File{Name: "want.decisions", Data: []byte(s.decisionsText(res))})
	if never != nil {
		kept = append(kept, *never)
	}
	s.archive.Files = kept
	if err := os.WriteFile(file, txtar.Format(s.archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
