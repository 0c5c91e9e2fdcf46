// Package store keeps state that outlives an exchange: in memory, for one
// replica, or in Redis, for several.
//
// It is bounded: every entry has a time to live, and memory a most number of
// bytes, past which the entry that was used longest ago goes. What that means
// is the user's to say; for the token vault it means that a token is no longer
// put back. Redis also has counters, for what replicas may use together.
package store
