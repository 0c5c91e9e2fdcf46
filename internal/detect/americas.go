package detect

// americas are the numbers of the Americas but the United States.
var americas = []recogniser{
	{entity: BRCPF, what: "Brazilian person's tax number.", holds: "Two check digits (Receita Federal). In one group only where a field's name or a word says so.",
		hints:  "cpf|cpf number|numero cpf|cadastro de pessoa",
		shared: "documento|document|doc|document number|tax id|taxid|national id|contribuinte",
		shapes: []shape{{"999.999.999-99", 0.95}, {"999999999-99", 0.7}, {"99999999999", 0.3}}, check: isCPF, loose: 0.7},
	{entity: BRCNPJ, what: "Brazilian company's tax number.", holds: "Two check digits (Receita Federal).",
		hints:  "cnpj|cnpj number|cadastro nacional",
		shared: "empresa|company id|company|documento|document|tax id|taxid",
		shapes: []shape{{"99.999.999/9999-99", 0.95}, {"99999999/9999-99", 0.8}, {"99999999999999", 0.4}}, check: isCNPJ, loose: 0.7},
	{entity: CASIN, what: "Canadian social insurance number.", holds: "Luhn; no first digit 0 or 8 (Service Canada).",
		hints:  "sin|social insurance|socialinsurance|socialinsurancenumber|social insurance number|sin number|numéro d'assurance sociale|assurance sociale|canadian sin",
		shared: "tax id|taxid|social|insurance number|national id",
		shapes: []shape{{"999-999-999", 0.4}, {"999 999 999", 0.4}, {"999999999", 0}}, check: isSIN, loose: 0.65},
	{entity: MXCURP, what: "Mexican population registry code.", holds: "Date of birth, sex and check digit (RENAPO).",
		hints:  "curp",
		shapes: []shape{{"AAAA999999AAAAAAX9", 0.95}}, check: isCURP, loose: 0.7},
	{entity: MXRFC, what: "Mexican taxpayer number.", holds: "A date and a check character (SAT).",
		hints:  "rfc|registro federal",
		shared: "tax id|taxid",
		shapes: []shape{{"AAAA999999XXX", 0.6}, {"AAA999999XXX", 0.5}}, check: isRFC, loose: 0.7},
	{entity: ARCUIT, what: "Argentine tax number.", holds: "Prefix and check digit (AFIP).",
		hints:  "cuit|cuil|cdi|cuit cuil",
		shared: "documento|tax id|taxid",
		shapes: []shape{{"99-99999999-9", 0.85}, {"99999999999", 0.3}}, check: isCUIT, loose: 0.6},
	{entity: ARDNI, what: "Argentine or Peruvian identity number.", holds: "Seven or eight digits after a field's name or words that say so.",
		hints:  "dni|documento nacional",
		shapes: []shape{{"99.999.999", 0}, {"99999999", 0}, {"9999999", 0}, {"9.999.999", 0}}},
	{entity: CLRUT, what: "Chilean tax number.", holds: "Modulus 11 (Servicio de Impuestos Internos).",
		hints:  "rut|run|rol único|rol unico",
		shared: "documento|tax id|taxid",
		shapes: []shape{{"99.999.999-X", 0.85}, {"9.999.999-X", 0.85}, {"99999999-X", 0.55}, {"9999999-X", 0.4}, {"99999999X", 0}}, check: isRUTShape, loose: 0.6},
	{entity: COCedula, what: "Colombian identity number.", holds: "Six to ten digits after a field's name or words that say so.",
		hints: "cédula de ciudadanía|cedula de ciudadania|cédula ciudadanía|nit",
		open:  open{min: 6, max: 10, digits: 6, score: 0.7}},
}

// isRUTShape: digits, and a digit or K at the end.
func isRUTShape(c []byte) bool {
	last := c[len(c)-1]
	return (isDigit(last) || last == 'K') && isRUT(c)
}
