package detect

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
)

// dash looks at the hyphen at i: in a PEM block, or in a key of a provider.
func (s *scan) dash(i int) int {
	c := s.at(i - 1)
	if i+1 < len(s.text) && s.text[i+1] == '-' || i+1 >= len(s.text) && !isAlnum(c) {
		if c == '-' {
			return i + 1
		}
		if i+2 < len(s.text) && s.text[i+2] != '-' {
			return s.option(i)
		}
		return s.privateKey(i)
	}
	if kinds[c] == 0 {
		if c <= ' ' && i+2 < len(s.text) && s.text[i+1] == 'u' && s.text[i+2] == ' ' {
			return s.option(i)
		}
		return i + 1
	}
	if s.isPlainWord(i) {
		return i + 1
	}
	start, ok := s.wordStart(i)
	if !ok || start == i {
		return i + 1
	}
	if i-start == 2 {
		s.dashedMAC(start)
	}
	if e := s.provider(s.tokenStart(start)); e > 0 {
		return e
	}
	return i + 1
}

// isPlainWord reports whether a word of letters and digits ends at i, with a
// space or a hyphen before it, that is no beginning of a key or an address.
func (s *scan) isPlainWord(i int) bool {
	text, start := s.text, i
	for start > 0 && i-start < maxWord && kinds[text[start-1]] != 0 {
		start--
	}
	if i-start < 3 || start > 0 && text[start-1] != ' ' && text[start-1] != '-' || start == 0 && len(s.before) > 0 {
		return false
	}
	return !beginsKey(text[start], text[start+1])
}

// token looks at a word that begins with eyJ: {" in base64url. It returns the
// end of a JSON Web Token; 0 where it is none.
func (s *scan) token(i int) int {
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
		return 0
	}
	head, err := base64.RawURLEncoding.DecodeString(string(s.text[i:first]))
	if err != nil {
		return 0
	}
	var h struct {
		Alg string `json:"alg"`
	}
	if json.Unmarshal(head, &h) != nil || h.Alg == "" {
		return 0
	}
	s.add(i, j, idJWT, 1)
	return j
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
	if !s.want.has(idPrivateKey) || !bytes.Contains(label[:close], pemKey) {
		return i
	}
	window := rest[:min(len(rest), maxPEM)]
	end := len(window)
	if e := bytes.Index(window[len(pemBegin):], pemEnd); e >= 0 {
		from := len(pemBegin) + e + len(pemEnd)
		if d := bytes.Index(window[from:min(len(window), from+64)], pemDash); d >= 0 {
			end = from + d + len(pemDash)
			s.touch(i, i+end)
			s.add(i, i+end, idPrivateKey, 1)
			return i + end
		}
	}
	// There is no end in sight: what is there is the key.
	s.touch(i, i+end)
	s.add(i, i+end, idPrivateKey, 0.9)
	return i + end
}

// urlCredentials looks at the colon at i, which may be that of scheme://. It
// returns the end of a user name and password, or i.
func (s *scan) urlCredentials(i int) int {
	if !s.want.has(idPassword) && !s.want.has(idUsername) && !s.want.has(idAPIKey) {
		return i
	}
	rest := s.text[i:]
	if len(rest) < 3 {
		if bytes.HasPrefix([]byte("://"), rest) && isAlnum(s.at(i-1)) {
			s.touch(i, len(s.text))
		}
		return i
	}
	if rest[1] != '/' || rest[2] != '/' || !isAlnum(s.at(i-1)) {
		return i
	}
	start, colon := i+3, -1
	for j := start; j < len(s.text) && j-start < maxUserinfo; j++ {
		switch c := s.text[j]; {
		case c == '@':
			s.touch(i, j+1)
			if colon < 0 || colon+1 >= j {
				return i
			}
			if user := s.text[start:colon]; len(user) > 0 && !isPlaceholder(user) {
				s.add(start, colon, idUsername, 0.9)
			}
			if password := s.text[colon+1 : j]; !isPlaceholder(password) {
				s.add(colon+1, j, idPassword, 1)
			}
			return j
		case c == ':' && colon < 0:
			colon = j
		case c == '/' && j == start:
			return i
		case c <= ' ' || c == '/' || c == '?' || c == '#' || c == '"' || c == '<' || c == '>':
			s.webhook(i, start, j)
			return i
		}
	}
	s.touch(i, min(len(s.text), start+maxUserinfo))
	return i
}

// azure looks at a word at i that may be a client secret of Microsoft Entra:
// five characters, ~, and 31 to 34 more.
func (s *scan) azure(i int) int {
	j := i + 6
	for j < len(s.text) && j-i < 48 && (isAlnum(s.text[j]) || s.text[j] == '_' || s.text[j] == '~' || s.text[j] == '.' || s.text[j] == '-') {
		j++
	}
	s.touch(i, j)
	if n := j - i; n < 37 || n > 40 || !s.endsWord(j, i) {
		return 0
	}
	s.add(i, j, idAPIKey, 0.9)
	return j
}

// webhooks are hosts whose URLs are secrets: who knows one can post.
var webhooks = []struct{ host, path string }{
	{"hooks.slack.com", "/services/"}, {"hooks.slack.com", "/workflows/"}, {"hooks.slack.com", "/triggers/"},
	{"discord.com", "/api/webhooks/"}, {"discordapp.com", "/api/webhooks/"},
	{"webhook.office.com", "/webhookb2/"}, {"hooks.zapier.com", "/hooks/catch/"}, {"chat.googleapis.com", "/v1/spaces/"},
}

// webhook looks at the host that stands from start to end, behind the colon of
// its scheme and before its path.
func (s *scan) webhook(colon, start, end int) {
	if end >= len(s.text) || s.text[end] != '/' {
		return
	}
	host := s.text[start:end]
	for _, w := range webhooks {
		if len(host) < len(w.host) || string(host[len(host)-len(w.host):]) != w.host {
			continue
		}
		j := end
		for j < len(s.text) && j-start < maxUserinfo && s.text[j] > ' ' && s.text[j] != '"' && s.text[j] != '\'' && s.text[j] != '<' && s.text[j] != ')' && s.text[j] != '\\' {
			j++
		}
		s.touch(max(0, colon-5), j)
		if hasPrefix(s.text[end:], w.path) && j-end > len(w.path)+16 {
			from := start
			if start >= 8 && hasPrefix(s.text[start-8:], "https://") {
				from = start - 8
			}
			s.add(from, j, idAPIKey, 0.95)
			return
		}
	}
}
