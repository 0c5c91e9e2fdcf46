package ai

import (
	"context"
	"errors"
	"math"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/budget"
	"github.com/sluice-proxy/sluice/internal/ai/wire"
)

// perDollar is how finely money is counted.
const perDollar = 1e9

// reservation is what a call holds of the budgets.
type reservation struct {
	provider *Provider
	amounts  []budget.Amount
	money    []bool      // of which amounts are money, and not tokens
	held     budget.Held // nil: nothing
	// alone: the shared counters could not be reached, and this replica
	// counts for itself.
	alone bool
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
	r.amounts, r.money = nil, nil
	for _, b := range budgets {
		r.add(b, caller, false, int64(input+output), b.Tokens)
		r.add(b, caller, true, r.provider.cost(input, output), int64(b.USD*perDollar))
	}
	pool := r.provider.pool
	held, err := pool.budgets.Reserve(ctx, r.amounts...)
	if r.alone = err != nil && pool.alone != nil; r.alone {
		held, err = pool.alone.Reserve(ctx, r.amounts...)
	}
	switch {
	case err != nil:
		return errors.Join(errBudgetStore, err)
	case held == nil:
		return errBudget
	}
	r.held = held
	return nil
}

// add adds what is taken of one budget. Two budgets of the same people and
// period have one counter, and the lower limit counts.
func (r *reservation) add(b Budget, caller filters.Caller, money bool, n, limit int64) {
	if limit <= 0 {
		return
	}
	a := r.provider.counter(b, caller)
	a.N, a.Limit = n, limit
	if money {
		a.Key += "/usd"
	} else {
		a.Key += "/tokens"
	}
	for i := range r.amounts {
		if r.amounts[i].Key == a.Key {
			r.amounts[i].Limit = min(r.amounts[i].Limit, limit)
			return
		}
	}
	r.amounts, r.money = append(r.amounts, a), append(r.money, money)
}

// counter names what a caller has used of a budget in this period.
func (p *Provider) counter(b Budget, caller filters.Caller) budget.Amount {
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
	return budget.Amount{Key: p.name + "/" + b.Per + "/" + id + "/" + who, Until: until}
}

// cost is that of a call in billionths of a dollar, rounded up.
func (p *Provider) cost(input, output int) int64 {
	if p.price == nil {
		return 0
	}
	return int64(math.Ceil(p.price.Of(input, output) * perDollar))
}

// settle puts what the call took in the place of what was reserved.
func (r *reservation) settle(input, output int) {
	if r.held == nil {
		return
	}
	used := make([]int64, len(r.amounts))
	for i := range used {
		if used[i] = int64(input + output); r.money[i] {
			used[i] = r.provider.cost(input, output)
		}
	}
	r.held.Settle(used...)
	r.held = nil
}
