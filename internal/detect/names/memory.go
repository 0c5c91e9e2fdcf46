package names

import "slices"

// maxRemembered is how many words a Memory holds; more are not taken in.
const maxRemembered = 512

// Memory holds the words of the names of people that were found in a
// document, as hashes, so that a surname alone is found again. The zero value
// is empty. It is for one document and one goroutine.
type Memory struct {
	words   []uint64
	settled int // those before it are kept
}

func (m *Memory) has(h uint64) bool { return m != nil && slices.Contains(m.words, h) }

func (m *Memory) add(h uint64) {
	if m != nil && len(m.words) < maxRemembered && !slices.Contains(m.words, h) {
		m.words = append(m.words, h)
	}
}
