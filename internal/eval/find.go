package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
	"github.com/sluice-proxy/sluice/internal/detect"
)

// Characters for private use mark where a finding begins, which it is, and
// where it ends, in what the editor gives back.
const (
	opens  = '\uE000'
	closes = '\uE001'
	after  = '\uE002'
)

// finder looks for entities in a text as in the body of a message.
type finder struct {
	scanner  *detect.Scanner
	findings []detect.Finding
	all      []detect.Finding
	memory   detect.Memory
	table    detect.Table
}

// Value implements filters.Stream.
func (f *finder) Value(_ context.Context, v *filters.Value) error {
	ctx := detect.Context{Key: v.Key, Before: v.Before, Memory: &f.memory}
	switch v.Kind {
	case filters.Name:
		ctx.Key, ctx.Name = "", true
	case filters.Text:
		ctx.Table = &f.table
	case filters.Object, filters.Array, filters.Bool, filters.Null:
		return nil
	}
	var settled int
	f.findings, settled = f.scanner.Scan(f.findings[:0], ctx, v.Text, v.More)
	if v.More {
		v.Hold(settled)
	}
	for _, fd := range f.findings {
		mark := string(opens) + strconv.Itoa(len(f.all)) + string(closes)
		v.Edit(fd.Start, fd.Start, []byte(mark))
		v.Edit(fd.End, fd.End, []byte(string(after)))
		f.all = append(f.all, fd)
	}
	return nil
}

// Close implements filters.Stream.
func (f *finder) Close(context.Context, *filters.Ledger) (filters.Decision, error) {
	return filters.Decision{}, nil
}

// find returns what is found in text, in code points.
func (f *finder) find(text string) ([]span, error) {
	if strings.ContainsFunc(text, func(r rune) bool { return r >= opens && r <= after }) {
		return nil, fmt.Errorf("the text has characters for private use")
	}
	f.all = f.all[:0]
	f.memory, f.table = detect.Memory{}, detect.Table{}
	e := body.NewEditor(body.Text, []body.Stage{{Stream: f}}, body.Limits{})
	ctx := context.Background()
	out, err := e.Write(ctx, nil, []byte(text))
	if err == nil {
		out, err = e.Close(ctx, out)
	}
	if err != nil {
		return nil, fmt.Errorf("looking at a text: %w", err)
	}
	return f.align(text, string(out))
}

// align finds the marks again. Without them, and the quotes around numbers,
// marked is text.
func (f *finder) align(text, marked string) ([]span, error) {
	var spans []span
	var open []int
	at, points := 0, 0
	for i := 0; i < len(marked); {
		r, n := utf8.DecodeRuneInString(marked[i:])
		switch {
		case r == opens:
			end := strings.IndexRune(marked[i:], closes)
			if end < 0 {
				return nil, fmt.Errorf("a mark is broken")
			}
			k, err := strconv.Atoi(marked[i+n : i+end])
			if err != nil || k >= len(f.all) {
				return nil, fmt.Errorf("a mark is broken")
			}
			spans = append(spans, span{Start: points, Type: string(f.all[k].Entity), Score: f.all[k].Score})
			open = append(open, len(spans)-1)
			i += end + utf8.RuneLen(closes)
		case r == after:
			if len(open) == 0 {
				return nil, fmt.Errorf("a mark is broken")
			}
			spans[open[0]].End = points
			open = open[1:]
			i += n
		case at < len(text) && strings.HasPrefix(text[at:], marked[i:i+n]):
			at += n
			points++
			i += n
		case r == '"': // a number that was edited became a string
			i += n
		default:
			return nil, fmt.Errorf("the editor gave another text back")
		}
	}
	if at != len(text) {
		return nil, fmt.Errorf("the editor left text out")
	}
	return spans, nil
}
