package detect

// ibanLength is the length of a country's IBANs (ISO 13616 registry).
var ibanLength = map[string]int{
	"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28,
	"CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
	"FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28,
	"IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
	"LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28,
	"NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24,
	"SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26,
	"UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}

// iban looks at a word that begins with capitals at i.
func (s *scan) iban(i int) {
	if i+4 > len(s.text) {
		return // the tail is held
	}
	if c := s.text[i+1]; c < 'A' || c > 'Z' || !isDigit(s.text[i+2]) || !isDigit(s.text[i+3]) {
		return
	}
	want, ok := ibanLength[string(s.text[i:i+2])]
	if !ok {
		return
	}
	var chars [34]byte
	n, j := 0, i
	for j < len(s.text) && n < want {
		c := s.text[j]
		switch {
		case isDigit(c) || c >= 'A' && c <= 'Z':
			chars[n] = c
			n++
		case (c == ' ' || c == '-') && s.text[j-1] != ' ' && s.text[j-1] != '-':
		default:
			s.touch(i, j)
			return
		}
		j++
	}
	s.touch(i, j)
	if n < want || !s.endsWord(j, i) || !mod97(chars[:n]) {
		return
	}
	s.add(i, j, IBAN, 1)
}

// mod97 is the check of ISO 7064, MOD 97-10.
func mod97(c []byte) bool {
	r := 0
	for k := range c {
		d := c[(k+4)%len(c)]
		if isDigit(d) {
			r = (r*10 + int(d-'0')) % 97
		} else {
			r = (r*100 + int(d-'A') + 10) % 97
		}
	}
	return r == 1
}
