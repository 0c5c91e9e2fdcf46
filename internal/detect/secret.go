package detect

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
)

// token looks at a word that begins with e: a JWT begins with eyJ, which is
// {" in base64url.
func (s *scan) token(i int) {
	if i+3 > len(s.text) || s.text[i+1] != 'y' || s.text[i+2] != 'J' {
		return
	}
	j, dots, first := i, 0, 0
	for j < len(s.text) && j-i < maxToken {
		c := s.text[j]
		if c == '.' {
			if dots++; dots == 1 {
				first = j
			}
			if dots > 4 {
				break
			}
		} else if !isAlnum(c) && c != '-' && c != '_' {
			break
		}
		j++
	}
	s.touch(i, j)
	for j > i && s.text[j-1] == '.' {
		j--
		dots--
	}
	if dots != 2 && dots != 4 {
		return
	}
	head, err := base64.RawURLEncoding.DecodeString(string(s.text[i:first]))
	if err != nil {
		return
	}
	var h struct {
		Alg string `json:"alg"`
	}
	if json.Unmarshal(head, &h) == nil && h.Alg != "" {
		s.add(i, j, JWT, 1)
	}
}

var (
	pemBegin = []byte("-----BEGIN ")
	pemEnd   = []byte("-----END ")
	pemDash  = []byte("-----")
	pemKey   = []byte("PRIVATE KEY")
)

// privateKey looks at a hyphen at i that may open a PEM block, and returns the
// end of the block, or i.
func (s *scan) privateKey(i int) int {
	rest := s.text[i:]
	if len(rest) < len(pemBegin) {
		if bytes.HasPrefix(pemBegin, rest) {
			s.touch(i, len(s.text))
		}
		return i
	}
	if !bytes.HasPrefix(rest, pemBegin) {
		return i
	}
	label := rest[len(pemBegin):]
	close := bytes.Index(label[:min(len(label), 64)], pemDash)
	if close < 0 {
		if len(label) < 64 {
			s.touch(i, len(s.text))
		}
		return i
	}
	if !s.want[PrivateKey] || !bytes.HasSuffix(label[:close], pemKey) {
		return i
	}
	window := rest[:min(len(rest), maxPEM)]
	end := len(window)
	if e := bytes.Index(window[len(pemBegin):], pemEnd); e >= 0 {
		from := len(pemBegin) + e + len(pemEnd)
		if d := bytes.Index(window[from:min(len(window), from+64)], pemDash); d >= 0 {
			end = from + d + len(pemDash)
			s.touch(i, i+end)
			s.add(i, i+end, PrivateKey, 1)
			return i + end
		}
	}
	// There is no end in sight: what is there is the key.
	s.touch(i, i+end)
	s.add(i, i+end, PrivateKey, 0.9)
	return i + end
}

// urlCredentials looks at the colon at i, which may be that of scheme://.
func (s *scan) urlCredentials(i int) {
	if !s.want[URLCredentials] {
		return
	}
	rest := s.text[i:]
	if len(rest) < 3 {
		if bytes.HasPrefix([]byte("://"), rest) && isAlnum(s.at(i-1)) {
			s.touch(i, len(s.text))
		}
		return
	}
	if rest[1] != '/' || rest[2] != '/' || !isAlnum(s.at(i-1)) {
		return
	}
	start, colon := i+3, -1
	for j := start; j < len(s.text) && j-start < maxUserinfo; j++ {
		switch c := s.text[j]; {
		case c == '@':
			if colon >= 0 && colon+1 < j {
				s.touch(i, j+1)
				s.add(start, j, URLCredentials, 1)
			}
			return
		case c == ':' && colon < 0:
			colon = j
		case c <= ' ' || c == '/' || c == '?' || c == '#' || c == '"' || c == '<' || c == '>':
			return
		}
	}
	s.touch(i, min(len(s.text), start+maxUserinfo))
}
