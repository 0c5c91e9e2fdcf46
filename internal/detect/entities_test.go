package detect_test

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/internal/detect"
)

// cases are for each entity texts that it is found in, and texts that come
// near and hold none of it. A ~ stands between a field's name and its value.
var cases = []struct {
	entity detect.Entity
	yes    []string // text, with what is found in [ ]
	no     []string
}{
	{"EMAIL_ADDRESS", []string{"to [a.b+c@mail.example.com].", `{"m":"x\n[joe@example.org]"}`}, []string{"@handle", "a@b", "a@b.c1"}},
	{"PHONE_NUMBER", []string{"call [+1 202 555 0143]", "[(202) 555-0143 x16]", "mobile~[030 90182820]", "Meine Nummer ist [0151 23456789].", "[+44 (0)20 7946 0958]", "tel=[5550143]", "[74 831 591] office"}, []string{"order 2025550143", "2024-01-15", "12 500 000", "1700000000", "range 207-44-9387", "id~2025550143"}},
	{"USERNAME", []string{"username~[jdoe42]", "login=[j.doe]", "ftp://[joe]:pw12345@example.com"}, []string{"username~null", "username: required", "user name is nice"}},
	{"PERSON", []string{"customerName~[Halvorsen, Ingrid]", "my name is [kofi mensah] and i am late", "Kind regards,\n[Ingrid Halvorsen]", "user='[Pieter van der Merwe]' action=login", `{"author": "[José María Peña]"}`}, []string{"product~Florence candle holder", "status~active", "on Monday, April 14", "the Markov chain converges", "model~llama-3.1-70b"}},
	{"LOCATION", []string{"city~[Rose]", "They moved from [Trondheim] to Rome.", "country: [Kenya]"}, []string{"product~Florence candle holder", "region~eu-west-1", "version 4.2 of the client", "status~active"}},
	{"ORGANIZATION", []string{"employer~[Volta Foods Ltd]", "She works for [Deutsche Bank] now."}, []string{"status~active", "on Monday, April 14"}},
	{"STREET_ADDRESS", []string{"streetAddress~[12 Main St]", "Address: [Hauptstr. 5, Berlin]"}, []string{"ipAddress~10 or so", "address~0x12", "emailAddress~no mail here 5"}},
	{"ZIP_CODE", []string{"zip~[94107]", "postalCode~[K1A 0B1]", "PLZ: [10115]"}, []string{"zip~file.zip", "code~94107"}},
	{"CREDIT_CARD", []string{"[4111 1111 1111 1111]", "card_number~[4111111111111111]", "[3782 822463 10005]"}, []string{"4111 1111 1111 1112", "order 4111111111111111", "0.4111111111111111"}},
	{"CVV", []string{"cvv~[123]", "CVC: [1234]"}, []string{"123", "amount~123"}},
	{"CARD_EXPIRY", []string{"exp~[01/29]", "expiry: [12/2027]"}, []string{"01/29", "exp~13/29", "ratio~01/29"}},
	{"PIN", []string{"pin~[4711]", "the PIN is [4711]"}, []string{"4711", "pin~12"}},
	{"IBAN_CODE", []string{"[DE89370400440532013000]", "[GB29 NWBK 6016 1331 9268 19]"}, []string{"DE88370400440532013000", "DE893704004405320130001"}},
	{"SWIFT_BIC", []string{"bic~[DEUTDEFF]", "SWIFT: [DEUTDEFF500]"}, []string{"DEUTDEFF", "bic~ABCDEFGH1"}},
	{"US_BANK_NUMBER", []string{"account number [3847283911]", "accountNumber~[000123456789]"}, []string{"3847283911", "account~ok"}},
	{"ABA_ROUTING_NUMBER", []string{"routing number [021000021]", "aba~[021000021]"}, []string{"021000021", "routing~12"}},
	{"UK_SORT_CODE", []string{"sort code [12-34-56]", "sortCode~[123456]"}, []string{"12-34-56", "123456"}},
	{"CRYPTO", []string{"[1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa]", "[bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq]", "[0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed]"}, []string{"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdr", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed", "d41d8cd98f00b204e9800998ecf8427e"}},
	{"US_SSN", []string{"[078-05-1120]", "SSN [078051120]", "ssn~[078 05 1120]"}, []string{"078051120", "000-12-3456", "666-12-3456", "order 078-05-1120-9"}},
	{"US_ITIN", []string{"[912-70-1234]", "itin~[912701234]"}, []string{"912-69-1234", "912701234"}},
	{"US_EIN", []string{"EIN [12-3456789]"}, []string{"12-3456789", "EIN 00-3456789"}},
	{"US_NPI", []string{"npi~[1234567893]", "NPI [1234567893]"}, []string{"1234567893", "npi~12345"}},
	{"DEA_NUMBER", []string{"DEA [AB1234563]", "dea_number~[AB1234563]"}, []string{"AB1234563", "sku~AB1234563"}},
	{"US_MBI", []string{"[1EG4-TE5-MK73]", "medicare number [1EG4TE5MK73]"}, []string{"1SG4-TE5-MK73", "1EG4TE5MK73"}},
	{"US_DRIVER_LICENSE", []string{"driver's license [D2459381]", "license number [D245-938-19-203]"}, []string{"D2459381", "license~MIT"}},
	{"PASSPORT", []string{"passport [XG9382049]", "passportNo~[915283644]"}, []string{"XG9382049", "passport~required"}},
	{"MEDICAL_RECORD_NUMBER", []string{"MRN [00482913]", "patient ID [AHC-0933289]"}, []string{"00482913", "patient~yes"}},
	{"HEALTH_INSURANCE_ID", []string{"insurance policy #[88291-LK]", "memberId~[XEH123456789]"}, []string{"88291-LK"}},
	{"MEDICAL_CODE", []string{"ICD-10 code [E11.9]", "diagnosis_code~[J45]"}, []string{"E11.9", "J45"}},
	{"TAX_ID", []string{"steuernummer~[93815/08152]"}, []string{"93815/08152"}},
	{"NATIONAL_ID", []string{"national_id~[AB1234567]", "cédula [1712345678]"}, []string{"AB1234567"}},
	{"UK_NHS", []string{"NHS number [943 476 5919]", "nhsNo~[9434765919]"}, []string{"9434765919", "943 476 5918"}},
	{"UK_NINO", []string{"[AB 12 34 56 C]", "nino~[AB123456C]"}, []string{"BG 12 34 56 C", "AB 12 34 56 E"}},
	{"UK_UTR", []string{"UTR [1955839661]"}, []string{"1955839661", "UTR 2955839661"}},
	{"UK_DRIVING_LICENCE", []string{"[MORGA657054SM9IJ]"}, []string{"MORGA697054SM9IJ"}},
	{"UK_POSTCODE", []string{"lives at [SW1A 1AA]"}, []string{"A1 2CK"}},
	{"IE_PPSN", []string{"PPS number [1234567T]"}, []string{"1234567T"}},
	{"IN_AADHAAR", []string{"Aadhaar [234123412346]", "[2341 2341 2346]"}, []string{"234123412346", "2341 2341 2347"}},
	{"IN_PAN", []string{"[ABCPE1234F]"}, []string{"ABCDE1234F", "abcpe1234f"}},
	{"IN_GSTIN", []string{"[27AAPFU0939F1ZV]"}, []string{"27AAPFU0939F1ZW"}},
	{"IN_VOTER", []string{"voter id [WKH1186253]"}, []string{"WKH1186253"}},
	{"IN_PASSPORT", []string{"Indian passport [A1234567]"}, []string{"A1234567"}},
	{"IN_VEHICLE_REGISTRATION", []string{"[MH 12 AB 1234]", "vehicle number [MH12AB1234]"}, []string{"MH12AB1234"}},
	{"BR_CPF", []string{"[111.444.777-35]", "CPF [11144477735]"}, []string{"11144477735", "111.444.777-36"}},
	{"BR_CNPJ", []string{"[11.222.333/0001-81]", "cnpj~[11222333000181]"}, []string{"11.222.333/0001-82"}},
	{"CA_SIN", []string{"SIN [046 454 286]", "socialInsuranceNumber~[193456787]"}, []string{"193456787"}},
	{"MX_CURP", []string{"[BOXW310820HNERXN09]"}, []string{"BOXW310820HNERXN08"}},
	{"MX_RFC", []string{"RFC [GODE561231GR8]"}, []string{"GODE561331GR8"}},
	{"AR_CUIT", []string{"[20-05536168-2]"}, []string{"20-05536168-3"}},
	{"AR_DNI", []string{"DNI [12.345.678]"}, []string{"12.345.678"}},
	{"CL_RUT", []string{"[12.531.909-2]"}, []string{"12.531.909-3"}},
	{"CO_CEDULA", []string{"cédula de ciudadanía [1020304050]"}, []string{"1020304050"}},
	{"DE_TAX_ID", []string{"[36 574 261 809]", "Steuer-ID [36574261809]"}, []string{"36574261809", "36 574 261 890"}},
	{"DE_SOCIAL_SECURITY", []string{"[15 070649 C 103]", "Rentenversicherungsnummer [15070649C103]"}, []string{"15 070649 C 104"}},
	{"DE_ID_CARD", []string{"Personalausweis [T220001293]"}, []string{"T220001293"}},
	{"FR_NIR", []string{"[2 95 10 99 126 111 93]", "NIR [295109912611193]"}, []string{"2 95 10 99 126 111 92"}},
	{"ES_NIF", []string{"[54362315K]", "DNI [54362315-K]"}, []string{"54362315Z"}},
	{"ES_NIE", []string{"[X2482300W]"}, []string{"X2482300A"}},
	{"ES_CIF", []string{"CIF [A13585625]"}, []string{"A13585625"}},
	{"IT_FISCAL_CODE", []string{"[RCCMNL83S18D969H]"}, []string{"RCCMNL83S18D969I"}},
	{"IT_VAT_CODE", []string{"partita IVA [00743110157]"}, []string{"00743110157"}},
	{"IT_IDENTITY_CARD", []string{"carta d'identità [CA12345AA]"}, []string{"CA12345AA"}},
	{"NL_BSN", []string{"BSN [111222333]"}, []string{"111222333"}},
	{"BE_NN", []string{"[85.07.30-033.28]"}, []string{"85.07.30-033.29"}},
	{"PL_PESEL", []string{"PESEL [44051401359]"}, []string{"44051401359", "44051401358"}},
	{"PL_NIP", []string{"NIP [8567346215]", "[856-734-62-15]"}, []string{"8567346215"}},
	{"PT_NIF", []string{"contribuinte [501964843]"}, []string{"501964843"}},
	{"SE_PERSONNUMMER", []string{"[880320-0016]", "personnummer [8803200016]"}, []string{"880320-0018", "8803200016"}},
	{"FI_PERSONAL_IDENTITY_CODE", []string{"[131052-308T]", "[131052A308T]"}, []string{"131052-308U"}},
	{"DK_CPR", []string{"CPR [211062-5629]"}, []string{"211062-5629"}},
	{"NO_FODSELSNUMMER", []string{"fødselsnummer [15108695088]"}, []string{"15108695089"}},
	{"CH_AHV", []string{"[756.9217.0769.85]"}, []string{"756.9217.0769.84"}},
	{"AT_SVNR", []string{"SVNR [1237 010180]"}, []string{"1237 010180"}},
	{"CZ_BIRTH_NUMBER", []string{"[710319/2745]"}, []string{"710319/2746"}},
	{"RO_CNP", []string{"CNP [1630615123457]"}, []string{"1630615123457"}},
	{"BG_EGN", []string{"ЕГН [7523169263]"}, []string{"7523169263"}},
	{"HR_OIB", []string{"OIB [33392005961]"}, []string{"33392005961"}},
	{"GR_AMKA", []string{"AMKA [01013099997]"}, []string{"01013099997"}},
	{"EU_VAT", []string{"VAT number [DE136695976]", "[NL123456789B01]"}, []string{"DE136695977"}},
	{"AU_TFN", []string{"TFN [123 456 782]", "tax_file_number~[123456782]"}, []string{"123456782"}},
	{"AU_ABN", []string{"[83 914 571 673]"}, []string{"83 914 571 674"}},
	{"AU_ACN", []string{"ACN [004 085 616]"}, []string{"004 085 616"}},
	{"AU_MEDICARE", []string{"Medicare [2123 45670 1]"}, []string{"1123 45670 1"}},
	{"NZ_IRD", []string{"IRD [49-091-850]"}, []string{"49-091-850"}},
	{"SG_NRIC_FIN", []string{"[S1234567D]"}, []string{"S1234567E"}},
	{"HK_HKID", []string{"[A123456(3)]", "HKID [A1234563]"}, []string{"A123456(4)"}},
	{"CN_RESIDENT_ID", []string{"[11010519491231002X]", "身份证号:[11010519491231002X]"}, []string{"110105194912310021"}},
	{"TW_ID", []string{"[A123456789]"}, []string{"A123456788"}},
	{"KR_RRN", []string{"[971013-9019902]"}, []string{"971313-9019902"}},
	{"JP_MY_NUMBER", []string{"My Number [123456789018]"}, []string{"123456789018"}},
	{"MY_MYKAD", []string{"[770305-02-1234]"}, []string{"771305-02-1234"}},
	{"TH_TNIN", []string{"[1-2345-45678-78-1]"}, []string{"1-2345-45678-78-2"}},
	{"TR_TCKN", []string{"TC Kimlik No [17291716060]"}, []string{"17291716060"}},
	{"IL_ID", []string{"teudat zehut [039337423]"}, []string{"039337423"}},
	{"ZA_ID", []string{"SA ID [7503305044089]"}, []string{"7503305044088"}},
	{"NG_NIN", []string{"NIN [12345678901]"}, []string{"12345678901"}},
	{"AE_EMIRATES_ID", []string{"[784-1980-1234567-8]"}, []string{"784-1980-1234567-5"}},
	{"PH_TIN", []string{"BIR TIN [123-456-789-000]"}, []string{"123-456-789-000"}},
	{"ID_NIK", []string{"NIK [3171011708450001]"}, []string{"3171011708450001"}},
	{"IP_ADDRESS", []string{"from [192.0.2.44]:80", "[2001:db8::8a2e:370:7334]"}, []string{"version 1.2.3.4", "1.3.6.1.4.1", "256.1.1.1", "Chrome/129.0.0.0", "10:30:45"}},
	{"MAC_ADDRESS", []string{"[00:1B:44:11:3A:B7]", "[00-1b-44-11-3a-b8]", "[001b.4411.3ab7]"}, []string{"00:1B:44:11:3A", "00:1B-44:11:3A:B7", "001b44113ab7"}},
	{"IMEI", []string{"IMEI [490154203237518]"}, []string{"490154203237518"}},
	{"IMSI", []string{"imsi~[310150123456789]"}, []string{"310150123456789"}},
	{"VIN", []string{"[1M8GDM9AXKP042788]", "vin~[JVE9UBH88SE1L5591]"}, []string{"1M8GDM9A1KP042788", "JVE9UBH87SE1L5591"}},
	{"LICENSE_PLATE", []string{"license plate [7ABC123]", "Kennzeichen: [B-MW 1234]"}, []string{"7ABC123", "plate~blue"}},
	{"COORDINATES", []string{"GPS [52.5200, 13.4050]", "coordinates: [-33.86785, 151.20732]"}, []string{"52.5200, 13.4050", "price 52.5200"}},
	{"DATE_OF_BIRTH", []string{"dob~[1990-01-31]", "born on [March 3, 1990]", "geboren am [3. März 1990]", "date of birth: [03/31/1990]", "birthDate~[22 Mar 1991]"}, []string{"1990-01-31", "born in 1990", "dob~unknown", "created 1990-01-31"}},
	{"AGE", []string{"age~[45]", "a [45]-year-old man", "aged [45]"}, []string{"45", "45 years", "page 45"}},
	{"NRP", []string{"nationality~[German]", "Religion: [Buddhist]"}, []string{"germane to it", "nationality~12"}},
	{"TITLE", []string{"salutation~[Dr.]"}, []string{"title~The Great Gatsby"}},
	{"JWT", []string{"Bearer [" + jwt + "]"}, []string{"eyJhIjoxfQ.eyJhIjoxfQ.abc"}},
	{"PRIVATE_KEY", []string{"[" + pem + "]"}, []string{"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"}},
	{"API_KEY", []string{"key [ghp_0a1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r]", "[AKIA2E0A8F3B244C9986]", `api_key~[Zx81kQ9mP2vLtR7w]`, `set("API_TOKEN", "[Zx81kQ9mP2vLtR7w]")`, "login --token [Zx81kQ9mP2vLtR7w]", "Authorization: Bearer [Zx81kQ9mP2vLtR7w]", "[SG.abcdefGHIJ0123456789AB.abcdefGHIJ0123456789abcdefGHIJ0123456789abc]"}, []string{"ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "max_tokens~4096", "token_type~bearer", "d41d8cd98f00b204e9800998ecf8427e", "api_key~${API_KEY}", "AKIAIOSFODNN7EXAMPLE"}},
	{"PASSWORD", []string{"password=[hunter2]", "password~[correct]", "postgres://app:[hunter2]@db.example.com", "with password [Qr7!dke#39].", "curl -u joe:[s3cr3t99] https://x.example"}, []string{"password: required", "password~********", "password=$PASSWORD", "forgot password in 2024", "password~null"}},
}

// TestEntities: each entity is found where it is, and not where something only
// looks like it; and how a text is cut makes no difference.
func TestEntities(t *testing.T) {
	s := scanner(t, detect.Options{})
	tested := map[detect.Entity]bool{}
	for _, c := range cases {
		tested[c.entity] = true
		t.Run(string(c.entity), func(t *testing.T) {
			if len(c.yes) == 0 || len(c.no) == 0 {
				t.Error("there are not both true and near-miss cases")
			}
			for _, marked := range c.yes {
				key, text := split(marked)
				open, end := strings.IndexByte(text, '['), strings.LastIndexByte(text, ']')
				want := string(c.entity) + ":" + text[open+1:end]
				text = text[:open] + text[open+1:end] + text[end+1:]
				if got := found(s, key, text); !slices.Contains(got, want) {
					t.Errorf("%q: got %q, want %q", marked, got, want)
				}
				cutEverywhere(t, s, key, text)
			}
			for _, near := range c.no {
				key, text := split(near)
				for _, f := range found(s, key, text) {
					if strings.HasPrefix(f, string(c.entity)+":") {
						t.Errorf("%q: got %q", near, f)
					}
				}
				cutEverywhere(t, s, key, text)
			}
		})
	}
	for _, i := range detect.Entities() {
		if !tested[i.Entity] {
			t.Errorf("%s has no cases", i.Entity)
		}
		if i.Description == "" || i.Validation == "" || i.MaxBytes == 0 {
			t.Errorf("%s: its row in the reference is not complete: %+v", i.Entity, i)
		}
	}
}

func split(c string) (key, text string) {
	if k, v, ok := strings.Cut(c, "~"); ok && !strings.ContainsAny(k, " \"") {
		return k, v
	}
	return "", c
}

func cutEverywhere(t *testing.T, s *detect.Scanner, key, text string) {
	t.Helper()
	want := found(s, key, text)
	for at := range len(text) {
		if got := inPieces(s, key, []byte(text[:at]), []byte(text[at:])); !slices.Equal(got, want) {
			t.Errorf("%q, cut at %d: got %q, want %q", text, at, got, want)
			return
		}
	}
}

// TestNumbersUnderTheirNames: each valid number of testdata/vectors.tsv is
// found in a field with its entity's usual name, as JSON, as a log line, as a
// table and in a sentence.
func TestNumbersUnderTheirNames(t *testing.T) {
	names := map[string]string{
		"US_EIN": "ein", "US_ITIN": "itin", "ABA_ROUTING_NUMBER": "routing_number", "US_SSN": "ssn", "UK_NHS": "nhs_number", "UK_UTR": "utr", "IE_PPSN": "ppsn",
		"IN_AADHAAR": "aadhaar", "IN_PAN": "panCard", "IN_VOTER": "voterId", "IN_GSTIN": "gstin", "BR_CPF": "cpf", "BR_CNPJ": "cnpj", "CA_SIN": "sin", "AR_CUIT": "cuit", "CL_RUT": "rut",
		"MX_CURP": "curp", "MX_RFC": "rfc", "DE_TAX_ID": "steuerId", "FR_NIR": "nir", "ES_NIF": "nif", "ES_NIE": "nie", "ES_CIF": "cif", "IT_VAT_CODE": "partita_iva", "NL_BSN": "bsn", "BE_NN": "rijksregisternummer",
		"PL_PESEL": "pesel", "PL_NIP": "nip", "PT_NIF": "contribuinte", "SE_PERSONNUMMER": "personnummer", "FI_PERSONAL_IDENTITY_CODE": "hetu", "NO_FODSELSNUMMER": "fodselsnummer", "CH_AHV": "ahv", "AT_SVNR": "svnr",
		"CZ_BIRTH_NUMBER": "rodne_cislo", "RO_CNP": "cnp", "BG_EGN": "egn", "HR_OIB": "oib", "GR_AMKA": "amka", "AU_TFN": "tfn", "AU_ABN": "abn", "AU_ACN": "acn", "NZ_IRD": "ird_number", "CN_RESIDENT_ID": "resident_identity",
		"KR_RRN": "rrn", "MY_MYKAD": "mykad", "TH_TNIN": "thai_id", "TR_TCKN": "tckn", "IL_ID": "teudat_zehut", "ZA_ID": "sa_id", "IMEI": "imei", "IT_FISCAL_CODE": "codice_fiscale",
	}
	f, err := os.Open("testdata/vectors.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := scanner(t, detect.Options{})
	lines := bufio.NewScanner(f)
	n := 0
	for lines.Scan() {
		v := strings.Split(lines.Text(), "\t")
		if v[2] != "1" {
			continue
		}
		name, number := names[v[0]], v[1]
		if name == "" {
			t.Fatalf("%s has no name here", v[0])
		}
		n++
		if v[0] == "FI_PERSONAL_IDENTITY_CODE" {
			number = number[:6] + "-" + number[6:] // it is never written without
		}
		want := v[0] + ":" + number
		for _, c := range []struct{ key, text string }{
			{name, number},
			{"", `{"a":1,"` + name + `":"` + number + `","b":2}`},
			{"", `{\"a\":1,\"` + name + `\": \"` + number + `\"}`},
			{"", "level=info " + name + "=" + number + " took=12ms"},
			{"", "id;" + name + ";amount\n1;" + number + ";12.50\n"},
			{"", "his " + strings.ReplaceAll(name, "_", " ") + " is " + number + ", he says"},
		} {
			if got := found(s, c.key, c.text); !slices.Contains(got, want) {
				t.Errorf("%s %q: got %q", v[0], c.text, got)
			}
		}
	}
	if n < 1000 {
		t.Errorf("only %d numbers", n)
	}
}

// TestNothing: what services send all day is no finding.
func TestNothing(t *testing.T) {
	s := scanner(t, detect.Options{})
	for _, text := range []string{
		`{"order_id":"584472055927","seq":"300512354","sku":"GWO-93418","ean":"3854454726033","isbn":"978-4-6777-3566-5","amount_cents":5937714}`,
		`{"trace":"9b369b2c68aea3aaf8c53bfd4b8a79c6","request_id":"eae0ded5-0b61-48f8-9fd5-074a2403d5b8","commit":"97ba0509b685c0be17cdb2d7c992a2f6315b184b"}`,
		`{"version":"8.5.82.65","build":"2024.9.26-1409","range":"362-75-938","ratio":"1/30/4","points":[[74.56704,-85.79316],[24.24968,38.93749]]}`,
		`{"ts":1634602977968,"epoch":1738646302,"created_at":"2026-08-07T15:16:00Z","price":9988.09,"color":"#73360c"}`,
		`{"model":"gpt-4o-2024-08-06","max_tokens":4096,"usage":{"prompt_tokens":1200,"total_tokens":1234},"next_page_token":"abc"}`,
		`{"etag":"sha256:b395a90aa4206b7f52c589ef815535b80a6976c1489eb45b3020fe69be2b71e2","host":"api-7f9c.prod.internal","status":"shipped"}`,
		"Order 9418718466642084 was placed at 2024-03-01T17:31:04Z for $2,621.16, tracking 1ZX6SMIF8J4W3YMBCI",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/129.0.0.0 Safari/537.36",
		"2026-01-02 10:30:45.123 INFO [main] c.e.Service - took 123456789 ns, 987654321 bytes, 12 345 678 rows",
		"GET /v1/users/603254/orders/956233605?limit=100&offset=2000 HTTP/1.1",
	} {
		if got := found(s, "", text); len(got) > 0 {
			t.Errorf("%q: got %q", text, got)
		}
	}
}
