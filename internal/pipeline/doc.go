// Package pipeline runs the steps of the matching policies on one exchange:
// in order, phase by phase, with each step's condition, mode, rollout,
// timeout and failure rule, and leaves a record of every decision.
//
// It knows nothing of the data plane's protocol: extproc tells it what the
// data plane can still do (Caps), feeds it headers, body chunks and trailers,
// and carries out the Turn that comes back. Nor does it parse: bodies go
// through internal/body.
package pipeline
