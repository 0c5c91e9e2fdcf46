package detect

// devices are numbers of devices, vehicles and places. Addresses of networks
// have code of their own (network.go).
var devices = []recogniser{
	{entity: IPAddress, what: "IPv4 or IPv6 address.", holds: "Parses as one (RFC 4291 for IPv6); no version numbers, no object identifiers.", size: 45,
		hints: "ip|ips|ip address|ipaddress|ipaddr|ip addr|ipv4|ipv6|remote addr|remoteaddr|client ip|clientip|source ip|src ip|host|hostname|addr|remote ip|x forwarded for|forwarded for|xff|gateway|server|peer|endpoint|from"},
	{entity: MACAddress, what: "Hardware address.", holds: "Six pairs of hexadecimal digits with : or - between them, or three groups of four with dots (IEEE 802).", size: 17,
		hints: "mac|mac address|macaddress|hwaddr|hw address|hardware address|ether|bssid|wifi mac|physical address"},
	{entity: MACAddress, lower: true, hints: "mac|mac address|macaddress", shapes: []shape{{"XXXX.XXXX.XXXX", 0.5}, {"XXXXXXXXXXXX", 0}}, check: isHexMAC},
	{entity: IMEI, what: "Mobile device identity (IMEI).", holds: "Reporting body and Luhn (3GPP TS 23.003); a field's name or a word says so.",
		hints:  "imei|imei number|device imei|imeisv|meid|imei1|imei2",
		shared: "device|device id|handset",
		shapes: []shape{{"999999999999999", 0.3}, {"99-999999-999999-9", 0.75}, {"99 999999 999999 9", 0.6}}, check: isIMEI, loose: 0.65},
	{entity: IMSI, what: "Mobile subscriber identity (IMSI).", holds: "A mobile country code (ITU-T E.212) after a field's name or words that say so.",
		hints:  "imsi|subscriber identity",
		shapes: []shape{{"999999999999999", 0}, {"99999999999999", 0}}, check: isIMSI},
	{entity: VIN, what: "Vehicle identification number.", holds: "No I, O, Q, and the check digit of 49 CFR 565; without the check only after a field's name or words that say so.",
		hints:  "vin|vehicle identification|vin number|chassis|chassis number|fahrgestellnummer|bastidor|numéro de châssis|vehicle vin|vin no|fin nummer|telaio|chassi",
		shared: "vehicle|vehicle id|car",
		shapes: []shape{{"XXXXXXXXXXXXXXXXX", 0.6}}, check: isVINAlone},
	{entity: VIN, hints: "vin|vehicle identification|vin number|chassis|chassis number|fahrgestellnummer|bastidor|vehicle id|vehicleid|vehicle vin|vehicle",
		shapes: []shape{{"XXXXXXXXXXXXXXXXX", 0}}, check: isVINShape},
	{entity: LicensePlate, what: "Vehicle's licence plate.", holds: "Four to ten letters and digits after a field's name or words that say so.",
		hints: "license plate|licence plate|licenseplate|licenceplate|number plate|numberplate|plate number|plate no|plate|plates|platenumber|kennzeichen|autokennzeichen|kfz kennzeichen|plaque|immatriculation|plaque d'immatriculation|matrícula|matricula|targa|placa|kenteken|vehicle reg|vehicle registration|reg plate|tablica rejestracyjna",
		open:  open{min: 4, max: 10, digits: 1, spaces: true, score: 0.7}},
	{entity: Coordinates, what: "Geographic coordinates.", holds: "A latitude and a longitude, with four decimals or more, after a field's name or words that say so.", size: 48,
		hints: "coordinates|coordinate|coords|gps|gps coordinates|latlng|lat lng|latlong|lat long|geolocation|geo location|geopoint|location coordinates|koordinaten|coordonnées|coordenadas|coordinate gps|latitude|longitude|located at|geo"},
}

// isHexMAC: hexadecimal digits, with letters and digits among them.
func isHexMAC(c []byte) bool {
	digits := 0
	for _, x := range c {
		if x > 'F' {
			return false
		}
		if isDigit(x) {
			digits++
		}
	}
	return digits > 0 && digits < 12
}

// isVINAlone is isVIN with what manufacturers do: the last four are digits.
func isVINAlone(c []byte) bool {
	for _, x := range c[13:] {
		if !isDigit(x) {
			return false
		}
	}
	return isVIN(c)
}
