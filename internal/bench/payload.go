package main

import (
	"fmt"
	"strings"
)

// records makes a JSON document of n customers with about five personal
// values each, of the kinds that patterns find.
func records(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"page":1,"total":` + fmt.Sprint(n) + `,"customers":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"email":"customer%d@example.com","phone":"+1 202 555 0%03d","card":"4111 1111 1111 1111","ssn":"078-05-%04d","ip":"192.0.2.%d","tier":"gold","active":true,"balance":1024.50,"notes":"Prefers letters, renewed in spring, order A-%d."}`,
			i, i, i%1000, 1000+i%9000, i%250, i)
	}
	b.WriteString("]}")
	return []byte(b.String())
}
