package detect

import "net/netip"

// isHexRun is what hardware addresses and IPv6 addresses are made of.
func isHexRun(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' || c == ':' || c == '-' || c == '.'
}

// hexRun looks at the hexadecimal digits and separators from i on.
func (s *scan) hexRun(i int) {
	if !s.want[MACAddress] && !s.want[IPAddress] {
		return
	}
	j, colons, dashes := i, 0, 0
	for j < len(s.text) && j-i <= 45 && isHexRun(s.text[j]) {
		switch s.text[j] {
		case ':':
			colons++
		case '-':
			dashes++
		}
		j++
	}
	if j == len(s.text) && s.more {
		s.touch(i, j)
	}
	if colons < 2 && dashes < 5 {
		return
	}
	s.touch(i, j)
	end := j
	for end > i && (s.text[end-1] == '.' || s.text[end-1] == '-' || s.text[end-1] == ':' && !(end-2 >= i && s.text[end-2] == ':')) {
		end--
	}
	if !s.endsWord(end, i) {
		return
	}
	run := s.text[i:end]
	if isMAC(run) {
		s.add(i, end, MACAddress, 0.95)
		return
	}
	if colons < 2 || len(run) < 6 {
		return
	}
	if a, err := netip.ParseAddr(string(run)); err == nil && a.Is6() {
		s.add(i, end, IPAddress, 0.95)
	}
}

// isMAC: six pairs with one kind of separator.
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
		if c == ':' || c == '-' || c == '.' {
			return false
		}
		zeros = zeros && c == '0'
	}
	return !zeros
}
