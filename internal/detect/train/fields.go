package main

import (
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/sluice-proxy/sluice/internal/detect/names"
)

// fieldKind is what the value of a field is, and what the field may be called.
type fieldKind struct {
	names  string // words of the name between spaces; | parts alternatives
	of     string // what may stand before it, or ""
	weight int
	value  func(w *writer)
}

const (
	people = "customer user patient employee contact client author owner sender recipient buyer seller member student teacher manager doctor assignee reporter driver passenger guest tenant landlord cardholder account_holder beneficiary applicant candidate subscriber reviewer approver creator signer witness agent billing shipping primary emergency_contact next_of_kin parent spouse insured payer payee donor speaker host attendee participant player artist director lead"
	spots  = "billing shipping home work delivery mailing office permanent current registered pickup dropoff return birth customer user company store venue sender recipient"
	firms  = "customer client vendor supplier employer billing shipping current partner parent issuing receiving"
	wares  = "product item sku plugin package service model device event project task ticket issue job campaign feature module component build pipeline category plan course song album movie book page article template queue topic metric error file"
)

var fieldKinds = []fieldKind{
	{"name|full name|fullname|display name|real name|legal name", people, 20, func(w *writer) { w.slot("per") }},
	{"full name|contact name|contact|recipient|sender|author|customer|patient|employee|assignee|owner|manager|doctor|attending physician|physician|cardholder|name on card|card holder|account holder|holder|beneficiary|payee|payer|signed by|created by|updated by|approved by|requested by|reported by|submitted by|reviewer|approver|witness|guardian|spouse|next of kin|emergency contact|lead|agent|driver|passenger|guest|tenant|landlord|buyer|seller|applicant|student|teacher|professor|artist|director|actor|speaker|host|attn|attention|ship to|bill to|deliver to|from|to|cc|by|user|person|member|who|name|alias|maiden name|nickname|preferred name|salesperson|account manager|case worker|instructor|supervisor|caller|callee|signature|plaintiff|defendant|insured|policyholder|donor|contact person|legal representative|ordered by|sold to", "", 40, func(w *writer) { w.slot("per") }},
	{"nombre|nombre completo|nom|nom complet|nome|nome completo|nominativo|naam|namn|navn|nimi|imie i nazwisko|ansprechpartner|kontakt|kunde|empfaenger|absender|inhaber|titular|cliente|client|destinataire|beneficiario|paciente|jmeno|meno|ime|nev|isim|ad soyad|nama|ho ten|имя|фио|姓名|名前|氏名|이름|الاسم", "", 12, func(w *writer) { w.slot("per") }},
	{"first name|given name|forename|fname|first|middle name|vorname|prenom|prénom|nombre|nome|voornaam|fornamn|fornavn|etunimi|imie|jmeno|keresztnev|prenume|ad", people, 14, func(w *writer) { w.slot("first") }},
	{"first name|given name|forename|fname|first|middle name|firstname|givenname|vorname|prenom|primer nombre|voornaam|fornamn|imie", "", 14, func(w *writer) { w.slot("first") }},
	{"last name|surname|family name|lname|last|second name|maiden name|nachname|familienname|nom de famille|apellido|apellidos|cognome|sobrenome|apelido|achternaam|efternamn|etternavn|sukunimi|nazwisko|prijmeni|prezime|vezeteknev|nume|soyad", people, 14, func(w *writer) { w.slot("last") }},
	{"last name|surname|family name|lname|last|lastname|familyname|nachname|apellido|apellidos|cognome|sobrenome|achternaam|efternamn|nazwisko|prijmeni", "", 14, func(w *writer) { w.slot("last") }},
	{"participants|attendees|authors|members|owners|reviewers|assignees|contacts|cast|players|guests|users|names|people|drivers|patients|employees|speakers|witnesses|children|parents|friends", "", 10, func(w *writer) { w.slot("per") }},

	{"address|full address|location|addr|mailing address|postal address|residence|formatted address|place", spots, 16, func(w *writer) { w.slot("addr") }},
	{"address|full address|addr|ship to|postal address|residence|domicile|formatted address|adresse|anschrift|direccion|dirección|domicilio|indirizzo|endereco|endereço|morada|adres|adress|osoite|adresa|cim|adresi|alamat|dia chi|адрес|地址|住所|주소|العنوان|property|premises|destination|delivery address|home|office", "", 16, func(w *writer) { w.slot("addr") }},
	{"street|street address|address1|address line 1|address line1|line1|line 1|street1|road|address|thoroughfare|street name|house", spots, 12, func(w *writer) { w.slot("street") }},
	{"street|street address|address1|address line 1|address line1|line1|streetaddress|street name|strasse|straße|str|rue|voie|calle|domicilio|via|indirizzo|rua|logradouro|straat|gata|gatuadress|vej|katu|katuosoite|ulica|utca|strada|sokak|jalan|улица|addr1|address2|line2|address line 2", "", 16, func(w *writer) { w.slot("street") }},
	{"city|town|locality|municipality|suburb|district|village", spots, 12, func(w *writer) { w.slot("city") }},
	{"city|town|locality|municipality|suburb|district|village|place|location|birthplace|place of birth|birth place|hometown|ort|stadt|wohnort|geburtsort|ville|commune|lieu de naissance|ciudad|localidad|municipio|poblacion|lugar de nacimiento|citta|città|comune|luogo di nascita|cidade|localidade|bairro|naturalidade|plaats|woonplaats|stad|by|postort|kaupunki|miasto|miejscowosc|mesto|obec|grad|varos|oras|sehir|kota|город|город рождения|城市|都市|도시|المدينة|origin|destination|departure|arrival|departure city|arrival city|from city|to city|venue|branch|site|where|travel to|hub|airport city|region name|neighborhood|port|station", "", 24, func(w *writer) { w.slot("city") }},
	{"state|province|county|region|administrative area|prefecture|department|canton|bundesland|kanton|departement|provincia|estado|regione|uf|wojewodztwo|kraj|zupanija|judet|provincie|lan|fylke|state code|state or province", "", 12, func(w *writer) { w.slot("state") }},
	{"state|state code|province|region|prov|uf", "", 8, func(w *writer) { w.slot("code") }},
	{"country|nation|land|pays|pais|país|paese|land|kraj|zeme|orszag|tara|ulke|negara|страна|国家|国|국가|country of birth|country of residence|citizenship country|issuing country|origin|destination country|shipping country|billing country", "", 14, func(w *writer) { w.slot("country") }},
	{"nationality|citizenship|ethnicity|religion|race|nationalitaet|staatsangehoerigkeit|konfession|nationalite|nacionalidad|religion|nazionalita|nacionalidade|party|political affiliation|denomination|native language", "", 8, func(w *writer) { w.slot("nat") }},
	{"zip|zip code|zipcode|postal code|postcode|post code|plz|postleitzahl|code postal|codigo postal|cp|cap|cep|postnummer|psc|irsz|kod pocztowy|postinumero|pin code|pincode|postal|индекс|邮编|郵便番号|우편번호", "", 16, func(w *writer) { w.slot("zip") }},
	{"zip|zip code|postal code|postcode", spots, 6, func(w *writer) { w.slot("zip") }},
	{"pob|from|to|location|where|place|at|near", "", 5, func(w *writer) { w.slot("city") }},

	{"company|company name|organization|organisation|organization name|employer|vendor|supplier|merchant|merchant name|business name|bank|bank name|institution|school|university|hospital|clinic|publisher|firm|legal entity|firma|arbeitgeber|unternehmen|entreprise|societe|société|employeur|empresa|azienda|datore di lavoro|ditta|bedrijf|werkgever|foretag|yritys|spolecnost|sirket|perusahaan|компания|公司|会社|회사|carrier|airline|insurer|provider|client|issuer|sponsor|manufacturer|brand|label|team|club|agency|partner|competitor", "", 26, func(w *writer) { w.slot("org") }},
	{"company|organization|bank|company name", firms, 6, func(w *writer) { w.slot("org") }},

	{"name|title|label|description", wares, 26, func(w *writer) { w.thing() }},
	{"product|product name|item|title|name|label|subject|topic|category|description|summary|type|model|sku|tag|tags|keyword|keywords|query|search|q|plan|tier|edition|style|color|colour|brand|make|material|genre|movie|song|album|book|game|show|film|track|playlist|headline|course|event|campaign|coupon|theme|variant|collection|series|gift|dish|ingredient|menu item|wine|car|vehicle|engine|part|tool|library|framework|language|platform|os|browser|database|dependency|package|module|plugin|service|component|repo|repository|branch|job|stage|step|task|workflow|pipeline|build|release|version name|codename|cluster|project|project name|milestone|epic|feature|bug|issue|algorithm|method|function|operation|command|metric|chart|dashboard|report|index|table|column|test|test name|suite|experiment|dataset|prompt name|tool name|job title|role|position|occupation|profession|department|team|group|diagnosis|condition|disease|procedure|medication|drug|allergy|specialty|holiday|day|month|weekday|season|timezone name|font|icon|button|placeholder|heading|section|tab|menu|screen|hint|caption|alt|note|remark|memo|comment|msg|message|reason|error|status text|state name|display|text|value|data|content", "", 90, func(w *writer) { w.thing() }},
	{"status|state|level|type|kind|priority|severity|action|method|result|outcome|mode|visibility|condition|step|phase|env|environment|event|operation|currency|unit|gender|sex|channel|source|medium|scope|format|encoding|locale|lang|language|region|zone|timezone|role|reason|category|plan", "", 30, func(w *writer) { w.state2() }},
	{"region|zone|availability zone|datacenter|location|cluster|aws region|cloud region", "", 8, func(w *writer) { w.slot("region") }},
	{"host|hostname|node|server|pod|container|instance|machine|worker|version|build|release|commit|tag|image|domain|site|source|target|device|endpoint|origin", "", 14, func(w *writer) { w.slot("code2") }},
	{"date|dob|date of birth|birth date|birthday|born|created at|updated at|expires|due|start|end|from|to|since|until|time|timestamp|valid until|hire date", "", 14, func(w *writer) { w.slot("date") }},
	{"note|notes|message|content|text|comment|body|description|msg|remarks|summary|instructions|feedback|review|bio|about|details|question|answer|prompt|input|output|response|transcript|caption|subject", "", 6, func(w *writer) { w.sentence() }},
	{"id|ref|reference|code|key|token|hash|etag|commit|sku|serial|number|order id|request id|trace id|session id|user agent|path|file|filename|url|version|build|date|created at|timestamp|time|amount|price|total|phone|email|username|login|ip|host|hostname|topic arn|image|tag", "", 20, func(w *writer) { w.codeValue() }},
}

// thing writes what is written like a name and is none.
func (w *writer) thing() {
	switch n := w.r.IntN(100); {
	case n < 38:
		w.slot("product")
	case n < 53:
		w.slot("math")
	case n < 66:
		w.slot("tech")
	case n < 72:
		w.slot("work")
	case n < 76:
		w.slot("event")
	case n < 80:
		w.slot("ui")
	case n < 83:
		w.slot("ui2")
	case n < 86:
		w.slot("disease")
	case n < 90:
		w.put(w.pick(w.things.lists["word"])+" "+w.pick(w.things.lists["word"]), names.None)
	case n < 93:
		w.put(title(w.pick(w.things.lists["word"]))+" "+w.pick([]string{title(w.pick(w.things.lists["word"])), w.pick(w.things.lists["word"])}), names.None)
	case n < 95:
		w.put(w.pick(w.things.lists["product-noun"]), names.None)
	case n < 97:
		w.put(w.pick(strings.Fields("en-US de-DE Europe/Berlin America/New_York Asia/Tokyo USD EUR red Navy Teal Crimson black Large XL gpt-4o llama-3.1-70b claude-3-opus mistral-large gemini-1.5-pro Arial Helvetica Georgia Times Courier Verdana Roboto Garamond Baskerville")), names.None)
	default:
		w.slot("subject")
	}
}

// state2 writes a word of a fixed set, as programs do.
func (w *writer) state2() {
	s := spaced(w.pick(append(w.things.lists["ui"], strings.Fields("active inactive pending shipped delivered failed paid open closed new old draft male female admin user guest read write INFO WARN ERROR DEBUG GET POST PUT DELETE USD EUR GBP JPY INR kg cm en de fr es EN DE en-US de-DE eu-west-1 us-east-1 prod staging dev web mobile api sms email push json xml utf-8 UTC CET PST basic premium gold silver bronze free Standard Express Visa Mastercard Amex single married divorced Mr Mrs Ms Dr he she they")...)))
	if w.chance(0.5) {
		s = strings.ToLower(s)
	}
	if w.chance(0.1) {
		s = strings.ToUpper(strings.ReplaceAll(s, " ", "_"))
	}
	w.put(s, names.None)
}

func (w *writer) codeValue() {
	switch w.r.IntN(13) {
	case 11, 12:
		w.put(w.encoded(), names.None)
	case 8, 9, 10:
		w.code()
	case 0:
		w.slot("email")
	case 1:
		w.slot("phone")
	case 2:
		w.slot("user")
	case 3:
		w.put("Mozilla/5.0 ("+w.pick([]string{"Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64", "iPhone; CPU iPhone OS 16_0 like Mac OS X"})+") AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1"+w.small("d2")+".0.0.0 Safari/537.36", names.None)
	case 4:
		w.put("/"+w.pick(w.things.lists["word"])+"/"+w.pick(w.things.lists["word"])+"s/"+w.small("d5"), names.None)
	case 5:
		w.put(w.pick(w.things.lists["word"])+w.pick([]string{"-", "_", "."})+w.pick(w.things.lists["word"])+w.pick([]string{".json", ".go", "-v2", ".pdf", "-" + w.small("d3")}), names.None)
	case 6:
		w.slot("date")
	default:
		w.slot("id")
	}
}

// encoded is base64 or hexadecimal: a key, a certificate, a hash.
func (w *world) encoded() string {
	b := make([]byte, 3+w.r.IntN(60))
	for i := range b {
		b[i] = byte(w.r.IntN(256))
	}
	s := base64.StdEncoding.EncodeToString(b)
	switch w.r.IntN(6) {
	case 0:
		return hex.EncodeToString(b)
	case 1:
		return base64.RawURLEncoding.EncodeToString(b)
	case 2:
		return "-----BEGIN " + w.pick([]string{"CERTIFICATE", "PUBLIC KEY", "CERTIFICATE REQUEST"}) + "-----\nMII" + s + "\n-----END CERTIFICATE-----"
	case 3:
		return "sha256:" + hex.EncodeToString(b)
	case 4:
		return s[:min(len(s), 4+w.r.IntN(8))]
	}
	return s
}

// fieldName writes words as the name of a field, in one of the ways that
// there are.
func (w *world) fieldName(words []string) string {
	switch w.r.IntN(7) {
	case 0, 1, 2:
		return strings.Join(words, "_")
	case 3, 4:
		s := words[0]
		for _, x := range words[1:] {
			s += title(x)
		}
		return s
	case 5:
		s := ""
		for i, x := range words {
			if i > 0 {
				s += " "
			}
			s += title(x)
		}
		return s
	}
	if w.chance(0.3) {
		return strings.ToUpper(strings.Join(words, "_"))
	}
	if w.chance(0.5) {
		return strings.Join(words, "")
	}
	return strings.Join(words, "-")
}

// field makes an example of a field.
func (w *world) field(total int) example {
	n := w.r.IntN(total)
	var k *fieldKind
	for i := range fieldKinds {
		if n -= fieldKinds[i].weight; n < 0 {
			k = &fieldKinds[i]
			break
		}
	}
	words := strings.Fields(w.pick(strings.Split(k.names, "|")))
	if k.of != "" && w.chance(0.85) {
		words = append(strings.Split(w.pick(strings.Fields(k.of)), "_"), words...)
	}
	wr := writer{world: w}
	switch x := w.r.IntN(100); {
	case x < 6:
		wr.low = true
	case x < 12:
		wr.up = true
	}
	wr.chooseLand()
	if w.chance(0.05) && (strings.HasPrefix(k.names, "name") || strings.HasPrefix(k.names, "full name")) {
		wr.lang = w.pick([]string{"cyr", "grc", "arab", "hebr", "han", "jpn", "kor"})
	}
	wr.culture = nil
	k.value(&wr)
	return example{key: w.fieldName(words), text: wr.b.String(), gold: wr.gold, weight: 1}
}

func fieldWeights() int {
	n := 0
	for _, k := range fieldKinds {
		n += k.weight
	}
	return n
}
