// Package claims is the filter that asks a model about a verified caller and
// tells the backend, in headers or in a token that Sluice signs.
package claims

import (
	_ "embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/ai/prompt"
)

//go:embed example.yaml
var example string

// Config is the filter's configuration.
type Config struct {
	// Provider is the name of a Provider document.
	Provider string `json:"provider" doc:"Name of the provider that is asked."`
	// Prompt is the question.
	Prompt prompt.Config `json:"prompt,omitempty" doc:"The question. By default it shows the model the verified claims, the consumer's groups, and the call's method and path."`
	// Claims are what is asked for.
	Claims map[string]Claim `json:"claims" doc:"The claims that are asked for, by name, each with the values that it may have."`
	// Require says which callers are asked about.
	Require string `json:"require,omitempty" jsonschema:"enum=jwt,enum=identified,enum=any" doc:"Callers that are asked about: those with a verified JWT (jwt), those that are identified in any way (identified), or everybody (any). Others get no claims."`
	// To is where the claims go.
	To string `json:"to,omitempty" jsonschema:"enum=headers,enum=jwt,enum=both" doc:"Where the claims go: a header for each, a token that Sluice signs, or both."`
	// Prefix begins the names of the headers.
	Prefix string `json:"prefix,omitempty" doc:"Beginning of the headers' names. Every header of the client that begins so is removed, whatever becomes of the step; it begins with x- and ends with a hyphen."`
	// Default are claims of last resort.
	Default map[string]any `json:"default,omitempty" doc:"Claims where neither the provider nor its fallbacks have an answer. Without them the step fails, and its onError is followed."`
	// JWT is the token.
	JWT *Token `json:"jwt,omitempty" doc:"The token, for to: jwt and both."`
}

// Claim is what a claim may be. Nothing else gets to the backend.
type Claim struct {
	// Type of the value.
	Type string `json:"type,omitempty" jsonschema:"enum=number,enum=integer,enum=boolean,enum=text,enum=list" doc:"Type of the value; text where it is left out. A list is of texts."`
	// Description tells the model what it means.
	Description string `json:"description,omitempty" doc:"What the claim means, for the model."`
	// Minimum and Maximum bound a number.
	Minimum *float64 `json:"minimum,omitempty" doc:"Least value; needed for number and integer."`
	Maximum *float64 `json:"maximum,omitempty" doc:"Greatest value; needed for number and integer."`
	// Enum lists the values of a text, or of a list's elements.
	Enum []string `json:"enum,omitempty" doc:"The values that are allowed; needed for text and list."`
	// Optional claims may be missing in the answer.
	Optional bool `json:"optional,omitempty" doc:"The answer may lack it."`
	// Default is the builtin provider's answer where it has none.
	Default any `json:"default,omitempty" doc:"What a builtin provider answers where nothing is mentioned. It must be an allowed value."`
	// Builtin is the model of a builtin provider that answers it.
	Builtin string `json:"x-builtin,omitempty" doc:"Model of a builtin provider that answers the claim, see infer; by default that which the claim's name stands for. mentioned looks at the verified claims only."`
}

// Token is a token that Sluice signs.
type Token struct {
	// Header it goes into.
	Header string `json:"header,omitempty" doc:"Header of the token; default the prefix and token (x-ai-token)."`
	// Issuer is its iss.
	Issuer string `json:"issuer" doc:"The token's iss."`
	// Audience is its aud.
	Audience []string `json:"audience,omitempty" doc:"The token's aud."`
	// TTL is how long it is valid.
	TTL time.Duration `json:"ttl,omitempty" doc:"How long it is valid; default 60s, at most 1h."`
	// Key signs it.
	Key filters.SecretRef `json:"key" doc:"Where the private key is, in PEM (PKCS #8, SEC 1 or PKCS #1) or as a JWK: EC P-256 (ES256), Ed25519 (EdDSA) or RSA of 2048 bits and more (RS256). It is read again every minute. Its public half is served at the admin port, /.well-known/jwks.json."`
}

const maxTTL = time.Hour

var (
	prefixForm = regexp.MustCompile(`^x-([a-z0-9]+-)+$`)
	nameForm   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)
	// valueForm is what may stand in a header and in a list of them.
	valueForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.:/+-]{0,127}$`)
)

// registered are claims of RFC 7519 that the token has of its own.
var registered = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}

// Validate checks the configuration.
func (c *Config) Validate() error {
	var errs filters.FieldErrors
	if len(c.Claims) == 0 {
		errs.Add("claims", "there is none", "")
	}
	if !prefixForm.MatchString(c.Prefix) {
		errs.Add("prefix", fmt.Sprintf("%q is no prefix", c.Prefix), "small letters, from x- to a hyphen: x-ai-")
	}
	for _, e := range []struct {
		path, value string
		allowed     []string
	}{{"require", c.Require, []string{"jwt", "identified", "any"}}, {"to", c.To, []string{"headers", "jwt", "both"}}} {
		if !slices.Contains(e.allowed, e.value) {
			errs.Add(e.path, fmt.Sprintf("%q is not one of %s", e.value, strings.Join(e.allowed, ", ")), "")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Claims)) {
		cl := c.Claims[name]
		if err := cl.check(name); err != nil {
			errs.Add("claims."+name, err.Error(), "")
		}
	}
	c.checkToken(&errs)
	return errs.Err()
}

func (c *Config) checkToken(errs *filters.FieldErrors) {
	if (c.To == "headers") != (c.JWT == nil) {
		errs.Add("jwt", "goes with to: jwt and to: both", "")
	}
	t := c.JWT
	if t == nil {
		return
	}
	if t.Issuer == "" {
		errs.Add("jwt.issuer", "is missing", "")
	}
	if t.TTL > maxTTL {
		errs.Add("jwt.ttl", "is more than 1h", "what a model thought of a caller does not stay true for long")
	}
	if t.Header != "" && !strings.HasPrefix(strings.ToLower(t.Header), c.Prefix) {
		errs.Add("jwt.header", "does not begin with the prefix: a client could set it", c.Prefix+"token")
	}
	if err := t.Key.Validate(); err != nil {
		errs.Add("jwt.key", err.Error(), "")
	}
}

func (cl *Claim) check(name string) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("%q is no name for a claim: letters, digits, _ and -", name)
	}
	if slices.Contains(registered, name) {
		return fmt.Errorf("%s is a claim of the token's own", name)
	}
	switch cl.Type {
	case "number", "integer":
		if cl.Minimum == nil || cl.Maximum == nil || *cl.Minimum > *cl.Maximum {
			return fmt.Errorf("a number has a minimum and a maximum")
		}
	case "boolean":
	case "", "text", "list":
		if len(cl.Enum) == 0 {
			return fmt.Errorf("a text or list has an enum: a model does not write claims of its own")
		}
		for _, v := range cl.Enum {
			if !valueForm.MatchString(v) {
				return fmt.Errorf("%q cannot stand in a header", v)
			}
		}
	default:
		return fmt.Errorf("type %q is not one of number, integer, boolean, text, list", cl.Type)
	}
	return nil
}

// schema is the JSON Schema of a claim.
func (cl *Claim) schema() map[string]any {
	s := map[string]any{}
	if cl.Description != "" {
		s["description"] = cl.Description
	}
	switch cl.Type {
	case "number", "integer":
		s["type"], s["minimum"], s["maximum"] = cl.Type, *cl.Minimum, *cl.Maximum
	case "boolean":
		s["type"] = "boolean"
	case "list":
		s["type"], s["uniqueItems"] = "array", true
		s["items"] = map[string]any{"type": "string", "enum": cl.Enum}
	default:
		s["type"], s["enum"] = "string", cl.Enum
	}
	if cl.Default != nil {
		s["default"] = cl.Default
	}
	if cl.Builtin != "" {
		s["x-builtin"] = cl.Builtin
	}
	if cl.Type == "" || cl.Type == "text" || cl.Type == "list" {
		// What a client wrote must not be able to name its own tier.
		s["x-builtin-of"] = verifiedPart
	}
	return s
}

// headerName is the header of a claim: risk_score is x-ai-risk-score.
func headerName(prefix, claim string) string {
	return prefix + strings.ReplaceAll(strings.ToLower(claim), "_", "-")
}
