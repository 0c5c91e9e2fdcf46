package h2

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// services are those that are registered as with a grpc.Server.
type services struct {
	methods map[string]method
	info    map[string]grpc.ServiceInfo
}

// method is one of theirs: a call of it is served by serve.
type method struct {
	serve func(*call) error
}

func (ss *services) add(d *grpc.ServiceDesc, impl any) {
	info := grpc.ServiceInfo{Metadata: d.Metadata}
	for _, m := range d.Methods {
		info.Methods = append(info.Methods, grpc.MethodInfo{Name: m.MethodName})
		ss.methods["/"+d.ServiceName+"/"+m.MethodName] = method{func(c *call) error {
			reply, err := m.Handler(impl, c.ctx, c.RecvMsg, nil)
			if err != nil {
				return err
			}
			return c.SendMsg(reply)
		}}
	}
	for _, m := range d.Streams {
		info.Methods = append(info.Methods, grpc.MethodInfo{Name: m.StreamName, IsClientStream: m.ClientStreams, IsServerStream: m.ServerStreams})
		ss.methods["/"+d.ServiceName+"/"+m.StreamName] = method{func(c *call) error { return m.Handler(impl, c) }}
	}
	if ss.info == nil {
		ss.info = map[string]grpc.ServiceInfo{}
	}
	ss.info[d.ServiceName] = info
}

func (ss *services) handler(path string) Handler {
	m, ok := ss.methods[path]
	if !ok {
		return nil
	}
	return m
}

// Open implements Handler: the method runs on a goroutine of its own.
func (m method) Open(s *Stream, _ Session) Session {
	md := metadata.MD{}
	for _, f := range s.header {
		md.Append(f.Name, f.Value)
	}
	c := &call{stream: s, messages: make(chan []byte), ended: make(chan struct{}), returned: make(chan struct{})}
	c.ctx = metadata.NewIncomingContext(s.Context(), md)
	go func() {
		defer close(c.returned)
		c.err = m.serve(c)
	}()
	return c
}

// call is a call of a registered service: a grpc.ServerStream for its method,
// and the session of its stream.
type call struct {
	stream   *Stream
	ctx      context.Context
	messages chan []byte
	ended    chan struct{} // the client has no more messages
	returned chan struct{} // the method has
	err      error
}

// Waits implements Session.
func (c *call) Waits() bool { return true }

// Woken implements Session.
func (c *call) Woken() {}

// Message implements Session: it waits until the method takes the message.
// What comes after a method has returned is for nobody.
func (c *call) Message(data []byte) error {
	select {
	case c.messages <- bytes.Clone(data):
		return nil
	case <-c.returned:
		return c.err
	case <-c.ctx.Done():
		return errGone
	}
}

// Close implements Session: it waits for the method to return.
func (c *call) Close(error) {
	close(c.ended)
	<-c.returned
	if c.err != nil {
		c.stream.setStatus(status.Convert(c.err))
	}
}

// setStatus sets the status that the stream ends with.
func (s *Stream) setStatus(st *status.Status) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	if s.status == nil {
		s.status = st
	}
}

// Context implements grpc.ServerStream.
func (c *call) Context() context.Context { return c.ctx }

// SetHeader implements grpc.ServerStream; the services that are served here
// set none.
func (c *call) SetHeader(metadata.MD) error { return nil }

// SendHeader implements grpc.ServerStream.
func (c *call) SendHeader(metadata.MD) error { return nil }

// SetTrailer implements grpc.ServerStream.
func (c *call) SetTrailer(metadata.MD) {}

// SendMsg implements grpc.ServerStream.
func (c *call) SendMsg(m any) error {
	pm, ok := m.(proto.Message)
	if !ok {
		return fmt.Errorf("sending a %T: it is no protobuf message", m)
	}
	b, err := proto.Marshal(pm)
	if err != nil {
		return fmt.Errorf("sending a %T: %w", m, err)
	}
	err = c.stream.Send(b, nil)
	c.stream.Flush()
	return err
}

// RecvMsg implements grpc.ServerStream.
func (c *call) RecvMsg(m any) error {
	pm, ok := m.(proto.Message)
	if !ok {
		return fmt.Errorf("receiving a %T: it is no protobuf message", m)
	}
	select {
	case b := <-c.messages:
		return proto.Unmarshal(b, pm)
	case <-c.ended:
		return io.EOF
	case <-c.ctx.Done():
		return status.FromContextError(c.ctx.Err()).Err()
	}
}
