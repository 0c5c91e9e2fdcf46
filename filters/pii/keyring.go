package pii

import (
	"fmt"
	"strconv"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/keyring"
)

// Tenant says whose data is kept apart.
type Tenant string

// The tenants.
const (
	ByConsumer Tenant = "consumer"
	ByRoute    Tenant = "route"
	ByNobody   Tenant = "none"
)

// What keys are used for.
const (
	forHash       keyring.Purpose = "hash"
	forToken      keyring.Purpose = "token"
	forNames      keyring.Purpose = "names" // of what is in the store
	forVault      keyring.Purpose = "vault"
	forCipher     keyring.Purpose = "cipher"
	forNonce      keyring.Purpose = "nonce"
	forSynthesize keyring.Purpose = "synthesize"
)

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
