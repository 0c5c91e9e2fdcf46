package detect

import (
	"crypto/sha256"

	"golang.org/x/crypto/sha3"
)

// wallet looks at the letters and digits from start to end, which may be an
// address of a cryptocurrency.
func (s *scan) wallet(start, end int) {
	if !s.want.has(idCrypto) || end-start > 90 {
		return
	}
	w := s.text[start:end]
	ok := false
	switch {
	case len(w) == 42 && w[0] == '0' && (w[1] == 'x' || w[1] == 'X'):
		ok = isEthereum(w[2:])
	case len(w) >= 42 && (hasPrefix(w, "bc1") || hasPrefix(w, "tb1") || hasPrefix(w, "BC1")):
		ok = isBech32(w, 2)
	case len(w) >= 42 && hasPrefix(w, "ltc1"):
		ok = isBech32(w, 3)
	case len(w) >= 58 && hasPrefix(w, "addr1"):
		ok = isBech32(w, 4)
	case len(w) <= 35 && w[0] != '0':
		ok = isBase58(w) && hasCapital(w) && isBase58Check(w)
	}
	if ok {
		s.add(start, end, idCrypto, 1)
		return
	}
	// What has the shape and not the check is one where the field or the
	// words say so: other currencies, examples and misprints.
	k, id := s.around(start), idCrypto
	if (k.key.has(id) || k.near.has(id)) && len(w) <= 64 && (isBase58(w) || w[0] == '0' && w[1] == 'x') {
		s.add(start, end, idCrypto, 0.7)
	}
}

func hasPrefix(b []byte, p string) bool { return len(b) >= len(p) && string(b[:len(p)]) == p }

const base58Alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

var base58Value = tableOf(base58Alphabet)

// tableOf has for each byte its place in an alphabet, and 255 for others.
func tableOf(alphabet string) (t [256]uint8) {
	for i := range t {
		t[i] = 255
	}
	for i := range len(alphabet) {
		t[alphabet[i]] = uint8(i)
	}
	return t
}

func isBase58(w []byte) bool {
	for _, c := range w {
		if base58Value[c] == 255 {
			return false
		}
	}
	return true
}

func hasCapital(w []byte) bool {
	for _, c := range w {
		if kinds[c] == upperKind {
			return true
		}
	}
	return false
}

// isBase58Check: 25 bytes, of which the last four are a double SHA-256 of the
// others (Bitcoin and what descends from it).
func isBase58Check(w []byte) bool {
	var b [25]byte
	for _, c := range w {
		v := uint32(base58Value[c])
		if v == 255 {
			return false
		}
		for i := len(b) - 1; i >= 0; i-- {
			v += uint32(b[i]) * 58
			b[i] = byte(v)
			v >>= 8
		}
		if v > 0 {
			return false
		}
	}
	h := sha256.Sum256(b[:21])
	h = sha256.Sum256(h[:])
	return string(h[:4]) == string(b[21:])
}

// isBech32 checks BIP 173 and BIP 350; prefix is the length of the part before
// the 1.
func isBech32(w []byte, prefix int) bool {
	generator := [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3}
	upper, lower := false, false
	chk := uint32(1)
	step := func(v uint32) {
		top := chk >> 25
		chk = chk&0x1ffffff<<5 ^ v
		for i, g := range generator {
			if top>>i&1 == 1 {
				chk ^= g
			}
		}
	}
	for _, c := range w {
		upper = upper || kinds[c] == upperKind
		lower = lower || kinds[c] == lowerKind
	}
	if upper && lower || w[prefix] != '1' {
		return false
	}
	for _, c := range w[:prefix] {
		step(uint32(c|0x20) >> 5)
	}
	step(0)
	for _, c := range w[:prefix] {
		step(uint32(c|0x20) & 31)
	}
	for _, c := range w[prefix+1:] {
		if kinds[c] == upperKind {
			c |= 0x20
		}
		v := bech32Value[c]
		if v == 255 {
			return false
		}
		step(uint32(v))
	}
	return chk == 1 || chk == 0x2bc830a3
}

var bech32Value = tableOf("qpzry9x8gf2tvdw0s3jn54khce6mua7l")

// isEthereum: 20 bytes in hexadecimal. Where letters of both cases are there,
// the case is a check (EIP-55).
func isEthereum(w []byte) bool {
	upper, lower := false, false
	for _, c := range w {
		if !isHex(c) {
			return false
		}
		upper = upper || kinds[c] == upperKind
		lower = lower || kinds[c] == lowerKind
	}
	if !upper || !lower {
		return !same(w)
	}
	var low [40]byte
	for i, c := range w {
		low[i] = c
		if kinds[c] == upperKind {
			low[i] |= 0x20
		}
	}
	h := sha3.NewLegacyKeccak256()
	h.Write(low[:])
	sum := h.Sum(nil)
	for i, c := range w {
		if kinds[c] == digitKind {
			continue
		}
		nibble := sum[i/2] >> (4 * (1 - i%2)) & 15
		if (nibble >= 8) != (kinds[c] == upperKind) {
			return false
		}
	}
	return true
}

func isHex(c byte) bool { return isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }
