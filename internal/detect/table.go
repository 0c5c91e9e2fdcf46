package detect

import "bytes"

// Table remembers the columns of a table (CSV and its kin) from one piece of a
// text to the next. The zero value is ready; one is for one text.
type Table struct {
	state     tableState
	separator byte
	columns   []field
	column    int
	quoted    bool
}

type tableState uint8

const (
	unknownTable tableState = iota
	noTable
	isTable
)

// Bounds of a table's first line.
const (
	maxColumns    = 64
	maxColumnName = 40
	maxHeader     = 1 << 10
)

// openTable looks at the first line of a text, which may name columns.
func (s *scan) openTable() {
	t := s.ctx.Table
	switch {
	case t == nil && !s.more && len(s.before) == 0:
		if bytes.IndexByte(s.text[:min(len(s.text), maxHeader)], '\n') < 0 {
			return
		}
		if separator, verdict := header(s.text, false); verdict == isTable {
			t = &Table{state: isTable, separator: separator, columns: s.columns(separator)}
		}
	case t != nil && t.state == unknownTable:
		var separator byte
		separator, t.state = header(s.text, s.more)
		switch {
		case len(s.before) > 0:
			t.state = noTable
		case t.state == isTable:
			t.separator, t.columns = separator, s.columns(separator)
		case t.state == unknownTable:
			s.touch(0, len(s.text))
		}
	}
	if t != nil && t.state == isTable && t.columns != nil {
		s.table, s.cell, s.quoted = t, t.column, t.quoted
	}
}

// header says whether text begins with a line that names columns.
func header(text []byte, more bool) (separator byte, verdict tableState) {
	names, words, size := 0, 0, 0
	for i, c := range text {
		if i >= maxHeader {
			return 0, noTable
		}
		switch {
		case c == '\n':
			if size == 0 || separator == 0 || names < 1 || separator == ',' && names < 2 {
				return 0, noTable
			}
			return separator, isTable
		case c == ',' || c == ';' || c == '\t' || c == '|':
			if separator == 0 {
				separator = c
			}
			if c != separator || size == 0 || names >= maxColumns {
				return 0, noTable
			}
			names++
			words, size = 0, 0
		case c == ' ':
			if size == 0 || words > 2 {
				return 0, noTable
			}
			words++
		case isLetter(c):
			size++
		case isDigit(c) || c == '_' || c == '-' || c == '(' || c == ')' || c == '#' || c == '/':
			if size == 0 {
				return 0, noTable
			}
		case c == '"' || c == '\r':
		default:
			return 0, noTable
		}
		if size > maxColumnName {
			return 0, noTable
		}
	}
	if more {
		return 0, unknownTable
	}
	return 0, noTable
}

// columns reads the names of the first line; nil where none of them says
// anything.
func (s *scan) columns(separator byte) []field {
	var out []field
	from, known := 0, false
	for i, c := range s.text {
		if c != separator && c != '\n' {
			continue
		}
		f := s.readName(s.text[from:i])
		known = known || !f.own.empty() || !f.shared.empty()
		out = append(out, f)
		from = i + 1
		if c == '\n' {
			break
		}
	}
	if !known {
		return nil
	}
	return out
}

// column returns what the name of the column that p is in says; nil where the
// text is no table.
func (s *scan) column(p int) *field {
	if s.table == nil {
		return nil
	}
	if p < s.cellAt {
		s.cellAt, s.cell, s.quoted = 0, s.table.column, s.table.quoted
	}
	for ; s.cellAt < p; s.cellAt++ {
		switch c := s.text[s.cellAt]; {
		case c == '"':
			s.quoted = !s.quoted
		case s.quoted:
		case c == s.table.separator:
			s.cell++
		case c == '\n':
			s.cell = 0
		}
	}
	if s.cell >= len(s.table.columns) {
		return nil
	}
	return &s.table.columns[s.cell]
}

// leave remembers the column that the next piece begins in.
func (s *scan) leave(settled int) {
	s.column(settled)
	s.table.column, s.table.quoted = s.cell, s.quoted
}
