package ai

import (
	"errors"
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/budget"
	"github.com/sluice-proxy/sluice/internal/ai/cache"
	"github.com/sluice-proxy/sluice/internal/keyring"
)

// Sharing says what replicas share of what stands around the models.
type Sharing struct {
	Cache   SharedCache   `json:"cache,omitempty" doc:"Answers of models that are kept (cache in a Provider). Read at start."`
	Budgets SharedBudgets `json:"budgets,omitempty" doc:"What has been used of budgets (budget in a Provider). Read at start."`
}

// SharedCache is where answers are kept.
type SharedCache struct {
	Store   string             `json:"store,omitempty" jsonschema:"enum=memory,enum=shared" doc:"memory (default): each replica keeps its own; shared: also in the store, which must be redis, encrypted, for all replicas."`
	Key     *filters.SecretRef `json:"key,omitempty" doc:"For shared: where the key is that answers are encrypted and their names are hashed with, of at least 16 bytes: env, file or vault. Read again every minute; with a new key the shared cache begins empty."`
	Timeout time.Duration      `json:"timeout,omitempty" doc:"For shared: the most that a lookup may take; default 25ms, and never more than half of what the step has left, or than the timeout of the store. Beyond it, the model is asked."`
}

// SharedBudgets is where budgets are counted.
type SharedBudgets struct {
	Store        string             `json:"store,omitempty" jsonschema:"enum=memory,enum=shared" doc:"memory (default): each replica counts for itself, so that all of them together may use as many times the limit; shared: in the store, which must be redis, for all replicas."`
	Key          *filters.SecretRef `json:"key,omitempty" doc:"For shared: where the key is that the names of counters (provider, period, consumer, tenant, route) are hashed with, of at least 16 bytes: env, file or vault. Read again every minute; with a new key budgets begin anew."`
	Timeout      time.Duration      `json:"timeout,omitempty" doc:"For shared: the most that a reservation may take before a call; default 50ms, and never more than the timeout of the store."`
	OnStoreError string             `json:"onStoreError,omitempty" jsonschema:"enum=open,enum=closed" doc:"For shared: what happens where the store cannot be reached. open (default): each replica counts for itself, up to the limit; closed: no model with a budget is asked."`
}

const (
	inStore = "shared"

	defaultCacheTimeout  = 25 * time.Millisecond
	defaultBudgetTimeout = 50 * time.Millisecond
	// unwaited bounds what nobody waits for: an answer on its way to the
	// store, and the settling of a reservation.
	unwaited = time.Second
	// storeFailures in a row, and a store is left alone for storePause.
	storeFailures = 5
	storePause    = 5 * time.Second
)

// Any reports whether anything is shared.
func (s *Sharing) Any() bool { return s.Cache.Store == inStore || s.Budgets.Store == inStore }

// Validate checks the configuration. replicas reports whether there is a store
// that they share. Errors are *filters.FieldErrors, joined.
func (s *Sharing) Validate(replicas bool) error {
	c, b := &s.Cache, &s.Budgets
	return errors.Join(
		checkStore("cache", c.Store, c.Key, replicas, c.Timeout, c.Timeout != 0),
		checkStore("budgets", b.Store, b.Key, replicas, b.Timeout, b.Timeout != 0 || b.OnStoreError != ""),
		oneOf("budgets.onStoreError", b.OnStoreError, "open", "closed"),
	)
}

func checkStore(path, kind string, key *filters.SecretRef, replicas bool, timeout time.Duration, more bool) error {
	if err := oneOf(path+".store", kind, "memory", inStore); err != nil {
		return err
	}
	switch {
	case kind != inStore && (key != nil || more):
		return fail(path+".store", "what is in memory has no key, timeout or onStoreError", "store: shared")
	case kind != inStore:
		return nil
	case !replicas:
		return fail(path+".store", "the store is in memory, which replicas do not share", "set store: {type: redis, address: host:port} in the Settings")
	case key == nil:
		return fail(path, "a shared store needs a key", "add key: {env: NAME}, {file: PATH} or {vault: {path: PATH}}")
	case timeout < 0:
		return fail(path+".timeout", "is negative", "0 is the default")
	}
	if err := key.Validate(); err != nil {
		return fail(path+".key", err.Error(), "write {env: NAME}, {file: PATH} or {vault: {path: PATH, field: NAME}}")
	}
	return nil
}

// Check reads the keys and returns what is wrong with them, as
// *filters.FieldErrors: missing are those that are not there, which they need
// not be where policies are only checked, and bad those that are none. What is
// in Vault is not waited for.
func (s *Sharing) Check(secrets filters.Secrets) (missing, bad []error) {
	for _, k := range []struct {
		path string
		ref  *filters.SecretRef
	}{{"cache.key", s.Cache.Key}, {"budgets.key", s.Budgets.Key}} {
		if k.ref == nil || k.ref.Vault != nil || k.ref.Validate() != nil {
			continue
		}
		v, err := secrets.Secret(*k.ref)
		if err != nil {
			missing = append(missing, fail(k.path, err.Error(), "serve does not start without it"))
		} else if err := keyring.Check(k.path, v); err != nil {
			bad = append(bad, err)
		}
	}
	return missing, bad
}

// Far is a store that replicas share: a store.Redis.
type Far interface {
	filters.Store
	budget.Counters
}

// Share puts a store that replicas share behind the cache and the budgets, as
// the configuration says. It is called before the first question. settled
// waits until what calls took is settled.
func (p *Pool) Share(s Sharing, far Far, secrets filters.Secrets) (settled func(), err error) {
	settled = func() {}
	if s.Cache.Store == inStore {
		keys, err := p.keys("cache", secrets, *s.Cache.Key)
		if err != nil {
			return nil, err
		}
		p.answers = &cache.Shared{
			Near: p.near, Far: far, Keys: keys, Timeout: or(s.Cache.Timeout, defaultCacheTimeout), PutTimeout: unwaited,
			Breaker: p.pause("cache"), Now: p.opt.Now, Rand: p.opt.Rand, Observe: p.observe("cache"),
		}
	}
	if s.Budgets.Store == inStore {
		keys, err := p.keys("budgets", secrets, *s.Budgets.Key)
		if err != nil {
			return nil, err
		}
		b := &budget.Shared{
			Counters: far, Keys: keys, Timeout: or(s.Budgets.Timeout, defaultBudgetTimeout), SettleTimeout: unwaited,
			Breaker: p.pause("budgets"), Now: p.opt.Now, Observe: p.observe("budgets"),
		}
		if s.Budgets.OnStoreError != "closed" {
			p.alone = p.budgets
		}
		p.budgets, settled = b, b.Close
	}
	return settled, nil
}

// keys reads a key. One in Vault may come later; any other is there at start.
func (p *Pool) keys(of string, secrets filters.Secrets, ref filters.SecretRef) (*keyring.Source, error) {
	keys, err := keyring.NewSource(secrets, ref, p.opt.Now)
	if err != nil && ref.Vault == nil {
		return nil, fmt.Errorf("reading the key of the shared %s: %w", of, err)
	}
	if err != nil {
		p.opt.Log.Error("nothing is shared until the key is there", "what", of, "error", err.Error())
	}
	return keys, nil
}

// pause makes the breaker that leaves a store alone where it fails.
func (p *Pool) pause(of string) circuitbreaker.CircuitBreaker[any] {
	return circuitbreaker.NewBuilder[any]().WithFailureThreshold(storeFailures).WithSuccessThreshold(1).WithDelay(storePause).
		OnOpen(func(circuitbreaker.StateChangedEvent) {
			p.opt.Log.Warn("the shared store fails and is left alone for a while", "what", of, "for", storePause.String())
		}).
		OnClose(func(circuitbreaker.StateChangedEvent) { p.opt.Log.Info("the shared store is back", "what", of) }).
		Build()
}

func (p *Pool) observe(of string) func(operation, result string) {
	return func(operation, result string) { p.opt.Observer.ModelStore(of, operation, result) }
}
