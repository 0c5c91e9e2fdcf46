package extproc

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// TLSFiles are the files of a listener's TLS, PEM. They are read again when
// they change, for the next connection; files that do not load leave the old
// certificate in use.
type TLSFiles struct {
	Cert, Key string
	// ClientCA, where set, demands a client certificate that it has signed.
	ClientCA string
}

// checkEvery is how often the files are looked at, at most.
const checkEvery = time.Second

// tls returns the configuration of the listener's TLS; nil where it has none.
func (l Listener) tls() (*tls.Config, error) {
	if l.TLS == nil {
		return nil, nil
	}
	r := &certificates{files: *l.TLS}
	if _, err := r.config(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return r.config()
		},
	}, nil
}

// certificates keeps the configuration of the files as they are.
type certificates struct {
	files TLSFiles

	mu      sync.Mutex
	checked time.Time
	stamp   string
	current *tls.Config
}

func (c *certificates) config() (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && time.Since(c.checked) < checkEvery {
		return c.current, nil
	}
	c.checked = time.Now()
	stamp := c.fingerprint()
	if c.current != nil && stamp == c.stamp {
		return c.current, nil
	}
	cfg, err := c.load()
	if err != nil {
		if c.current != nil {
			return c.current, nil
		}
		return nil, err
	}
	c.current, c.stamp = cfg, stamp
	return cfg, nil
}

func (c *certificates) fingerprint() string {
	s := ""
	for _, f := range []string{c.files.Cert, c.files.Key, c.files.ClientCA} {
		if info, err := os.Stat(f); err == nil {
			s += fmt.Sprintf("%d %d;", info.Size(), info.ModTime().UnixNano())
		}
	}
	return s
}

func (c *certificates) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the certificate: %w", err)
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}, Certificates: []tls.Certificate{pair}}
	if c.files.ClientCA == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(c.files.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("reading the client CA: %w", err)
	}
	cfg.ClientCAs = x509.NewCertPool()
	if !cfg.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("reading the client CA: there is no certificate in it")
	}
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	return cfg, nil
}
