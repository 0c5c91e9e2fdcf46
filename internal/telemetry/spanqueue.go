package telemetry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

const (
	// maxWaiting bounds the bytes of encoded spans that wait to be sent. As
	// many may be on their way. It is three quarters of what a collector
	// takes at once by default. There is room for both from the start, which is
	// memory only once it is used.
	maxWaiting = 3 << 20
	// sendFrom is from how many waiting bytes on they are sent at once, and
	// sendEvery when they are sent in any case. A request wakes many, here and
	// at the collector: half of it costs a third more a span.
	sendFrom  = 2 << 20
	sendEvery = time.Second
)

// spanQueue gathers encoded spans and sends them by a goroutine of its own. It
// never waits for the collector: where that does not keep up, spans are
// dropped.
type spanQueue struct {
	client   otlptrace.Client
	resource *resourcepb.Resource
	schema   string // of resource
	dropped  atomic.Uint64

	mu      sync.Mutex
	waiting []byte
	count   int // spans in waiting
	closed  bool

	due  chan struct{}
	stop chan struct{}
	done chan struct{}
	// sending is the context of what is sent; cancel ends it.
	sending context.Context
	cancel  context.CancelFunc
}

func newSpanQueue(client otlptrace.Client, resource *resourcepb.Resource, schema string) *spanQueue {
	q := &spanQueue{
		client: client, resource: resource, schema: schema,
		waiting: make([]byte, 0, maxWaiting),
		due:     make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	q.sending, q.cancel = context.WithCancel(context.Background())
	go q.run()
	return q
}

// add copies an encoded span.
func (q *spanQueue) add(encoded []byte) {
	q.mu.Lock()
	fits := !q.closed && len(q.waiting)+len(encoded) <= maxWaiting
	if fits {
		q.waiting = append(q.waiting, encoded...)
		q.count++
	}
	due := len(q.waiting) >= sendFrom
	q.mu.Unlock()
	if !fits {
		q.dropped.Add(1)
	}
	if due {
		select {
		case q.due <- struct{}{}:
		default:
		}
	}
}

func (q *spanQueue) run() {
	defer close(q.done)
	tick := time.NewTicker(sendEvery)
	defer tick.Stop()
	batch := make([]byte, 0, maxWaiting)
	for stopped := false; !stopped; {
		select {
		case <-q.due:
		case <-tick.C:
		case <-q.stop:
			stopped = true
		}
		batch = q.send(batch[:0])
	}
}

// send sends what waits, and leaves empty in its place. It returns what it has
// sent, which is free then.
func (q *spanQueue) send(empty []byte) []byte {
	q.mu.Lock()
	batch, count := q.waiting, q.count
	q.waiting, q.count = empty, 0
	q.mu.Unlock()
	if count == 0 {
		return batch
	}
	// The spans are encoded already. A message's unknown fields are written as
	// they are, which is why they can stand in for the known field. asEncoded
	// writes them from where they are.
	scope := &tracepb.ScopeSpans{Scope: &commonpb.InstrumentationScope{Name: "github.com/sluice-proxy/sluice"}}
	scope.ProtoReflect().SetUnknown(batch)
	err := q.client.UploadTraces(q.sending, []*tracepb.ResourceSpans{{Resource: q.resource, SchemaUrl: q.schema, ScopeSpans: []*tracepb.ScopeSpans{scope}}})
	if err != nil {
		q.dropped.Add(uint64(count))
		otel.Handle(fmt.Errorf("sending %d spans: %w", count, err))
		return make([]byte, 0, maxWaiting) // a call that was broken off may still read the other
	}
	return batch
}

// asEncoded is gRPC's codec for protobuf, but that spans which are encoded
// already are not copied to be sent.
type asEncoded struct{ encoding.CodecV2 }

// Name is none: the content type is that of a call without a codec.
func (asEncoded) Name() string { return "" }

// Marshal implements encoding.CodecV2.
func (c asEncoded) Marshal(v any) (mem.BufferSlice, error) {
	req, ok := v.(*coltracepb.ExportTraceServiceRequest)
	if !ok || len(req.ResourceSpans) != 1 || len(req.ResourceSpans[0].ScopeSpans) != 1 {
		return c.CodecV2.Marshal(v)
	}
	of := req.ResourceSpans[0]
	spans := of.ScopeSpans[0].ProtoReflect().GetUnknown()
	scope, err := proto.Marshal(&tracepb.ScopeSpans{Scope: of.ScopeSpans[0].Scope})
	if err != nil {
		return nil, err
	}
	head, err := proto.Marshal(&tracepb.ResourceSpans{Resource: of.Resource, SchemaUrl: of.SchemaUrl})
	if err != nil {
		return nil, err
	}
	head = append(appendLength(head, resourceSpansScopeSpans, len(scope)+len(spans)), scope...)
	head = append(appendLength(nil, requestResourceSpans, len(head)+len(spans)), head...)
	return mem.BufferSlice{mem.SliceBuffer(head), mem.SliceBuffer(spans)}, nil
}

// close sends what is left, as long as ctx allows. It is called once.
func (q *spanQueue) close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	close(q.stop)
	var err error
	select {
	case <-q.done:
	case <-ctx.Done():
		err = ctx.Err()
		q.cancel()
		<-q.done
	}
	q.cancel()
	return errors.Join(err, q.client.Stop(ctx))
}
