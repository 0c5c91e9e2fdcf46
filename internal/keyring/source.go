package keyring

import (
	"sync/atomic"
	"time"

	"github.com/sluice-proxy/sluice/filters"
)

// RereadEvery is how often a secret is read again.
const RereadEvery = time.Minute

// Source has the ring of a secret that may be rotated, and never waits for
// it. It may be used by many at once.
type Source struct {
	secrets filters.Secrets
	ref     filters.SecretRef
	now     func() time.Time
	ring    atomic.Pointer[Ring]
	due     atomic.Int64
}

// NewSource returns a source, which has read its secret once. The error is
// that of reading it, and the source can be used all the same: it tries again.
func NewSource(secrets filters.Secrets, ref filters.SecretRef, now func() time.Time) (*Source, error) {
	s := &Source{secrets: secrets, ref: ref, now: now}
	s.due.Store(now().Add(RereadEvery).UnixNano())
	return s, s.read()
}

// Ring returns the ring of the secret as it was when it was read last; nil
// where it could never be read. Whoever comes after a minute has it read again,
// beside.
func (s *Source) Ring() *Ring {
	now := s.now()
	if due := s.due.Load(); now.UnixNano() >= due && s.due.CompareAndSwap(due, now.Add(RereadEvery).UnixNano()) {
		go func() { _ = s.read() }() // the ring that is there goes on where this fails
	}
	return s.ring.Load()
}

func (s *Source) read() error {
	secret, err := s.secrets.Secret(s.ref)
	if err != nil {
		return err
	}
	if err := Check("", secret); err != nil {
		return err
	}
	if old := s.ring.Load(); old == nil || old.Secret.Reveal() != secret.Reveal() {
		s.ring.Store(&Ring{Secret: secret})
	}
	return nil
}
