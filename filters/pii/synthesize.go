package pii

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-proxy/sluice/internal/detect"
	"github.com/sluice-proxy/sluice/internal/keyring"
)

// dice are random numbers that a value and the tenant's key decide on.
type dice struct {
	keys  *keyring.Ring
	seed  []string
	block []byte
	n     int
}

// pick returns a number below n.
func (d *dice) pick(n int) int {
	if len(d.block) < 4 {
		d.n++
		d.block = d.keys.MAC(forSynthesize, append([]string{strconv.Itoa(d.n)}, d.seed...)...)
	}
	v := binary.BigEndian.Uint32(d.block)
	d.block = d.block[4:]
	return int(uint64(v) * uint64(n) >> 32)
}

func (d *dice) digit() byte { return '0' + byte(d.pick(10)) }

// synthesize returns a made-up value of the same kind and form: the same for
// equal values, and never the value.
func synthesize(keys *keyring.Ring, e detect.Entity, value string) []byte {
	for try := range 16 {
		d := &dice{keys: keys, seed: []string{string(e), value, strconv.Itoa(try)}}
		if out := d.like(e, value); out != value {
			return []byte(out)
		}
	}
	return []byte(redactedText) // of a value that has no other form: nothing but signs
}

// like makes up a value of an entity.
func (d *dice) like(e detect.Entity, value string) string {
	switch e {
	case detect.Email:
		return d.email()
	case detect.CreditCard:
		return d.card(value)
	case detect.IBAN:
		return d.iban(value)
	case detect.USSSN:
		return d.ssn(value)
	case detect.Phone:
		return d.phone(value)
	case detect.IPAddress:
		return d.address(value)
	case detect.MACAddress:
		return d.hardware(value)
	case "PERSON":
		return inCase(d.person(value), value)
	case "LOCATION":
		return inCase(d.place(), value)
	case "ORGANIZATION":
		return inCase(d.place()+" "+companies[d.pick(len(companies))], value)
	case "DATE_TIME", "DATE_OF_BIRTH":
		if s, ok := d.date(value); ok {
			return s
		}
	}
	return d.shape(value)
}

// shape replaces digits by digits and letters by letters of the same case.
func (d *dice) shape(value string) string {
	out := []byte(value)
	for i, c := range out {
		switch {
		case isDigit(c):
			out[i] = d.digit()
		case c >= 'a' && c <= 'z':
			out[i] = 'a' + byte(d.pick(26))
		case c >= 'A' && c <= 'Z':
			out[i] = 'A' + byte(d.pick(26))
		}
	}
	return string(bytes.Map(func(r rune) rune {
		if r >= 0x80 {
			return 'x' // a letter of another script; which, would tell
		}
		return r
	}, out))
}

func (d *dice) email() string {
	return strings.ToLower(given[d.pick(len(given))]+"."+d.family()) + strconv.Itoa(10+d.pick(90)) + "@example.com"
}

// card keeps the issuer, the first four digits, and makes the last fit (ISO/
// IEC 7812-1).
func (d *dice) card(value string) string {
	out, at := []byte(value), digitsOf(value)
	if len(at) < 6 {
		return d.shape(value)
	}
	for _, i := range at[4:] {
		out[i] = d.digit()
	}
	sum := 0
	for n, i := range at[:len(at)-1] {
		v := int(out[i] - '0')
		if (len(at)-1-n)%2 == 1 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	out[at[len(at)-1]] = '0' + byte((10-sum%10)%10)
	return string(out)
}

func digitsOf(value string) (at []int) {
	for i := range len(value) {
		if isDigit(value[i]) {
			at = append(at, i)
		}
	}
	return at
}

// iban keeps the country and makes the check digits fit (ISO 13616).
func (d *dice) iban(value string) string {
	if len(value) < 5 {
		return d.shape(value)
	}
	out := []byte(value[:2] + "00" + d.shape(value[4:]))
	r := 0
	for i := range len(out) {
		switch c := out[(i+4)%len(out)]; {
		case isDigit(c):
			r = (r*10 + int(c-'0')) % 97
		case isAlnum(c):
			r = (r*100 + int(c&^0x20-'A') + 10) % 97
		}
	}
	check := 98 - r
	out[2], out[3] = '0'+byte(check/10), '0'+byte(check%10)
	return string(out)
}

// ssn takes an area that is never given out, and a group that the tax
// service's numbers do not have: it is nobody's.
func (d *dice) ssn(value string) string {
	out := []byte(value)
	for n, i := range digitsOf(value) {
		switch n {
		case 0:
			out[i] = '9'
		case 3:
			out[i] = '1' + byte(d.pick(4))
		default:
			out[i] = d.digit()
		}
	}
	return string(out)
}

// phone keeps the first three digits, in which the country is.
func (d *dice) phone(value string) string {
	out, at := []byte(value), digitsOf(value)
	for _, i := range at[min(3, len(at)):] {
		out[i] = d.digit()
	}
	return string(out)
}

// address is one of those for documentation (RFC 5737, RFC 3849).
func (d *dice) address(value string) string {
	if a, err := netip.ParseAddr(value); err == nil && a.Is6() && !a.Is4In6() {
		return "2001:db8::" + strconv.FormatInt(int64(1+d.pick(0xfffe)), 16) + ":" + strconv.FormatInt(int64(1+d.pick(0xfffe)), 16)
	}
	return []string{"192.0.2.", "198.51.100.", "203.0.113."}[d.pick(3)] + strconv.Itoa(1+d.pick(254))
}

// hardware is a locally administered address (IEEE 802).
func (d *dice) hardware(value string) string {
	out := []byte(value)
	const lower, upper = "0123456789abcdef", "0123456789ABCDEF"
	digits := lower
	if strings.ToLower(value) != value {
		digits = upper
	}
	n := 0
	for i, c := range out {
		if !isHex(c) {
			continue
		}
		switch n {
		case 0:
			out[i] = '0'
		case 1:
			out[i] = '2'
		default:
			out[i] = digits[d.pick(16)]
		}
		n++
	}
	return string(out)
}

func (d *dice) person(value string) string {
	name := given[d.pick(len(given))]
	if len(strings.Fields(value)) > 1 {
		name += " " + d.family()
	}
	return name
}

func (d *dice) family() string {
	return familyStarts[d.pick(len(familyStarts))] + familyEnds[d.pick(len(familyEnds))]
}

func (d *dice) place() string {
	return placeStarts[d.pick(len(placeStarts))] + placeEnds[d.pick(len(placeEnds))]
}

// layouts are the forms of dates that are told from each other by what their
// parts can be.
var layouts = []string{"2006-01-02", "2006/01/02", "02.01.2006", "01/02/2006", "02/01/2006", "02-01-2006", "January 2, 2006", "2 January 2006", "Jan 2, 2006", "2 Jan 2006"}

// date moves a date by up to two years.
func (d *dice) date(value string) (string, bool) {
	for _, l := range layouts {
		t, err := time.Parse(l, value)
		if err != nil {
			continue
		}
		days := 1 + d.pick(730)
		if d.pick(2) == 0 {
			days = -days
		}
		return t.AddDate(0, 0, days).Format(l), true
	}
	return "", false
}

// inCase writes name in the case that like is in.
func inCase(name, like string) string {
	switch {
	case like == strings.ToUpper(like):
		return strings.ToUpper(name)
	case like == strings.ToLower(like):
		return strings.ToLower(name)
	}
	return name
}
