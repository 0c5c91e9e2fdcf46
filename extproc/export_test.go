package extproc

import "github.com/sluice-proxy/sluice/internal/h2"

// Peer is a data plane's end of a stream.
type Peer = peer

// OpenPeer begins an exchange with a data plane of a test's own.
func (s *Server) OpenPeer(p Peer) h2.Session { return s.open(p, nil) }
