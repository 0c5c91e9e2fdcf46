package detect

// localChars are what the part of an e-mail address before the @ is made of
// (RFC 5322 dot-atom, and what RFC 6531 adds).
var localChars = func() (t [256]bool) {
	for b := range t {
		t[b] = isAlnum(byte(b)) || b >= 0x80
	}
	// Of the characters that RFC 5322 allows, those that are far more often
	// around an address than in it are left out: = / ? & { | } and the grave.
	for _, c := range "!#$%'*+-^_~." {
		t[c] = true
	}
	return t
}()

// email looks at the @ at i.
func (s *scan) email(i int) {
	if !s.want.has(idEmail) {
		return
	}
	start := i
	for low := max(0, i-maxLocal-1); start > low && localChars[s.text[start-1]]; {
		start--
	}
	for start <= 0 && start > -len(s.before) && i-start <= maxLocal && localChars[s.at(start-1)] {
		start--
	}
	if i-start > maxLocal {
		return
	}
	// What opens or closes something around an address is not a part of it.
	for start < i && (isOpening(s.at(start)) || s.at(start) == '.') {
		start++
	}
	if s.at(start-1) == '\\' && s.isEscape(start) {
		start++ // \n of JSON
	}
	if start == i || s.at(i-1) == '.' || start < 0 {
		return
	}
	end, dot := i+1, -1
	for text := s.text; end < len(text) && end-i <= maxDomain; end++ {
		c := text[end]
		if kinds[c] != 0 {
			continue
		}
		if c == '.' {
			if end == i+1 || text[end-1] == '.' || text[end-1] == '-' {
				break
			}
			dot = end
		} else if c != '-' && c < 0x80 {
			break
		}
	}
	s.touch(start, end)
	for end > i+1 && (s.text[end-1] == '.' || s.text[end-1] == '-') {
		end--
	}
	for dot >= end {
		dot--
		for dot > i && s.text[dot] != '.' {
			dot--
		}
	}
	if dot <= i+1 || end-dot-1 < 2 || end-i-1 > maxDomain || !topLevel(s.text[dot+1:end]) {
		return
	}
	s.add(start, end, idEmail, 0.9)
}

// wholeEmail looks at a text that is one address of the plainest kind and
// nothing else: words in small letters, up to six digits behind one of them, and
// a domain of words. That is too short for a key, and nothing else is found in
// such a text. It is false for all others, which email looks at.
func (s *scan) wholeEmail() bool {
	text := s.text
	if len(text) > maxLocal || !s.want.has(idEmail) || s.outlook.secret {
		return false
	}
	i, word := 0, 0
	for ; i < len(text); i++ {
		if kinds[text[i]] == lowerKind {
			continue
		}
		if text[i] != '.' || i == word {
			break
		}
		word = i + 1
	}
	if letters := i - word; letters < 1 || letters > 12 {
		return false
	}
	digits := i
	for i < len(text) && isDigit(text[i]) {
		i++
	}
	if i-digits > 6 || i > 32 || i == len(text) || text[i] != '@' {
		return false
	}
	label := i + 1
	for i = label; i < len(text); i++ {
		if kinds[text[i]] == lowerKind {
			continue
		}
		if text[i] != '.' || i == label {
			return false
		}
		label = i + 1
	}
	if i-label < 2 || text[label-1] != '.' {
		return false
	}
	s.add(0, len(text), idEmail, 0.9)
	return true
}

func isOpening(c byte) bool {
	switch c {
	case '\'', '*', '~', '#', '!', '^', '$', '%':
		return true
	}
	return false
}

// topLevel reports whether label may be a top-level domain: letters, or an
// international name.
func topLevel(label []byte) bool {
	if len(label) > 4 && string(label[:4]) == "xn--" {
		return true
	}
	for _, c := range label {
		if c < 0x80 && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}
