package main

import (
	"fmt"
	"strings"
)

// customer are the personal values of customer i, of the kinds that patterns
// find.
func customer(i int) (email, phone, card, ssn, ip string) {
	return fmt.Sprintf("customer%d@example.com", i), fmt.Sprintf("+1 202 555 0%03d", i%1000), cardNumber(i),
		fmt.Sprintf("078-05-%04d", 1000+i%9000), fmt.Sprintf("192.0.2.%d", i%250)
}

// cardNumber is a number of the kind that cards have, with its check digit
// (ISO/IEC 7812-1).
func cardNumber(i int) string {
	digits := fmt.Sprintf("41111111%07d", i%10_000_000)
	sum := 0
	for k, c := range digits {
		d := int(c - '0')
		if k%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	digits += fmt.Sprint((10 - sum%10) % 10)
	return digits[:4] + " " + digits[4:8] + " " + digits[8:12] + " " + digits[12:]
}

// records makes a JSON document of n customers with five personal values each.
func records(n int) []byte { return recordsFrom(0, n) }

// recordsFrom is records of customers from first on.
func recordsFrom(first, n int) []byte {
	var b strings.Builder
	b.WriteString(`{"page":1,"total":` + fmt.Sprint(n) + `,"customers":[`)
	for i := first; i < first+n; i++ {
		if i > first {
			b.WriteByte(',')
		}
		email, phone, card, ssn, ip := customer(i)
		fmt.Fprintf(&b, `{"id":%d,"email":"%s","phone":"%s","card":"%s","ssn":"%s","ip":"%s","tier":"gold","active":true,"balance":1024.50,"notes":"Prefers letters, renewed in spring, order A-%d."}`,
			i, email, phone, card, ssn, ip, i)
	}
	b.WriteString("]}")
	return []byte(b.String())
}

// valuesOf are the personal values of records(n).
func valuesOf(n int) []string { return valuesFrom(0, n) }

func valuesFrom(first, n int) []string {
	var all []string
	for i := first; i < first+n; i++ {
		email, phone, card, ssn, ip := customer(i)
		all = append(all, email, phone, card, ssn, ip)
	}
	return all
}

// person is what a record of people says of person i.
type person struct{ name, email, phone, born, iban, street, city, postcode, account string }

// What people are made of.
var (
	firstNames  = strings.Fields("Anna James Maria Peter Sofia Thomas Laura David Emma Michael Julia Robert Sarah Daniel Hannah Martin Claudia Andrew Monica Stefan Teresa William Petra George Lena Patrick Irene Simon Vera Oliver Nina Marco Alice Henry Clara Lucas Eva Paul Marta Felix Ruth Victor Ida Hugo Nora Leon Greta")
	familyNames = strings.Fields("Schmidt Miller Rossi Novak Taylor Fischer Garcia Johnson Weber Becker Moreau Jansen Larsen Kowalski Wagner Bennett Romano Horvath Lindqvist Murphy Keller Santos Dubois Nielsen Walker Ferrari Hughes Krueger Ortega Petersen Sullivan Vogel Marino Hansen Cooper Richter Silva Berger Olsen Doyle Conti Parker Meyer")
	cities      = strings.Fields("Berlin Hamburg Cologne Leipzig Bremen Dresden Hanover Nuremberg Stuttgart Munich Dortmund Essen Bochum Bonn Mainz Kassel Rostock Erfurt Freiburg")
	streets     = strings.Fields("Lindenstrasse Hauptstrasse Schillerstrasse Gartenweg Bahnhofstrasse Goethestrasse Bergstrasse Kirchgasse Ringstrasse Mozartstrasse Waldweg")
)

func personOf(i int) person {
	// The lists' lengths share no divisor: a name comes with all others before it
	// comes with the same again.
	first, last := firstNames[i%len(firstNames)], familyNames[i*7%len(familyNames)]
	city, street := cities[i*5%len(cities)], streets[i*3%len(streets)]
	return person{
		name: first + " " + last, email: strings.ToLower(first+"."+last) + "@example.org", phone: fmt.Sprintf("+49 30 901820%02d", i%100),
		born: fmt.Sprintf("19%02d-%02d-%02d", 50+i%50, 1+i%12, 1+i%28), iban: germanIBAN(i),
		street: fmt.Sprintf("%s %d", street, 1+i%90), city: city, postcode: fmt.Sprintf("1%04d", 115+i%8000),
		account: fmt.Sprintf("3f2a6c1e-58d1-4b7e-9c0a-%012x", 0x5eed_0000_0000+i*7919),
	}
}

// germanIBAN is account i at a bank that there is not, with its check digits
// (ISO 13616).
func germanIBAN(i int) string {
	number := fmt.Sprintf("50010517%010d", i%10_000_000)
	rest := 0
	for _, c := range number + "131400" { // D, E, and 00 in place of the check digits
		rest = (rest*10 + int(c-'0')) % 97
	}
	return fmt.Sprintf("DE%02d%s", 98-rest, number)
}

// peopleFrom makes a JSON document of n people from first on, with objects in
// it, and names, dates and numbers of other kinds than records has.
func peopleFrom(first, n int) []byte {
	var b strings.Builder
	b.WriteString(`{"items":[`)
	for i := first; i < first+n; i++ {
		if i > first {
			b.WriteByte(',')
		}
		p := personOf(i)
		fmt.Fprintf(&b, `{"id":"%s","name":"%s","contact":{"email":"%s","phone":"%s"},"dateOfBirth":"%s","iban":"%s","address":{"street":"%s","city":"%s","postalCode":"%s"},"updatedAt":"2026-0%d-1%dT10:%02d:00Z","score":0.%d,"state":"active"}`,
			p.account, p.name, p.email, p.phone, p.born, p.iban, p.street, p.city, p.postcode, 1+i%9, i%10, i%60, 1+i%97)
	}
	b.WriteString(`],"next":null}`)
	return []byte(b.String())
}

// peopleValues are the personal values of peopleFrom(0, n).
func peopleValues(n int) []string {
	var all []string
	for i := range n {
		p := personOf(i)
		all = append(all, p.name, p.email, p.phone, p.born, p.iban, p.street, p.city, p.postcode)
	}
	return all
}

// chatValues are the personal values in chatText.
func chatValues() []string { return valuesOf(6) }

// chatText is a model's answer with personal values in it, of six customers
// from first on.
func chatText(first int) string {
	sentences := []string{
		"Customer A-%d writes from %s most of the time. ",
		"For order A-%d the number to call is %s, in the morning. ",
		"Order A-%d was paid with %s in spring. ",
		"Form A-%d says %s where it asks for the number. ",
		"Login A-%d came from %s, a week ago. ",
	}
	var b strings.Builder
	for i, v := range valuesFrom(first, 6) {
		fmt.Fprintf(&b, sentences[i%len(sentences)], 5*first+i, v)
	}
	return b.String()
}

// chatEvents is chatText as a stream of n events of a chat completion: no
// value is in one event alone.
func chatEvents(n int) [][]byte { return chatEventsFrom(0, n) }

func chatEventsFrom(first, n int) [][]byte {
	event := func(delta, finish string) []byte {
		return fmt.Appendf(nil, `data: {"id":"chatcmpl-7QyqpwdfhqwajicIEznoc6Q47XAyW","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o-mini","choices":[{"index":0,"delta":%s,"finish_reason":%s}]}`+"\n\n", delta, finish)
	}
	text := chatText(first)
	events := [][]byte{event(`{"role":"assistant","content":""}`, "null")}
	tokens := n - 3
	for i := range tokens {
		events = append(events, event(fmt.Sprintf(`{"content":%q}`, text[len(text)*i/tokens:len(text)*(i+1)/tokens]), "null"))
	}
	return append(events, event("{}", `"stop"`), []byte("data: [DONE]\n\n"))
}

// messagesOf puts events into messages as a data plane does that reads what
// has come in: mostly one, at times a few.
func messagesOf(events [][]byte) [][]byte {
	var out [][]byte
	for i := 0; len(events) > 0; i++ {
		n := min([]int{1, 1, 2, 1, 3, 1, 1, 4}[i%8], len(events))
		var m []byte
		for _, e := range events[:n] {
			m = append(m, e...)
		}
		out = append(out, m)
		events = events[n:]
	}
	return out
}
