package detect

// whole looks at a text, with nothing before it, as one value. It reports
// whether that decides on all but names; first is its first anchor.
func (s *scan) whole(first int) (decided bool) {
	if s.outlook.value && len(s.text) <= maxValue {
		s.touch(0, len(s.text))
		if !s.more {
			s.value(extent{0, len(s.text), len(s.text), true, false}, &s.outlook.field)
		}
	}
	if s.more || s.ctx.Table != nil {
		return false
	}
	if first <= 1 {
		return s.wholeNumber()
	}
	return first < len(s.text) && s.wholeEmail()
}
