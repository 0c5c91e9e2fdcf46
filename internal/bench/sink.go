package main

import (
	"bufio"
	"bytes"
	"io"
	"net"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// serveSink is a collector of spans that takes all and looks at none: any call
// is answered with an empty message, which is what OTLP's say when all is well.
//
// A real one runs on another machine. This one shares the cores with what is
// measured, and what it costs is not to be measured with it: it skips from one
// frame of HTTP/2 to the next, where a server of grpc-go, as collectors have,
// would take three times as long. Its windows are never full; those of grpc-go
// begin with 64 KiB and grow.
func serveSink(addr string) error {
	lis, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	for {
		c, err := lis.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer func() { _ = c.Close() }()
			_ = swallow(c)
		}()
	}
}

// swallow reads a connection to its end, and answers each stream when it ends.
func swallow(c io.ReadWriter) error {
	in := bufio.NewReaderSize(c, 256<<10)
	if _, err := in.Discard(len(http2.ClientPreface)); err != nil {
		return err
	}
	out := bufio.NewWriter(c) // which says at its Flush what has failed
	f := http2.NewFramer(out, in)
	const most = 1<<31 - 1
	_ = f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: most})
	_ = f.WriteWindowUpdate(0, most-65535)
	came := uint32(0) // since the connection's window was given back
	for {
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		h, err := http2.ReadFrameHeader(in)
		if err != nil {
			return err
		}
		payload := int(h.Length)
		switch {
		case h.Type == http2.FramePing && !h.Flags.Has(http2.FlagPingAck):
			var data [8]byte
			if _, err := io.ReadFull(in, data[:]); err != nil {
				return err
			}
			payload -= len(data)
			_ = f.WritePing(true, data)
		case h.Type == http2.FrameSettings && !h.Flags.Has(http2.FlagSettingsAck):
			_ = f.WriteSettingsAck()
		case h.Type == http2.FrameData:
			came += h.Length
			if h.Flags.Has(http2.FlagDataEndStream) {
				answer(f, h.StreamID)
				_ = f.WriteWindowUpdate(0, came)
				came = 0
			}
		}
		if _, err := in.Discard(payload); err != nil {
			return err
		}
	}
}

// answer ends a stream with an empty message.
func answer(f *http2.Framer, stream uint32) {
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	enc.SetMaxDynamicTableSize(0) // so that it needs no memory of the last answer
	_ = enc.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	_ = enc.WriteField(hpack.HeaderField{Name: "content-type", Value: "application/grpc"})
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true})
	_ = f.WriteData(stream, false, make([]byte, 5))
	block.Reset()
	_ = enc.WriteField(hpack.HeaderField{Name: "grpc-status", Value: "0"})
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
}
