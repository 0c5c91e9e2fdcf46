package ai

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/builtin"
	"github.com/sluice-proxy/sluice/internal/ai/cache"
	"github.com/sluice-proxy/sluice/internal/ai/price"
	"github.com/sluice-proxy/sluice/internal/ai/privacy"
	"github.com/sluice-proxy/sluice/internal/ai/tokens"
	"github.com/sluice-proxy/sluice/internal/ai/wire"
)

// Provider is a configured model with all that stands around a call of it. It
// is used by many at once, and outlives reloads that leave its configuration
// as it is.
type Provider struct {
	name      string
	spec      Spec
	model     [32]byte // a hash of what answers depend on
	pool      *Pool
	transport wire.Transport
	masker    *privacy.Masker // nil: nothing is replaced
	price     *price.Price    // nil: unpriced
	breaker   circuitbreaker.CircuitBreaker[*wire.Reply]
	executor  failsafe.Executor[*wire.Reply]
	flights   cache.Flights[*result]
	alone     atomic.Uint64 // numbers questions that share nothing
}

// result is what a call gave, with what is personal still replaced.
type result struct {
	text     string
	value    any
	doc      []byte
	model    string
	usage    filters.Usage
	repaired bool
	finish   string
	first    time.Duration // until the first part of a stream
}

// newProvider builds a provider from a valid spec.
func newProvider(name string, spec Spec, pool *Pool, secrets filters.Secrets) (*Provider, error) {
	p := &Provider{name: name, spec: spec.WithDefaults(), pool: pool}
	p.model = hashModel(name, &p.spec)
	if s := p.spec.Privacy; s != nil && len(s.Tokenize)+len(s.Hash) > 0 {
		cfg := privacy.Config{Tokenize: s.Tokenize, Hash: s.Hash, MinScore: s.MinScore}
		if s.HashKey != nil {
			cfg.Key = func() (filters.Secret, error) { return secrets.Secret(*s.HashKey) }
		}
		m, err := privacy.New(cfg)
		if err != nil {
			return nil, &filters.FieldError{Path: "privacy", Msg: err.Error()}
		}
		p.masker = m
	}
	if err := p.findPrice(); err != nil {
		return nil, err
	}
	if err := p.connect(secrets); err != nil {
		return nil, err
	}
	p.protect()
	return p, nil
}

func (p *Provider) connect(secrets filters.Secrets) (err error) {
	s := &p.spec
	if s.Type == "builtin" {
		p.transport = builtin.Transport{}
		return nil
	}
	if p.pool.opt.Dial == nil {
		return &filters.FieldError{Path: "type", Msg: fmt.Sprintf("no vendors are linked into this program: %s cannot be called", s.Type)}
	}
	e := wire.Endpoint{Model: s.Model, BaseURL: s.BaseURL, APIVersion: s.APIVersion, Egress: s.Egress, Structured: s.Structured, Stream: s.Stream, Parameters: s.ExtraParams}
	if s.APIKey != nil {
		ref := *s.APIKey
		e.Key = func() (filters.Secret, error) { return secrets.Secret(ref) }
	}
	if p.transport, err = p.pool.opt.Dial(s.Type, e); err != nil {
		return &filters.FieldError{Path: "baseURL", Msg: err.Error()}
	}
	return nil
}

func (p *Provider) findPrice() error {
	table, _ := price.Builtin()
	if s := p.spec.Price; s != nil {
		if s.Input != nil && s.Output != nil {
			p.price = &price.Price{Input: *s.Input / 1e6, Output: *s.Output / 1e6}
			return nil
		}
		t, err := price.Load(s.File)
		if err != nil {
			return &filters.FieldError{Path: "price.file", Msg: err.Error()}
		}
		table = t
	}
	if found, ok := table.Find(p.spec.Type, p.spec.Model); ok {
		p.price = &found
		return nil
	}
	for _, b := range p.spec.AllBudgets() {
		if b.USD > 0 {
			return &filters.FieldError{Path: "price", Msg: fmt.Sprintf("there is a budget in usd, and model %q has no known price", p.spec.Model), Hint: "add price: {input: …, output: …}"}
		}
	}
	return nil
}

// protect puts the policies around a call: retries around the breaker around
// hedging around the bulkhead.
func (p *Provider) protect() {
	s := &p.spec
	breaker := circuitbreaker.NewBuilder[*wire.Reply]().
		HandleIf(func(_ *wire.Reply, err error) bool { return isOutage(err) }).
		WithFailureThresholdPeriod(uint(s.Breaker.Failures), s.Breaker.Within).
		WithSuccessThreshold(1).
		WithDelay(s.Breaker.OpenFor).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
			p.pool.opt.Observer.ModelBreaker(p.name, e.NewState.String())
		})
	p.breaker = breaker.Build()
	bulk := bulkhead.NewBuilder[*wire.Reply](uint(s.Bulkhead.Calls)).WithMaxWaitTime(s.Bulkhead.Wait).Build()
	var policies []failsafe.Policy[*wire.Reply]
	if s.Retries.Max > 0 {
		policies = append(policies, retrypolicy.NewBuilder[*wire.Reply]().
			HandleIf(func(_ *wire.Reply, err error) bool { return mayRetry(err) }).
			WithMaxRetries(s.Retries.Max).
			WithBackoff(s.Retries.Delay, 32*s.Retries.Delay).
			WithJitterFactor(0.25).
			WithDelayFunc(func(e failsafe.ExecutionAttempt[*wire.Reply]) time.Duration {
				var we *wire.Error
				if errors.As(e.LastError(), &we) && we.RetryAfter > 0 {
					// The jitter takes a quarter off at most.
					return we.RetryAfter + we.RetryAfter/3
				}
				return -1
			}).
			ReturnLastFailure().Build())
	}
	policies = append(policies, p.breaker)
	if s.Hedge != nil {
		policies = append(policies, hedgepolicy.NewBuilderWithDelay[*wire.Reply](s.Hedge.After).
			WithMaxHedges(or(s.Hedge.Max, 1)).
			// One that fails does not end the others.
			CancelIf(func(_ *wire.Reply, err error) bool { return err == nil }).Build())
	}
	policies = append(policies, bulk)
	p.executor = failsafe.With(policies...)
}

func isOutage(err error) bool {
	var we *wire.Error
	if errors.As(err, &we) {
		return we.Outage()
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errAbandoned)
}

// pointless is an error that is not worth another try.
type pointless struct{ error }

func (p pointless) Unwrap() error { return p.error }

func mayRetry(err error) bool {
	var no pointless
	var we *wire.Error
	return !errors.As(err, &no) && errors.As(err, &we) && we.Retryable()
}

// close lets go of what the provider holds open.
func (p *Provider) close() {
	if c, ok := p.transport.(interface{ Close() }); ok {
		c.Close()
	}
}

// ask asks the provider, and nobody else.
func (p *Provider) ask(ctx context.Context, a *asker, q *filters.Question, o *Asked) (*filters.Answer, error) {
	cached := p.spec.Cache != nil
	if !cached && p.breaker.RemainingDelay() > 0 {
		// Nothing to look up, and nobody to call: the quick way out.
		return nil, circuitbreaker.ErrOpen
	}
	parts, mapping, err := p.masker.Mask(q.Parts)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errPrivacy, err)
	}
	o.Masked = mapping.Findings
	key := a.key(p, q.Caller.Tenant, parts)
	if cached {
		if r, ok := p.recall(ctx, a, key, p.spec.Cache.TTL); ok {
			return p.answer(a, r, mapping, filters.FromCache)
		}
	} else {
		// Nobody else's question: calls are only shared where answers are.
		copy(key[:8], fmt.Appendf(nil, "%08x", p.alone.Add(1)))
	}
	r, shared, err := p.flights.Do(ctx, key, cached, func(ctx context.Context) (*result, error) {
		r, err := p.observed(ctx, a, q.Caller, parts)
		if err == nil && cached {
			p.keep(ctx, key, r)
		}
		return r, err
	})
	if err != nil {
		return nil, err
	}
	from := filters.FromModel
	if shared {
		from = filters.FromCache
	}
	return p.answer(a, r, mapping, from)
}

// answer makes a filter's answer of a result: what was replaced is put back.
func (p *Provider) answer(a *asker, r *result, mapping *privacy.Mapping, from filters.AnswerSource) (*filters.Answer, error) {
	ans := &filters.Answer{Provider: p.name, Model: r.model, From: from, Prompt: a.task.Version}
	if from == filters.FromModel {
		ans.Usage = r.usage
	}
	if a.schema == nil {
		ans.Text = mapping.Restore(r.text)
		return ans, nil
	}
	ans.Value, ans.JSON = mapping.RestoreValue(r.value, r.doc)
	if string(ans.JSON) != string(r.doc) {
		// A value may be longer than its token, or not of the pattern.
		if _, _, _, err := a.schema.Parse(string(ans.JSON)); err != nil {
			return nil, err
		}
	}
	return ans, nil
}

// observed makes a call and tells of it. It is told of here and not where the
// answer is waited for: the call may go on when nobody waits any more.
func (p *Provider) observed(ctx context.Context, a *asker, caller filters.Caller, parts []filters.Part) (*result, error) {
	c := &Call{Place: a.place(p, caller), Start: p.pool.opt.Now()}
	r := &result{}
	err := p.call(ctx, a, caller, parts, r)
	c.Duration = p.pool.opt.Now().Sub(c.Start)
	c.ResponseModel, c.Usage, c.Finish, c.Repaired = r.model, r.usage, r.finish, r.repaired
	c.FirstChunk = r.first
	if err != nil {
		c.Failure = reason(err)
		r = nil
	}
	p.pool.opt.Observer.ModelCall(c)
	return r, err
}

// call makes the call, within budget and with the policies around it, and
// fills r as far as it gets.
func (p *Provider) call(ctx context.Context, a *asker, caller filters.Caller, parts []filters.Part, r *result) error {
	nonce, err := p.pool.nonce()
	if err != nil {
		return err
	}
	req := &wire.Request{System: a.task.System, Examples: a.task.Examples, Parts: parts, Temperature: a.task.Temperature, MaxTokens: or(a.task.MaxTokens, p.spec.MaxTokens), Nonce: nonce}
	if a.schema != nil {
		req.Schema = a.schema.Source()
	}
	held, err := p.reserve(ctx, caller, req)
	if err != nil {
		return err
	}
	reply, err := p.send(ctx, req)
	if err != nil {
		// A call that was cut off may have cost something; nobody says what.
		held.settle(0, 0)
		return err
	}
	usage := p.usage(req, reply)
	usage.Alone = held.alone
	held.settle(usage.InputTokens, usage.OutputTokens)
	*r = result{text: reply.Text, model: or(reply.Model, p.spec.Model), usage: usage, finish: reply.Finish, first: reply.FirstChunk}
	if a.schema == nil {
		return nil
	}
	r.doc, r.value, r.repaired, err = a.schema.Parse(reply.Text)
	return err
}

func (p *Provider) send(ctx context.Context, req *wire.Request) (*wire.Reply, error) {
	waiting := ctx
	ctx, cancel := context.WithTimeout(ctx, p.spec.Timeout)
	defer cancel()
	deadline, _ := ctx.Deadline()
	return p.executor.WithContext(ctx).GetWithExecution(func(e failsafe.Execution[*wire.Reply]) (reply *wire.Reply, err error) {
		defer func() {
			// A hedge is on a goroutine that nobody else guards.
			if x := recover(); x != nil {
				reply, err = nil, cache.ErrPanic
			}
		}()
		reply, err = p.transport.Send(e.Context(), req)
		var we *wire.Error
		switch {
		case err == nil:
		case errors.Is(context.Cause(waiting), context.DeadlineExceeded):
			err = errAbandoned
		case errors.As(err, &we) && we.RetryAfter > 0 && time.Now().Add(we.RetryAfter).After(deadline):
			err = pointless{err}
		}
		return reply, err
	})
}

// usage is what a call took: as the provider says, else as counted here.
func (p *Provider) usage(req *wire.Request, reply *wire.Reply) filters.Usage {
	u := filters.Usage{InputTokens: reply.InputTokens, OutputTokens: reply.OutputTokens}
	if u.InputTokens == 0 && u.OutputTokens == 0 && p.spec.Type != "builtin" {
		u.Estimated = true
		u.InputTokens, u.OutputTokens = countRequest(req), count(reply.Text)
	}
	if p.price != nil {
		cost := p.price.Of(u.InputTokens, u.OutputTokens)
		u.Cost = &cost
	}
	return u
}

// count counts tokens, and estimates them where that fails.
func count(text string) int {
	n, err := tokens.Count(text)
	if err != nil {
		return tokens.Estimate(len(text))
	}
	return n
}

// perMessage is what a message takes beside its text.
const perMessage = 4

func countRequest(r *wire.Request) int {
	n := count(r.SystemText(true)) + perMessage
	for _, m := range r.Messages() {
		n += count(m.Text) + perMessage
	}
	return n
}

func estimateRequest(r *wire.Request) int {
	n := len(r.SystemText(true))
	for _, m := range r.Messages() {
		n += len(m.Text) + perMessage
	}
	return tokens.Estimate(n)
}

// keep keeps an answer, with tokens in the place of what is personal: the
// model, a line break, and what it said.
func (p *Provider) keep(ctx context.Context, key cache.Key, r *result) {
	text := r.text
	if r.doc != nil {
		text = string(r.doc)
	}
	kept := strings.ReplaceAll(r.model, "\n", " ") + "\n" + text
	p.pool.answers.Put(ctx, key, []byte(kept), p.pool.opt.Now(), p.spec.Cache.TTL+deref(p.spec.Fallback).Stale)
}

// recall returns a kept answer that is no older than that.
func (p *Provider) recall(ctx context.Context, a *asker, key cache.Key, age time.Duration) (*result, bool) {
	b, _, ok := p.pool.answers.Get(ctx, key, p.pool.opt.Now().Add(-age))
	if !ok {
		return nil, false
	}
	model, text, ok := strings.Cut(string(b), "\n")
	if !ok {
		return nil, false
	}
	r := &result{text: text, model: model}
	if a.schema != nil {
		// A shared cache is outside, too.
		var err error
		if r.doc, r.value, _, err = a.schema.Parse(text); err != nil {
			return nil, false
		}
	}
	return r, true
}

// stale returns a kept answer that is too old, where the fallback allows it.
func (p *Provider) stale(ctx context.Context, a *asker, q *filters.Question) (*filters.Answer, bool) {
	if p.spec.Cache == nil || deref(p.spec.Fallback).Stale <= 0 {
		return nil, false
	}
	parts, mapping, err := p.masker.Mask(q.Parts)
	if err != nil {
		return nil, false
	}
	r, ok := p.recall(ctx, a, a.key(p, q.Caller.Tenant, parts), p.spec.Cache.TTL+p.spec.Fallback.Stale)
	if !ok {
		return nil, false
	}
	ans, err := p.answer(a, r, mapping, filters.FromStale)
	return ans, err == nil
}

// nonce is random text for a fence.
func (p *Pool) nonce() (string, error) {
	b := make([]byte, 12)
	if _, err := io.ReadFull(p.opt.Rand, b); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return hex.EncodeToString(b), nil
}
