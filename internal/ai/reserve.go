package ai

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/budget"
	"github.com/sluice-proxy/sluice/internal/ai/wire"
)

// perDollar is how finely money is counted.
const perDollar = 1e9

// reservation is what a call holds of the budgets.
type reservation struct {
	provider *Provider
	held     []holding
}

// holding is a part of one budget.
type holding struct {
	key   string
	money bool
	n     int64
	until time.Time
}

// reserve takes what the call may need from every budget of the provider: an
// estimate first, and where that is too much, what was counted exactly.
func (p *Provider) reserve(ctx context.Context, caller filters.Caller, req *wire.Request) (*reservation, error) {
	r := &reservation{provider: p}
	budgets := p.spec.AllBudgets()
	if len(budgets) == 0 {
		return r, nil
	}
	err := r.take(ctx, budgets, caller, estimateRequest(req), req.MaxTokens)
	if errors.Is(err, errBudget) {
		err = r.take(ctx, budgets, caller, countRequest(req), req.MaxTokens)
	}
	return r, err
}

func (r *reservation) take(ctx context.Context, budgets []Budget, caller filters.Caller, input, output int) error {
	for _, b := range budgets {
		key, until := r.provider.counter(b, caller)
		for _, money := range []bool{false, true} {
			h := holding{key: key + "/tokens", n: int64(input + output), until: until}
			limit := b.Tokens
			if money {
				h = holding{key: key + "/usd", money: true, n: r.provider.cost(input, output), until: until}
				limit = int64(b.USD * perDollar)
			}
			if limit <= 0 {
				continue
			}
			ok, err := r.provider.pool.budgets.Reserve(ctx, h.key, h.n, limit, until)
			if err != nil || !ok {
				r.release(ctx)
				if err != nil {
					return errors.Join(errBudgetStore, err)
				}
				return errBudget
			}
			r.held = append(r.held, h)
		}
	}
	return nil
}

// counter is the key of what a caller has used of a budget in this period.
func (p *Provider) counter(b Budget, caller filters.Caller) (string, time.Time) {
	id, until := budget.Period(b.Per, p.pool.opt.Now())
	who := ""
	switch b.By {
	case "consumer":
		who = "consumer/" + caller.Consumer
	case "tenant":
		who = "tenant/" + caller.Tenant
	case "route":
		who = "route/" + caller.Route
	}
	return p.name + "/" + b.Per + "/" + id + "/" + who, until
}

// cost is that of a call in billionths of a dollar, rounded up.
func (p *Provider) cost(input, output int) int64 {
	if p.price == nil {
		return 0
	}
	return int64(math.Ceil(p.price.Of(input, output) * perDollar))
}

// release gives back what was taken.
func (r *reservation) release(ctx context.Context) {
	for _, h := range r.held {
		_ = r.provider.pool.budgets.Settle(context.WithoutCancel(ctx), h.key, -h.n, h.until)
	}
	r.held = nil
}

// settle puts what the call took in the place of what was reserved.
func (r *reservation) settle(ctx context.Context, input, output int) {
	for _, h := range r.held {
		took := int64(input + output)
		if h.money {
			took = r.provider.cost(input, output)
		}
		_ = r.provider.pool.budgets.Settle(context.WithoutCancel(ctx), h.key, took-h.n, h.until)
	}
	r.held = nil
}
