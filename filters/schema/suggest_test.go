package schema

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/filters"
)

// model is a provider that gives one answer.
type model struct {
	answer string
	err    error
	asked  *filters.Question
	task   filters.Task
}

func (m *model) Prepare(_ string, t filters.Task) (filters.Asker, error) {
	m.task = t
	return m, nil
}

func (m *model) Ask(_ context.Context, q *filters.Question) (*filters.Answer, error) {
	m.asked = q
	if m.err != nil {
		return nil, m.err
	}
	return &filters.Answer{JSON: []byte(m.answer), Provider: "fake", Model: "m", From: filters.FromModel}, nil
}

func TestSuggestions(t *testing.T) {
	const config = `{"suggest":{"provider":"fake"},"maxChanges":3,"dropUnknown":true,"schema":{"type":"object","required":["city","mood"],"properties":{
		"city":{"type":"string"},"mood":{"enum":["content","angry"]},"order_id":{"type":"integer"},"price":{"type":"object","properties":{"net":{"type":"number"}}},
		"note":{"type":"string"},"tags":{"type":"array","items":{"type":"string","maxLength":3}}},"additionalProperties":false}}`
	for _, c := range []struct{ name, have, answer, want, says string }{
		{"a value that fits", `{ "city":"Bern" , "mood":"furious","order_id":7 }`, `{"city":"Bern","mood":"angry","order_id":7}`, `{ "city":"Bern" , "mood":"angry","order_id":7 }`, "taken"},
		{"the order of members does not count", `{"mood":"glad","city":"Bern"}`, `{"city":"Bern","mood":"content"}`, `{"mood":"content","city":"Bern"}`, "taken"},
		{"a name of another kind", `{"town":"Bern","mood":"angry"}`, `{"city":"Bern","mood":"angry"}`, `{"city":"Bern","mood":"angry"}`, "taken"},
		{"a new member", `{"city":"Bern"}`, `{"city":"Bern","mood":"content"}`, `{"city":"Bern","mood":"content"}`, "taken"},
		{"unknown ones are gone", `{"city":"Bern","mood":"sad","x":[1]}`, `{"city":"Bern","mood":"angry"}`, `{"city":"Bern","mood":"angry"}`, "taken"},
		{"elements", `{"city":"B","mood":"angry","tags":["long one","b"]}`, `{"city":"B","mood":"angry","tags":["lon","b"]}`, `{"city":"B","mood":"angry","tags":["lon","b"]}`, "taken"},
		{"it does not fit", `{"city":"Bern","mood":"sad"}`, `{"city":"Bern","mood":"gloomy"}`, ``, "does not fit"},
		{"it changes nothing", `{"city":"Bern","mood":"sad"}`, `{"city":"Bern","mood":"sad"}`, ``, "does not fit"},
		{"an identifier is made up", `{"city":"Bern","mood":"sad","order_id":"seven"}`, `{"city":"Bern","mood":"angry","order_id":7}`, ``, "not allowed"},
		{"a new identifier", `{"city":"Bern","mood":"sad"}`, `{"city":"Bern","mood":"angry","order_id":7}`, ``, "not allowed"},
		{"an identifier in another type", `{"city":"Bern","mood":"sad","order_id":"7"}`, `{"city":"Bern","mood":"angry","order_id":7}`, `{"city":"Bern","mood":"angry","order_id":7}`, "taken"},
		{"an amount beneath", `{"city":"Bern","mood":"sad","price":{"net":"three"}}`, `{"city":"Bern","mood":"angry","price":{"net":3}}`, ``, "not allowed"},
		{"what fits is changed", `{"city":"Bern","mood":"sad","note":"a"}`, `{"city":"Basel","mood":"angry","note":"a"}`, ``, "not allowed"},
		{"what is known is gone", `{"city":"Bern","mood":"sad","note":"a"}`, `{"city":"Bern","mood":"angry"}`, ``, "not allowed"},
		{"an array that is shorter", `{"city":"B","mood":"angry","tags":["long one","b"]}`, `{"city":"B","mood":"angry","tags":["b"]}`, ``, "not allowed"},
		{"too many changes", `{"city":"B","mood":"angry","tags":["long","longer","longest","and on"]}`, `{"city":"B","mood":"angry","tags":["a","b","c","d"]}`, ``, "not allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &model{answer: c.answer}
			got, d, led := apply(t, newFilter(t, config, m), c.have)
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if d.Details["suggestion"] != c.says || d.Details["provider"] != "fake" {
				t.Errorf("details %v", d.Details)
			}
			if c.want == "" && (led.Denial == nil || led.Denial.Status != 400) {
				t.Error("it is not refused with 400")
			}
			if c.want != "" && d.Actions.Of("suggest") == 0 {
				t.Errorf("actions %v", d.Actions)
			}
			if said, _ := json.Marshal([]any{d, led.Denial}); strings.Contains(string(said), "Bern") || strings.Contains(string(said), "furious") {
				t.Error("content is said")
			}
		})
	}
}

func TestWhatTheModelIsAsked(t *testing.T) {
	const config = `{"suggest":{"provider":"fake","maxBytes":100},"schema":{"type":"object","properties":{"a":{"type":"integer"}}}}`
	m := &model{answer: `{"a":1}`}
	f := newFilter(t, config, m)
	if m.task.Version == "" || !json.Valid(m.task.Schema) || m.task.System == "" {
		t.Errorf("task %+v", m.task)
	}
	apply(t, f, `{"a":"1"}`)
	if m.asked != nil {
		t.Error("asked though there was nothing left to ask")
	}
	apply(t, f, `{"a":"one"}`)
	for _, p := range m.asked.Parts {
		if strings.Contains(p.Text, "one\"") != p.Data {
			t.Errorf("part %+v", p)
		}
	}
	m.asked = nil
	got, d, _ := apply(t, f, `{"a":"`+strings.Repeat("x", 100)+`"}`)
	if m.asked != nil || got != "" || d.Details["suggestion"] != "too large to ask about" {
		t.Errorf("a large body: %s, %v", got, d.Details)
	}
	m.err = &filters.Failure{Reason: "provider: connect"}
	got, d, led := apply(t, f, `{"a":"one"}`)
	if got != "" || led.Denial.Status != 400 || d.Details["suggestion"] != "provider: connect" {
		t.Errorf("without an answer: %s, %v", got, d.Details)
	}
	if f.Needs(filters.Request).Immediate {
		t.Error("a filter that asks is not immediate")
	}
}
