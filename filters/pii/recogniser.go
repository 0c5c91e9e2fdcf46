package pii

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/detect"
)

// Recogniser is one of the policy's own: it finds an entity by a pattern, by a
// list of terms, or by both.
type Recogniser struct {
	Entity    string   `json:"entity" doc:"The entity that it finds, in capitals: a new one, or one of those below."`
	Pattern   string   `json:"pattern,omitempty" doc:"A regular expression (RE2). It is tried only where a byte stands that a match can begin with: one that begins with a literal text is fast. No ^ and $: write \\b."`
	MaxLength int      `json:"maxLength,omitempty" jsonschema:"minimum=1,maximum=512" doc:"The most bytes that a match of the pattern may have. So much of a text that comes in pieces is held."`
	Checksum  string   `json:"checksum,omitempty" jsonschema:"enum=gs1,enum=icao9303,enum=luhn,enum=mod11_10,enum=mod97,enum=verhoeff" doc:"A check over the letters and digits of a match: what fails it is no finding."`
	Context   []string `json:"context,omitempty" doc:"Words and names of fields that speak for it: in the name of the field, or in the text before. A hit raises the score by 0.35."`
	Score     float64  `json:"score,omitempty" jsonschema:"minimum=0,maximum=1" doc:"Score of a match, 0 to 1; default 0.6. One below minScore (0.5) makes it a finding only with a word of context. Terms have at least 0.85."`
	Allow     []string `json:"allow,omitempty" doc:"Matches that are no findings, as they are written."`
	Deny      []string `json:"deny,omitempty" doc:"Terms that are findings wherever they stand as words, in any case."`
	DenyFile  string   `json:"denyFile,omitempty" doc:"A file of terms, one a line, beside the policy; # begins a comment. Many thousand do."`
	Examples  Examples `json:"examples,omitempty" doc:"What it must find and must not. They are tried when the policy is read: sluice check points at one that does not hold."`
}

// Examples are tried when a policy is read.
type Examples struct {
	Match   []string `json:"match,omitempty" doc:"Texts in which it finds something."`
	NoMatch []string `json:"noMatch,omitempty" doc:"Texts in which it finds nothing."`
}

// maxTerms is how many terms a recogniser's file may have.
const maxTerms = 200_000

var entityName = regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,63}$`)

// validate checks the recogniser, and tries its examples. What is in a file is
// not known here.
func (r *Recogniser) validate(path string, errs *filters.FieldErrors) {
	before := len(*errs)
	if !entityName.MatchString(r.Entity) {
		errs.Add(path+".entity", fmt.Sprintf("%q is not the name of an entity", r.Entity), "capitals, digits and _, for example EMPLOYEE_ID")
	}
	switch {
	case r.Pattern == "" && len(r.Deny) == 0 && r.DenyFile == "":
		errs.Add(path+".pattern", "is missing", "a recogniser has a pattern, or terms in deny or denyFile")
	case r.Pattern != "" && r.MaxLength == 0:
		errs.Add(path+".maxLength", "is missing", "the most bytes that a match may have")
	}
	if r.Checksum != "" && !slices.Contains(detect.Checksums(), r.Checksum) {
		errs.Add(path+".checksum", fmt.Sprintf("there is no checksum %q", r.Checksum), "one of "+strings.Join(detect.Checksums(), ", "))
	}
	if r.Score < 0 || r.Score > 1 {
		errs.Add(path+".score", "is not between 0 and 1", "")
	}
	if len(*errs) > before {
		return
	}
	scanner, err := detect.New(detect.Options{Custom: []*detect.Custom{r.custom()}})
	switch {
	case err == nil && r.DenyFile == "":
		r.try(path, scanner, errs)
	case err == nil:
	case r.Pattern != "":
		errs.Add(path+".pattern", err.Error(), "")
	case r.DenyFile == "": // else the file is read when the filter is built
		errs.Add(path+".deny", err.Error(), "")
	}
}

// try holds the examples against the scanner.
func (r *Recogniser) try(path string, scanner *detect.Scanner, errs *filters.FieldErrors) {
	found := func(text string) bool {
		fs, _ := scanner.Scan(nil, detect.Context{}, []byte(text), false)
		return slices.ContainsFunc(fs, func(f detect.Finding) bool { return string(f.Entity) == r.Entity })
	}
	for i, text := range r.Examples.Match {
		if !found(text) {
			errs.Add(fmt.Sprintf("%s.examples.match[%d]", path, i), "the recogniser finds nothing in it", "")
		}
	}
	for i, text := range r.Examples.NoMatch {
		if found(text) {
			errs.Add(fmt.Sprintf("%s.examples.noMatch[%d]", path, i), "the recogniser finds something in it", "")
		}
	}
}

func (r *Recogniser) custom() *detect.Custom {
	return &detect.Custom{Entity: detect.Entity(r.Entity), Pattern: r.Pattern, MaxLength: r.MaxLength, Checksum: r.Checksum,
		Words: r.Context, Score: r.Score, Allow: r.Allow, Terms: r.Deny}
}

// build reads the recogniser's file, and tries the examples that needed it.
func (r *Recogniser) build(path, dir string) (*detect.Custom, error) {
	c := r.custom()
	if r.DenyFile == "" {
		return c, nil
	}
	name := r.DenyFile
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, &filters.FieldError{Path: path + ".denyFile", Msg: err.Error()}
	}
	defer f.Close()
	c.Terms = slices.Clone(c.Terms)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		term, _, _ := strings.Cut(lines.Text(), "#")
		if term = strings.TrimSpace(term); term == "" {
			continue
		}
		if len(c.Terms) >= maxTerms {
			return nil, &filters.FieldError{Path: path + ".denyFile", Msg: fmt.Sprintf("has more than %d terms", maxTerms)}
		}
		c.Terms = append(c.Terms, term)
	}
	if err := lines.Err(); err != nil {
		return nil, &filters.FieldError{Path: path + ".denyFile", Msg: err.Error()}
	}
	scanner, err := detect.New(detect.Options{Custom: []*detect.Custom{c}})
	if err != nil {
		return nil, &filters.FieldError{Path: path, Msg: err.Error()}
	}
	var errs filters.FieldErrors
	r.try(path, scanner, &errs)
	return c, errs.Err()
}
