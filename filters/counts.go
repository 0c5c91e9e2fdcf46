package filters

import (
	"slices"
	"strings"
)

// Counts are numbers by name. The zero value is empty and ready to use. There
// are few names in a decision, and many decisions: a map would cost more than
// what is counted.
type Counts []Count

// Count is how often something was counted.
type Count struct {
	Name string
	N    int
}

// Add counts n more under a name. It keeps the names in order.
func (c *Counts) Add(name string, n int) {
	for i := range *c {
		if (*c)[i].Name == name {
			(*c)[i].N += n
			return
		}
	}
	at, _ := slices.BinarySearchFunc(*c, name, func(x Count, name string) int { return strings.Compare(x.Name, name) })
	*c = slices.Insert(*c, at, Count{name, n})
}

// Of returns what was counted under a name.
func (c Counts) Of(name string) int {
	for i := range c {
		if c[i].Name == name {
			return c[i].N
		}
	}
	return 0
}

// Map returns the counts as a map; nil where there are none.
func (c Counts) Map() map[string]int {
	if len(c) == 0 {
		return nil
	}
	m := make(map[string]int, len(c))
	for _, x := range c {
		m[x.Name] = x.N
	}
	return m
}
