package h2_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/encoding"
	encodingproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluice-proxy/sluice/internal/h2"
)

// protoCodec reads and writes messages as gRPC does.
type protoCodec struct{}

var codec protoCodec

var _ = encoding.GetCodecV2(encodingproto.Name)

func (protoCodec) Unmarshal(b []byte, m proto.Message) error { return proto.Unmarshal(b, m) }
func (protoCodec) Marshal(m proto.Message) ([]byte, error)   { return proto.Marshal(m) }

// raw serves e on one end of a pipe-like connection, and returns the other.
func raw(t testing.TB, e *echo, opt h2.Options) net.Conn {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := h2.New(opt)
	srv.Handle(method, e)
	go func() { _ = srv.Serve(lis) }()
	nc, err := net.Dial("tcp", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = nc.Close()
		_ = lis.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			t.Errorf("the connection did not end with its peer: %v", err)
		}
		if e.opened.Load() != e.closed.Load() {
			t.Errorf("%d sessions were opened, and %d closed", e.opened.Load(), e.closed.Load())
		}
	})
	return nc
}

// headerBlock is what a gRPC call begins with.
func headerBlock(extra ...hpack.HeaderField) []byte {
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	for _, f := range append([]hpack.HeaderField{{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"},
		{Name: ":path", Value: method}, {Name: "content-type", Value: "application/grpc"}}, extra...) {
		_ = enc.WriteField(f)
	}
	return b.Bytes()
}

// message is a gRPC message with value in it.
func message(value string) []byte {
	b, _ := proto.Marshal(wrapperspb.Bytes([]byte(value)))
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(b))), b...)
}

func TestWhatEndsAConnection(t *testing.T) {
	frames := func(f func(*http2.Framer)) []byte {
		var b bytes.Buffer
		b.WriteString(http2.ClientPreface)
		fr := http2.NewFramer(&b, nil)
		fr.AllowIllegalWrites = true
		_ = fr.WriteSettings()
		f(fr)
		return b.Bytes()
	}
	hello := http2.HeadersFrameParam{StreamID: 1, BlockFragment: headerBlock(), EndHeaders: true}
	for _, c := range []struct {
		name string
		code http2.ErrCode
		send []byte
	}{
		{"another protocol", http2.ErrCodeProtocol, []byte("GET / HTTP/1.1\r\nhost: x\r\n\r\n")},
		{"a frame that is too large", http2.ErrCodeFrameSize, frames(func(f *http2.Framer) { _ = f.WriteRawFrame(http2.FrameData, 0, 1, make([]byte, 1<<20)) })},
		{"data of no stream", http2.ErrCodeProtocol, frames(func(f *http2.Framer) { _ = f.WriteData(5, false, []byte("x")) })},
		{"a stream with an even number", http2.ErrCodeProtocol, frames(func(f *http2.Framer) {
			p := hello
			p.StreamID = 2
			_ = f.WriteHeaders(p)
		})},
		{"a header block that is interrupted", http2.ErrCodeProtocol, frames(func(f *http2.Framer) {
			p := hello
			p.EndHeaders = false
			_ = f.WriteHeaders(p)
			_ = f.WritePing(false, [8]byte{})
		})},
		{"headers without an end", http2.ErrCodeEnhanceYourCalm, frames(func(f *http2.Framer) {
			p := hello
			p.EndHeaders = false
			_ = f.WriteHeaders(p)
			for range 10 {
				_ = f.WriteContinuation(1, false, make([]byte, 16<<10))
			}
		})},
		{"headers that do not decode", http2.ErrCodeCompression, frames(func(f *http2.Framer) {
			p := hello
			p.BlockFragment = []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
			_ = f.WriteHeaders(p)
		})},
		{"more data than the window", http2.ErrCodeFlowControl, frames(func(f *http2.Framer) {
			_ = f.WriteHeaders(hello)
			_ = f.WriteData(1, false, message("wait"))
			for range 40 {
				_ = f.WriteData(1, false, make([]byte, 16<<10))
			}
		})},
		{"a window that overflows", http2.ErrCodeFlowControl, frames(func(f *http2.Framer) { _ = f.WriteWindowUpdate(0, 1<<31-1) })},
		{"a push", http2.ErrCodeProtocol, frames(func(f *http2.Framer) { _ = f.WriteRawFrame(http2.FramePushPromise, 0, 1, make([]byte, 8)) })},
		{"streams that are reset without a pause", http2.ErrCodeEnhanceYourCalm, frames(func(f *http2.Framer) {
			for id := uint32(1); id < 200_000; id += 2 {
				p := hello
				p.StreamID = id
				_ = f.WriteHeaders(p)
				_ = f.WriteRSTStream(id, http2.ErrCodeCancel)
			}
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &echo{waits: true, hold: make(chan struct{})}
			nc := raw(t, e, h2.Options{})
			_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
			go func() { _, _ = nc.Write(c.send) }()
			fr := http2.NewFramer(io.Discard, nc)
			for {
				f, err := fr.ReadFrame()
				if err != nil {
					var ne net.Error
					if errors.As(err, &ne) && ne.Timeout() {
						t.Fatal("the connection is still open")
					}
					t.Fatalf("it ended without a word: %v", err)
				}
				if g, ok := f.(*http2.GoAwayFrame); ok {
					if g.ErrCode != c.code {
						t.Errorf("it ends with %v", g.ErrCode)
					}
					return
				}
			}
		})
	}
}

// TestFramesOfAllShapes sends a call in the forms that the protocol allows.
func TestFramesOfAllShapes(t *testing.T) {
	msg := message("hello")
	for _, c := range []struct {
		name string
		send func(f *http2.Framer)
	}{
		{"in one frame", func(f *http2.Framer) {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headerBlock(), EndHeaders: true})
			_ = f.WriteData(1, true, msg)
		}},
		{"a byte a frame", func(f *http2.Framer) {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headerBlock(), EndHeaders: true})
			for i := range msg {
				_ = f.WriteData(1, false, msg[i:i+1])
			}
			_ = f.WriteData(1, true, nil)
		}},
		{"padded, with a priority and continuations", func(f *http2.Framer) {
			b := headerBlock()
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:5], PadLength: 7, Priority: http2.PriorityParam{Weight: 3}})
			_ = f.WriteContinuation(1, false, b[5:9])
			_ = f.WriteContinuation(1, true, b[9:])
			_ = f.WriteDataPadded(1, false, msg, make([]byte, 200))
			_ = f.WriteDataPadded(1, true, nil, make([]byte, 20))
		}},
		{"ended by trailers", func(f *http2.Framer) {
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headerBlock(), EndHeaders: true})
			_ = f.WriteData(1, false, msg)
			var b bytes.Buffer
			_ = hpack.NewEncoder(&b).WriteField(hpack.HeaderField{Name: "x-end", Value: "1"})
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b.Bytes(), EndHeaders: true, EndStream: true})
		}},
		{"with frames that mean nothing here", func(f *http2.Framer) {
			_ = f.WriteRawFrame(0x42, 0xff, 77, []byte("unknown"))
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headerBlock(), EndHeaders: true})
			_ = f.WritePriority(1, http2.PriorityParam{Weight: 1})
			_ = f.WritePing(false, [8]byte{1})
			_ = f.WriteData(1, true, msg)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			nc := raw(t, &echo{}, h2.Options{})
			_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
			var b bytes.Buffer
			b.WriteString(http2.ClientPreface)
			fr := http2.NewFramer(&b, nc)
			fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
			_ = fr.WriteSettings()
			c.send(fr)
			if _, err := nc.Write(b.Bytes()); err != nil {
				t.Fatal(err)
			}
			var got []byte
			for {
				f, err := fr.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				switch f := f.(type) {
				case *http2.DataFrame:
					got = append(got, f.Data()...)
				case *http2.MetaHeadersFrame:
					if !f.StreamEnded() {
						continue
					}
					if len(f.Fields) != 1 || f.Fields[0].Value != "0" {
						t.Errorf("it ends with %v", f.Fields)
					}
					if !bytes.Equal(got, msg) {
						t.Errorf("got %q", got)
					}
					return
				}
			}
		})
	}
}

// FuzzConnection: whatever a peer sends, the server does not panic, and lets
// go of the connection when the peer has.
func FuzzConnection(f *testing.F) {
	seed := func(write func(*http2.Framer)) {
		var b bytes.Buffer
		fr := http2.NewFramer(&b, nil)
		fr.AllowIllegalWrites = true
		_ = fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10})
		write(fr)
		f.Add(b.Bytes())
	}
	seed(func(fr *http2.Framer) {
		_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headerBlock(), EndHeaders: true})
		_ = fr.WriteData(1, false, message("hello, this is longer than the window"))
		_ = fr.WriteWindowUpdate(1, 100)
		_ = fr.WriteData(1, true, message("fail"))
		_ = fr.WriteRSTStream(1, http2.ErrCodeCancel)
	})
	seed(func(fr *http2.Framer) {
		_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headerBlock()[:7]})
		_ = fr.WriteContinuation(1, true, headerBlock()[7:])
		_ = fr.WriteDataPadded(1, false, message("panic"), make([]byte, 3))
		_ = fr.WritePing(true, [8]byte{})
		_ = fr.WriteGoAway(1, http2.ErrCodeNo, nil)
	})
	f.Fuzz(func(t *testing.T, frames []byte) {
		for _, waits := range []bool{false, true} {
			e := &echo{waits: waits}
			e.hold = make(chan struct{})
			close(e.hold)
			nc := raw(t, e, h2.Options{MaxMessageBytes: 1 << 16})
			_ = nc.SetDeadline(time.Now().Add(30 * time.Second))
			_, _ = nc.Write(append([]byte(http2.ClientPreface), frames...))
			_ = nc.(*net.TCPConn).CloseWrite()
			if _, err := io.Copy(io.Discard, nc); err != nil {
				var ne net.Error
				if errors.As(err, &ne) && ne.Timeout() {
					t.Fatal("the server holds on to a connection that has ended")
				}
			}
		}
	})
}
