package answer_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/internal/ai/answer"
)

const schema = `{"type":"object","required":["n"],"additionalProperties":false,"properties":{"n":{"type":"integer","minimum":0,"maximum":9},"s":{"enum":["a","b"]}}}`

func compile(t testing.TB, source string) *answer.Schema {
	t.Helper()
	s, err := answer.Compile([]byte(source))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSchemasThatAreRefused(t *testing.T) {
	for source, says := range map[string]string{
		`{`:                                "not JSON",
		`{"type":"array"}`:                 "type: object",
		`true`:                             "type: object",
		`{"type":"object","required":"n"}`: "reading the schema",
		`{"type":"object","$ref":"file:///etc/passwd"}`:                      "outside of itself",
		`{"type":"object","properties":{"a":{"$ref":"http://127.0.0.1/x"}}}`: "outside of itself",
	} {
		if _, err := answer.Compile([]byte(source)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", source, err)
		}
	}
}

func TestErrorsHoldNoContent(t *testing.T) {
	s := compile(t, schema)
	for _, text := range []string{`{"n":"secret"}`, `{"n":1,"secret":2}`, `{"n":1,"s":"secret"}`, `secret`, `{"secret`} {
		if _, _, _, err := s.Parse(text); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestNumbersKeepTheirKind(t *testing.T) {
	s := compile(t, `{"type":"object"}`)
	_, v, _, err := s.Parse(`{"a":1,"b":1.5,"c":12345678901234567890,"d":[1e2]}`)
	if err != nil {
		t.Fatal(err)
	}
	m := v.(map[string]any)
	if m["a"] != int64(1) || m["b"] != 1.5 || m["c"] != 12345678901234567890.0 {
		t.Errorf("%#v", m)
	}
}

// FuzzParse: what Parse takes fits the schema, in one reading only: parsed
// again it is the same, and needs no repair.
func FuzzParse(f *testing.F) {
	s := compile(f, schema)
	for _, seed := range []string{`{"n":1}`, `{n:1,}`, "```json\n{\"n\":1}```", `{"n":1,"n":2}`, `{"n":1} x`, `{"n":1.0}`, `{'n': 1, 's': 'b'`, `{"n":01}`, `{"\u006e":3}`, strings.Repeat("[", 200), `{"n":1e0}`, "{\"n\":1,\"s\":\"a\u2028\"}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		doc, _, _, err := s.Parse(text)
		if err != nil {
			return
		}
		again, v, repaired, err := s.Parse(string(doc))
		if err != nil || repaired || !bytes.Equal(doc, again) {
			t.Fatalf("%q became %q, then %q (%v, repaired %v)", text, doc, again, err, repaired)
		}
		m := v.(map[string]any)
		n, whole := m["n"].(int64)
		if f, ok := m["n"].(float64); ok {
			n, whole = int64(f), true
		}
		if !whole || n < 0 || n > 9 || len(m) > 2 {
			t.Fatalf("%q was taken as %v", text, m)
		}
	})
}

func TestCoercion(t *testing.T) {
	for in, want := range map[string]string{"1200": "1200", "1,200.50": "1200.50", " 7 ": "7", "-3": "-3", "+4": "4", "1,234,567": "1234567",
		"12,34": "", "1.200,50": "", "007": "", "0.5": "0.5", "1e5": "1e5", "0x10": "", "": "", "abc": "", "NaN": "", "Infinity": "", ".5": "", "5.": "", "1_000": ""} {
		if got, ok := answer.Number(in); got != want || ok != (want != "") {
			t.Errorf("number %q: %q", in, got)
		}
	}
	for in, want := range map[string]string{"2026-03-04": "2026-03-04", "4 March 2026": "2026-03-04", "March 4, 2026": "2026-03-04", "20260304": "2026-03-04", "03/04/2026": "", "2026-13-01": "", "4.3.26": ""} {
		if got, _ := answer.Date(in); got != want {
			t.Errorf("date %q: %q", in, got)
		}
	}
	for in, want := range map[string]string{"2026-03-04T05:06:07Z": "2026-03-04T05:06:07Z", "2026-03-04 05:06": "2026-03-04T05:06:00Z", "5 o'clock": ""} {
		if got, _ := answer.DateTime(in); got != want {
			t.Errorf("time %q: %q", in, got)
		}
	}
	allowed := []string{"in_progress", "done", "cancelled", "gold", "bold"}
	for in, want := range map[string]string{"In Progress": "in_progress", "DONE": "done", "canceled": "cancelled", "dnoe": "done", "xold": "", "something": "", "": ""} {
		if got, ok := answer.Enum(in, allowed); ok != (want != "") || ok && got != want {
			t.Errorf("enum %q: %q, %v", in, got, ok)
		}
	}
	for in, want := range map[string]string{"Yes": "true", "off": "false", "maybe": "", "1": "true"} {
		v, ok := answer.Bool(in)
		if got := map[bool]string{true: "true", false: "false"}[v]; ok != (want != "") || ok && got != want {
			t.Errorf("bool %q: %v, %v", in, v, ok)
		}
	}
}

// TestNumbersThatNobodyWritesOut: a validator would.
func TestNumbersThatNobodyWritesOut(t *testing.T) {
	for doc, fits := range map[string]bool{
		`{"n":1e308}`: true, `[-1.5E-300]`: true, `12345678901234567890`: true,
		`{"n":1e999999999}`: false, `[1E-999999999]`: false, `1e99999999999999999999`: false, strings.Repeat("9", 500): false,
	} {
		if _, err := answer.Decode([]byte(doc)); (err == nil) != fits {
			t.Errorf("%.30s: %v", doc, err)
		}
	}
}
