package detect

import (
	"fmt"
	"slices"

	"github.com/sluice-proxy/sluice/internal/detect/names"
)

// people are found by a model of how names are written, and of what stands
// around them: see internal/detect/names.
var people = []recogniser{
	{entity: Person, what: "Name of a person.", holds: "How it is written, the words around it and the name of its field make it likely.", size: names.MaxBytes},
	{entity: Location, what: "Place or address, or a part of one: street, postcode, city, state, country.", holds: "As for PERSON.", size: names.MaxBytes},
	{entity: Organization, what: "Company, authority, club or other organisation.", holds: "As for PERSON.", size: names.MaxBytes},
	{entity: NRP, what: "Nationality, religion or political group.", holds: "As for PERSON, or the text of a field whose name says so.", size: names.MaxBytes},
}

// kindOf maps the model's kinds to entities.
var kindOf = [...]Entity{names.Person: Person, names.Place: Location, names.Organization: Organization, names.Group: NRP}

// Memory remembers the people found in a document from one of its texts to the
// next, so that a family name alone, or one in capitals, is found again. The
// zero value is empty. It is for one document, whose texts come in order, and
// holds 256 words at most.
type Memory struct{ names names.Memory }

// Len is how many words are remembered. They are never forgotten.
func (m *Memory) Len() int { return m.names.Len() }

// settle is told how much of the last text is settled.
func (m *Memory) settle(settled int) {
	if m != nil {
		m.names.Settle(settled)
	}
}

// useNames loads the model where one of its entities is wanted.
func (s *Scanner) useNames(bias float64) error {
	if bias < -1 || bias > 1 {
		return fmt.Errorf("the bias of names, %g, is not between -1 and 1", bias)
	}
	if !slices.ContainsFunc(kindOf[names.Person:], func(e Entity) bool { return s.want.has(ids[e]) }) {
		return nil
	}
	m, err := names.Default()
	if err != nil {
		return fmt.Errorf("loading the model of names: %w", err)
	}
	s.model, s.nameBias = m, bias*biasOdds
	return nil
}

// biasOdds is what a bias of 1 adds to the log-odds of a word being a name.
const biasOdds = 4

// holdsAll looks for names in a text that goes on, before anything else is
// looked for: what it may be cut at depends on them. It reports whether nothing
// of the text is settled, be there what may: live texts come word by word.
func (s *scan) holdsAll() bool {
	switch {
	case s.ctx.Table != nil: // it has to know where it stands
		s.limit = s.tag()
		return false
	case s.tail() == 0:
		return true
	}
	if s.limit = s.tag(); s.limit == 0 {
		s.ctx.Memory.settle(0)
	}
	return s.limit == 0
}

// tag looks for names, and returns how much of the text is settled. What the
// model decided on as one is not to be cut.
func (s *scan) tag() (settled int) {
	if s.model == nil || s.ctx.Name {
		return len(s.text)
	}
	f := &s.outlook.names
	if !s.more && len(s.before) == 0 && !s.wanted && !f.Wants(s.text) {
		return len(s.text)
	}
	if s.tagger == nil {
		s.tagger = s.model.Tagger()
	}
	in := &s.input
	in.Text, in.Before, in.Field, in.More, in.Bias, in.Memory = s.text, s.before, f, s.more, s.nameBias, nil
	if s.ctx.Memory != nil {
		in.Memory = &s.ctx.Memory.names
	}
	s.found, s.extents, settled = s.tagger.Tag(s.found, s.extents, in)
	return settled
}

// takeNames adds the names in the text to the other findings. In a text that
// does not go on they are looked for only now. One that is wholly within
// another finding is none: the digits of a telephone number are no postcode. So
// a text that is a finding as a whole has none.
func (s *scan) takeNames() {
	n := len(s.out)
	if !s.more {
		for _, o := range s.out[s.from:n] {
			if o.Start == 0 && o.End == len(s.text) && len(s.before) == 0 {
				return
			}
		}
		s.tag()
	}
next:
	for _, f := range s.found {
		for _, o := range s.out[s.from:n] {
			if o.Start <= f.Start && f.End <= o.End {
				continue next
			}
		}
		s.add(f.Start, f.End, ids[kindOf[f.Kind]], f.Score)
	}
}

// uncut moves settled to the beginning of what the model decided on as one.
func (s *scan) uncut(settled int) int {
	for i := len(s.extents) - 1; i >= 0 && s.extents[i].End > settled; i-- {
		if s.extents[i].Start < settled {
			return s.extents[i].Start
		}
	}
	return settled
}
