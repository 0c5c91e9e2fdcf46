package audit

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// stepMembers are the members of a line that are the same for all decisions of
// a step, which is of one set, in one phase and mode.
func stepMembers(r *pipeline.Record) []byte {
	b := appendMember(nil, "set", r.Set)
	b = appendMember(b, "policy", r.Policy)
	b = appendMember(b, "step", r.Step)
	b = appendMember(b, "filter", r.Filter)
	b = appendMember(b, "phase", r.Phase.String())
	mode := r.Mode
	if mode == "" {
		mode = pipeline.Enforce
	}
	return appendMember(b, "mode", string(mode))
}

// appendLine appends the record as one line of JSON. step are its stepMembers.
func (l *Log) appendLine(b []byte, r *pipeline.Record, step []byte) []byte {
	b = append(b, `{"time":"`...)
	b = l.appendTime(b, r.Time)
	b = append(b, '"')
	b = appendMember(b, "exchange", r.Exchange)
	b = append(b, step...)
	b = appendMember(b, "verdict", r.Decision.Verdict.String())
	if r.Decision.Reason != "" {
		b = appendMember(b, "reason", r.Decision.Reason)
	}
	if r.Decision.Verdict == filters.Failed && r.OnError != "" {
		b = appendMember(b, "onError", string(r.OnError))
	}
	b = appendCounts(b, "findings", r.Decision.Findings)
	b = appendCounts(b, "actions", r.Decision.Actions)
	b = appendDetails(b, r.Decision.Details)
	b = append(b, `,"duration_us":`...)
	b = strconv.AppendInt(b, r.Duration.Microseconds(), 10)
	return append(b, '}', '\n')
}

// second is a second, and how it is written.
type second struct {
	unix int64
	text []byte
}

// appendTime writes a time as time.RFC3339Nano does, in UTC. Most lines are of
// the second that the one before was of.
func (l *Log) appendTime(b []byte, t time.Time) []byte {
	now := l.second.Load()
	if unix := t.Unix(); now == nil || now.unix != unix {
		now = &second{unix, t.UTC().AppendFormat(nil, "2006-01-02T15:04:05")}
		l.second.Store(now)
	}
	b = append(b, now.text...)
	if n := t.Nanosecond(); n > 0 {
		b = append(b, ".000000000"...)
		for i := len(b) - 1; n > 0; i-- {
			b[i] = byte('0' + n%10)
			n /= 10
		}
		b = bytes.TrimRight(b, "0")
	}
	return append(b, 'Z')
}

// appendNote appends the note as one line of JSON.
func appendNote(b []byte, n *filters.Note) []byte {
	b = append(b, `{"time":"`...)
	b = n.Time.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, '"')
	if n.Exchange != "" {
		b = appendMember(b, "exchange", n.Exchange)
	}
	b = appendMember(b, "set", n.Set)
	b = appendMember(b, "policy", n.Policy)
	b = appendMember(b, "step", n.Step)
	b = appendMember(b, "note", n.Kind)
	if n.Text != "" {
		b = appendMember(b, "text", n.Text)
	}
	b = appendDetails(b, n.Details)
	return append(b, '}', '\n')
}

func appendMember(b []byte, name, value string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return appendString(b, value)
}

func appendCounts(b []byte, name string, counts filters.Counts) []byte {
	if len(counts) == 0 {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, `":{`...)
	for i := range counts {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, counts[i].Name)
		b = append(b, ':')
		b = strconv.AppendInt(b, int64(counts[i].N), 10)
	}
	return append(b, '}')
}

// appendDetails writes labels, numbers and flags. Anything else is left out:
// what is not one of them may be content.
func appendDetails(b []byte, details map[string]any) []byte {
	if len(details) == 0 {
		return b
	}
	first := true
	for _, k := range slices.Sorted(maps.Keys(details)) {
		var value []byte
		switch v := details[k].(type) {
		case string:
			value = appendString(nil, v)
		case bool:
			value = strconv.AppendBool(nil, v)
		case int:
			value = strconv.AppendInt(nil, int64(v), 10)
		case int64:
			value = strconv.AppendInt(nil, v, 10)
		case float64:
			if v-v != 0 { // infinite or not a number: JSON has neither
				continue
			}
			value = strconv.AppendFloat(nil, v, 'g', -1, 64)
		default:
			continue
		}
		if first {
			b = append(b, `,"details":{`...)
			first = false
		} else {
			b = append(b, ',')
		}
		b = append(appendString(b, k), ':')
		b = append(b, value...)
	}
	if !first {
		b = append(b, '}')
	}
	return b
}

const hexDigits = "0123456789abcdef"

// appendString writes s as a JSON string (RFC 8259 section 7): an id from
// outside can neither end the string nor the line.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	i := plain(s)
	b = append(b, s[:i]...)
	for i < len(s) {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && n == 1:
				b = append(b, "\ufffd"...)
			case r == '\u2028', r == '\u2029': // some readers end a line at them
				b = append(b, `\u202`...)
				b = append(b, hexDigits[r&15])
			default:
				b = append(b, s[i:i+n]...)
			}
			i += n
			continue
		}
		i++
	}
	return append(b, '"')
}

// plain returns how much of s, from its beginning, is written as it is: all of
// it as nearly always, which is found out by eight bytes.
func plain(s string) int {
	if n := len(s); n >= 8 {
		found := special(s[n-8:])
		for i := 0; i+8 <= n; i += 8 {
			found |= special(s[i:])
		}
		if found == 0 {
			return n
		}
	}
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return i
		}
	}
	return len(s)
}

// special is 0 where the first eight bytes of s are all written as they are.
func special(s string) uint64 {
	_ = s[7]
	w := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 | uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	const ones = 0x0101010101010101
	quote, slash, del := w^ones*'"', w^ones*'\\', w^ones*0x7f
	return (w | (w-ones*0x20)&^w | (quote-ones)&^quote | (slash-ones)&^slash | (del-ones)&^del) & (ones * 0x80)
}
