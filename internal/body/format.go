package body

import (
	"mime"
	"strings"

	"github.com/sluice-proxy/sluice/internal/charset"
)

// Format is how a body is read.
type Format uint8

// The formats. A body read as Text, Form or XML whose first character opens a
// JSON object or array is tried as JSON first: a content type can lie.
const (
	Text Format = iota
	JSON
	Lines     // a JSON text a line: NDJSON, JSON Lines, RFC 7464 sequences
	Events    // Server-Sent Events, see events
	Form      // application/x-www-form-urlencoded
	XML       // XML 1.0
	Multipart // RFC 2046, section 5.1: form-data, mixed and the others
	// Unreadable is for a body that is known not to be readable, e.g. for its
	// charset: it counts as unparsed.
	Unreadable
	field // the text of one part
)

// Type is what a Content-Type says of a body.
type Type struct {
	Format Format
	// Known is false for types that are none of the formats, and that are not
	// text; their Format is Text.
	Known bool
	// Charset is the parameter of that name.
	Charset string
	// Believed: the charset counts whatever it is. It does not where the sender
	// could hide something by declaring another one (charset.MultiByte).
	Believed bool
	// Boundary is what separates the parts of a Multipart.
	Boundary string
}

// TypeOf reads a Content-Type value.
func TypeOf(contentType string) Type {
	var t Type
	t.Format, t.Known = FormatOf(contentType)
	if strings.IndexByte(contentType, ';') < 0 {
		return t
	}
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		// What can be told of them without the grammar.
		params = map[string]string{}
		for part := range strings.SplitSeq(contentType, ";") {
			k, v, _ := strings.Cut(part, "=")
			k = strings.ToLower(strings.TrimSpace(k))
			if _, twice := params[k]; !twice {
				params[k] = strings.Trim(strings.TrimSpace(v), `"'`)
			}
		}
	}
	t.Charset, t.Boundary = params["charset"], params["boundary"]
	return t
}

// Transcoder returns what turns a body of the type into UTF-8, and back.
func (t Type) Transcoder() *charset.Transcoder {
	c := charset.Plain
	switch t.Format {
	case JSON, Lines:
		c = charset.JSON
	case XML:
		c = charset.XML
	}
	label := t.Charset
	if !t.Believed && charset.MultiByte(label) {
		label = ""
	}
	return charset.New(label, c)
}

// Readable reports whether a body of the type can be read: whether it is one
// of the formats, in a charset that is known.
func (t Type) Readable() bool {
	return t.Known && charset.Known(t.Charset) && (t.Believed || !charset.MultiByte(t.Charset))
}

// NewEditor returns an editor for a body of the type.
func (t Type) NewEditor(stages []Stage, lim Limits) *Editor {
	e := NewEditor(t.Format, stages, lim)
	e.boundary = t.Boundary
	return e
}

// FormatOf returns the format that a Content-Type value stands for. known is
// false for types that are none of the formats; their Format is Text.
func FormatOf(contentType string) (f Format, known bool) {
	t, _, _ := strings.Cut(contentType, ";")
	t = strings.TrimSpace(t)
	switch {
	case t == "":
		return Text, true
	case equalFold(t, "application/json"), equalFold(t, "text/json"), equalFold(t, "text/x-json"), hasSuffixFold(t, "+json"):
		return JSON, true
	case equalFold(t, "application/x-ndjson"), equalFold(t, "application/ndjson"), equalFold(t, "application/jsonl"),
		equalFold(t, "application/x-jsonlines"), equalFold(t, "application/json-seq"), hasSuffixFold(t, "+json-seq"):
		return Lines, true
	case equalFold(t, "text/event-stream"):
		return Events, true
	case equalFold(t, "application/x-www-form-urlencoded"):
		return Form, true
	case equalFold(t, "application/xml"), equalFold(t, "text/xml"), hasSuffixFold(t, "+xml"):
		return XML, true
	case len(t) > 10 && equalFold(t[:10], "multipart/"):
		return Multipart, true
	case len(t) > 5 && equalFold(t[:5], "text/"), equalFold(t, "application/javascript"), equalFold(t, "application/json5"),
		equalFold(t, "application/yaml"), hasSuffixFold(t, "+yaml"), equalFold(t, "application/toml"),
		equalFold(t, "application/graphql"), equalFold(t, "application/sql"), equalFold(t, "application/xml-dtd"):
		return Text, true
	}
	return Text, false
}

func equalFold(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }

func hasSuffixFold(s, suffix string) bool {
	return len(s) > len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}
