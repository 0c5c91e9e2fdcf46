package answer

import (
	"strconv"
	"strings"
	"time"
)

// Coercions of single values: each makes of a value what a schema wants where
// there is only one way to read it, and says whether it could.

// Number reads a number that was written as text: "1200", "1,200.50",
// " 7 ". It does not read a comma as the decimal sign.
func Number(s string) (text string, ok bool) {
	s = strings.TrimSpace(s)
	if strings.Contains(s, ",") {
		// Groups of three, or it is not a thousands separator.
		whole, frac, dotted := strings.Cut(s, ".")
		groups := strings.Split(whole, ",")
		for i, g := range groups {
			if i > 0 && len(g) != 3 || i == 0 && (len(strings.TrimLeft(g, "+-")) == 0 || len(strings.TrimLeft(g, "+-")) > 3) {
				return "", false
			}
		}
		s = strings.Join(groups, "")
		if dotted {
			s += "." + frac
		}
	}
	s = strings.TrimPrefix(s, "+")
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || strings.ContainsAny(s, "xXpP_iInN") {
		return "", false
	}
	if _, err := strconv.ParseFloat(s, 64); err != nil {
		return "", false
	}
	// A leading zero is an identifier's, not a number's.
	if len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' {
		return "", false
	}
	if digits[0] == '.' || digits[len(digits)-1] == '.' {
		return "", false
	}
	return s, true
}

// Bool reads true and false as people write them.
func Bool(s string) (v, ok bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "yes", "on", "1", "y":
		return true, true
	case "false", "no", "off", "0", "n":
		return false, true
	}
	return false, false
}

// dateLayouts are the ways to write a date that can only be read in one way.
// 03/04/2026 is not among them.
var dateLayouts = []string{
	"2006-01-02", "2006/01/02", "20060102", "2 Jan 2006", "2 January 2006", "Jan 2, 2006", "January 2, 2006",
	"Jan 2 2006", "January 2 2006", "2006-1-2", "2006.01.02",
}

var timeLayouts = []string{
	time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", time.RFC1123, time.RFC1123Z, time.RFC850, time.ANSIC,
}

// Date reads a date and returns it as ISO 8601 (RFC 3339 full-date).
func Date(s string) (string, bool) {
	s = strings.TrimSpace(s)
	for _, l := range dateLayouts {
		if t, err := time.Parse(l, s); err == nil {
			return t.Format("2006-01-02"), true
		}
	}
	return "", false
}

// DateTime reads a date with a time and returns it as RFC 3339. One without a
// zone is taken as UTC.
func DateTime(s string) (string, bool) {
	s = strings.TrimSpace(s)
	for _, l := range timeLayouts {
		if t, err := time.Parse(l, s); err == nil {
			return t.Format(time.RFC3339), true
		}
	}
	return "", false
}

// Enum finds the allowed value that was meant: the same but for case, spaces,
// hyphens and underscores, or the only one within one edit for every four
// letters.
func Enum(s string, allowed []string) (string, bool) {
	want := squeeze(s)
	if want == "" {
		return "", false
	}
	best, bestCost, ties := "", len(want)/4+1, 0
	for _, a := range allowed {
		got := squeeze(a)
		if got == want {
			return a, true
		}
		switch c := Distance(want, got); {
		case c < bestCost:
			best, bestCost, ties = a, c, 1
		case c == bestCost:
			ties++
		}
	}
	return best, best != "" && ties == 1
}

func squeeze(s string) string {
	return strings.NewReplacer(" ", "", "-", "", "_", "", ".", "").Replace(strings.ToLower(strings.TrimSpace(s)))
}

// Distance is the number of single changes (a letter put in, left out,
// replaced, or two neighbours swapped) between two texts.
func Distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	prev2 := make([]int, len(y)+1)
	prev := make([]int, len(y)+1)
	row := make([]int, len(y)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev, row = prev, row, prev2
	}
	return prev[len(y)]
}
