package detect

import (
	"math/bits"
	"strings"
)

// Kinds of fields and words that speak against a finding. They are numbered
// behind the entities.
const (
	flagNumber  uint8 = 184 + iota // orders, hashes, counts and the like
	flagVersion                    // versions and object identifiers
	flagDate                       // dates and times
	flagAbout                      // in a name: it is about the thing, and not the thing
	flagLast                       // the same, where it is the last word of the name
)

// Words that speak against.
const (
	numberHints  = "order|orders|order id|order no|orderid|order number|invoice|invoices|tracking|trackingnumber|tracking number|reference|ref|serial|serial number|sku|ticket|tickets|case|isbn|ean|upc|gtin|asin|mpn|part|part number|model|transaction|txn|transaction id|batch|lot|commit|hash|sha|sha1|sha256|md5|etag|checksum|digest|uuid|guid|trace|span|nonce|request|request id|requestid|correlation|seq|sequence|count|counter|total|amount|price|cost|sum|balance|size|bytes|offset|length|qty|quantity|index|port|status|latency|duration|product|item|event|job|task|thread|pid|range|ratio|score|rev|revision|build|color|colour|width|height|weight|limit|page|line|row|position|flight|shipment|parcel|package|bestellung|bestellnummer|rechnung|rechnungsnummer|auftrag|commande|facture|pedido|factura|fatura|ordine|fattura|seed|block|height|depth|ratio|points|cents|rate|percent|isin|cusip|doi|pmid|issn|article|bug|issue|pr|pull request|ext id|message id|msg id|post id|tweet|video|channel|campaign|coupon|voucher|stock|quantity|asset|device serial"
	versionHints = "version|versions|ver|release|oid|firmware|chrome|firefox|safari|edge|agent|user agent|useragent|build|semver|driver version|v|kernel|sdk|api version"
	aboutHints   = "next|page|continuation|cursor|count|total|max|min|prompt|completion|cached|reasoning|budget|limit|usage|dummy|fake|invalid|mock|expired|public"
	lastHints    = "id|ids|name|url|uri|path|file|filename|type|length|len|size|expires|expiry|expiration|ttl|algorithm|alg|format|policy|endpoint|class|provider|label|status|scope|scopes|issuer|enabled|required|input|output|hint|question|field|prefix|suffix|used|price|rate|in|at|group|range|verified|updated|changed|attempts|strength|column|param|parameter|header|variable|event|code|keyword|keywords|error|message|description|note|sort|kind|chars|regex|pattern|template|generator|manager|method|function|mode|grant|version|tag|selector|index|space|word|words|press|down|up|host|port|region|date|time|location|place|city|email|mail"
	dateHints    = "timestamp|time|date|created|created at|updated|updated at|modified|expires|expires at|epoch|ts|deadline|due date|issued at|deleted at|received at|sent at|iat|nbf|datum|fecha|uhrzeit"
)

// ids numbers the entities.
var ids = func() map[Entity]uint8 {
	m := make(map[Entity]uint8, len(entities))
	for i, e := range entities {
		m[e.Entity] = uint8(i)
	}
	if len(entities)+MaxCustom > int(flagNumber) {
		panic("detect: there are more entities than a set has room for")
	}
	return m
}()

// The numbers of the entities that have code of their own.
var (
	idAPIKey        = ids[APIKey]
	idAge           = ids[Age]
	idBIC           = ids[BIC]
	idCVV           = ids[CVV]
	idCardExpiry    = ids[CardExpiry]
	idCoordinates   = ids[Coordinates]
	idCreditCard    = ids[CreditCard]
	idCrypto        = ids[Crypto]
	idDateOfBirth   = ids[DateOfBirth]
	idEmail         = ids[Email]
	idIBAN          = ids[IBAN]
	idIPAddress     = ids[IPAddress]
	idJWT           = ids[JWT]
	idLicensePlate  = ids[LicensePlate]
	idMACAddress    = ids[MACAddress]
	idNRP           = ids[NRP]
	idPIN           = ids[PIN]
	idPassword      = ids[Password]
	idPhone         = ids[Phone]
	idPrivateKey    = ids[PrivateKey]
	idStreetAddress = ids[StreetAddress]
	idTitle         = ids[Title]
	idUsername      = ids[Username]
	idZIPCode       = ids[ZIPCode]
)

// phrase is what a word or phrase speaks for.
type phrase struct {
	hash        uint64
	own, shared set
}

// dictionary finds phrases by their hash.
type dictionary struct {
	phrases []phrase
	slots   []uint16 // index of a phrase and 1; 0 is free
	// A bit by hash: most words of a text are neither a phrase nor the last
	// word of one.
	filter, last [512]uint64
	some         [512]uint64 // of both, and of the words of reader.typed
	// endings has all that the phrases of more than one word speak for, by the last
	// of their words.
	endings map[uint64]set
}

// builtin is the dictionary of the package's own recognisers.
var builtin = builtinHints().dictionary()

func builtinHints() *dictionaryBuilder {
	b := newDictionary()
	b.flag(numberHints, flagNumber)
	b.flag(versionHints, flagVersion)
	b.flag(dateHints, flagDate)
	b.flag(aboutHints, flagAbout)
	b.flag(lastHints, flagLast)
	for _, family := range families() {
		for i := range family {
			b.add(family[i].hints, ids[family[i].entity], false)
			b.add(family[i].shared, ids[family[i].entity], true)
		}
	}
	return b
}

type dictionaryBuilder struct {
	phrases map[uint64]*phrase
	endings map[uint64]set // of dictionary
}

func newDictionary() *dictionaryBuilder {
	return &dictionaryBuilder{map[uint64]*phrase{}, map[uint64]set{}}
}

func (b *dictionaryBuilder) flag(phrases string, flag uint8) { b.add(phrases, flag, false) }

// add notes that each of the phrases, divided by |, speaks for id.
func (b *dictionaryBuilder) add(phrases string, id uint8, shared bool) {
	for p := range strings.SplitSeq(phrases, "|") {
		h, last := hashPhrase(p)
		if h == 0 {
			continue
		}
		if h != last {
			of := b.endings[last]
			of.add(id)
			b.endings[last] = of
		}
		e := b.phrases[h]
		if e == nil {
			e = &phrase{hash: h}
			b.phrases[h] = e
		}
		if shared {
			e.shared.add(id)
		} else {
			e.own.add(id)
		}
	}
}

func (b *dictionaryBuilder) dictionary() *dictionary {
	d := &dictionary{slots: make([]uint16, 1<<bits.Len(uint(len(b.phrases)*3))), endings: b.endings}
	for h, e := range b.phrases {
		d.phrases = append(d.phrases, *e)
		i := h & uint64(len(d.slots)-1)
		for d.slots[i] != 0 {
			i = (i + 1) & uint64(len(d.slots)-1)
		}
		d.slots[i] = uint16(len(d.phrases))
		d.filter[h>>55] |= 1 << (h >> 49 & 63)
	}
	for h := range b.endings {
		d.last[h>>55] |= 1 << (h >> 49 & 63)
	}
	for i := range d.some {
		d.some[i] = d.filter[i] | d.last[i]
	}
	for _, h := range [...]uint64{hashString, hashStr} {
		d.some[h>>55] |= 1 << (h >> 49 & 63)
	}
	return d
}

// lookup returns the number of the phrase with the hash, and 1; 0 where there
// is none.
func (d *dictionary) lookup(h uint64) uint16 {
	if d.filter[h>>55]>>(h>>49&63)&1 == 0 {
		return 0
	}
	for i := h & uint64(len(d.slots)-1); d.slots[i] != 0; i = (i + 1) & uint64(len(d.slots)-1) {
		if d.phrases[d.slots[i]-1].hash == h {
			return d.slots[i]
		}
	}
	return 0
}

// ends reports whether a phrase of more than one word may end in the word.
func (d *dictionary) ends(h uint64) bool { return d.last[h>>55]>>(h>>49&63)&1 != 0 }

const (
	hashSeed  = 0xcbf29ce484222325
	hashPrime = 0x9e3779b97f4a7c15
)

// wordHash hashes a word in small letters, eight bytes at a time.
type wordHash struct {
	h, chunk uint64
	n        uint
}

func (w *wordHash) add(c byte) {
	w.chunk |= uint64(c) << (w.n & 7 * 8)
	if w.n++; w.n&7 == 0 {
		w.h = hashChunk(w.h, w.chunk)
		w.chunk = 0
	}
}

func (w *wordHash) sum() uint64 {
	if w.n&7 != 0 {
		return hashChunk(w.h, w.chunk)
	}
	return w.h
}

// hashChunk goes on with up to eight bytes, the first in the lowest.
func hashChunk(h, chunk uint64) uint64 {
	h = (h ^ hashSeed ^ chunk) * hashPrime
	return h ^ h>>29
}

// join is the hash of a phrase and one more word.
func join(a, b uint64) uint64 { return hashChunk(a*31, b) }

// hashPhrase is the hash of words, as reader finds up to four of them in a
// text, and that of the last of them. 0 is none.
func hashPhrase(p string) (h, last uint64) {
	words := 0
	for i := 0; i < len(p); {
		if !isLetter(p[i]) {
			i++
			continue
		}
		var w wordHash
		for i < len(p) && isLetter(p[i]) {
			w.add(fold(p[i], i > 0 && p[i-1] == 0xC3))
			i++
		}
		last = w.sum()
		if words++; words == 1 {
			h = last
		} else {
			h = join(h, last)
		}
	}
	return h, last
}

// isLetter is for the words of hints: letters, and all of other scripts.
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80 }

// folded has the small letter of each letter, what is not ASCII as it is, and
// 0 for all else.
var folded = func() (t [256]byte) {
	for b := range t {
		if isLetter(byte(b)) {
			t[b] = fold(byte(b), false)
		}
	}
	return t
}()

// fold makes a letter lower case: a to z, and those of Latin-1 after the byte
// C3.
func fold(c byte, latin bool) byte {
	if c >= 'A' && c <= 'Z' || latin && c >= 0x80 && c <= 0x9E {
		return c | 0x20
	}
	return c
}
