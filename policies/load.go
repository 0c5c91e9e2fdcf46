package policies

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	yamlerrors "github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai"
	"github.com/sluice-proxy/sluice/internal/body"
	"github.com/sluice-proxy/sluice/internal/expr"
	"github.com/sluice-proxy/sluice/internal/identity"
	"github.com/sluice-proxy/sluice/internal/pipeline"
	"github.com/sluice-proxy/sluice/internal/store"
)

// maxFileBytes is the largest policy file.
const maxFileBytes = 4 << 20

// Loader loads policy files. Its filters come from the registry and are built
// with the environment.
type Loader struct {
	Registry *filters.Registry
	Env      filters.Env
	// Pool keeps the AI providers over reloads. Where it is nil, the loader
	// makes one of its own, with Dial.
	Pool *ai.Pool
	// Dial reaches model vendors; where it is nil too, builtin is the only
	// type of provider.
	Dial ai.Dial

	makePool sync.Once
	poolErr  error
}

// pool returns the pool of AI providers.
func (l *Loader) pool() (*ai.Pool, error) {
	l.makePool.Do(func() {
		if l.Pool == nil {
			l.Pool, l.poolErr = ai.NewPool(ai.Options{Now: l.Env.Now, Rand: l.Env.Rand, Log: l.Env.Log, Dial: l.Dial})
		}
	})
	return l.Pool, l.poolErr
}

// Load loads the policies in paths: files, or folders whose *.yaml and *.yml
// files are taken. It returns every problem there is, sorted by place; the
// set is nil where one of them is an error.
func (l *Loader) Load(ctx context.Context, paths ...string) (*Set, []Problem) {
	b := build{loader: l, settingsFile: "", names: map[string]string{}}
	files := b.files(paths)
	hash := sha256.New()
	for _, f := range files {
		if ctx.Err() != nil {
			b.problem(f, "loading was broken off")
			break
		}
		text, err := readFile(f)
		if err != nil {
			b.problem(f, err.Error())
			continue
		}
		fmt.Fprintf(hash, "%s\x00%d\x00", filepath.Base(f), len(text))
		hash.Write(text)
		b.file(f, text)
	}
	b.providers()
	for _, build := range b.waiting {
		build()
	}
	for _, d := range b.decoders {
		b.problems = append(b.problems, d.problems...)
	}
	if len(files) > 0 && len(b.set.policies) == 0 && !hasError(b.problems) {
		b.problems = append(b.problems, Problem{File: files[0], Msg: "there is no policy in the files", Severity: SeverityWarning})
	}
	set := b.finish(ctx, hex.EncodeToString(hash.Sum(nil))[:12])
	sortProblems(b.problems)
	return set, b.problems
}

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, unwrapPath(err)
	}
	if info.Size() > maxFileBytes {
		return nil, fmt.Errorf("the file is larger than %d MiB", maxFileBytes>>20)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, unwrapPath(err)
	}
	return text, nil
}

// unwrapPath leaves out the path, which the problem names already.
func unwrapPath(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// build is one load.
type build struct {
	loader       *Loader
	set          Set
	problems     []Problem
	settingsFile string
	names        map[string]string // kind/name to file
	decoders     []*decoder        // one a file; their problems are taken at the end
	// declared are the Provider documents, and waiting the Policy documents:
	// policies are built when every provider is known, wherever it stands.
	declared    []declaration
	waiting     []func()
	vault       declaration
	identityErr func(error)
}

func (b *build) problem(file, msg string) {
	b.problems = append(b.problems, Problem{File: file, Msg: msg, Severity: SeverityError})
}

// files lists the files that paths name, each once.
func (b *build) files(paths []string) []string {
	var out []string
	add := func(f string) {
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	if len(paths) == 0 {
		b.problem("policies", "no path was given")
	}
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			b.problem(p, unwrapPath(err).Error())
			continue
		}
		if !info.IsDir() {
			add(p)
			continue
		}
		found := false
		entries, err := os.ReadDir(p)
		if err != nil {
			b.problem(p, unwrapPath(err).Error())
			continue
		}
		for _, e := range entries {
			name := e.Name()
			if ext := filepath.Ext(name); strings.HasPrefix(name, ".") || ext != ".yaml" && ext != ".yml" {
				continue
			}
			full := filepath.Join(p, name)
			if info, err := os.Stat(full); err == nil && !info.IsDir() {
				add(full)
				found = true
			}
		}
		if !found {
			b.problem(p, "the folder has no *.yaml or *.yml file")
		}
	}
	return out
}

// file loads the documents of one file.
func (b *build) file(name string, text []byte) {
	f, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		p := Problem{File: name, Msg: firstLine(err.Error()), Severity: SeverityError}
		var se yamlerrors.Error
		if errors.As(err, &se) {
			p.Msg = se.GetMessage()
			if t := se.GetToken(); t != nil && t.Position != nil {
				p.Line, p.Column = t.Position.Line, t.Position.Column
			}
		}
		b.problems = append(b.problems, p)
		return
	}
	d := &decoder{file: name, anchors: map[string]ast.Node{}}
	for _, doc := range f.Docs {
		if doc.Body == nil {
			continue
		}
		if _, null := doc.Body.(*ast.NullNode); null {
			continue
		}
		if c, comment := doc.Body.(*ast.CommentGroupNode); comment && c != nil {
			continue
		}
		b.document(d, doc.Body)
	}
	b.decoders = append(b.decoders, d)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func (b *build) document(d *decoder, n ast.Node) {
	var h header
	before := len(d.problems)
	d.decode(n, reflect.ValueOf(&h).Elem(), "")
	if h.APIVersion != "" && h.APIVersion != apiVersion {
		d.at(d.find(n, "apiVersion"), "apiVersion", fmt.Sprintf("version %q is not known", h.APIVersion), "write "+apiVersion)
	}
	if h.Spec == nil {
		return
	}
	if h.Kind != "Settings" && h.Metadata.Name == "" && len(d.problems) == before {
		d.at(n, "metadata.name", "is missing", "")
	}
	if h.Metadata.Name != "" {
		key := h.Kind + " " + h.Metadata.Name
		if first, dup := b.names[key]; dup {
			d.at(d.find(n, "metadata.name"), "metadata.name", fmt.Sprintf("%s %q is there already, in %s", h.Kind, h.Metadata.Name, first), "")
		}
		b.names[key] = d.file
	}
	switch h.Kind {
	case "Policy":
		b.waiting = append(b.waiting, func() { b.policy(d, h) })
	case "Provider":
		b.declare(d, h)
	case "Settings":
		b.settings(d, n, h)
	case "":
	default:
		d.at(d.find(n, "kind"), "kind", fmt.Sprintf("kind %q is not known", h.Kind), nearest(h.Kind, []string{"Policy", "Provider", "Settings"}))
	}
}

// enum checks a value against a list. The path's first key is that of spec.
func enum(d *decoder, spec ast.Node, path, value string, allowed ...string) {
	if value != "" && !slices.Contains(allowed, value) {
		_, below, _ := strings.Cut(path, ".")
		d.at(d.find(spec, below), path, fmt.Sprintf("%q is not one of %s", value, strings.Join(allowed, ", ")), "")
	}
}

func (b *build) settings(d *decoder, n ast.Node, h header) {
	if b.settingsFile != "" {
		d.at(n, "", "there is more than one Settings document; the first is in "+b.settingsFile, "")
		return
	}
	b.settingsFile = d.file
	s := &b.set.settings
	d.decode(h.Spec, reflect.ValueOf(s).Elem(), "spec")
	for i, ls := range s.Listeners {
		if ls.TLS != nil && (ls.TLS.Cert == "" || ls.TLS.Key == "") {
			continue // told already
		}
		if ls.Address != "" && !strings.HasPrefix(ls.Address, "unix:") && !strings.Contains(ls.Address, ":") {
			path := fmt.Sprintf("listeners[%d].address", i)
			d.at(d.find(h.Spec, path), "spec."+path, fmt.Sprintf("%q is no address", ls.Address), "write host:port or unix:/path")
		}
	}
	checkLimits(d, h.Spec, &s.Limits)
	if x := s.Telemetry.Sample; x != nil && (*x < 0 || *x > 1) {
		d.at(d.find(h.Spec, "telemetry.sample"), "spec.telemetry.sample", "is not between 0 and 1", "")
	}
	if err := s.Store.Validate(); err != nil {
		d.field(h.Spec, "store", err)
	}
	if err := s.Models.Validate(s.Store.Type == store.InRedis); err != nil {
		d.field(h.Spec, "models", err)
	}
	b.vault = declaration{d: d, spec: h.Spec}
	b.identityErr = func(err error) {
		d.field(h.Spec, "identity", err)
		b.problems = append(b.problems, d.problems[len(d.problems)-1])
		d.problems = d.problems[:len(d.problems)-1]
	}
}

func checkLimits(d *decoder, spec ast.Node, l *Limits) {
	v := reflect.ValueOf(l).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.CanInt() && f.Int() < 0 {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			key := "limits." + name
			d.at(d.find(spec, key), "spec."+key, "is negative", "0 is the default")
		}
	}
	enum(d, spec, "spec.limits.onOverload", l.OnOverload, "policy", "deny", "pass")
	if s := l.OverloadStatus; s > 0 && s != 429 && s != 500 {
		d.at(d.find(spec, "limits.overloadStatus"), "spec.limits.overloadStatus", fmt.Sprintf("%d is not 429 or 500", s), "meshes retry 502, 503 and 504")
	}
}

func (b *build) policy(d *decoder, h header) {
	var spec policySpec
	d.decode(h.Spec, reflect.ValueOf(&spec).Elem(), "spec")
	p := &Policy{Name: h.Metadata.Name, Order: spec.Order, File: d.file, Labels: h.Metadata.Labels, lines: map[*pipeline.Step]Problem{}}
	pb := policyBuild{build: b, d: d, spec: h.Spec, policy: p}
	pb.match(&spec.Match)
	p.Request = pb.steps("request", spec.Request, filters.Request, false)
	p.Response = pb.steps("response", spec.Response, filters.Response, false)
	p.Log = pb.steps("log", spec.Log, filters.Response, true)
	if len(spec.Request)+len(spec.Response)+len(spec.Log) == 0 {
		d.at(h.Spec, "spec", "the policy has no step", "add request, response or log")
	}
	pb.compile(slices.Concat(p.Request, p.Response, p.Log))
	b.set.policies = append(b.set.policies, p)
}

// policyBuild is the building of one policy.
type policyBuild struct {
	*build
	d      *decoder
	spec   ast.Node
	policy *Policy
	// results are the names of the steps so far.
	results []string
	places  map[*pipeline.Step]string
}

// at records a problem at a path below spec.
func (b *policyBuild) at(path, msg, hint string) {
	b.d.at(b.d.find(b.spec, path), "spec."+path, msg, hint)
}

// condition compiles a CEL condition.
func (b *policyBuild) condition(path, src string) *expr.Program {
	p, err := expr.Condition(src)
	if err == nil {
		return p
	}
	n := b.d.find(b.spec, path)
	line, column := position(n)
	msg, hint := err.Error(), ""
	var ee *expr.Error
	if errors.As(err, &ee) {
		line, column = inText(n, ee.Line, ee.Column)
		msg, hint = ee.Msg, ee.Hint
	}
	b.d.problems = append(b.d.problems, Problem{File: b.d.file, Line: line, Column: column, Path: "spec." + path, Msg: msg, Hint: hint, Severity: SeverityError})
	return nil
}

func (b *policyBuild) match(s *matchSpec) {
	m := &b.policy.match
	for i, h := range s.Hosts {
		h = strings.ToLower(h)
		if rest, wild := strings.CutPrefix(h, "*."); wild {
			h = "." + rest
		}
		if h == "" || h == "." || strings.ContainsAny(h, "*/ :") {
			b.at(fmt.Sprintf("match.hosts[%d]", i), fmt.Sprintf("%q is no host name", s.Hosts[i]), "write api.example.com or *.example.com, without a port")
			continue
		}
		m.hosts = append(m.hosts, h)
	}
	globs := func(key string, texts []string, isPath bool) (out []glob) {
		for i, t := range texts {
			path := fmt.Sprintf("match.%s[%d]", key, i)
			g, err := newGlob(t)
			switch {
			case err != nil:
				b.at(path, err.Error(), "")
			case isPath && !strings.HasPrefix(t, "/") && t != "**":
				b.at(path, fmt.Sprintf("%q does not begin with a slash", t), "write /"+t)
			case isPath && strings.Contains(t, "?"):
				b.at(path, "paths are matched without their query", "match the query with when")
			default:
				out = append(out, g)
			}
		}
		return out
	}
	m.paths = globs("paths", s.Paths, true)
	m.routes = globs("routes", s.Routes, false)
	for i, method := range s.Methods {
		if method == "" || strings.ToUpper(method) != method {
			b.at(fmt.Sprintf("match.methods[%d]", i), fmt.Sprintf("%q is no method", method), "methods are written in capitals")
		}
	}
	m.methods = s.Methods
	for i, h := range s.Headers {
		path := fmt.Sprintf("match.headers[%d]", i)
		given := 0
		for _, is := range []bool{h.Exact != "", h.Regex != "", h.Present != nil} {
			if is {
				given++
			}
		}
		if given != 1 {
			b.at(path, "give exactly one of exact, regex and present", "")
			continue
		}
		rule := headerRule{name: strings.ToLower(h.Name), exact: h.Exact, present: h.Present}
		if h.Regex != "" {
			re, err := regexp.Compile("^(?:" + h.Regex + ")$")
			if err != nil {
				b.at(path+".regex", err.Error(), "the syntax is RE2's")
				continue
			}
			rule.regex = re
		}
		m.headers = append(m.headers, rule)
	}
	m.consumers = s.Consumers
	if s.When != "" {
		if m.when = b.condition("match.when", s.When); m.when != nil {
			switch {
			case m.when.NeedsBody(filters.Request):
				b.at("match.when", "a match cannot read the body: it is not there yet", "put the condition into the steps' when")
			case m.when.NeedsResponse():
				b.at("match.when", "a match cannot read the response: it is not there yet", "put the condition into the steps' when")
			case len(m.when.Steps()) > 0:
				b.at("match.when", "a match cannot read the results of steps", "")
			}
		}
	}
}

func (b *policyBuild) steps(list string, specs []stepSpec, d filters.Direction, log bool) []*pipeline.Step {
	var out []*pipeline.Step
	for i := range specs {
		if s := b.step(fmt.Sprintf("%s[%d]", list, i), &specs[i], d, log); s != nil {
			out = append(out, s)
		}
	}
	return out
}

func (b *policyBuild) step(path string, spec *stepSpec, d filters.Direction, log bool) *pipeline.Step {
	s := &pipeline.Step{Policy: b.policy.Name, Name: spec.Name, Kind: spec.Filter, Direction: d, Log: log,
		Mode: pipeline.Mode(spec.Mode), Timeout: spec.Timeout, OnError: spec.OnError}
	if s.Mode == "" {
		s.Mode = pipeline.Enforce
	}
	b.enum(path+".mode", spec.Mode, "enforce", "observe", "shadow")
	b.enum(path+".onError", string(spec.OnError), "continue", "deny", "fallback")
	def, known := b.definition(path, spec.Filter, d, log)
	if known && s.OnError == "" {
		s.OnError = def.OnError
	}
	b.name(path, s)
	if spec.When != "" {
		if p := b.condition(path+".when", spec.When); p != nil {
			s.When = p
			if d == filters.Request && !log && p.NeedsResponse() {
				b.at(path+".when", "a request step cannot read the response: it is not there yet", "")
			}
			b.reads(path+".when", p.Steps())
		}
	}
	if r := spec.Rollout; r != nil {
		if r.Percent < 0 || r.Percent > 100 {
			b.at(path+".rollout.percent", "is not between 0 and 100", "")
		}
		b.enum(path+".rollout.by", r.By, "consumer", "request")
		s.Rollout = &pipeline.Rollout{Percent: r.Percent, By: r.By}
	}
	switch {
	case s.OnError == filters.Fallback && spec.Fallback == nil:
		b.at(path, "onError is fallback, and there is no fallback", "add fallback: {filter: …, with: …}")
	case s.OnError != filters.Fallback && spec.Fallback != nil:
		b.at(path+".fallback", "there is a fallback, and onError does not use it", "write onError: fallback")
	}
	if known {
		s.Filter = b.filter(path+".with", s.Name, def, spec.With)
	}
	if f := spec.Fallback; f != nil {
		if def, ok := b.definition(path+".fallback", f.Filter, d, log); ok {
			s.Fallback = b.filter(path+".fallback.with", s.Name, def, f.With)
		}
	}
	b.results = append(b.results, s.Name)
	if s.Filter == nil {
		return nil
	}
	b.reads(path+".with", s.Filter.Needs(d).Steps)
	if b.places == nil {
		b.places = map[*pipeline.Step]string{}
	}
	b.places[s] = path
	line, column := position(b.d.find(b.spec, path))
	b.policy.lines[s] = Problem{File: b.d.file, Line: line, Column: column, Path: "spec." + path, Severity: SeverityError}
	return s
}

func (b *policyBuild) enum(path, value string, allowed ...string) {
	enum(b.d, b.spec, "spec."+path, value, allowed...)
}

// name gives a step its name.
func (b *policyBuild) name(path string, s *pipeline.Step) {
	if s.Name != "" {
		if slices.Contains(b.results, s.Name) {
			b.at(path+".name", fmt.Sprintf("the policy has a step %q already", s.Name), "")
		}
		return
	}
	s.Name = s.Kind
	for n := 2; slices.Contains(b.results, s.Name); n++ {
		s.Name = fmt.Sprintf("%s-%d", s.Kind, n)
	}
}

// reads checks that the steps whose results are read come before.
func (b *policyBuild) reads(path string, names []string) {
	for _, n := range names {
		if !slices.Contains(b.results, n) {
			b.at(path, fmt.Sprintf("steps.%s: no step of that name comes before this one", n), nearest(n, b.results))
		}
	}
}

func (b *policyBuild) definition(path, kind string, d filters.Direction, log bool) (filters.Definition, bool) {
	if kind == "" {
		return filters.Definition{}, false // told already
	}
	def, ok := b.loader.Registry.Lookup(kind)
	if !ok {
		var kinds []string
		for _, x := range b.loader.Registry.All() {
			kinds = append(kinds, x.Kind)
		}
		b.at(path+".filter", fmt.Sprintf("there is no filter %q", kind), nearest(kind, kinds))
		return def, false
	}
	switch {
	case log && !def.InLog:
		b.at(path+".filter", fmt.Sprintf("filter %s cannot stand in log", kind), "")
	case !log && !def.Allows(d):
		b.at(path+".filter", fmt.Sprintf("filter %s cannot stand in %s", kind, d), "")
	default:
		return def, true
	}
	return def, false
}

// filter decodes a filter's configuration and builds the filter.
func (b *policyBuild) filter(path, step string, def filters.Definition, with ast.Node) filters.Filter {
	cfg := def.Config()
	before := len(b.d.problems)
	if with != nil {
		b.d.decode(with, reflect.ValueOf(cfg).Elem(), "spec."+path)
	}
	if len(b.d.problems) > before {
		return nil
	}
	if v, ok := cfg.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			b.d.field(b.spec, path, err)
			return nil
		}
	}
	env := b.loader.Env
	env.Dir, env.Policy, env.Step = filepath.Dir(b.d.file), b.policy.Name, step
	if u := b.set.models; u != nil {
		env.Models, env.Secrets = u.For(b.policy.Name, step), u.Secrets()
	}
	f, err := def.New(cfg, env)
	if err != nil {
		b.d.field(b.spec, path, err)
		return nil
	}
	return f
}

// compile works out what the steps need.
func (b *policyBuild) compile(steps []*pipeline.Step) {
	if len(b.d.problems) > 0 && len(steps) == 0 {
		return
	}
	// One at a time, so that each problem has its place.
	var good []*pipeline.Step
	for _, s := range steps {
		good = append(good, s)
		err := pipeline.Compile(good)
		if err == nil {
			continue
		}
		good = good[:len(good)-1]
		path, msg := b.places[s], err.Error()
		var pe *body.PathError
		if errors.As(err, &pe) {
			key := "paths"
			if pe.Join {
				key = "join"
			}
			path, msg = fmt.Sprintf("%s.with.%s[%d]", path, key, pe.Index), pe.Error()
		}
		b.at(path, msg, "")
	}
}

// finish makes the set, where there is no error.
func (b *build) finish(_ context.Context, version string) *Set {
	s := &b.set
	resolver, err := identity.New(s.settings.Identity)
	if err != nil {
		if b.identityErr == nil {
			b.problem("settings", err.Error())
		} else {
			b.identityErr(err)
		}
	}
	b.egress()
	if hasError(b.problems) {
		if resolver != nil {
			resolver.Close()
		}
		if s.models != nil {
			s.models.Release()
		}
		return nil
	}
	slices.SortStableFunc(s.policies, func(a, b *Policy) int {
		return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.Name, b.Name))
	})
	s.version, s.resolver = version, resolver
	s.limits = s.settings.Limits.bounds()
	s.index = newIndex(s.policies)
	return s
}
