package detect

import (
	"bytes"
	"math"
)

// keyed looks at the value that may begin at p, behind a : or = or >.
func (s *scan) keyed(p int) {
	if p == len(s.text) && !s.more && len(s.custom) == 0 {
		return // there is none, and nothing behind that words are read for
	}
	i := p - 1
	c := s.at(i - 1)
	switch {
	case isAlnum(c) || c >= 0x80 || c == '_' || c == ' ' || c == ']' || c == ')' || c == '*' || c == '\'' || c == ':' || c == '=' || c == '?' || c == '.' || c == '-':
	case c == '"':
		// The name of a JSON member stands for itself: nothing before it has
		// to be read.
		if q, end := s.quotedName(i); q != noName {
			s.skipTo(q, end, p)
		}
	default:
		return
	}
	// Only the name is read, where the words before it are not already.
	if r := s.awake(); !r.begun || r.at > p || r.at < p-readWindow {
		r.reset(max(-len(s.before), p-nameWindow-16))
		r.whole = r.at == -len(s.before)
	}
	s.readOn(p)
	f := &s.reader.json
	if s.reader.line.kind != noKey && s.reader.line.at == p {
		f = &s.reader.line
	} else if f.kind == noKey || f.at != p {
		return
	}
	if !f.own.overlaps(&s.valueSet) && !(f.shared.has(idAPIKey) && s.want.has(idAPIKey)) || p < s.values {
		return
	}
	v, ok := s.extent(p, f.kind)
	s.touch(i, max(v.end, v.line)+1)
	if ok {
		s.values = v.end
		s.value(v, f)
	}
}

// skipTo makes the reader go on behind the quoted name of a member.
func (s *scan) skipTo(quote, end, at int) {
	r := s.awake()
	if r.begun && r.at > quote {
		return
	}
	if !r.begun {
		r.reset(quote)
	}
	r.at, r.end, r.whole, r.torn = at, quote, true, false
	r.quotes = at - 2
	s.setName(quote, end, at)
}

// extent is where the value of a field stands.
type extent struct {
	start, end int // without quotes
	line       int // the end of the line, where it is not quoted
	quoted     bool
	prose      bool // behind "name:" in text
}

// maxBlank is how much may be between a field's name and its value.
const maxBlank = 24

// extent finds the value that begins behind p.
func (s *scan) extent(p int, kind keyKind) (extent, bool) {
	text := s.text
	i := p
	for i < len(text) && i-p < maxBlank {
		c := text[i]
		if c == ' ' || c == '\t' || c == '=' || c == ':' || c == '>' || (c == '\n' || c == '\r') && kind == tagKey || c == '.' && s.at(i+1) == '=' {
			i++
			continue
		}
		break
	}
	if i >= len(text) {
		return extent{i, i, i, false, false}, false
	}
	v := extent{start: i}
	quote, escaped := text[i], false
	if quote == '\\' && i+1 < len(text) && text[i+1] == '"' {
		quote, escaped = '"', true
		i++
	}
	if quote == '"' || quote == '\'' || quote == '`' {
		v.quoted = true
		i++
		v.start = i
		for ; i < len(text) && i-v.start <= maxValue; i++ {
			switch c := text[i]; {
			case c == '\\' && !escaped:
				i++
			case c == '\\' && i+1 < len(text) && text[i+1] == '"', c == quote:
				v.end, v.line = i, i
				return v, true
			case c == '\n' && quote != '`':
				v.end, v.line = i, i
				return v, true
			}
		}
		v.end, v.line = min(i, len(text)), min(i, len(text))
		return v, !s.more && i >= len(text)
	}
	for ; i < len(text) && i-v.start <= maxValue; i++ {
		c := text[i]
		if c <= ' ' || c == '"' || c == '<' || c == ',' || c == ';' || c == '&' && kind == equalsKey || c == '\\' || c == '\'' || c == '`' || c == ')' && kind == callKey || c == '}' && kind == jsonKey {
			break
		}
	}
	v.end = i
	v.prose = kind == lineKey
	for ; i < len(text) && i-v.start <= maxValue; i++ {
		if c := text[i]; c == '\n' || c == '\r' || c == '<' || c == '"' || c == '\\' || c == ';' || c == '|' || kind == equalsKey {
			break
		}
	}
	v.line = i
	if i-v.start > maxValue {
		return v, false
	}
	if i >= len(text) && s.more {
		v.end = i // the end is not in sight
		return v, false
	}
	return v, true
}

// value looks at the value of a field by what its name says.
func (s *scan) value(v extent, f *field) {
	text := s.text
	for v.start < v.end && text[v.start] <= ' ' {
		v.start++
	}
	for v.end > v.start && text[v.end-1] <= ' ' {
		v.end--
	}
	w := text[v.start:v.end]
	if len(w) == 0 {
		return
	}
	own := &f.own
	if key := own.has(idAPIKey); key || f.shared.has(idAPIKey) {
		s.secretValue(v, f, key)
	}
	if isPlaceholder(w) {
		return
	}
	if own.has(idPassword) && !f.about {
		s.add(v.start, v.end, idPassword, passwordScore(w, v))
	}
	if own.has(idUsername) && isUsername(w) && (!v.prose || hasDigits(w) || bytes.ContainsAny(w, "._-")) {
		s.add(v.start, v.end, idUsername, 0.7)
	}
	if own.has(idBIC) {
		s.bic(v.start, v.end)
	}
	line := text[v.start:v.line]
	if !v.quoted {
		for len(line) > 0 && (line[len(line)-1] <= ' ' || line[len(line)-1] == ',' || line[len(line)-1] == '.') {
			line = line[:len(line)-1]
		}
	} else {
		line = w
	}
	end := v.start + len(line)
	if (own.has(idNRP) || own.has(idTitle)) && !f.about && len(line) <= 48 && hasLetter(line) && !hasDigits(line) {
		if own.has(idNRP) {
			s.add(v.start, end, idNRP, 0.7)
		} else {
			s.add(v.start, end, idTitle, 0.7)
		}
	}
	// "address" is that of many things: it is a person's where the value has
	// a number or more than one word, and is no address of a network.
	if own.has(idStreetAddress) && !own.has(idEmail) && !own.has(idIPAddress) && !own.has(idMACAddress) && !own.has(idCrypto) && isStreet(line) {
		s.add(v.start, end, idStreetAddress, 0.7)
	}
	if own.has(idLicensePlate) && isPlate(line) {
		s.add(v.start, end, idLicensePlate, 0.8)
	}
	if own.has(idZIPCode) && isPostcode(line) {
		s.add(v.start, end, idZIPCode, 0.75)
	}
}

// bic looks at a code of letters, which no digit leads to.
func (s *scan) bic(start, end int) {
	n := end - start
	if n != 8 && n != 11 {
		return
	}
	var c [11]byte
	for i, x := range s.text[start:end] {
		if kinds[x] == 0 || i < 6 && kinds[x] == digitKind {
			return
		}
		c[i] = x &^ (kinds[x] & lowerKind << 3)
	}
	if isBIC(c[:n]) {
		s.add(start, end, idBIC, 0.9)
	}
}

func hasLetter(w []byte) bool {
	for _, c := range w {
		if isLetter(c) {
			return true
		}
	}
	return false
}

func hasDigits(w []byte) bool {
	for _, c := range w {
		if isDigit(c) {
			return true
		}
	}
	return false
}

// isStreet: letters, and a digit or a space; no URL, no e-mail address.
func isStreet(w []byte) bool {
	if len(w) < 5 || len(w) > 160 {
		return false
	}
	seen := uint8(0)
	for _, c := range w {
		seen |= streetParts[c]
	}
	return seen&(letterPart|spacePart|noStreet) == letterPart|spacePart && (seen&digitPart != 0 || len(w) >= 8)
}

// What bytes are to isStreet.
const (
	letterPart uint8 = 1 << iota
	digitPart
	spacePart
	noStreet
)

var streetParts = func() (t [256]uint8) {
	for c := range t {
		switch {
		case isLetter(byte(c)):
			t[c] = letterPart
		case isDigit(byte(c)):
			t[c] = digitPart
		}
	}
	t[' '] = spacePart
	for _, c := range "@{=_:" {
		t[c] = noStreet
	}
	return t
}()

// isPostcode: three to ten letters, digits, a space or a hyphen, with digits
// among them.
func isPostcode(w []byte) bool {
	digits := 0
	for _, c := range w {
		switch {
		case isDigit(c):
			digits++
		case c != ' ' && c != '-' && kinds[c] == 0:
			return false
		}
	}
	return len(w) >= 3 && len(w) <= 10 && digits >= 2
}

// isPlate: four to ten letters and digits, in up to four groups, with a digit.
func isPlate(w []byte) bool {
	n, groups := 0, 1
	for _, c := range w {
		switch {
		case isAlnum(c):
			n++
		case c == ' ' || c == '-' || c == '.':
			groups++
		default:
			return false
		}
	}
	return n >= 4 && n <= 10 && groups <= 4 && hasDigits(w)
}

// isUsername: one word, that is no number and no truth value.
func isUsername(w []byte) bool {
	if len(w) < 2 || len(w) > 64 || !hasLetter(w) || isUUID(w) {
		return false
	}
	for _, c := range w {
		if c <= ' ' || c == '"' || c == '{' || c == '(' || c == '/' || c == ',' {
			return false
		}
	}
	return true
}

func isUUID(w []byte) bool {
	if len(w) != 36 {
		return false
	}
	for i, c := range w {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return false
			}
		} else if !isHex(c) {
			return false
		}
	}
	return true
}

// isPlaceholder: what stands for a value, and is none.
func isPlaceholder(w []byte) bool {
	switch w[0] {
	case '$', '<', '{', '[', '%', '(', '*', '#':
		if len(w) < 8 || w[0] == '<' || w[0] == '{' || w[0] == '[' || w[0] == '(' {
			return true
		}
		if w[0] == '$' && (w[1] == '{' || w[1] == '(') || w[0] == '%' && w[1] == '(' {
			return true
		}
		if w[0] == '$' {
			// $PASSWORD, a variable of a shell.
			for _, c := range w[1:] {
				if !isAlnum(c) && c != '_' {
					return false
				}
			}
			return true
		}
	}
	var low [13]byte // as long as the longest of them
	if len(w) <= len(low) {
		for i, c := range w {
			if kinds[c] == upperKind {
				c |= 0x20
			}
			low[i] = c
		}
		switch string(low[:len(w)]) {
		case "null", "nil", "none", "true", "false", "undefined", "n/a", "na", "-", "--", "unknown", "password", "passwd", "secret", "token", "required", "optional", "string", "redacted", "masked", "hidden", "changeme", "username", "user", "yes", "no", "empty", "example", "todo", "tbd", "your_password", "yourpassword", "your-password", "bearer", "basic", "invalid", "expired", "missing", "incorrect", "wrong", "reset", "text", "varchar", "enabled", "disabled":
			return true
		}
	}
	// xxxxxxxx, ********, 00000000.
	distinct, seen := 0, [4]uint64{}
	for _, c := range w {
		if seen[c>>6]>>(c&63)&1 == 0 {
			seen[c>>6] |= 1 << (c & 63)
			if distinct++; distinct > 3 {
				return false
			}
		}
	}
	return len(w) >= 3 && distinct == 1 || len(w) >= 12 && distinct <= 3
}

// isCode reports whether a value is an expression of a program.
func isCode(w []byte) bool {
	last := w[len(w)-1]
	if last == ')' || last == ']' || last == '{' || last == '(' {
		return true
	}
	if hasDigits(w) {
		return false
	}
	dots := 0
	for i, c := range w {
		switch {
		case c == '.':
			dots++
		case !isAlnum(c) && c != '_' && (c != '-' || i == 0):
			return false
		}
	}
	return dots > 0
}

// passwordScore says how much a value in a password's field is one.
func passwordScore(w []byte, v extent) float64 {
	if len(w) < 3 || len(w) > 128 {
		return 0
	}
	spaces, classes := 0, uint8(0)
	for _, c := range w {
		if c == ' ' {
			spaces++
		}
		if k := kinds[c]; k != 0 {
			classes |= k
		} else {
			classes |= 8
		}
	}
	switch {
	case v.quoted && spaces == 0:
		return 0.9
	case v.quoted:
		if spaces <= 5 && len(w) >= 8 {
			return 0.6
		}
		return 0
	case isCode(w):
		return 0.3
	case v.prose && (classes == lowerKind || classes == lowerKind|upperKind && kinds[w[0]] == upperKind && len(w) < 12 || classes == digitKind && len(w) < 4):
		return 0.4 // "password: required"
	case len(w) < 4:
		return 0.4
	}
	return 0.8
}

// secretValue looks at a value in a field for keys and tokens. own is false
// where the name may also mean something else.
func (s *scan) secretValue(v extent, f *field, own bool) {
	w := s.text[v.start:v.end]
	line := s.text[v.start:max(v.line, v.end)]
	// The scheme of an Authorization header.
	for _, scheme := range [...]string{"bearer ", "basic ", "token ", "apikey ", "api-key ", "api-token ", "key ", "digest ", "splunk ", "ssws ", "bot "} {
		if len(line) > len(scheme)+6 && equalFold(line[:len(scheme)], scheme) {
			rest := line[len(scheme):]
			n := 0
			for n < len(rest) && rest[n] > ' ' && rest[n] != '"' && rest[n] != '\'' && rest[n] != ',' {
				n++
			}
			v.start += len(scheme)
			v.end = v.start + n
			w = rest[:n]
			if len(w) >= 8 && !isPlaceholder(w) && (randomness(w) >= 2.6 || scheme == "basic ") && !isCode(w) {
				s.add(v.start, v.end, idAPIKey, 0.9)
			}
			return
		}
	}
	for _, c := range w {
		if c <= ' ' || c == '"' || c == '(' || c == '{' || c == '<' || c == '$' || c >= 0x7F {
			return
		}
	}
	for len(w) > 0 && (w[len(w)-1] == '.' || w[len(w)-1] == ',') {
		w = w[:len(w)-1]
		v.end--
	}
	if len(w) < 8 || isPlaceholder(w) || isCode(w) || isAlphabet(w) || isCutOff(w) || published[string(w)] || hasPrefix(s.text[v.end:], "...") {
		return
	}
	kind := uint8(0)
	for _, c := range w {
		kind |= kinds[c]
	}
	score := 0.0
	switch {
	case f.about || f.own.has(flagVersion) || hasPrefix(w, "http") || w[0] == '/':
	case own:
		switch {
		case kind == digitKind:
			if len(w) >= 15 {
				score = 0.6
			}
		case kind&digitKind == 0:
			// Words: my-secret-name. Without digits it takes much to be random.
			if len(w) >= 20 && kind&upperKind != 0 && kind&lowerKind != 0 && randomness(w) >= 3.9 {
				score = 0.6
			}
		case len(w) >= 10 && randomness(w) >= 2.9:
			score = 0.85
		}
	case len(w) >= 20 && (kind == digitKind|upperKind|lowerKind || len(w) >= 32 && kind&digitKind != 0 && kind != digitKind) && !isUUID(w) && !f.own.has(flagNumber) && randomness(w) >= 3.4:
		score = 0.55
	}
	s.add(v.start, v.end, idAPIKey, score)
}

func equalFold(b []byte, lower string) bool {
	for i := range b {
		c := b[i]
		if kinds[c] == upperKind {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// isAlphabet reports whether eight or more bytes go up one by one: the text is
// made of an alphabet.
func isAlphabet(w []byte) bool {
	run := 0
	for i := 1; i < len(w); i++ {
		if w[i] != w[i-1]+1 {
			run = 0
		} else if run++; run >= 8 && !isDigit(w[i]) {
			return true
		}
	}
	return false
}

// randomness is the Shannon entropy of the bytes, in bits a byte.
func randomness(w []byte) float64 {
	var n [256]uint16
	for _, c := range w {
		n[c]++
	}
	sum := 0.0
	for _, c := range w {
		if k := n[c]; k > 0 {
			sum += timesLog(int(k))
			n[c] = 0
		}
	}
	return math.Log2(float64(len(w))) - sum/float64(len(w))
}

// timesLog is k times its logarithm.
func timesLog(k int) float64 {
	if k < len(timesLogs) {
		return timesLogs[k]
	}
	return float64(k) * math.Log2(float64(k))
}

var timesLogs = func() (t [64]float64) {
	for k := 1; k < len(t); k++ {
		t[k] = float64(k) * math.Log2(float64(k))
	}
	return t
}()

// spoken looks at a word with a digit behind words such as "with password",
// and in a call such as set("token", "…").
func (s *scan) spoken(start, end int) {
	if start < s.values {
		return
	}
	if s.at(start-1) == '"' && s.table == nil {
		// The value of a JSON member was looked at with its name.
		if c := s.at(start - 2); c == ':' || c == ' ' && s.at(start-3) == ':' {
			return
		}
	}
	if end-start < 4 && !isSymbol(s.at(end)) && !isSymbol(s.at(start-1)) {
		return
	}
	from := start
	for from > 0 && start-from < maxWord && s.text[from-1] > ' ' && s.text[from-1] != '"' && s.text[from-1] != '\'' {
		from--
	}
	for from <= 0 && start-from < maxWord && s.at(from-1) > ' ' && s.at(from-1) != '"' && s.at(from-1) != '\'' {
		from-- // it may have begun before the text
	}
	at := max(from, 0)
	if at < start {
		s.touch(at, end)
	}
	if at < s.values {
		return
	}
	line := &s.reader.line
	if h := s.mayHear(from); s.table == nil && line.kind != callKey && (!h.has(idPassword) || !s.want.has(idPassword)) {
		return
	}
	k := s.around(from)
	switch {
	case s.table != nil && k.key.overlaps(&s.valueSet), line.kind == callKey && from-line.at <= 4 && (line.own.overlaps(&s.valueSet) || line.shared.has(idAPIKey)):
		f := line
		if s.table != nil {
			if f = s.column(from); f == nil {
				return
			}
		}
		to := end
		for to < len(s.text) && to-from < maxValue && s.text[to] != '"' && s.text[to] != '\n' && (s.table == nil || s.text[to] != s.table.separator) && (s.table != nil || s.text[to] > ' ') {
			to++
		}
		s.touch(at, to+1)
		s.values = to
		s.value(extent{at, to, to, true, false}, f)
		return
	case !k.near.has(idPassword) || line.kind != noKey && line.at == from || !s.want.has(idPassword):
		return
	}
	to := end
	for to < len(s.text) && to-from < 2*maxWord && s.text[to] > ' ' && s.text[to] != '"' && s.text[to] != '\'' && s.text[to] != ',' && s.text[to] != '<' {
		to++
	}
	s.touch(at, to+1)
	for to > at && (s.text[to-1] == '.' || s.text[to-1] == ';' || s.text[to-1] == ':' || s.text[to-1] == ')') {
		to--
	}
	w := s.text[at:to]
	if len(w) < 6 || isPlaceholder(w) || isCode(w) {
		return
	}
	s.values = to
	s.add(at, to, idPassword, 0.7)
}

// option looks at --name value or -u user:password, of a command line, with
// its first hyphen at i. It returns the end of the value, or i.
func (s *scan) option(i int) int {
	text := s.text
	j := i
	for j < len(text) && text[j] == '-' && j-i < 2 {
		j++
	}
	from := j
	for j < len(text) && (isAlnum(text[j]) || text[j] == '-' || text[j] == '_') && j-from < nameWindow {
		j++
	}
	if j >= len(text) {
		s.touch(i, len(text))
		return i
	}
	name := text[from:j]
	if len(name) == 0 || text[j] != ' ' && text[j] != '=' || len(name) == 1 && name[0] != 'u' {
		return i
	}
	user := string(name) == "u" || string(name) == "user" || string(name) == "proxy-user"
	var f field
	if !user {
		f = s.readName(name)
		if !f.own.has(idAPIKey) && !f.own.has(idPassword) {
			return i
		}
	}
	v, ok := s.extent(j, equalsKey)
	s.touch(i, v.end+1)
	if !ok || v.end <= v.start {
		return i
	}
	if !user {
		s.values = v.end
		s.value(v, &f)
		return i
	}
	colon := -1
	for k := v.start; k < v.end; k++ {
		if text[k] == ':' {
			colon = k
			break
		}
	}
	if colon < 0 {
		return i
	}
	// user:'password' has quotes of its own.
	name0, start, end := v.start, colon+1, v.end
	if end == start && end < len(text) && (text[end] == '\'' || text[end] == '"') {
		v, ok = s.extent(end, equalsKey)
		s.touch(i, v.end+1)
		if !ok {
			return i
		}
		start, end = v.start, v.end
	}
	s.touch(i, end+1)
	if w := text[start:end]; len(w) >= 6 && !isPlaceholder(w) {
		if colon > name0 && !isPlaceholder(text[name0:colon]) {
			s.add(name0, colon, idUsername, 0.8)
		}
		s.add(start, end, idPassword, 0.9)
		s.values = end
	}
	return i
}
