package promptguard_test

import (
	"testing"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/filtertest"
	"github.com/sluice-proxy/sluice/filters/promptguard"
	"github.com/sluice-proxy/sluice/filters/transform"
)

func TestConformance(t *testing.T) { filtertest.Conform(t, promptguard.Definition()) }

func TestScenarios(t *testing.T) {
	filtertest.Scenarios(t, filters.NewRegistry(promptguard.Definition(), transform.Definition()), "testdata/*.txtar")
}
