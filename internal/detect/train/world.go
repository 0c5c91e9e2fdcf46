package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// world is what made-up texts are filled with.
type world struct {
	r         *rand.Rand
	cultures  []*section
	weights   int
	countries []*section
	cweights  int
	orgs      *section
	things    *section
	nations   []string
	first     []string // of the census, most frequent first
	last      []string
	cities    []string
	populous  []string
	lands     []string
	culture   *section // of the person that is being made
	land      *section
	grammar   *grammar
	// plainWords are words that are no names.
	plainWords []string
}

func newWorld(dir string, seed uint64) (*world, error) {
	w := &world{r: rand.New(rand.NewPCG(seed, 1)), grammar: readGrammar()}
	w.cultures = readSections("people.txt")
	for _, c := range w.cultures {
		w.weights += c.weight
	}
	w.countries = readSections("places.txt")
	for _, c := range w.countries {
		w.cweights += c.weight
	}
	w.orgs = readSections("orgs.txt")[0]
	w.things = readSections("things.txt")[0]
	for _, line := range readSections("nations.txt")[0].lines {
		w.nations = append(w.nations, strings.Fields(line)...)
	}
	for _, s := range readSections("words.txt") {
		if s.name == "1" || s.name == "2" {
			for _, line := range s.lines {
				w.plainWords = append(w.plainWords, strings.Fields(line)...)
			}
		}
	}
	err := eachRow(filepath.Join(dir, "gazetteers/first.txt"), func(s string, _ int) { w.first = append(w.first, title(s)) })
	if err == nil {
		err = eachRow(filepath.Join(dir, "gazetteers/last.txt"), func(s string, n int) {
			if n < 30000 {
				w.last = append(w.last, title(s))
			}
		})
	}
	if err == nil {
		err = eachRow(filepath.Join(dir, "gazetteers/city.txt"), func(s string, n int) {
			w.cities = append(w.cities, title(s))
			if n > 250000 {
				w.populous = append(w.populous, title(s))
			}
		})
	}
	if err == nil {
		err = eachRow(filepath.Join(dir, "gazetteers/country.txt"), func(s string, _ int) { w.lands = append(w.lands, title(s)) })
	}
	return w, err
}

// eachRow reads "name tab number" lines.
func eachRow(file string, f func(name string, n int)) error {
	h, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("reading a gazetteer: %w", err)
	}
	defer h.Close()
	sc := bufio.NewScanner(h)
	for sc.Scan() {
		name, num, _ := strings.Cut(sc.Text(), "\t")
		n, _ := strconv.Atoi(num)
		if name != "" {
			f(name, n)
		}
	}
	return sc.Err()
}

// title writes words with a capital; small words between others stay small.
func title(s string) string {
	var b strings.Builder
	up := true
	for i, w := range strings.SplitAfter(s, " ") {
		if i > 0 {
			switch strings.TrimSpace(w) {
			case "of", "and", "de", "la", "le", "les", "del", "do", "da", "dos", "am", "an", "der", "im", "sur", "en", "the", "upon", "di", "al", "el", "den", "van", "nad", "pod":
				b.WriteString(w)
				continue
			}
		}
		up = true
		for _, r := range w {
			if up && unicode.IsLetter(r) {
				r = unicode.ToUpper(r)
				up = false
			} else if r == '-' || r == '\'' && i == 0 && utf8.RuneCountInString(w) > 4 && strings.IndexRune(w, r) == 1 {
				up = true
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}

func (w *world) pick(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[w.r.IntN(len(list))]
}

func (w *world) either(a, b []string) []string {
	if w.chance(0.5) {
		return a
	}
	return b
}

// often picks one of the first of a list more often than one of the last.
func (w *world) often(list []string) string {
	f := w.r.Float64()
	return list[int(f*f*f*float64(len(list)))]
}

func (w *world) chance(p float64) bool { return w.r.Float64() < p }

func (w *world) chooseCulture(want ...string) {
	if len(want) > 0 && want[0] != "" && w.chance(0.8) {
		var of []*section
		for _, c := range w.cultures {
			for _, n := range want {
				if c.name == n {
					of = append(of, c)
				}
			}
		}
		if len(of) > 0 {
			w.culture = of[w.r.IntN(len(of))]
			return
		}
	}
	n := w.r.IntN(w.weights)
	for _, c := range w.cultures {
		if n -= c.weight; n < 0 {
			w.culture = c
			return
		}
	}
}

// western reports whether names of the culture are written in an alphabet
// with capitals.
func (w *world) western() bool {
	switch w.culture.name {
	case "he", "zh", "ja", "ko":
		return false
	}
	return true
}

func hasCapitals(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsUpper(r) || unicode.IsLower(r)
}

func (w *world) given() string {
	switch {
	case w.culture.name == "us" && w.chance(0.7):
		return w.often(w.first)
	case w.western() && w.chance(0.05):
		return w.invented(2)
	}
	return w.pick(w.culture.lists["given"])
}

func (w *world) family() string {
	switch {
	case w.culture.name == "us" && w.chance(0.7):
		return w.often(w.last)
	case w.western() && w.chance(0.08):
		return w.invented(3)
	case w.western() && w.chance(0.08):
		return w.pick(w.last)
	}
	f := w.pick(w.culture.lists["family"])
	if r, _ := utf8.DecodeRuneInString(f); strings.Contains(f, "-") && (unicode.IsLower(r) || strings.HasPrefix(f, "De-") || strings.HasPrefix(f, "Da-") || strings.HasPrefix(f, "St.") || strings.HasPrefix(f, "Le-") || strings.HasPrefix(f, "Abd-") || strings.HasPrefix(f, "Van-") || strings.HasPrefix(f, "Dela-")) && !strings.HasPrefix(f, "al-") {
		f = spaced(f)
	}
	return f
}

// invented makes up a name that nobody has, so that how a name is used counts
// for more than that it is known.
func (w *world) invented(syllables int) string {
	on := strings.Split("b c d f g h j k l m n p r s t v w z br dr gr kr tr st sch th ch sh kl pl vl zh ny ts", " ")
	mid := strings.Split("a e i o u a e i o ai au ei ie ou ü ö á é í ó ă y", " ")
	end := strings.Split("n r s l k t m sky ov er en in ez es ić ska ini elli sen son mann berg oğlu enko ian ard ault wicz ák ová as is os u o a i", " ")
	var b strings.Builder
	for range 1 + w.r.IntN(syllables) {
		b.WriteString(w.pick(on))
		b.WriteString(w.pick(mid))
	}
	if w.chance(0.7) {
		b.WriteString(w.pick(end))
	}
	return title(b.String())
}

func (w *world) initial() string {
	r, _ := utf8.DecodeRuneInString(w.given())
	return string(unicode.ToUpper(r))
}

// person makes a name as somebody may have written it. A new culture is chosen
// where none is kept.
func (w *world) person() string {
	g, f := w.given(), w.family()
	if !hasCapitals(g) {
		switch w.culture.name {
		case "zh", "ja", "ko":
			return f + g
		}
		return g + " " + f
	}
	switch n := w.r.IntN(100); {
	case n < 44:
		return g + " " + f
	case n < 51:
		return g + " " + w.initial() + ". " + f
	case n < 56:
		return w.initial() + ". " + f
	case n < 58:
		return w.initial() + "." + w.initial() + ". " + f
	case n < 60:
		return w.initial() + ". " + w.initial() + ". " + f
	case n < 68:
		return f + ", " + g
	case n < 70:
		return f + ", " + g + " " + w.initial() + "."
	case n < 74:
		return g + " " + w.given() + " " + f
	case n < 78:
		return g + " " + f + w.pick([]string{"-", " ", "-", " y "}) + w.family()
	case n < 80:
		return g + "-" + w.given() + " " + f
	case n < 83:
		return strings.ToUpper(g + " " + f)
	case n < 85:
		return strings.ToUpper(f) + " " + g
	case n < 87:
		return strings.ToUpper(f) + w.pick([]string{" ", ", "}) + strings.ToUpper(g)
	case n < 93:
		return strings.ToLower(g + " " + f)
	case n < 94:
		return f + " " + w.initial() + "."
	case n < 95:
		return f + " " + g
	case n < 96:
		return g + " " + f + w.pick([]string{" Jr.", " III", " Jr", " Sr."})
	case n < 97:
		return g + " \"" + w.given() + "\" " + f
	case n < 98:
		return g
	}
	return g + " " + f
}

func (w *world) lastFirst() string {
	g, f := w.given(), w.family()
	if w.chance(0.2) {
		g += " " + w.initial() + "."
	}
	return f + ", " + g
}

func (w *world) city() string {
	switch n := w.r.IntN(100); {
	case n < 40:
		return w.pick(w.populous)
	case n < 75:
		return w.pick(w.cities)
	case n < 78:
		return w.pick([]string{"North ", "South ", "East ", "West ", "New ", "Port ", "Lake ", "Fort ", "Saint ", "St. ", "Bad ", "San ", "Santa ", "Mount ", "Upper ", "Lower "}) + w.pick(w.either(w.last, w.first))
	case n < 86:
		return w.pick(w.last) + w.pick([]string{"ville", "ton", "burg", "berg", "town", "field", "ford", "ham", "wood", "dorf", "stad", "by", "mouth", "port", "land", "side", "shire", "view", "haven", "bury", "chester", "stadt", "hausen", "sur-Mer", " Heights", " Springs", " Beach", " Falls", " City", " Park", " Hills"})
	case n < 89:
		return w.pick([]string{"Villa ", "San ", "Santa ", "São ", "Saint-", "Sainte-", "Bad ", "Sankt ", "Colonia ", "Vila ", "Castel ", "Monte ", "Puerto ", "Nova ", "Nowy ", "Nové ", "Stara "}) + w.given()
	case n < 93:
		return w.invented(3)
	case n < 95:
		return w.pick(w.cities) + w.pick([]string{" an der ", "-sur-", " am ", " de ", " nad ", " upon ", " del ", " do "}) + w.pick(w.last)
	}
	return w.pick(w.cities)
}

// cldr gives the names of countries in many languages.
var cldr = []language.Tag{language.German, language.French, language.Spanish, language.Italian, language.Portuguese, language.Dutch, language.Polish, language.Czech, language.Swedish, language.Danish, language.Finnish, language.Turkish, language.Hungarian, language.Romanian, language.Indonesian, language.Vietnamese, language.Russian, language.Ukrainian, language.Greek, language.Arabic, language.Hebrew, language.Hindi, language.Chinese, language.Japanese, language.Korean, language.Thai}

func countryNames(t language.Tag) []string {
	var out []string
	n := display.Regions(t)
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			r, err := language.ParseRegion(string(a) + string(b))
			if err != nil || !r.IsCountry() {
				continue
			}
			if s := n.Name(r); s != "" && utf8.RuneCountInString(s) > 1 {
				out = append(out, s)
			}
		}
	}
	return out
}

func (w *world) chooseLand() {
	n := w.r.IntN(w.cweights)
	for _, c := range w.countries {
		if n -= c.weight; n < 0 {
			w.land = c
			return
		}
	}
}

// form fills the {slots} of a list's entry.
func (w *world) form(s string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '{')
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		j := i + strings.IndexByte(s[i:], '}')
		b.WriteString(s[:i])
		b.WriteString(w.small(s[i+1 : j]))
		s = s[j+1:]
	}
}

func (w *world) small(slot string) string {
	switch {
	case slot == "n":
		return strconv.Itoa(1 + w.r.IntN(400))
	case slot[0] == 'n' && len(slot) == 2:
		top := 1
		for range int(slot[1]-'0') - w.r.IntN(int(slot[1]-'0')) {
			top *= 10
		}
		return strconv.Itoa(1 + w.r.IntN(top-1))
	case slot[0] == 'd' && len(slot) == 2:
		var b strings.Builder
		for range slot[1] - '0' {
			b.WriteByte(byte('0' + w.r.IntN(10)))
		}
		return b.String()
	case slot == "A":
		return string(rune('A' + w.r.IntN(26)))
	case slot == "a":
		return string(rune('a' + w.r.IntN(6)))
	case slot == "first":
		return w.given()
	case slot == "last":
		return w.family()
	case slot == "city":
		return w.city()
	case slot == "country":
		return w.country()
	case slot == "name":
		return w.form(spaced(w.pick(w.land.lists["name"])))
	case slot == "unit":
		return w.form(w.pick(w.land.lists["unit"]))
	case slot == "product-noun":
		return w.pick(w.things.lists["product-noun"])
	case slot == "model":
		return w.pick(w.things.lists["model"])
	}
	if l := w.land.lists[slot]; len(l) > 0 {
		return w.form(w.pick(l))
	}
	return slot
}

func (w *world) street() string {
	if w.culture == nil || !w.western() {
		w.chooseCulture("us", "en-gb", "de", "fr", "es")
	}
	keep := w.culture
	if !hasCapitals(w.culture.lists["given"][0]) || w.culture.name == "ru-cyr" {
		w.chooseCulture("us")
	}
	s := w.form(w.pick(w.land.lists["street"]))
	w.culture = keep
	if w.chance(0.1) {
		s = strings.ReplaceAll(s, "  ", " ")
	}
	return s
}

func (w *world) zip() string { return w.form(w.pick(w.land.lists["code-format"])) }

func (w *world) state() string {
	if l := w.land.lists["state"]; len(l) > 0 && w.chance(0.8) {
		return spaced(w.pick(l))
	}
	return spaced(w.pick(w.countries[0].lists["state"]))
}

func (w *world) country() string {
	if w.chance(0.12) {
		return w.pick([]string{"USA", "UK", "U.S.", "U.K.", "US", "UAE", "EU", "United States of America", "Great Britain", "Holland", "Deutschland", "España", "Brasil", "Italia", "Schweiz", "Österreich", "Polska", "Türkiye"})
	}
	return w.pick(w.lands)
}

func (w *world) org() string {
	o := w.orgs.lists
	switch n := w.r.IntN(100); {
	case n < 30:
		return spaced(w.pick(o["known"]))
	case n < 45:
		return w.family() + " " + w.pick(o["branch"]) + w.maybe(0.4, " "+spaced(w.pick(o["suffix"])))
	case n < 55:
		return w.family() + " " + spaced(w.pick(o["suffix"]))
	case n < 65:
		return spaced(w.form(w.pick(o["last-org"])))
	case n < 75:
		return w.form(spaced(w.pick(o["place-org"])))
	case n < 90:
		return spaced(w.pick(o["stem"])) + " " + w.pick(o["branch"]) + w.maybe(0.5, " "+spaced(w.pick(o["suffix"])))
	case n < 93:
		return spaced(w.pick(o["stem"])) + spaced(w.pick([]string{"soft", "tech", "net", "ware", "corp", "media", "bank", "pay", "works"}))
	case n < 96:
		return w.invented(2) + " " + spaced(w.pick(o["suffix"]))
	}
	return spaced(w.pick(o["stem"])) + " " + spaced(w.pick(o["suffix"]))
}

func (w *world) maybe(p float64, s string) string {
	if w.chance(p) {
		return s
	}
	return ""
}

func (w *world) product() string {
	t := w.things.lists
	if w.land == nil {
		w.chooseLand()
	}
	switch n := w.r.IntN(120); {
	case n >= 100:
		return w.namedThing()
	case n < 30:
		return spaced(w.pick(t["brand"])) + " " + w.pick(t["product-noun"])
	case n < 42:
		return spaced(w.pick(t["brand"])) + " " + spaced(w.pick(t["model"]))
	case n < 50:
		return spaced(w.pick(t["brand"])) + " " + w.small("n3")
	case n < 62:
		return spaced(w.form(w.pick(t["place-product"])))
	case n < 80:
		return spaced(w.form(w.pick(t["person-product"])))
	case n < 86:
		return w.city() + " " + title(w.pick(t["product-noun"])) + w.maybe(0.4, " "+title(w.pick(t["product-noun"])))
	case n < 92:
		return title(w.pick(t["product-noun"])) + " " + spaced(w.pick(t["model"]))
	}
	return spaced(w.pick(t["brand"]))
}

// namedThing is a thing that is called after somebody or a place: what follows
// the name says so.
func (w *world) namedThing() string {
	if w.culture == nil || !w.western() || w.culture.name == "ru-cyr" {
		w.chooseCulture("us", "en-gb", "de", "fr", "es", "it")
	}
	if !w.western() || w.culture.name == "ru-cyr" {
		w.chooseCulture("us")
	}
	name := w.given()
	switch w.r.IntN(6) {
	case 0:
		name = w.family()
	case 1:
		name += " " + w.family()
	case 2:
		name = w.pick(w.populous)
	case 3:
		name = w.pick(w.cities)
	case 4:
		name = w.country()
	}
	noun := func() string {
		if w.chance(0.6) {
			return w.pick(w.plainWords)
		}
		return w.pick(w.things.lists[w.pick([]string{"product-noun", "word", "math-noun"})])
	}
	s := name
	for range 1 + w.r.IntN(3) {
		n := noun()
		switch w.r.IntN(8) {
		case 0:
			n = title(n)
		case 1:
			n = strings.ToUpper(n[:min(len(n), 3)])
		}
		s += " " + n
	}
	if w.chance(0.15) {
		s += " " + w.small("n3")
	}
	return s
}

func (w *world) math() string {
	t := w.things.lists
	s := spaced(w.pick(t["math"]))
	if w.chance(0.15) {
		s += "-" + spaced(w.pick(t["math"]))
	}
	if w.chance(0.1) {
		s = w.family()
	}
	if w.chance(0.3) {
		return s + " " + w.pick(w.plainWords)
	}
	return s + " " + w.pick(t["math-noun"])
}

func (w *world) tech() string {
	t := w.things.lists
	s := spaced(w.pick(t["tech"]))
	if w.chance(0.2) {
		s += " " + w.pick([]string{"build", "pipeline", "cluster", "server", "client", "migration", "plugin", "driver", "operator", "upgrade", "patch", "workflow", "queue", "API", "SDK", "3.11", "14", "2.0", "v2", "CLI", "pod", "job"})
	}
	return s
}
