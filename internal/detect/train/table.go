package main

import (
	"strings"

	"github.com/sluice-proxy/sluice/internal/detect/names"
)

// column is a column of a table, or a member of an object.
type column struct {
	names []string
	write func(w *writer)
}

var columns = []column{
	{[]string{"name", "full_name", "customer", "fullName", "contact_name", "client", "patient", "employee", "Name", "owner", "recipient", "user", "customerName", "holder", "author"}, func(w *writer) { w.slot("per") }},
	{[]string{"first_name", "firstName", "given_name", "first", "Vorname", "nombre", "prenom"}, func(w *writer) { w.slot("first") }},
	{[]string{"last_name", "lastName", "surname", "family_name", "last", "Nachname", "apellido", "nom"}, func(w *writer) { w.slot("last") }},
	{[]string{"city", "town", "place", "City", "Ort", "ville", "ciudad", "location", "cityName", "origin", "destination"}, func(w *writer) { w.slot("city") }},
	{[]string{"street", "address", "address1", "street_address", "addressLine1", "Strasse", "rue", "calle"}, func(w *writer) { w.slot("street") }},
	{[]string{"zip", "postal_code", "postcode", "postalCode", "PLZ", "zipCode", "cp", "cep"}, func(w *writer) { w.slot("zip") }},
	{[]string{"country", "Country", "land", "pais", "country_name"}, func(w *writer) { w.slot("country") }},
	{[]string{"state", "province", "region", "county"}, func(w *writer) { w.slot("state") }},
	{[]string{"company", "organization", "employer", "vendor", "bank", "merchant"}, func(w *writer) { w.slot("org") }},
	{[]string{"email", "e_mail", "mail", "contact_email"}, func(w *writer) { w.slot("email") }},
	{[]string{"phone", "mobile", "tel", "phone_number"}, func(w *writer) { w.slot("phone") }},
	{[]string{"id", "order_id", "ref", "customer_no", "account", "nr", "number", "iban", "ssn"}, func(w *writer) { w.code() }},
	{[]string{"sku", "code", "part", "serial", "batch", "tracking"}, func(w *writer) { w.code() }},
	{[]string{"date", "created_at", "dob", "birth_date", "timestamp", "ts"}, func(w *writer) { w.slot("date") }},
	{[]string{"amount", "price", "total", "balance", "qty", "count"}, func(w *writer) {
		w.put(w.pick([]string{w.small("n3") + "." + w.small("d2"), w.small("n2"), w.small("n4") + ",00"}), names.None)
	}},
	{[]string{"product", "item", "title", "description", "article", "plan"}, func(w *writer) { w.thing() }},
	{[]string{"status", "type", "level", "category", "currency", "gender", "state"}, func(w *writer) { w.state2() }},
	{[]string{"username", "login", "user_id", "handle"}, func(w *writer) { w.slot("user") }},
	{[]string{"note", "comment", "message"}, func(w *writer) {
		w.put(w.pick([]string{"call back", "ok", "vip", "do not disturb", "n/a", "second floor", "paid in cash", ""}), names.None)
	}},
	{[]string{"ip", "host", "user_agent"}, func(w *writer) { w.slot("ip") }},
}

// code writes an identifier of letters and digits.
func (w *writer) code() {
	var b strings.Builder
	for i := range 1 + w.r.IntN(3) {
		if i > 0 {
			b.WriteString(w.pick([]string{"-", "-", "/", " ", "."}))
		}
		letters := w.chance(0.5)
		for range 2 + w.r.IntN(6) {
			if letters {
				b.WriteString(w.small("A"))
			} else {
				b.WriteString(w.small("d1"))
			}
		}
		if letters && w.chance(0.4) {
			b.WriteString(w.small("d3"))
		}
	}
	s := b.String()
	if w.chance(0.15) {
		s = strings.ToLower(s)
	}
	w.put(s, names.None)
}

func (w *writer) setLands() {
	w.chooseLand()
	w.culture = nil
}

// table writes rows with one of the separators, with or without a heading.
func (w *world) table() example {
	wr := writer{world: w}
	switch n := w.r.IntN(100); {
	case n < 8:
		wr.low = true
	case n < 16:
		wr.up = true
	}
	wr.setLands()
	var cols []*column
	for range 2 + w.r.IntN(7) {
		k := w.r.IntN(len(columns))
		if w.chance(0.4) {
			k = w.r.IntN(9)
		}
		cols = append(cols, &columns[k])
	}
	sep := w.pick([]string{",", ",", ";", ";", "\t", "|", " | ", ", "})
	if w.chance(0.6) {
		for i, c := range cols {
			if i > 0 {
				wr.b.WriteString(sep)
			}
			wr.b.WriteString(w.pick(c.names))
		}
		wr.b.WriteString("\n")
	}
	for range 1 + w.r.IntN(5) {
		wr.setLands()
		for i, c := range cols {
			if i > 0 {
				wr.b.WriteString(sep)
			}
			wr.cell(c, sep)
		}
		wr.b.WriteString("\n")
	}
	return example{text: wr.b.String(), gold: wr.gold, weight: 1}
}

// cell writes a value, in quotes where the separator is in it.
func (w *writer) cell(c *column, sep string) {
	sub := writer{world: w.world, low: w.low, up: w.up}
	c.write(&sub)
	s := sub.b.String()
	quote := ""
	if strings.Contains(s, strings.TrimSpace(sep)) && strings.TrimSpace(sep) != "" || strings.Contains(s, "\n") || w.chance(0.05) {
		quote = `"`
	}
	w.b.WriteString(quote)
	w.embed(&sub)
	w.b.WriteString(quote)
}

// embed writes what another has written.
func (w *writer) embed(sub *writer) {
	at := w.b.Len()
	w.b.WriteString(sub.b.String())
	for _, g := range sub.gold {
		w.gold = append(w.gold, names.Gold{Start: g.Start + at, End: g.End + at, Kind: g.Kind})
	}
}

// object writes an object as it stands in a text: JSON, also with escaped
// quotes, or the notation of a log line, a query, a form, XML or YAML.
func (w *world) object() example {
	wr := writer{world: w}
	switch n := w.r.IntN(100); {
	case n < 6:
		wr.low = true
	case n < 12:
		wr.up = true
	}
	type form struct{ before, assign, after, between, begin, end string }
	forms := []form{
		{`"`, `": "`, `"`, `, `, `{`, `}`},
		{`"`, `":"`, `"`, `,`, `{`, `}`},
		{`\"`, `\": \"`, `\"`, `, `, `{`, `}`},
		{`\"`, `\":\"`, `\"`, `,`, `{`, `}`},
		{`'`, `': '`, `'`, `, `, `{`, `}`},
		{``, `: `, ``, "\n", ``, "\n"},
		{``, `: `, ``, `, `, ``, ``},
		{``, `: `, ``, ` | `, ``, ``},
		{``, `: `, ``, `; `, `(`, `)`},
		{``, `="`, `"`, ` `, ``, ``},
		{``, `=`, ``, `&`, `?`, ``},
		{``, `=`, ``, `, `, `[`, `]`},
		{``, ` = `, ``, "\n", ``, ``},
		{``, `:`, ``, ` `, ``, ``},
		{`- `, `: "`, `"`, "\n", ``, ``},
		{`<`, `>`, `</x>`, ``, `<record>`, `</record>`},
		{`<dt>`, `</dt><dd>`, `</dd>`, ``, `<dl>`, `</dl>`},
		{``, "\t", ``, "\n", ``, ``},
		{`**`, `:** `, ``, "\n", ``, ``},
	}
	f := forms[w.r.IntN(len(forms))]
	human := w.chance(0.3) && !strings.HasPrefix(f.before, "<")
	wr.put(w.pick([]string{"", "", "", "2025-03-01T10:00:00Z INFO ", "Result: ", "payload ", "New lead\n", "Here is the record:\n", "```\n"}), names.None)
	wr.put(f.begin, names.None)
	total := fieldWeights()
	for i := range 2 + w.r.IntN(7) {
		if i > 0 {
			wr.b.WriteString(f.between)
		}
		var key string
		sub := writer{world: w, low: wr.low, up: wr.up}
		sub.setLands()
		if w.chance(0.5) {
			c := &columns[w.r.IntN(len(columns))]
			key = w.pick(c.names)
			c.write(&sub)
		} else {
			e := w.field(total)
			key = e.key
			sub.b.WriteString(e.text)
			sub.gold = e.gold
		}
		if human {
			key = title1(strings.ReplaceAll(key, "_", " "), true)
		}
		wr.b.WriteString(f.before + key + f.assign)
		wr.embed(&sub)
		after := f.after
		if after == "</x>" {
			after = "</" + key + ">"
		}
		wr.b.WriteString(after)
	}
	wr.put(f.end, names.None)
	return example{text: wr.b.String(), gold: wr.gold, weight: 1}
}

// block writes an address as on a letter, each line behind a mark or none.
func (w *world) block() example {
	wr := writer{world: w}
	switch n := w.r.IntN(100); {
	case n < 12:
		wr.low = true
	case n < 17:
		wr.up = true
	}
	wr.setLands()
	wr.newPerson()
	mark := w.pick([]string{"", "", "", "", ">", "> ", "| ", "\t", "  ", " ", "- ", "* ", "// ", "# ", "… ", "|| ", "+ "})
	line := func(write func()) {
		wr.put(mark, names.None)
		write()
		wr.put("\n", names.None)
	}
	if w.chance(0.3) {
		wr.put(w.pick([]string{"Ship to:\n", "Address:\n", "Dear Sir or Madam,\n\n", "Invoice to\n", "From:\n", "Please send it to:\n", "Contact\n"}), names.None)
	}
	if w.chance(0.75) {
		line(func() {
			if w.chance(0.25) {
				wr.slot("title")
				wr.put(" ", names.None)
			}
			wr.slot("per")
		})
		if mark == "" && w.chance(0.15) {
			wr.put("\n", names.None)
		}
	}
	if w.chance(0.15) {
		line(func() { wr.put(spaced(w.pick(w.things.lists["role"])), names.None) })
	}
	if w.chance(0.3) {
		line(func() { wr.slot("org") })
	}
	line(func() {
		if w.chance(0.15) {
			wr.put(wr.small("n2")+" "+w.street(), names.Place)
		} else {
			wr.slot("street")
		}
	})
	if w.chance(0.3) {
		line(func() {
			wr.put(w.pick([]string{"Apt. ", "Suite ", "Unit ", "Flat ", "Floor ", "Apt "})+wr.small("d3"), names.Place)
		})
	}
	caps := w.chance(0.3) && !wr.low
	city := func() {
		if caps {
			wr.put(strings.ToUpper(w.city()), names.Place)
			return
		}
		wr.slot("city")
	}
	switch w.r.IntN(5) {
	case 0:
		line(city)
		line(func() { wr.slot("zip") })
	case 1:
		line(func() { wr.slot("zipcity") })
	case 2:
		line(func() { city(); wr.put(w.pick([]string{" ", ", "}), names.None); wr.slot("zip") })
	case 3:
		line(func() { city(); wr.put(", ", names.None); wr.slot("code"); wr.put(" ", names.None); wr.slot("zip") })
	case 4:
		line(func() { city() })
		line(func() { wr.slot("country"); wr.put(" ", names.None); wr.slot("zip") })
	}
	if w.chance(0.4) {
		line(func() { wr.slot("country") })
	}
	if w.chance(0.3) {
		line(func() {
			wr.put(w.pick([]string{"Tel. ", "Phone: ", "T: ", "", "Fon ", "Mobile "}), names.None)
			wr.slot("phone")
		})
	}
	if w.chance(0.2) {
		line(func() { wr.slot("email") })
	}
	return example{text: wr.b.String(), gold: wr.gold, weight: 1}
}
