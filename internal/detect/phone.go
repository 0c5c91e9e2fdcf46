package detect

import "github.com/nyaruka/phonenumbers"

// defaultRegions are tried for numbers without a country code.
var defaultRegions = []string{"US", "GB", "DE", "FR", "ES", "IT", "NL", "IN", "AU", "BR", "MX", "JP", "CN", "ZA", "SE", "PL", "CH", "AT", "BE", "IE", "NZ", "SG", "AE", "TR", "KR"}

// phones looks for a telephone number in a run: with its country code, in a
// form that is usual, or of any form where the field's name or a word says
// that it is one.
func (s *scan) phones(start int, gs []group) {
	plus := s.isAt(gs[0].start-1, '+') || s.isAt(start, '+')
	first := gs[0].start
	if plus {
		first--
	} else if s.isAt(first-1, '(') && first-1 >= start {
		first--
	}
	if first < 0 {
		return
	}
	hinted := s.hints().phone || s.before(first, phoneWords)
	// Drop groups at the end until the number is one: "+1 202 555 0143 4" is.
	for n := len(gs); n > 0; n-- {
		digits, end := 0, gs[n-1].end
		for _, g := range gs[:n] {
			digits += g.end - g.start
		}
		if digits < 7 {
			return
		}
		if digits > 15 {
			continue
		}
		score := s.phoneScore(first, end, gs[:n], plus, hinted)
		if score > 0 {
			s.add(first, end, Phone, score)
			return
		}
	}
}

func (s *scan) phoneScore(start, end int, gs []group, plus, hinted bool) float64 {
	usual := s.usualForm(start, gs)
	if !plus && !hinted && !usual {
		return 0
	}
	h := s.hints()
	if !hinted && (h.id || h.date || h.ip) {
		return 0
	}
	text := string(s.text[start:end])
	if plus {
		if n, err := phonenumbers.Parse(text, "ZZ"); err == nil && phonenumbers.IsValidNumber(n) {
			if hinted {
				return 1
			}
			return 0.85
		}
		// A number of the right shape in a field that is for numbers is one,
		// also where no plan has it: examples and new ranges.
		if n, err := phonenumbers.Parse(text, "ZZ"); err == nil && phonenumbers.IsPossibleNumber(n) && hinted {
			return 0.6
		}
		return 0
	}
	for _, region := range s.regions {
		n, err := phonenumbers.Parse(text, region)
		if err != nil || !phonenumbers.IsValidNumberForRegion(n, region) {
			continue
		}
		if hinted {
			return 0.95
		}
		if region == "US" || s.text[gs[0].start] == '0' {
			return 0.65
		}
	}
	if hinted && usual {
		return 0.6
	}
	return 0
}

// usualForm: (202) 555-0143, 202-555-0143, 202.555.0143: three, three and
// four digits. Nothing else is grouped so.
func (s *scan) usualForm(start int, gs []group) bool {
	if len(gs) == 4 && gs[0].end-gs[0].start == 1 && s.text[gs[0].start] == '1' {
		gs = gs[1:]
	}
	if len(gs) != 3 {
		return false
	}
	for i, want := range []int{3, 3, 4} {
		if gs[i].end-gs[i].start != want {
			return false
		}
	}
	if s.text[start] == '(' {
		return true
	}
	a, b := s.between(gs, 0), s.between(gs, 1)
	return a != 0 && a == b && a != '/' && a != ' '
}
