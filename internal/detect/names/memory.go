package names

import "slices"

// maxRemembered is how many words a Memory holds; more are not taken in.
const maxRemembered = 256

// Memory holds the words of the names of people that were found in a
// document, as hashes, so that a surname alone is found again. The zero value
// is empty. It is for one document and one goroutine.
type Memory struct {
	words []uint64
	// some has a bit set for each of the words: most of a text are none.
	some uint64
	// at is where in the last text each of the words from fresh on was found.
	at    []int
	fresh int
}

func bitOf(h uint64) uint64 { return 1 << (h >> 58) }

func (m *Memory) any() bool { return m != nil && m.some != 0 }

// Len is how many words there are of what is settled.
func (m *Memory) Len() int { return m.fresh }

func (m *Memory) has(h uint64) bool {
	return m != nil && m.some&bitOf(h) != 0 && slices.Contains(m.words, h)
}

func (m *Memory) add(h uint64, at int) {
	if m != nil && len(m.words) < maxRemembered && !slices.Contains(m.words, h) {
		m.words = append(m.words, h)
		m.at = append(m.at, at)
		m.some |= bitOf(h)
	}
}

// Settle says how much of the text that was last looked at is settled: what
// was found behind that is shown again, and forgotten till then.
func (m *Memory) Settle(settled int) {
	for m.fresh < len(m.words) && m.at[m.fresh] < settled {
		m.fresh++
	}
	if m.fresh == len(m.words) {
		return
	}
	m.words, m.at, m.some = m.words[:m.fresh], m.at[:m.fresh], 0
	for _, h := range m.words {
		m.some |= bitOf(h)
	}
}
