package pii

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
)

// models is a provider "default" that answers as it is told.
type models struct {
	answer func(ctx context.Context, text string) (string, error)

	mu    sync.Mutex
	task  filters.Task
	asked []*filters.Question
}

func (m *models) Prepare(provider string, t filters.Task) (filters.Asker, error) {
	if provider != "default" {
		return nil, &filters.FieldError{Path: "provider", Msg: "there is no provider " + provider, Hint: "known: default"}
	}
	m.task = t
	return m, nil
}

func (m *models) Ask(ctx context.Context, q *filters.Question) (*filters.Answer, error) {
	m.mu.Lock()
	m.asked = append(m.asked, q)
	m.mu.Unlock()
	a, err := m.answer(ctx, q.Parts[len(q.Parts)-1].Text)
	if err != nil {
		return nil, err
	}
	return &filters.Answer{JSON: []byte(a)}, nil
}

// says is a model that always gives one answer.
func says(answer string) *models {
	return &models{answer: func(context.Context, string) (string, error) { return answer, nil }}
}

func newModelFilter(t *testing.T, m *models, p ProviderDetector, edit func(*Config)) *filter {
	t.Helper()
	c := *Definition().Config().(*Config)
	p.Name = "default"
	if p.Entities == nil {
		p.Entities = []string{"TEAM", "CODENAME"}
	}
	// Of what is found here, e-mail addresses alone: names are guesses.
	c.Action, c.Detectors, c.Entities = Replace, []Detector{{Provider: &p}}, append([]string{"EMAIL_ADDRESS"}, p.Entities...)
	if edit != nil {
		edit(&c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	f, err := build(c, filters.Env{Now: time.Now, Models: m})
	if err != nil {
		t.Fatal(err)
	}
	return f.(*filter)
}

// TestModelFinds: what counts of an answer is what stands in the text.
func TestModelFinds(t *testing.T) {
	for _, c := range []struct{ name, body, answer, want string }{
		{"a quote, next to what is found here", `{"a":"by blue lantern, jane.doe@example.com"}`, `{"text":"blue lantern","type":"CODENAME"}`, `{"a":"by <CODENAME>, <EMAIL_ADDRESS>"}`},
		{"wherever it stands", `{"a":"vexlo and vexlo","b":["vexlo"]}`, `{"text":"vexlo","type":"CODENAME"}`, `{"a":"<CODENAME> and <CODENAME>","b":["<CODENAME>"]}`},
		{"said twice", `{"a":"vexlo"}`, `{"text":"vexlo","type":"CODENAME"},{"text":"vexlo","type":"CODENAME"}`, `{"a":"<CODENAME>"}`},
		{"not in the midst of a word", `{"a":"vex, vexing"}`, `{"text":"vex","type":"CODENAME"}`, `{"a":"<CODENAME>, vexing"}`},
		{"unless it is nowhere else", `{"a":"user_1vexlo2"}`, `{"text":"vexlo","type":"CODENAME"}`, `{"a":"user_1<CODENAME>2"}`},
		{"a script without spaces", `{"a":"蓝灯笼在这里, 蓝灯笼"}`, `{"text":"蓝灯笼","type":"CODENAME"}`, `{"a":"<CODENAME>在这里, <CODENAME>"}`},
		{"an escape in the body", `{"a":"bl\u0075e lantern"}`, `{"text":"blue lantern","type":"CODENAME"}`, `{"a":"<CODENAME>"}`},
		{"a document in a string", `{"a":"{\"x\":\"blue lantern\"}"}`, `{"text":"blue lantern","type":"CODENAME"}`, `{"a":"{\"x\":\"<CODENAME>\"}"}`},
		{"space around it", `{"a":"by vexlo now"}`, `{"text":" vexlo ","type":"CODENAME"}`, `{"a":"by <CODENAME> now"}`},
		{"the longer one", `{"a":"blue lantern"}`, `{"text":"blue","type":"TEAM"},{"text":"blue lantern","type":"CODENAME"}`, `{"a":"<CODENAME>"}`},
		{"not in the text", `{"a":"blue lantern"}`, `{"text":"red lantern","type":"CODENAME"}`, `{"a":"blue lantern"}`},
		{"other letters", `{"a":"blue lantern"}`, `{"text":"Blue Lantern","type":"CODENAME"}`, `{"a":"blue lantern"}`},
		{"across two values", `{"a":"blue","b":"lantern"}`, `{"text":"blue\n\nlantern","type":"CODENAME"}`, `{"a":"blue","b":"lantern"}`},
		{"nothing", `{"a":"blue lantern"}`, ``, `{"a":"blue lantern"}`},
		{"no text", `{"a":"blue lantern"}`, `{"text":"","type":"CODENAME"},{"text":" ","type":"CODENAME"}`, `{"a":"blue lantern"}`},
		{"one letter", `{"a":"a lantern"}`, `{"text":"a","type":"CODENAME"}`, `{"a":"a lantern"}`},
	} {
		m := says(`{"spans":[` + c.answer + `]}`)
		got, dec, err := whole(t, newModelFilter(t, m, ProviderDetector{}, nil), c.body)
		if err != nil || got != c.want || dec.Reason != "" {
			t.Errorf("%s: %s, %+v, %v", c.name, got, dec, err)
		}
		if len(m.asked) != 1 {
			t.Errorf("%s: %d questions", c.name, len(m.asked))
		}
	}
}

// TestModelQuestion: the text goes as data and once, only what the paths
// select, and for the caller; the schema has the entities.
func TestModelQuestion(t *testing.T) {
	m := says(`{"spans":[{"text":"vexlo","type":"CODENAME"}]}`)
	f := newModelFilter(t, m, ProviderDetector{}, func(c *Config) { c.Paths = []string{"$.note"} })
	got, dec, err := whole(t, f, `{"note":"vexlo","other":"vexlo in private"}`)
	if err != nil || got != `{"note":"<CODENAME>","other":"vexlo in private"}` || dec.Findings.Of("CODENAME") != 1 {
		t.Errorf("%s, %+v, %v", got, dec, err)
	}
	for _, p := range m.asked[0].Parts {
		if strings.Contains(p.Text, "vexlo") != p.Data || strings.Contains(p.Text, "private") {
			t.Errorf("part %+v", p)
		}
	}
	var schema struct {
		Properties struct {
			Spans struct {
				Items struct {
					Properties struct {
						Type struct{ Enum []string }
					}
				}
			}
		}
	}
	if err := json.Unmarshal(m.task.Schema, &schema); err != nil || fmt.Sprint(schema.Properties.Spans.Items.Properties.Type.Enum) != "[TEAM CODENAME]" {
		t.Errorf("%s, %v", m.task.Schema, err)
	}
	if len(f.Calls()) > 0 {
		t.Error("the provider's address is the step's")
	}

	ex := &filters.Exchange{Consumer: filters.Consumer{ID: "c1", Tenant: "t1"}}
	ex.Response.Headers = filters.NewHeaders(filters.Field{Name: "content-type", Value: "application/json"})
	ex.Response.Body = []byte(`{"note":"vexlo"}`)
	if _, err := f.Open(t.Context(), ex, filters.Response); err != nil || m.asked[1].Caller != filters.CallerOf(ex) {
		t.Errorf("asked for %+v, %v", m.asked[1].Caller, err)
	}
}

// TestModelScore: findings have the configured score, and pass or fail the
// thresholds with it.
func TestModelScore(t *testing.T) {
	for score, want := range map[float64]string{0: `{"a":"<CODENAME>"}`, 0.9: `{"a":"<CODENAME>"}`, 0.7: `{"a":"vexlo"}`} {
		f := newModelFilter(t, says(`{"spans":[{"text":"vexlo","type":"CODENAME"}]}`), ProviderDetector{Score: score}, func(c *Config) { c.MinScore = 0.8 })
		if got, _, err := whole(t, f, `{"a":"vexlo"}`); err != nil || got != want {
			t.Errorf("score %v: %s, %v", score, got, err)
		}
	}
}

// TestModelFails: without the model, what is found here counts, and the
// decision says so; one that is required fails the step.
func TestModelFails(t *testing.T) {
	span := `{"text":"blue lantern","type":"CODENAME"}`
	down := &models{answer: func(context.Context, string) (string, error) {
		return "", &filters.Failure{Reason: "unavailable"}
	}}
	slow := &models{answer: func(ctx context.Context, _ string) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	}}
	for name, c := range map[string]struct {
		m        *models
		maxBytes int
	}{
		"an error": {m: down}, "too slow": {m: slow}, "no JSON": {m: says(`blue lantern`)}, "another shape": {m: says(`[` + span + `]`)}, "no spans": {m: says(`{}`)},
		"a type that it was not asked for": {m: says(`{"spans":[` + span + `,{"text":"jane","type":"ADMIN"}]}`)},
		"too many":                         {m: says(`{"spans":[` + strings.Repeat(span+",", maxQuotes) + span + `]}`)},
		"too long":                         {m: says(`{"spans":[{"text":"` + strings.Repeat("x", maxQuote+1) + `","type":"TEAM"}]}`)},
		"too much text":                    {m: says(`{"spans":[` + span + `]}`), maxBytes: 20},
	} {
		const doc = `{"a":"blue lantern, jane.doe@example.com"}`
		p := ProviderDetector{Timeout: 30 * time.Millisecond, MaxBytes: c.maxBytes}
		got, dec, err := whole(t, newModelFilter(t, c.m, p, nil), doc)
		if err != nil || got != `{"a":"blue lantern, <EMAIL_ADDRESS>"}` || dec.Reason != "detector" || dec.Verdict != filters.Changed {
			t.Errorf("%s: %s, %+v, %v", name, got, dec, err)
		}
		p.Required = true
		_, _, err = whole(t, newModelFilter(t, c.m, p, nil), doc)
		var failure *filters.Failure
		if !errors.As(err, &failure) || failure.Reason != "detector" || strings.Contains(err.Error(), "lantern") {
			t.Errorf("%s, required: %v", name, err)
		}
		if (c.maxBytes > 0) != (len(c.m.asked) == 0) {
			t.Errorf("%s: asked %d times", name, len(c.m.asked))
		}
	}
}

// TestModelPlacesAreBounded: an answer that stands almost everywhere is none.
func TestModelPlacesAreBounded(t *testing.T) {
	f := newModelFilter(t, says(`{"spans":[{"text":"xy","type":"CODENAME"},{"text":"zy","type":"CODENAME"}]}`), ProviderDetector{}, nil)
	for n, reason := range map[int]string{maxPlaces / 2: "", maxPlaces/2 + 1: "detector"} {
		_, dec, err := whole(t, f, `{"a":"`+strings.Repeat("xy zy ", n)+`"}`)
		if err != nil || dec.Reason != reason || reason == "" && dec.Findings.Of("CODENAME") != maxPlaces {
			t.Errorf("%d places: %+v, %v", 2*n, dec, err)
		}
	}
}

func TestModelConfig(t *testing.T) {
	who := []string{"PERSON"}
	for want, p := range map[string]ProviderDetector{
		"detectors[0].provider.name: is missing":         {Entities: who},
		"detectors[0].provider.name: there is no":        {Name: "other", Entities: who},
		"detectors[0].provider.entities: is missing":     {Name: "default"},
		"detectors[0].provider.entities: are more":       {Name: "default", Entities: make([]string, 65)},
		"detectors[0].provider.entities[0]: \"a b\" is":  {Name: "default", Entities: []string{"a b"}},
		"detectors[0].provider.entities[1]: PERSON is":   {Name: "default", Entities: []string{"PERSON", "PERSON"}},
		"detectors[0].provider.score: is not":            {Name: "default", Entities: who, Score: 1.1},
		"detectors[0].provider.timeout: is negative":     {Name: "default", Entities: who, Timeout: -1},
		"detectors[0].provider.concurrency: is not":      {Name: "default", Entities: who, Concurrency: 65},
		"detectors[0].provider.maxBytes: is negative":    {Name: "default", Entities: who, MaxBytes: -1},
		"detectors[0]: names two":                        {Name: "default", Entities: who},
		"detectors[0].provider.name: there are no provi": {Name: "default", Entities: who},
	} {
		c := *Definition().Config().(*Config)
		c.Detectors = []Detector{{Provider: &p}}
		env := filters.Env{Models: says("")}
		switch {
		case strings.Contains(want, "names two"):
			c.Detectors[0].HTTP = &HTTPDetector{URL: "http://127.0.0.1/analyze"}
		case strings.Contains(want, "no provi"):
			env.Models = nil
		}
		_, built := build(c, env)
		if err := cmp.Or(c.Validate(), built); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
}
