package schema

import (
	"testing"

	"github.com/sluice-proxy/sluice/filters"
)

// FuzzApply: a body that fits is not changed; another either fits afterwards
// or is refused; and what comes out needs no second change.
func FuzzApply(f *testing.F) {
	step := newFilter(f, `{"dropUnknown":true,"schema":{"type":"object","required":["name","kind","user_id"],"additionalProperties":false,"properties":{
		"name":{"type":"string","maxLength":8},"kind":{"enum":["small","large",3],"default":"small"},"user_id":{"type":"string","default":"u1"},
		"when":{"type":"string","format":"date-time"},"day":{"format":"date"},"n":{"anyOf":[{"type":"null"},{"type":"number","multipleOf":0.5}]},
		"list":{"type":"array","uniqueItems":true,"items":{"$ref":"#/properties/n"}},"sub":{"$ref":"#"}}}}`, nil)
	for _, s := range []string{
		`{"name":"a","kind":"small","user_id":"x"}`, `{ "Name":" abcdefgh ","kind":"lrge", "userId":7,"n":"1.50","list":"2","day":"2 Jan 2026"}`,
		`{"name":["a"],"user_id":1e5,"sub":{"name":true,"kind":"3","user_id":"z"},"x":{}}`, `[]`, `{"list":[["1"],[null],"1"]}`, `{"a":1,"a":2}`,
		"{\n\t\"name\" : \"\\u00e9\\ud800\" , \"user_id\":null\n}", `[{"name":"b","user_id":"c"}]`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		d, err := parse([]byte(body))
		if err == nil && string(d.bytes()) != body {
			t.Fatal("taking the body apart and putting it together changes it")
		}
		fitted := err == nil && len(step.rules.faults(d.root.value())) == 0
		got, dec, led := apply(t, step, body)
		switch {
		case fitted && (led.BodySet || led.Denial != nil):
			t.Fatal("a body that fits is touched")
		case led.Denial != nil:
			if dec.Verdict != filters.Denied || led.BodySet {
				t.Fatal("refused and changed")
			}
			return
		}
		d, err = parse([]byte(got))
		if err != nil || len(step.rules.faults(d.root.value())) > 0 {
			t.Fatal("what goes on does not fit")
		}
		if again, _, led := apply(t, step, got); again != got || led.BodySet {
			t.Fatal("what goes on is changed again")
		}
	})
}

// FuzzSuggestion: whatever a model answers, what goes on fits, and has the
// identifiers and amounts of the body as it came.
func FuzzSuggestion(f *testing.F) {
	m := &model{}
	step := newFilter(f, `{"coerce":false,"dropUnknown":true,"suggest":{"provider":"fake"},"schema":{"type":"object","required":["name"],"properties":{
		"name":{"type":"string","maxLength":8},"user_id":{"type":["string","integer"]},"price":{"type":"number"},"kind":{"enum":["small","large"]},
		"list":{"type":"array","items":{"$ref":"#"}}},"additionalProperties":false}}`, m)
	for _, s := range [][2]string{
		{`{"nom":"a","kind":"little","user_id":1}`, `{"name":"a","kind":"small","user_id":1}`},
		{`{"name":7,"price":"1.0"}`, `{"name":"7","price":1.0}`},
		{`{"list":{"name":"a"},"x":1}`, `{"name":"b","list":[{"name":"a"}]}`},
		{`{"userId":"u"}`, `{"name":"n","user_id":"u"}`},
		{`{"x":5}`, `{"name":"n","price":5}`},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, body, said string) {
		if _, err := parse([]byte(body)); err != nil {
			return
		}
		m.answer = said
		got, _, led := apply(t, step, body)
		if !led.BodySet {
			return
		}
		before, _ := parse([]byte(body))
		after, err := parse([]byte(got))
		if err != nil || len(step.rules.faults(after.root.value())) > 0 {
			t.Fatal("what goes on does not fit")
		}
		had := map[string]int{}
		protected(step.limits.never, before.root, had)
		for text, n := range has(step.limits.never, after.root) {
			if had[text] < n {
				t.Fatal("an identifier or amount was made up")
			}
		}
	})
}

func has(n never, v *node) map[string]int {
	m := map[string]int{}
	protected(n, v, m)
	return m
}

// protected counts the values of protected members, by name and text.
func protected(n never, v *node, into map[string]int) {
	for _, m := range v.members {
		if text, ok := scalarText(m.value); ok && n.name(m.name) {
			into[squeeze(m.name)+"="+text]++
		}
		protected(n, m.value, into)
	}
}
