package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/sluice-proxy/sluice/filters"
)

// The types of stores.
const (
	InMemory = "memory"
	InRedis  = "redis"
)

// Config says where the shared state is.
type Config struct {
	// Type of the store.
	Type string `json:"type,omitempty" jsonschema:"enum=memory,enum=redis" doc:"memory (default): each replica has its own, and it is gone after a restart; redis: all replicas share it."`
	// MaxBytes bounds memory.
	MaxBytes int64 `json:"maxBytes,omitempty" jsonschema:"minimum=0" doc:"For memory: the most that is kept, keys included; default 64 MiB. Past it, the entry that was used longest ago goes; one of more than a sixteenth of it is refused."`

	// What follows is for redis.
	Address  string             `json:"address,omitempty" doc:"For redis: host:port, or the path of a Unix socket."`
	Username string             `json:"username,omitempty" doc:"For redis: the ACL user."`
	Password *filters.SecretRef `json:"password,omitempty" doc:"For redis: where the password is."`
	Database int                `json:"database,omitempty" jsonschema:"minimum=0" doc:"For redis: number of the database."`
	Prefix   string             `json:"prefix,omitempty" doc:"For redis: what all keys begin with; default sluice:."`
	Timeout  time.Duration      `json:"timeout,omitempty" doc:"For redis: the most that one call may take; default 250ms. What cannot be had by then has failed."`
	TLS      *TLS               `json:"tls,omitempty" doc:"For redis: TLS; without it the connection is plain text."`
}

// TLS is how the connection to Redis is secured.
type TLS struct {
	CA         string `json:"ca,omitempty" doc:"File of the CAs that the server's certificate must be signed by, PEM; the system's where it is left out."`
	Cert       string `json:"cert,omitempty" doc:"File of the client certificate, PEM."`
	Key        string `json:"key,omitempty" doc:"File of its key, PEM."`
	ServerName string `json:"serverName,omitempty" doc:"Name in the server's certificate; that of the address by default."`
}

// Validate checks the configuration. Errors are *filters.FieldErrors, joined.
func (c *Config) Validate() error {
	var errs filters.FieldErrors
	redis := c.Type == InRedis
	switch {
	case c.Type != "" && !slices.Contains([]string{InMemory, InRedis}, c.Type):
		errs.Add("type", fmt.Sprintf("%q is not one of memory, redis", c.Type), "")
	case !redis && (c.Address != "" || c.Username != "" || c.Password != nil || c.Database != 0 || c.Prefix != "" || c.Timeout != 0 || c.TLS != nil):
		errs.Add("type", "memory has no address, user, password, database, prefix, timeout or TLS", "type: redis")
	}
	if redis && c.Address == "" {
		errs.Add("address", "is missing", "address: host:port")
	}
	switch {
	case redis && c.MaxBytes != 0:
		errs.Add("maxBytes", "is for memory", "set maxmemory in Redis")
	case c.MaxBytes < 0:
		errs.Add("maxBytes", "is negative", "0 is the default")
	}
	if c.Database < 0 {
		errs.Add("database", "is negative", "")
	}
	if c.Timeout < 0 {
		errs.Add("timeout", "is negative", "0 is the default")
	}
	if c.TLS != nil && (c.TLS.Cert == "") != (c.TLS.Key == "") {
		errs.Add("tls", "cert and key belong together", "")
	}
	if c.Password != nil {
		if err := c.Password.Validate(); err != nil {
			errs.Add("password", err.Error(), "write {env: NAME} or {file: PATH}")
		}
	}
	return errs.Err()
}

// Backend is an open store.
type Backend interface {
	filters.Store
	// Ping reports whether the store can be reached.
	Ping(context.Context) error
	Close() error
}

// Open opens the store. It does not wait for a server: a store that cannot be
// reached fails its calls.
func Open(c Config, now func() time.Time) (Backend, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Type == InRedis {
		return newRedis(c)
	}
	return NewMemory(c.MaxBytes, now), nil
}

// config reads the files.
func (t *TLS) config() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("reading the store's CA: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the store's CA file %s has no certificate", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("reading the store's client certificate: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}
