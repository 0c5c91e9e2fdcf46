package infer_test

import (
	"testing"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/deny"
	"github.com/sluice-proxy/sluice/filters/filtertest"
	"github.com/sluice-proxy/sluice/filters/infer"
	"github.com/sluice-proxy/sluice/filters/transform"
)

func TestConformance(t *testing.T) { filtertest.Conform(t, infer.Definition()) }

func TestScenarios(t *testing.T) {
	filtertest.Scenarios(t, filters.NewRegistry(infer.Definition(), deny.Definition(), transform.Definition()), "testdata/*.txtar")
}
