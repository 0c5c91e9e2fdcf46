package builtin

import (
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// stopwords say nothing of what a text is about.
var stopwords = func() map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(`a about after all also am an and any are as at be because been before being but by can could did do does for
from had has have he her here him his how i if in into is it its just like me more most my no not of on one only or other our out over own she so some
such than that the their them then there these they this those through to too under up us very was we were what when where which while who why will with
would you your please`) {
		m[w] = true
	}
	return m
}()

// Summary picks the sentences that say most of what a text is about, in their
// order, up to limit bytes. It writes none of its own; a first sentence that
// is too long is cut at a word.
func Summary(text string, limit int) string {
	sentences := splitSentences(text)
	if len(sentences) == 0 || limit <= 0 {
		return ""
	}
	freq := map[string]float64{}
	for _, s := range sentences {
		for _, w := range words(s) {
			if !stopwords[w] && len(w) > 1 {
				freq[w]++
			}
		}
	}
	type ranked struct {
		at    int
		score float64
	}
	rank := make([]ranked, len(sentences))
	for i, s := range sentences {
		var sum, n float64
		for _, w := range words(s) {
			sum += freq[w]
			n++
		}
		// A text says first what it is about.
		rank[i] = ranked{i, sum / math.Sqrt(n+4) * (1 + 0.5/float64(i+1))}
	}
	slices.SortStableFunc(rank, func(a, b ranked) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return a.at - b.at
	})
	var picked []int
	used := 0
	for _, r := range rank {
		n := len(sentences[r.at])
		if used > 0 {
			n++
		}
		if used+n > limit {
			continue
		}
		picked = append(picked, r.at)
		used += n
	}
	if len(picked) == 0 {
		return cutAtWord(sentences[rank[0].at], limit)
	}
	slices.Sort(picked)
	out := make([]string, len(picked))
	for i, at := range picked {
		out[i] = sentences[at]
	}
	return strings.Join(out, " ")
}

// splitSentences splits at the ends of sentences and at line breaks.
func splitSentences(text string) []string {
	var out []string
	add := func(s string) {
		if s = strings.Join(strings.Fields(s), " "); s != "" {
			out = append(out, s)
		}
	}
	start := 0
	for i, r := range text {
		if len(out) >= maxWords {
			break
		}
		end := i + utf8.RuneLen(r)
		switch r {
		case '\n':
		case '.', '!', '?':
			next, _ := utf8.DecodeRuneInString(text[end:])
			if end < len(text) && !unicode.IsSpace(next) {
				continue // 3.14, example.com
			}
			if last := text[start:i]; r == '.' && len(last[strings.LastIndexAny(last, " \n")+1:]) == 1 {
				continue // an initial
			}
		default:
			continue
		}
		add(text[start:end])
		start = end
	}
	add(text[start:])
	return out
}

func cutAtWord(s string, limit int) string {
	const more = "…"
	if len(s) <= limit {
		return s
	}
	if limit <= len(more) {
		return ""
	}
	s = s[:limit-len(more)]
	for len(s) > 0 && !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	if i := strings.LastIndexByte(s, ' '); i > 0 {
		s = s[:i]
	}
	return strings.TrimRight(s, " ,;:") + more
}
