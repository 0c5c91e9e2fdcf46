package pii

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/keyring"
)

// Tokens is how action tokenize writes.
type Tokens struct {
	Style        Style         `json:"style,omitempty" jsonschema:"enum=numbered,enum=opaque" doc:"numbered: <PERSON_1>, counted within an exchange or a conversation, for models to read; opaque: tok_ and 26 letters and digits, the same for equal values in all exchanges of a tenant."`
	Conversation string        `json:"conversation,omitempty" doc:"For numbered: request header that names the conversation; within it, equal values keep their token. Without it, or where a request does not have it, they are counted within the exchange."`
	TTL          time.Duration `json:"ttl,omitempty" doc:"How long a token can be put back after its last use; default 1h."`
}

// Style is a form of tokens.
type Style string

// The styles.
const (
	Numbered Style = "numbered"
	Opaque   Style = "opaque"
)

const (
	// maxNumbered is the longest numbered token.
	maxNumbered  = 64
	opaquePrefix = "tok_"
	opaqueLength = len(opaquePrefix) + 26
	sealedPrefix = "enc_"
	// sealedHeader is a version and the length of what follows, so that the
	// end is known whatever stands behind it.
	sealedHeader, sealedVersion = 3, 1
	maxSealed                   = 24 << 10
)

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// vault tokenizes the values of one body, and puts them back.
type vault struct {
	keys   *keyring.Ring
	store  filters.Store
	random io.Reader
	tokens Tokens
	scope  string
	// known are the tokens, or the values, that were needed already. A token
	// that stands for nothing has the value nil.
	known map[string][]byte
}

// maxKnown bounds what is remembered within one body; beyond it the store is
// asked again.
const maxKnown = 4 << 10

func (v *vault) remember(key string, value []byte) {
	if v.known == nil {
		v.known = map[string][]byte{}
	}
	if len(v.known) < maxKnown {
		v.known[key] = value
	}
}

func storeFailed(err error) error { return &filters.Failure{Reason: "store", Err: err} }

// tokenize returns the token of a value and sees to it that it can be put
// back.
func (v *vault) tokenize(ctx context.Context, entity, value string) ([]byte, error) {
	seen := entity + "\x00" + value
	if token, ok := v.known[seen]; ok {
		return token, nil
	}
	var token string
	if v.tokens.Style == Opaque {
		token = opaquePrefix + base32Lower.EncodeToString(v.keys.MAC(forToken, entity, value)[:16])
	} else {
		// Entities whose labels are the same count together.
		n, err := v.store.Number(ctx, v.tokens.TTL, v.keys.Name(forNames, "list", v.scope, label(entity)), v.keys.Name(forNames, "member", entity, value))
		if err != nil {
			return nil, storeFailed(err)
		}
		token = fmt.Sprintf("<%s_%d>", label(entity), n)
	}
	name := v.nameOf(token)
	sealed, err := v.keys.Seal(forVault, value, name, v.random)
	if err != nil {
		return nil, err
	}
	if err := v.store.Put(ctx, v.tokens.TTL, filters.Entry{Key: name, Value: sealed}); err != nil {
		return nil, storeFailed(err)
	}
	v.remember(seen, []byte(token))
	return []byte(token), nil
}

// nameOf is where in the store a token's value is.
func (v *vault) nameOf(token string) string {
	if strings.HasPrefix(token, opaquePrefix) {
		return v.keys.Name(forNames, "vault", token)
	}
	return v.keys.Name(forNames, "vault", v.scope, token)
}

// label is an entity's name as tokens have it.
func label(entity string) string {
	b := []byte(entity)
	for i, c := range b {
		switch {
		case c >= 'a' && c <= 'z':
			b[i] = c - 'a' + 'A'
		case c >= 'A' && c <= 'Z', isDigit(c) && i > 0:
		default:
			b[i] = '_'
		}
	}
	if len(b) == 0 || b[0] == '_' {
		b = append([]byte("X"), b...)
	}
	return string(b[:min(len(b), maxNumbered-24)])
}

// open returns what tokens and ciphertexts stand for, and asks the store for
// those that are not known yet at once. What stands for nothing, or for
// something of another tenant, is nil.
func (v *vault) open(ctx context.Context, tokens []string) ([][]byte, error) {
	values := make([][]byte, len(tokens))
	var asked []int
	var names []string
	for i, t := range tokens {
		if value, ok := v.known[t]; ok {
			values[i] = value
			continue
		}
		if strings.HasPrefix(t, sealedPrefix) {
			values[i], _ = v.decrypt(t)
			v.remember(t, values[i])
			continue
		}
		asked, names = append(asked, i), append(names, v.nameOf(t))
	}
	if len(asked) == 0 {
		return values, nil
	}
	sealed, err := v.store.Get(ctx, names...)
	if err != nil {
		return nil, storeFailed(err)
	}
	for k, i := range asked {
		if sealed[k] != nil {
			values[i], _ = v.keys.Open(forVault, sealed[k], names[k])
		}
		v.remember(tokens[i], values[i])
	}
	return values, nil
}

// encrypt returns a value encrypted, with a nonce from the value itself, so
// that equal values have equal ciphertexts, or from random.
func (v *vault) encrypt(value string, random bool) ([]byte, error) {
	size := 12 + len(value) + 16
	if size > maxSealed {
		return nil, &filters.Failure{Reason: "the value is too long to be encrypted"}
	}
	head := string([]byte{sealedVersion, byte(size >> 8), byte(size)})
	from := io.Reader(strings.NewReader(string(v.keys.MAC(forNonce, value))))
	if random {
		from = v.random
	}
	sealed, err := v.keys.Seal(forCipher, value, head, from)
	if err != nil {
		return nil, err
	}
	return base64.RawURLEncoding.AppendEncode([]byte(sealedPrefix), append([]byte(head), sealed...)), nil
}

// decrypt opens what encrypt wrote under the same key for the same tenant.
func (v *vault) decrypt(token string) ([]byte, bool) {
	all, err := base64.RawURLEncoding.DecodeString(token[len(sealedPrefix):])
	if err != nil || len(all) < sealedHeader {
		return nil, false
	}
	return v.keys.Open(forCipher, all[sealedHeader:], string(all[:sealedHeader]))
}

// sealedLength returns how long a ciphertext that begins so is, with its
// prefix; 0 where it is none.
func sealedLength(head []byte) int {
	var b [sealedHeader]byte
	if n, err := base64.RawURLEncoding.Decode(b[:], head); err != nil || n != sealedHeader || b[0] != sealedVersion {
		return 0
	}
	size := int(binary.BigEndian.Uint16(b[1:]))
	if size < 12+16 || size > maxSealed {
		return 0
	}
	return len(sealedPrefix) + base64.RawURLEncoding.EncodedLen(sealedHeader+size)
}
