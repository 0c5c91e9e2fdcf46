package store

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// Counter is what a reservation takes of one counter.
type Counter struct {
	Key string
	// Add is what is added, and Limit what the counter may come to by it.
	Add, Limit int64
	// TTL is how long the counter is kept from now on.
	TTL time.Duration
}

// remembered is how long it is known that a reservation is settled: longer
// than any call of it can be under way.
const remembered = time.Minute

// reserve adds to every counter, or to none. The first key is that of the
// reservation: one that is held already, because the call was repeated, is not
// made again, and one that was settled before it came is not made at all.
var reserve = redis.NewScript(`
local was = redis.call('GET', KEYS[1])
if was then return was == 'held' and 1 or 0 end
for i = 2, #KEYS do
  local used = tonumber(redis.call('GET', KEYS[i]) or '0')
  if tonumber(ARGV[3*i-5]) > tonumber(ARGV[3*i-4]) - used then return 0 end
end
local last = 1
for i = 2, #KEYS do
  redis.call('INCRBY', KEYS[i], ARGV[3*i-5])
  redis.call('PEXPIRE', KEYS[i], ARGV[3*i-3])
  last = math.max(last, tonumber(ARGV[3*i-3]))
end
redis.call('SET', KEYS[1], 'held', 'PX', last)
return 1
`)

// Reserve adds to every counter where all of them stay within their limits,
// and to none otherwise, in one step and one round trip. It says whether it
// did. Where there is an error it is not known; Settle with the same id then
// takes back what was done, or comes before it and prevents it.
func (r *Redis) Reserve(ctx context.Context, id string, counters ...Counter) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	keys, args := r.counters(id, counters)
	for _, c := range counters {
		args = append(args, c.Add, c.Limit, c.TTL.Milliseconds())
	}
	done, err := reserve.Run(ctx, r.client, keys, args...).Bool()
	return done, failed("reserving in", err)
}

// settle adds to the counters of a reservation that is held, once. A counter
// is never less than nothing.
var settle = redis.NewScript(`
local was = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], 'settled', 'PX', ARGV[1])
if was ~= 'held' then return 0 end
for i = 2, #KEYS do
  if redis.call('INCRBY', KEYS[i], ARGV[2*i-2]) < 0 then redis.call('SET', KEYS[i], '0') end
  redis.call('PEXPIRE', KEYS[i], ARGV[2*i-1])
end
return 1
`)

// Settle adds to the counters of a reservation, whatever the limits, once. Of
// one that was not made, or is settled, it changes nothing.
func (r *Redis) Settle(ctx context.Context, id string, counters ...Counter) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	keys, args := r.counters(id, counters)
	args = append(args, remembered.Milliseconds())
	for _, c := range counters {
		args = append(args, c.Add, c.TTL.Milliseconds())
	}
	return failed("settling in", settle.Run(ctx, r.client, keys, args...).Err())
}

func (r *Redis) counters(id string, counters []Counter) (keys []string, args []any) {
	keys = append(make([]string, 0, 1+len(counters)), r.prefix+id)
	for _, c := range counters {
		keys = append(keys, r.prefix+c.Key)
	}
	return keys, make([]any, 0, 1+3*len(counters))
}
