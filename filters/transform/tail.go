package transform

import "strings"

// splitTail splits a JSONPath before its last names: "$.a[*].b.c" has the
// names b and c, in what "$.a[*]" and "$.a[*].b" select. A path that does not
// end in a name has none. What is not well formed is left to the path's
// compiler.
func splitTail(path string) (prefixes, names []string) {
	i := 1
	for i < len(path) {
		start := i
		name, next, plain := segment(path, i)
		if next <= i {
			return nil, nil
		}
		if plain {
			prefixes, names = append(prefixes, path[:start]), append(names, name)
		} else {
			prefixes, names = nil, nil
		}
		i = next
	}
	return prefixes, names
}

// segment reads one segment at i: its end, and its name where it is nothing
// but a child's name.
func segment(path string, i int) (name string, next int, plain bool) {
	switch {
	case strings.HasPrefix(path[i:], ".."):
		_, next, _ = segment("."+path[i+2:], 0)
		if next > 0 && path[i+2:] != "" && path[i+2] != '[' {
			return "", i + 1 + next, false
		}
		_, next, _ = segment(path, i+2)
		return "", next, false
	case path[i] == '.':
		end := i + 1
		for end < len(path) && path[end] != '.' && path[end] != '[' {
			end++
		}
		name = path[i+1 : end]
		return name, end, name != "*" && name != ""
	case path[i] == '[':
		return bracket(path, i)
	}
	return "", 0, false
}

// bracket reads a bracketed segment.
func bracket(path string, i int) (name string, next int, plain bool) {
	depth, quote := 0, byte(0)
	for j := i; j < len(path); j++ {
		switch c := path[j]; {
		case quote != 0 && c == '\\':
			j++
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
		case c == '\'' || c == '"':
			quote = c
		case c == '[':
			depth++
		case c == ']':
			if depth--; depth > 0 {
				continue
			}
			inner := strings.TrimSpace(path[i+1 : j])
			if n := len(inner); n >= 2 && (inner[0] == '\'' || inner[0] == '"') && inner[n-1] == inner[0] &&
				!strings.ContainsAny(inner[1:n-1], `'"\,`) {
				return inner[1 : n-1], j + 1, true
			}
			return "", j + 1, false
		}
	}
	return "", 0, false
}
