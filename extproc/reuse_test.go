package extproc_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"github.com/sluice-proxy/sluice/extproc"
	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// owned is a filter that knows whose exchange it works on, by x-mark, and
// looks whether anything of another is there. It waits for nothing.
type owned struct {
	part
	strange *atomic.Int64
}

func (o owned) Apply(_ context.Context, ex *filters.Exchange, led *filters.Ledger) (filters.Decision, error) {
	mark := ex.Request.Headers.Get("x-mark")
	if ex.ID != "id-"+mark || ex.Phase == filters.ResponseHeaders && ex.Response.Headers.Get("x-mark") != mark || len(ex.Steps) > 0 {
		o.strange.Add(1)
	}
	led.SetHeader("x-seen", mark)
	led.RemoveHeader("x-drop")
	led.SetMetadata("test", "mark", mark)
	return filters.Decision{Verdict: filters.Changed, Reason: mark}, nil
}

func (o owned) Open(_ context.Context, ex *filters.Exchange, _ filters.Direction) (filters.Stream, error) {
	return &owner{o, ex, ex.Request.Headers.Get("x-mark")}, nil
}

type owner struct {
	of   owned
	ex   *filters.Exchange
	mark string
}

func (o *owner) Value(_ context.Context, v *filters.Value) error {
	if v.Kind != filters.String {
		return nil
	}
	if v.More {
		v.Hold(0)
		return nil
	}
	if !bytes.Equal(v.Text, []byte(o.mark)) || o.ex.ID != "id-"+o.mark {
		o.of.strange.Add(1)
	}
	v.Edit(0, len(v.Text), []byte("seen "+o.mark))
	return nil
}

func (o *owner) Close(_ context.Context, led *filters.Ledger) (filters.Decision, error) {
	led.SetMetadata("test", "end", o.mark)
	return filters.Decision{Verdict: filters.Changed, Reason: o.mark}, nil
}

// marks is a recorder that looks whether what it is told is of one exchange.
type marks struct {
	strange *atomic.Int64
	ended   atomic.Int64
}

func (m *marks) Decision(r *pipeline.Record) {
	if r.Decision.Verdict == filters.Changed && r.Exchange != "id-"+r.Decision.Reason || r.In.ID != r.Exchange {
		m.strange.Add(1)
	}
}

func (m *marks) Exchange(s *pipeline.Summary) {
	if s.Exchange.ID != "id-"+s.Exchange.Request.Headers.Get("x-mark") {
		m.strange.Add(1)
	}
	m.ended.Add(1)
}

// TestNothingOfAnotherExchange: the memory of an exchange is used again when it
// has ended, however that was. Exchanges that are cut anywhere, in the middle
// of a message's body too, leave nothing to others, and take nothing of them.
func TestNothingOfAnotherExchange(t *testing.T) {
	for _, immediate := range []bool{true, false} {
		t.Run(fmt.Sprintf("immediate=%v", immediate), func(t *testing.T) {
			strange := &atomic.Int64{}
			f := owned{part{needs: filters.Needs{Headers: true, Body: filters.StreamedBody, Immediate: immediate}}, strange}
			book := &marks{strange: strange}
			s := extproc.New(forgetful{both(t, f)}, extproc.Options{Recorder: book})
			clients := []*client{dial(t, s)}
			const workers, each = 8, 60
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() {
					rnd := rand.New(rand.NewPCG(uint64(w), 1))
					for i := range each {
						mark := fmt.Sprintf("%d-%d-%s", w, i, strings.Repeat("m", rnd.IntN(40)))
						cut := -1
						if rnd.IntN(2) == 0 {
							cut = 1 + rnd.IntN(7) // a stream without a message is no exchange
						}
						x := clients[w%len(clients)].open(plane{modes: [2]bodyMode{fullDuplex, fullDuplex}})
						if err := playMarked(x, mark, cut); err != nil {
							t.Errorf("exchange %s, cut at %d: %v", mark, cut, err)
						}
					}
				})
			}
			wg.Wait()
			for end := time.Now().Add(30 * time.Second); book.ended.Load() < workers*each && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
			if n := strange.Load(); n > 0 {
				t.Errorf("%d times there was something of another exchange", n)
			}
		})
	}
}

// forgetful are policies that keep no exchange.
type forgetful struct{ *steps }

func (f forgetful) Begin(context.Context, *filters.Exchange) (pipeline.Chains, pipeline.Limits) {
	return f.chains, f.limits
}

// playMarked plays an exchange whose every value is its mark, up to a message
// where it is cut, and looks at the replies.
func playMarked(x *exchange, mark string, cut int) error {
	defer x.cancel()
	body := fmt.Sprintf(`{"a": %q, "list": [%q, 1]}`, mark, mark)
	half := len(body) / 2
	head := func(fs []filters.Field) []filters.Field {
		return append(append(fs, fieldsOf("x-mark", mark, "x-request-id", "id-"+mark, "x-drop", mark)...), jsonType...)
	}
	messages := []*extprocv3.ProcessingRequest{
		headersOf(filters.Request, head(post("/")), false),
		bodyOf(filters.Request, body[:half], false), bodyOf(filters.Request, body[half:], false), bodyOf(filters.Request, "", true),
		headersOf(filters.Response, head(status("200")), false),
		bodyOf(filters.Response, body[:half], false), bodyOf(filters.Response, body[half:], false), bodyOf(filters.Response, "", true),
	}
	got := map[filters.Direction]string{}
	var res result
	for i, m := range messages {
		if i == cut {
			return nil
		}
		if err := x.send(m); err != nil {
			return err
		}
		d := filters.Request
		if i >= 4 {
			d = filters.Response
		}
		switch i % 4 {
		case 0: // the reply to the headers
			r, err := x.recv(d, &res)
			if err != nil {
				return err
			}
			for _, o := range r.headers.GetResponse().GetHeaderMutation().GetSetHeaders() {
				if v := string(o.GetHeader().GetRawValue()); v != mark {
					return fmt.Errorf("a header is set to %q", v)
				}
			}
		case 3: // and to all of the body
			for end := false; !end; {
				r, err := x.recv(d, &res)
				if err != nil {
					return err
				}
				chunk := r.body.GetResponse().GetBodyMutation().GetStreamedResponse()
				got[d] += string(chunk.GetBody())
				end = chunk.GetEndOfStream()
			}
			if want := strings.ReplaceAll(body, mark, "seen "+mark); got[d] != want {
				return fmt.Errorf("the body is %s", got[d])
			}
		}
	}
	return x.stream.CloseSend()
}
