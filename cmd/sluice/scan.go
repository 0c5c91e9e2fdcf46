package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/sluice-proxy/sluice/internal/detect"
)

func newScan() *cobra.Command {
	var jsonl, keepText bool
	var opt detect.Options
	var entities []string
	cmd := &cobra.Command{
		Use:   "scan [FILE...]",
		Short: "Tell what the detectors of personal data find in text",
		Long: `Scan reads text from files, or the standard input, and prints a line for each
finding: place, entity, score. The text itself is not printed.

With --jsonl each line read is a JSON object with a text, and each line written
has its spans: {"text": "..."} becomes {"spans":[{"start","end","type","score"}]}
with positions in Unicode code points, and the object's other members as they
were.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, files []string) error {
			if opt.MinScore <= 0 || opt.MinScore > 1 {
				return fmt.Errorf("--min-score %v: it must be more than 0 and at most 1", opt.MinScore)
			}
			for _, e := range entities {
				opt.Entities = append(opt.Entities, detect.Entity(e))
			}
			scanner, err := detect.New(opt)
			if err != nil {
				return err
			}
			out := bufio.NewWriterSize(cmd.OutOrStdout(), 64<<10)
			each := func(name string, r io.Reader) error { return scanText(scanner, name, r, out) }
			if jsonl {
				each = func(name string, r io.Reader) error { return scanLines(scanner, name, r, out, keepText) }
			}
			return errors.Join(eachFile(cmd, files, each), out.Flush())
		},
	}
	cmd.Flags().BoolVar(&jsonl, "jsonl", false, "read and write JSON objects, one a line")
	cmd.Flags().BoolVar(&keepText, "keep-text", false, "with --jsonl, keep the text in the line written")
	cmd.Flags().StringSliceVar(&entities, "entities", nil, "`entities` to look for, by comma; all where empty")
	cmd.Flags().Float64Var(&opt.MinScore, "min-score", 0.5, "least `score`, more than 0 and at most 1, of a finding")
	_ = cmd.RegisterFlagCompletionFunc("entities", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, e := range detect.Entities() {
			names = append(names, string(e.Entity)+"\t"+e.Description)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

// eachFile opens the files in turn; the standard input where there are none,
// and for "-".
func eachFile(cmd *cobra.Command, files []string, do func(name string, r io.Reader) error) error {
	if len(files) == 0 {
		files = []string{"-"}
	}
	for _, name := range files {
		if name == "-" {
			if err := do("-", cmd.InOrStdin()); err != nil {
				return err
			}
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("opening the text: %w", err)
		}
		err = do(name, f)
		_ = f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// The sizes of what is read at once and of the longest line of JSON.
const (
	readBytes    = 64 << 10
	maxLineBytes = 64 << 20
	// contextBytes is how much of the text before a piece the detectors may
	// look at.
	contextBytes = 256
)

// scanText scans a text of any length and prints its findings.
func scanText(s *detect.Scanner, name string, r io.Reader, out io.Writer) error {
	// buf[:done] has been scanned and is kept as context.
	buf, done := make([]byte, 0, 2*readBytes), 0
	at := place{line: 1, column: 1}
	var found []detect.Finding
	var memory detect.Memory
	for end := false; !end; {
		if cap(buf)-len(buf) < readBytes {
			buf = append(make([]byte, 0, 2*cap(buf)), buf...)
		}
		n, err := io.ReadFull(r, buf[len(buf):len(buf)+readBytes])
		buf = buf[:len(buf)+n]
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			end = true
		case err != nil:
			return fmt.Errorf("reading %s: %w", name, err)
		}
		text := buf[done:]
		var settled int
		found, settled = s.Scan(found[:0], detect.Context{Before: buf[max(0, done-contextBytes):done], Memory: &memory}, text, !end)
		last := 0
		for _, f := range found {
			at.advance(text[last:f.Start])
			last = f.Start
			if _, err := fmt.Fprintf(out, "%s:%d:%d: %s %.2f\n", name, at.line, at.column, f.Entity, f.Score); err != nil {
				return err
			}
		}
		at.advance(text[last:settled])
		done += settled
		if drop := done - contextBytes; drop > 0 {
			buf = buf[:copy(buf, buf[drop:])]
			done = contextBytes
		}
	}
	return nil
}

// place is a position in a text: lines from 1, columns in code points from 1.
type place struct{ line, column int }

func (p *place) advance(text []byte) {
	for _, b := range text {
		switch {
		case b == '\n':
			p.line++
			p.column = 1
		case b&0xc0 != 0x80: // not within a code point
			p.column++
		}
	}
}
