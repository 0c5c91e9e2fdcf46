package deny_test

import (
	"testing"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/deny"
	"github.com/sluice-proxy/sluice/filters/filtertest"
)

func TestConformance(t *testing.T) { filtertest.Conform(t, deny.Definition()) }

func TestScenarios(t *testing.T) {
	filtertest.Scenarios(t, filters.NewRegistry(deny.Definition()), "testdata/*.txtar")
}
