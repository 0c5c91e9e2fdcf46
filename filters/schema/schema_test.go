package schema_test

import (
	"testing"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/filtertest"
	"github.com/sluice-proxy/sluice/filters/schema"
	"github.com/sluice-proxy/sluice/filters/transform"
)

func TestConformance(t *testing.T) { filtertest.Conform(t, schema.Definition()) }

func TestScenarios(t *testing.T) {
	filtertest.Scenarios(t, filters.NewRegistry(schema.Definition(), transform.Definition()), "testdata/*.txtar")
}
