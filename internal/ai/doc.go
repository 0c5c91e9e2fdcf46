// Package ai answers the questions that filters put to models, and holds all
// that stands around a call of one. A filter sees filters.Models and never a
// vendor.
//
// A Pool has the providers of the policies by name and keeps their state
// (breaker, calls in flight, cache, budgets) over reloads of the policies. A
// question goes through, in this order:
//
//  1. privacy: what the provider's privacy names is replaced by tokens or
//     hashes in all that comes from the exchange;
//  2. cache: an equal question of the same tenant that was answered before, or
//     is being answered now, is not asked again. The key and the kept answer
//     hold the tokens, never the values;
//  3. budget: what the call may take is reserved, and settled after it. Replicas
//     share cache and budgets where Share was told so;
//  4. the call: retries, circuit breaker, bulkhead, hedging, deadline;
//  5. the answer: parsed, repaired once, and held against the schema. What
//     does not fit is an error;
//  6. where there is no answer: the fallback providers, the cached answer that
//     is too old, the task's default;
//  7. the tokens in the answer are put back.
//
// Ask returns when the caller's context ends, whatever the provider does. A
// call that others wait for, or whose answer goes into the cache, goes on
// until the provider's own timeout.
//
// Each concern is a package below: wire (a question on its way out), vendors
// (who is asked), builtin (models of our own), answer, privacy, cache, budget,
// price, tokens and prompt.
package ai
