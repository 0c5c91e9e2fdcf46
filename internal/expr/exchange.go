package expr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/sluice-proxy/sluice/filters"
)

// activation gives an expression the fields that it reads, and only those.
type activation struct {
	ex     *filters.Exchange
	fields map[string][]string
	values map[string]any
}

// ResolveName implements cel.Activation.
func (a *activation) ResolveName(name string) (any, bool) {
	if v, ok := a.values[name]; ok {
		return v, true
	}
	var v any
	switch name {
	case "metadata":
		m := make(map[string]any, len(a.ex.Metadata))
		for k, x := range a.ex.Metadata {
			m[k] = x
		}
		v = m
	case "steps":
		v = a.ex.Steps
		if a.ex.Steps == nil {
			v = map[string]any{}
		}
	default:
		fields, ok := a.fields[name]
		if !ok {
			return nil, false
		}
		m := make(map[string]any, len(fields))
		for _, f := range fields {
			m[f] = a.field(name, f)
		}
		v = m
	}
	if a.values == nil {
		a.values = make(map[string]any, 2)
	}
	a.values[name] = v
	return v, true
}

// Parent implements cel.Activation.
func (a *activation) Parent() cel.Activation { return nil }

func (a *activation) field(variable, field string) any {
	ex := a.ex
	switch variable {
	case "request":
		return requestField(&ex.Request, field)
	case "response":
		if field == "status" {
			n, _ := strconv.Atoi(ex.Response.Headers.Get(":status"))
			return int64(n)
		}
		return messageField(&ex.Response, field)
	case "consumer":
		switch field {
		case "id":
			return ex.Consumer.ID
		case "username":
			return ex.Consumer.Username
		case "groups":
			if ex.Consumer.Groups == nil {
				return []string{}
			}
			return ex.Consumer.Groups
		case "claims":
			if ex.Consumer.Claims == nil {
				return map[string]any{}
			}
			return ex.Consumer.Claims
		case "by":
			return ex.Consumer.By
		case "tenant":
			return ex.Consumer.Tenant
		}
	case "source":
		if field == "address" {
			return ex.Source.Address
		}
		return ex.Source.Principal
	case "route":
		switch field {
		case "name":
			return ex.Route.Name
		case "cluster":
			return ex.Route.Cluster
		}
		return ex.Route.VirtualHost
	case "exchange":
		return ex.ID
	}
	return nil
}

func requestField(m *filters.Message, field string) any {
	path := m.Headers.Get(":path")
	switch field {
	case "method":
		return m.Headers.Get(":method")
	case "path", "url_path":
		p, _, _ := strings.Cut(path, "?")
		return p
	case "query":
		_, raw, _ := strings.Cut(path, "?")
		q := map[string]string{}
		for part := range strings.SplitSeq(raw, "&") {
			k, v, _ := strings.Cut(part, "=")
			name, err1 := url.QueryUnescape(k)
			value, err2 := url.QueryUnescape(v)
			if _, dup := q[name]; !dup && name != "" && err1 == nil && err2 == nil {
				q[name] = value
			}
		}
		return q
	case "host":
		if h := m.Headers.Get(":authority"); h != "" {
			return h
		}
		return m.Headers.Get("host")
	case "scheme":
		return m.Headers.Get(":scheme")
	}
	return messageField(m, field)
}

func messageField(m *filters.Message, field string) any {
	switch field {
	case "headers":
		return headerMap(&m.Headers)
	case "trailers":
		return headerMap(&m.Trailers)
	case "body":
		return decodeBody(m.Body)
	}
	return nil
}

// headerMap has every field by its name, the values of a name joined.
func headerMap(h *filters.Headers) map[string]string {
	m := make(map[string]string, h.Len())
	for f := range h.All() {
		if old, ok := m[f.Name]; ok {
			m[f.Name] = old + ", " + f.Value
		} else {
			m[f.Name] = f.Value
		}
	}
	return m
}

// decodeBody returns a JSON body as CEL values, another as text, and null for
// none.
func decodeBody(b []byte) any {
	if len(bytes.TrimSpace(b)) == 0 {
		return types.NullValue
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil || dec.More() {
		return string(b)
	}
	return fromJSON(v)
}

// fromJSON makes whole numbers that fit into int64 ints, and the others
// doubles.
func fromJSON(v any) any {
	switch x := v.(type) {
	case nil:
		return types.NullValue
	case json.Number:
		if i, err := x.Int64(); err == nil {
			return i
		}
		f, _ := x.Float64()
		return f
	case []any:
		for i := range x {
			x[i] = fromJSON(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = fromJSON(x[k])
		}
	}
	return v
}

// native turns a CEL value into Go's.
func native(v ref.Val) (any, error) {
	switch x := v.(type) {
	case types.Bool:
		return bool(x), nil
	case types.Int:
		return int64(x), nil
	case types.Uint:
		return uint64(x), nil
	case types.Double:
		return float64(x), nil
	case types.String:
		return string(x), nil
	case types.Bytes:
		return []byte(x), nil
	case types.Null:
		return nil, nil
	case types.Timestamp:
		return x.Format(time.RFC3339Nano), nil
	case types.Duration:
		return x.Duration.String(), nil
	case *types.Optional:
		if !x.HasValue() {
			return nil, nil
		}
		return native(x.GetValue())
	case *types.Err:
		return nil, x
	case traits.Mapper:
		m := map[string]any{}
		for it := x.Iterator(); it.HasNext() == types.True; {
			k := it.Next()
			val, err := native(x.Get(k))
			if err != nil {
				return nil, err
			}
			m[fmt.Sprint(k.Value())] = val
		}
		return m, nil
	case traits.Lister:
		list := []any{}
		for it := x.Iterator(); it.HasNext() == types.True; {
			val, err := native(it.Next())
			if err != nil {
				return nil, err
			}
			list = append(list, val)
		}
		return list, nil
	}
	return nil, errors.New("the expression gave a value that has no JSON form")
}
