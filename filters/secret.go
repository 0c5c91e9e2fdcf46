package filters

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
)

const redacted = "[redacted]"

// Secret is a value that no text form shows. Reveal is the only way to it.
type Secret struct{ value string }

// NewSecret wraps v.
func NewSecret(v string) Secret { return Secret{v} }

// Reveal returns the value.
func (s Secret) Reveal() string { return s.value }

// Empty reports whether there is nothing in it.
func (s Secret) Empty() bool { return s.value == "" }

// String, GoString, MarshalJSON, MarshalText and LogValue show a placeholder.
func (s Secret) String() string { return redacted }

// GoString shows the placeholder for %#v.
func (s Secret) GoString() string { return redacted }

// Format shows the placeholder for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalJSON writes the placeholder.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText writes the placeholder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue logs the placeholder.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// SecretRef says where a secret is. A literal in a policy is refused: the
// type is a mapping, and exactly one of its members is set.
type SecretRef struct {
	// Env is the name of an environment variable.
	Env string `json:"env,omitempty" doc:"Name of an environment variable."`
	// File is the path of a file; a trailing newline is not part of the
	// secret.
	File string `json:"file,omitempty" doc:"Path of a file; a newline at its end is not part of the secret."`
}

// IsZero reports whether no place is named.
func (r SecretRef) IsZero() bool { return r == SecretRef{} }

// Validate reports whether exactly one place is named.
func (r SecretRef) Validate() error {
	if (r.Env == "") == (r.File == "") {
		return errors.New("a secret names exactly one of env and file")
	}
	return nil
}

// Read reads the secret from its place.
func (r SecretRef) Read() (Secret, error) {
	if err := r.Validate(); err != nil {
		return Secret{}, err
	}
	if r.Env != "" {
		v, ok := os.LookupEnv(r.Env)
		if !ok || v == "" {
			return Secret{}, fmt.Errorf("environment variable %s is not set", r.Env)
		}
		return Secret{v}, nil
	}
	b, err := os.ReadFile(r.File)
	if err != nil {
		return Secret{}, fmt.Errorf("reading a secret: %w", err)
	}
	v := strings.TrimRight(string(b), "\r\n")
	if v == "" {
		return Secret{}, fmt.Errorf("secret file %s is empty", r.File)
	}
	return Secret{v}, nil
}
