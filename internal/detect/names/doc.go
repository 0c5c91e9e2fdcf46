// Package names finds people, places, organisations and groups in text by how
// their names are written and by what stands around them. It is a linear-chain
// conditional random field over the few words of a text that could be part of
// a name: those that a capital letter, a list of names, or the name of the
// field makes worth it, and what joins them. Everything else is passed over.
//
// What is decided about a word depends on the 192 bytes before it and on at
// most 240 behind its beginning, never on how the text was cut into pieces.
//
// The model is embedded; internal/detect/train makes it.
package names
