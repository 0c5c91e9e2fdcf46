// Package all is the list of the filters that ship with Sluice.
package all

import (
	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/claims"
	"github.com/sluice-proxy/sluice/filters/deny"
	"github.com/sluice-proxy/sluice/filters/explain"
	"github.com/sluice-proxy/sluice/filters/infer"
	"github.com/sluice-proxy/sluice/filters/pii"
	"github.com/sluice-proxy/sluice/filters/promptguard"
	"github.com/sluice-proxy/sluice/filters/route"
	"github.com/sluice-proxy/sluice/filters/schema"
	"github.com/sluice-proxy/sluice/filters/summarize"
	"github.com/sluice-proxy/sluice/filters/transform"
)

// Registry returns the filters that ship with Sluice. A new filter adds a
// line here.
func Registry() *filters.Registry {
	return filters.NewRegistry(
		claims.Definition(),
		deny.Definition(),
		explain.Definition(),
		infer.Definition(),
		pii.Definition(),
		promptguard.Definition(),
		route.Definition(),
		schema.Definition(),
		summarize.Definition(),
		transform.Definition(),
	)
}
