package summarize

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
)

// exchangePart names the sentence that says what is known of an exchange.
const exchangePart = "exchange"

// Bounds of a snapshot.
const (
	maxFacts    = 64
	maxName     = 64
	maxFact     = 200
	maxSegments = 32
	maxSegment  = 64
	maxState    = 40
)

// fact is a field of a body, masked.
type fact struct{ name, value string }

// snapshot is what is kept of an exchange, masked.
type snapshot struct {
	// gist is the sentence, and kind the same without ids.
	gist, kind        string
	request, response []fact
}

func (m masker) snapshot(ex *filters.Exchange, f *filter) snapshot {
	var s snapshot
	if f.reads(filters.Request) {
		s.request = m.facts(&ex.Request, f.cfg.MaxBytes)
	}
	if f.reads(filters.Response) {
		s.response = m.facts(&ex.Response, f.cfg.MaxBytes)
	}
	who := "Caller"
	if ex.Consumer.ID != "" || ex.Consumer.Username != "" {
		who = "User"
	}
	method, status := ex.Request.Headers.Get(":method"), ex.Response.Headers.Get(":status")
	r := m.resource(ex.Request.Headers.Get(":path"), method == "POST")
	s.gist = sentence(who, method, r.full, r.plural, status, stateOf(method, s.request))
	s.kind = sentence(who, method, r.kind, r.plural, status, "")
	if status != "" && !failed(status) {
		s.kind += " (" + statusText(status) + ")"
	}
	return s
}

// parts are the question about the snapshot.
func (s *snapshot) parts(limit int, detail string) []filters.Part {
	text := s.gist + "."
	for _, side := range []struct {
		verb  string
		facts []fact
	}{{"Sent", s.request}, {"Received", s.response}} {
		if detail == "brief" || len(side.facts) == 0 {
			continue
		}
		more := " " + side.verb + ":"
		for i, f := range side.facts {
			item := " " + f.name
			if detail == "full" {
				item += " " + f.value
			}
			if i > 0 {
				item = "," + item
			}
			if len(text)+len(more)+len(item) >= limit {
				break
			}
			more += strings.TrimRight(item, ".!?")
		}
		if !strings.HasSuffix(more, ":") {
			text += more + "."
		}
	}
	parts := []filters.Part{{Text: "Sum up this exchange."}, {Name: exchangePart, Text: text, Data: true}}
	for _, side := range []struct {
		name  string
		facts []fact
	}{{"request", s.request}, {"response", s.response}} {
		if len(side.facts) == 0 {
			continue
		}
		var b strings.Builder
		for _, f := range side.facts {
			b.WriteString(f.name + ": " + f.value + "\n")
		}
		parts = append(parts, filters.Part{Name: side.name, Text: b.String(), Data: true})
	}
	return parts
}

// verbs are what a method does, done and failed.
var verbs = map[string][2]string{
	"GET": {"read", "read"}, "HEAD": {"looked at", "look at"}, "POST": {"created", "create"}, "PUT": {"updated", "update"},
	"PATCH": {"updated", "update"}, "DELETE": {"deleted", "delete"},
}

// sentence says what happened.
func sentence(who, method, resource string, plural bool, status, state string) string {
	verb, ok := verbs[method]
	if !ok || method == "POST" && !plural {
		verb = [2]string{"called", "call"}
	}
	switch {
	case status == "":
		return who + " tried to " + verb[1] + " " + resource + " and got no response"
	case failed(status):
		return who + " failed to " + verb[1] + " " + resource + state + " (" + statusText(status) + ")"
	}
	return who + " " + verb[0] + " " + resource + state
}

func failed(status string) bool { return status[0] == '4' || status[0] == '5' }

// statusText is the status, where it is one.
func statusText(s string) string {
	if len(s) == 3 && strings.Trim(s, "0123456789") == "" {
		return s
	}
	return "bad status"
}

// stateOf is " to 'paid'" where a write says so.
func stateOf(method string, facts []fact) string {
	if method != "POST" && method != "PUT" && method != "PATCH" {
		return ""
	}
	for _, f := range facts {
		switch strings.ToLower(f.name) {
		case "status", "state":
			if f.value != "" && len(f.value) <= maxState {
				return " to '" + f.value + "'"
			}
		}
	}
	return ""
}

// resource is what a path stands for: "lines of invoice INV-1001".
type resource struct {
	full, kind string
	// plural: the path ends with a collection, so that POST creates one of it.
	plural bool
}

// people are resources whose ids, where they are words, may be names.
var people = map[string]bool{
	"user": true, "customer": true, "people": true, "person": true, "patient": true, "member": true, "employee": true, "contact": true,
	"account": true, "profile": true, "student": true, "client": true, "author": true, "owner": true, "staff": true, "u": true,
}

var (
	literalSegment = regexp.MustCompile(`^[A-Za-z][A-Za-z_.:-]*$`)
	versionSegment = regexp.MustCompile(`^v[0-9]+([a-z]+[0-9]*)?$`)
)

// resource reads a path. create: a collection at its end stands for one of it.
func (m masker) resource(path string, create bool) resource {
	path, _, _ = strings.Cut(path, "?")
	var full, kind []string // from the last to the first
	segments := strings.Split(strings.Trim(path, "/"), "/")
	segments = segments[max(0, len(segments)-maxSegments):]
	segments = slices.DeleteFunc(segments, func(s string) bool { return s == "" || s == "api" || versionSegment.MatchString(s) })
	r := resource{full: "/", kind: "/"}
	for i := 0; i < len(segments); i++ {
		name := m.segment(segments[i])
		if !literalSegment.MatchString(name) || len(name) > maxSegment/2 {
			full, kind = append(full, name), append(kind, "{id}")
			continue
		}
		last, one := i == len(segments)-1, singular(name)
		if !last {
			id := m.segment(segments[i+1])
			literal := literalSegment.MatchString(id) && len(id) <= maxSegment/2
			if literal && people[strings.ToLower(one)] {
				id = "{id}"
			}
			// What follows a collection is one of it.
			if !literal || one != name {
				full, kind = append(full, one+" "+id), append(kind, one+" {id}")
				i++
				continue
			}
		}
		r.plural = last && one != name
		if r.plural && create {
			name = one
		}
		full, kind = append(full, name), append(kind, name)
	}
	if len(full) > 0 {
		// A long path is told by its end.
		full, kind = full[max(0, len(full)-3):], kind[max(0, len(kind)-3):]
		slices.Reverse(full)
		slices.Reverse(kind)
		r.full, r.kind = strings.Join(full, " of "), strings.Join(kind, " of ")
	}
	return r
}

// segment is a segment of a path, decoded and masked.
func (m masker) segment(s string) string {
	if d, err := url.PathUnescape(s); err == nil {
		s = d
	}
	if !utf8.ValidString(s) {
		return "{id}"
	}
	return m.clean(s, maxSegment)
}

func singular(s string) string {
	switch {
	case strings.HasSuffix(s, "ies") && len(s) > 4:
		return s[:len(s)-3] + "y"
	case strings.HasSuffix(s, "ses") || strings.HasSuffix(s, "xes") || strings.HasSuffix(s, "ches"):
		return s[:len(s)-2]
	case strings.HasSuffix(s, "s") && !strings.HasSuffix(s, "ss") && !strings.HasSuffix(s, "us") && !strings.HasSuffix(s, "is") && len(s) > 3:
		return s[:len(s)-1]
	}
	return s
}

// facts are the fields of a body, masked: of JSON (also of lines of it) and of
// a form by name; any other text is one.
func (m masker) facts(msg *filters.Message, most int) []fact {
	typ := body.TypeOf(msg.Headers.Get("content-type"))
	if len(msg.Body) == 0 || !typ.Readable() {
		return nil
	}
	head := msg.Body[:min(len(msg.Body), most)]
	more := len(head) < len(msg.Body)
	c := collector{masker: m}
	start := bytes.TrimLeft(head, " \t\r\n")
	switch media, _, _ := strings.Cut(msg.Headers.Get("content-type"), ";"); {
	case typ.Format == body.JSON, typ.Format == body.Lines, typ.Format == body.Text && len(start) > 0 && (start[0] == '{' || start[0] == '['):
		c.json(head)
	case typ.Format == body.Form:
		c.form(string(head), more)
	case strings.EqualFold(strings.TrimSpace(media), "text/plain"):
		if bytes.IndexByte(head, 0) < 0 {
			c.text("text", string(head), more)
		}
	}
	return c.out
}

type collector struct {
	masker
	out []fact
}

func (c *collector) add(name, value string) {
	if len(c.out) < maxFacts && value != "" {
		c.out = append(c.out, fact{name, value})
	}
}

// text adds a value under a name. more: it goes on beyond what is there.
func (c *collector) text(name, value string, more bool) {
	c.add(c.name(name), c.line(c.mask(name, value, more), maxFact))
}

// json adds the values of the documents, as far as they go. A value that is
// cut off is not one.
func (c *collector) json(doc []byte) {
	type level struct {
		name   string
		object bool
		value  bool // of an object: a value is next
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	stack := []level{{name: "value"}}
	for len(c.out) < maxFacts {
		t, err := dec.Token()
		if err != nil {
			return
		}
		top := &stack[len(stack)-1]
		if d, ok := t.(json.Delim); ok {
			if d == '}' || d == ']' {
				stack = stack[:len(stack)-1]
				continue
			}
			top.value = false
			stack = append(stack, level{name: top.name, object: d == '{'})
			continue
		}
		s := ""
		switch v := t.(type) {
		case string:
			s = v
		case json.Number:
			s = v.String()
		case bool:
			s = map[bool]string{true: "true", false: "false"}[v]
		}
		if top.object && !top.value {
			top.name, top.value = s, true
			continue
		}
		top.value = false
		c.text(top.name, s, false)
	}
}

// form adds the fields of a form, without one that is cut off.
func (c *collector) form(text string, more bool) {
	if more {
		text = text[:max(0, strings.LastIndexByte(text, '&'))]
	}
	for pair := range strings.SplitSeq(text, "&") {
		k, v, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(k)
		value, err2 := url.QueryUnescape(v)
		if err1 == nil && err2 == nil && len(c.out) < maxFacts {
			c.text(name, value, false)
		}
	}
}
