// Package extproc is the protocol: a gRPC server for
// envoy.service.ext_proc.v3.ExternalProcessor, and the only package that
// knows its messages.
//
// One stream is one HTTP exchange, served by one goroutine: a message is
// received, the pipeline is run on it, and the reply is sent. Nothing is
// received meanwhile, so that a data plane that takes no replies cannot make
// it hold more. Another goroutine touches the stream only when its time is up.
// Each direction is a machine of its own (lane): the directions interleave.
// What is sent back depends on the body mode, and each has an emitter:
//
//   - BUFFERED, BUFFERED_PARTIAL: one reply with all that changed.
//   - STREAMED: exactly one reply a message.
//   - FULL_DUPLEX_STREAMED: none to many chunks, the end where the data plane
//     had it.
//
// What the package promises: the same bytes go on whatever the mode, the
// chunks and the way the body ends; a stream is never left in the middle of a
// full-duplex body, because the data plane would cut that short in silence;
// where a mode cannot do what a step needs, the step's onError decides.
package extproc
