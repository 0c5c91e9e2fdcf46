// Package h2 serves gRPC streams over HTTP/2 (RFC 9113) with as little between
// the connection and the work as can be: a message is handed to its stream's
// session on the goroutine that reads the connection, straight from the read
// buffer, and replies gather in one buffer that is written when nothing more
// has come in. An idle stream costs its state and no goroutine.
//
// A session that may wait for something (a model, a store), and a message
// that is large, are worked on by a goroutine that lives as long as there is
// work for the stream.
//
// What has been a stream and its session is used for the next one of the
// connection, where nobody but the connection's reader ever had it: one that
// was worked on apart, or whose time was up, is left alone.
//
// What is bounded, by connection: streams, the size of a header block and of a
// message, what a stream may send ahead (its window), what waits to be
// written (the reader stops reading), and how many streams a peer may reset
// in a short time.
//
// Other gRPC services (health, reflection) are registered as with a
// grpc.Server and served the usual way, a goroutine a call.
package h2
