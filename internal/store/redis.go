package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sluice-proxy/sluice/filters"
)

const (
	defaultPrefix  = "sluice:"
	defaultTimeout = 250 * time.Millisecond
)

// Redis is a store in a Redis or Valkey server.
type Redis struct {
	client  *redis.Client
	prefix  string
	timeout time.Duration
}

// quiet turns the client's own log off: it would write to the standard error
// for every dial that fails, and the error comes back anyway.
var quiet = sync.OnceFunc(func() { redis.SetLogger(silent{}) })

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func newRedis(c Config) (*Redis, error) {
	quiet()
	r := &Redis{prefix: c.Prefix, timeout: c.Timeout}
	if r.prefix == "" {
		r.prefix = defaultPrefix
	}
	if r.timeout == 0 {
		r.timeout = defaultTimeout
	}
	opt := &redis.Options{
		Addr: c.Address, Username: c.Username, DB: c.Database,
		DialTimeout: r.timeout, ReadTimeout: r.timeout, WriteTimeout: r.timeout, PoolTimeout: r.timeout,
		ContextTimeoutEnabled: true, MaxRetries: 1, DialerRetries: 1,
		DisableIdentity: true, // it tells the server about the library, at the cost of a round trip
	}
	if c.Password != nil {
		password, err := c.Password.Read()
		if err != nil {
			return nil, &filters.FieldError{Path: "password", Msg: err.Error()}
		}
		opt.Password = password.Reveal()
	}
	if c.TLS != nil {
		cfg, err := c.TLS.config()
		if err != nil {
			return nil, &filters.FieldError{Path: "tls", Msg: err.Error()}
		}
		opt.TLSConfig = cfg
	}
	r.client = redis.NewClient(opt)
	return r, nil
}

// Ping implements Backend.
func (r *Redis) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	return failed("reaching", r.client.Ping(ctx).Err())
}

// Close implements Backend.
func (r *Redis) Close() error { return r.client.Close() }

// failed says what could not be done; errors of the client name commands and
// addresses, never keys or values.
func failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s the store: %w", doing, err)
}

// Get implements filters.Store.
func (r *Redis) Get(ctx context.Context, keys ...string) ([][]byte, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	full := make([]string, len(keys))
	for i, k := range keys {
		full[i] = r.prefix + k
	}
	values, err := r.client.MGet(ctx, full...).Result()
	if err != nil {
		return nil, failed("reading from", err)
	}
	out := make([][]byte, len(keys))
	for i, v := range values {
		if s, ok := v.(string); ok {
			out[i] = []byte(s)
		}
	}
	return out, nil
}

// Put implements filters.Store.
func (r *Redis) Put(ctx context.Context, ttl time.Duration, entries ...filters.Entry) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, e := range entries {
			p.Set(ctx, r.prefix+e.Key, e.Value, ttl)
		}
		return nil
	})
	return failed("writing to", err)
}

// number looks a member up and gives it the next number in one step, so that
// two replicas never give one number to two members. The count is under the
// empty name, which no member has.
var number = redis.NewScript(`
local n = redis.call('HGET', KEYS[1], 'm' .. ARGV[1])
if not n then
  n = redis.call('HINCRBY', KEYS[1], '', 1)
  redis.call('HSET', KEYS[1], 'm' .. ARGV[1], n)
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return tonumber(n)
`)

// Number implements filters.Store.
func (r *Redis) Number(ctx context.Context, ttl time.Duration, list, member string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	n, err := number.Run(ctx, r.client, []string{r.prefix + list}, member, ttl.Milliseconds()).Int64()
	return n, failed("numbering in", err)
}
