package detect

// nothing reports whether in a text, with nothing before or behind it, nothing
// is found at a glance: it has no word, and no anchor, the first of which would
// be at first, or is a plain number, a point in time or an identifier.
func (s *Scanner) nothing(o *outlook, ctx *Context, text []byte, first int) bool {
	switch {
	case o.value || ctx.Table != nil || len(s.custom) > 0:
		return false
	case first == len(text):
		return s.model == nil || ctx.Name || !o.names.Wants(text)
	case first <= 1 && o.isPlain(text):
		return true
	case first == 0 && o.time && isTime(text):
		return !o.own.has(idDateOfBirth)
	}
	return s.isIdentifier(o, text)
}

// fieldValue looks at a text that is the value of a field as a whole.
func (s *scan) fieldValue() {
	if !s.outlook.value || len(s.text) > maxValue {
		return
	}
	s.touch(0, len(s.text))
	if !s.more {
		s.value(extent{0, len(s.text), len(s.text), true, false}, &s.outlook.field)
	}
}

// whole looks at a text, with nothing before or behind it, as one thing. It
// reports whether that decides on all that search finds; first is its first
// anchor.
func (s *scan) whole(first int) (decided bool) {
	switch {
	case first == len(s.text):
		return false
	case first == 2 && s.wholeIBAN(), s.isIdentifier(s.outlook, s.text):
		return true
	case first == 0 && s.outlook.time && isTime(s.text):
		s.wholeTime()
		return true
	case first <= 1:
		return s.wholeNumber()
	}
	return s.wholeEmail()
}
