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
	// Vault is a field of a secret in a KV v2 engine.
	Vault *VaultRef `json:"vault,omitempty" doc:"Field of a secret in Vault or OpenBao (KV version 2). Where the server is stands in the settings."`
}

// VaultRef is a field of a secret in Vault's KV version 2 engine.
type VaultRef struct {
	Mount string `json:"mount,omitempty" doc:"Mount of the engine; default secret."`
	Path  string `json:"path" doc:"Path of the secret within the mount."`
	Field string `json:"field,omitempty" doc:"Field of the secret; default value."`
}

// Secrets reads secrets from wherever they are. It is used by many at once.
type Secrets interface {
	Secret(ref SecretRef) (Secret, error)
}

// IsZero reports whether no place is named.
func (r SecretRef) IsZero() bool { return r == SecretRef{} }

// Validate reports whether exactly one place is named.
func (r SecretRef) Validate() error {
	n := 0
	for _, is := range []bool{r.Env != "", r.File != "", r.Vault != nil} {
		if is {
			n++
		}
	}
	if n != 1 {
		return errors.New("a secret names exactly one of env, file and vault")
	}
	if r.Vault != nil && r.Vault.Path == "" {
		return errors.New("a secret in vault has a path")
	}
	return nil
}

// Read reads the secret from the environment or a file. One in Vault needs
// Env.Secret.
func (r SecretRef) Read() (Secret, error) {
	if err := r.Validate(); err != nil {
		return Secret{}, err
	}
	if r.Vault != nil {
		return Secret{}, errors.New("no vault is configured: set vault in the settings")
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
