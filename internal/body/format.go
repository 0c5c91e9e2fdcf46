package body

import "strings"

// Format is how a body is read.
type Format uint8

// The formats. A body read as Text whose first character opens an object or
// array is tried as JSON first: a content type can lie.
const (
	Text Format = iota
	JSON
	Lines  // a JSON text a line: NDJSON, JSON Lines, RFC 7464 sequences
	Events // Server-Sent Events, see events
)

// FormatOf returns the format that a Content-Type value stands for. known is
// false for types that are neither text nor JSON; their Format is Text.
func FormatOf(contentType string) (f Format, known bool) {
	t, _, _ := strings.Cut(contentType, ";")
	t = strings.TrimSpace(t)
	switch {
	case t == "":
		return Text, true
	case equalFold(t, "application/json"), equalFold(t, "text/json"), hasSuffixFold(t, "+json"):
		return JSON, true
	case equalFold(t, "application/x-ndjson"), equalFold(t, "application/ndjson"), equalFold(t, "application/jsonl"),
		equalFold(t, "application/x-jsonlines"), equalFold(t, "application/json-seq"), hasSuffixFold(t, "+json-seq"):
		return Lines, true
	case equalFold(t, "text/event-stream"):
		return Events, true
	case len(t) > 5 && equalFold(t[:5], "text/"), equalFold(t, "application/x-www-form-urlencoded"),
		equalFold(t, "application/xml"), hasSuffixFold(t, "+xml"), equalFold(t, "application/javascript"),
		equalFold(t, "application/yaml"), equalFold(t, "application/graphql"):
		return Text, true
	}
	return Text, false
}

func equalFold(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

func hasSuffixFold(s, suffix string) bool {
	return len(s) > len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}
