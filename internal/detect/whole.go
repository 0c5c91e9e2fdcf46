package detect

// nothing reports whether in a text, with nothing before or behind it, nothing
// is found at a glance: it has no word, and no anchor, the first of which would
// be at first, or is a plain number, a point in time or an identifier.
func (s *Scanner) nothing(o *outlook, ctx *Context, text []byte, first int) bool {
	switch {
	case o.unsure || ctx.Table != nil:
		return false
	case first == len(text):
		return s.model == nil || ctx.Name || !o.names.Wants(text)
	case first <= 1 && o.isPlain(text):
		return true
	case first == 0 && o.time && isTime(text):
		return true
	}
	return s.isIdentifier(o, text)
}

// guess is what the last text in a field was, as a whole: the next is likely the
// same.
type guess uint8

const (
	noGuess guess = iota
	aNumber
	anEmail
	anIBAN
)

// asBefore looks whether a text, with nothing before or behind it, is one finding
// as a whole, of the kind that the last one in its field was. Where it is not,
// nothing is said of it.
func (s *scan) asBefore(dst []Finding, ctx *Context, o *outlook, text []byte) bool {
	if ctx.Table != nil {
		return false
	}
	s.ctx, s.outlook, s.before, s.text, s.more, s.table = ctx, o, nil, text, false, nil
	s.out, s.from = dst, len(dst)
	found := false
	switch o.guess {
	case aNumber:
		found = s.wholeNumber()
	case anEmail:
		found = s.wholeEmail()
	case anIBAN:
		found = s.wholeIBAN()
	}
	return found && s.isOne()
}

// fieldValue looks at a text that is the value of a field as a whole, whose name
// alone may make something of it.
func (s *scan) fieldValue() {
	if len(s.text) > maxValue {
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
	o := s.outlook
	switch {
	case first == len(s.text):
		return false
	case first == 2 && s.wholeIBAN():
		return s.learn(anIBAN)
	case o.unsure && s.isIdentifier(o, s.text):
		return true
	case o.unsure && first == 0 && o.time && isTime(s.text):
		s.wholeTime()
		return true
	case first <= 1:
		return s.wholeNumber() && s.learn(aNumber)
	}
	return s.wholeEmail() && s.learn(anEmail)
}

// learn takes note of what a text has been found to be. It is true.
func (s *scan) learn(g guess) bool {
	if o := s.outlook; !o.unsure && o != &s.unnamed && s.isOne() {
		o.guess = g
	}
	return true
}

// isOne reports whether a text is one finding as a whole, and no other: there is
// no name in it then.
func (s *scan) isOne() bool {
	return len(s.out) == s.from+1 && s.out[s.from].Start == 0 && s.out[s.from].End == len(s.text) && len(s.before) == 0 && s.table == nil
}
