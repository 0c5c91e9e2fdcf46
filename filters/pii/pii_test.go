package pii_test

import (
	"testing"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/filtertest"
	"github.com/sluice-proxy/sluice/filters/pii"
)

func TestConformance(t *testing.T) { filtertest.Conform(t, pii.Definition()) }

func TestScenarios(t *testing.T) {
	filtertest.Scenarios(t, filters.NewRegistry(pii.Definition()), "testdata/*.txtar")
}
