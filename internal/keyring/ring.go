// Package keyring derives keys from one secret, and with them names and seals
// what is put into a store that somebody else runs: its operator sees neither
// what an entry holds nor what it is about.
package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/sluice-proxy/sluice/filters"
)

// MinSecret is the shortest secret, in bytes.
const MinSecret = 16

// Check returns what is wrong with the secret that a configuration refers to at
// a path, as a *filters.FieldError.
func Check(path string, s filters.Secret) error {
	if len(s.Reveal()) < MinSecret {
		return &filters.FieldError{Path: path, Msg: fmt.Sprintf("the key has less than %d bytes", MinSecret), Hint: "openssl rand -base64 32 makes one"}
	}
	return nil
}

// Purpose is what a key is used for. Each use has its own, so that what one
// writes says nothing of another.
type Purpose string

// Ring derives the keys of one tenant from a secret (HKDF-SHA-256, RFC 5869):
// two tenants never share one, so nothing that is keyed is the same for both.
// It may be used by many at once.
type Ring struct {
	Secret filters.Secret
	// Tenant is whose keys they are; "" where all are one.
	Tenant string

	mu   sync.Mutex
	keys map[Purpose][]byte
}

// Key returns the key of a purpose, of 32 bytes.
func (r *Ring) Key(p Purpose) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if key := r.keys[p]; key != nil {
		return key
	}
	key, err := hkdf.Key(sha256.New, []byte(r.Secret.Reveal()), []byte("sluice/v1"), string(p)+"\x00"+r.Tenant, sha256.Size)
	if err != nil {
		panic("keyring: " + err.Error()) // only of too long a key that is asked for
	}
	if r.keys == nil {
		r.keys = map[Purpose][]byte{}
	}
	r.keys[p] = key
	return key
}

// MAC is the HMAC-SHA-256 of the parts, each with its length.
func (r *Ring) MAC(p Purpose, parts ...string) []byte {
	h := hmac.New(sha256.New, r.Key(p))
	var n [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}

// Name is what something is called in a store: its kind, and a MAC.
func (r *Ring) Name(p Purpose, kind string, parts ...string) string {
	return kind + "/" + base64.RawURLEncoding.EncodeToString(r.MAC(p, append([]string{kind}, parts...)...))
}

// Seal encrypts with AES-256-GCM: the nonce, the ciphertext and the tag. What
// it is about, the name of the entry, is not in it and is needed to open it.
func (r *Ring) Seal(p Purpose, value, about string, nonce io.Reader) ([]byte, error) {
	gcm, err := r.gcm(p)
	if err != nil {
		return nil, err
	}
	out := make([]byte, gcm.NonceSize(), gcm.NonceSize()+len(value)+gcm.Overhead())
	if _, err := io.ReadFull(nonce, out); err != nil {
		return nil, fmt.Errorf("making a nonce: %w", err)
	}
	return gcm.Seal(out, out, []byte(value), []byte(about)), nil
}

// Open decrypts what Seal wrote with the same key, about the same.
func (r *Ring) Open(p Purpose, sealed []byte, about string) ([]byte, bool) {
	gcm, err := r.gcm(p)
	if err != nil || len(sealed) < gcm.NonceSize() {
		return nil, false
	}
	value, err := gcm.Open([]byte{}, sealed[:gcm.NonceSize()], sealed[gcm.NonceSize():], []byte(about))
	return value, err == nil
}

func (r *Ring) gcm(p Purpose) (cipher.AEAD, error) {
	block, err := aes.NewCipher(r.Key(p))
	if err != nil {
		return nil, fmt.Errorf("making a cipher: %w", err)
	}
	return cipher.NewGCM(block)
}
