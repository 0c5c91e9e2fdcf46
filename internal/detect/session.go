package detect

import "github.com/sluice-proxy/sluice/internal/detect/names"

// Session scans texts one after another, those of a body mostly: what it has
// learnt of the names of fields is there for the next text. It is for one
// goroutine.
type Session struct {
	scan scan
	ctx  Context // that of Scanner.Scan
}

// Open returns a session, to be closed when the last text was scanned. With its
// tagger it takes 280 KB: it is for the texts at hand, and not to be kept for
// those that are still to be sent.
func (s *Scanner) Open() *Session {
	se, _ := s.sessions.Get().(*Session)
	if se == nil {
		se = &Session{scan: scan{Scanner: s}}
	}
	return se
}

// Scan appends the findings in text to dst, in ascending order and without
// overlap, and says how much of text is settled. With more false that is all
// of it. With more true, text[settled:] is to be shown again with what comes
// behind it, and with what stood before it in ctx.Before; every finding ends
// at or before settled. What is given is looked at till the next text or
// Close.
func (se *Session) Scan(dst []Finding, ctx *Context, text []byte, more bool) (findings []Finding, settled int) {
	s := &se.scan
	o := s.lookUp(ctx.Key)
	alone := !more && len(ctx.Before) == 0
	if o.guess != noGuess && alone && s.asBefore(dst, ctx, o, text) {
		ctx.Memory.settle(len(text))
		return s.out, len(text)
	}
	first := nextAnchor(text, 0)
	if alone && s.nothing(o, ctx, text, first) {
		ctx.Memory.settle(len(text))
		return dst, len(text)
	}
	s.begin(ctx, o, text, more)
	s.wanted = alone && !o.unsure && ctx.Table == nil && first == len(text) // as nothing has seen
	s.out, s.from = dst, len(dst)
	if more && s.holdsAll() {
		return dst, 0
	}
	if len(s.before) == 0 {
		if o.value {
			s.fieldValue()
		}
		if !more && ctx.Table == nil && s.whole(first) {
			first = len(text)
		}
	}
	if first < len(text) || ctx.Table != nil || len(s.custom) > 0 {
		s.search(first)
	}
	if !more && s.isOne() {
		ctx.Memory.settle(len(text))
		return s.out, len(text)
	}
	s.takeNames()
	return s.settle()
}

// Close lets go of all that is the caller's.
func (se *Session) Close() {
	s := &se.scan
	s.ctx, s.before, s.text, s.out, s.table = nil, nil, nil, nil, nil
	se.ctx, s.input = Context{}, names.Input{}
	if s.tagger != nil {
		s.tagger.Close()
		s.tagger = nil
	}
	s.sessions.Put(se)
}

// Scan is Session.Scan for one text.
func (s *Scanner) Scan(dst []Finding, ctx Context, text []byte, more bool) (findings []Finding, settled int) {
	se := s.Open()
	se.ctx = ctx
	findings, settled = se.Scan(dst, &se.ctx, text, more)
	se.Close()
	return findings, settled
}
