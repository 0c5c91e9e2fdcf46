package ai

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/budget"
	"github.com/sluice-proxy/sluice/internal/ai/cache"
	"github.com/sluice-proxy/sluice/internal/ai/wire"
	"github.com/sluice-proxy/sluice/internal/secret"
)

// DefaultCacheBytes bounds the answers kept in memory.
const DefaultCacheBytes = 64 << 20

// Dial makes the transport to an endpoint of a kind of vendor.
type Dial func(kind string, e wire.Endpoint) (wire.Transport, error)

// Options are what a Pool is given. The zero value works.
type Options struct {
	Now  func() time.Time
	Rand io.Reader
	Log  *slog.Logger
	// Dial makes the transport to a vendor (vendors.Dial). It is handed in so
	// that what only loads policies does not link the vendors' SDKs; where it
	// is nil, builtin is the only type of provider.
	Dial Dial
	// Observer is told of every question.
	Observer Observer
	// Budgets is where usage is counted; in memory where nil.
	Budgets budget.Store
	// CacheBytes bounds the answers kept in memory.
	CacheBytes int64
}

// Pool has the providers that are in use, and keeps those whose configuration
// stays the same over reloads of the policies, with their state. Budgets and
// cached answers go by the provider's name and survive a change of the rest.
type Pool struct {
	opt     Options
	near    *cache.Memory
	answers cache.Store // near, or what is shared behind it
	budgets budget.Store
	alone   budget.Store // counts where budgets fails; nil: nothing does

	mu        sync.Mutex
	providers map[string]*shared[*Provider]
	sources   map[string]*shared[*secret.Source]
}

// shared is something that several sets of policies use.
type shared[T any] struct {
	it   T
	refs int
}

// NewPool returns a pool.
func NewPool(opt Options) (*Pool, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Rand == nil {
		opt.Rand = rand.Reader
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Observer == nil {
		opt.Observer = noObserver{}
	}
	near, err := cache.NewMemory(or(opt.CacheBytes, DefaultCacheBytes))
	if err != nil {
		return nil, err
	}
	p := &Pool{opt: opt, near: near, answers: near, budgets: opt.Budgets, providers: map[string]*shared[*Provider]{}, sources: map[string]*shared[*secret.Source]{}}
	if p.budgets == nil {
		p.budgets = budget.NewMemory(opt.Now)
	}
	return p, nil
}

// BoundCache changes how many bytes of answers are kept in memory; 0 is the
// default.
func (p *Pool) BoundCache(bytes int64) { p.near.Bound(or(bytes, DefaultCacheBytes)) }

// Cached is about how many answers are kept in memory.
func (p *Pool) Cached() int { return p.near.Len() }

// Use is what one set of policies uses of a pool. It is filled while the set
// is loaded, and released with it.
type Use struct {
	pool      *Pool
	secrets   *secret.Source
	secretsID string
	providers map[string]*Provider
	release   []func()
}

// Use begins the use by one set. v is where Vault is; nil where there is none.
func (p *Pool) Use(v *secret.Vault) (*Use, error) {
	id, err := identity("vault", v)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.sources[id]
	if !ok {
		src, err := secret.New(v, p.opt.Log)
		if err != nil {
			return nil, err
		}
		s = &shared[*secret.Source]{it: src}
		p.sources[id] = s
	}
	s.refs++
	u := &Use{pool: p, secrets: s.it, secretsID: id, providers: map[string]*Provider{}}
	u.release = append(u.release, func() {
		if drop(p, p.sources, id) {
			s.it.Close()
		}
	})
	return u, nil
}

// Secrets reads the secrets that policies refer to.
func (u *Use) Secrets() filters.Secrets { return u.secrets }

// Add takes a provider into the set: the one that is there, where its
// configuration is the same, and a new one otherwise. Errors are
// *filters.FieldErrors.
func (u *Use) Add(name string, spec Spec) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	id, err := identity(name+"\x00"+u.secretsID, spec)
	if err != nil {
		return err
	}
	for _, ref := range []*filters.SecretRef{spec.APIKey, deref(spec.Privacy).HashKey} {
		if ref != nil {
			u.secrets.Watch(*ref)
		}
	}
	p := u.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.providers[id]
	if !ok {
		made, err := newProvider(name, spec, p, u.secrets)
		if err != nil {
			return err
		}
		s = &shared[*Provider]{it: made}
		p.providers[id] = s
	}
	s.refs++
	u.providers[name] = s.it
	u.release = append(u.release, func() {
		if drop(p, p.providers, id) {
			s.it.close()
		}
	})
	return nil
}

// Check returns what is wrong with the providers together: a fallback that is
// not there.
func (u *Use) Check(name string) error {
	p := u.providers[name]
	if p == nil || p.spec.Fallback == nil {
		return nil
	}
	for i, f := range p.spec.Fallback.Providers {
		path := fmt.Sprintf("fallback.providers[%d]", i)
		if f == name {
			return &filters.FieldError{Path: path, Msg: "is the provider itself"}
		}
		if u.providers[f] == nil {
			return &filters.FieldError{Path: path, Msg: fmt.Sprintf("there is no provider %q", f), Hint: u.known()}
		}
	}
	return nil
}

// Release gives up what the set used. Questions under way are answered.
func (u *Use) Release() {
	for _, f := range u.release {
		f()
	}
	u.release = nil
}

// drop gives up one use, and reports whether it was the last.
func drop[T any](p *Pool, from map[string]*shared[T], id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := from[id]
	if s == nil {
		return false
	}
	if s.refs--; s.refs > 0 {
		return false
	}
	delete(from, id)
	return true
}

// identity tells configurations apart.
func identity(name string, v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("comparing configurations: %w", err)
	}
	return name + "\x00" + string(b), nil
}
