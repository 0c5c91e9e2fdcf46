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

// ibanSize returns how many characters an IBAN has that begins as the text does;
// noIBAN where none does.
func ibanSize(text []byte) int {
	if len(text) < 4 || !isDigit(text[2]) || !isDigit(text[3]) {
		return noIBAN
	}
	a, b := text[0]&^0x20-'A', text[1]&^0x20-'A'
	if a >= 26 || b >= 26 {
		return noIBAN
	}
	if n := ibanLength[int(a)*26+int(b)]; n > 0 {
		return int(n)
	}
	return noIBAN
}

const noIBAN = -1

// readIBAN reads an IBAN of so many characters that begins at i, and returns
// where reading ended.
func readIBAN(text []byte, i, size int) (end int, ok bool) {
	var chars [34]byte
	n, j := 0, i
	for ; j < len(text) && n < size; j++ {
		c := text[j]
		k := kinds[c]
		if k == 0 {
			if c != ' ' && c != '-' || text[j-1] == ' ' || text[j-1] == '-' {
				return j, false
			}
			continue
		}
		chars[n] = c &^ (k & lowerKind << 3)
		n++
	}
	return j, n == size && mod97(chars[:n])
}

// iban looks at a word at i that begins with two letters and a digit.
func (s *scan) iban(i int) {
	size := ibanSize(s.text[i:])
	if size == noIBAN || !s.want.has(idIBAN) {
		return
	}
	end, ok := readIBAN(s.text, i, size)
	s.touch(i, end)
	if ok && s.endsWord(end, i) {
		s.add(i, end, idIBAN, 1)
	}
}

// opensIBAN reports whether a text begins with nine letters and digits, or with
// two groups of four that are in one run: capitals and digits.
func opensIBAN(text []byte) bool {
	if len(text) < 9 {
		return false
	}
	grouped := kinds[text[4]] == 0
	for i, c := range text[:9] {
		k := kinds[c]
		if (k == 0) != (grouped && i == 4) || grouped && k == lowerKind {
			return false
		}
	}
	return !grouped || len(text) > 9 && kinds[text[9]] == 0
}

// wholeIBAN looks at a text that is an IBAN and nothing else: nothing in it
// counts for more.
func (s *scan) wholeIBAN() bool {
	size := ibanSize(s.text)
	if size == noIBAN || len(s.text) > 2*size || !s.want.has(idIBAN) || beginsKey(s.text[0], s.text[1]) || !opensIBAN(s.text) {
		return false
	}
	end, ok := readIBAN(s.text, 0, size)
	if !ok || end != len(s.text) {
		return false
	}
	s.add(0, end, idIBAN, 1)
	return true
}
