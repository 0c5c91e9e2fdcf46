package detect

// india are the numbers of India.
var india = []recogniser{
	{entity: INAadhaar, what: "Indian Aadhaar number.", holds: "Verhoeff, first digit 2 to 9 (UIDAI). In one group only where a field's name or a word says so.",
		hints:  "aadhaar|aadhar|adhaar|adhar|aadhaar number|aadhaar no|uidai|aadhaarnumber|aadharnumber|आधार",
		shared: "uid|national id|id number|identity",
		shapes: []shape{{"9999 9999 9999", 0.65}, {"9999-9999-9999", 0.55}, {"999999999999", 0}}, check: isAadhaar, loose: 0.65},
	{entity: INPAN, what: "Indian permanent account number.", holds: "Shape, and the letter of the holder's kind (Income Tax Department).",
		hints:  "pan|pan card|pancard|pan number|pan no|permanent account|pannumber",
		shared: "tax id|taxid",
		shapes: []shape{{"AAAAA9999A", 0.7}}, check: isPAN, loose: 0.6},
	{entity: INGSTIN, what: "Indian goods and services tax number.", holds: "State, PAN and check character.",
		hints:  "gst|gstin|gst number|gst no|gstn",
		shapes: []shape{{"99AAAAA9999AXAX", 0.95}}, check: isGSTIN},
	{entity: INVoter, what: "Indian voter's number (EPIC).", holds: "Three letters and seven digits after a field's name or words that say so.",
		hints:  "voter|voter id|voterid|epic|epic number|election card|voter card|epic no|voter number",
		shapes: []shape{{"AAA9999999", 0}}, check: isEPIC, loose: 0.8},
	{entity: INPassport, what: "Indian passport number.", holds: "A letter and seven digits after words that name an Indian passport.",
		hints:  "indian passport|passport india",
		shapes: []shape{{"A9999999", 0}, {"A9 99999", 0}}},
	{entity: INVehicle, what: "Indian vehicle registration.", holds: "State, district, series and number; a field's name or a word says so.",
		hints:  "vehicle registration|vehicle number|registration number|rc number",
		shapes: []shape{{"AA99AA9999", 0}, {"AA 99 AA 9999", 0.55}, {"AA-99-AA-9999", 0.55}, {"AA99A9999", 0}}},
}
