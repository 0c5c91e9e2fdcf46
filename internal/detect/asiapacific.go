package detect

// asiaPacific are the numbers of Asia but India, Oceania, the Middle East and
// Africa.
var asiaPacific = []recogniser{
	{entity: AUTFN, what: "Australian tax file number.", holds: "Modulus 11 (ATO); a field's name or a word says so.",
		hints:  "tfn|tax file|tax file number|taxfilenumber|taxfile|tfn number",
		shared: "tax id|taxid|tax number",
		shapes: []shape{{"999 999 999", 0.4}, {"999-999-999", 0.35}, {"999999999", 0}}, check: isTFN, loose: 0.65},
	{entity: AUABN, what: "Australian business number.", holds: "Modulus 89 (ABR).",
		hints:  "abn|business number|australian business|abn number",
		shared: "tax id|taxid",
		shapes: []shape{{"99 999 999 999", 0.65}, {"99999999999", 0.3}}, check: isABN, loose: 0.55},
	{entity: AUACN, what: "Australian company number.", holds: "Modulus 10 (ASIC); a field's name or a word says so.",
		hints:  "acn|company number|australian company",
		shapes: []shape{{"999 999 999", 0.35}, {"999999999", 0}}, check: isACN},
	{entity: AUMedicare, what: "Australian Medicare number.", holds: "First digit 2 to 6, modulus 10; a field's name or a word says so.",
		hints:  "medicare|medicare number|medicare card|medicare no",
		shapes: []shape{{"9999 99999 9", 0.55}, {"9999 99999 9-9", 0.7}, {"9999999999", 0}, {"99999999999", 0}, {"9999-99999-9", 0.55}}, check: isAUMedicare, loose: 0.55},
	{entity: NZIRD, what: "New Zealand tax number.", holds: "Modulus 11 (Inland Revenue); a field's name or a word says so.",
		hints:  "ird|ird number|inland revenue|ird no",
		shared: "tax id|taxid",
		shapes: []shape{{"99-999-999", 0.35}, {"999-999-999", 0.4}, {"99999999", 0}, {"999999999", 0}}, check: isIRD, loose: 0.55},
	{entity: SGNRIC, what: "Singapore NRIC or FIN.", holds: "Modulus 11 and the letter of its series.",
		hints:  "nric|fin|nric number|fin number|nric fin|nric no",
		shared: "national id|ic|ic number|identity card",
		shapes: []shape{{"A9999999A", 0.8}}, check: isNRIC, loose: 0.6},
	{entity: HKID, what: "Hong Kong identity card number.", holds: "Modulus 11.",
		hints:  "hkid|hong kong id|hkid number|身份證",
		shared: "identity card|national id|id card",
		shapes: []shape{{"A999999(X", 0.9}, {"AA999999(X", 0.9}, {"A999999X", 0.3}, {"AA999999X", 0.3}}, check: isHKID},
	{entity: CNID, what: "Chinese resident identity number.", holds: "Date of birth and ISO 7064 MOD 11-2 (GB 11643).",
		hints:  "身份证|身份证号|身份证号码|resident identity|chinese id|shenfenzheng|居民身份证",
		shared: "national id|id card|id number|identity",
		shapes: []shape{{"99999999999999999X", 0.9}}, check: isChineseID, loose: 0.6},
	{entity: TWID, what: "Taiwanese identity number.", holds: "Letter of a place, sex and check digit.",
		hints:  "身分證|身份證字號|taiwan id|身分證字號|national id taiwan",
		shared: "national id|id number|id card",
		shapes: []shape{{"A999999999", 0.55}}, check: isTaiwanID},
	{entity: KRRRN, what: "Korean resident registration number.", holds: "A date and, but in newer ones, a check digit.",
		hints:  "rrn|resident registration|주민등록번호|jumin|주민번호|resident registration number",
		shapes: []shape{{"999999-9999999", 0.9}, {"9999999999999", 0.4}}, check: isRRN},
	{entity: KRRRN, hints: "rrn|resident registration|주민등록번호|jumin|주민번호", shapes: []shape{{"999999-9999999", 0.55}, {"9999999999999", 0}}, check: isRRNDate},
	{entity: JPMyNumber, what: "Japanese individual number.", holds: "Check digit, modulus 11; a field's name or a word says so.",
		hints:  "my number|mynumber|マイナンバー|個人番号|individual number",
		shapes: []shape{{"999999999999", 0}, {"9999 9999 9999", 0.35}, {"9999-9999-9999", 0.35}}, check: isMyNumber, loose: 0.55},
	{entity: MYKad, what: "Malaysian identity card number.", holds: "A date and a place of birth.",
		hints:  "mykad|nric|ic number|ic no|no kad pengenalan|kad pengenalan|malaysian id",
		shared: "national id|identity card|ic",
		shapes: []shape{{"999999-99-9999", 0.7}, {"999999999999", 0}}, check: isMyKad},
	{entity: THID, what: "Thai identity number.", holds: "Modulus 11.",
		hints:  "เลขประจำตัวประชาชน|thai id|thai national id|บัตรประชาชน",
		shared: "national id|id card|citizen id|id number",
		shapes: []shape{{"9-9999-99999-99-9", 0.95}, {"9 9999 99999 99 9", 0.85}, {"9999999999999", 0.3}}, check: isThaiID},
	{entity: TRTCKN, what: "Turkish identity number.", holds: "Two check digits.",
		hints:  "tckn|tc kimlik|kimlik|kimlik no|t c kimlik|tc no|tc kimlik no|kimlik numarası",
		shared: "national id|id number|identity",
		shapes: []shape{{"99999999999", 0.4}}, check: isTCKN, loose: 0.55},
	{entity: ILID, what: "Israeli identity number.", holds: "Luhn over nine digits; a field's name or a word says so.",
		hints:  "teudat zehut|תעודת זהות|ת ז|israeli id|israel id|teudat",
		shared: "national id|id number",
		shapes: []shape{{"999999999", 0}, {"99999999-9", 0}}, check: isIsraeliID},
	{entity: ZAID, what: "South African identity number.", holds: "A date, citizenship and Luhn.",
		hints:  "south african id|rsa id|sa id|said|sa id number",
		shared: "national id|id number|identity number|identity",
		shapes: []shape{{"9999999999999", 0.5}, {"999999 9999 999", 0.75}, {"999999 9999 99 9", 0.75}}, check: isSouthAfricanID},
	{entity: NGNIN, what: "Nigerian identity number.", holds: "Eleven digits after a field's name or words that say so.",
		hints:  "nin|national identification number|nimc|bvn|nin number",
		shapes: []shape{{"99999999999", 0}}, check: anyDigits},
	{entity: AEID, what: "Emirates ID.", holds: "784, a year of birth and Luhn.",
		hints:  "emirates id|eid number|emirates identity|uae id",
		shared: "national id|id number",
		shapes: []shape{{"999-9999-9999999-9", 0.9}, {"999999999999999", 0.45}}, check: isEmiratesID},
	{entity: PHTIN, what: "Philippine tax number.", holds: "Nine or twelve digits in groups after a field's name or words that say so.",
		hints:  "tin|bir tin|philhealth|sss number|umid",
		shapes: []shape{{"999-999-999-999", 0}, {"999-999-999", 0}, {"99-9999999-9", 0}, {"99-999999999-9", 0}}},
	{entity: IDNIK, what: "Indonesian identity number.", holds: "A province and a date of birth; a field's name or a word says so.",
		hints:  "nik|ktp|nomor induk kependudukan|no ktp|nomor ktp",
		shapes: []shape{{"9999999999999999", 0}}, check: isNIK, loose: 0.55},
}

// isEmiratesID: 784, a year, Luhn.
func isEmiratesID(d []byte) bool {
	y := decimal(d[3:7])
	return string(d[:3]) == "784" && y >= 1900 && y <= 2100 && luhn(d)
}

// isNIK: a province, a date of birth with 40 more in a woman's day.
func isNIK(d []byte) bool {
	p, day := two(d, 0), two(d, 6)
	if day > 40 {
		day -= 40
	}
	return p >= 11 && p <= 97 && date(two(d, 8), day)
}
