package explain

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Bounds of reading an audit log.
const (
	// maxLine is the longest line that is read; longer ones are passed over.
	maxLine = 256 << 10
	// MaxDecisions is the most of one exchange that is kept.
	MaxDecisions = 1000
)

// Found is what an audit log has of one exchange.
type Found struct {
	Decisions []Decision
	// Notes are what filters said of it later, by kind and text.
	Notes []Note
	// More: there were more than MaxDecisions.
	More bool
}

// Note is a summary or an explanation.
type Note struct{ Kind, Text string }

// line is a line of the audit log, as far as it matters here.
type line struct {
	Exchange                                                    string
	Policy, Step, Filter, Phase, Mode, Verdict, Reason, OnError string
	Findings, Actions                                           map[string]int
	Note, Text                                                  string
}

// Read adds what the log has of the exchange to f. It keeps one line at a
// time; lines that are not of an audit log are passed over.
func (f *Found) Read(r io.Reader, exchange string) error {
	in := bufio.NewReaderSize(r, maxLine)
	quick := []byte(exchange)
	for _, c := range quick {
		if c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			quick = nil // it may be written in another way
			break
		}
	}
	for {
		text, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = in.ReadSlice('\n')
			}
			text = nil
		}
		if bytes.Contains(text, quick) {
			f.take(text, exchange)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading the audit log: %w", err)
		}
	}
}

func (f *Found) take(text []byte, exchange string) {
	var l line
	if json.Unmarshal(text, &l) != nil || l.Exchange != exchange {
		return
	}
	switch {
	case l.Verdict == "" && l.Note == "":
	case len(f.Decisions)+len(f.Notes) >= MaxDecisions:
		f.More = true
	case l.Note != "":
		f.Notes = append(f.Notes, Note{l.Note, l.Text})
	default:
		f.Decisions = append(f.Decisions, Decision{
			Policy: l.Policy, Step: l.Step, Filter: l.Filter, Phase: l.Phase, Mode: l.Mode, Verdict: l.Verdict, Reason: l.Reason, OnError: l.OnError,
			Findings: l.Findings, Actions: l.Actions,
		})
	}
}
