package names

// MaxBytes is the longest name.
const MaxBytes = maxIslandBytes

// Bounds of an island.
const (
	maxIslandTokens = 20
	maxIslandBytes  = 112
	reach           = 3 // tokens behind an island that are looked at
	leftReach       = 4 // tokens before its first word that may belong to it
)

// island is a run of tokens that may hold names.
type island struct {
	from, to int // tokens
	key      *Field
	keyDist  int // 0: directly behind its key; 1: further on; 2: no key but the field's
	// lower and upper say that all words in it and around it are written so.
	lower, upper bool
	// left and right are the hashes of the words next to it.
	left, right uint64
}

// form is how the island and what is around it are written.
func (is *island) form() (f uint64) {
	if is.lower {
		f |= 1
	}
	if is.upper {
		f |= 2
	}
	return f
}

// role is what a token is to islands.
type role uint8

const (
	outside  role = iota
	weak          // belongs to one if it stands beside it
	connects      // belongs to one only between others
	starts        // opens an island, as those behind it may
	ordinary      // starts, but where it begins a sentence it is weak
	numbered      // starts beside a number, and is weak elsewhere
)

// roleOf says what a word or a number is by itself.
func roleOf(t *token) role {
	if t.kind == numberToken {
		if t.len() <= 6 || t.shape == alnumShape && t.len() <= 8 {
			return weak
		}
		return outside
	}
	switch t.shape {
	case titleShape, upperShape, mixedShape, initialShape:
		if t.attrs.common() == 3 && t.attrs.first() < 2 && t.attrs&(Country|StreetWord|OrgWord|National|PlacePart) == 0 {
			return connects
		}
		if t.shape == upperShape && t.attrs&Thing != 0 && t.attrs.common() > 0 && t.attrs.first() == 0 && t.attrs.city() == 0 && t.attrs&(Country|StreetWord|OrgWord|National) == 0 {
			return weak // SSN, IBAN: what a number is called
		}
		if t.shape == titleShape && t.attrs.common() >= 2 && t.attrs.first() < 2 && t.attrs.last() < 3 && t.attrs.city() < 2 && t.attrs&(Country|StreetWord|OrgWord|National) == 0 {
			return ordinary
		}
		return starts
	case scriptShape:
		return starts
	}
	switch {
	case t.attrs&Joiner != 0:
		return connects
	case t.attrs&Particle != 0:
		return weak
	case t.attrs&(National|Title) != 0:
		return starts
	case t.attrs&StreetWord != 0:
		if t.attrs.common() > 0 {
			return numbered // a box, a house
		}
		return starts
	case t.attrs.common() == 0 && t.len() > 2:
		return starts
	case t.attrs.common() < 3 && (t.attrs.first() >= 2 || t.attrs&Country != 0), t.attrs.common() < 2 && (t.attrs.city() >= 2 || t.attrs.last() == 3):
		return starts
	case t.attrs.common() < 3 && (t.attrs&PlacePart != 0 || t.attrs.first() > 0 || t.attrs.last() > 0):
		return weak
	}
	return outside
}

// roleOf says what a token is where it stands: the characters directly around
// it, the name of the field and what is remembered are looked at too.
func (s *Tagger) roleOf(i int) role {
	t := &s.toks[i]
	switch {
	case t.kind == numberToken:
		if s.zipped() && t.len() <= 10 && (s.field.postal || s.postalBefore(i)) {
			return starts
		}
	case t.kind != wordToken || t.shape == lowerShape && t.role == connects: // a joiner
	case s.glued(t):
		return outside
	case s.field.keyed && t.len() > 1:
		return starts
	case t.shape == lowerShape && t.attrs&Particle == 0 && s.remembers(t):
		return starts
	case t.role == ordinary:
		if s.beginsSentence(i) && !s.remembers(t) {
			return weak
		}
		return starts
	case t.role == numbered:
		if s.besideNumber(i) {
			return starts
		}
		return weak
	}
	return t.role
}

// rare reports whether a word is such that it may be remembered.
func (t *token) rare() bool {
	return t.kind == wordToken && t.attrs&(Common(3)|Title|Particle|Calendar) == 0
}

// opens reports whether a token by itself, or as it is remembered, may open an
// island.
func (t *token) opens() bool { return t.role >= starts || t.rare() }

// remembers reports whether a token is a word of a name that was found before.
func (s *Tagger) remembers(t *token) bool {
	return s.mem != nil && t.rare() && s.mem.has(t.hash)
}

// besideNumber reports whether a number stands before the token, or behind it
// and its dot.
func (s *Tagger) besideNumber(i int) bool {
	if i > 0 && s.toks[i-1].kind == numberToken {
		return true
	}
	if i++; i < len(s.toks) && s.toks[i].punct == '.' {
		i++
	}
	return i < len(s.toks) && s.toks[i].kind == numberToken
}

// beginsSentence reports whether a sentence, or a line, begins with the token.
func (s *Tagger) beginsSentence(i int) bool {
	if i == 0 {
		return true
	}
	switch t := &s.toks[i-1]; t.kind {
	case breakToken:
		return true
	case punctToken:
		return t.punct == '.' || t.punct == '!' || t.punct == '?' || t.punct == '"'
	}
	return false
}

// candidate finds the first token from k on that roleOf may say starts of.
func (s *Tagger) candidate(k, lim int) int {
	if s.field.keyed || s.zipped() {
		for k < lim && !s.mayStart(&s.toks[k]) {
			k++
		}
		return k
	}
	for s.cursor < len(s.ts.starts) && int(s.ts.starts[s.cursor]) < k {
		s.cursor++
	}
	if s.cursor == len(s.ts.starts) {
		return lim
	}
	return min(lim, int(s.ts.starts[s.cursor]))
}

func (s *Tagger) mayStart(t *token) bool {
	return t.opens() || t.kind == wordToken && s.field.keyed || t.kind == numberToken && s.zipped()
}

// zipped reports whether there is anything that says that a number is a postal
// code.
func (s *Tagger) zipped() bool { return s.field.postal || s.ts.postal }

// postalBefore reports whether the words directly before a number, or the name
// of the field before it, say that it is a postal code.
func (s *Tagger) postalBefore(i int) bool {
	words := 0
	for j := i - 1; j >= 0 && j >= i-6 && words < 3 && s.toks[j].start >= s.toks[i].start-keyBack; j-- {
		switch t := &s.toks[j]; t.kind {
		case wordToken, codeToken:
			words++
			if t.postal {
				return true
			}
		case punctToken:
			if t.punct == ',' || t.punct == ';' {
				return false
			}
		default:
			return false
		}
	}
	return false
}

// glued reports whether a word is a part of an address, a path or a name in
// code.
func (s *Tagger) glued(t *token) bool {
	before, after := byte(' '), byte(' ')
	if t.start > 0 {
		before = s.buf[t.start-1]
	}
	if int(t.end) < len(s.buf) {
		after = s.buf[t.end]
	}
	if before == '@' || after == '@' || before == '\\' || before == '$' {
		return true
	}
	if t.shape != lowerShape {
		return false
	}
	if before == '/' || after == '/' || before == '#' || after == '(' {
		return true
	}
	if before == '.' {
		return true
	}
	if after == '.' && int(t.end)+1 < len(s.buf) {
		c := classOf[s.buf[t.end+1]]
		return c == lowerClass || c == digitClass || s.buf[t.end+1] == '@'
	}
	return false
}

// next finds the island that begins at or after token i, with lim the tokens
// that are decided on, and says from where to where it is. ok is false where
// there is none, or where more text may still change it; held is then the token
// from which on to hold.
func (s *Tagger) next(is *island, i, lim int, end bool) (held int, ok bool) {
	for k := s.candidate(i, lim); k < lim; k = s.candidate(k+1, lim) {
		if s.roleOf(k) != starts {
			continue
		}
		from := s.leftOf(k, i)
		to := k + 1
		chopped := false
		for to < lim {
			j := to
			for j < lim && j-to < 3 && s.roleOf(j) == connects {
				j++
			}
			if j == lim {
				break
			}
			if r := s.roleOf(j); r != starts && r != weak {
				break
			}
			if j+1-from > maxIslandTokens || s.toks[j].end-s.toks[from].start > maxIslandBytes {
				chopped = true
				break
			}
			to = j + 1
		}
		if to < lim && to-from < maxIslandTokens && s.abbreviated(to-1) {
			to++
		}
		if !end {
			// All that could have changed it has to be there.
			need := to + 4
			if chopped {
				need = to + reach
			}
			if need > lim && !s.barred(to, lim) {
				return from, false
			}
		}
		is.from, is.to = from, to
		return 0, true
	}
	if end {
		return lim, false
	}
	return s.leftOf(lim, i), false
}

// abbreviated reports whether the dot behind token i may be of the name: that
// of an initial, of Ltd. or of St.
func (s *Tagger) abbreviated(i int) bool {
	t, dot := &s.toks[i], &s.toks[i+1]
	return dot.punct == '.' && dot.len() == 1 && !dot.space && t.kind == wordToken &&
		(t.shape == initialShape || t.len() <= 4 && t.attrs&(OrgWord|StreetWord) != 0)
}

// barred reports whether a barrier among the tokens from to up to lim makes it
// needless to wait for more.
func (s *Tagger) barred(to, lim int) bool {
	for i := to; i < lim; i++ {
		if s.toks[i].kind == longToken {
			return true
		}
	}
	return false
}

// leftOf finds what before token k, a beginning, belongs to it: a house's
// number, a particle.
func (s *Tagger) leftOf(k, low int) int {
	from := k
	for j := k - 1; j >= low && j >= k-leftReach; j-- {
		switch s.roleOf(j) {
		case weak:
			from = j
			continue
		case connects:
			if s.toks[j].kind == punctToken {
				continue
			}
			if s.toks[j].attrs&Particle != 0 {
				from = j
				continue
			}
		}
		break
	}
	return from
}
