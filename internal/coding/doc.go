// Package coding decodes and encodes HTTP content codings (RFC 9110, section
// 8.4.1) on the stream: gzip, deflate, br, zstd, and stacks of them. Input is
// pushed in pieces of any size and what can be decoded of it comes out at
// once, so that a body is edited as it passes and is never held as a whole.
//
// A decoder is bounded in the bytes that it gives and in their ratio to what
// it was given: an archive that explodes is an error, not memory.
package coding
