package main

import (
	"fmt"
	"strings"

	"github.com/sluice-proxy/sluice/internal/detect/names"
)

// example is a text with the names in it, in bytes.
type example struct {
	key    string
	text   string
	gold   []names.Gold
	weight float32
	held   bool // from a template that is not trained on
}

// writer fills a template.
type writer struct {
	*world
	b    strings.Builder
	gold []names.Gold
	low  bool
	up   bool
	lang string
}

func (w *writer) put(s string, k names.Kind) {
	start := w.b.Len()
	switch {
	case w.low:
		s = strings.ToLower(s)
	case w.up:
		s = strings.ToUpper(s)
	}
	w.b.WriteString(s)
	if k != names.None && s != "" {
		w.gold = append(w.gold, names.Gold{Start: start, End: w.b.Len(), Kind: k})
	}
}

var cultureOf = map[string][]string{
	"de": {"de"}, "fr": {"fr"}, "es": {"es"}, "it": {"it"}, "pt": {"pt"}, "nl": {"nl"}, "north": {"nordic"},
	"east": {"pl", "cz-sk-hu", "balkan-ro-bg", "tr-az", "vi-th-id-ph-my"}, "cyr": {"ru-cyr"}, "grc": {"el"}, "arab": {"ar"}, "hebr": {"he"}, "han": {"zh"}, "jpn": {"ja"}, "kor": {"ko"},
}

var landOf = map[string]string{"de": "de-at-ch", "fr": "fr-be", "es": "es-latam", "it": "it", "pt": "br-pt", "nl": "nl", "north": "nordic"}

// fill writes a template.
func (w *writer) fill(lang, template string) {
	w.lang = lang
	w.chooseLand()
	if want := landOf[lang]; want != "" && w.chance(0.85) {
		for _, c := range w.countries {
			if c.name == want {
				w.land = c
			}
		}
	}
	w.culture = nil
	s := strings.ReplaceAll(template, `\n`, "\n")
	s = strings.ReplaceAll(s, `\t`, "\t")
	for {
		i := strings.IndexByte(s, '{')
		if i < 0 {
			break
		}
		j := strings.IndexByte(s[i:], '}')
		if j < 0 {
			break
		}
		j += i
		if slot := s[i+1 : j]; strings.ContainsAny(slot, " \"{<:") || slot == "" {
			// A brace of the text.
			w.put(s[:i+1], names.None)
			s = s[i+1:]
			continue
		}
		w.put(s[:i], names.None)
		w.slot(s[i+1 : j])
		s = s[j+1:]
	}
	w.put(s, names.None)
}

func (w *writer) newPerson() {
	w.chooseCulture(cultureOf[w.lang]...)
	if !isForeign(w.lang) {
		for !w.western() || w.culture.name == "ru-cyr" {
			w.chooseCulture()
		}
	}
}

func isForeign(lang string) bool {
	switch lang {
	case "cyr", "grc", "arab", "hebr", "han", "jpn", "kor":
		return true
	}
	return false
}

// native makes a name in the script of the text.
func (w *writer) native() (given, family string) {
	ascii := func(s string) bool { return s != "" && s[0] < 0x80 }
	for {
		given, family = w.pick(w.culture.lists["given"]), w.pick(w.culture.lists["family"])
		if isForeign(w.lang) && (ascii(given) || ascii(family)) && w.culture.name == cultureOf[w.lang][0] {
			continue
		}
		return given, family
	}
}

var far = map[string][]string{
	"ccity":   strings.Fields("Москва Москве Санкт-Петербург Новосибирск Казань Казани Екатеринбург Самара Омск Челябинск Ростов Уфа Волгоград Пермь Воронеж Киев Киеве Харьков Одесса Одессе Днепр Львов Київ Києві Харків Одеса Дніпро Львів Львові Минск Минске Алматы Ташкент Баку София Варна Пловдив Белград"),
	"gcity":   strings.Fields("Αθήνα Θεσσαλονίκη Πάτρα Λάρισα Ηράκλειο Βόλο Ρόδο Κέρκυρα Καβάλα Κρήτη Κύπρο Ελλάδα"),
	"acity":   strings.Fields("القاهرة الرياض جدة دبي أبوظبي بيروت دمشق بغداد عمان الدوحة الكويت تونس الجزائر مكة الإسكندرية مصر السعودية المغرب لبنان"),
	"hcity":   strings.Fields("ירושלים חיפה נתניה אשדוד רחובות הרצליה ישראל רעננה"),
	"hancity": strings.Fields("北京 上海 广州 深圳 成都 杭州 武汉 西安 南京 重庆 天津 苏州 香港 台北 中国 北京市朝阳区 上海市浦东新区 广东省深圳市 浙江省杭州市"),
	"jcity":   strings.Fields("東京 大阪 京都 横浜 名古屋 札幌 福岡 神戸 仙台 広島 東京都港区 大阪市北区 日本 神奈川県横浜市"),
	"kcity":   strings.Fields("서울 부산 인천 대구 대전 광주 울산 수원 제주 서울시 강남구 한국"),
}

func (w *writer) slot(slot string) {
	if l, ok := far[slot]; ok {
		w.put(w.pick(l), names.Place)
		return
	}
	upper := slot != strings.ToLower(slot)
	if upper {
		defer func(was bool) { w.up = was }(w.up)
		w.up = !w.low
		slot = strings.ToLower(slot)
	}
	if w.culture == nil {
		w.newPerson()
	}
	switch slot {
	case "per":
		w.newPerson()
		if isForeign(w.lang) {
			g, f := w.native()
			switch w.lang {
			case "han", "jpn", "kor":
				w.put(f+g, names.Person)
			default:
				w.put(g+" "+f, names.Person)
			}
			return
		}
		w.put(w.person(), names.Person)
	case "perlf":
		w.newPerson()
		w.put(w.lastFirst(), names.Person)
	case "first":
		w.newPerson()
		if isForeign(w.lang) {
			g, _ := w.native()
			w.put(g, names.Person)
			return
		}
		w.put(w.given(), names.Person)
	case "last":
		w.newPerson()
		if isForeign(w.lang) {
			_, f := w.native()
			w.put(f, names.Person)
			return
		}
		w.put(w.family(), names.Person)
	case "city":
		w.put(w.city(), names.Place)
	case "country":
		w.put(w.country(), names.Place)
	case "state":
		w.put(w.state(), names.Place)
	case "code":
		if l := w.land.lists["code"]; len(l) > 0 {
			w.put(w.pick(l), names.Place)
		} else {
			w.put("USA", names.Place)
		}
	case "street":
		w.put(w.street(), names.Place)
	case "zip":
		w.put(w.zip(), names.Place)
	case "zipcity":
		w.put(w.zip()+" "+w.city(), names.Place)
	case "citycode":
		w.put(w.city(), names.Place)
		w.put(w.pick([]string{", ", " "}), names.None)
		w.put(w.zip(), names.Place)
	case "addr", "addrlines":
		lines := w.land.lists["lines"]
		l := w.pick(lines)
		for tries := 0; tries < 6 && (!strings.Contains(l, "{street}") || slot == "addrlines" && !strings.Contains(l, `\n`) && w.chance(0.7)); tries++ {
			l = w.pick(lines)
		}
		if slot == "addrlines" && !strings.Contains(l, `\n`) {
			l = strings.ReplaceAll(l, ", ", `\n`)
		}
		if slot == "addr" && w.chance(0.7) {
			l = strings.ReplaceAll(l, `\n`, ", ")
		}
		w.address(strings.ReplaceAll(l, `\n`, "\n"))
	case "org":
		w.put(w.org(), names.Organization)
	case "nat":
		w.put(w.pick(w.nations), names.Group)
	case "product":
		w.put(w.product(), names.Other)
	case "thing":
		w.slot(w.pick([]string{"product", "math", "tech", "work", "event", "subject"}))
	case "math":
		m := w.math()
		name, noun, _ := strings.Cut(m, " ")
		w.put(name, names.Other)
		w.put(" "+noun, names.None)
	case "tech":
		w.put(w.tech(), names.Other)
	case "work":
		w.put(spaced(w.pick(w.things.lists["work"])), names.Other)
	case "event":
		w.put(spaced(w.pick(w.things.lists["event"])), names.Other)
	case "disease":
		d := spaced(w.pick(w.things.lists["disease"]))
		if w.chance(0.3) {
			d = w.pick([]string{"asthma", "diabetes", "hypertension", "pneumonia", "migraine", "a fracture of the left arm", "influenza", "Type 2 diabetes"})
		}
		w.put(d, names.None)
	case "title":
		w.put(w.pick(strings.Fields("Mr Mr. Mrs Mrs. Ms Ms. Dr Dr. Prof. Professor Sir Miss Judge Senator Captain Rev. Sgt. Officer Mr. Mrs. Ms. Dr.")), names.None)
	case "dtitle":
		w.put(w.pick([]string{"Frau", "Herr", "Herr Dr.", "Frau Dr.", "Herr Prof.", "Familie"}), names.None)
	case "ftitle":
		w.put(w.pick(strings.Fields("Monsieur Madame M. Mme Mlle Maître Docteur Dr")), names.None)
	case "stitle":
		w.put(w.pick([]string{"señor", "señora", "Sr.", "Sra.", "Srta.", "Don", "Doña", "doctor", "Dr.", "Dra."}), names.None)
	case "ititle":
		w.put(w.pick([]string{"Sig.", "Sig.ra", "Signora", "Signor", "Dott.", "Dott.ssa", "Avv.", "Ing."}), names.None)
	case "ptitle":
		w.put(w.pick([]string{"Sr.", "Sra.", "Senhor", "Senhora", "Dr.", "Dra.", "Dona"}), names.None)
	case "ntitle":
		w.put(w.pick([]string{"heer", "mevrouw", "dhr.", "mevr.", "Mevrouw", "de heer"}), names.None)
	case "role":
		w.put(spaced(w.pick([]string{"CEO", "director", "manager", "chairman", "president", "treasurer", "head", "secretary", "chief-executive", "founder", "spokesman", "editor", "owner", "Managing-Director", "Head-of-Sales", "Account-Manager", "Senior-Engineer", "Vice-President", "CFO", "Professor", "Chief-Operating-Officer"})), names.None)
	case "lang":
		w.put(w.pick(strings.Fields("English German French Spanish Italian Portuguese Dutch Polish Japanese Chinese Arabic Hindi Turkish Swedish")), names.Group)
	case "s":
		w.sentence()
	case "subject":
		w.put(w.subject(), names.None)
	case "user":
		w.put(w.userName(), names.None)
	case "email":
		w.put(w.userName()+"@"+w.pick([]string{"example.com", "example.org", "mail.example.net", "corp.example.com", "gmail.com", "outlook.com"}), names.None)
	default:
		w.put(w.filler(slot), names.None)
	}
}

// address writes the form of an address; each of its parts is a place.
func (w *writer) address(form string) {
	for len(form) > 0 {
		n := strings.IndexAny(form, ",\n")
		part := form
		if n >= 0 {
			part = form[:n]
		}
		trimmed := strings.TrimLeft(part, " ")
		w.put(part[:len(part)-len(trimmed)], names.None)
		if trimmed != "" {
			var b strings.Builder
			rest := trimmed
			for {
				i := strings.IndexByte(rest, '{')
				if i < 0 {
					b.WriteString(rest)
					break
				}
				j := i + strings.IndexByte(rest[i:], '}')
				b.WriteString(rest[:i])
				switch slot := rest[i+1 : j]; slot {
				case "street":
					b.WriteString(w.street())
				case "zip":
					b.WriteString(w.zip())
				case "city":
					b.WriteString(w.city())
				case "state":
					b.WriteString(w.state())
				case "country":
					b.WriteString(w.country())
				default:
					b.WriteString(w.small(slot))
				}
				rest = rest[j+1:]
			}
			w.put(b.String(), names.Place)
		}
		if n < 0 {
			return
		}
		w.put(form[n:n+1], names.None)
		form = form[n+1:]
	}
}

func (w *writer) sentence() {
	t := pickTemplates[w.r.IntN(len(pickTemplates))]
	lang, land, culture := w.lang, w.land, w.culture
	if !strings.Contains(t.text, "{s}") {
		sub := writer{world: w.world, low: w.low, up: w.up}
		sub.fill(t.lang, t.text)
		w.embed(&sub)
	}
	w.lang, w.land, w.culture = lang, land, culture
}

func (w *writer) subject() string {
	return w.pick([]string{"Re: ", "Fwd: ", "", "", "", "AW: "}) + w.pick([]string{"Your order", "Invoice", "Meeting on " + w.filler("weekday"), "Quarterly Report", "Question about my account", "Project Update", "Welcome aboard", "Delivery delay", "Password Reset", "New Features in Version 3", "Holiday Calendar", w.tech() + " upgrade", w.math(), w.product(), spaced(w.pick(w.things.lists["event"])) + " offers"})
}

func (w *writer) userName() string {
	clean := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= 'a' && r <= 'z' {
				return r
			}
			return -1
		}, strings.ToLower(s))
	}
	w.chooseCulture("us", "en-gb", "de", "es", "fr", "in")
	g, f := clean(w.given()), clean(w.family())
	if g == "" || f == "" {
		g, f = "x", "yz"
	}
	switch w.r.IntN(5) {
	case 0:
		return g + "." + f
	case 1:
		return g[:1] + f
	case 2:
		return g + w.small("n2")
	case 3:
		return g + "_" + f
	}
	return g + f + w.small("n3")
}

func (w *writer) filler(slot string) string {
	r := w.r
	d := func(n int) string { return w.small(fmt.Sprint("d", n)) }
	switch slot {
	case "phone":
		return w.pick([]string{"+1 " + d(3) + " " + d(3) + " " + d(4), "+49 " + d(3) + " " + d(7), "0" + d(4) + " " + d(6), d(3) + "-" + d(3) + "-" + d(4), "(" + d(3) + ") " + d(3) + "-" + d(4), "+33 6 " + d(2) + " " + d(2) + " " + d(2) + " " + d(2), "+34" + d(9), "0" + d(4) + " " + d(5), "0" + d(3) + " " + d(3) + " " + d(3), "(0" + d(3) + ") " + d(6), "+" + d(2) + "(0)" + d(3) + " " + d(6), d(3) + "." + d(3) + "." + d(4), d(5) + " " + d(5), "0" + d(9)})
	case "date":
		return w.pick([]string{"2024-0" + fmt.Sprint(1+r.IntN(9)) + "-1" + d(1), fmt.Sprintf("%d/%d/19%s", 1+r.IntN(12), 1+r.IntN(28), d(2)), fmt.Sprintf("%02d.%02d.%d", 1+r.IntN(28), 1+r.IntN(12), 1940+r.IntN(80)), w.pick(months) + " " + fmt.Sprint(1+r.IntN(28)) + ", 20" + d(2), fmt.Sprint(1+r.IntN(28)) + " " + w.pick(months) + " 19" + d(2), fmt.Sprintf("2025-%02d-%02dT%02d:%02d:%02dZ", 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60))})
	case "time":
		return fmt.Sprintf("%d:%02d", r.IntN(24), r.IntN(60)) + w.maybe(0.3, " pm")
	case "weekday":
		return w.pick(strings.Fields("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"))
	case "month":
		return w.pick(months)
	case "price":
		return w.pick([]string{"$" + d(2) + "." + d(2), "€ " + d(3), "£" + d(4), d(3) + " EUR", d(2) + ".99", "$" + d(1) + "," + d(3) + "." + d(2), "USD " + d(3), "5 million dollars"})
	case "id":
		return w.pick([]string{d(8), "A" + d(7), "INV-" + d(5), d(4) + "-" + d(4) + "-" + d(4), "TK" + d(9), "GB" + d(2) + " NWBK " + d(4) + " " + d(4) + " " + d(4) + " " + d(2), "ORD" + d(6), fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", r.Uint32(), r.IntN(65536), r.IntN(4096), r.IntN(4096), r.Int64N(1<<48))})
	case "ip":
		return fmt.Sprintf("%d.%d.%d.%d", 1+r.IntN(220), r.IntN(256), r.IntN(256), r.IntN(256))
	case "n":
		return fmt.Sprint(r.IntN(3000))
	case "tag":
		return strings.ReplaceAll(title(w.pick([]string{"happy days", "love", "football", "new year", "music", "win", "worldcup", "fashion week", "food", "monday motivation"})), " ", "")
	case "idn":
		return w.pick(strings.Split("SSN,EIN,ITIN,TIN,NINO,NHS number,UTR,PPSN,CPF,CNPJ,RG,PIS,SIN,CURP,RFC,CUIT,RUT,DNI,NIE,NIF,CIF,NSS,PAN,Aadhaar,GSTIN,UAN,EPIC,VAT ID,IBAN,BIC,SWIFT code,Steuer-ID,Steuernummer,Personalausweisnummer,Sozialversicherungsnummer,USt-IdNr,SIREN,SIRET,NIR,numéro de sécurité sociale,codice fiscale,Partita IVA,BSN,PESEL,NIP,REGON,TFN,ABN,ACN,Medicare number,NRIC,FIN,HKID,RRN,MyKad,TCKN,ID number,passport number,passport,driver's license,licence number,card number,CVV,account number,sort code,routing number,member ID,policy number,claim number,MRN,patient ID,case number,ticket,order number,tracking number,serial number,IMEI,VIN,MAC address,IP address,API key,PIN,customer number,booking code,invoice,employee ID,student ID,badge", ","))
	case "enc":
		return w.encoded()
	case "region":
		return w.pick([]string{"eu-", "us-", "ap-", "sa-", "ca-", "me-", "af-"}) + w.pick(strings.Fields("west east central north south northeast southeast")) + "-" + w.small("n1")
	case "code2":
		return w.pick([]string{w.small("d1") + "." + w.small("n2") + "." + w.small("n2"), "20" + w.small("d2") + "." + w.small("n1") + "." + w.small("n2") + "-" + w.small("d4"), fmt.Sprintf("%08x", r.Uint32()), fmt.Sprintf("%08x%08x%08x", r.Uint32(), r.Uint32(), r.Uint32()), w.pick(strings.Fields("node web db worker cache host api gw app srv edge")) + w.pick([]string{"-", "", "0"}) + w.small("n3"), "v" + w.small("n1") + "." + w.small("n2"), w.pick(w.things.lists["word"]) + "-" + w.pick(w.things.lists["word"]) + "-" + fmt.Sprintf("%05x", r.IntN(1<<20)), "ip-10-" + w.small("n2") + "-" + w.small("n2") + "-" + w.small("n2")})
	case "ui":
		return spaced(w.pick(w.things.lists["ui"]))
	case "ui2":
		return spaced(w.pick(w.things.lists["role"]))
	case "pay":
		return w.pick([]string{"PayPal", "Apple Pay", "Visa", "Klarna", "a gift card"})
	}
	return slot
}

var months = strings.Fields("January February March April May June July August September October November December")

type template struct {
	lang, text string
	held       bool
}

// pickTemplates are those that others are put together of.
var pickTemplates []template

// templates reads the templates; one in nine is held out.
func templates() []template {
	var out []template
	n := 0
	for _, s := range readSections("templates.txt") {
		for _, line := range s.lines {
			n++
			t := template{s.name, line, n%9 == 4}
			out = append(out, t)
			if !t.held && (s.name == "chat" || s.name == "none") {
				pickTemplates = append(pickTemplates, t)
			}
		}
	}
	return out
}

// make fills a template into an example.
func (w *world) example(t template) example {
	wr := writer{world: w}
	if !isForeign(t.lang) {
		switch n := w.r.IntN(100); {
		case n < 11:
			wr.low = true
		case n < 14:
			wr.up = true
		}
	}
	wr.fill(t.lang, t.text)
	text := wr.b.String()
	e := example{text: text, gold: wr.gold, weight: 1, held: t.held}
	// Several sentences stand in one text often.
	if t.lang != "json" && t.lang != "csv" && t.lang != "log" && w.chance(0.3) && len(pickTemplates) > 0 {
		wr.b.WriteString(w.pick([]string{" ", " ", "\n", "  "}))
		wr.sentence()
		e.text, e.gold = wr.b.String(), wr.gold
	}
	e.key = w.pick([]string{"", "", "", "content", "message", "text", "body", "note", "comment", "description", "prompt", "msg", "question", "input"})
	return e
}
