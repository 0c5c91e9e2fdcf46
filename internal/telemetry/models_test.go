package telemetry

import (
	"strings"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai"
)

func TestModelCallsAreCounted(t *testing.T) {
	m := NewMetrics()
	x := NewModels(m)
	cost := 0.25
	place := ai.Place{Provider: "default", Type: "azure", Model: "gpt-4o", Policy: "p", Step: "s", Route: "r"}
	x.ModelCall(&ai.Call{Place: place, ResponseModel: "gpt-4o-2024-08-06", Duration: 30 * time.Millisecond, FirstChunk: 20 * time.Millisecond, Usage: filters.Usage{InputTokens: 100, OutputTokens: 10, Cost: &cost}, Repaired: true})
	x.ModelCall(&ai.Call{Place: place, Duration: time.Second, Failure: "provider: rate limited"})
	x.ModelCall(&ai.Call{Place: place, Usage: filters.Usage{InputTokens: 5}})
	x.ModelAsked(&ai.Asked{Place: place, From: filters.FromModel, Duration: time.Millisecond, Masked: map[string]int{"EMAIL_ADDRESS": 2}})
	x.ModelAsked(&ai.Asked{Place: place, Failure: "provider: timeout"})
	x.ModelBreaker("default", "open")
	x.ModelStore("cache", "get", "hit")
	text := scrape(t, m)
	wantLines(t, text,
		`gen_ai_client_token_usage_sum{gen_ai_operation_name="chat",gen_ai_provider_name="azure.ai.openai",gen_ai_request_model="gpt-4o",gen_ai_response_model="gpt-4o-2024-08-06",gen_ai_token_type="input"} 100`,
		`gen_ai_client_operation_duration_seconds_count{error_type="provider.rate_limited",gen_ai_operation_name="chat",gen_ai_provider_name="azure.ai.openai",gen_ai_request_model="gpt-4o",gen_ai_response_model="gpt-4o"} 1`,
		`gen_ai_client_operation_time_to_first_chunk_seconds_count{gen_ai_operation_name="chat",gen_ai_provider_name="azure.ai.openai",gen_ai_request_model="gpt-4o",gen_ai_response_model="gpt-4o-2024-08-06"} 1`,
		`sluice_model_cost_usd_total{model="gpt-4o",policy="p",provider="default",route="r",step="s"} 0.25`,
		`sluice_model_unpriced_calls_total{model="gpt-4o",policy="p",provider="default",route="r",step="s"} 1`,
		`sluice_model_questions_total{answer="model",policy="p",provider="default",route="r",step="s"} 1`,
		`sluice_model_failures_total{policy="p",provider="default",reason="provider: timeout",route="r",step="s"} 1`,
		`sluice_model_masked_total{entity="EMAIL_ADDRESS",provider="default"} 2`,
		`sluice_model_repaired_answers_total{provider="default"} 1`,
		`sluice_model_breaker_state{provider="default",state="open"} 1`,
		`sluice_model_store_operations_total{operation="get",result="hit",what="cache"} 1`,
		`sluice_model_breaker_state{provider="default",state="closed"} 0`,
	)
	x.Forget([]string{"other"})
	if text := scrape(t, m); strings.Contains(text, `policy="p"`) {
		t.Error("series of a policy that is gone are still there")
	}
}

func TestModelNamesFromVendorsAreBounded(t *testing.T) {
	m := NewMetrics()
	x := NewModels(m)
	for i := range maxNames + 10 {
		x.ModelCall(&ai.Call{Place: ai.Place{Type: "openai"}, ResponseModel: strings.Repeat("m", 1+i%100) + string(rune('a'+i/100))})
	}
	x.ModelCall(&ai.Call{Place: ai.Place{Type: "openai"}, ResponseModel: strings.Repeat("x", 1000)})
	if text := scrape(t, m); !strings.Contains(text, `gen_ai_response_model="other"`) || strings.Contains(text, strings.Repeat("x", 1000)) {
		t.Error("names of models are not bounded")
	}
}
