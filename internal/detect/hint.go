package detect

import "bytes"

// keyHints is what the name of a field says of its value.
type keyHints struct {
	known                                          bool
	email, phone, card, ssn, ip, id, date, version bool
}

// hints reads the field's name, when the first candidate asks.
func (s *scan) hints() *keyHints {
	if s.key.known {
		return &s.key
	}
	s.key.known = true
	var buf [64]byte
	tokens := keyTokens(buf[:0], s.ctx.Key)
	has := func(words ...string) bool {
		for _, w := range words {
			if bytes.Contains(tokens, []byte(w)) {
				return true
			}
		}
		return false
	}
	h := &s.key
	h.email = has("_mail_", "email_", "_mailto_")
	h.phone = has("phone_", "_mobile_", "_tel_", "telephone", "_cell_", "_fax_", "_msisdn_", "_whatsapp_", "_landline_", "_telefon", "_handy_", "_mobil_")
	h.card = has("_card_", "creditcard", "cardnumber", "_pan_", "_cc_", "_ccn_", "_kreditkarte_")
	h.ssn = has("_ssn_", "socialsecurity", "_social_security_", "_social_", "ssn_")
	h.ip = has("_ip_", "ipaddress", "_ipv4_", "_ipv6_", "_remote_addr_", "_client_ip_", "_host_")
	h.version = has("_version_", "_ver_", "_oid_", "_build_")
	h.date = has("_date_", "_time_", "timestamp", "_at_", "_created_", "_updated_", "_expires_", "_dob_")
	h.id = !h.phone && !h.card && !h.ssn && has("_id_", "_uuid_", "_order_", "_invoice_", "_tracking_", "_sku_", "_ref_", "reference", "_serial_", "_hash_", "_nonce_", "_trace_", "_span_", "_count_", "_total_", "_amount_", "_price_", "_size_", "_bytes_", "_offset_")
	return h
}

// keyTokens writes a name as lower-case words between underscores: cardNumber,
// card-number and CARD_NUMBER all become _card_number_cardnumber_.
func keyTokens(dst []byte, key string) []byte {
	if len(key) > 48 {
		key = key[:48]
	}
	dst = append(dst, '_')
	for i := range len(key) {
		c := key[i]
		switch {
		case c >= 'A' && c <= 'Z':
			lowerNext := i+1 < len(key) && key[i+1] >= 'a' && key[i+1] <= 'z'
			if i > 0 && (key[i-1] >= 'a' && key[i-1] <= 'z' || isDigit(key[i-1]) || key[i-1] >= 'A' && key[i-1] <= 'Z' && lowerNext) {
				dst = append(dst, '_')
			}
			dst = append(dst, c|0x20)
		case isAlnum(c) || c >= 0x80:
			dst = append(dst, c)
		case dst[len(dst)-1] != '_':
			dst = append(dst, '_')
		}
	}
	if dst[len(dst)-1] != '_' {
		dst = append(dst, '_')
	}
	for i := range len(key) {
		if c := key[i]; isAlnum(c) {
			if c >= 'A' && c <= 'Z' {
				c |= 0x20
			}
			dst = append(dst, c)
		}
	}
	return append(dst, '_')
}

// Words before a candidate that speak for it, or against.
var (
	phoneWords   = []string{"phone", "mobile", "tel", "call", "cell", "fax", "whatsapp", "sms", "text me", "reach me", "contact", "dial", "ring", "telefon", "handy", "numéro", "teléfono"}
	cardWords    = []string{"card", "visa", "mastercard", "amex", "credit", "debit", "cc", "pan", "karte", "tarjeta", "carte"}
	ssnWords     = []string{"ssn", "social security", "social sec", "ss#", "ss #", "social"}
	ipWords      = []string{"ip", "address", "addr", "host", "from", "client", "server"}
	versionWords = []string{"version", "ver", "v", "release", "build", "oid", "firmware", "chrome", "firefox", "safari", "edge", "agent"}
	idWords      = []string{"order", "invoice", "tracking", "reference", "ref", "serial", "sku", "ticket", "case", "id", "isbn", "part", "model", "transaction", "batch", "timestamp"}
)

// before reports whether one of the words stands in the text before start, as
// a word, within a few dozen bytes and in the same sentence.
func (s *scan) before(start int, words []string) bool {
	var buf [contextSize]byte
	n := 0
	for i := start - 1; n < len(buf); i-- {
		if i < 0 && i+len(s.ctx.Before) < 0 {
			break
		}
		c := s.at(i)
		if c == '\n' {
			break
		}
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		n++
		buf[len(buf)-n] = c
	}
	window := buf[len(buf)-n:]
	for _, w := range words {
		for at := 0; ; {
			k := bytes.Index(window[at:], []byte(w))
			if k < 0 {
				break
			}
			k += at
			end := k + len(w)
			startsWord := k == 0 || !isAlnum(window[k-1])
			// A plural or a "number" in the same word is fine: "phones", "ssn:".
			endsWord := end == len(window) || !isAlnum(window[end]) || len(w) > 3
			if startsWord && endsWord {
				return true
			}
			at = k + 1
		}
	}
	return false
}
