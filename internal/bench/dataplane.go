package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	procmode "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extproc "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
)

// exchange is one HTTP exchange as the data plane sends it.
type exchange struct {
	path              string
	request, response []byte
	// chunk is how much of a body goes into one message.
	chunk int
	// parts are the response's messages, where they are not of one size.
	parts [][]byte
	// responseType is the response's content type; JSON where empty.
	responseType string
	// into, where set, takes what comes back of the bodies.
	into *bytes.Buffer
	// fullDuplex sends the bodies; without it only headers go.
	fullDuplex bool
	// others are played in turn with it, where there are any: as long, with other
	// values in them. What a server remembers of the last bodies is not to make
	// it look fast.
	others []exchange
}

// version is the one of the exchange and its others that is played as number n.
func (ex *exchange) version(n int) exchange {
	if k := n % (len(ex.others) + 1); k > 0 {
		return ex.others[k-1]
	}
	return *ex
}

// played is one measurement with the played data plane.
type played struct {
	perSecond float64
	p50, p99  time.Duration
	exchanges int
}

// play loads the processor at addr with exchanges, streams at once on two
// connections, for d.
func play(ctx context.Context, addr string, ex exchange, streams int, d time.Duration) (played, error) {
	conns := make([]*grpc.ClientConn, min(2, streams))
	for i := range conns {
		c, err := dial(addr)
		if err != nil {
			return played{}, err
		}
		defer func() { _ = c.Close() }()
		conns[i] = c
	}
	// A peer may take long for each.
	ctx, cancel := context.WithTimeout(ctx, d+2*time.Minute)
	defer cancel()
	var (
		mu   sync.Mutex
		took []time.Duration
		errs []error
		wg   sync.WaitGroup
		next atomic.Int64
	)
	start := time.Now()
	for i := range streams {
		wg.Go(func() {
			client := extproc.NewExternalProcessorClient(conns[i%len(conns)])
			var mine []time.Duration
			for time.Since(start) < d {
				t := time.Now()
				if err := once(ctx, client, ex.version(int(next.Add(1)))); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
					return
				}
				mine = append(mine, time.Since(t))
			}
			mu.Lock()
			took = append(took, mine...)
			mu.Unlock()
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	if len(errs) > 0 {
		return played{}, fmt.Errorf("%d of %d streams have failed; the first: %w", len(errs), streams, errs[0])
	}
	if len(took) == 0 {
		return played{}, errors.New("no exchange was completed")
	}
	slices.Sort(took)
	return played{
		perSecond: float64(len(took)) / elapsed.Seconds(), exchanges: len(took),
		p50: took[len(took)/2], p99: took[len(took)*99/100],
	}, nil
}

// once plays one exchange as Envoy does: headers, and bodies without waiting
// for replies.
func once(ctx context.Context, client extproc.ExternalProcessorClient, ex exchange) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.Process(ctx)
	if err != nil {
		return err
	}
	mode := procmode.ProcessingMode_NONE
	if ex.fullDuplex {
		mode = procmode.ProcessingMode_FULL_DUPLEX_STREAMED
	}
	if err := stream.Send(ex.requestHeaders(mode)); err != nil {
		return err
	}
	if err := ex.exchangeBody(stream, cut(ex.request, ex.chunk), true); err != nil {
		return err
	}
	if err := stream.Send(ex.responseHeaders()); err != nil {
		return err
	}
	return ex.exchangeBody(stream, ex.responseParts(), false)
}

// requestHeaders is the first message of an exchange.
func (ex exchange) requestHeaders(mode procmode.ProcessingMode_BodySendMode) *extproc.ProcessingRequest {
	return &extproc.ProcessingRequest{
		Request: &extproc.ProcessingRequest_RequestHeaders{RequestHeaders: &extproc.HttpHeaders{
			Headers: header(":method", "POST", ":path", ex.path, ":authority", "api.example.com", ":scheme", "http",
				"content-type", "application/json", "x-request-id", "3f2a6c1e-0000-4000-8000-000000000000", "user-agent", "bench"),
			EndOfStream: len(ex.request) == 0,
		}},
		ProtocolConfig: &extproc.ProtocolConfiguration{RequestBodyMode: mode, ResponseBodyMode: mode},
	}
}

func (ex exchange) responseHeaders() *extproc.ProcessingRequest {
	return &extproc.ProcessingRequest{Request: &extproc.ProcessingRequest_ResponseHeaders{ResponseHeaders: &extproc.HttpHeaders{
		Headers:     header(":status", "200", "content-type", cmp.Or(ex.responseType, "application/json")),
		EndOfStream: len(ex.responseParts()) == 0,
	}}}
}

// responseParts are the messages that the response's body comes in.
func (ex exchange) responseParts() [][]byte {
	if ex.parts != nil {
		return ex.parts
	}
	return cut(ex.response, ex.chunk)
}

// cut cuts a body into messages.
func cut(body []byte, chunk int) [][]byte {
	if len(body) == 0 {
		return nil
	}
	return slices.Collect(slices.Chunk(body, chunk))
}

// exchangeBody sends a body and reads the replies to its direction. What fits
// into the connection's windows is sent first, which costs no goroutine.
func (ex exchange) exchangeBody(stream extproc.ExternalProcessor_ProcessClient, parts [][]byte, request bool) error {
	if !ex.fullDuplex || len(parts) == 0 {
		return ex.receive(stream, false, request)
	}
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if size <= 32<<10 {
		if err := sendBody(stream, parts, request); err != nil {
			return err
		}
		return ex.receive(stream, true, request)
	}
	sent := make(chan error, 1)
	go func() { sent <- sendBody(stream, parts, request) }()
	err := ex.receive(stream, true, request)
	if err != nil {
		return err // which ends the stream, and the sending
	}
	return <-sent
}

func sendBody(stream extproc.ExternalProcessor_ProcessClient, parts [][]byte, request bool) error {
	for m := range bodyMessages(parts, request) {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return nil
}

// bodyMessages are the messages of a body that comes in parts.
func bodyMessages(parts [][]byte, request bool) iter.Seq[*extproc.ProcessingRequest] {
	return func(yield func(*extproc.ProcessingRequest) bool) {
		for i, p := range parts {
			b := &extproc.HttpBody{Body: p, EndOfStream: i == len(parts)-1}
			m := &extproc.ProcessingRequest{Request: &extproc.ProcessingRequest_ResponseBody{ResponseBody: b}}
			if request {
				m.Request = &extproc.ProcessingRequest_RequestBody{RequestBody: b}
			}
			if !yield(m) {
				return
			}
		}
	}
}

// receive reads the replies to one direction: the headers', and the body's to
// its end.
func (ex exchange) receive(stream extproc.ExternalProcessor_ProcessClient, body, request bool) error {
	headers := false
	for {
		resp, err := stream.Recv()
		if err != nil {
			return err
		}
		var b *extproc.BodyResponse
		switch m := resp.Response.(type) {
		case *extproc.ProcessingResponse_RequestHeaders, *extproc.ProcessingResponse_ResponseHeaders:
			headers = true
		case *extproc.ProcessingResponse_RequestBody:
			b = m.RequestBody
		case *extproc.ProcessingResponse_ResponseBody:
			b = m.ResponseBody
		case *extproc.ProcessingResponse_ImmediateResponse:
			return fmt.Errorf("the processor denied the exchange with %d", m.ImmediateResponse.GetStatus().GetCode())
		}
		if ex.into != nil {
			ex.into.Write(b.GetResponse().GetBodyMutation().GetStreamedResponse().GetBody())
		}
		if headers && !body || b != nil && b.GetResponse().GetBodyMutation().GetStreamedResponse().GetEndOfStream() {
			return nil
		}
	}
}
