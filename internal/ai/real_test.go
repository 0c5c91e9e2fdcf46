package ai_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai"
	"github.com/sluice-proxy/sluice/internal/ai/price"
	"github.com/sluice-proxy/sluice/internal/realtest"
)

// want is what an answer of a server that others wrote must come to.
type want struct{ json, reason string }

var wanted = map[string]want{
	"good":      {json: `{"risk":"low","note":"all is well"}`},
	"fenced":    {json: `{"risk":"high"}`},
	"tool":      {json: `{"risk":"high"}`},
	"broken":    {json: `{"risk":"low"}`},
	"prose":     {reason: "answer: does not fit the schema"},
	"wrong":     {reason: "answer: does not fit the schema"},
	"limited":   {reason: "provider: rate limited"},
	"failing":   {reason: "provider: server error"},
	"refused":   {reason: "provider: refused"},
	"malformed": {reason: "provider: malformed"},
	"cut":       {reason: "provider: connect"},
}

// begun breaks off after its first parts. Only a stream can.
var begun = want{reason: "provider: connect"}

func judge(t *testing.T, name string, ans *filters.Answer, err error) {
	t.Helper()
	w, ok := wanted[name]
	if !ok {
		w = begun
	}
	if w.reason != "" {
		if reasonOf(err) != w.reason {
			t.Errorf("%s: error %v, want %s", name, err, w.reason)
		}
		return
	}
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if string(ans.JSON) != w.json {
		t.Errorf("%s: answer %s", name, ans.JSON)
	}
	if ans.Usage.InputTokens == 0 || ans.Usage.OutputTokens == 0 {
		t.Errorf("%s: usage %+v", name, ans.Usage)
	}
}

// TestAgainstAimock: OpenAI, Azure and Anthropic as somebody else understands
// them.
func TestAgainstAimock(t *testing.T) {
	bin := realtest.Tool(t, "SLUICE_AIMOCK")
	fixtures, err := filepath.Abs("testdata/aimock.json")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SLUICE_TEST_KEY", "mock-key")
	port := realtest.Port(t)
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	realtest.Start(t, url+"/health", 30*time.Second, nil, bin, "--port", fmt.Sprint(port), "--fixtures", fixtures, "--strict", "--log-level", "warn")
	key := &filters.SecretRef{Env: "SLUICE_TEST_KEY"}
	for _, spec := range []ai.Spec{
		{Type: "openai", Model: "gpt-4o-mini", BaseURL: url + "/v1"},
		{Type: "compatible", Model: "anything", BaseURL: url + "/v1", Structured: "tool"},
		{Type: "azure", Model: "gpt-4o", BaseURL: url},
		{Type: "anthropic", Model: "claude-haiku-4-5", BaseURL: url},
	} {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s stream %t", spec.Type, stream), func(t *testing.T) {
				spec.APIKey, spec.Retries, spec.Breaker, spec.Stream = key, &ai.Retries{}, &ai.Breaker{Failures: 1000}, stream
				e := newEnv(t, ai.Options{}, map[string]ai.Spec{"p": spec})
				a := e.prepare(t, "p", riskTask())
				names := slices.Collect(maps.Keys(wanted))
				if stream {
					names = append(names, "begun")
				}
				for _, name := range names {
					ans, err := ask(t, a, &filters.Question{Parts: []filters.Part{{Text: "case: " + name}}})
					judge(t, name, ans, err)
					if c := e.saw.calls[len(e.saw.calls)-1]; err == nil && (c.FirstChunk > 0) != stream {
						t.Errorf("%s: first part after %s", name, c.FirstChunk)
					}
				}
			})
		}
	}
	t.Run("a breaker opens on errors and a fallback answers", func(t *testing.T) {
		s := ai.Spec{Type: "openai", Model: "gpt-4o-mini", BaseURL: url + "/v1", APIKey: key, Retries: &ai.Retries{}, Breaker: &ai.Breaker{Failures: 3, OpenFor: time.Minute}, Fallback: &ai.Fallback{Providers: []string{"local"}}}
		e := newEnv(t, ai.Options{}, map[string]ai.Spec{"p": s, "local": {Type: "builtin"}})
		a := e.prepare(t, "p", riskTask())
		for range 5 {
			if ans, err := ask(t, a, &filters.Question{Parts: []filters.Part{{Text: "case: failing"}}}); err != nil || ans.Provider != "local" {
				t.Errorf("answer %+v, error %v", ans, err)
			}
		}
		if got := strings.Join(e.saw.states, ","); got != "p open" {
			t.Errorf("states %s", got)
		}
	})
}

// TestAgainstLiteLLM: a proxy that many put between, with mocked models behind
// it, and its price file.
func TestAgainstLiteLLM(t *testing.T) {
	bin := realtest.Tool(t, "SLUICE_LITELLM")
	config, err := filepath.Abs("testdata/litellm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SLUICE_TEST_KEY", "sk-test-1234")
	port := realtest.Port(t)
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	realtest.Start(t, url+"/health/liveliness", 3*time.Minute, []string{"LITELLM_LOCAL_MODEL_COST_MAP=True", "LITELLM_TELEMETRY=False"}, bin, "--config", config, "--port", fmt.Sprint(port), "--host", "127.0.0.1")
	prices, _ := filepath.Glob(filepath.Join(filepath.Dir(bin), "../lib/python3*/site-packages/litellm/model_prices_and_context_window_backup.json"))
	if len(prices) != 1 {
		t.Fatalf("price files: %v", prices)
	}
	for _, kind := range []ai.Spec{{Type: "compatible", BaseURL: url + "/v1"}, {Type: "anthropic", BaseURL: url, Structured: "prompt"}} {
		for _, name := range []string{"good", "prose", "broken", "limited", "failing"} {
			t.Run(kind.Type+" "+name, func(t *testing.T) {
				spec := kind
				spec.Model, spec.APIKey = name, &filters.SecretRef{Env: "SLUICE_TEST_KEY"}
				spec.Retries, spec.Timeout = &ai.Retries{}, 10*time.Second
				e := newEnv(t, ai.Options{}, map[string]ai.Spec{"p": spec})
				ans, err := ask(t, e.prepare(t, "p", riskTask()), question("x"))
				judge(t, name, ans, err)
			})
		}
	}
	t.Run("a wrong key", func(t *testing.T) {
		t.Setenv("SLUICE_TEST_KEY", "sk-wrong")
		e := newEnv(t, ai.Options{}, map[string]ai.Spec{"p": {Type: "compatible", Model: "good", BaseURL: url + "/v1", APIKey: &filters.SecretRef{Env: "SLUICE_TEST_KEY"}, Retries: &ai.Retries{}, Timeout: 10 * time.Second}})
		// Without a database it answers 400 to a key that it does not know.
		if _, err := ask(t, e.prepare(t, "p", riskTask()), question("x")); reasonOf(err) != "provider: key refused" && reasonOf(err) != "provider: refused" {
			t.Errorf("error %v", err)
		}
	})
	t.Run("its price file", func(t *testing.T) {
		table, err := price.Load(prices[0])
		if err != nil {
			t.Fatal(err)
		}
		ours, _ := price.Builtin()
		for name, p := range ours {
			theirs, ok := table.Find("openai", name)
			if name == "sluice-builtin-2" {
				continue
			}
			if !ok || !near(p.Input, theirs.Input) || !near(p.Output, theirs.Output) {
				t.Errorf("%s: %v here, %v there", name, p, theirs)
			}
		}
	})
}

func near(a, b float64) bool { return a-b < 1e-12 && b-a < 1e-12 }
