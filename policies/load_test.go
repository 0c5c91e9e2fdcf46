package policies_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/all"
	"github.com/sluice-proxy/sluice/internal/pipeline"
	"github.com/sluice-proxy/sluice/internal/replay"
	"github.com/sluice-proxy/sluice/policies"
)

var update = flag.Bool("update", false, "write the wanted problems anew")

// markConfig is the configuration of the test's filter.
type markConfig struct {
	Header string            `json:"header" doc:"Header to set."`
	Paths  []string          `json:"paths,omitempty" doc:"Paths."`
	Join   []string          `json:"join,omitempty" doc:"Joined strings."`
	Count  int               `json:"count,omitempty" doc:"A number."`
	Ratio  float64           `json:"ratio,omitempty" doc:"A number."`
	Flag   bool              `json:"flag,omitempty" doc:"A flag."`
	Wait   time.Duration     `json:"wait,omitempty" doc:"A duration."`
	Labels map[string]string `json:"labels,omitempty" doc:"Labels."`
	Any    any               `json:"any,omitempty" doc:"Anything."`
	Key    filters.SecretRef `json:"key,omitempty" doc:"A secret."`
}

func (c *markConfig) Validate() error {
	if c.Count > 10 {
		return &filters.FieldError{Path: "count", Msg: "is more than 10", Hint: "write 10"}
	}
	return nil
}

type mark struct{ cfg markConfig }

func (m mark) Needs(filters.Direction) filters.Needs {
	if len(m.cfg.Paths)+len(m.cfg.Join) > 0 {
		return filters.Needs{Body: filters.StreamedBody, Paths: m.cfg.Paths, Join: m.cfg.Join}
	}
	return filters.Needs{Headers: true}
}

func (m mark) Apply(_ context.Context, _ *filters.Exchange, led *filters.Ledger) (filters.Decision, error) {
	led.SetHeader(m.cfg.Header, "1")
	return filters.Decision{}, nil
}

func (m mark) Open(context.Context, *filters.Exchange, filters.Direction) (filters.Stream, error) {
	return nil, errors.New("not used")
}

func (m mark) Calls() []string {
	if to := m.cfg.Labels["calls"]; to != "" {
		return []string{to}
	}
	return nil
}

func registry() *filters.Registry {
	return filters.NewRegistry(
		filters.Define(filters.Spec[markConfig]{Kind: "mark", Summary: "Marks.", OnError: filters.Continue, Default: markConfig{Header: "x-mark"},
			New: func(c markConfig, _ filters.Env) (filters.Filter, error) {
				if c.Header == "x-refused" {
					return nil, &filters.FieldError{Path: "header", Msg: "is refused"}
				}
				return mark{c}, nil
			}}),
		filters.Define(filters.Spec[struct{}]{Kind: "askonly", Summary: "Requests only.", OnError: filters.Deny, Directions: []filters.Direction{filters.Request},
			New: func(struct{}, filters.Env) (filters.Filter, error) { return mark{}, nil }}),
	)
}

func loader() *policies.Loader { return &policies.Loader{Registry: registry()} }

func writeFile(t testing.TB, dir, name, text string) string {
	t.Helper()
	f := filepath.Join(dir, name)
	if err := os.WriteFile(f, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

func load(t testing.TB, text string) *policies.Set {
	t.Helper()
	set, problems := loader().Load(context.Background(), writeFile(t, t.TempDir(), "p.yaml", text))
	if set == nil {
		t.Fatalf("problems: %v", problems)
	}
	return set
}

// TestBadPolicies: each bad file has the problems that are written beside it,
// for a person to review (go test -update writes them).
func TestBadPolicies(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.bad.yaml")
	if len(files) < 5 {
		t.Fatalf("only %d files", len(files))
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			set, problems := loader().Load(context.Background(), f)
			if set != nil {
				t.Error("a bad file gave a set")
			}
			var b strings.Builder
			for _, p := range problems {
				p.File = filepath.Base(p.File)
				fmt.Fprintln(&b, p)
			}
			want := strings.TrimSuffix(f, ".bad.yaml") + ".want"
			if *update {
				if err := os.WriteFile(want, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(text) {
				t.Errorf("got\n%s\nwant\n%s", b.String(), text)
			}
		})
	}
}

func TestDecodedConfiguration(t *testing.T) {
	set := load(t, `
apiVersion: sluice/v1
kind: Policy
metadata: {name: p, labels: {a: b}}
spec:
  order: 7
  request:
    - filter: mark
      timeout: 50ms
      mode: observe
      rollout: {percent: 12.5, by: request}
      onError: fallback
      fallback: {filter: mark, with: {header: x-f}}
      with: {header: x-a, count: 3, ratio: 2, flag: true, wait: 1m30s, labels: {k: v}, any: [1, {a: null}], key: {env: NAME}}
    - filter: mark
`)
	p := set.Policies()[0]
	s := p.Request[0]
	if p.Order != 7 || s.Timeout != 50*time.Millisecond || s.Mode != pipeline.Observe || s.Rollout.Percent != 12.5 || s.OnError != filters.Fallback || s.Fallback == nil {
		t.Errorf("step %+v", s)
	}
	c := s.Filter.(mark).cfg
	if c.Header != "x-a" || c.Count != 3 || c.Ratio != 2 || !c.Flag || c.Wait != 90*time.Second || c.Labels["k"] != "v" || c.Key.Env != "NAME" || fmt.Sprint(c.Any) != "[1 map[a:<nil>]]" {
		t.Errorf("configuration %+v", c)
	}
	if p.Request[1].Name != "mark-2" || p.Request[1].OnError != filters.Continue || p.Request[1].Filter.(mark).cfg.Header != "x-mark" {
		t.Errorf("defaults %+v", p.Request[1])
	}
}

func exchange(method, host, path string, headers ...filters.Field) *filters.Exchange {
	ex := &filters.Exchange{}
	ex.Request.Headers = filters.NewHeaders(append([]filters.Field{
		{Name: ":method", Value: method}, {Name: ":authority", Value: host}, {Name: ":path", Value: path}}, headers...)...)
	return ex
}

func TestMatching(t *testing.T) {
	policy := func(match string) string {
		return "apiVersion: sluice/v1\nkind: Policy\nmetadata: {name: p}\nspec:\n  match: " + match + "\n  request: [{filter: mark}]\n"
	}
	a := filters.Field{Name: "x-a", Value: "one"}
	for _, tt := range []struct {
		match string
		ex    *filters.Exchange
		want  bool
	}{
		{`{}`, exchange("GET", "h", "/"), true},
		{`{hosts: [api.example.com]}`, exchange("GET", "API.example.com:8080", "/"), true},
		{`{hosts: [api.example.com]}`, exchange("GET", "api.example.com.", "/"), true},
		{`{hosts: [api.example.com]}`, exchange("GET", "xapi.example.com", "/"), false},
		{`{hosts: ["*.example.com"]}`, exchange("GET", "a.b.example.com", "/"), true},
		{`{hosts: ["*.example.com"]}`, exchange("GET", "example.com", "/"), false},
		{`{paths: [/v1/customers]}`, exchange("GET", "h", "/v1/customers?x=1"), true},
		{`{paths: [/v1/customers]}`, exchange("GET", "h", "/v1/customers/7"), false},
		{`{paths: [/v1/*/notes]}`, exchange("GET", "h", "/v1/7/notes"), true},
		{`{paths: [/v1/*/notes]}`, exchange("GET", "h", "/v1/7/8/notes"), false},
		{`{paths: [/v1/**/notes]}`, exchange("GET", "h", "/v1/7/8/notes"), true},
		{`{paths: [/v1/**]}`, exchange("GET", "h", "/v1"), true},
		{`{paths: [/v1/**]}`, exchange("GET", "h", "/v1/a/b"), true},
		{`{paths: [/v1/**]}`, exchange("GET", "h", "/v10/a"), false},
		{`{paths: ["/v1/file*.json"]}`, exchange("GET", "h", "/v1/file-a.json"), true},
		{`{paths: [/**]}`, exchange("GET", "h", "/"), true},
		// The same path written in another way is the same path.
		{`{paths: [/v1/customers/**]}`, exchange("GET", "h", "//v1///customers/7"), true},
		{`{paths: [/v1/customers/**]}`, exchange("GET", "h", "/v1/%63ustomers/7"), true},
		{`{paths: [/v1/customers/**]}`, exchange("GET", "h", "/v1/./x/../customers/7"), true},
		{`{paths: [/v1/customers/**]}`, exchange("GET", "h", "/v1/%2e%2e/v1/customers/7"), true},
		{`{paths: [/v1/customers/**]}`, exchange("GET", "h", "/v1;a=b/customers;c/7"), true},
		{`{paths: [/v1/customers/**]}`, exchange("GET", "h", `/v1\customers\7`), true},
		{`{paths: [/v1/customers/**]}`, exchange("GET", "h", "/v1/customers%2F7"), true},
		{`{methods: [GET, POST]}`, exchange("POST", "h", "/"), true},
		{`{methods: [GET]}`, exchange("POST", "h", "/"), false},
		{`{headers: [{name: X-A, exact: one}]}`, exchange("GET", "h", "/", a), true},
		{`{headers: [{name: x-a, exact: two}]}`, exchange("GET", "h", "/", a), false},
		{`{headers: [{name: x-a, regex: "o.*"}]}`, exchange("GET", "h", "/", a), true},
		{`{headers: [{name: x-a, regex: "n"}]}`, exchange("GET", "h", "/", a), false},
		{`{headers: [{name: x-a, present: false}]}`, exchange("GET", "h", "/", a), false},
		{`{headers: [{name: x-b, present: false}]}`, exchange("GET", "h", "/", a), true},
		{`{when: 'request.headers["x-a"] == "one"'}`, exchange("GET", "h", "/", a), true},
		{`{when: 'request.headers["x-a"] == "two"'}`, exchange("GET", "h", "/", a), false},
		// A condition that cannot be evaluated does not switch a policy off.
		{`{when: 'request.headers["x-b"] == "one"'}`, exchange("GET", "h", "/", a), true},
		{`{consumers: {groups: [g]}}`, exchange("GET", "h", "/"), false},
		{`{consumers: {anonymous: true}}`, exchange("GET", "h", "/"), true},
	} {
		set := load(t, policy(tt.match))
		if got := len(set.Match(tt.ex).Request) == 1; got != tt.want {
			t.Errorf("%s on %s: %v", tt.match, tt.ex.Request.Headers.Get(":path"), got)
		}
	}
}

func TestOrder(t *testing.T) {
	var b strings.Builder
	for i, p := range []struct {
		name  string
		order int
		path  string
	}{{"c", 5, "/v1/a/**"}, {"a", 10, "/**"}, {"b", 5, "/v1/**"}, {"d", 0, "/v2/**"}} {
		fmt.Fprintf(&b, "%sapiVersion: sluice/v1\nkind: Policy\nmetadata: {name: %s}\nspec: {order: %d, match: {paths: [%s]}, request: [{filter: mark}]}\n", map[bool]string{true: "---\n"}[i > 0], p.name, p.order, p.path)
	}
	var got []string
	for _, s := range load(t, b.String()).Match(exchange("GET", "h", "/v1/a/x")).Request {
		got = append(got, s.Policy)
	}
	if want := []string{"b", "c", "a"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestIndexFindsWhatAScanFinds compares the index with asking every policy.
func TestIndexFindsWhatAScanFinds(t *testing.T) {
	var b strings.Builder
	paths := []string{"/v1/**", "/v1/a/**", "/v1/*/x", "/v2/b", "/**", "/v1/b*", "/v3"}
	for i := range 120 {
		fmt.Fprintf(&b, "---\napiVersion: sluice/v1\nkind: Policy\nmetadata: {name: p%03d}\nspec: {order: %d, match: {paths: [%q, /v1/only%d/**]}, request: [{filter: mark}]}\n", i, i%7, paths[i%len(paths)], i)
	}
	set := load(t, b.String())
	for _, path := range []string{"/v1/a/b", "/v1/c/x", "/v2/b", "/v1/only17/z", "/v1/bee", "/v3", "/", "/none", "/v1", "//v1/only3"} {
		ex := exchange("GET", "h", path)
		var want []string
		for _, p := range set.Policies() {
			alone := pipelineNames(set, p.Name, ex)
			want = append(want, alone...)
		}
		var got []string
		for _, s := range set.Match(ex).Request {
			got = append(got, s.Policy)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
}

// pipelineNames returns the policy's name where it matches, by its own file.
func pipelineNames(set *policies.Set, name string, ex *filters.Exchange) []string {
	if set.Matches(name, ex) {
		return []string{name}
	}
	return nil
}

func TestMatchAmongThousand(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "---\napiVersion: sluice/v1\nkind: Policy\nmetadata: {name: p%d}\nspec: {match: {paths: [/v1/svc%d/**]}, request: [{filter: mark}]}\n", i, i)
	}
	many := load(t, b.String())
	one := load(t, "apiVersion: sluice/v1\nkind: Policy\nmetadata: {name: p7}\nspec: {match: {paths: [/v1/svc7/**]}, request: [{filter: mark}]}\n")
	ex := exchange("GET", "h", "/v1/svc7/x")
	if n := len(many.Match(ex).Request); n != 1 {
		t.Fatalf("%d steps", n)
	}
	base := testing.AllocsPerRun(100, func() { one.Match(ex) })
	if n := testing.AllocsPerRun(100, func() { many.Match(ex) }); n > base+1 {
		t.Errorf("%.0f allocations among a thousand, %.0f alone", n, base)
	}
}

func TestCheckModes(t *testing.T) {
	set := load(t, `
apiVersion: sluice/v1
kind: Policy
metadata: {name: p}
spec:
  request: [{filter: mark}]
  response:
    - {filter: mark, with: {paths: ["$.a"]}}
    - {name: whole, filter: mark, when: 'response.body.x == 1'}
`)
	for mode, want := range map[string]int{"NONE": 2, "BUFFERED": 0, "BUFFERED_PARTIAL": 2, "STREAMED": 2, "FULL_DUPLEX_STREAMED": 0, "request=NONE,response=BUFFERED": 0} {
		m, err := policies.ParseModes(mode)
		if err != nil {
			t.Fatal(err)
		}
		problems := set.Check(m)
		if len(problems) != want {
			t.Errorf("%s: %v", mode, problems)
		}
		for _, p := range problems {
			if p.Line == 0 || !strings.HasPrefix(p.Path, "spec.response[") {
				t.Errorf("%s: no place: %+v", mode, p)
			}
		}
	}
	for _, bad := range []string{"", "SOME", "request=NONE", "both=NONE"} {
		if _, err := policies.ParseModes(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func good(header string) string {
	return "apiVersion: sluice/v1\nkind: Policy\nmetadata: {name: p}\nspec: {request: [{filter: mark, with: {header: " + header + "}}]}\n"
}

// headerOf tells which header the policies in force set.
func headerOf(s *policies.Store) string {
	ex := exchange("GET", "h", "/")
	c, _ := s.Begin(context.Background(), ex)
	return c.Request[0].Filter.(mark).cfg.Header
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 6000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s did not happen", what)
}

// reloads keeps the problems of the last refusal.
type reloads struct {
	mu       sync.Mutex
	problems []policies.Problem
}

func (r *reloads) on(_ *policies.Set, problems []policies.Problem, refused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if refused {
		r.problems = problems
	}
}

// placed reports whether the last refusal says where a problem is.
func (r *reloads) placed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.problems) > 0 && r.problems[0].Line > 0
}

// watched opens policies and watches them.
func watched(t *testing.T, path string) (*policies.Store, *reloads) {
	t.Helper()
	s, err := policies.Open(context.Background(), loader(), path)
	if err != nil {
		t.Fatal(err)
	}
	return s, watch(t, s)
}

func watch(t *testing.T, s *policies.Store) *reloads {
	t.Helper()
	r := &reloads{}
	s.OnReload = r.on
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Watch(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestReload(t *testing.T) {
	dir := t.TempDir()
	f := writeFile(t, dir, "p.yaml", good("x-1"))
	s, r := watched(t, f)
	first := s.Current().Version()

	writeFile(t, dir, "p.yaml", good("x-2"))
	eventually(t, "the reload of a file that was written over", func() bool { return headerOf(s) == "x-2" })

	writeFile(t, dir, "tmp", good("x-3"))
	if err := os.Rename(filepath.Join(dir, "tmp"), f); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reload of a file that was renamed over", func() bool { return headerOf(s) == "x-3" })

	// A file that is looked at while it is being written is empty: a refusal,
	// but not this one.
	writeFile(t, dir, "p.yaml", "apiVersion: sluice/v1\nkind: Policy\nspec: {")
	eventually(t, "the refusal, with a place", r.placed)
	if headerOf(s) != "x-3" {
		t.Error("a bad set replaced a good one")
	}
	if s.Current().Version() == first {
		t.Error("two sets have one version")
	}
	writeFile(t, dir, "p.yaml", good("x-4"))
	eventually(t, "the reload after a refusal", func() bool { return headerOf(s) == "x-4" })
}

// TestChangedBeforeItWasWatched: what changes after it was loaded, and before
// the files are watched, is not missed.
func TestChangedBeforeItWasWatched(t *testing.T) {
	dir := t.TempDir()
	s, err := policies.Open(context.Background(), loader(), writeFile(t, dir, "p.yaml", good("x-1")))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "p.yaml", good("x-another"))
	watch(t, s)
	eventually(t, "the reload", func() bool { return headerOf(s) == "x-another" })
}

// TestReloadBesideALog: a file that is written all the time beside the policies
// does not have them read all the time.
func TestReloadBesideALog(t *testing.T) {
	dir := t.TempDir()
	var built atomic.Int32
	l := &policies.Loader{Registry: filters.NewRegistry(filters.Define(filters.Spec[markConfig]{Kind: "mark", Summary: "Marks.", OnError: filters.Continue, Default: markConfig{Header: "x-mark"},
		New: func(c markConfig, _ filters.Env) (filters.Filter, error) {
			built.Add(1)
			return mark{c}, nil
		}}))}
	f := writeFile(t, dir, "p.yaml", good("x-1"))
	s, err := policies.Open(context.Background(), l, dir)
	if err != nil {
		t.Fatal(err)
	}
	each := built.Swap(0)
	watch(t, s)
	for range 150 {
		writeFile(t, dir, "audit.jsonl", "{}")
		time.Sleep(10 * time.Millisecond)
	}
	if n := built.Load() / each; n > 3 {
		t.Errorf("the policies were read %d times", n)
	}
	if err := os.WriteFile(f, []byte(good("x-2")), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reload of a policy", func() bool { return headerOf(s) == "x-2" })
}

// TestReloadOfAConfigMap: the kubelet swaps the symbolic link ..data.
func TestReloadOfAConfigMap(t *testing.T) {
	dir := t.TempDir()
	for i := range 2 {
		sub := filepath.Join(dir, fmt.Sprintf("..v%d", i))
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, sub, "p.yaml", good(fmt.Sprintf("x-%d", i)))
	}
	link := func(to, name string) {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..v0", "..data")
	link("..data/p.yaml", "p.yaml")
	s, _ := watched(t, dir)
	if headerOf(s) != "x-0" {
		t.Fatalf("header %s", headerOf(s))
	}
	link("..v1", "..data_tmp")
	if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the reload of a ConfigMap", func() bool { return headerOf(s) == "x-1" })
}

// TestReloadUnderLoad: every exchange gets one whole set.
func TestReloadUnderLoad(t *testing.T) {
	dir := t.TempDir()
	f := writeFile(t, dir, "p.yaml", good("x-0"))
	s, err := policies.Open(context.Background(), loader(), f)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				ex := exchange("GET", "h", "/")
				c, _ := s.Begin(context.Background(), ex)
				if c.Set != ex.Policies || len(c.Request) != 1 {
					t.Error("the steps are not of the set the exchange is pinned to")
					return
				}
			}
		})
	}
	for i := range 50 {
		writeFile(t, dir, "p.yaml", good(fmt.Sprintf("x-%d", i)))
		s.Reload(context.Background())
	}
	close(stop)
	wg.Wait()
}

func TestMissingAndEmpty(t *testing.T) {
	dir := t.TempDir()
	for _, paths := range [][]string{nil, {filepath.Join(dir, "none.yaml")}, {dir}} {
		if set, problems := loader().Load(context.Background(), paths...); set != nil || len(problems) != 1 {
			t.Errorf("%v: %v", paths, problems)
		}
	}
	big := writeFile(t, dir, "big.yaml", "# "+strings.Repeat("x", 5<<20))
	if set, problems := loader().Load(context.Background(), big); set != nil || len(problems) != 1 {
		t.Errorf("big: %v", problems)
	}
}

// FuzzLoad: whatever a file says, it loads or has an error; and what loads can
// be run on an exchange, with an answer that does not depend on how the bodies
// are cut.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(good("x-a")))
	f.Add([]byte("a: &a [*a, *a]\nkind: Policy"))
	f.Add([]byte("apiVersion: sluice/v1\nkind: Settings\nspec: {limits: {depth: 012}}"))
	f.Add([]byte("apiVersion: sluice/v1\nkind: Settings\nspec: {limits: {depth: 1, collectBytes: 1, exchangeBytes: 1, pieceBytes: 1, nameBytes: 1}}\n---\n" + good("x-a")))
	for _, pattern := range []string{"testdata/*.bad.yaml", "library/*.yaml", "../filters/*/example.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatal(pattern, err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	registry := filters.NewRegistry(append(all.Registry().All(), registry().All()...)...)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte("jwks")) {
			return // it would be fetched
		}
		file := filepath.Join(dir, "p.yaml")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		l := &policies.Loader{Registry: registry, Env: filters.Env{Now: time.Now}}
		set, problems := l.Load(context.Background(), file)
		isError := slices.ContainsFunc(problems, func(p policies.Problem) bool { return p.Severity == policies.SeverityError })
		if (set == nil) != isError {
			t.Fatalf("a set: %v, problems: %v", set != nil, problems)
		}
		if set == nil {
			return
		}
		set.Check(policies.Modes{policies.ModeStreamed, policies.ModeNone})
		whole := runOn(t, set, nil)
		if cut := runOn(t, set, func(b []byte) [][]byte { return slices.Collect(slices.Chunk(b, 7)) }); cut != whole {
			t.Fatalf("whole\n%s\ncut\n%s", whole, cut)
		}
	})
}

// runOn plays an exchange with the set, and writes down what comes of it.
func runOn(t *testing.T, set *policies.Set, cut func([]byte) [][]byte) string {
	t.Helper()
	request, err := replay.ParseRequest([]byte("POST /v1/customers/7?q=jane%40example.com HTTP/1.1\nhost: api.example.com\ncontent-type: application/json\nx-request-id: r\n\n{\"id\": 7, \"email\": \"jane@example.com\", \"notes\": [\"4111 1111 1111 1111\"]}"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := replay.ParseResponse([]byte("HTTP/1.1 200 OK\ncontent-type: application/json\n\n{\"customers\": [{\"email\": \"jane@example.com\", \"internal\": true}], \"debug\": null}"))
	if err != nil {
		t.Fatal(err)
	}
	res := replay.Play(t.Context(), set, request, response, replay.Options{Cut: cut})
	for _, d := range res.Decisions {
		if strings.Contains(d.Decision.Reason, "panic") {
			t.Fatalf("step %s panicked", d.Step)
		}
	}
	var b strings.Builder
	for _, m := range []*replay.Message{res.Request, res.Response} {
		if m != nil {
			b.WriteString(m.String())
		}
	}
	if res.Denial != nil {
		// What was cut off by it depends on where it came.
		return fmt.Sprintf("denied with %d", res.Denial.Status)
	}
	return b.String()
}
