package filters

import (
	"fmt"
	"strings"
)

// Ledger collects what one step wants changed in one call. The runner commits
// it when the step is enforced, and only records it otherwise. The zero value
// is empty and ready to use.
type Ledger struct {
	// Changes are to the headers of the phase's message, or to its trailers
	// in a trailers phase, in order.
	Changes []Change
	// Body replaces the whole body where SetBody was called; only a step that
	// needs the whole body may.
	Body    []byte
	BodySet bool
	// Denial, where set, ends the exchange with a response of its own.
	Denial *Denial
	// Metadata is dynamic metadata for the data plane, by namespace.
	Metadata map[string]map[string]any
	// ClearRouteCache asks the data plane to choose the route again; it only
	// has an effect in the request's headers, together with a header change.
	ClearRouteCache bool
	// Result is what later steps see as steps.<name>.
	Result any
}

// SetHeader replaces every value of name by one. Names are lower-cased.
func (l *Ledger) SetHeader(name, value string) {
	l.Changes = append(l.Changes, Change{SetField, strings.ToLower(name), value})
}

// AddHeader adds a value to name.
func (l *Ledger) AddHeader(name, value string) {
	l.Changes = append(l.Changes, Change{AddField, strings.ToLower(name), value})
}

// RemoveHeader removes every value of name.
func (l *Ledger) RemoveHeader(name string) {
	l.Changes = append(l.Changes, Change{Op: RemoveField, Name: strings.ToLower(name)})
}

// SetBody replaces the whole body.
func (l *Ledger) SetBody(b []byte) { l.Body, l.BodySet = b, true }

// SetMetadata sets one key of the dynamic metadata in namespace.
func (l *Ledger) SetMetadata(namespace, key string, value any) {
	if l.Metadata == nil {
		l.Metadata = map[string]map[string]any{}
	}
	if l.Metadata[namespace] == nil {
		l.Metadata[namespace] = map[string]any{}
	}
	l.Metadata[namespace][key] = value
}

// Deny ends the exchange with d.
func (l *Ledger) Deny(d Denial) { l.Denial = &d }

// Empty reports whether the ledger asks for no change at all.
func (l *Ledger) Empty() bool {
	return len(l.Changes) == 0 && !l.BodySet && l.Denial == nil && len(l.Metadata) == 0 && !l.ClearRouteCache
}

// Denial is a response that Sluice gives in place of the backend's. Its body
// is an RFC 9457 problem document.
type Denial struct {
	// Status is the HTTP status, 400 to 599. 502, 503 and 504 are retried by
	// most meshes and are not for decisions.
	Status int
	// Type is a URI that names the problem; "about:blank" where empty.
	Type string
	// Title is a short text that is the same for every occurrence.
	Title string
	// Detail is for this occurrence. It must hold no message content.
	Detail string
	// Extensions are further members of the problem document.
	Extensions map[string]any
	// Headers are added to the response, e.g. Retry-After.
	Headers []Field
}

// CheckStatus reports why a status is none to deny an exchange with.
func CheckStatus(status int) error {
	switch {
	case status < 400 || status > 599:
		return fmt.Errorf("status %d is not an error status (400 to 599)", status)
	case status >= 502 && status <= 504:
		return fmt.Errorf("status %d is retried by data planes and is no decision", status)
	}
	return nil
}

// DenyError is returned by a Stream to end the exchange: not a failure, but
// what the policy asks for.
type DenyError struct{ Denial Denial }

// Error implements error.
func (e *DenyError) Error() string { return "denied: " + e.Denial.Title }
