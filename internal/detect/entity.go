package detect

// Entity is a kind of finding, named as Presidio names it where it does.
type Entity string

// The entities.
const (
	Email          Entity = "EMAIL_ADDRESS"
	Phone          Entity = "PHONE_NUMBER"
	CreditCard     Entity = "CREDIT_CARD"
	IBAN           Entity = "IBAN_CODE"
	USSSN          Entity = "US_SSN"
	IPAddress      Entity = "IP_ADDRESS"
	MACAddress     Entity = "MAC_ADDRESS"
	URLCredentials Entity = "URL_CREDENTIALS"
	JWT            Entity = "JWT"
	PrivateKey     Entity = "PRIVATE_KEY"
)

// Info describes an entity.
type Info struct {
	Entity Entity
	// Description says what it is, Validation what has to hold for a finding.
	Description, Validation string
	// MaxBytes is the longest finding, in bytes.
	MaxBytes int
}

// Entities lists what can be found.
func Entities() []Info {
	return []Info{
		{Email, "E-mail address.", "RFC 5321 lengths, a dotted domain with an alphabetic top level; international names as they are written.", 320},
		{Phone, "Telephone number.", "Valid in the number plan of its country code, or of one of the regions where it has none. Loose digits need a field's name or a word that says so.", 48},
		{CreditCard, "Payment card number.", "Luhn (ISO/IEC 7812-1), issuer prefix and length; spaces and hyphens between groups.", 40},
		{IBAN, "International bank account number.", "Country's length and mod 97 (ISO 13616); spaces between groups.", 48},
		{USSSN, "US social security number.", "No area 000, 666 or 900 and above, no group 00, no serial 0000 (SSA). Without separators only where a field's name or a word says so.", 11},
		{IPAddress, "IPv4 or IPv6 address.", "Parses as one; no version numbers, no object identifiers.", 45},
		{MACAddress, "Hardware address.", "Six pairs of hexadecimal digits with : or - between them (IEEE 802).", 17},
		{URLCredentials, "User name and password in a URL.", "scheme://user:password@ (RFC 3986, 3.2.1).", maxUserinfo},
		{JWT, "JSON Web Token.", "Three parts, and the header decodes to an object with alg (RFC 7519).", maxToken},
		{PrivateKey, "Private key.", "PEM block (RFC 7468). One without an end is found to its bound.", maxPEM},
	}
}

// Finding is a piece of text that was found.
type Finding struct {
	// Start and End are byte offsets in the text; End is exclusive.
	Start, End int
	Entity     Entity
	// Score is 0 to 1.
	Score float64
}

// Context is what is known of a text beside itself.
type Context struct {
	// Key is the name of the field that the text is in, or "".
	Key string
	// Before is text that stood directly before; 256 bytes are enough.
	Before []byte
}

// Options configure a Scanner. The zero value finds everything.
type Options struct {
	// Entities to find; all where empty.
	Entities []Entity
	// MinScore is the lowest score of a finding; 0.5 where 0.
	MinScore float64
	// PhoneRegions are the regions (ISO 3166-1) whose number plans are tried
	// for telephone numbers without a country code; a wide choice where empty.
	PhoneRegions []string
}
