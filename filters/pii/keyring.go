package pii

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/sluice-proxy/sluice/filters"
)

// Tenant says whose data is kept apart.
type Tenant string

// The tenants.
const (
	ByConsumer Tenant = "consumer"
	ByRoute    Tenant = "route"
	ByNobody   Tenant = "none"
)

// minKey is the shortest key, in bytes.
const minKey = 16

// purpose is what a key is used for. Each use has its own, so that what one
// writes says nothing of another.
type purpose string

const (
	forHash       purpose = "hash"
	forToken      purpose = "token"
	forNames      purpose = "names" // of what is in the store
	forVault      purpose = "vault"
	forCipher     purpose = "cipher"
	forNonce      purpose = "nonce"
	forSynthesize purpose = "synthesize"
)

// keyring derives the keys of one tenant from the step's (HKDF-SHA-256, RFC
// 5869): two tenants never share one, so nothing that is keyed is the same for
// both.
type keyring struct {
	secret filters.Secret
	tenant string
	keys   map[purpose][]byte
}

func (k *keyring) key(p purpose) []byte {
	if key := k.keys[p]; key != nil {
		return key
	}
	key, err := hkdf.Key(sha256.New, []byte(k.secret.Reveal()), []byte("sluice/v1"), string(p)+"\x00"+k.tenant, sha256.Size)
	if err != nil {
		panic("pii: " + err.Error()) // only of too long a key that is asked for
	}
	if k.keys == nil {
		k.keys = map[purpose][]byte{}
	}
	k.keys[p] = key
	return key
}

// mac is the HMAC-SHA-256 of the parts, each with its length.
func (k *keyring) mac(p purpose, parts ...string) []byte {
	h := hmac.New(sha256.New, k.key(p))
	var n [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}

// name is what something is called in the store.
func (k *keyring) name(kind string, parts ...string) string {
	return kind + "/" + base64.RawURLEncoding.EncodeToString(k.mac(forNames, append([]string{kind}, parts...)...))
}

// tenantOf returns whose exchange it is.
func (c *Config) tenantOf(ex *filters.Exchange) (string, error) {
	switch {
	case c.TenantClaim != "":
		v, ok := ex.Consumer.Claims[c.TenantClaim]
		if !ok {
			return "", &filters.Failure{Reason: "the caller has no tenant"}
		}
		return "claim " + fmt.Sprint(v), nil
	case c.Tenant == ByRoute:
		return "route " + ex.Route.Name, nil
	case c.Tenant == ByNobody:
		return "", nil
	case ex.Consumer.ID != "":
		return "consumer " + ex.Consumer.ID, nil
	}
	return "user " + ex.Consumer.Username, nil
}

// scopeOf returns within what tokens are numbered: the conversation, where a
// header names it, else the exchange. What a client can choose, the id of a
// conversation or a request, is only ever within its tenant.
func (c *Config) scopeOf(ex *filters.Exchange) string {
	if c.Tokens.Conversation != "" {
		if v := ex.Request.Headers.Get(c.Tokens.Conversation); v != "" {
			return "conversation " + v
		}
	}
	return "exchange " + ex.ID + " " + strconv.FormatInt(ex.Started.UnixNano(), 36)
}
