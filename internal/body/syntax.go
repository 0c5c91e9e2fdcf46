package body

// syntax is how text is written in a body: what is escaped, and how.
type syntax uint8

const (
	verbatim     syntax = iota
	jsonString          // RFC 8259, section 7
	formText            // application/x-www-form-urlencoded
	xmlText             // XML character data, with CDATA sections, comments and instructions between it
	xmlCDATA            // inside a CDATA section
	xmlAttribute        // an attribute's value
	xmlComment          // inside a comment
	xmlMarkup           // inside a processing instruction or a document type
	quotedParam         // a parameter in quotes, RFC 9110, section 5.6.4
	extParam            // an extended parameter's value, RFC 8187
	tokenParam          // a parameter without quotes
	headerText          // a header field's value
)

// needsEscape reports whether any of text cannot stand as it is.
func (s syntax) needsEscape(text []byte) bool {
	switch s {
	case verbatim:
		return false
	case jsonString:
		return anyNotPlain(text)
	}
	for _, c := range text {
		if !s.plain(c) {
			return true
		}
	}
	return false
}

// plain reports whether c can stand as it is.
func (s syntax) plain(c byte) bool {
	switch s {
	case jsonString:
		return c >= 0x20 && c != '"' && c != '\\'
	case formText, extParam:
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~' || c == '*' && s == formText
	case xmlText:
		return c != '&' && c != '<' && c != '>' && (c >= 0x20 || c == '\n' || c == '\t')
	case xmlCDATA:
		return c != '>' && (c >= 0x20 || c == '\n' || c == '\t')
	case xmlAttribute:
		return c != '&' && c != '<' && c != '>' && c != '"' && c != '\'' && c >= 0x20
	case xmlComment:
		return c != '-' && c != '>' && c >= 0x20
	case xmlMarkup:
		switch c {
		case '<', '>', '&', '\'', '"', '%', '?', '[', ']':
			return false
		}
		return c >= 0x20
	case quotedParam:
		return c >= 0x20 && c != '"' && c != '\\'
	case tokenParam:
		return c > 0x20 && c != '"' && c != '\\' && c != ';' && c != ','
	case headerText:
		return c >= 0x20
	}
	return true
}

const (
	hexDigits = "0123456789abcdef"
	hexUpper  = "0123456789ABCDEF"
)

// appendEscaped appends text as it is written in the syntax.
func (s syntax) appendEscaped(dst, text []byte) []byte {
	for _, c := range text {
		if s.plain(c) {
			dst = append(dst, c)
			continue
		}
		switch s {
		case jsonString:
			dst = appendJSONEscape(dst, c)
		case formText, extParam:
			if c == ' ' && s == formText {
				dst = append(dst, '+')
			} else {
				dst = append(dst, '%', hexUpper[c>>4], hexUpper[c&15])
			}
		case xmlCDATA:
			if c == '>' { // it could complete the section's end
				dst = append(dst, "]]>&gt;<![CDATA["...)
			} else {
				dst = append(dst, ' ')
			}
		case xmlText, xmlAttribute:
			dst = appendReference(dst, c)
		case quotedParam:
			// As browsers do (WHATWG HTML, multipart/form-data).
			dst = append(dst, '%', hexUpper[c>>4], hexUpper[c&15])
		default: // comments and markup know no escapes
			dst = append(dst, '_')
		}
	}
	return dst
}

func appendJSONEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}

// appendReference appends a character or entity reference of XML. Characters
// that XML 1.0 does not know become spaces.
func appendReference(dst []byte, c byte) []byte {
	switch c {
	case '&':
		return append(dst, "&amp;"...)
	case '<':
		return append(dst, "&lt;"...)
	case '>':
		return append(dst, "&gt;"...)
	case '"':
		return append(dst, "&#34;"...)
	case '\'':
		return append(dst, "&#39;"...)
	case '\n':
		return append(dst, "&#10;"...)
	case '\r':
		return append(dst, "&#13;"...)
	case '\t':
		return append(dst, "&#9;"...)
	}
	return append(dst, ' ')
}

// decodeAs fills f with raw, which is written in syntax s. It refers to raw
// where nothing is escaped.
func (f *flow) decodeAs(s syntax, raw, scratch []byte) []byte {
	switch s {
	case jsonString:
		return f.decode(raw, scratch)
	case formText, extParam:
		return f.decodeBy(raw, scratch, unescapePercent(s))
	case quotedParam:
		return f.decodeBy(raw, scratch, unescapeQuoted)
	case xmlText:
		return f.decodeXML(raw, scratch)
	case xmlAttribute:
		return f.decodeBy(raw, scratch, unescapeReference)
	}
	f.text, f.raw, f.offsets = raw, raw, nil
	return scratch
}

// unescape reads what stands at b[0]: it appends the text to dst and returns
// how much of b it is; 0 where b[0] stands for itself.
type unescapeFunc func(dst, b []byte) (text []byte, n int)

func (f *flow) decodeBy(raw, scratch []byte, unescape unescapeFunc) []byte {
	f.text, f.raw, f.offsets = raw, raw, nil
	text, escaped := scratch[:0], false
	for i := 0; i < len(raw); {
		decoded, n := unescape(f.one[:0], raw[i:])
		if n == 0 {
			if escaped {
				text = append(text, raw[i])
				f.offsets = append(f.offsets, uint32(i))
			}
			i++
			continue
		}
		if !escaped {
			escaped = true
			text = append(text, raw[:i]...)
			f.offsets = f.room[:0]
			for j := range i {
				f.offsets = append(f.offsets, uint32(j))
			}
		}
		text = append(text, decoded...)
		for range decoded {
			f.offsets = append(f.offsets, uint32(i))
		}
		i += n
	}
	if !escaped {
		return scratch
	}
	f.text, f.offsets = text, append(f.offsets, uint32(len(raw)))
	f.room = f.offsets
	return text
}

func unescapePercent(s syntax) unescapeFunc {
	if s == extParam {
		return unescapeHex
	}
	return func(dst, b []byte) ([]byte, int) {
		if b[0] == '+' {
			return append(dst, ' '), 1
		}
		return unescapeHex(dst, b)
	}
}

func unescapeHex(dst, b []byte) ([]byte, int) {
	if b[0] != '%' || len(b) < 3 || !isHex(b[1]) || !isHex(b[2]) {
		return dst, 0
	}
	return append(dst, byte(hexRune(b[1:3]))), 3
}

func unescapeQuoted(dst, b []byte) ([]byte, int) {
	if b[0] == '\\' && len(b) > 1 && (b[1] == '"' || b[1] == '\\') {
		return append(dst, b[1]), 2
	}
	return unescapeHex(dst, b)
}

// wholeEscapes returns how much of b does not end within an escape of the
// syntax.
func (s syntax) wholeEscapes(b []byte) int {
	var begin byte
	longest := 0
	switch s {
	case formText, extParam, quotedParam:
		begin, longest = '%', 2
	case xmlText, xmlAttribute:
		begin, longest = '&', maxReference-1
	default:
		return len(b)
	}
	for i := len(b) - 1; i >= 0 && i >= len(b)-longest; i-- {
		if begin == '&' && (b[i] == ';' || b[i] == '<' || b[i] == '>') {
			break
		}
		if b[i] == begin {
			return i
		}
	}
	return len(b)
}
