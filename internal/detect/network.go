package detect

// colon looks at the colon at i: in an address, a URL, or after a field's
// name.
func (s *scan) colon(i int) int {
	before := s.at(i - 1)
	if isHex(before) || before == ':' {
		if c := s.at(i + 1); i+1 >= len(s.text) || isHex(c) || c == ':' {
			if e := s.hexRun(i); e > i {
				return e
			}
		}
	}
	if c := s.at(i + 1); c == '/' || i+1 >= len(s.text) {
		if e := s.urlCredentials(i); e > i {
			return e
		}
	}
	s.keyed(i + 1)
	return i + 1
}

// maxHexRun is the length of the longest IPv6 address, with an IPv4 one in it.
const maxHexRun = 45

// hexRun looks at the hexadecimal digits and colons around the colon at i. It
// returns the end of an address, or i.
func (s *scan) hexRun(i int) int {
	if !s.want.has(idMACAddress) && !s.want.has(idIPAddress) {
		return i
	}
	start := i
	for i-start < 5 && (isHex(s.at(start-1)) || start == i && s.at(start-1) == ':') {
		start--
	}
	if start < 0 || !s.beginsWord(start) || s.at(start-1) == ':' {
		return i
	}
	j, colons := start, 0
	for j < len(s.text) && j-start <= maxHexRun && (isHex(s.text[j]) || s.text[j] == ':' || s.text[j] == '.' && colons > 1) {
		if s.text[j] == ':' {
			colons++
		}
		j++
	}
	s.touch(start, j)
	if colons < 2 {
		return i
	}
	end := j
	for end > start && (s.text[end-1] == '.' || s.text[end-1] == ':' && s.text[end-2] != ':') {
		end--
	}
	if !s.endsWord(end, start) {
		return i
	}
	switch w := s.text[start:end]; {
	case isMAC(w):
		s.add(start, end, idMACAddress, 0.95)
	case len(w) >= 6 && isIPv6(w):
		s.add(start, end, idIPAddress, 0.95)
	default:
		return i
	}
	return end
}

// dashedMAC looks at two hexadecimal digits at i that may begin an address.
func (s *scan) dashedMAC(i int) {
	if i+17 <= len(s.text) && s.at(i+2) == '-' && s.at(i-1) != '-' && isMAC(s.text[i:i+17]) && s.endsWord(i+17, i) && s.at(i+17) != '-' {
		s.add(i, i+17, idMACAddress, 0.95)
	}
}

// isMAC: six pairs with one kind of separator, not all of them 00 or FF.
func isMAC(b []byte) bool {
	if len(b) != 17 || b[2] != ':' && b[2] != '-' {
		return false
	}
	zeros := true
	for i, c := range b {
		if i%3 == 2 {
			if c != b[2] {
				return false
			}
			continue
		}
		if !isHex(c) {
			return false
		}
		zeros = zeros && c == '0'
	}
	return !zeros
}

// isIPv6: eight groups of up to four hexadecimal digits, or fewer and one ::,
// the last two perhaps an IPv4 address (RFC 4291, 2.2). The unspecified and
// the loopback address are nobody's.
func isIPv6(w []byte) bool {
	groups, double, size := 0, false, 0
	for i := 0; i < len(w); i++ {
		switch c := w[i]; {
		case c == ':':
			if i+1 < len(w) && w[i+1] == ':' {
				if double || i+2 < len(w) && w[i+2] == ':' {
					return false
				}
				double = true
				i++
			} else if i == 0 || i+1 == len(w) {
				return false
			}
			size = 0
		case c == '.':
			// An IPv4 address at the end: its first part was counted.
			from := i - size
			if groups--; from < 2 || !isDottedQuad(w[from:]) {
				return false
			}
			groups += 2
			return groups == 8 || double && groups < 8
		default:
			if size == 0 {
				groups++
			}
			if size++; size > 4 {
				return false
			}
		}
	}
	return groups == 8 || double && groups >= 2 && groups < 8
}

func isDottedQuad(w []byte) bool {
	parts, n, size := 1, 0, 0
	for _, c := range w {
		switch {
		case c == '.':
			if size == 0 {
				return false
			}
			parts, n, size = parts+1, 0, 0
		case isDigit(c):
			if n, size = n*10+digit(c), size+1; size > 3 || n > 255 {
				return false
			}
		default:
			return false
		}
	}
	return parts == 4 && size > 0
}
