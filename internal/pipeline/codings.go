package pipeline

import (
	"context"
	"errors"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/coding"
)

const problemCoding = "urn:sluice:problem:content-coding"

// openCodings prepares to undo the body's content codings and to put them
// back on.
func (r *Run) openCodings(l *lane, codings []coding.Coding) {
	if len(codings) == 0 {
		return
	}
	encoder, err := coding.NewEncoder(codings)
	if err != nil {
		r.denial = stepFailed()
		return
	}
	l.encoder = encoder
	l.decoder = coding.NewDecoder(codings, coding.Limits{DecodedBytes: r.limits.DecodedBytes, Ratio: r.limits.DecodedRatio})
}

// recode decodes a chunk, passes it on piece by piece, and returns what goes on
// of it with the codings put back on: what a chunk decodes to is never held as
// a whole. A body that does not decode, or that decodes to too much, ends the
// exchange: a part of it may have gone out, and the rest cannot follow.
func (r *Run) recode(ctx context.Context, l *lane, d filters.Direction, chunk []byte, end bool) []byte {
	if l.received == 0 { // no body was coded
		return r.pass(ctx, l, d, nil, end)
	}
	l.coded = l.coded[:0]
	write := func(plain []byte, end bool) error {
		out := r.pass(ctx, l, d, plain, end)
		if r.denial != nil {
			return errStopped
		}
		var err error
		if l.coded, err = l.encoder.Write(l.coded, out); err != nil {
			r.denial = stepFailed()
		}
		return err
	}
	err := l.decoder.Decode(chunk, end, func(plain []byte) error { return write(plain, false) })
	if err == nil && end {
		err = write(nil, true)
	}
	if err != nil {
		r.undecodable(d, err)
		return nil
	}
	// What streams is flushed chunk by chunk, so that nobody waits for a block
	// to fill.
	if end {
		l.coded, err = l.encoder.Close(l.coded)
	} else {
		l.coded, err = l.encoder.Flush(l.coded)
	}
	if err != nil {
		r.denial = stepFailed()
	}
	return l.coded
}

func (r *Run) undecodable(d filters.Direction, err error) {
	switch {
	case errors.Is(err, coding.ErrTooLarge):
		r.Reach(DecodedBytes)
	case errors.Is(err, coding.ErrRatio):
		r.Reach(DecodedRatio)
	}
	if r.denial != nil {
		return
	}
	r.denial = &filters.Denial{Status: 400, Type: problemCoding, Title: "The body does not decode within its limits"}
	if d == filters.Response {
		r.denial.Status = 500
	}
}

func (l *lane) closeCodings() {
	if l.decoder != nil {
		l.decoder.Close()
	}
	l.decoder, l.encoder = nil, nil
}

// digests are fields that tell a checksum of the body as the sender had it
// (RFC 9530, and what was before it).
var digests = []string{"content-digest", "repr-digest", "digest", "content-md5"}

// amend puts the headers right that do not hold for an edited body, and takes
// from a request what would let its response slip by in pieces.
func (r *Run) amend(l *lane, d filters.Direction) {
	msg := r.ex.Message(d)
	change := func(c filters.Change) {
		msg.Headers.Apply(c)
		l.changes = append(l.changes, c)
	}
	if l.course != PassBody && r.edits(l.steps) {
		for _, name := range digests {
			if msg.Headers.Has(name) {
				change(filters.Change{Op: filters.RemoveField, Name: name})
			}
		}
		// The bytes are no longer the ones that a strong validator stands for
		// (RFC 9110, 8.8.3).
		if tag := msg.Headers.Get("etag"); tag != "" && !strings.HasPrefix(tag, "W/") {
			change(filters.Change{Op: filters.SetField, Name: "etag", Value: "W/" + tag})
		}
	}
	if d != filters.Request || !r.edits(r.lanes[filters.Response].steps) {
		return
	}
	// Ranges would cut values in two that no step sees whole.
	for _, name := range []string{"range", "if-range"} {
		if msg.Headers.Has(name) {
			change(filters.Change{Op: filters.RemoveField, Name: name})
		}
	}
	if r.chains.StripAcceptEncoding && msg.Headers.Joined("accept-encoding") != "identity" {
		// Without the field, any coding would do (RFC 9110, 12.5.3).
		change(filters.Change{Op: filters.SetField, Name: "accept-encoding", Value: "identity"})
	}
}

// edits reports whether a step that takes effect reads the body.
func (r *Run) edits(steps []*Step) bool {
	for _, s := range steps {
		if s.ReadsBody() && r.enforces(s) {
			return true
		}
	}
	return false
}
