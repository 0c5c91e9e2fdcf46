package main

import (
	"slices"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/detect"
	"github.com/sluice-proxy/sluice/internal/detect/names"
)

func (f *finder) addNames(v *filters.Value, fs []detect.Finding, settled *int) []detect.Finding {
	if v.Kind == filters.Name {
		return fs
	}
	m, err := names.Default()
	if err != nil {
		panic(err)
	}
	spans, ext, n := m.Tag(nil, nil, names.Input{Text: v.Text, Before: v.Before, More: v.More, Key: v.Key, Memory: &f.mem})
	*settled = min(*settled, n)
	for i := len(ext) - 1; i >= 0; i-- {
		if ext[i].Start < *settled && *settled < ext[i].End {
			*settled = ext[i].Start
		}
	}
	fs = slices.DeleteFunc(fs, func(g detect.Finding) bool { return g.End > *settled })
	kinds := map[names.Kind]detect.Entity{names.Person: "PERSON", names.Place: "LOCATION", names.Organization: "ORGANIZATION", names.Group: "NRP"}
	for _, s := range spans {
		if s.Score < 0.5 || s.End > *settled {
			continue
		}
		if slices.ContainsFunc(fs, func(g detect.Finding) bool { return g.Start < s.End && s.Start < g.End }) {
			continue
		}
		fs = append(fs, detect.Finding{Start: s.Start, End: s.End, Entity: kinds[s.Kind], Score: s.Score})
	}
	slices.SortFunc(fs, func(a, b detect.Finding) int { return a.Start - b.Start })
	return fs
}
