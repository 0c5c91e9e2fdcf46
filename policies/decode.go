package policies

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/sluice-proxy/sluice/filters"
)

// maxNodes bounds what the aliases of a file may expand to.
const maxNodes = 200_000

// decoder decodes YAML nodes into Go values strictly: by json tags, without
// unknown keys, and without a change of type. It collects problems and goes
// on.
type decoder struct {
	file     string
	problems []Problem
	anchors  map[string]ast.Node
	nodes    int
}

// at records a problem at a node.
func (d *decoder) at(n ast.Node, path, msg, hint string) {
	line, column := position(n)
	d.problems = append(d.problems, Problem{File: d.file, Line: line, Column: column, Path: path, Msg: msg, Hint: hint, Severity: SeverityError})
}

func position(n ast.Node) (line, column int) {
	switch x := n.(type) {
	case nil:
		return 1, 1
	case *ast.MappingNode:
		if !x.IsFlowStyle && len(x.Values) > 0 {
			return position(x.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return position(x.Key)
	case *ast.SequenceNode:
		if !x.IsFlowStyle && len(x.Values) > 0 {
			return position(x.Values[0])
		}
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line, t.Position.Column
	}
	return 1, 1
}

// resolve follows tags, anchors and aliases.
func (d *decoder) resolve(n ast.Node, path string) ast.Node {
	for range 100 {
		switch x := n.(type) {
		case *ast.AnchorNode:
			d.anchors[x.Name.GetToken().Value] = x.Value
			n = x.Value
		case *ast.AliasNode:
			to, ok := d.anchors[x.Value.GetToken().Value]
			if !ok {
				d.at(x, path, "the alias has no anchor before it", "")
				return nil
			}
			n = to
		case *ast.TagNode:
			d.at(x, path, "tags are not supported", "")
			return nil
		default:
			if d.nodes++; d.nodes == maxNodes {
				d.at(n, path, "the file expands to too much", "use fewer aliases")
			}
			if d.nodes >= maxNodes {
				return nil
			}
			return n
		}
	}
	d.at(n, path, "the alias leads in a circle", "")
	return nil
}

// entry is a key of a mapping with its value.
type entry struct {
	key   string
	node  ast.Node // the key
	value ast.Node
}

// entries returns a mapping's keys; ok is false where n is no mapping.
func (d *decoder) entries(n ast.Node, path string) (es []entry, ok bool) {
	var values []*ast.MappingValueNode
	switch x := n.(type) {
	case *ast.MappingNode:
		values = x.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{x}
	default:
		return nil, false
	}
	seen := map[string]bool{}
	for _, v := range values {
		if _, merge := v.Key.(*ast.MergeKeyNode); merge {
			d.at(v.Key, path, "merge keys (<<) are not supported", "write the keys out")
			continue
		}
		key := v.Key.GetToken().Value
		if seen[key] {
			d.at(v.Key, join(path, key), "the key stands here twice", "")
			continue
		}
		seen[key] = true
		es = append(es, entry{key, v.Key, v.Value})
	}
	return es, true
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	nodeType     = reflect.TypeFor[ast.Node]()
	secretType   = reflect.TypeFor[filters.SecretRef]()
)

// decode fills v from n.
func (d *decoder) decode(n ast.Node, v reflect.Value, path string) {
	if v.Type() == nodeType {
		v.Set(reflect.ValueOf(n))
		return
	}
	n = d.resolve(n, path)
	if n == nil {
		return
	}
	if _, null := n.(*ast.NullNode); null {
		if v.Kind() != reflect.Interface && v.Kind() != reflect.Pointer {
			d.at(n, path, "there is no value", "leave the key out, or give one")
		}
		return
	}
	if v.Type() == durationType {
		d.duration(n, v, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.decode(n, v.Elem(), path)
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Map:
		d.mapping(n, v, path)
	case reflect.Slice:
		d.sequence(n, v, path)
	case reflect.Interface:
		if x := d.any(n, path); x != nil {
			v.Set(reflect.ValueOf(x))
		}
	default:
		d.scalar(n, v, path)
	}
}

// field is a struct's field as YAML sees it.
type field struct {
	name     string
	index    []int
	required bool
}

func fieldsOf(t reflect.Type) []field {
	var fs []field
	for _, f := range reflect.VisibleFields(t) {
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		fs = append(fs, field{name, f.Index, !strings.Contains(opts, "omitempty")})
	}
	return fs
}

func (d *decoder) structure(n ast.Node, v reflect.Value, path string) {
	es, ok := d.entries(n, path)
	if !ok && v.Type() == secretType {
		d.at(n, path, "a secret does not stand in a policy", "write where it is: {env: NAME}, {file: PATH} or {vault: {path: PATH, field: NAME}}")
		return
	}
	if !ok {
		d.wrongType(n, path, "a mapping")
		return
	}
	fs := fieldsOf(v.Type())
	given := map[string]bool{}
	for _, e := range es {
		var at []int
		for _, f := range fs {
			if f.name == e.key {
				at = f.index
			}
		}
		if at == nil {
			names := make([]string, len(fs))
			for j, f := range fs {
				names[j] = f.name
			}
			d.at(e.node, join(path, e.key), "unknown key", nearest(e.key, names))
			continue
		}
		given[e.key] = true
		d.decode(e.value, v.FieldByIndex(at), join(path, e.key))
	}
	for _, f := range fs {
		if f.required && !given[f.name] && v.FieldByIndex(f.index).IsZero() {
			d.at(n, join(path, f.name), "is missing", "")
		}
	}
}

func (d *decoder) mapping(n ast.Node, v reflect.Value, path string) {
	es, ok := d.entries(n, path)
	if !ok {
		d.wrongType(n, path, "a mapping")
		return
	}
	m := reflect.MakeMap(v.Type())
	for _, e := range es {
		val := reflect.New(v.Type().Elem()).Elem()
		d.decode(e.value, val, join(path, e.key))
		m.SetMapIndex(reflect.ValueOf(e.key).Convert(v.Type().Key()), val)
	}
	v.Set(m)
}

func (d *decoder) sequence(n ast.Node, v reflect.Value, path string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.wrongType(n, path, "a list")
		return
	}
	s := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, x := range seq.Values {
		d.decode(x, s.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(s)
}

// any decodes what may be of any type.
func (d *decoder) any(n ast.Node, path string) any {
	if n = d.resolve(n, path); n == nil {
		return nil
	}
	switch x := n.(type) {
	case *ast.StringNode:
		return x.Value
	case *ast.LiteralNode:
		return x.Value.Value
	case *ast.BoolNode:
		return x.Value
	case *ast.NullNode:
		return nil
	case *ast.IntegerNode:
		var i int64
		d.scalar(n, reflect.ValueOf(&i).Elem(), path)
		return i
	case *ast.FloatNode:
		return x.Value
	case *ast.SequenceNode:
		list := make([]any, len(x.Values))
		for i, e := range x.Values {
			list[i] = d.any(e, fmt.Sprintf("%s[%d]", path, i))
		}
		return list
	case *ast.MappingNode, *ast.MappingValueNode:
		es, _ := d.entries(n, path)
		m := make(map[string]any, len(es))
		for _, e := range es {
			m[e.key] = d.any(e.value, join(path, e.key))
		}
		return m
	}
	d.at(n, path, "this kind of value is not supported", "")
	return nil
}

func (d *decoder) scalar(n ast.Node, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.String:
		switch x := n.(type) {
		case *ast.StringNode:
			v.SetString(x.Value)
		case *ast.LiteralNode:
			v.SetString(x.Value.Value)
		default:
			hint := ""
			if _, isScalar := n.(ast.ScalarNode); isScalar {
				hint = fmt.Sprintf("write %q", n.GetToken().Value)
			}
			d.at(n, path, "wrong type: expected text, got "+kindOf(n), hint)
		}
	case reflect.Bool:
		if x, ok := n.(*ast.BoolNode); ok {
			v.SetBool(x.Value)
			return
		}
		d.wrongType(n, path, "true or false")
	case reflect.Int, reflect.Int64, reflect.Int32:
		i, err := integer(n)
		if err != nil || v.OverflowInt(i) {
			d.number(n, path, "a whole number", err)
			return
		}
		v.SetInt(i)
	case reflect.Float64:
		if f, ok := n.(*ast.FloatNode); ok {
			v.SetFloat(f.Value)
			return
		}
		i, err := integer(n)
		if err != nil {
			d.number(n, path, "a number", err)
			return
		}
		v.SetFloat(float64(i))
	default:
		d.at(n, path, "cannot be set in YAML", "")
	}
}

var errLeadingZero = errors.New("a number with a leading zero is read as octal by some and as decimal by others")

func (d *decoder) number(n ast.Node, path, want string, err error) {
	if errors.Is(err, errLeadingZero) {
		d.at(n, path, err.Error(), "write it without the zero")
		return
	}
	d.wrongType(n, path, want)
}

func integer(n ast.Node) (int64, error) {
	x, ok := n.(*ast.IntegerNode)
	if !ok {
		return 0, errors.New("not a number")
	}
	text := strings.TrimLeft(x.Token.Value, "+-")
	if len(text) > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9' {
		return 0, errLeadingZero
	}
	switch i := x.Value.(type) {
	case int64:
		return i, nil
	case uint64:
		if i <= math.MaxInt64 {
			return int64(i), nil
		}
	}
	return strconv.ParseInt(x.Token.Value, 0, 64)
}

func (d *decoder) duration(n ast.Node, v reflect.Value, path string) {
	s, ok := n.(*ast.StringNode)
	if !ok {
		d.at(n, path, "wrong type: expected a duration, got "+kindOf(n), "write 50ms, 2s or 1m")
		return
	}
	dur, err := time.ParseDuration(s.Value)
	if err != nil || dur < 0 {
		d.at(n, path, fmt.Sprintf("%q is not a duration", s.Value), "write 50ms, 2s or 1m")
		return
	}
	v.SetInt(int64(dur))
}

func (d *decoder) wrongType(n ast.Node, path, want string) {
	d.at(n, path, fmt.Sprintf("wrong type: expected %s, got %s", want, kindOf(n)), "")
}

func kindOf(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.BoolNode:
		return "a boolean"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.NullNode:
		return "nothing"
	}
	return "something else"
}

// find returns the node that path leads to below n: the innermost that is
// there.
func (d *decoder) find(n ast.Node, path string) ast.Node {
	for path != "" {
		probe := decoder{anchors: d.anchors}
		n = probe.resolve(n, "")
		if path[0] == '[' {
			index, rest, _ := strings.Cut(path[1:], "]")
			i, err := strconv.Atoi(index)
			seq, ok := n.(*ast.SequenceNode)
			if err != nil || !ok || i >= len(seq.Values) {
				return n
			}
			n, path = seq.Values[i], rest
			continue
		}
		path = strings.TrimPrefix(path, ".")
		end := strings.IndexAny(path, ".[")
		if end < 0 {
			end = len(path)
		}
		es, _ := probe.entries(n, "")
		var next ast.Node
		for _, e := range es {
			if e.key == path[:end] {
				next = e.value
			}
		}
		if next == nil {
			return n
		}
		n, path = next, path[end:]
	}
	return n
}

// inText returns the place of line and column (from 1) of a scalar's text.
func inText(n ast.Node, line, column int) (int, int) {
	l, c := position(n)
	switch x := n.(type) {
	case *ast.StringNode:
		if t := x.GetToken(); t.Type == token.SingleQuoteType || t.Type == token.DoubleQuoteType {
			c++
		}
		if line <= 1 {
			return l, c + column - 1
		}
	case *ast.LiteralNode:
		if t := x.Value.GetToken(); t != nil && t.Position != nil {
			return t.Position.Line + line - 1, t.Position.Column + column - 1
		}
	}
	return l, c
}
