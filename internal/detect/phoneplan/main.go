// Command phoneplan writes phoneplan.bin, the number plans that detection uses,
// from the metadata of github.com/nyaruka/phonenumbers (Apache-2.0, of
// Google's libphonenumber). Per calling code and length of a national number
// it holds which first three digits a valid number can have: it finds that out
// by asking the library about samples, with a fixed seed.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"

	"github.com/nyaruka/phonenumbers"
)

// samples are asked for each calling code, length and first three digits.
const samples = 12

func main() {
	var raw bytes.Buffer
	regions := phonenumbers.GetSupportedRegions()
	names := make([]string, 0, len(regions))
	for r := range regions {
		names = append(names, r)
	}
	slices.Sort(names)
	put := func(b ...byte) { raw.Write(b) }
	text := func(s string) { put(byte(len(s))); raw.WriteString(s) }

	// Regions: name, calling code, national prefix.
	raw.Write(binary.BigEndian.AppendUint16(nil, uint16(len(names))))
	codes := map[int]bool{}
	for _, r := range names {
		code := phonenumbers.GetCountryCodeForRegion(r)
		codes[code] = true
		text(r)
		text(strconv.Itoa(code))
		text(phonenumbers.GetNddPrefixForRegion(r, true))
	}
	for code := range phonenumbers.GetSupportedGlobalNetworkCallingCodes() {
		codes[code] = true
	}
	sorted := make([]int, 0, len(codes))
	for c := range codes {
		sorted = append(sorted, c)
	}
	slices.Sort(sorted)
	raw.Write(binary.BigEndian.AppendUint16(nil, uint16(len(sorted))))
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, code := range sorted {
		text(strconv.Itoa(code))
		var lengths []int
		var maps [][125]byte
		for n := 4; n <= 13; n++ {
			var m [125]byte
			some := false
			for first := range 1000 {
				if valid(code, first, n, rnd) {
					m[first/8] |= 1 << (first % 8)
					some = true
				}
			}
			if some {
				lengths, maps = append(lengths, n), append(maps, m)
			}
		}
		put(byte(len(lengths)))
		for i, n := range lengths {
			put(byte(n))
			raw.Write(maps[i][:])
		}
	}
	f, err := os.Create("phoneplan.bin")
	if err != nil {
		log.Fatal(err)
	}
	z, _ := gzip.NewWriterLevel(f, gzip.BestCompression)
	if _, err := z.Write(raw.Bytes()); err != nil {
		log.Fatal(err)
	}
	if err := z.Close(); err != nil {
		log.Fatal(err)
	}
	if err := f.Close(); err != nil {
		log.Fatal(err)
	}
}

// valid reports whether the library takes one of some numbers that begin so.
func valid(code, first, n int, rnd *rand.Rand) bool {
	for k := range samples {
		digits := []byte(fmt.Sprintf("%03d", first))
		for len(digits) < n {
			d := byte('0' + rnd.IntN(10))
			if len(digits) == 3 && k < 10 {
				d = byte('0' + k) // the fourth digit decides in many plans
			}
			digits = append(digits, d)
		}
		num, err := phonenumbers.Parse("+"+strconv.Itoa(code)+string(digits[:n]), "ZZ")
		if err != nil || phonenumbers.GetNationalSignificantNumber(num) != string(digits[:n]) {
			if k == 0 && err == nil && !phonenumbers.IsPossibleNumber(num) {
				return false
			}
			continue
		}
		if phonenumbers.IsValidNumber(num) {
			return true
		}
		if k == 0 && !phonenumbers.IsPossibleNumber(num) {
			return false
		}
	}
	return false
}
