package detect

// ibanLength is the length of a country's IBANs (ISO 13616 registry).
var ibanLength = func() (t [26 * 26]uint8) {
	for _, e := range []struct {
		countries string
		length    uint8
	}{
		{"NO", 15}, {"BE", 16}, {"DK FI FK FO GL NL SD", 18}, {"MK SI", 19}, {"AT BA EE KZ LT LU MN XK", 20}, {"CH HR LI LV", 21},
		{"BG BH CR DE GB GE IE ME RS VA", 22}, {"AE GI IL IQ OM SO TL", 23}, {"AD CZ ES MD PK RO SA SE SK TN VG", 24}, {"LY PT ST", 25},
		{"IS TR", 26}, {"BI DJ FR GR IT MC MR SM", 27}, {"AL AZ BY CY DO GT HN HU LB NI PL SV", 28}, {"BR EG PS QA UA", 29},
		{"JO KW MU YE", 30}, {"MT SC", 31}, {"LC", 32}, {"RU", 33},
	} {
		for i := 0; i < len(e.countries); i += 3 {
			t[int(e.countries[i]-'A')*26+int(e.countries[i+1]-'A')] = e.length
		}
	}
	return t
}()

// iban looks at a word at i that begins with two letters and a digit.
func (s *scan) iban(i int) {
	if i+4 > len(s.text) || !isDigit(s.text[i+3]) || !s.want.has(idIBAN) {
		return
	}
	a, b := s.text[i]&^0x20, s.text[i+1]&^0x20
	if a < 'A' || a > 'Z' || b < 'A' || b > 'Z' {
		return
	}
	want := int(ibanLength[int(a-'A')*26+int(b-'A')])
	if want == 0 {
		return
	}
	var chars [34]byte
	n, j := 0, i
	for j < len(s.text) && n < want {
		c := s.text[j]
		switch kinds[c] {
		case digitKind, upperKind:
			chars[n] = c
			n++
		case lowerKind:
			chars[n] = c - ('a' - 'A')
			n++
		default:
			if c != ' ' && c != '-' || s.text[j-1] == ' ' || s.text[j-1] == '-' {
				s.touch(i, j)
				return
			}
		}
		j++
	}
	s.touch(i, j)
	if n < want || !s.endsWord(j, i) || !mod97(chars[:n]) {
		return
	}
	s.add(i, j, idIBAN, 1)
}
