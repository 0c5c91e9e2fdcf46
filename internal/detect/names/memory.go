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
	// index is where in words, counted from 1, the word of a hash is: at the
	// place that its first bits name or one of those behind it, before a 0. It
	// is there once there are more than fewWords.
	index *[2 * maxRemembered]uint16
	// at is where in the last text each of the words from fresh on was found.
	at    []int
	fresh int
}

// fewWords are found as fast one by one.
const fewWords = 8

func bitOf(h uint64) uint64 { return 1 << (h >> 58) }

func (m *Memory) any() bool { return m != nil && m.some != 0 }

// Len is how many words there are of what is settled.
func (m *Memory) Len() int { return m.fresh }

func (m *Memory) has(h uint64) bool {
	return m != nil && m.some&bitOf(h) != 0 && m.where(h) > 0
}

// where is where in words the word is, counted from 1, or 0.
func (m *Memory) where(h uint64) int {
	if m.index == nil {
		return slices.Index(m.words, h) + 1
	}
	return int(*m.place(h))
}

// place is that of the word in the index, or the free one that it would have.
func (m *Memory) place(h uint64) *uint16 {
	const places = uint64(len(m.index))
	for at := h >> 32; ; at++ {
		if p := &m.index[at%places]; *p == 0 || m.words[*p-1] == h {
			return p
		}
	}
}

// count is how many words there are.
func (m *Memory) count() int {
	if m == nil {
		return 0
	}
	return len(m.words)
}

func (m *Memory) add(h uint64, at int) {
	if m == nil || len(m.words) == maxRemembered || m.has(h) {
		return
	}
	m.words = append(m.words, h)
	m.at = append(m.at, at)
	m.some |= bitOf(h)
	if m.index != nil {
		*m.place(h) = uint16(len(m.words))
	} else if len(m.words) > fewWords {
		m.index = new([2 * maxRemembered]uint16)
		for i, h := range m.words {
			*m.place(h) = uint16(i + 1)
		}
	}
}

// Settle says how much of the text that was last looked at is settled: what
// was found behind that is shown again, and forgotten till then.
func (m *Memory) Settle(settled int) {
	if m.fresh < len(m.words) {
		m.settle(settled)
	}
}

func (m *Memory) settle(settled int) {
	for m.fresh < len(m.words) && m.at[m.fresh] < settled {
		m.fresh++
	}
	if m.fresh == len(m.words) {
		return
	}
	// From the last one on: the places of those before it lead past none that
	// came later.
	for m.index != nil && len(m.words) > m.fresh {
		*m.place(m.words[len(m.words)-1]) = 0
		m.words = m.words[:len(m.words)-1]
	}
	m.words, m.at, m.some = m.words[:m.fresh], m.at[:m.fresh], 0
	for _, h := range m.words {
		m.some |= bitOf(h)
	}
}
