package ai

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/answer"
	"github.com/sluice-proxy/sluice/internal/ai/builtin"
	"github.com/sluice-proxy/sluice/internal/ai/cache"
)

// For returns the providers as one step of a policy sees them.
func (u *Use) For(policy, step string) filters.Models { return models{u, policy, step} }

type models struct {
	use          *Use
	policy, step string
}

// Prepare implements filters.Models.
func (m models) Prepare(provider string, t filters.Task) (filters.Asker, error) {
	p := m.use.providers[provider]
	if p == nil {
		return nil, &filters.FieldError{Path: "provider", Msg: fmt.Sprintf("there is no provider %q", provider), Hint: m.use.known()}
	}
	a := &asker{task: t, policy: m.policy, step: m.step, chain: []*Provider{p}}
	for _, name := range deref(p.spec.Fallback).Providers {
		// One that is missing is told where the provider stands.
		if f := m.use.providers[name]; f != nil {
			a.chain = append(a.chain, f)
		}
	}
	if t.Schema != nil {
		s, err := answer.Compile(t.Schema)
		if err != nil {
			return nil, err
		}
		a.schema = s
	}
	for _, c := range a.chain {
		if c.spec.Type == "builtin" {
			if err := builtin.Check(t.Schema); err != nil {
				return nil, err
			}
		}
	}
	if t.Default != nil {
		d, err := a.lastResort(t.Default)
		if err != nil {
			return nil, &filters.FieldError{Path: "default", Msg: err.Error()}
		}
		a.fallback = d
	}
	a.version = a.hashTask()
	return a, nil
}

// known lists the providers, for hints.
func (u *Use) known() string {
	if len(u.providers) == 0 {
		return "no document of kind Provider is there"
	}
	names := make([]string, 0, len(u.providers))
	for n := range u.providers {
		names = append(names, n)
	}
	slices.Sort(names)
	return "known: " + strings.Join(names, ", ")
}

// asker asks one step's questions.
type asker struct {
	task         filters.Task
	policy, step string
	schema       *answer.Schema // nil: text
	chain        []*Provider    // the provider, then its fallbacks
	fallback     *filters.Answer
	version      [32]byte
}

func (a *asker) lastResort(def []byte) (*filters.Answer, error) {
	ans := &filters.Answer{From: filters.FromDefault, Prompt: a.task.Version}
	if a.schema == nil {
		ans.Text = string(def)
		return ans, nil
	}
	var err error
	ans.JSON, ans.Value, _, err = a.schema.Parse(string(def))
	return ans, err
}

// Ask implements filters.Asker.
func (a *asker) Ask(ctx context.Context, q *filters.Question) (*filters.Answer, error) {
	first := a.chain[0]
	asking, cancel := a.within(ctx)
	defer cancel()
	var err error
	for _, p := range a.chain {
		if asking.Err() != nil {
			break
		}
		var ans *filters.Answer
		if ans, err = a.askOne(asking, p, q); err == nil {
			return ans, nil
		}
	}
	if err == nil {
		err = asking.Err()
	}
	if ctx.Err() == nil {
		if ans, ok := first.stale(ctx, a, q); ok {
			return a.fellBack(q, ans), nil
		}
		if a.fallback != nil {
			return a.fellBack(q, a.fallback), nil
		}
	}
	return nil, failure(err)
}

// within leaves, where there is something to fall back on without a call, a
// little of the step's time for it.
func (a *asker) within(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, bounded := ctx.Deadline()
	if !bounded || a.fallback == nil && deref(a.chain[0].spec.Fallback).Stale <= 0 {
		return ctx, func() {}
	}
	spare := min(time.Until(deadline)/10, 10*time.Millisecond)
	return context.WithDeadline(ctx, deadline.Add(-spare))
}

func (a *asker) askOne(ctx context.Context, p *Provider, q *filters.Question) (*filters.Answer, error) {
	o := &Asked{Place: a.place(p, q.Caller)}
	start := p.pool.opt.Now()
	ans, err := p.ask(ctx, a, q, o)
	o.Duration = p.pool.opt.Now().Sub(start)
	if err != nil {
		o.Failure = reason(err)
	} else {
		o.From = ans.From
	}
	p.pool.opt.Observer.ModelAsked(o)
	return ans, err
}

func (a *asker) place(p *Provider, caller filters.Caller) Place {
	return Place{Provider: p.name, Type: p.spec.Type, Model: p.spec.Model, Policy: a.policy, Step: a.step, Route: caller.Route}
}

// fellBack tells of an answer that needed no call.
func (a *asker) fellBack(q *filters.Question, ans *filters.Answer) *filters.Answer {
	first := a.chain[0]
	first.pool.opt.Observer.ModelAsked(&Asked{Place: a.place(first, q.Caller), From: ans.From})
	return ans
}

// hashTask is a hash of all that is the same in every question of the step.
func (a *asker) hashTask() (sum [32]byte) {
	h := sha256.New()
	put(h, a.task.Version, a.task.System, string(a.task.Schema))
	for _, e := range a.task.Examples {
		put(h, e.Question, e.Answer)
	}
	n := math.NaN()
	if a.task.Temperature != nil {
		n = *a.task.Temperature
	}
	put(h, fmt.Sprint(len(a.task.Examples), n, a.task.MaxTokens))
	h.Sum(sum[:0])
	return sum
}

// key identifies a question to a provider. parts have no personal data in
// them any more.
func (a *asker) key(p *Provider, tenant string, parts []filters.Part) (k cache.Key) {
	h := sha256.New()
	h.Write(a.version[:])
	h.Write(p.model[:])
	put(h, tenant)
	for _, part := range parts {
		kind := "text"
		if part.Data {
			kind = "data"
		}
		put(h, kind, part.Name, part.Text)
	}
	h.Sum(k[:0])
	return k
}

// hashModel is a hash of what of a provider an answer depends on.
func hashModel(name string, s *Spec) (sum [32]byte) {
	params, _ := json.Marshal(s.ExtraParams) // it came from YAML
	h := sha256.New()
	put(h, name, s.Type, s.Model, s.BaseURL, s.APIVersion, s.Structured, fmt.Sprint(s.MaxTokens), string(params))
	h.Sum(sum[:0])
	return sum
}

// put writes texts so that no two lists of them are alike.
func put(h hash.Hash, texts ...string) {
	var n [8]byte
	for _, t := range texts {
		binary.LittleEndian.PutUint64(n[:], uint64(len(t)))
		h.Write(n[:])
		h.Write([]byte(t))
	}
}
