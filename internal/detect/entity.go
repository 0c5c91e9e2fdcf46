package detect

import "slices"

// Entity is a kind of finding, named as Presidio names it where it does.
type Entity string

// The entities.
const (
	Email           Entity = "EMAIL_ADDRESS"
	Phone           Entity = "PHONE_NUMBER"
	Username        Entity = "USERNAME"
	Person          Entity = "PERSON"
	Location        Entity = "LOCATION"
	Organization    Entity = "ORGANIZATION"
	StreetAddress   Entity = "STREET_ADDRESS"
	ZIPCode         Entity = "ZIP_CODE"
	CreditCard      Entity = "CREDIT_CARD"
	CVV             Entity = "CVV"
	CardExpiry      Entity = "CARD_EXPIRY"
	PIN             Entity = "PIN"
	IBAN            Entity = "IBAN_CODE"
	BIC             Entity = "SWIFT_BIC"
	USBankNumber    Entity = "US_BANK_NUMBER"
	ABARouting      Entity = "ABA_ROUTING_NUMBER"
	UKSortCode      Entity = "UK_SORT_CODE"
	Crypto          Entity = "CRYPTO"
	USSSN           Entity = "US_SSN"
	USITIN          Entity = "US_ITIN"
	USEIN           Entity = "US_EIN"
	USNPI           Entity = "US_NPI"
	DEANumber       Entity = "DEA_NUMBER"
	USMBI           Entity = "US_MBI"
	USDriverLicense Entity = "US_DRIVER_LICENSE"
	Passport        Entity = "PASSPORT"
	MedicalRecord   Entity = "MEDICAL_RECORD_NUMBER"
	HealthInsurance Entity = "HEALTH_INSURANCE_ID"
	MedicalCode     Entity = "MEDICAL_CODE"
	TaxID           Entity = "TAX_ID"
	NationalID      Entity = "NATIONAL_ID"
	UKNHS           Entity = "UK_NHS"
	UKNINO          Entity = "UK_NINO"
	UKUTR           Entity = "UK_UTR"
	UKDriver        Entity = "UK_DRIVING_LICENCE"
	UKPostcode      Entity = "UK_POSTCODE"
	IEPPSN          Entity = "IE_PPSN"
	INAadhaar       Entity = "IN_AADHAAR"
	INPAN           Entity = "IN_PAN"
	INGSTIN         Entity = "IN_GSTIN"
	INVoter         Entity = "IN_VOTER"
	INPassport      Entity = "IN_PASSPORT"
	INVehicle       Entity = "IN_VEHICLE_REGISTRATION"
	BRCPF           Entity = "BR_CPF"
	BRCNPJ          Entity = "BR_CNPJ"
	CASIN           Entity = "CA_SIN"
	MXCURP          Entity = "MX_CURP"
	MXRFC           Entity = "MX_RFC"
	ARCUIT          Entity = "AR_CUIT"
	ARDNI           Entity = "AR_DNI"
	CLRUT           Entity = "CL_RUT"
	COCedula        Entity = "CO_CEDULA"
	DETaxID         Entity = "DE_TAX_ID"
	DESocial        Entity = "DE_SOCIAL_SECURITY"
	DEIDCard        Entity = "DE_ID_CARD"
	FRNIR           Entity = "FR_NIR"
	ESNIF           Entity = "ES_NIF"
	ESNIE           Entity = "ES_NIE"
	ESCIF           Entity = "ES_CIF"
	ITFiscalCode    Entity = "IT_FISCAL_CODE"
	ITVAT           Entity = "IT_VAT_CODE"
	ITIDCard        Entity = "IT_IDENTITY_CARD"
	NLBSN           Entity = "NL_BSN"
	BENN            Entity = "BE_NN"
	PLPESEL         Entity = "PL_PESEL"
	PLNIP           Entity = "PL_NIP"
	PTNIF           Entity = "PT_NIF"
	SEPersonnummer  Entity = "SE_PERSONNUMMER"
	FIHetu          Entity = "FI_PERSONAL_IDENTITY_CODE"
	DKCPR           Entity = "DK_CPR"
	NOFodselsnummer Entity = "NO_FODSELSNUMMER"
	CHAHV           Entity = "CH_AHV"
	ATSVNR          Entity = "AT_SVNR"
	CZRC            Entity = "CZ_BIRTH_NUMBER"
	ROCNP           Entity = "RO_CNP"
	BGEGN           Entity = "BG_EGN"
	HROIB           Entity = "HR_OIB"
	GRAMKA          Entity = "GR_AMKA"
	EUVAT           Entity = "EU_VAT"
	AUTFN           Entity = "AU_TFN"
	AUABN           Entity = "AU_ABN"
	AUACN           Entity = "AU_ACN"
	AUMedicare      Entity = "AU_MEDICARE"
	NZIRD           Entity = "NZ_IRD"
	SGNRIC          Entity = "SG_NRIC_FIN"
	HKID            Entity = "HK_HKID"
	CNID            Entity = "CN_RESIDENT_ID"
	TWID            Entity = "TW_ID"
	KRRRN           Entity = "KR_RRN"
	JPMyNumber      Entity = "JP_MY_NUMBER"
	MYKad           Entity = "MY_MYKAD"
	THID            Entity = "TH_TNIN"
	TRTCKN          Entity = "TR_TCKN"
	ILID            Entity = "IL_ID"
	ZAID            Entity = "ZA_ID"
	NGNIN           Entity = "NG_NIN"
	AEID            Entity = "AE_EMIRATES_ID"
	PHTIN           Entity = "PH_TIN"
	IDNIK           Entity = "ID_NIK"
	IPAddress       Entity = "IP_ADDRESS"
	MACAddress      Entity = "MAC_ADDRESS"
	IMEI            Entity = "IMEI"
	IMSI            Entity = "IMSI"
	VIN             Entity = "VIN"
	LicensePlate    Entity = "LICENSE_PLATE"
	Coordinates     Entity = "COORDINATES"
	DateOfBirth     Entity = "DATE_OF_BIRTH"
	Age             Entity = "AGE"
	NRP             Entity = "NRP"
	Title           Entity = "TITLE"
	JWT             Entity = "JWT"
	PrivateKey      Entity = "PRIVATE_KEY"
	APIKey          Entity = "API_KEY"
	Password        Entity = "PASSWORD"
)

// families are all recognisers, in the order of the reference. Where two
// findings are equal otherwise, the earlier one stays.
func families() [][]recogniser {
	return [][]recogniser{contact, people, finance, unitedStates, unitedKingdom, india, americas, europe, asiaPacific, devices, personal, secrets}
}

// Info describes an entity.
type Info struct {
	Entity Entity
	// Description says what it is, Validation what has to hold for a finding.
	Description, Validation string
	// MaxBytes is the longest finding, in bytes.
	MaxBytes int
}

// Entities lists what can be found.
func Entities() []Info { return slices.Clone(entities) }

var entities = func() []Info {
	var out []Info
	for _, family := range families() {
		for i := range family {
			r := &family[i]
			k := slices.IndexFunc(out, func(o Info) bool { return o.Entity == r.entity })
			if k < 0 {
				k = len(out)
				out = append(out, Info{Entity: r.entity, Description: r.what, Validation: r.holds})
			}
			size := max(r.size, r.open.max)
			for _, sh := range r.shapes {
				// Where a hint is there, other separators than the shape's
				// may stand between its characters.
				size = max(size, sh.chars()*2-1)
			}
			out[k].MaxBytes = max(out[k].MaxBytes, size)
		}
	}
	return out
}()

// Finding is a piece of text that was found.
type Finding struct {
	// Start and End are byte offsets in the text; End is exclusive.
	Start, End int
	Entity     Entity
	// Score is 0 to 1.
	Score float64
}

// Context is what is known of a text beside itself.
type Context struct {
	// Key is the name of the field that the text is in, or "".
	Key string
	// Before is text that stood directly before; 256 bytes are enough.
	Before []byte
	// Table remembers the columns of a table from one piece of a text to the
	// next. It may be nil: a table is then known as one only in a text that is
	// shown whole.
	Table *Table
	// Name says that the text is itself the name of a field: no people or
	// places are looked for in it.
	Name bool
	// Memory remembers the people found in a document. It may be nil.
	Memory *Memory
}

// Options configure a Scanner. The zero value finds everything.
type Options struct {
	// Entities to find; all where empty.
	Entities []Entity
	// MinScore is the lowest score of a finding; 0.5 where 0.
	MinScore float64
	// PhoneRegions are the regions (ISO 3166-1) whose number plans are tried
	// for telephone numbers without a country code; a wide choice where empty.
	PhoneRegions []string
	// Custom are recognisers beside those of this package.
	Custom []*Custom
	// NameBias is for or against names, -1 to 1: at 1 names are found that are
	// doubtful, at -1 only those that are beyond doubt.
	NameBias float64
}
