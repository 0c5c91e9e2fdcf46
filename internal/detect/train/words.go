package main

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/sluice-proxy/sluice/internal/detect/names"
)

// lexicon puts the lists and the gazetteers together.
func lexicon(w *world, dir string) (*names.Lexicon, error) {
	b := names.NewBuilder()
	level := func(n int, steps ...int) int {
		for i, s := range steps {
			if n < s {
				return 3 - i
			}
		}
		return 1
	}
	err := eachRow(filepath.Join(dir, "gazetteers/first.txt"), func(s string, n int) { b.Add(s, names.First(level(n, 600, 2500))) })
	if err == nil {
		err = eachRow(filepath.Join(dir, "gazetteers/last.txt"), func(s string, n int) {
			b.Add(s, names.Last(level(n, 2000, 15000)))
		})
	}
	place := func(s string, a names.Attrs) {
		words := strings.FieldsFunc(s, func(r rune) bool {
			return r == ' ' || r == '-' || r == '.' || r == ',' || r == '/' || r == '(' || r == ')'
		})
		if len(words) == 1 {
			b.Add(s, a)
			return
		}
		if len(words) == 0 || len(words) > 5 {
			return
		}
		b.Add(s, names.PlaceName)
		for _, x := range words {
			b.Add(x, names.PlacePart)
		}
	}
	if err == nil {
		err = eachRow(filepath.Join(dir, "gazetteers/city.txt"), func(s string, n int) {
			l := 1
			if n > 400000 {
				l = 3
			} else if n > 80000 {
				l = 2
			}
			place(s, names.City(l))
		})
	}
	if err == nil {
		err = eachRow(filepath.Join(dir, "gazetteers/country.txt"), func(s string, _ int) { place(s, names.Country) })
	}
	if err != nil {
		return nil, err
	}
	for _, t := range cldr {
		for _, s := range countryNames(t) {
			place(s, names.Country)
		}
	}
	for _, c := range w.cultures {
		for _, s := range c.lists["given"] {
			for part := range strings.SplitSeq(s, "-") {
				b.Add(part, names.First(2))
			}
		}
		for _, s := range c.lists["family"] {
			parts := strings.Split(s, "-")
			for i, part := range parts {
				if i == len(parts)-1 && part == strings.ToUpper(part[:1])+part[1:] || len(parts) == 1 {
					b.Add(part, names.Last(2))
				}
			}
		}
	}
	for _, c := range w.countries {
		for _, s := range c.lists["state"] {
			place(spaced(s), names.Country)
		}
		for _, kind := range []string{"type", "suffix"} {
			for _, s := range c.lists[kind] {
				if len(s) > 2 || kind == "type" {
					b.Add(s, names.StreetWord)
				}
			}
		}
	}
	for _, s := range strings.Fields("apt apartment suite ste unit floor flat bldg building box p.o. po postfach postbus appartement appartamento piso bloco quadra lote lt km house villa plot block sector étage wohnung") {
		b.Add(s, names.StreetWord)
	}
	for _, s := range strings.Fields("us usa uk uae eu") {
		b.Add(s, names.Country)
	}
	for _, s := range w.nations {
		b.Add(s, names.National)
	}
	for _, kind := range []string{"suffix", "branch"} {
		for _, s := range w.orgs.lists[kind] {
			for part := range strings.SplitSeq(s, "-") {
				if len(part) > 1 {
					b.Add(part, names.OrgWord)
				}
			}
		}
	}
	for _, s := range strings.Fields("university college school hospital clinic bank council ministry department institute foundation society association union party committee commission agency authority court church museum library club team fc united airlines airport universität universidad université università klinikum krankenhaus sparkasse stadtwerke verein") {
		b.Add(s, names.OrgWord)
	}
	for _, s := range strings.Fields("mr mrs ms miss dr prof professor sir madam lord lady rev fr sr judge senator president minister captain sgt officer herr frau monsieur madame mme mlle m señor señora señorita don doña sra srta senhor senhora dona dott dott.ssa signor signora sig ing avv dhr mevr mevrouw meneer pan pani pán paní gospodin fru herra rouva bay bayan hanım господин госпожа κύριος κυρία السيد السيدة") {
		b.Add(s, names.Title)
	}
	for _, kind := range []string{"tech", "brand", "model", "product-noun", "math", "math-noun"} {
		for _, s := range w.things.lists[kind] {
			if !strings.Contains(s, "{") {
				for part := range strings.SplitSeq(s, "-") {
					if len(part) > 1 {
						b.Add(part, names.Thing)
					}
				}
			}
		}
	}
	for _, s := range strings.Fields("SSN EIN ITIN TIN NINO NHS UTR PPSN CPF CNPJ RG PIS CURP RFC CUIT RUT DNI NIE NIF CIF NSS PAN Aadhaar GSTIN UAN EPIC VAT IBAN BIC SWIFT Steuer SIREN SIRET NIR BSN PESEL NIP REGON TFN ABN ACN Medicare NRIC HKID RRN MyKad TCKN MRN IMEI VIN MAC IP API PIN CVV ID") {
		b.Add(s, names.Thing|names.Common(1))
	}
	for _, s := range append(months, strings.Fields("Monday Tuesday Wednesday Thursday Friday Saturday Sunday Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec Januar Februar März Mai Juni Juli Oktober Dezember Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag janvier février mars avril juin juillet août septembre octobre novembre décembre lundi mardi mercredi jeudi vendredi samedi dimanche enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre lunes martes miércoles jueves viernes sábado domingo")...) {
		b.Add(s, names.Calendar)
	}
	for _, s := range strings.Fields("van von der den de del della di da dos das do du la le les ter ten zu zum bin ibn abu al el bint binti ben bat af av dei degli y e") {
		b.Add(s, names.Particle)
	}
	for _, s := range strings.Fields("of and the for upon on am an sur à aux et und für y e da das dos do no na nad pod di in en ve i") {
		b.Add(s, names.Joiner)
	}
	for _, s := range readSections("words.txt") {
		n, err := strconv.Atoi(s.name)
		if err != nil {
			continue
		}
		for _, line := range s.lines {
			for x := range strings.FieldsSeq(line) {
				b.Add(x, names.Common(n))
			}
		}
	}
	// Small words of other languages.
	for _, s := range strings.Fields("ich und der die das ist nicht ein eine mit für auf von dem den des sie wir ihr mein meine bitte wie war hat haben bei nach aus am im zu zum zur wohne heiße adresse bin sehr geehrte geehrter guten tag vielen dank grüßen freundlichen liebe lieber können anrufen unter kunde lieferung geht leider habe möchte nummer name le la les des et est je suis vous nous mon ma mes votre pour dans sur avec chez qui que bonjour merci habite appelle numéro cordialement el los las un una es y en por para con mi su me llamo vivo soy gracias hola dirección número señor il lo gli una sono è e per con mi chiamo abito grazie buongiorno indirizzo numero o os as um uma é em por com meu minha nome moro sou obrigado olá endereço het een ik ben mijn naam woon met op van voor dank beste jag heter bor och är på med min jeg hedder bor og er på med mit navn nimeni on ja asun nazywam się mieszkam w i na jest jmenuji se bydlím v a je na s benim adım ve bir bu") {
		b.Add(s, names.Common(2))
	}
	for _, x := range strings.Fields("zip zipcode postal postcode postnummer plz postleitzahl cep cap psc irsz pincode postcodes postinumero индекс") {
		b.AddKey(x, names.PlaceKey|names.PostalKey)
	}
	for _, k := range fieldKinds {
		var a names.Attrs
		switch {
		case k.of == people || strings.Contains(k.names, "account holder") || strings.Contains(k.names, "nombre") || strings.Contains(k.names, "first name") || strings.Contains(k.names, "last name") || strings.Contains(k.names, "participants"):
			a = names.PersonKey
		case k.of == spots || strings.Contains(k.names, "anschrift") || strings.Contains(k.names, "strasse") || strings.Contains(k.names, "birthplace") || strings.Contains(k.names, "province") || strings.Contains(k.names, "pays") || strings.Contains(k.names, "plz"):
			a = names.PlaceKey
		case strings.HasPrefix(k.names, "company"):
			a = names.OrgKey
		default:
			continue
		}
		for alt := range strings.SplitSeq(k.names, "|") {
			words := strings.Fields(alt)
			last := words[len(words)-1]
			switch last {
			case "to", "by", "from", "code", "at", "who", "1", "2", "of", "contact", "on", "client", "label", "team", "brand", "alias", "site", "branch", "lead", "home", "office":
				continue
			}
			b.AddKey(strings.TrimRight(last, "0123456789"), a)
		}
	}
	return b.Build()
}
