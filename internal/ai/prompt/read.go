package prompt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/ohler55/ojg/jp"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/answer"
	"github.com/sluice-proxy/sluice/internal/expr"
)

// reader reads a placeholder's value. What is not there is "".
type reader func(ex *filters.Exchange) (string, error)

// maxResults bounds what a JSONPath may select.
const maxResults = 1000

// placeholder compiles what stands in a placeholder.
func (p *Prompt) placeholder(s string) (reader, error) {
	word, rest, _ := strings.Cut(s, " ")
	rest = strings.TrimSpace(rest)
	if rest != "" && word != "body" && word != "cel" {
		return nil, errors.New("only body and cel take something after their name")
	}
	head, tail, dotted := strings.Cut(word, ".")
	if dotted && tail == "" {
		return nil, errors.New("a name is missing after the dot")
	}
	switch head {
	case "cel":
		return p.cel(rest)
	case "body":
		return p.bodyReader(rest, dotted)
	case "header":
		return p.header(tail, func(ex *filters.Exchange) *filters.Headers { return &ex.Request.Headers })
	case "headers":
		return p.headers(func(ex *filters.Exchange) *filters.Headers { return &ex.Request.Headers })
	case "response":
		p.response = true
		what, name, _ := strings.Cut(tail, ".")
		of := func(ex *filters.Exchange) *filters.Headers { return &ex.Response.Headers }
		switch what {
		case "status":
			return func(ex *filters.Exchange) (string, error) { return ex.Response.Headers.Get(":status"), nil }, nil
		case "header":
			return p.header(name, of)
		case "headers":
			return p.headers(of)
		}
		return nil, errors.New("of the response there are status, header.NAME and headers; body is that of the step's direction")
	case "steps":
		return p.step(tail)
	case "query":
		return query(tail), nil
	case "claim":
		return func(ex *filters.Exchange) (string, error) { return text(ex.Consumer.Claims[tail]) }, nil
	case "claims":
		return func(ex *filters.Exchange) (string, error) {
			if len(ex.Consumer.Claims) == 0 {
				return "", nil
			}
			return text(ex.Consumer.Claims)
		}, nil
	}
	if r, ok := plain[word]; ok {
		return r, nil
	}
	return nil, errors.New("there is no such placeholder")
}

// plain are the placeholders that need no more than the exchange.
var plain = map[string]reader{
	"method": func(ex *filters.Exchange) (string, error) { return ex.Request.Headers.Get(":method"), nil },
	"path": func(ex *filters.Exchange) (string, error) {
		path, _, _ := strings.Cut(ex.Request.Headers.Get(":path"), "?")
		return path, nil
	},
	"host": func(ex *filters.Exchange) (string, error) {
		if h := ex.Request.Headers.Get(":authority"); h != "" {
			return h, nil
		}
		return ex.Request.Headers.Get("host"), nil
	},
	"consumer.id":       func(ex *filters.Exchange) (string, error) { return ex.Consumer.ID, nil },
	"consumer.username": func(ex *filters.Exchange) (string, error) { return ex.Consumer.Username, nil },
	"consumer.groups":   func(ex *filters.Exchange) (string, error) { return strings.Join(ex.Consumer.Groups, ", "), nil },
	"consumer.tenant":   func(ex *filters.Exchange) (string, error) { return ex.Consumer.Tenant, nil },
	"source.address":    func(ex *filters.Exchange) (string, error) { return ex.Source.Address, nil },
	"route.name":        func(ex *filters.Exchange) (string, error) { return ex.Route.Name, nil },
}

func (p *Prompt) header(name string, of func(*filters.Exchange) *filters.Headers) (reader, error) {
	name = strings.ToLower(name)
	switch {
	case credential(name):
		return nil, fmt.Errorf("%s holds a credential and does not leave", name)
	case !slices.Contains(p.cfg.Headers, name):
		return nil, fmt.Errorf("%s is not in the prompt's headers: add it there", name)
	}
	return func(ex *filters.Exchange) (string, error) { return of(ex).Joined(name), nil }, nil
}

func (p *Prompt) headers(of func(*filters.Exchange) *filters.Headers) (reader, error) {
	if len(p.cfg.Headers) == 0 {
		return nil, errors.New("the prompt's headers name none")
	}
	names := p.cfg.Headers
	return func(ex *filters.Exchange) (string, error) {
		var b strings.Builder
		h := of(ex)
		for _, n := range names {
			if h.Has(n) {
				fmt.Fprintf(&b, "%s: %s\n", n, h.Joined(n))
			}
		}
		return b.String(), nil
	}, nil
}

func query(name string) reader {
	return func(ex *filters.Exchange) (string, error) {
		_, raw, _ := strings.Cut(ex.Request.Headers.Get(":path"), "?")
		if name == "" {
			return raw, nil
		}
		for part := range strings.SplitSeq(raw, "&") {
			k, v, _ := strings.Cut(part, "=")
			key, err1 := url.QueryUnescape(k)
			value, err2 := url.QueryUnescape(v)
			if key == name && err1 == nil && err2 == nil {
				return value, nil
			}
		}
		return "", nil
	}
}

func (p *Prompt) step(path string) (reader, error) {
	if path == "" {
		return nil, errors.New("write steps.NAME")
	}
	keys := strings.Split(path, ".")
	p.steps = append(p.steps, keys[0])
	return func(ex *filters.Exchange) (string, error) {
		v := ex.Steps[keys[0]]
		for _, k := range keys[1:] {
			m, ok := v.(map[string]any)
			if !ok {
				return "", nil
			}
			v = m[k]
		}
		return text(v)
	}, nil
}

func (p *Prompt) cel(src string) (reader, error) {
	prog, err := expr.Value(src)
	if err != nil {
		return nil, err
	}
	for _, m := range []string{"request", "response"} {
		if prog.Reads(m, "headers") || prog.Reads(m, "trailers") {
			return nil, fmt.Errorf("an expression cannot read headers: use {{header.NAME}}")
		}
	}
	p.programs = append(p.programs, prog)
	p.response = p.response || prog.NeedsResponse()
	return func(ex *filters.Exchange) (string, error) {
		v, err := prog.Eval(ex)
		if err != nil {
			return "", err
		}
		return text(v)
	}, nil
}

// bodyReader reads the body of the step's direction: the whole of it, or what
// a JSONPath selects: one value as it is, more as a JSON array.
func (p *Prompt) bodyReader(path string, dotted bool) (reader, error) {
	if dotted {
		return nil, errors.New("write {{body $.name}} for a part of the body")
	}
	p.body = true
	if path == "" {
		return func(ex *filters.Exchange) (string, error) {
			b := ex.Message(ex.Phase.Direction()).Body
			v, err := decode(b)
			if err != nil {
				return strings.ToValidUTF8(string(b), "\uFFFD"), nil
			}
			return text(v)
		}, nil
	}
	x, err := jp.ParseString(path)
	if err != nil || !strings.HasPrefix(path, "$") {
		return nil, errors.New("that is no JSONPath: it begins with $")
	}
	return func(ex *filters.Exchange) (string, error) {
		v, err := decode(ex.Message(ex.Phase.Direction()).Body)
		if err != nil {
			return "", nil // a body that is not JSON has no such value
		}
		// Located first, so that members come in the order of their names.
		locs := x.Locate(answer.Plain(v), maxResults)
		slices.SortStableFunc(locs, comparePlaces)
		found := make([]any, 0, len(locs))
		for _, l := range locs {
			found = append(found, l.First(v))
		}
		switch len(found) {
		case 0:
			return "", nil
		case 1:
			return text(found[0])
		}
		return text(found)
	}, nil
}

// comparePlaces orders places by element and by name.
func comparePlaces(a, b jp.Expr) int {
	for i := range min(len(a), len(b)) {
		n, isN := a[i].(jp.Nth)
		m, isM := b[i].(jp.Nth)
		c := 0
		if isN && isM {
			c = int(n) - int(m)
		} else {
			s, _ := a[i].(jp.Child)
			t, _ := b[i].(jp.Child)
			c = strings.Compare(string(s), string(t))
		}
		if c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}

func decode(b []byte) (any, error) {
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, errors.New("there is no body")
	}
	return answer.Decode(b)
}

// text writes a value: a text as it is, anything else as JSON, the same for
// equal values.
func text(v any) (string, error) {
	switch x := v.(type) {
	case nil:
		return "", nil
	case string:
		return x, nil
	case json.Number:
		return x.String(), nil
	}
	b, err := answer.Encode(v)
	return string(b), err
}
