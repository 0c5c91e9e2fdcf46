package detect_test

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/internal/detect"
)

func scanner(t testing.TB, opt detect.Options) *detect.Scanner {
	t.Helper()
	s, err := detect.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// found writes findings as ENTITY:text.
func found(s *detect.Scanner, key, text string) []string {
	var out []string
	fs, settled := s.Scan(nil, detect.Context{Key: key}, []byte(text), false)
	if settled != len(text) {
		panic("a whole text is settled")
	}
	for _, f := range fs {
		out = append(out, string(f.Entity)+":"+text[f.Start:f.End])
	}
	return out
}

// jwt is the example token of RFC 7519, section 3.1.
const jwt = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

const pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8Qu\n-----END RSA PRIVATE KEY-----"

func TestFindings(t *testing.T) {
	for _, tt := range []struct {
		name, key, text string
		want            []string
	}{
		// E-mail.
		{"plain", "", "write to jane.doe+x@mail.example.com, please", []string{"EMAIL_ADDRESS:jane.doe+x@mail.example.com"}},
		{"end of sentence", "", "it is joe@example.org.", []string{"EMAIL_ADDRESS:joe@example.org"}},
		{"in brackets", "", "Joe <joe@example.org> (joe2@example.org)", []string{"PERSON:Joe", "EMAIL_ADDRESS:joe@example.org", "EMAIL_ADDRESS:joe2@example.org"}},
		{"in a query", "", "?mail=joe@example.org&x", []string{"EMAIL_ADDRESS:joe@example.org"}},
		{"international", "", "ask jürgen@müller.example", []string{"EMAIL_ADDRESS:jürgen@müller.example"}},
		{"no domain", "", "joe@example and @handle and a@b.c1", nil},
		{"dots", "", "joe.@example.org and .@example.org", nil},
		{"long local part", "", strings.Repeat("a", 65) + "@example.org", nil},
		// Cards.
		{"visa", "", "paid with 4111 1111 1111 1111 today", []string{"CREDIT_CARD:4111 1111 1111 1111"}},
		{"hyphens", "", "4111-1111-1111-1111", []string{"CREDIT_CARD:4111-1111-1111-1111"}},
		{"amex", "", "378282246310005", []string{"CREDIT_CARD:378282246310005"}},
		{"amex in groups", "", "3782 822463 10005", []string{"CREDIT_CARD:3782 822463 10005"}},
		{"mastercard of the new range", "", "2223003122003222", []string{"CREDIT_CARD:2223003122003222"}},
		{"bad checksum", "", "4111 1111 1111 1112", nil},
		{"no issuer", "", "9999999999999995", nil},
		{"an order number", "orderId", "4111111111111111", nil},
		{"in a card field", "cardNumber", "4111111111111111", []string{"CREDIT_CARD:4111111111111111"}},
		{"part of a word", "", "x4111111111111111 4111111111111111y", nil},
		// Social security numbers.
		{"ssn", "", "his is 078-05-1120.", []string{"US_SSN:078-05-1120"}},
		{"ssn by key", "ssn", "078051120", []string{"US_SSN:078051120"}},
		{"ssn by word", "", "SSN: 078051120", []string{"US_SSN:078051120"}},
		{"nine digits", "", "in 078051120 ways", nil},
		{"never issued", "", "000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000", nil},
		{"longer", "", "1-078-05-1120-3", nil},
		// Telephone numbers.
		{"international", "", "call +1 202 555 0143 or +44 20 7946 0958", []string{"PHONE_NUMBER:+1 202 555 0143", "PHONE_NUMBER:+44 20 7946 0958"}},
		{"us form", "", "(202) 555-0143 or 202-555-0143", []string{"PHONE_NUMBER:(202) 555-0143", "PHONE_NUMBER:202-555-0143"}},
		{"by key", "mobile", "02079460958", []string{"PHONE_NUMBER:02079460958"}},
		{"by word", "", "Tel. 030 90182820", []string{"PHONE_NUMBER:030 90182820"}},
		{"digits alone", "", "20255501430 and 2025550143", nil},
		{"a date", "", "2024-01-15 and 15.01.2024 10:30", nil},
		{"an amount", "", "12 500 000 dollars", nil},
		{"a timestamp", "createdAt", "1700000000", nil},
		// IBAN.
		{"iban", "", "DE89370400440532013000", []string{"IBAN_CODE:DE89370400440532013000"}},
		{"iban in groups", "", "to GB29 NWBK 6016 1331 9268 19 today", []string{"IBAN_CODE:GB29 NWBK 6016 1331 9268 19"}},
		{"bad check digits", "", "DE88370400440532013000", nil},
		{"too long", "", "DE893704004405320130001", nil},
		// Network.
		{"ipv4", "", "from 192.0.2.44:8080", []string{"IP_ADDRESS:192.0.2.44"}},
		{"ipv6", "", "at 2001:db8::8a2e:370:7334, port", []string{"IP_ADDRESS:2001:db8::8a2e:370:7334"}},
		{"loopback", "", "to ::1 only", nil},
		{"version", "", "Chrome/version 1.2.3.4", nil},
		{"version by key", "appVersion", "10.2.3.4", nil},
		{"oid", "", "1.3.6.1.4.1 and 256.1.1.1", nil},
		{"time", "", "at 10:30:45 on", nil},
		{"mac", "", "00:1B:44:11:3A:B7 and 00-1b-44-11-3a-b8", []string{"MAC_ADDRESS:00:1B:44:11:3A:B7", "MAC_ADDRESS:00-1b-44-11-3a-b8"}},
		{"not a mac", "", "00:1B:44:11:3A and 00:1B-44:11:3A:B7", nil},
		// Secrets.
		{"jwt", "", "Bearer " + jwt + " ok", []string{"JWT:" + jwt}},
		{"not a jwt", "", "eyJhIjoxfQ.eyJhIjoxfQ.abc", nil},
		{"pem", "", "key:\n" + pem + "\nend", []string{"PRIVATE_KEY:" + pem}},
		{"pem without an end", "", "-----BEGIN PRIVATE KEY-----\nMIIB", []string{"PRIVATE_KEY:-----BEGIN PRIVATE KEY-----\nMIIB"}},
		{"certificate", "", "-----BEGIN CERTIFICATE-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKC\n-----END CERTIFICATE-----", nil},
		{"url with password", "", "postgres://app:hunter2@db.example.com:5432/app", []string{"USERNAME:app", "PASSWORD:hunter2"}},
		{"url without", "", "https://example.com/a:b@c and http://user@example.com:80", []string{"EMAIL_ADDRESS:user@example.com"}},
		{"url with password, held for what is behind", "", "http://a:b@c.example/'bearer'x123[ghp_016CfdsTGhYzT6pQ8sT0dGh7aXq2M3e4R5t6]joe@exam|", []string{"USERNAME:a", "PASSWORD:b", "API_KEY:ghp_016CfdsTGhYzT6pQ8sT0dGh7aXq2M3e4R5t6"}},
		{"a name before the end of a tag", "", `0"BsnA"> 0!000000000`, []string{"NL_BSN:000000000"}},
		{"in a call", "", `set("API_TOKEN", Zx81kQ9mP2vLtR7w 0)`, []string{"API_KEY:Zx81kQ9mP2vLtR7w"}},
		{"in a call, behind a comma", "", `000("0000TOKEN",000001A1289BC7X 0000`, nil},
		{"a month in a word", "", "0000000Born AA\x9bMAYAA 1, 1900A0", []string{"LOCATION:MAYAA 1"}},
		// Nothing.
		{"prose", "", "The quick brown fox jumps over 13 lazy dogs in 2024, for $1,234.56 (or 7%).", nil},
		{"uuid", "", "3f2a6c1e-1234-4000-8000-123456789012", nil},
		{"hash", "", "d41d8cd98f00b204e9800998ecf8427e", nil},
		{"empty", "", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := scanner(t, detect.Options{})
			if got := found(s, tt.key, tt.text); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			cutAnywhere(t, s, tt.key, tt.text)
		})
	}
}

// cutAnywhere cuts a text at each of its bytes, and at all of them.
func cutAnywhere(t *testing.T, s *detect.Scanner, key, text string) {
	t.Helper()
	want := found(s, key, text)
	var bytewise [][]byte
	for at := range len(text) {
		if got := inPieces(s, key, []byte(text[:at+1]), []byte(text[at+1:])); !reflect.DeepEqual(got, want) {
			t.Fatalf("cut at %d: got %q, want %q", at+1, got, want)
		}
		bytewise = append(bytewise, []byte(text[at:at+1]))
	}
	if got := inPieces(s, key, bytewise...); !reflect.DeepEqual(got, want) {
		t.Fatalf("cut at every byte: got %q, want %q", got, want)
	}
}

// cutTexts are those of which something was once found in pieces only, or only
// in the whole.
var cutTexts = []struct{ name, key, text string }{
	{"end of a sentence before a date", "dob", "Your PIN code. May 21, 1990 and so on, it is 4711"},
	{"term behind a quotation mark", "", ".“blue heron"},
	{"term behind half a character", "", "\n\xe2\x80\xdeblue heron"},
	{"key behind its scheme", "", "KEY:basic 01-31Mar\\"},
	{"password of an option", "", "-u e:\"T . :,"},
	{"age in a word", "", "\u00a0age0:1\t"},
	{"half an escape", "pin", "\\ue9= 1990"},
	{"escape before a colon", "", "Street\\u00:\xac\x81 et- ("},
	{"long password", "", "pass order,ername,.................................................Zx80"},
	{"long password with a hyphen", "", "pass X”=\xe2~-\\t-0000000000000000000000000000000000000000000000000000000r"},
	{"long password, as an address", "", "pass......................................................2001:db8::1zü"},
	{"call before a name", "", "(\"1990-01-31\"with password \",\",street latitude #-SW1A 1AA ` \xd2the-:a#."},
	{"call far before a name", "", "1234 is f(\"" + strings.Repeat("a", 40) + " pin\"," + strings.Repeat("b", 33) + ": " + strings.Repeat("-", 111) + "4711"},
	{"postcode behind a name in code", "", "_zip 2"},
	{"extension before an address", "", "1.990x 2.0.2.4"},
	{"many numbers behind an option", "", "--api-key 5-wordcard\"26#0;r6#6#0#9\\14;26#71;0#0#8B\\5;5\\8;49;6u#57;2#26#4\\#57;6#roe:\"}"},
}

func TestCuts(t *testing.T) {
	s := fuzzed(t)
	for _, tt := range cutTexts {
		t.Run(tt.name, func(t *testing.T) { cutAnywhere(t, s, tt.key, tt.text) })
	}
}

// fuzzed is a scanner that finds what is doubtful too, and more.
func fuzzed(t testing.TB) *detect.Scanner {
	return scanner(t, detect.Options{MinScore: 0.1, Custom: []*detect.Custom{{Entity: "X", Pattern: `\bE\d{6}\b`, MaxLength: 7}, {Entity: "Y", Terms: []string{"blue heron", "mw"}}}})
}

// inPieces scans a text in pieces as a stream does.
func inPieces(s *detect.Scanner, key string, pieces ...[]byte) []string {
	var out []string
	var carry, before []byte
	var table detect.Table
	for i, p := range pieces {
		carry = append(carry, p...)
		fs, settled := s.Scan(nil, detect.Context{Key: key, Before: before, Table: &table}, carry, i < len(pieces)-1)
		for _, f := range fs {
			if f.End > settled {
				panic("a finding reaches past what is settled")
			}
			out = append(out, string(f.Entity)+":"+string(carry[f.Start:f.End]))
		}
		before = append(before, carry[:settled]...)
		before = before[max(0, len(before)-256):]
		carry = append([]byte(nil), carry[settled:]...)
	}
	return out
}

func TestEntitiesAndScores(t *testing.T) {
	const text = "joe@example.org 4111 1111 1111 1111"
	s := scanner(t, detect.Options{Entities: []detect.Entity{detect.CreditCard}})
	if got := found(s, "", text); len(got) != 1 || !strings.HasPrefix(got[0], "CREDIT_CARD") {
		t.Errorf("got %q", got)
	}
	if got := found(scanner(t, detect.Options{MinScore: 0.95}), "", text); len(got) != 0 {
		t.Errorf("got %q", got)
	}
	if _, err := detect.New(detect.Options{Entities: []detect.Entity{"NOTHING"}}); err == nil {
		t.Error("an unknown entity is taken")
	}
}

// TestProseFlows: what is held of prose is no more than the last word.
func TestProseFlows(t *testing.T) {
	s := scanner(t, detect.Options{})
	text := []byte("All happy families are alike; each unhappy family is unhappy in its own way")
	_, settled := s.Scan(nil, detect.Context{}, text, true)
	if held := len(text) - settled; held > len("way") {
		t.Errorf("%d bytes are held", held)
	}
}

func TestNoAllocation(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector allocates")
	}
	s := scanner(t, detect.Options{})
	text := []byte(strings.Repeat("All happy families are alike, each of the 7 in its own way. ", 20))
	if n := testing.AllocsPerRun(100, func() { s.Scan(nil, detect.Context{Key: "notes"}, text, false) }); n > 0 {
		t.Errorf("%.0f allocations", n)
	}
	fs := make([]detect.Finding, 0, 8)
	p := scanner(t, options("patterns"))
	for key, text := range map[string]string{"email": "joe@example.org", "phone": "+1 202 555 0143", "card": "4111 1111 1111 1111", "ssn": "078-05-1120", "ip": "192.0.2.44", "account": "DE89 3704 0044 0532 0130 00", "tier": "gold", "balance": "1024.50", "createdAt": "2026-01-12T10:30:00Z"} {
		value := []byte(text)
		if n := testing.AllocsPerRun(100, func() { p.Scan(fs[:0], detect.Context{Key: key}, value, false) }); n > 0 {
			t.Errorf("%s: %.0f allocations", key, n)
		}
	}
}

// FuzzPieces: the findings do not depend on where a text is cut, whatever it
// is and whatever the field's name.
func FuzzPieces(f *testing.F) {
	for _, s := range []string{"joe@example.org 4111 1111 1111 1111 +1 (202) 555-0143", "DE89 3704 0044 0532 0130 00", jwt, pem, "http://a:b@c 00:1B:44:11:3A:B7 2001:db8::1", "1,2,3,4,5,6,7,8 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9",
		`{"name":"x","phone":"02079460958","ids":["078051120","A1234567"],"dob":"1990-01-31","password":"hunter2"}`, `{\"ssn\": \"078051120\", \"api_key\":\"Zx81kQ9mP2vLtR7w\"}`, "ssn=078051120&token=Zx81kQ9mP2vLtR7w user: bob pin: 4711\nCVV: 123", "id;phone;passport\n1;5550143;A1234567\n2;\"555;0144\";B7654321\n",
		"<phone>5550143</phone> born on March 3, 1990, passport no. AB 12 34 56 C; B-MW 1234", `set("API_TOKEN", "Zx81kQ9mP2vLtR7w") curl -u joe:s3cr3t99 --token Zx81kQ9mP2vLtR7w`, "https://hooks.slack.com/services/T0DCUJB1Q/B0DD08H5G/bJtrpFi1fO1JMCcw E123456 Blue Heron"} {
		f.Add(s, "", uint64(1))
		f.Add(s, "passwordToken", uint64(2))
	}
	for _, tt := range cutTexts {
		f.Add(tt.text, tt.key, uint64(3))
	}
	s := fuzzed(f)
	f.Fuzz(func(t *testing.T, text, key string, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		var pieces [][]byte
		for rest := []byte(text); len(rest) > 0; {
			n := min(1+r.IntN(20), len(rest))
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		want := found(s, key, text)
		if got := inPieces(s, key, pieces...); len(pieces) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("in pieces %q\nwhole %q", got, want)
		}
	})
}
