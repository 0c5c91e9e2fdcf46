// Package wire is where questions go out to models: one Transport a vendor's
// protocol. It knows how a question is written down, what an error means, and
// which hosts may be called. Nothing here decides whether to call again.
package wire
