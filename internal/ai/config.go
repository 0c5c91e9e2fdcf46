package ai

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/builtin"
)

// Spec is the spec of a Provider document.
type Spec struct {
	Type        string             `json:"type" jsonschema:"enum=openai,enum=azure,enum=anthropic,enum=compatible,enum=builtin" doc:"Kind of provider. compatible is any endpoint that speaks OpenAI's chat completions (vLLM, Ollama, LiteLLM); builtin are small models of Sluice's own that need no network."`
	Model       string             `json:"model,omitempty" doc:"Name of the model; for azure, of the deployment. Not for builtin."`
	BaseURL     string             `json:"baseURL,omitempty" doc:"Address of the API up to and with its version (https://host/v1); for azure that of the resource. Needed for azure and compatible."`
	APIVersion  string             `json:"apiVersion,omitempty" doc:"Version of the API, for azure; default 2024-10-21."`
	APIKey      *filters.SecretRef `json:"apiKey,omitempty" doc:"Where the key is: env, file or vault. A literal is refused. Read again when it changes."`
	Structured  string             `json:"structured,omitempty" jsonschema:"enum=schema,enum=object,enum=tool,enum=prompt" doc:"How the model is held to the answer's schema: schema (response_format json_schema), object (response_format json_object, the schema in the prompt), tool (a forced call of a tool), prompt (told in the prompt only). Default: tool for anthropic, else schema. The answer is validated in any case."`
	Stream      bool               `json:"stream,omitempty" doc:"Read answers as a stream, and measure the time to their first part. What is asked and what an answer may be stays the same; an answer that breaks off is a failure that may be retried. Not for builtin."`
	MaxTokens   int                `json:"maxTokens,omitempty" jsonschema:"minimum=0" doc:"Most tokens of an answer where the step does not say; default 256."`
	Timeout     time.Duration      `json:"timeout,omitempty" doc:"Most time for one question to this provider, retries included; default 2s. The step's own timeout ends the wait earlier."`
	Retries     *Retries           `json:"retries,omitempty" doc:"Retries of what may be retried: a connection that failed, 408, 429 and 5xx. Retry-After is kept; one that is later than the timeout ends the call."`
	Breaker     *Breaker           `json:"breaker,omitempty" doc:"Circuit breaker: after so many failures the provider is not called for a while. An answer that came too late for every caller counts as a failure."`
	Bulkhead    *Bulkhead          `json:"bulkhead,omitempty" doc:"Bound of the calls in flight."`
	Hedge       *Hedge             `json:"hedge,omitempty" doc:"A second call where the first is slow; the first answer counts. Costs tokens twice."`
	Fallback    *Fallback          `json:"fallback,omitempty" doc:"What answers where this provider does not, in this order: other providers, then a cached answer that is too old, then the step's default."`
	Cache       *Cache             `json:"cache,omitempty" doc:"Cache of answers to equal questions, kept apart by tenant."`
	Budget      *Budget            `json:"budget,omitempty" doc:"Budget in tokens or money. A question beyond it is not asked."`
	Budgets     []Budget           `json:"budgets,omitempty" doc:"Further budgets; all of them must have room."`
	Price       *Price             `json:"price,omitempty" doc:"Price of the model. Without it a table from the binary is used; a model that is not in it is unpriced."`
	Privacy     *Privacy           `json:"privacy,omitempty" doc:"What never leaves in the clear."`
	Egress      []string           `json:"egress,omitempty" doc:"Host names that may be called; default: that of the address alone. Redirects are not followed."`
	ExtraParams map[string]any     `json:"parameters,omitempty" doc:"Further members of the request's body, as the vendor names them."`
}

// Retries bound the repetition of a failed call.
type Retries struct {
	Max   int           `json:"max,omitempty" jsonschema:"minimum=0" doc:"Most retries; default 2."`
	Delay time.Duration `json:"delay,omitempty" doc:"Delay before the first, doubled for each further one, with a jitter of a quarter; default 50ms."`
}

// Breaker is a circuit breaker.
type Breaker struct {
	Failures int           `json:"failures,omitempty" jsonschema:"minimum=0" doc:"Failures that open it; default 5."`
	Within   time.Duration `json:"within,omitempty" doc:"Time in which they count; default 10s."`
	OpenFor  time.Duration `json:"openFor,omitempty" doc:"How long it stays open before one call tries again; default 30s."`
}

// Bulkhead bounds the calls in flight.
type Bulkhead struct {
	Calls int           `json:"calls,omitempty" jsonschema:"minimum=0" doc:"Most calls at once; default 64."`
	Wait  time.Duration `json:"wait,omitempty" doc:"How long a call waits for its turn; default not at all."`
}

// Hedge is a second call beside a slow one.
type Hedge struct {
	After time.Duration `json:"after" doc:"How slow the first call must be."`
	Max   int           `json:"max,omitempty" jsonschema:"minimum=0" doc:"Most further calls; default 1."`
}

// Fallback is what answers where the provider does not.
type Fallback struct {
	Providers []string      `json:"providers,omitempty" doc:"Other providers, in order. Their own fallbacks are not followed."`
	Stale     time.Duration `json:"stale,omitempty" doc:"Use a cached answer that is older than the cache's ttl by no more than this."`
}

// Cache keeps answers.
type Cache struct {
	TTL time.Duration `json:"ttl" doc:"How long an answer is kept."`
}

// Budget is a bound of what is used in a period.
type Budget struct {
	Tokens int64   `json:"tokens,omitempty" jsonschema:"minimum=0" doc:"Tokens, of questions and answers."`
	USD    float64 `json:"usd,omitempty" jsonschema:"minimum=0" doc:"Money in US dollars. Needs a model with a price."`
	Per    string  `json:"per" jsonschema:"enum=minute,enum=hour,enum=day,enum=month" doc:"Period; it begins anew by the clock, in UTC."`
	By     string  `json:"by,omitempty" jsonschema:"enum=consumer,enum=tenant,enum=route,enum=provider" doc:"Who has the budget, each for itself; default provider."`
}

// Price is what a model costs.
type Price struct {
	Input  *float64 `json:"input,omitempty" jsonschema:"minimum=0" doc:"US dollars for a million tokens of questions."`
	Output *float64 `json:"output,omitempty" jsonschema:"minimum=0" doc:"US dollars for a million tokens of answers."`
	File   string   `json:"file,omitempty" doc:"Price file in LiteLLM's format (model_prices_and_context_window.json); the model is looked up in it."`
}

// Privacy says what never leaves in the clear.
type Privacy struct {
	Tokenize []string           `json:"tokenize,omitempty" doc:"Entities that are replaced by tokens; the values are put back in the answer."`
	Hash     []string           `json:"hash,omitempty" doc:"Entities that are replaced by a keyed hash: the same for the same value, and not put back."`
	HashKey  *filters.SecretRef `json:"hashKey,omitempty" doc:"Where the key of the hashes is; needed for hash."`
	MinScore float64            `json:"minScore,omitempty" jsonschema:"minimum=0,maximum=1" doc:"Lowest score of a finding; default 0.5."`
}

// WithDefaults returns the spec with its defaults in it.
func (s Spec) WithDefaults() Spec {
	if s.MaxTokens == 0 {
		s.MaxTokens = 256
	}
	if s.Timeout == 0 {
		s.Timeout = 2 * time.Second
	}
	if s.APIVersion == "" {
		s.APIVersion = "2024-10-21"
	}
	switch s.Type {
	case "openai":
		s.BaseURL = or(s.BaseURL, "https://api.openai.com/v1")
	case "anthropic":
		s.BaseURL = or(s.BaseURL, "https://api.anthropic.com")
	case "builtin":
		s.Model = builtin.Model
	}
	if s.Structured == "" {
		s.Structured = "schema"
		if s.Type == "anthropic" {
			s.Structured = "tool"
		}
	}
	retries := Retries{Max: 2}
	if s.Retries != nil {
		retries = *s.Retries
	}
	retries.Delay = or(retries.Delay, 50*time.Millisecond)
	s.Retries = &retries
	breaker := Breaker{}
	if s.Breaker != nil {
		breaker = *s.Breaker
	}
	s.Breaker = &Breaker{or(breaker.Failures, 5), or(breaker.Within, 10*time.Second), or(breaker.OpenFor, 30*time.Second)}
	bulkhead := Bulkhead{}
	if s.Bulkhead != nil {
		bulkhead = *s.Bulkhead
	}
	s.Bulkhead = &Bulkhead{or(bulkhead.Calls, 64), bulkhead.Wait}
	return s
}

// or returns v, or def where v is the zero value.
func or[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// Validate checks the spec. Its errors are *filters.FieldErrors, joined.
func (s *Spec) Validate() error {
	return errors.Join(s.validateType(), oneOf("structured", s.Structured, "schema", "object", "tool", "prompt"), s.validateKey(), s.validateCalls(), s.validateBudgets(), s.validatePrivacy())
}

func fail(path, msg, hint string) error { return &filters.FieldError{Path: path, Msg: msg, Hint: hint} }

func (s *Spec) validateType() error {
	switch s.Type {
	case "": // told already
		return nil
	case "openai", "azure", "anthropic", "compatible":
		return s.validateRemote()
	case "builtin":
	default:
		return fail("type", fmt.Sprintf("%q is no kind of provider", s.Type), "one of openai, azure, anthropic, compatible and builtin")
	}
	for _, k := range []struct {
		path string
		set  bool
	}{{"model", s.Model != ""}, {"baseURL", s.BaseURL != ""}, {"apiKey", s.APIKey != nil}, {"hedge", s.Hedge != nil}, {"egress", s.Egress != nil}, {"stream", s.Stream}, {"parameters", s.ExtraParams != nil}} {
		if k.set {
			return fail(k.path, "builtin calls nobody and has none", "leave it out")
		}
	}
	return nil
}

func (s *Spec) validateRemote() error {
	if s.Model == "" {
		return fail("model", "is missing", "")
	}
	if s.BaseURL == "" {
		if s.Type == "azure" || s.Type == "compatible" {
			return fail("baseURL", "is missing: "+s.Type+" has no address of its own", "")
		}
		return nil
	}
	u, err := url.Parse(s.BaseURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fail("baseURL", "is no address", "write https://host/v1")
	}
	if u.User != nil {
		return fail("baseURL", "holds a password", "keys go into apiKey")
	}
	if s.Egress != nil && !slices.Contains(s.Egress, u.Hostname()) {
		return fail("egress", fmt.Sprintf("does not have %s, the host of baseURL: no call would be allowed", u.Hostname()), "")
	}
	return nil
}

func (s *Spec) validateKey() error {
	if s.APIKey == nil {
		return nil
	}
	if err := s.APIKey.Validate(); err != nil {
		return fail("apiKey", err.Error(), "write {env: NAME}, {file: PATH} or {vault: {path: PATH, field: NAME}}")
	}
	return nil
}

func (s *Spec) validateCalls() error {
	switch {
	case s.Hedge != nil && s.Hedge.After <= 0:
		return fail("hedge.after", "is nothing: every question would be asked twice", "write a duration that most answers come within")
	case s.Cache != nil && s.Cache.TTL <= 0:
		return fail("cache.ttl", "is nothing", "write a duration, or leave the cache out")
	case s.Fallback != nil && s.Fallback.Stale > 0 && s.Cache == nil:
		return fail("fallback.stale", "there is no cache", "add cache")
	}
	for _, k := range []struct {
		path string
		n    int
	}{{"maxTokens", s.MaxTokens}, {"retries.max", deref(s.Retries).Max}, {"breaker.failures", deref(s.Breaker).Failures}, {"bulkhead.calls", deref(s.Bulkhead).Calls}, {"hedge.max", deref(s.Hedge).Max}} {
		if k.n < 0 {
			return fail(k.path, "is negative", "")
		}
	}
	return nil
}

// AllBudgets are budget and budgets together.
func (s *Spec) AllBudgets() []Budget {
	if s.Budget == nil {
		return s.Budgets
	}
	return append([]Budget{*s.Budget}, s.Budgets...)
}

func (s *Spec) validateBudgets() error {
	for i, b := range s.AllBudgets() {
		path := "budget"
		if s.Budget == nil {
			path = fmt.Sprintf("budgets[%d]", i)
		} else if i > 0 {
			path = fmt.Sprintf("budgets[%d]", i-1)
		}
		if b.Tokens <= 0 && b.USD <= 0 {
			return &filters.FieldError{Path: path, Msg: "there is neither tokens nor usd in it"}
		}
		if err := oneOf(path+".per", b.Per, "minute", "hour", "day", "month"); err != nil {
			return err
		}
		if err := oneOf(path+".by", b.By, "consumer", "tenant", "route", "provider"); err != nil {
			return err
		}
	}
	if p := s.Price; p != nil && (p.Input == nil) != (p.Output == nil) {
		return &filters.FieldError{Path: "price", Msg: "input and output go together"}
	} else if p != nil && (p.Input == nil) == (p.File == "") {
		return &filters.FieldError{Path: "price", Msg: "give either input and output, or file"}
	}
	return nil
}

func (s *Spec) validatePrivacy() error {
	p := s.Privacy
	if p == nil {
		return nil
	}
	for i, e := range p.Hash {
		if slices.Contains(p.Tokenize, e) {
			return fail(fmt.Sprintf("privacy.hash[%d]", i), fmt.Sprintf("%s is in tokenize already", e), "")
		}
	}
	if len(p.Hash) == 0 {
		return nil
	}
	if p.HashKey == nil {
		return fail("privacy", "hash needs hashKey: a hash without a key is guessed", "add hashKey: {env: NAME}")
	}
	if err := p.HashKey.Validate(); err != nil {
		return fail("privacy.hashKey", err.Error(), "")
	}
	return nil
}

func oneOf(path, value string, allowed ...string) error {
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	return &filters.FieldError{Path: path, Msg: fmt.Sprintf("%q is not one of %v", value, allowed)}
}

// deref returns what p points to, or the zero value.
func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
