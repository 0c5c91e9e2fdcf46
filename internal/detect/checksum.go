package detect

import "slices"

// The checks of the recognisers. Each takes the characters of a number without
// what stands between them, letters as capitals, in a length that the
// recogniser's shapes have fixed. The name says the number or the standard.

// luhn is the check of ISO/IEC 7812-1, annex B. Numbers of one digit only are
// refused.
func luhn(d []byte) bool { return luhnSum(d)%10 == 0 && !same(d) }

func luhnSum(d []byte) int {
	sum, i := 0, len(d)-1
	for ; i > 0; i -= 2 {
		sum += int(d[i]-'0') + int(luhnDouble[(d[i-1]-'0')&15])
	}
	if i == 0 {
		sum += int(d[0] - '0')
	}
	return sum
}

// luhnDouble has the sum of the digits of twice a digit.
var luhnDouble = [16]uint8{0, 2, 4, 6, 8, 1, 3, 5, 7, 9}

// same reports whether all characters are the same.
func same(d []byte) bool {
	for _, c := range d {
		if c != d[0] {
			return false
		}
	}
	return true
}

// sequence reports whether the digits are a run such as 123456789.
func sequence(d []byte) bool {
	up, down := true, true
	for i := 1; i < len(d); i++ {
		step := (int(d[i]) - int(d[i-1]) + 10) % 10
		up, down = up && step == 1, down && step == 9
	}
	return up || down
}

// weigh is the sum of digits times weights.
func weigh(d []byte, weights ...int) int {
	sum := 0
	for i, w := range weights {
		sum += int(d[i]-'0') * w
	}
	return sum
}

func digit(c byte) int { return int(c - '0') }

// value is what base-36 characters stand for.
func value(c byte) int {
	if isDigit(c) {
		return int(c - '0')
	}
	return int(c-'A') + 10
}

func decimal(d []byte) int {
	n := 0
	for _, c := range d {
		n = n*10 + int(c-'0')
	}
	return n
}

var (
	verhoeffMultiply = [10][10]uint8{
		{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 2, 3, 4, 0, 6, 7, 8, 9, 5}, {2, 3, 4, 0, 1, 7, 8, 9, 5, 6},
		{3, 4, 0, 1, 2, 8, 9, 5, 6, 7}, {4, 0, 1, 2, 3, 9, 5, 6, 7, 8}, {5, 9, 8, 7, 6, 0, 4, 3, 2, 1},
		{6, 5, 9, 8, 7, 1, 0, 4, 3, 2}, {7, 6, 5, 9, 8, 2, 1, 0, 4, 3}, {8, 7, 6, 5, 9, 3, 2, 1, 0, 4},
		{9, 8, 7, 6, 5, 4, 3, 2, 1, 0},
	}
	verhoeffPermute = func() (p [8][10]uint8) {
		first := [10]uint8{1, 5, 7, 6, 2, 8, 3, 0, 9, 4}
		for j := range 10 {
			p[0][j] = uint8(j)
		}
		for i := 1; i < 8; i++ {
			for j := range 10 {
				p[i][j] = p[i-1][first[j]]
			}
		}
		return p
	}()
)

// verhoeff is Verhoeff's check over the dihedral group of ten.
func verhoeff(d []byte) bool {
	c := uint8(0)
	for i := range d {
		c = verhoeffMultiply[c][verhoeffPermute[i%8][d[len(d)-1-i]-'0']]
	}
	return c == 0
}

// mod97 is the check of ISO 7064, MOD 97-10, with four characters from the
// beginning taken to the end, as IBANs have it.
func mod97(c []byte) bool {
	return rest97(rest97(0, c[4:]), c[:4]) == 1
}

// rest97 goes on with the rest r of a division by 97.
func rest97(r uint64, c []byte) uint64 {
	for _, d := range c {
		if isDigit(d) {
			r = r*10 + uint64(d-'0')
		} else {
			r = r*100 + uint64(d-'A') + 10
		}
		if r >= 1e15 {
			r %= 97
		}
	}
	return r % 97
}

// mod11x10 is the check of ISO 7064, MOD 11,10.
func mod11x10(d []byte) bool {
	p := 10
	for _, c := range d[:len(d)-1] {
		s := (int(c-'0') + p) % 10
		if s == 0 {
			s = 10
		}
		p = s * 2 % 11
	}
	return (p+digit(d[len(d)-1]))%10 == 1
}

// date reports whether the digits are a day of a month; year is of two digits,
// or 0 where it does not matter.
func date(month, day int) bool {
	return month >= 1 && month <= 12 && day >= 1 && day <= daysOf[month]
}

var daysOf = [13]int{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

func two(d []byte, at int) int { return digit(d[at])*10 + digit(d[at+1]) }

// yymmdd reports whether digits begin with a date.
func yymmdd(d []byte) bool { return date(two(d, 2), two(d, 4)) }

// ddmmyy reports whether digits begin with a date, the day first.
func ddmmyy(d []byte) bool { return date(two(d, 2), two(d, 0)) }

// isSSN: what the Social Security Administration never issues is not one: no
// area 000, 666 or 900 and above, no group 00, no serial 0000.
func isSSN(d []byte) bool {
	area := two(d, 0)*10 + digit(d[2])
	return area > 0 && area != 666 && area < 900 && two(d, 3) > 0 && two(d, 5)+two(d, 7) > 0 && !same(d) && string(d) != "123456789"
}

// isITIN: 9, and group 50 to 65, 70 to 88, 90 to 92 or 94 to 99 (IRS).
func isITIN(d []byte) bool {
	g := two(d, 3)
	return d[0] == '9' && (g >= 50 && g <= 65 || g >= 70 && g <= 88 || g >= 90 && g <= 92 || g >= 94)
}

// isEIN: a prefix that the IRS has given to a campus.
func isEIN(d []byte) bool {
	switch two(d, 0) {
	case 0, 7, 8, 9, 17, 18, 19, 28, 29, 49, 69, 70, 78, 79, 89, 96, 97:
		return false
	}
	return true
}

// isNPI: Luhn with 80840 before it, the first digit 1 or 2 (CMS).
func isNPI(d []byte) bool { return (d[0] == '1' || d[0] == '2') && (luhnSum(d)+24)%10 == 0 }

// isDEA: two letters, the first of a registrant's kind, and seven digits with
// a check (DEA).
func isDEA(c []byte) bool {
	switch c[0] {
	case 'I', 'N', 'O', 'Q', 'V', 'W', 'Y', 'Z':
		return false
	}
	d := c[2:]
	return (weigh(d, 1, 0, 1, 0, 1)+2*weigh(d, 0, 1, 0, 1, 0, 1))%10 == digit(d[6])
}

// isMBI: the positions of digits and letters of a Medicare beneficiary
// identifier (CMS); no S, L, O, I, B or Z.
func isMBI(c []byte) bool {
	const kinds = "9AX9AX9AA99"
	for i := range kinds {
		isNumber := isDigit(c[i])
		if kinds[i] == '9' && !isNumber || kinds[i] == 'A' && isNumber {
			return false
		}
		switch c[i] {
		case 'S', 'L', 'O', 'I', 'B', 'Z':
			return false
		}
	}
	return c[0] != '0'
}

// isABA: a prefix that the Federal Reserve uses, and the check 3, 7, 1.
func isABA(d []byte) bool {
	p := two(d, 0)
	if p > 12 && p < 21 || p > 32 && p < 61 || p > 72 && p != 80 || same(d) {
		return false
	}
	return weigh(d, 3, 7, 1, 3, 7, 1, 3, 7, 1)%10 == 0
}

// isNHS: weights 10 to 2, modulus 11 (NHS Data Dictionary).
func isNHS(d []byte) bool {
	s := (11 - weigh(d, 10, 9, 8, 7, 6, 5, 4, 3, 2)%11) % 11
	return s != 10 && s == digit(d[9]) && !same(d)
}

// isNINO: prefixes that HMRC does not use are not one.
func isNINO(c []byte) bool {
	for i, no := range [2]string{"DFIQUV", "DFIOQUV"} {
		for k := range len(no) {
			if c[i] == no[k] {
				return false
			}
		}
	}
	switch string(c[:2]) {
	case "BG", "GB", "KN", "NK", "NT", "TN", "ZZ":
		return false
	}
	return c[8] >= 'A' && c[8] <= 'D'
}

// isUTR: the first digit checks the others, modulus 11 (HMRC).
func isUTR(d []byte) bool {
	return d[0] == "21987654321"[weigh(d, 0, 6, 7, 8, 9, 10, 5, 4, 3, 2)%11]
}

// isUKDriver: five of the name, a date of birth, initials (DVLA).
func isUKDriver(c []byte) bool {
	for i, x := range c[:5] {
		if isDigit(x) && (x != '9' || i == 0) {
			return false
		}
	}
	for _, x := range c[5:11] {
		if !isDigit(x) {
			return false
		}
	}
	month := two(c, 6)
	if month > 50 {
		month -= 50
	}
	for _, x := range c[11:13] {
		if isDigit(x) && x != '9' {
			return false
		}
	}
	return date(month, two(c, 8))
}

// isPPSN: weights 8 to 2, and 9 for a second letter, modulus 23 (Ireland).
func isPPSN(c []byte) bool {
	const letters = "WABCDEFGHIJKLMNOPQRSTUV"
	sum := weigh(c, 8, 7, 6, 5, 4, 3, 2)
	if len(c) == 9 && c[8] != 'W' && c[8] != 'T' {
		sum += 9 * int(c[8]-'A'+1)
	}
	return c[7] == letters[sum%23]
}

// isAadhaar: Verhoeff; it does not begin with 0 or 1 and is no palindrome
// (UIDAI).
func isAadhaar(d []byte) bool {
	if d[0] < '2' {
		return false
	}
	mirror := true
	for i := range 6 {
		mirror = mirror && d[i] == d[11-i]
	}
	return !mirror && verhoeff(d)
}

// isPAN: the fourth letter is the holder's kind (Income Tax Department, India).
func isPAN(c []byte) bool {
	switch c[3] {
	case 'A', 'B', 'C', 'F', 'G', 'H', 'J', 'L', 'P', 'T', 'K', 'E':
		return string(c[5:9]) != "0000"
	}
	return false
}

// isGSTIN: a state, a PAN, and a Luhn check to the base 36.
func isGSTIN(c []byte) bool {
	if s := two(c, 0); s == 0 || s > 38 && s < 96 || !isPAN(c[2:12]) || c[13] != 'Z' {
		return false
	}
	sum := 0
	for i, x := range c[:14] {
		v := value(x)
		if i%2 == 1 {
			v *= 2
		}
		sum += v/36 + v%36
	}
	return value(c[14]) == (36-sum%36)%36
}

// isEPIC: Luhn over the digits (Election Commission of India).
func isEPIC(c []byte) bool { return luhn(c[3:]) }

// isCPF: two check digits, modulus 11 (Receita Federal).
func isCPF(d []byte) bool {
	if same(d) {
		return false
	}
	c1 := (11 - weigh(d, 10, 9, 8, 7, 6, 5, 4, 3, 2)%11) % 11 % 10
	c2 := (11 - weigh(d, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2)%11) % 11 % 10
	return digit(d[9]) == c1 && digit(d[10]) == c2
}

// isCNPJ: two check digits, modulus 11 (Receita Federal).
func isCNPJ(d []byte) bool {
	if same(d) {
		return false
	}
	c1 := (11 - weigh(d, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)%11) % 11 % 10
	c2 := (11 - weigh(d, 6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)%11) % 11 % 10
	return digit(d[12]) == c1 && digit(d[13]) == c2
}

// isSIN: Luhn; no first digit 0 or 8 (Service Canada).
func isSIN(d []byte) bool { return d[0] != '0' && d[0] != '8' && luhn(d) }

// isCURP: a date, sex and a check digit (RENAPO).
func isCURP(c []byte) bool {
	if !yymmdd(c[4:10]) || c[10] != 'H' && c[10] != 'M' && c[10] != 'X' {
		return false
	}
	sum := 0
	for i, x := range c[:17] {
		v := value(x)
		if x > 'N' { // the Spanish alphabet has one more before O
			v++
		}
		sum += v * (18 - i)
	}
	return (10-sum%10)%10 == digit(c[17])
}

// isRFC: a date after three letters (a company) or four (a person); the last
// character is a check, modulus 11 (SAT).
func isRFC(c []byte) bool {
	n := len(c)
	if !yymmdd(c[n-9 : n-3]) {
		return false
	}
	sum := 0
	if n == 12 {
		sum = 37 * 13
	}
	for i, x := range c[:n-1] {
		v := value(x)
		if x > 'N' {
			v++
		}
		sum += v * (n - i)
	}
	r := (11 - sum%11) % 11
	if r == 10 {
		return c[n-1] == 'A'
	}
	return c[n-1] == byte('0'+r)
}

// isCUIT: a known prefix and a check digit, modulus 11 (AFIP).
func isCUIT(d []byte) bool {
	switch two(d, 0) {
	case 20, 23, 24, 27, 30, 33, 34, 50, 51, 55:
	default:
		return false
	}
	return d[10] == "012345678990"[11-weigh(d, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)%11]
}

// isRUT: weights 2 to 7 from the end, modulus 11 (Servicio de Impuestos
// Internos).
func isRUT(c []byte) bool {
	sum, w := 0, 2
	for i := len(c) - 2; i >= 0; i-- {
		sum += digit(c[i]) * w
		if w++; w > 7 {
			w = 2
		}
	}
	return c[len(c)-1] == "0K987654321"[sum%11]
}

// isSteuerID: ISO 7064 MOD 11,10; of the first ten digits one is there twice
// or three times (BZSt).
func isSteuerID(d []byte) bool {
	if d[0] == '0' {
		return false
	}
	var n [10]int
	for _, c := range d[:10] {
		n[c-'0']++
	}
	twice := 0
	for _, k := range n {
		if k > 3 {
			return false
		}
		if k > 1 {
			twice++
		}
	}
	return twice == 1 && mod11x10(d)
}

// isRVNR: the German pension insurance number: an area, a date, a letter.
func isRVNR(c []byte) bool {
	if !isDigit(c[0]) || isDigit(c[8]) {
		return false
	}
	day := two(c, 2)
	if day > 50 {
		day -= 50
	}
	if !date(two(c, 4), day) {
		return false
	}
	var d [12]byte
	copy(d[:8], c[:8])
	v := int(c[8]-'A') + 1
	d[8], d[9], d[10], d[11] = byte('0'+v/10), byte('0'+v%10), c[9], c[10]
	sum := 0
	for i, w := range [12]int{2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1} {
		p := digit(d[i]) * w
		sum += p/10 + p%10
	}
	return sum%10 == digit(c[11])
}

// icao is the check of ICAO Doc 9303: weights 7, 3, 1.
func icao(c []byte) bool {
	sum := 0
	for i, x := range c[:len(c)-1] {
		sum += value(x) * [3]int{7, 3, 1}[i%3]
	}
	return isDigit(c[len(c)-1]) && sum%10 == digit(c[len(c)-1])
}

// isGermanID: the letters that cannot be mistaken, and the check of ICAO 9303.
func isGermanID(c []byte) bool {
	for _, x := range c[:9] {
		switch x {
		case 'A', 'B', 'D', 'E', 'I', 'O', 'Q', 'S', 'U':
			return false
		}
	}
	return !isDigit(c[0]) && icao(c)
}

// isNIR: sex, year, month, département, and a key, modulus 97 (INSEE).
func isNIR(c []byte) bool {
	if c[0] != '1' && c[0] != '2' {
		return false
	}
	month := two(c, 3)
	if month == 0 || month > 12 && month < 20 || month > 42 && month < 50 {
		return false
	}
	n := 0
	for i, x := range c[:13] {
		if !isDigit(x) {
			// Corsica: 2A counts as 19, 2B as 18.
			if i != 6 || c[5] != '2' || x != 'A' && x != 'B' {
				return false
			}
			n = n/10*10 + 1
			x = '9' - (x - 'A')
		}
		n = n*10 + digit(x)
	}
	return 97-n%97 == two(c, 13)
}

const nifLetters = "TRWAGMYFPDXBNJZSQVHLCKE"

// isNIF: the letter is the number modulus 23 (Agencia Tributaria).
func isNIF(c []byte) bool { return c[8] == nifLetters[decimal(c[:8])%23] }

// isNIE: as isNIF, X, Y, Z for 0, 1, 2.
func isNIE(c []byte) bool {
	if c[0] < 'X' || c[0] > 'Z' {
		return false
	}
	return c[8] == nifLetters[(int(c[0]-'X')*10000000+decimal(c[1:8]))%23]
}

// isCIF: the form of organisation and a Luhn check, as digit or letter.
func isCIF(c []byte) bool {
	switch c[0] {
	case 'I', 'O', 'T', 'X', 'Y', 'Z', 'K', 'L', 'M':
		return false
	}
	for _, x := range c[1:8] {
		if !isDigit(x) {
			return false
		}
	}
	sum := 0
	for i, x := range c[1:8] {
		v := digit(x)
		if i%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	r := (10 - sum%10) % 10
	return c[8] == byte('0'+r) || c[8] == "JABCDEFGHI"[r]
}

// isCodiceFiscale: the shape, the month's letter and the check letter (DM
// 23/12/1976).
func isCodiceFiscale(c []byte) bool {
	const kinds = "AAAAAA99A99A999A"
	// The values of a character in an odd place, by its value.
	odd := [36]int{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}
	sum := 0
	for i, x := range c {
		isNumber := isDigit(x)
		if kinds[i] == 'A' && isNumber {
			return false
		}
		if kinds[i] == '9' && !isNumber && (x < 'L' || x > 'V' || x == 'O') {
			return false // letters that stand for digits where two persons would have the same
		}
		if i == 15 {
			break
		}
		v := value(x)
		if i%2 == 0 {
			sum += odd[v]
		} else if isNumber {
			sum += v
		} else {
			sum += v - 10
		}
	}
	switch c[8] {
	case 'A', 'B', 'C', 'D', 'E', 'H', 'L', 'M', 'P', 'R', 'S', 'T':
	default:
		return false
	}
	return c[15] == byte('A'+sum%26)
}

// isPartitaIVA: Luhn (Agenzia delle Entrate).
func isPartitaIVA(d []byte) bool { return luhn(d) && decimal(d[:7]) > 0 }

// isBSN: weights 9 to 2 and -1, modulus 11 (Netherlands).
func isBSN(d []byte) bool {
	return weigh(d, 9, 8, 7, 6, 5, 4, 3, 2, -1)%11 == 0 && !same(d)
}

// isBelgianNN: a date, and 97 less the first nine digits modulus 97, with a 2
// before them for who is born from 2000 on.
func isBelgianNN(d []byte) bool {
	if month := two(d, 2) % 20; month > 12 {
		return false
	}
	n, check := decimal(d[:9]), two(d, 9)
	return 97-n%97 == check || 97-(n+2000000000)%97 == check
}

// isPESEL: a date, month by century, and a check digit (Poland).
func isPESEL(d []byte) bool {
	return date(two(d, 2)%20, two(d, 4)) && (10-weigh(d, 1, 3, 7, 9, 1, 3, 7, 9, 1, 3)%10)%10 == digit(d[10])
}

// isNIP: modulus 11 (Poland).
func isNIP(d []byte) bool {
	return weigh(d, 6, 5, 7, 2, 3, 4, 5, 6, 7)%11 == digit(d[9]) && !same(d)
}

// isPortugueseNIF: weights 9 to 2, modulus 11.
func isPortugueseNIF(d []byte) bool {
	if d[0] == '0' {
		return false
	}
	r := 11 - weigh(d, 9, 8, 7, 6, 5, 4, 3, 2)%11
	if r > 9 {
		r = 0
	}
	return r == digit(d[8]) && !sequence(d)
}

// isPersonnummer: a date (day plus 60 for a coordination number) and Luhn over
// ten digits (Skatteverket).
func isPersonnummer(d []byte) bool {
	if len(d) == 12 {
		if c := two(d, 0); c < 18 || c > 20 {
			return false
		}
		d = d[2:]
	}
	day := two(d, 4)
	if day > 60 {
		day -= 60
	}
	return date(two(d, 2), day) && luhn(d)
}

// isHETU: a date and a check character, modulus 31 (Finland).
func isHETU(c []byte) bool {
	for _, x := range c[:9] {
		if !isDigit(x) {
			return false
		}
	}
	n := decimal(c[:9])
	return ddmmyy(c) && c[9] == "0123456789ABCDEFHJKLMNPRSTUVWXY"[n%31]
}

// isCPR: a date; numbers have had no check since 2007 (Denmark).
func isCPR(d []byte) bool { return ddmmyy(d) && decimal(d[6:]) > 0 }

// isFodselsnummer: a date (day plus 40 for a D number) and two check digits
// (Norway).
func isFodselsnummer(d []byte) bool {
	day := two(d, 0)
	if day > 40 {
		day -= 40
	}
	return date(two(d, 2)%40, day) &&
		weigh(d, 3, 7, 6, 1, 8, 9, 4, 5, 2, 1)%11 == 0 && weigh(d, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)%11 == 0
}

// ean is the check of GS1 numbers: weights 3 and 1 from the end.
func ean(d []byte) bool {
	sum := 0
	for i := range d {
		w := 1
		if i%2 == 1 {
			w = 3
		}
		sum += digit(d[len(d)-1-i]) * w
	}
	return sum%10 == 0
}

// isAHV: 756 and the check of GS1 (Switzerland).
func isAHV(d []byte) bool { return string(d[:3]) == "756" && ean(d) }

// isSVNR: a serial number, a check digit and a date (Austria).
func isSVNR(d []byte) bool {
	month := two(d, 6)
	return d[0] != '0' && month >= 1 && month <= 15 && two(d, 4) <= 31 &&
		weigh(d, 3, 7, 9, 0, 5, 8, 4, 2, 1, 6)%11 == digit(d[3])
}

// isRodneCislo: a date (month plus 50 for women, plus 20 when a day's numbers
// ran out) and divisible by 11 (Czechia, Slovakia).
func isRodneCislo(d []byte) bool {
	month := two(d, 2) % 50
	if month > 20 {
		month -= 20
	}
	n := decimal(d)
	return date(month, two(d, 4)) && (n%11 == 0 || n/10%11 == 10 && n%10 == 0)
}

// isCNP: sex and century, a date, a county and a check digit (Romania).
func isCNP(d []byte) bool {
	if d[0] == '0' || !date(two(d, 3), two(d, 5)) {
		return false
	}
	return weigh(d, 2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)%11%10 == digit(d[12]) || weigh(d, 2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)%11 == 10 && d[12] == '1'
}

// isEGN: a date, month by century, and a check digit (Bulgaria).
func isEGN(d []byte) bool {
	return date(two(d, 2)%20, two(d, 4)) && weigh(d, 2, 4, 8, 5, 10, 9, 7, 3, 6)%11%10 == digit(d[9])
}

// isAMKA: a date and Luhn (Greece).
func isAMKA(d []byte) bool { return ddmmyy(d) && luhn(d) }

// isTFN: weights 1, 4, 3, 7, 5, 8, 6, 9, 10, modulus 11 (ATO).
func isTFN(d []byte) bool {
	return weigh(d, 1, 4, 3, 7, 5, 8, 6, 9, 10)%11 == 0 && !same(d)
}

// isABN: 1 less in the first place, weights 10, 1, 3 to 19, modulus 89 (ABR).
func isABN(d []byte) bool {
	return d[0] != '0' && (weigh(d, 10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)-10)%89 == 0
}

// isACN: weights 8 to 1, modulus 10 (ASIC).
func isACN(d []byte) bool {
	return (10-weigh(d, 8, 7, 6, 5, 4, 3, 2, 1)%10)%10 == digit(d[8]) && !same(d)
}

// isAUMedicare: first digit 2 to 6; weights 1, 3, 7, 9, modulus 10.
func isAUMedicare(d []byte) bool {
	return d[0] >= '2' && d[0] <= '6' && weigh(d, 1, 3, 7, 9, 1, 3, 7, 9)%10 == digit(d[8])
}

// isIRD: weights 3, 2, 7 to 2, modulus 11, and other weights where that gives
// ten (Inland Revenue, New Zealand).
func isIRD(d []byte) bool {
	if len(d) == 8 {
		d = append(make([]byte, 0, 9), '0', d[0], d[1], d[2], d[3], d[4], d[5], d[6], d[7])
	}
	if n := decimal(d); n < 10000000 || n > 150000000 {
		return false
	}
	c := (11 - weigh(d, 3, 2, 7, 6, 5, 4, 3, 2)%11) % 11
	if c == 10 {
		c = (11 - weigh(d, 7, 4, 3, 2, 5, 2, 7, 6)%11) % 11
	}
	return c == digit(d[8])
}

// isNRIC: weights 2, 7 to 2, modulus 11, and a letter by series (Singapore).
func isNRIC(c []byte) bool {
	sum := weigh(c[1:], 2, 7, 6, 5, 4, 3, 2)
	switch c[0] {
	case 'S':
		return c[8] == "JZIHGFEDCBA"[sum%11]
	case 'T':
		return c[8] == "JZIHGFEDCBA"[(sum+4)%11]
	case 'F':
		return c[8] == "XWUTRQPNMLK"[sum%11]
	case 'G':
		return c[8] == "XWUTRQPNMLK"[(sum+4)%11]
	case 'M':
		return c[8] == "XWUTRQPNJLK"[10-(sum+3)%11]
	}
	return false
}

// isHKID: one or two letters, six digits, and a check digit or A, modulus 11.
func isHKID(c []byte) bool {
	sum := 36 * 9
	if len(c) == 9 {
		sum = value(c[0]) * 9
		c = c[1:]
	}
	for i, x := range c[:7] {
		sum += value(x) * (8 - i)
	}
	switch r := (11 - sum%11) % 11; r {
	case 10:
		return c[7] == 'A'
	default:
		return c[7] == byte('0'+r)
	}
}

// isChineseID: a date of birth and ISO 7064 MOD 11-2 (GB 11643).
func isChineseID(c []byte) bool {
	if c[0] == '0' || c[6] != '1' && c[6] != '2' || !date(two(c, 10), two(c, 12)) {
		return false
	}
	if y := decimal(c[6:10]); y < 1880 || y > 2035 {
		return false
	}
	return c[17] == "10X98765432"[weigh(c, 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)%11]
}

// isTaiwanID: a letter for the place, a digit for sex, and a check digit.
func isTaiwanID(c []byte) bool {
	if c[1] != '1' && c[1] != '2' && c[1] != '8' && c[1] != '9' {
		return false
	}
	// The number of a letter is by when its place was named.
	v := 10 + int([26]byte{0, 1, 2, 3, 4, 5, 6, 7, 24, 8, 9, 10, 11, 12, 25, 13, 14, 15, 16, 17, 18, 19, 22, 20, 21, 23}[c[0]-'A'])
	return (v/10+v%10*9+weigh(c[1:], 8, 7, 6, 5, 4, 3, 2, 1, 1))%10 == 0
}

// isRRN: a date, a digit for sex and century, and a check digit (Korea).
func isRRN(d []byte) bool {
	return yymmdd(d) && (11-weigh(d, 2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)%11)%10 == digit(d[12])
}

// isRRNDate is isRRN without the check digit, which numbers given out since
// October 2020 do not have.
func isRRNDate(d []byte) bool { return yymmdd(d) && d[6] >= '1' && d[6] <= '8' }

// isMyNumber: weights 6 to 2 twice, modulus 11 (Japan).
func isMyNumber(d []byte) bool {
	r := weigh(d, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2) % 11
	if r <= 1 {
		return d[11] == '0' && !same(d)
	}
	return 11-r == digit(d[11])
}

// isMyKad: a date and a place of birth (Malaysia).
func isMyKad(d []byte) bool {
	p := two(d, 6)
	return yymmdd(d) && p > 0 && p != 17 && p != 18 && p != 19 && p != 20 && p != 69 && p != 70 && p != 73 && p != 80 && p != 81 && p != 94 && p != 95 && p != 96 && p != 97
}

// isThaiID: weights 13 to 2, modulus 11.
func isThaiID(d []byte) bool {
	return d[0] != '0' && d[0] != '9' && (11-weigh(d, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2)%11)%10 == digit(d[12])
}

// isTCKN: two check digits (Türkiye).
func isTCKN(d []byte) bool {
	odd, even := weigh(d, 1, 0, 1, 0, 1, 0, 1, 0, 1), weigh(d, 0, 1, 0, 1, 0, 1, 0, 1)
	c1 := ((odd*7-even)%10 + 10) % 10
	return d[0] != '0' && c1 == digit(d[9]) && (odd+even+c1)%10 == digit(d[10])
}

// isIsraeliID: Luhn over nine digits.
func isIsraeliID(d []byte) bool { return luhn(d) }

// isSouthAfricanID: a date, citizenship and Luhn.
func isSouthAfricanID(d []byte) bool { return yymmdd(d) && d[10] <= '2' && luhn(d) }

// isIMEI: Luhn, and a reporting body that the GSMA has named.
func isIMEI(d []byte) bool {
	switch two(d, 0) {
	case 1, 10, 30, 33, 35, 44, 45, 49, 50, 51, 52, 53, 54, 86, 91, 98, 99:
		return luhn(d)
	}
	return false
}

// isIMSI: a mobile country code (ITU-T E.212).
func isIMSI(d []byte) bool { return d[0] >= '2' && d[0] <= '7' && !same(d) }

// isVIN: no I, O or Q (ISO 3779) and the check digit of 49 CFR 565.
func isVIN(c []byte) bool {
	if !isVINShape(c) {
		return false
	}
	const letters = "12345678012345070923456789" // I, O, Q are out already
	sum := 0
	for i, w := range [17]int{8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2} {
		v := digit(c[i])
		if !isDigit(c[i]) {
			v = digit(letters[c[i]-'A'])
		}
		sum += v * w
	}
	return c[8] == "0123456789X"[sum%11]
}

// isVINShape: no I, O or Q, digits and letters, digits at the end (ISO 3779).
func isVINShape(c []byte) bool {
	letters := 0
	for _, x := range c {
		if x == 'I' || x == 'O' || x == 'Q' {
			return false
		}
		if !isDigit(x) {
			letters++
		}
	}
	return letters >= 2 && letters <= 15
}

// isMCI: the letters of a Mainland travel permit and the like are not looked
// at: any digits do.
func anyDigits(d []byte) bool { return !same(d) }

// vatCheck is the check of a VAT number after its country, by the country's
// tax number where this package has it; others need their shape only.
var vatCheck = map[string]func([]byte) bool{
	"AT": nil, "BE": isBelgianVAT, "DE": mod11x10, "ES": isSpanishTax, "FR": nil, "HR": mod11x10, "IT": isPartitaIVA,
	"NL": nil, "PL": isNIP, "PT": isPortugueseNIF, "IE": nil, "DK": isDanishCVR, "FI": isFinnishVAT, "SE": isSwedishVAT, "GB": nil, "LU": isLuxembourgVAT, "SI": nil, "RO": nil, "CZ": nil, "SK": nil, "HU": nil, "EL": nil, "BG": nil, "EE": nil, "LT": nil, "LV": nil, "MT": nil, "CY": nil, "XI": nil,
}

func isBelgianVAT(d []byte) bool { return 97-decimal(d[:8])%97 == two(d, 8) }
func isDanishCVR(d []byte) bool  { return weigh(d, 2, 7, 6, 5, 4, 3, 2, 1)%11 == 0 }
func isFinnishVAT(d []byte) bool { return weigh(d, 7, 9, 10, 5, 8, 4, 2, 1)%11 == 0 }
func isSwedishVAT(d []byte) bool { return two(d, 10) > 0 && luhn(d[:10]) }
func isLuxembourgVAT(d []byte) bool {
	return decimal(d[:6])%89 == two(d, 6)
}
func isSpanishTax(c []byte) bool {
	for _, x := range c[1:8] {
		if !isDigit(x) {
			return false
		}
	}
	switch {
	case isDigit(c[0]):
		return isNIF(c)
	case c[0] >= 'X':
		return isNIE(c)
	}
	return isCIF(c)
}

// vatShapes are the shapes of VAT numbers after the country (Directive
// 2006/112/EC, as the VIES service lists them).
var vatShapes = map[string][]string{
	"AT": {"A99999999"}, "BE": {"9999999999"}, "BG": {"999999999", "9999999999"}, "CY": {"99999999A"},
	"CZ": {"99999999", "999999999", "9999999999"}, "DE": {"999999999"}, "DK": {"99999999"}, "EE": {"999999999"},
	"EL": {"999999999"}, "ES": {"X9999999X"}, "FI": {"99999999"}, "FR": {"XX999999999"}, "GB": {"999999999"},
	"HR": {"99999999999"}, "HU": {"99999999"}, "IE": {"9999999A", "9999999AA"}, "IT": {"99999999999"},
	"LT": {"999999999", "999999999999"}, "LU": {"99999999"}, "LV": {"99999999999"}, "MT": {"99999999"},
	"NL": {"999999999A99"}, "PL": {"9999999999"}, "PT": {"999999999"}, "RO": {"99999999"}, "SE": {"999999999999"},
	"SI": {"99999999"}, "SK": {"9999999999"}, "XI": {"999999999"},
}

// isVAT: a country, its shape, and its check.
func isVAT(c []byte) bool {
	country := string(c[:2])
	return slices.ContainsFunc(vatShapes[country], func(shape string) bool {
		if len(shape) != len(c)-2 {
			return false
		}
		for i, x := range c[2:] {
			if shape[i] == '9' && !isDigit(x) || shape[i] == 'A' && isDigit(x) {
				return false
			}
		}
		check := vatCheck[country]
		return check == nil || check(c[2:])
	})
}
