package h2

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	readBuffer = 128 << 10
	// maxFrame is the largest frame that is taken.
	maxFrame = 64 << 10
	// streamWindow is how much a stream may send ahead of its session.
	streamWindow = 256 << 10
	// connWindow is how much all streams may have under way.
	connWindow = 16 << 20
	// maxUnwritten is how much may wait to be written before everybody who
	// adds to it waits.
	maxUnwritten = 1 << 20
	// maxAnswers is how many answers to settings and pings may wait to be
	// written.
	maxAnswers = 10_000
	// maxHeaderBlock is the size of the headers of a stream.
	maxHeaderBlock = 64 << 10
	// inlineBytes is the largest message that is worked on between two reads of
	// the connection; others would keep its other streams waiting.
	inlineBytes = 32 << 10
	// longBytes is how much a stream may have sent for its messages of smallBytes
	// and more to be worked on there still: long bodies are more work than one
	// connection's reader should do.
	longBytes  = 64 << 10
	smallBytes = 8 << 10
	// maxResets is how many streams a peer may reset within a second before
	// they have been answered.
	maxResets = 4000

	handshakeTimeout = 10 * time.Second
	// lingerTime is how long a peer that was told to go may still send.
	lingerTime = time.Second
	// writeTimeout is how long a write may take, or a little less.
	writeTimeout = 30 * time.Second
)

// connError ends a connection.
type connError struct {
	code Code
	msg  string
}

func (e *connError) Error() string { return e.msg }

func broken(code Code, format string, args ...any) error {
	return &connError{code, fmt.Sprintf(format, args...)}
}

// conn is one connection. One goroutine reads it; whoever has something to
// say appends it to out.
type conn struct {
	srv *Server
	nc  net.Conn

	// The reader's own.
	in         []byte
	from, to   int // in[from:to] has been read and not been parsed
	headers    *hpack.Decoder
	fields     []hpack.HeaderField
	fieldBytes int
	block      []byte // of a header block that goes on
	blockOf    uint32 // its stream; 0: none is open
	blockEnds  bool   // END_STREAM was on its HEADERS
	lastID     uint32
	ungranted  int
	resets     int
	resetsFrom time.Time
	retired    []*Stream // whose memory is there for others

	mu       sync.Mutex
	written  sync.Cond // out was written, or the last stream has gone
	out      []byte
	spare    []byte
	deadline time.Time // of writing; the writer's
	answers  int       // in out, to frames that want one
	writing  bool
	failed   error
	streams  map[uint32]*Stream
	blocked  []*Stream // in the order in which they may go on
	window   int64     // what may be sent on all streams
	peer     peerSettings
	draining bool
	closed   bool
	// alarm is the one timer of all streams. It goes off at alarmAt; zero: it
	// is not set.
	alarm   *time.Timer
	alarmAt time.Time
}

// peerSettings are what the peer has announced.
type peerSettings struct {
	window int64
	frame  int
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{srv: s, nc: nc, streams: map[uint32]*Stream{}, window: defaultWindow, peer: peerSettings{defaultWindow, defaultFrame}}
	c.written.L = &c.mu
	c.headers = hpack.NewDecoder(4096, func(f hpack.HeaderField) {
		c.fieldBytes += len(f.Name) + len(f.Value)
		if c.fieldBytes <= maxHeaderBlock {
			c.fields = append(c.fields, f)
		}
	})
	c.headers.SetMaxStringLength(maxHeaderBlock)
	return c
}

// serve reads the connection to its end.
func (c *conn) serve() {
	err := c.handshake()
	for err == nil {
		err = c.frame()
	}
	var ce *connError
	if errors.As(err, &ce) {
		c.srv.opt.Log.Warn("a connection was ended: it does not keep to the protocol", "why", ce.msg)
		c.mu.Lock()
		c.out = appendGoAway(c.out, c.lastID, ce.code)
		c.mu.Unlock()
		c.linger()
	}
	c.close()
	c.mu.Lock()
	var left []*Stream
	for _, s := range c.streams {
		left = append(left, s)
	}
	c.mu.Unlock()
	for _, s := range left {
		c.end(s, true)
	}
	c.mu.Lock()
	for len(c.streams) > 0 { // sessions that are at work end before their server
		c.written.Wait()
	}
	if c.alarm != nil {
		c.alarm.Stop()
	}
	c.mu.Unlock()
	c.srv.leave(c)
}

// linger sees to it that the last word arrives, and gives up after a moment: a
// connection that is closed while something is still to be read is reset, and
// then the peer may never read that word.
func (c *conn) linger() {
	_ = c.nc.SetDeadline(time.Now().Add(lingerTime))
	c.flushAll()
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, c.nc)
	}
}

// close closes the connection; the reader finds out.
func (c *conn) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	_ = c.nc.Close()
}

func (c *conn) handshake() error {
	_ = c.nc.SetDeadline(time.Now().Add(handshakeTimeout))
	if t, ok := c.nc.(*tls.Conn); ok {
		if err := t.Handshake(); err != nil {
			return err
		}
	}
	c.in = make([]byte, readBuffer)
	for c.to-c.from < len(preface) {
		n, err := c.nc.Read(c.in[c.to:])
		if err != nil {
			return err
		}
		c.to += n
		if got := c.in[:min(c.to, len(preface))]; !bytes.HasPrefix([]byte(preface), got) {
			return broken(ProtocolError, "it does not begin as HTTP/2")
		}
	}
	c.from = len(preface)
	_ = c.nc.SetDeadline(time.Time{})
	const settings = 4
	c.mu.Lock()
	c.out = appendFrameHeader(c.out, 6*settings, frameSettings, 0, 0)
	c.out = appendSetting(c.out, settingMaxStreams, uint32(c.srv.opt.MaxStreams))
	c.out = appendSetting(c.out, settingInitialWindow, streamWindow)
	c.out = appendSetting(c.out, settingMaxFrameSize, maxFrame)
	c.out = appendSetting(c.out, settingMaxHeaderListSize, maxHeaderBlock)
	c.out = appendWindowUpdate(c.out, 0, connWindow-defaultWindow)
	c.mu.Unlock()
	return nil
}

// need reads until n bytes are there. What waits to be written goes out before
// the reader waits.
func (c *conn) need(n int) error {
	for c.to-c.from < n {
		if c.from == c.to {
			c.from, c.to = 0, 0
		} else if len(c.in)-c.from < max(n, 4<<10) {
			c.to = copy(c.in, c.in[c.from:c.to])
			c.from = 0
		}
		c.flush()
		m, err := c.nc.Read(c.in[c.to:])
		c.to += m
		if err != nil && c.to-c.from < n {
			return err
		}
	}
	return nil
}

// frame reads and deals with one frame.
func (c *conn) frame() error {
	if err := c.need(frameHeaderSize); err != nil {
		return err
	}
	h := parseFrameHeader(c.in[c.from:])
	if h.length > maxFrame {
		return broken(FrameSizeError, "a frame of %d bytes", h.length)
	}
	if err := c.need(frameHeaderSize + h.length); err != nil {
		return err
	}
	payload := c.in[c.from+frameHeaderSize : c.from+frameHeaderSize+h.length]
	c.from += frameHeaderSize + h.length
	if c.blockOf != 0 && (h.kind != frameContinuation || h.stream != c.blockOf) {
		return broken(ProtocolError, "a header block is interrupted")
	}
	switch h.kind {
	case frameData:
		return c.data(h, payload)
	case frameHeaders:
		return c.headerFrame(h, payload)
	case frameContinuation:
		return c.continuation(h, payload)
	case frameReset:
		return c.reset(h, payload)
	case frameSettings:
		return c.settings(h, payload)
	case framePing:
		return c.ping(h, payload)
	case frameWindowUpdate:
		return c.windowUpdate(h, payload)
	case framePushPromise:
		return broken(ProtocolError, "a client pushes")
	}
	// GOAWAY: the client opens no more streams, which shows by itself.
	// PRIORITY and unknown frames mean nothing here.
	return nil
}

func (c *conn) settings(h frameHeader, payload []byte) error {
	if h.flags&flagAck != 0 {
		return nil
	}
	if h.stream != 0 || len(payload)%6 != 0 {
		return broken(FrameSizeError, "settings of %d bytes", len(payload))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := payload; len(p) > 0; p = p[6:] {
		v := binary.BigEndian.Uint32(p[2:])
		switch binary.BigEndian.Uint16(p) {
		case settingInitialWindow:
			if v > maxWindow {
				return broken(FlowControlError, "a window of %d", v)
			}
			change := int64(v) - c.peer.window
			c.peer.window = int64(v)
			for _, s := range c.streams {
				s.window += change
			}
			c.unblock()
		case settingMaxFrameSize:
			if v < defaultFrame || v > 1<<24-1 {
				return broken(ProtocolError, "frames of %d bytes", v)
			}
			c.peer.frame = int(v)
		}
	}
	c.out = appendFrameHeader(c.out, 0, frameSettings, flagAck, 0)
	return c.crowded()
}

// drainPing is the data of the ping that a drain waits for.
var drainPing = []byte("sluice.d")

func (c *conn) ping(h frameHeader, payload []byte) error {
	if len(payload) != 8 || h.stream != 0 {
		return broken(FrameSizeError, "a ping of %d bytes", len(payload))
	}
	if h.flags&flagAck != 0 {
		if bytes.Equal(payload, drainPing) {
			c.refuse()
		}
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = append(appendFrameHeader(c.out, 8, framePing, flagAck, 0), payload...)
	return c.crowded()
}

// crowded ends a connection whose peer asks and does not read the answers.
// The lock is held.
func (c *conn) crowded() error {
	if c.answers++; c.answers > maxAnswers {
		return broken(EnhanceYourCalm, "too many frames that want an answer")
	}
	return nil
}

func (c *conn) windowUpdate(h frameHeader, payload []byte) error {
	if len(payload) != 4 {
		return broken(FrameSizeError, "a window update of %d bytes", len(payload))
	}
	n := int64(binary.BigEndian.Uint32(payload) & maxWindow)
	c.mu.Lock()
	defer c.mu.Unlock()
	if h.stream == 0 {
		if c.window += n; n == 0 || c.window > maxWindow {
			return broken(FlowControlError, "the connection's window is %d", c.window)
		}
	} else if s := c.streams[h.stream]; s != nil {
		if s.window += n; n == 0 || s.window > maxWindow {
			return broken(FlowControlError, "a stream's window is %d", s.window)
		}
	}
	c.unblock()
	return nil
}

// unblock goes on with the streams that waited for a window. The lock is
// held.
func (c *conn) unblock() {
	kept := c.blocked[:0]
	for _, s := range c.blocked {
		if s.writePending(); s.waiting {
			kept = append(kept, s)
			continue
		}
		if !s.busy && (len(s.queue) > 0 || s.ended) {
			s.busy = true
			c.goApart(s)
		}
	}
	clear(c.blocked[len(kept):])
	c.blocked = kept
}

func (c *conn) headerFrame(h frameHeader, payload []byte) error {
	payload, ok := unpad(h, payload)
	if ok && h.flags&flagPriority != 0 {
		if ok = len(payload) >= 5; ok {
			payload = payload[5:]
		}
	}
	if !ok || h.stream == 0 {
		return broken(ProtocolError, "a malformed HEADERS frame")
	}
	if h.flags&flagEndHeaders != 0 {
		return c.open(h.stream, payload, h.flags&flagEndStream != 0)
	}
	c.block = append(c.block[:0], payload...)
	c.blockOf, c.blockEnds = h.stream, h.flags&flagEndStream != 0
	return nil
}

func (c *conn) continuation(h frameHeader, payload []byte) error {
	if c.blockOf == 0 {
		return broken(ProtocolError, "a CONTINUATION frame of nothing")
	}
	if len(c.block)+len(payload) > maxHeaderBlock || len(payload) == 0 && h.flags&flagEndHeaders == 0 {
		return broken(EnhanceYourCalm, "a header block without an end")
	}
	c.block = append(c.block, payload...)
	if h.flags&flagEndHeaders == 0 {
		return nil
	}
	id := c.blockOf
	c.blockOf = 0
	return c.open(id, c.block, c.blockEnds)
}

// open begins a stream; headers of one that is open are its client's trailers.
func (c *conn) open(id uint32, block []byte, ends bool) error {
	c.fields, c.fieldBytes = c.fields[:0], 0
	if _, err := c.headers.Write(block); err != nil {
		return broken(CompressionError, "headers that do not decode")
	}
	if err := c.headers.Close(); err != nil {
		return broken(CompressionError, "headers that do not decode")
	}
	if id <= c.lastID {
		c.mu.Lock()
		s := c.streams[id]
		c.mu.Unlock()
		if s != nil && ends {
			c.end(s, false)
		}
		return nil
	}
	if id%2 == 0 {
		return broken(ProtocolError, "a stream with an even number")
	}
	c.mu.Lock()
	c.lastID = id
	refused := c.draining || len(c.streams) >= c.srv.opt.MaxStreams
	if refused {
		c.out = appendReset(c.out, id, RefusedStream)
	}
	c.mu.Unlock()
	if refused {
		return nil
	}
	s, spent := c.newStream(id, pathOf(c.fields))
	h := s.accept(c.fields, c.fieldBytes)
	if h == nil {
		return nil
	}
	c.mu.Lock()
	s.window = c.peer.window
	c.streams[id] = s
	c.mu.Unlock()
	session := h.Open(s, spent)
	c.mu.Lock()
	s.session = session
	c.setAlarm(s.endAt)
	c.mu.Unlock()
	if ends {
		c.end(s, false)
	}
	return nil
}

func pathOf(fields []hpack.HeaderField) (path string) {
	for _, f := range fields {
		if f.Name == ":path" {
			path = f.Value
		}
	}
	return path
}

// setAlarm has the alarm go off at a time, or before; not because of a zero
// one. The lock is held.
func (c *conn) setAlarm(at time.Time) {
	if at.IsZero() || !c.alarmAt.IsZero() && !at.Before(c.alarmAt) {
		return
	}
	c.alarmAt = at
	if c.alarm == nil {
		c.alarm = time.AfterFunc(time.Until(at), c.ring)
	} else {
		c.alarm.Reset(time.Until(at))
	}
}

// ring runs when the alarm goes off. It wakes the sessions whose time has
// come, and ends the streams whose time is over.
func (c *conn) ring() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alarmAt = time.Time{}
	now := time.Now()
	var next time.Time
	for _, s := range c.streams {
		if s.session == nil {
			next = now // it is just being opened
			continue
		}
		if due(&s.wakeAt, now) {
			s.known = true
			go s.session.Woken()
		}
		if due(&s.endAt, now) {
			s.known = true
			go s.End(errTimeout)
		}
		next = earlier(earlier(next, s.wakeAt), s.endAt)
	}
	c.setAlarm(next)
}

// earlier returns the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || !a.IsZero() && a.Before(b) {
		return a
	}
	return b
}

// due reports whether a time has come, and then takes it away.
func due(at *time.Time, now time.Time) bool {
	if at.IsZero() || now.Before(*at) {
		return false
	}
	*at = time.Time{}
	return true
}

func (c *conn) reset(h frameHeader, payload []byte) error {
	if len(payload) != 4 || h.stream == 0 {
		return broken(FrameSizeError, "a reset of %d bytes", len(payload))
	}
	c.mu.Lock()
	s := c.streams[h.stream]
	c.mu.Unlock()
	if s == nil {
		return nil
	}
	if !s.answered.Load() {
		// Streams that are reset before they were answered cost the peer
		// nothing.
		if now := time.Now(); now.Sub(c.resetsFrom) > time.Second {
			c.resets, c.resetsFrom = 0, now
		}
		if c.resets++; c.resets > maxResets {
			return broken(EnhanceYourCalm, "too many streams are reset")
		}
	}
	c.end(s, true)
	return nil
}

// data takes a DATA frame apart into messages.
func (c *conn) data(h frameHeader, payload []byte) error {
	if c.ungranted += len(payload); c.ungranted >= connWindow/2 {
		c.mu.Lock()
		c.out = appendWindowUpdate(c.out, 0, uint32(c.ungranted))
		c.mu.Unlock()
		c.ungranted = 0
	}
	if h.stream == 0 || h.stream > c.lastID {
		return broken(ProtocolError, "data of no stream")
	}
	c.mu.Lock()
	s := c.streams[h.stream]
	if s != nil {
		s.credit -= len(payload)
		s.ungranted += len(payload)
		if s.credit < 0 {
			c.mu.Unlock()
			return broken(FlowControlError, "more data than the window")
		}
		c.regrant(s)
	}
	c.mu.Unlock()
	if s == nil {
		return nil // it has ended
	}
	payload, ok := unpad(h, payload)
	if !ok {
		return broken(ProtocolError, "a malformed DATA frame")
	}
	for len(payload) > 0 && !s.over.Load() {
		n, msg, err := s.message(payload)
		if err != nil {
			s.fail(err)
			return nil
		}
		if msg != nil {
			c.deliver(s, msg)
		}
		payload = payload[n:]
	}
	if h.flags&flagEndStream != 0 && !s.over.Load() {
		if s.started > 0 {
			s.fail(errCut)
			return nil
		}
		c.end(s, false)
	}
	return nil
}

// errCut ends a stream that ends within a message.
var errCut = status.Error(codes.InvalidArgument, "the stream ends within a message")

// regrant gives the peer its window back, while no more than a window's worth
// waits for the session. The lock is held.
func (c *conn) regrant(s *Stream) {
	if s.ungranted >= streamWindow/2 && !s.ended && s.queued+len(s.pending) < streamWindow {
		c.out = appendWindowUpdate(c.out, s.id, uint32(s.ungranted))
		s.credit += s.ungranted
		s.ungranted = 0
	}
}

// flush writes what waits, unless somebody is at it.
func (c *conn) flush() {
	c.mu.Lock()
	for len(c.out) > 0 && !c.writing && c.failed == nil {
		c.writing = true
		buf := c.out
		c.out, c.answers = c.spare[:0], 0
		c.mu.Unlock()
		c.extend()
		_, err := c.nc.Write(buf)
		c.mu.Lock()
		c.writing = false
		if c.spare = buf[:0]; cap(buf) > 4*maxUnwritten {
			c.spare = nil
		}
		if err != nil {
			c.failed = err
			_ = c.nc.Close()
		}
		c.written.Broadcast()
	}
	c.mu.Unlock()
}

// flushAll is flush, and waits where another is writing.
func (c *conn) flushAll() {
	c.flush()
	c.mu.Lock()
	for (c.writing || len(c.out) > 0) && c.failed == nil {
		c.written.Wait()
	}
	c.mu.Unlock()
}

// extend sees to it that a write has nearly all of its time: to set a deadline
// for each costs more. It is the writer's.
func (c *conn) extend() {
	now := time.Now()
	if c.deadline.Sub(now) < writeTimeout-time.Second {
		c.deadline = now.Add(writeTimeout)
		_ = c.nc.SetWriteDeadline(c.deadline)
	}
}

// drain tells the peer to open no more streams, and closes when the last has
// ended.
func (c *conn) drain() {
	c.mu.Lock()
	c.out = appendGoAway(c.out, maxWindow, NoError)
	c.out = append(appendFrameHeader(c.out, 8, framePing, 0, 0), drainPing...)
	c.mu.Unlock()
	c.flush()
	// Streams that were under way when the peer heard of it are still taken;
	// a peer that does not answer is not waited for.
	time.AfterFunc(time.Second, c.refuse)
}

// refuse takes no more streams.
func (c *conn) refuse() {
	c.mu.Lock()
	first := !c.draining
	c.draining = true
	if first {
		c.out = appendGoAway(c.out, c.lastID, NoError)
	}
	empty := len(c.streams) == 0
	c.mu.Unlock()
	if c.flush(); empty {
		c.flushAll()
		c.close()
	}
}
