package route_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/filtertest"
	"github.com/sluice-proxy/sluice/filters/infer"
	"github.com/sluice-proxy/sluice/filters/route"
)

func TestConformance(t *testing.T) { filtertest.Conform(t, route.Definition()) }

func TestScenarios(t *testing.T) {
	filtertest.Scenarios(t, filters.NewRegistry(route.Definition(), infer.Definition()), "testdata/*.txtar")
}

func split(weights ...int) route.Config {
	c := route.Config{By: "consumer", Experiment: "e", Otherwise: &route.Target{}}
	for i, w := range weights {
		c.Otherwise.Split = append(c.Otherwise.Split, route.Variant{Name: fmt.Sprint("v", i), Weight: w, Action: route.Action{Headers: map[string]string{"x-v": fmt.Sprint(i)}}})
	}
	return c
}

func build(t *testing.T, c route.Config) filters.Filter {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	f, err := route.Definition().New(&c, filters.Env{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// variant is the one that a consumer gets, as the decision says it.
func variant(t *testing.T, f filters.Filter, consumer, request string) string {
	t.Helper()
	ex := &filters.Exchange{ID: request, Consumer: filters.Consumer{ID: consumer}}
	var led filters.Ledger
	dec, err := f.Apply(context.Background(), ex, &led)
	if err != nil {
		t.Fatal(err)
	}
	v, _ := dec.Details["variant"].(string)
	if led.Changes[0].Value != v[1:] || led.Result.(map[string]any)["variant"] != v {
		t.Fatalf("decision %v, changes %v, result %v", dec, led.Changes, led.Result)
	}
	return v
}

func TestVariantsStickAndHaveTheirShare(t *testing.T) {
	f := build(t, split(90, 10))
	again := build(t, split(90, 10)) // another replica
	grown := build(t, split(70, 30))
	const n = 20_000
	second, moved := 0, 0
	for i := range n {
		c := fmt.Sprint("consumer-", i)
		v := variant(t, f, c, "r1")
		if v != variant(t, f, c, "r2") || v != variant(t, again, c, "r3") {
			t.Fatalf("%s does not keep its variant", c)
		}
		if v == "v1" {
			second++
			if variant(t, grown, c, "r1") != "v1" {
				moved++
			}
		}
	}
	// Five standard deviations of a binomial share.
	if got, limit := math.Abs(float64(second)/n-0.1), 5*math.Sqrt(0.1*0.9/n); got > limit {
		t.Errorf("the share is off by %.4f, more than %.4f", got, limit)
	}
	if moved > 0 {
		t.Errorf("%d consumers left the variant that grew", moved)
	}
}

func TestExperimentsAreIndependent(t *testing.T) {
	a, other := split(50, 50), split(50, 50)
	other.Experiment = "f"
	fa, fb := build(t, a), build(t, other)
	same := 0
	const n = 10_000
	for i := range n {
		c := fmt.Sprint("consumer-", i)
		if variant(t, fa, c, "r") == variant(t, fb, c, "r") {
			same++
		}
	}
	if got := math.Abs(float64(same)/n - 0.5); got > 5*math.Sqrt(0.25/n) {
		t.Errorf("two experiments agree on %.3f of the consumers", float64(same)/n)
	}
}

func TestAnonymousCallersAreDealtOutByRequest(t *testing.T) {
	f := build(t, split(50, 50))
	seen := map[string]int{}
	for i := range 200 {
		seen[variant(t, f, "", fmt.Sprint("request-", i))]++
	}
	if len(seen) != 2 {
		t.Errorf("variants %v", seen)
	}
}

func TestConfigurationErrors(t *testing.T) {
	for want, c := range map[string]route.Config{
		"there is nowhere to go (give rules, or otherwise)":                            {By: "consumer"},
		"by: \"user\" is not one of consumer, tenant, request":                         {By: "user", Otherwise: &route.Target{}},
		"otherwise.split: no variant has a weight":                                     split(0, 0),
		"otherwise.split[0].weight: is not between 0 and 1000000":                      split(-1, 2),
		"rules[0].label: \"x\" is not one of the labels that are asked for":            {By: "consumer", Rules: []route.Rule{{Name: "a", Label: "x"}}},
		"rules[0].path: \"v2?a\" is no path (it begins with a slash and has no query)": {By: "consumer", Rules: []route.Rule{{Name: "a", Target: route.Target{Action: route.Action{Path: "v2?a"}}}}},
		"rules[0].headers: \":method\" cannot be set":                                  {By: "consumer", Rules: []route.Rule{{Name: "a", Target: route.Target{Action: route.Action{Headers: map[string]string{":method": "GET"}}}}}},
		"rules[1].name: there is a rule \"a\" already":                                 {By: "consumer", Rules: []route.Rule{{Name: "a"}, {Name: "a"}}},
	} {
		if err := c.Validate(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
