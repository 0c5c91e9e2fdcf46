package schema

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/sluice-proxy/sluice/internal/ai/answer"
)

// limits are what may be changed.
type limits struct {
	fields      fields
	never       never
	max         int
	dropUnknown bool
}

const (
	// maxMembers is how many members an object may have for a name to be
	// looked for among them.
	maxMembers = 256
	// maxFaults is how many errors a body may have to be worth the work.
	maxFaults = 1000
)

// change is one change: what was done, and where in the schema it says so.
type change struct{ kind, place string }

// The kinds of changes, as decisions count them.
const (
	asNumber  = "number"
	asBoolean = "boolean"
	asString  = "string"
	asDate    = "date"
	toEnum    = "enum"
	renamed   = "rename"
	byDefault = "default"
	wrapped   = "wrap"
	unwrapped = "unwrap"
	trimmed   = "trim"
	dropped   = "drop"
	suggested = "suggest"
)

// coercion is the work on one document.
type coercion struct {
	rules   *rules
	limits  *limits
	root    *node
	changes []change
}

// run changes the document until it fits, nothing more can be done, or the
// limit is reached. It reports whether the document fits. Each round changes
// at least one thing, so that there are no more rounds than changes.
func (c *coercion) run(ctx context.Context, found []fault) (bool, error) {
	for len(found) > 0 {
		if len(found) > maxFaults {
			return false, nil
		}
		var touched [][]string
		for i := range found {
			if err := ctx.Err(); err != nil {
				return false, err
			}
			f := &found[i]
			if slices.ContainsFunc(touched, func(t []string) bool { return len(t) <= len(f.path) && slices.Equal(t, f.path[:len(t)]) }) {
				continue
			}
			before := len(c.changes)
			if before >= c.limits.max {
				return false, nil
			}
			if c.fix(f) {
				touched = append(touched, f.path)
			}
			if len(c.changes) > c.limits.max {
				return false, nil
			}
		}
		if len(touched) == 0 {
			return false, nil
		}
		found = c.rules.faults(c.root.value())
	}
	return true, nil
}

func (c *coercion) did(what, place string) bool {
	c.changes = append(c.changes, change{what, place})
	return true
}

// fix tries what can be done about one fault, in a fixed order.
func (c *coercion) fix(f *fault) bool {
	n := c.root.find(f.path)
	if n == nil || f.schema == nil {
		return false
	}
	switch k := f.kind.(type) {
	case *kind.Required:
		return c.supply(f, n, k.Missing)
	case *kind.DependentRequired:
		return c.supply(f, n, k.Missing)
	case *kind.Dependency:
		return c.supply(f, n, k.Missing)
	case *kind.AdditionalProperties:
		return c.drop(f, n, k.Properties)
	}
	if !c.limits.fields.allow(f.path) {
		return false
	}
	switch k := f.kind.(type) {
	case *kind.Type:
		return c.retype(f, n, k.Want)
	case *kind.Format:
		return c.date(f, n, k.Want) || c.trim(f, n)
	case *kind.Enum:
		return c.retypeTo(f, n, k.Want) || c.nearest(f, n, k.Want) || c.trim(f, n)
	case *kind.Const:
		return c.retypeTo(f, n, []any{k.Want}) || c.nearest(f, n, []any{k.Want}) || c.trim(f, n)
	case *kind.Pattern, *kind.MaxLength:
		return c.trim(f, n)
	}
	return false
}

// retype writes a value in another type, its text as it stands.
func (c *coercion) retype(f *fault, n *node, want []string) bool {
	wants := func(ts ...string) bool {
		return slices.ContainsFunc(ts, func(t string) bool { return slices.Contains(want, t) })
	}
	switch {
	case n.kind == '"':
		text := strings.TrimSpace(n.text)
		if num, ok := numberText(text); ok && wants("number", "integer") && fits(f.schema, json.Number(num)) {
			*n = node{kind: '0', raw: num}
			return c.did(asNumber, f.place)
		}
		if b, ok := boolean(text); ok && wants("boolean") && fits(f.schema, b == "true") {
			*n = node{kind: b[0], raw: []byte(b)}
			return c.did(asBoolean, f.place)
		}
	case (n.kind == '0' || n.kind == 't' || n.kind == 'f') && wants("string"):
		if text := string(n.raw); fits(f.schema, text) {
			n.putText(text)
			return c.did(asString, f.place)
		}
	}
	switch {
	case n.kind != '[' && n.kind != 'n' && wants("array"):
		n.wrap()
		return c.did(wrapped, f.place)
	case n.kind == '[' && len(n.members) == 1 && !wants("array"):
		n.unwrap()
		return c.did(unwrapped, f.place)
	}
	return false
}

// retypeTo is retype for a value that is one of a list, in another type.
func (c *coercion) retypeTo(f *fault, n *node, allowed []any) bool {
	var want []string
	for _, a := range allowed {
		switch x := a.(type) {
		case json.Number:
			if n.kind == '"' && strings.TrimSpace(n.text) == x.String() {
				want = append(want, "number")
			}
		case bool:
			if n.kind == '"' {
				want = append(want, "boolean")
			}
		case string:
			if n.kind != '"' && x == string(n.raw) {
				want = append(want, "string")
			}
		}
	}
	return len(want) > 0 && c.retype(f, n, want)
}

// boolean reads true and false as they are written by people.
func boolean(s string) (string, bool) {
	v, ok := answer.Bool(s)
	switch {
	case !ok:
		return "", false
	case v:
		return "true", true
	}
	return "false", true
}

// date writes a date or a time as RFC 3339 has it.
func (c *coercion) date(f *fault, n *node, format string) bool {
	if n.kind != '"' || len(n.text) > 64 {
		return false
	}
	var text string
	var ok bool
	switch format {
	case "date":
		text, ok = answer.Date(n.text)
	case "date-time":
		text, ok = dateTime(n.text)
	}
	if !ok || !fits(f.schema, text) {
		return false
	}
	n.putText(text)
	return c.did(asDate, f.place)
}

// timeLayouts are ways to write a time that can only be read in one way: all
// of them say the offset.
var timeLayouts = []string{
	"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05Z0700",
	"2006-01-02 15:04:05 Z0700", "2006-01-02T15:04Z07:00", "2006-01-02 15:04Z07:00", "20060102T150405Z0700",
	time.RFC1123Z, "Mon, 02 Jan 2006 15:04:05 GMT",
}

func dateTime(s string) (string, bool) {
	s = strings.ToUpper(strings.TrimSpace(s))
	for _, l := range timeLayouts {
		// Parse does not mind the case of month and day names.
		if t, err := time.Parse(l, s); err == nil {
			return t.Format(time.RFC3339Nano), true
		}
	}
	return "", false
}

// nearest puts the allowed value in the place of one that is the same but for
// case, spaces, hyphens and underscores, or that only one allowed value is near
// to.
func (c *coercion) nearest(f *fault, n *node, allowed []any) bool {
	if n.kind != '"' || c.limits.never.path(f.path) {
		return false
	}
	best, ok := pick(n.text, allowed)
	if !ok || !fits(f.schema, best) {
		return false
	}
	n.putText(best)
	return c.did(toEnum, f.place)
}

func pick(s string, allowed []any) (string, bool) {
	var same, near []string
	for _, a := range allowed {
		text, ok := a.(string)
		switch {
		case !ok:
		case squeeze(text) == squeeze(s) && squeeze(s) != "":
			same = append(same, text)
		case isNear(squeeze(s), squeeze(text)):
			near = append(near, text)
		}
	}
	if len(same) > 0 {
		near = same
	}
	if len(near) != 1 {
		return "", false
	}
	return near[0], true
}

// isNear reports whether two words are within two edits, or within one where
// they are shorter than six letters, and are not shorter than three.
func isNear(a, b string) bool {
	x, y := utf8.RuneCountInString(a), utf8.RuneCountInString(b)
	short, long := min(x, y), max(x, y)
	if short < 3 || long > 64 || long-short > 2 {
		return false
	}
	limit := 1
	if short >= 6 {
		limit = 2
	}
	return answer.Distance(a, b) <= limit
}

// trim takes the white space off both ends.
func (c *coercion) trim(f *fault, n *node) bool {
	if n.kind != '"' {
		return false
	}
	text := strings.TrimSpace(n.text)
	if text == n.text || !fits(f.schema, text) {
		return false
	}
	n.putText(text)
	return c.did(trimmed, f.place)
}

// supply gives an object the members that it lacks: one of another name that
// was meant, or the schema's default.
func (c *coercion) supply(f *fault, n *node, missing []string) bool {
	some := false
	for _, name := range missing {
		path := append(slices.Clone(f.path), name)
		if !c.limits.fields.allow(path) {
			continue
		}
		if m := c.meant(f, n, name, missing); m != nil {
			m.rename(name)
			some = c.did(renamed, f.place+"/properties/"+escape(name))
			continue
		}
		text, ok := defaultOf(f.schema.Properties[name])
		if !ok || c.limits.never.path(path) {
			continue
		}
		d, err := parse(text)
		if err != nil || c.limits.never.beneath(d.root) || !fits(f.schema.Properties[name], d.root.value()) {
			continue
		}
		n.add(name, d.root)
		some = c.did(byDefault, f.place+"/properties/"+escape(name))
	}
	return some
}

// meant returns the only unknown member that stands for the missing name, and
// for no other missing one. Names of identifiers and amounts must be the same
// but for their spelling.
func (c *coercion) meant(f *fault, n *node, name string, missing []string) *member {
	like := func(have, want string) bool {
		if squeeze(have) == squeeze(want) {
			return true
		}
		return !c.limits.never.name(have) && !c.limits.never.name(want) && isNear(squeeze(have), squeeze(want))
	}
	if len(n.members) > maxMembers {
		return nil
	}
	var found *member
	for _, m := range n.members {
		if c.rules.names[m.name] || matchesPattern(f.schema, m.name) || !like(m.name, name) {
			continue
		}
		if found != nil {
			return nil
		}
		found = m
	}
	if found == nil {
		return nil
	}
	for _, other := range missing {
		if other != name && like(found.name, other) {
			return nil
		}
	}
	return found
}

func matchesPattern(s *jsonschema.Schema, name string) bool {
	for re := range s.PatternProperties {
		if re.MatchString(name) {
			return true
		}
	}
	return false
}

// defaultOf returns a schema's default in JSON, through its references.
func defaultOf(s *jsonschema.Schema) ([]byte, bool) {
	for range 8 {
		if s == nil {
			return nil, false
		}
		if s.Default != nil {
			b, err := answer.Encode(*s.Default)
			return b, err == nil
		}
		s = s.Ref
	}
	return nil, false
}

// drop takes away what the schema does not allow.
func (c *coercion) drop(f *fault, n *node, unknown []string) bool {
	if !c.limits.dropUnknown {
		return false
	}
	some := false
	for _, name := range unknown {
		if c.limits.fields.allow(append(slices.Clone(f.path), name)) {
			n.remove(name)
			some = c.did(dropped, f.place)
		}
	}
	return some
}

// fits reports whether a value fits a part of the schema.
func fits(s *jsonschema.Schema, v any) bool { return s != nil && s.Validate(v) == nil }

func escape(name string) string { return pointer([]string{name})[1:] }
