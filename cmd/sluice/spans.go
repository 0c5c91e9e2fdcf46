package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/sluice-proxy/sluice/internal/detect"
)

// span is a finding in a line of JSON; positions are in code points.
type span struct {
	Start int     `json:"start"`
	End   int     `json:"end"`
	Type  string  `json:"type"`
	Score float64 `json:"score"`
}

// scanLines scans the text of each line's object.
func scanLines(s *detect.Scanner, name string, r io.Reader, out io.Writer, keepText bool) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, readBytes), maxLineBytes)
	var found []detect.Finding
	for n := 1; lines.Scan(); n++ {
		if len(lines.Bytes()) == 0 {
			continue
		}
		obj, text, err := parseLine(lines.Bytes())
		if err != nil {
			return fmt.Errorf("%s:%d: %w", name, n, err)
		}
		found, _ = s.Scan(found[:0], detect.Context{Memory: &detect.Memory{}}, []byte(text), false)
		spans := make([]span, 0, len(found))
		points, last := 0, 0
		for _, f := range found {
			points += codePoints(text[last:f.Start])
			end := points + codePoints(text[f.Start:f.End])
			spans = append(spans, span{Start: points, End: end, Type: string(f.Entity), Score: f.Score})
			points, last = end, f.End
		}
		line, err := obj.with(spans, keepText)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", name, n, err)
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}

func codePoints(s string) (n int) {
	for range s {
		n++
	}
	return n
}

// object is a JSON object in the order of its members.
type object []member

type member struct {
	name  string
	value json.RawMessage
}

// parseLine reads an object with a member text, a string.
func parseLine(line []byte) (obj object, text string, err error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, "", errors.New("the line is not a JSON object")
	}
	found := false
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, "", errors.New("the line is not a JSON object")
		}
		m := member{name: t.(string)}
		if err := dec.Decode(&m.value); err != nil {
			return nil, "", errors.New("the line is not a JSON object")
		}
		if m.name == "text" {
			if json.Unmarshal(m.value, &text) != nil || m.value[0] != '"' {
				return nil, "", errors.New("the member text is not a string")
			}
			found = true
		}
		obj = append(obj, m)
	}
	if _, err := dec.Token(); err != nil {
		return nil, "", errors.New("the line is not a JSON object")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, "", errors.New("there is more after the JSON object")
	}
	if !found {
		return nil, "", errors.New("the object has no member text")
	}
	return obj, text, nil
}

// with writes the object with its spans.
func (o object) with(spans []span, keepText bool) ([]byte, error) {
	b := []byte{'{'}
	for _, m := range o {
		if m.name == "spans" || m.name == "text" && !keepText {
			continue
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, name...), ':'), m.value...)
		b = append(b, ',')
	}
	list, err := json.Marshal(spans)
	if err != nil {
		return nil, err
	}
	b = append(append(b, `"spans":`...), list...)
	return append(b, '}', '\n'), nil
}
