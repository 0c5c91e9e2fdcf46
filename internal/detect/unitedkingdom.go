package detect

// unitedKingdom are the numbers of the United Kingdom and of Ireland.
var unitedKingdom = []recogniser{
	{entity: UKNHS, what: "UK NHS number.", holds: "Modulus 11 (NHS Data Dictionary). In one group only where a field's name or a word says so.",
		hints:  "nhs|nhs number|nhs no|nhsno|nhsnumber|national health|nhs id|chi number",
		shared: "patient|patient id|patient number|health number",
		shapes: []shape{{"999 999 9999", 0.55}, {"999-999-9999", 0.35}, {"9999999999", 0}}, check: isNHS, loose: 0.65},
	{entity: UKNINO, what: "UK national insurance number.", holds: "Prefixes that HMRC uses, and a letter A to D at the end.",
		hints:  "nino|national insurance|nationalinsurance|nationalinsurancenumber|national insurance number|ni number|ni no|insurance number ni",
		shared: "insurance|national id",
		shapes: []shape{{"AA 99 99 99 A", 0.9}, {"AA999999A", 0.7}, {"AA 999999 A", 0.8}, {"AA-99-99-99-A", 0.8}}, check: isNINO, loose: 0.6},
	{entity: UKUTR, what: "UK unique taxpayer reference.", holds: "Modulus 11 (HMRC); a field's name or a word says so.",
		hints:  "utr|unique taxpayer|taxpayer reference|utr number|self assessment",
		shared: "tax reference|tax id|taxid",
		shapes: []shape{{"9999999999", 0}, {"99999 99999", 0}}, check: isUTR},
	{entity: UKDriver, what: "UK driving licence number.", holds: "Name, date of birth and initials in their places (DVLA).",
		hints:  "driving licence|driver licence|dvla|licence number|driving license|driver number",
		shapes: []shape{{"XXXXX999999XX9AA", 0.75}, {"XXXXX 999999 XX9AA", 0.75}, {"XXXXX-999999-XX9AA", 0.75}}, check: isUKDriver},
	{entity: IEPPSN, what: "Irish personal public service number.", holds: "Modulus 23.",
		hints:  "pps|ppsn|pps number|pps no|personal public service",
		shapes: []shape{{"9999999A", 0.35}, {"9999999AA", 0.4}}, check: isPPSN, loose: 0.6},
	{entity: UKPostcode, what: "UK postcode.", holds: "Area, district and unit of the shape that Royal Mail uses.",
		hints:  "postcode|post code|zip|zip code|postal code|address|lives at|live at",
		shapes: []shape{{"A9 9AA", 0.5}, {"A99 9AA", 0.5}, {"AA9 9AA", 0.5}, {"AA99 9AA", 0.55}, {"A9A 9AA", 0.55}, {"AA9A 9AA", 0.55}, {"AA99AA", 0}, {"AA999AA", 0}}, check: isUKPostcode},
}

// isUKPostcode: letters that do not stand in a place are not there.
func isUKPostcode(c []byte) bool {
	for _, x := range c[len(c)-2:] {
		switch x {
		case 'C', 'I', 'K', 'M', 'O', 'V':
			return false
		}
	}
	switch c[0] {
	case 'Q', 'V', 'X':
		return false
	}
	return c[1] != 'I' && c[1] != 'J' && c[1] != 'Z'
}
