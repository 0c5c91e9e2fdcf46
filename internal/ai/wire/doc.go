// Package wire is a question as it goes out and an answer as it comes back,
// whoever the vendor is: how data is fenced in a prompt, and what can go wrong.
package wire
