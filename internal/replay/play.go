package replay

import (
	"bytes"
	"context"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// Policies gives an exchange its steps; policies.Store is one.
type Policies interface {
	Begin(ctx context.Context, ex *filters.Exchange) (pipeline.Chains, pipeline.Limits)
}

// Ending is how a body ends.
type Ending uint8

// The endings: with its last chunk, with an empty last chunk, or by trailers.
const (
	EndWithChunk Ending = iota
	EndEmpty
	EndWithTrailers
)

// Options say how the exchange is played.
type Options struct {
	// Cut cuts a body into chunks; nil is one chunk.
	Cut func(body []byte) [][]byte
	// Ending applies to bodies whose message has no trailers; one that has
	// trailers ends with them.
	Ending Ending
	// Caps are the data plane's; the most capable where nil.
	Caps *pipeline.Caps
	// Exchange prepares the exchange (source, route, id) before it begins.
	Exchange func(*filters.Exchange)
	// Now is the clock; time.Now where nil.
	Now func() time.Time
}

// Result is what became of the exchange.
type Result struct {
	// Request is what the backend gets, and Response what the client gets;
	// nil where the exchange was denied before that, or none was given.
	Request, Response *Message
	// Denial is set where Sluice answered in the backend's place.
	Denial *filters.Denial
	// Decisions are in the order in which they were made.
	Decisions []*pipeline.Record
	Summary   *pipeline.Summary
	Metadata  map[string]map[string]any
	// ClearRouteCache was asked for.
	ClearRouteCache bool
}

// Decision implements pipeline.Recorder.
func (r *Result) Decision(rec *pipeline.Record) {
	kept := *rec
	r.Decisions = append(r.Decisions, &kept)
}

// Exchange implements pipeline.Recorder.
func (r *Result) Exchange(s *pipeline.Summary) {
	kept := *s
	r.Summary = &kept
}

// Play plays the exchange. The response may be nil.
func Play(ctx context.Context, p Policies, request, response *Message, opt Options) *Result {
	now := opt.Now
	if now == nil {
		now = time.Now
	}
	caps := pipeline.Caps{Body: true, HeadersAfterBody: true, HoldTail: true}
	if opt.Caps != nil {
		caps = *opt.Caps
	}
	ex := &filters.Exchange{ID: "replay", Started: now()}
	if id := request.Headers.Get("x-request-id"); id != "" {
		ex.ID = id
	}
	ex.Request.Headers = request.Headers
	if opt.Exchange != nil {
		opt.Exchange(ex)
	}
	chains, limits := p.Begin(ctx, ex)
	res := &Result{}
	run := pipeline.NewRun(ex, chains, pipeline.Options{Limits: limits, Recorder: res, Now: now})
	defer run.Finish(ctx)
	pl := player{run: run, ex: ex, res: res, caps: caps, opt: opt}
	res.Request = pl.message(ctx, filters.Request, request)
	if res.Denial != nil || response == nil {
		return res
	}
	ex.Response.Headers = response.Headers
	res.Response = pl.message(ctx, filters.Response, response)
	return res
}

type player struct {
	run  *pipeline.Run
	ex   *filters.Exchange
	res  *Result
	caps pipeline.Caps
	opt  Options
}

// take carries out a turn and reports whether the exchange goes on.
func (p *player) take(t pipeline.Turn) bool {
	if t.Denial != nil {
		p.res.Denial = t.Denial
		return false
	}
	for ns, kv := range t.Metadata {
		if p.res.Metadata == nil {
			p.res.Metadata = map[string]map[string]any{}
		}
		p.res.Metadata[ns] = kv
	}
	p.res.ClearRouteCache = p.res.ClearRouteCache || t.ClearRouteCache
	return true
}

func (p *player) message(ctx context.Context, d filters.Direction, in *Message) *Message {
	out := &Message{}
	trailers := in.Trailers.Len() > 0 || p.opt.Ending == EndWithTrailers && len(in.Body) > 0
	end := len(in.Body) == 0 && !trailers
	if !p.take(p.run.Headers(ctx, d, p.caps, end)) {
		return nil
	}
	var body bytes.Buffer
	if !end {
		chunks := [][]byte{in.Body}
		if p.opt.Cut != nil {
			chunks = p.opt.Cut(in.Body)
		}
		if p.opt.Ending == EndEmpty && !trailers {
			chunks = append(chunks, nil)
		}
		for i, c := range chunks {
			// A chunk's memory is the receiver's only until the call returns.
			t := p.run.Body(ctx, d, bytes.Clone(c), !trailers && i == len(chunks)-1)
			if !p.take(t) {
				return nil
			}
			body.Write(t.Body)
		}
	}
	if trailers {
		p.ex.Message(d).Trailers = in.Trailers
		t := p.run.Trailers(ctx, d)
		if !p.take(t) {
			return nil
		}
		body.Write(t.Body)
	}
	msg := p.ex.Message(d)
	out.Headers, out.Trailers, out.Body = msg.Headers, msg.Trailers, body.Bytes()
	return out
}
