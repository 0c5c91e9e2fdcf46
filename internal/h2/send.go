package h2

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// The header blocks of answers: names and values are written out, so that
// they mean the same wherever they stand (RFC 7541).
var (
	// :status 200 (8 of the static table), content-type (31) application/grpc.
	responseHeaders = append([]byte{0x88, 0x0f, 0x10, 16}, "application/grpc"...)
	statusOK        = literal(nil, "grpc-status", "0")
)

// literal appends a field without indexing (RFC 7541, 6.2.2).
func literal(dst []byte, name, value string) []byte {
	dst = append(dst, 0)
	dst = append(appendLength(dst, len(name)), name...)
	return append(appendLength(dst, len(value)), value...)
}

// appendLength appends an integer with a prefix of seven bits (RFC 7541, 5.1).
func appendLength(dst []byte, n int) []byte {
	if n < 127 {
		return append(dst, byte(n))
	}
	dst = append(dst, 127)
	for n -= 127; n >= 128; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(dst, byte(n))
}

// errGone is Send's error when nobody is there any more.
var errGone = status.Error(codes.Canceled, "the stream has ended")

// Send sends a message, which is head and tail. What the peer's window does
// not take is kept, and no message is given to the session until it has gone;
// head and tail themselves are not kept.
func (s *Stream) Send(head, tail []byte) error {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.out) > maxUnwritten && c.failed == nil {
		if c.writing {
			c.written.Wait()
			continue
		}
		c.mu.Unlock()
		c.flush()
		c.mu.Lock()
	}
	if s.gone || c.failed != nil || c.closed {
		return errGone
	}
	if !s.begun {
		s.begun = true
		s.answered.Store(true)
		c.out = appendFrameHeader(c.out, len(responseHeaders), frameHeaders, flagEndHeaders, s.id)
		c.out = append(c.out, responseHeaders...)
	}
	binary.BigEndian.PutUint32(s.lead[1:], uint32(len(head)+len(tail)))
	rest := [...][]byte{s.lead[:], head, tail}
	if !s.waiting && s.write(&rest) {
		return nil
	}
	for _, part := range rest {
		s.pending = append(s.pending, part...)
	}
	if !s.waiting {
		s.waiting = true
		c.blocked = append(c.blocked, s)
	}
	return nil
}

// Flush writes what has been sent. What a session sends while it is given a
// message is written without it.
func (s *Stream) Flush() { s.c.flush() }

// write sends of the parts what the windows take, and leaves the rest; it
// reports whether there is none. The lock is held.
func (s *Stream) write(parts *[3][]byte) (all bool) {
	c := s.c
	left := len(parts[0]) + len(parts[1]) + len(parts[2])
	for room := min(s.window, c.window); left > 0 && room > 0; room = min(s.window, c.window) {
		n := min(left, int(room), c.peer.frame)
		c.out = appendFrameHeader(c.out, n, frameData, 0, s.id)
		s.window -= int64(n)
		c.window -= int64(n)
		left -= n
		for i := range parts {
			k := min(n, len(parts[i]))
			c.out = append(c.out, parts[i][:k]...)
			parts[i] = parts[i][k:]
			n -= k
		}
	}
	return left == 0
}

// writePending sends of what is kept as much as the windows take, and the end
// of the stream where that waited for it. The lock is held.
func (s *Stream) writePending() {
	rest := [...][]byte{s.pending, nil, nil}
	if !s.write(&rest) {
		s.pending = rest[0]
		return
	}
	s.pending = nil
	s.waiting = false
	s.c.regrant(s)
	if s.trailers != nil {
		s.c.out = append(s.c.out, s.trailers...)
		s.c.remove(s)
	}
}

// finish sends the status that ends the stream. The lock is held.
func (s *Stream) finish() {
	if s.waiting {
		s.trailers = s.appendTrailers(nil, s.status)
		return
	}
	s.c.out = s.appendTrailers(s.c.out, s.status)
}

// appendTrailers appends the frames that end a stream with a status; nil is
// OK.
func (s *Stream) appendTrailers(dst []byte, st *status.Status) []byte {
	start := len(dst)
	dst = appendFrameHeader(dst, 0, frameHeaders, flagEndHeaders|flagEndStream, s.id)
	block := len(dst)
	if !s.begun {
		dst = append(dst, responseHeaders...)
	}
	if st == nil || st.Code() == codes.OK {
		dst = append(dst, statusOK...)
	} else {
		dst = literal(dst, "grpc-status", strconv.Itoa(int(st.Code())))
		dst = literal(dst, "grpc-message", encodeMessage(st.Message()))
	}
	setLength(dst[start:], len(dst)-block)
	if !s.ended || s.status != nil {
		// The client has not said that it has finished; it need not.
		dst = appendReset(dst, s.id, NoError)
	}
	return dst
}

// encodeMessage writes a grpc-message: percent-encoded, and not too long.
func encodeMessage(m string) string {
	const most = 1 << 10
	if len(m) > most {
		m = m[:most]
	}
	out := make([]byte, 0, len(m))
	for i := range len(m) {
		if c := m[i]; c < ' ' || c > '~' || c == '%' {
			out = fmt.Appendf(out, "%%%02X", c)
		} else {
			out = append(out, c)
		}
	}
	return string(out)
}
