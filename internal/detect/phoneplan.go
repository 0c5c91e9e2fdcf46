package detect

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
)

//go:generate go run ./phoneplan

// phonePlanData is written by phoneplan: it says in which form.
//
//go:embed phoneplan.bin
var phonePlanData []byte

// plan is a country's number plan.
type plan struct {
	code string // calling code
	// lengths has for each length of a national number which first three
	// digits it may have; nil where there is none of that length.
	lengths [14]*[125]byte
	trunk   string // national prefix, which is dialled before a national number
}

type phonePlan struct {
	codes   map[string]*plan
	regions map[string]*plan
	// byCode are the plans by the calling code, of one, two and three digits.
	byCode [3][1000]*plan
}

// phonePlans are the plans by calling code, and by region.
var phonePlans = sync.OnceValue(func() *phonePlan {
	p := &phonePlan{codes: map[string]*plan{}, regions: map[string]*plan{}}
	z, err := gzip.NewReader(bytes.NewReader(phonePlanData))
	if err != nil {
		panic("detect: phoneplan.bin: " + err.Error())
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		panic("detect: phoneplan.bin: " + err.Error())
	}
	take := func(n int) []byte {
		b := raw[:n]
		raw = raw[n:]
		return b
	}
	text := func() string { return string(take(int(take(1)[0]))) }
	type region struct{ name, code, trunk string }
	regions := make([]region, binary.BigEndian.Uint16(take(2)))
	for i := range regions {
		regions[i] = region{text(), text(), text()}
	}
	for range binary.BigEndian.Uint16(take(2)) {
		pl := &plan{code: text()}
		for range take(1)[0] {
			n := take(1)[0]
			pl.lengths[n] = (*[125]byte)(take(125))
		}
		p.codes[pl.code] = pl
		p.byCode[len(pl.code)-1][decimal([]byte(pl.code))] = pl
	}
	for _, r := range regions {
		pl := *p.codes[r.code]
		pl.trunk = r.trunk
		p.regions[r.name] = &pl
	}
	return p
})

// defaultRegions are tried for numbers without a country code.
var defaultRegions = []string{"US", "GB", "DE", "FR", "ES", "IT", "NL", "IN", "AU", "BR", "MX", "JP", "CN", "ZA", "SE", "PL", "CH", "AT", "BE", "IE", "NZ", "SG", "AE", "TR", "KR", "PT", "DK", "NO", "FI"}

// dialling says which national numbers are of the plans of some regions. It
// has them by the length of a number and its first three digits.
type dialling struct {
	plans []*plan
	// plain are numbers as they are, trunks those behind a national prefix:
	// the place of the first plan that they are of, and 1; 0 is none. North
	// America's have a digit more to look at: north are the places of theirs.
	plain  diallingTable
	trunks []trunkTable
	north  []uint8
}

type diallingTable [14][1000]uint8

type trunkTable struct {
	prefix string
	table  diallingTable
}

// northAmerica is its calling code.
const northAmerica = "1"

// diallingOf is for regions, or for defaultRegions where there are none.
func diallingOf(regions []string) (*dialling, error) {
	if len(regions) == 0 {
		return defaultDialling()
	}
	return newDialling(regions)
}

var defaultDialling = sync.OnceValues(func() (*dialling, error) { return newDialling(defaultRegions) })

func newDialling(regions []string) (*dialling, error) {
	all := phonePlans()
	d := &dialling{}
	for _, r := range regions {
		p := all.regions[strings.ToUpper(r)]
		if p == nil {
			return nil, fmt.Errorf("there is no region %s", r)
		}
		if !slices.Contains(d.plans, p) {
			d.plans = append(d.plans, p)
		}
	}
	for i, p := range d.plans {
		at := uint8(i + 1)
		if p.code == northAmerica {
			d.north = append(d.north, at)
			continue
		}
		p.fill(&d.plain, at, p.trunk == "0")
		if p.trunk == "" {
			continue
		}
		k := slices.IndexFunc(d.trunks, func(t trunkTable) bool { return t.prefix == p.trunk })
		if k < 0 {
			k = len(d.trunks)
			d.trunks = append(d.trunks, trunkTable{prefix: p.trunk})
		}
		p.fill(&d.trunks[k].table, at, false)
	}
	return d, nil
}

// fill puts the plan with a place where a table has none yet. With notZero,
// numbers that begin with 0 are none.
func (p *plan) fill(t *diallingTable, at uint8, notZero bool) {
	for n, first := range p.lengths {
		for d := 0; first != nil && d < 1000; d++ {
			if t[n][d] == 0 && first[d/8]>>(d%8)&1 != 0 && !(notZero && d < 100) {
				t[n][d] = at
			}
		}
	}
}

func (t *diallingTable) of(d []byte) uint8 {
	if len(d) < 4 || len(d) >= len(t) {
		return 0
	}
	return t[len(d)][decimal(d[:3])]
}

// national reports whether digits are a number as it is dialled in one of the
// regions, with the national prefix or as it is, and whether the first of them
// is in North America.
func (l *dialling) national(d []byte) (valid, north bool) {
	at := l.plain.of(d)
	for i := range l.trunks {
		if t := &l.trunks[i]; hasPrefix(d, t.prefix) {
			if k := t.table.of(d[len(t.prefix):]); k != 0 && (at == 0 || k < at) {
				at = k
			}
		}
	}
	for _, k := range l.north {
		if at != 0 && at < k {
			break
		}
		if l.plans[k-1].national(d) {
			return true, true
		}
	}
	return at != 0, false
}

// valid reports whether a national number is one of the plan.
func (p *plan) valid(d []byte) bool {
	if len(d) < 4 || len(d) >= len(p.lengths) || p.lengths[len(d)] == nil {
		return false
	}
	first := decimal(d[:3])
	if p.lengths[len(d)][first/8]>>(first%8)&1 == 0 {
		return false
	}
	// In North America an exchange begins with 2 to 9.
	return p.code != northAmerica || len(d) != 10 || d[3] >= '2'
}

// national reports whether the digits are a number as it is dialled in the
// country: with the national prefix, or as it is.
func (p *plan) national(d []byte) bool {
	if p.trunk != "" && hasPrefix(d, p.trunk) && p.valid(d[len(p.trunk):]) {
		return true
	}
	return (p.trunk != "0" || d[0] != '0') && p.valid(d)
}

// international splits digits behind a + into calling code and national
// number. The plan is nil where there is no such code.
func international(d []byte) (*plan, []byte) {
	all := phonePlans()
	code := 0
	for n := 1; n <= 3 && n < len(d); n++ {
		code = code*10 + digit(d[n-1])
		if p := all.byCode[n-1][code]; p != nil {
			return p, d[n:]
		}
	}
	return nil, nil
}
