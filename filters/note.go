package filters

import "time"

// Notes takes what a filter has to say of exchanges after their decisions,
// such as a summary that a model has written meanwhile. It is used by many at
// once and makes nobody wait.
type Notes interface {
	Note(n *Note)
}

// Note is a text about one exchange, or about several.
type Note struct {
	Time time.Time
	// Exchange is the exchange's id; "" where the note is about several.
	Exchange string
	// Set is the version of the policy set that the exchange was pinned to.
	Set string
	// Policy and Step are who says it.
	Policy, Step string
	// Kind is what the text is, a word from a fixed set: summary, explanation.
	Kind string
	// Text is one line without personal data; the filter answers for that. It
	// is "" where there is none, and Details say why.
	Text string
	// Details are labels and numbers, as in a Decision.
	Details map[string]any
}
