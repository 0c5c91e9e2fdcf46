// Package filters is the contract between Sluice and its filters, and the
// registry that names them. It imports nothing outside the standard library,
// so a filter can be written, tested and reasoned about without the data
// plane's protocol, the policy language or a model vendor's SDK.
//
// A filter is a kind of work. A policy uses it as a step, with a
// configuration of the filter's own type. The life of one use:
//
//  1. the policy loader decodes the step's configuration strictly into the
//     filter's config type and calls Spec.New once: the result is a Filter,
//     immutable and used by many exchanges at once;
//  2. the runner asks the Filter what it Needs in the direction the step
//     stands in, and plans the exchange by the most that any step needs;
//  3. for every exchange the runner calls Apply at the phases the needs name,
//     and, where the needs say that the body is streamed, Open once and then
//     Value for every selected value;
//  4. what a filter wants changed goes into the Ledger or, for a streamed
//     body, onto the Value. The runner commits it, or throws it away when the
//     step only observes.
//
// A filter never sees protobuf, a chunk boundary or another filter.
package filters
