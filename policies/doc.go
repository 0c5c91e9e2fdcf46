// Package policies turns YAML into an immutable Set of compiled policies:
// strictly, with every problem at once and each at its file, line and column.
// A Set matches exchanges to the steps that apply to them. A Store keeps the
// Set in force and replaces it when the files change, but never by a set that
// has an error.
package policies
