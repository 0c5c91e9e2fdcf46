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
	key      keyWords
	keyDist  int // 0: directly behind its key; 1: further on; 2: no key but the field's
	// lower and upper say that all words in it and around it are written so.
	lower, upper bool
	// left and right are the hashes of the words next to it.
	left, right [2]uint64
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
	starts        // opens an island
	weak          // belongs to one if it stands beside it
	connects      // belongs to one only between others
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
		return starts
	case scriptShape:
		return starts
	}
	switch {
	case t.attrs&Joiner != 0:
		return connects
	case t.attrs&Particle != 0:
		return weak
	case t.attrs&(StreetWord|National|Title) != 0:
		return starts
	case t.attrs.common() == 0 && t.len() > 2:
		return starts
	case t.attrs.common() < 3 && (t.attrs.first() >= 2 || t.attrs&Country != 0 || t.attrs.city() >= 2 || t.attrs.last() == 3):
		return starts
	case t.attrs.common() < 3 && (t.attrs&PlacePart != 0 || t.attrs.first() > 0 || t.attrs.last() > 0):
		return weak
	}
	return outside
}

// roleOf says what a token is where it stands: the characters directly around
// it, the name of the field and what is remembered are looked at too.
func (s *state) roleOf(i int) role {
	t := &s.toks[i]
	switch {
	case t.kind == numberToken:
		if s.zipped() && t.len() <= 10 && (s.postal || s.postalBefore(i)) {
			return starts
		}
	case t.kind != wordToken || t.shape == lowerShape && t.role == connects: // a joiner
	case s.glued(t):
		return outside
	case s.keyed && t.len() > 1:
		return starts
	case t.shape == lowerShape && t.attrs&Particle == 0 && s.mem.has(t.hash):
		return starts
	}
	return t.role
}

// mayStart reports whether a token can have the role starts, at less cost than
// roleOf.
func (s *state) mayStart(t *token) bool {
	return t.role == starts ||
		t.kind == wordToken && (s.keyed || s.mem.has(t.hash)) ||
		t.kind == numberToken && s.zipped()
}

// zipped reports whether there is anything that says that a number is a postal
// code.
func (s *state) zipped() bool { return s.postal || s.ts.postal }

// postalBefore reports whether the words directly before a number, or the name
// of the field before it, say that it is a postal code.
func (s *state) postalBefore(i int) bool {
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
func (s *state) glued(t *token) bool {
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
		return c == lowerClass || c == digitClass
	}
	return false
}

// next finds the island that begins at or after token i, with lim the tokens
// that are decided on. ok is false where there is none, or where more text may
// still change it; held is then the token from which on to hold.
func (s *state) next(i, lim int, end bool) (is island, held int, ok bool) {
	for k := i; k < lim; k++ {
		if !s.mayStart(&s.toks[k]) || s.roleOf(k) != starts {
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
				return is, from, false
			}
		}
		is = island{from: from, to: to}
		return is, 0, true
	}
	if end {
		return is, lim, false
	}
	return is, s.leftOf(lim, i), false
}

// abbreviated reports whether the dot behind token i may be of the name: that
// of an initial, of Ltd. or of St.
func (s *state) abbreviated(i int) bool {
	t, dot := &s.toks[i], &s.toks[i+1]
	return dot.punct == '.' && dot.len() == 1 && !dot.space && t.kind == wordToken &&
		(t.shape == initialShape || t.len() <= 4 && t.attrs&(OrgWord|StreetWord) != 0)
}

// barred reports whether a barrier among the tokens from to up to lim makes it
// needless to wait for more.
func (s *state) barred(to, lim int) bool {
	for i := to; i < lim; i++ {
		if s.toks[i].kind == longToken {
			return true
		}
	}
	return false
}

// leftOf finds what before token k, a beginning, belongs to it: a house's
// number, a particle.
func (s *state) leftOf(k, low int) int {
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
		}
		break
	}
	return from
}
