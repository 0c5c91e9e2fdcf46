package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	procmode "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/sluice-proxy/sluice/extproc"
	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/filters/all"
	"github.com/sluice-proxy/sluice/internal/pipeline"
	"github.com/sluice-proxy/sluice/policies"
)

// wire is a data plane in this process that allocates nothing while it plays:
// its frames are made beforehand, and replies are read into one buffer. What
// is allocated is the server's.
type wire struct {
	t      testing.TB
	conn   net.Conn
	in     *bufio.Reader
	stream uint32
	frame  []byte // the payload in hand
	data   []byte // what has come of messages
	taken  int    // of data
	// body gathers what comes of a body, where keep is set.
	body []byte
	keep bool
}

// serveHere starts a server with policies in this process.
func serveHere(t testing.TB, policy string, recorder pipeline.Recorder, metrics extproc.Metrics) *wire {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := policies.Open(t.Context(), &policies.Loader{Registry: all.Registry(), Env: filters.Env{Now: time.Now}}, file)
	if err != nil {
		t.Fatal(err)
	}
	server := extproc.New(store, extproc.Options{Recorder: recorder, Metrics: metrics, DrainTimeout: time.Second})
	ctx, stop := context.WithCancel(context.Background())
	addrs, ended := make(chan []net.Addr, 1), make(chan error, 1)
	go func() {
		ended <- server.Serve(ctx, func(a []net.Addr) { addrs <- a }, extproc.Listener{Address: "127.0.0.1:0"})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	conn, err := net.Dial("tcp", (<-addrs)[0].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	w := &wire{t: t, conn: conn, in: bufio.NewReaderSize(conn, 64<<10), stream: 1, frame: make([]byte, 16<<10), data: make([]byte, 0, 1<<20)}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	// Windows that are never full.
	const most = 1<<31 - 1
	f := http2.NewFramer(conn, nil)
	if err := f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: most}); err != nil {
		t.Fatal(err)
	}
	if err := f.WriteWindowUpdate(0, most-65535); err != nil {
		t.Fatal(err)
	}
	return w
}

// script is an exchange to play: what is sent, and which reply is waited for
// after it.
type script []*turn

type turn struct {
	frames []byte
	at     []int            // where in frames a frame begins
	until  protowire.Number // the field of ProcessingResponse; 0: the stream's end
	whole  bool             // wait for the end of the body
}

// The fields of ProcessingResponse.
const (
	requestHeadersReply  = 1
	responseHeadersReply = 2
	requestBodyReply     = 3
	responseBodyReply    = 4
)

// scriptOf makes the frames of an exchange.
func scriptOf(t testing.TB, ex exchange) script {
	t.Helper()
	mode := procmode.ProcessingMode_NONE
	if ex.fullDuplex {
		mode = procmode.ProcessingMode_FULL_DUPLEX_STREAMED
	}
	var s script
	begin := func(until protowire.Number, whole bool) { s = append(s, &turn{until: until, whole: whole}) }
	begin(requestHeadersReply, false)
	s[0].open()
	s[0].message(t, ex.requestHeaders(mode))
	if ex.fullDuplex && len(ex.request) > 0 {
		begin(requestBodyReply, true)
		for m := range bodyMessages(cut(ex.request, ex.chunk), true) {
			s[len(s)-1].message(t, m)
		}
	}
	begin(responseHeadersReply, false)
	s[len(s)-1].message(t, ex.responseHeaders())
	if parts := ex.responseParts(); ex.fullDuplex && len(parts) > 0 {
		begin(responseBodyReply, true)
		for m := range bodyMessages(parts, false) {
			s[len(s)-1].message(t, m)
		}
	}
	begin(0, false)
	s[len(s)-1].add(http2.FrameData, http2.FlagDataEndStream, nil)
	return s
}

// open begins the stream.
func (t *turn) open() {
	var block []byte
	enc := hpack.NewEncoder((*appender)(&block))
	enc.SetMaxDynamicTableSize(0) // so that it means the same every time
	for _, f := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", extprocv3.ExternalProcessor_Process_FullMethodName},
		{":authority", "sluice"}, {"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	t.add(http2.FrameHeaders, http2.FlagHeadersEndHeaders, block)
}

type appender []byte

func (a *appender) Write(p []byte) (int, error) {
	*a = append(*a, p...)
	return len(p), nil
}

// message adds a gRPC message, in frames of at most 16 KiB.
func (t *turn) message(tb testing.TB, m *extprocv3.ProcessingRequest) {
	b, err := proto.Marshal(m)
	if err != nil {
		tb.Fatal(err)
	}
	b = append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(b))), b...)
	for len(b) > 0 {
		n := min(len(b), 16<<10)
		t.add(http2.FrameData, 0, b[:n])
		b = b[n:]
	}
}

func (t *turn) add(kind http2.FrameType, flags http2.Flags, payload []byte) {
	t.at = append(t.at, len(t.frames))
	n := len(payload)
	t.frames = append(t.frames, byte(n>>16), byte(n>>8), byte(n), byte(kind), byte(flags), 0, 0, 0, 0)
	t.frames = append(t.frames, payload...)
}

// play plays a script once.
func (w *wire) play(s script) {
	w.data, w.taken, w.body = w.data[:0], 0, w.body[:0]
	for _, t := range s {
		for _, at := range t.at {
			binary.BigEndian.PutUint32(t.frames[at+5:], w.stream)
		}
		if _, err := w.conn.Write(t.frames); err != nil {
			w.t.Fatal(err)
		}
		w.await(t.until, t.whole)
	}
	w.stream += 2
}

// await reads until a reply has come, or all of a body, or the stream's end.
func (w *wire) await(until protowire.Number, whole bool) {
	for {
		for {
			m, ok := w.next()
			if !ok {
				break
			}
			reply, found := field(m, until)
			if !found {
				continue
			}
			if !whole || w.chunk(reply) {
				return
			}
		}
		if w.read() {
			if until != 0 {
				w.t.Fatal("the stream ended before a reply had come")
			}
			return
		}
	}
}

// next takes a message from the data that has come.
func (w *wire) next() (message []byte, ok bool) {
	rest := w.data[w.taken:]
	if len(rest) == 0 {
		w.data, w.taken = w.data[:0], 0
	}
	if len(rest) < 5 {
		return nil, false
	}
	n := 5 + int(binary.BigEndian.Uint32(rest[1:]))
	if len(rest) < n {
		return nil, false
	}
	w.taken += n
	return rest[5:n], true
}

// chunk takes a chunk of a body from a reply, and reports whether it is the
// last.
func (w *wire) chunk(reply []byte) (last bool) {
	for _, n := range []protowire.Number{1, 3, 3} { // response, body_mutation, streamed_response
		reply, _ = field(reply, n)
	}
	if b, ok := field(reply, 1); ok && w.keep {
		w.body = append(w.body, b...)
	}
	_, last = field(reply, 2) // end_of_stream, which is there where it is set
	return last
}

// read reads a frame, and reports whether it ends the stream.
func (w *wire) read() (end bool) {
	if _, err := io.ReadFull(w.in, w.frame[:9]); err != nil {
		w.t.Fatal(err)
	}
	n := int(w.frame[0])<<16 | int(w.frame[1])<<8 | int(w.frame[2])
	kind, flags, stream := http2.FrameType(w.frame[3]), http2.Flags(w.frame[4]), binary.BigEndian.Uint32(w.frame[5:9])
	if _, err := io.ReadFull(w.in, w.frame[:n]); err != nil {
		w.t.Fatal(err)
	}
	switch kind {
	case http2.FrameData:
		if stream == w.stream {
			w.data = append(w.data, w.frame[:n]...)
		}
	case http2.FrameHeaders:
		return stream == w.stream && flags.Has(http2.FlagHeadersEndStream)
	case http2.FrameSettings:
		if !flags.Has(http2.FlagSettingsAck) {
			if err := http2.NewFramer(w.conn, nil).WriteSettingsAck(); err != nil {
				w.t.Fatal(err)
			}
		}
	case http2.FrameRSTStream, http2.FrameGoAway:
		w.t.Fatalf("the server sent %s", kind)
	}
	return false
}

// field returns the last field of a number, of a message. What is no text is
// there, and empty.
func field(b []byte, want protowire.Number) (value []byte, ok bool) {
	for len(b) > 0 {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return nil, false
		}
		b = b[size:]
		if size = protowire.ConsumeFieldValue(n, kind, b); size < 0 {
			return nil, false
		}
		if n == want {
			ok, value = true, nil
			if kind == protowire.BytesType {
				value, _ = protowire.ConsumeBytes(b)
			}
		}
		b = b[size:]
	}
	return value, ok
}
