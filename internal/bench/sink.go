package main

import (
	"net"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// serveSink is a collector of spans that takes all and keeps none: any method
// is answered with an empty message, which is what OTLP's say when all is
// well.
func serveSink(addr string) error {
	lis, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	srv := grpc.NewServer(grpc.MaxRecvMsgSize(16<<20), grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error {
		if err := s.RecvMsg(new(emptypb.Empty)); err != nil {
			return err
		}
		return s.SendMsg(new(emptypb.Empty))
	}))
	return srv.Serve(lis)
}
