package pipeline

import "github.com/sluice-proxy/sluice/filters"

// includes reports whether the exchange is on the rollout's side. The answer
// depends on policy, step and key alone, so it is the same in every replica
// and after every restart, and independent between steps.
func (r *Rollout) includes(s *Step, ex *filters.Exchange) bool {
	if r == nil || r.Percent >= 100 {
		return true
	}
	key := ex.ID
	if r.By != "request" {
		if ex.Consumer.ID != "" {
			key = ex.Consumer.ID
		} else if ex.Consumer.Username != "" {
			key = ex.Consumer.Username
		}
	}
	h := fnv1a(fnv1a(fnv1a(14695981039346656037, s.Policy), s.Name), key)
	// FNV's low bits are weak on short keys: finish with a 64-bit mix.
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	return float64(h%1_000_000) < r.Percent*10_000
}

// fnv1a is FNV-1a over s and a separator.
func fnv1a(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return (h ^ 0xff) * 1099511628211
}
