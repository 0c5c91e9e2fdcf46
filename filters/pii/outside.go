package pii

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
	"github.com/sluice-proxy/sluice/internal/detect"
)

// Detector is a detector outside of this process.
type Detector struct {
	HTTP *HTTPDetector `json:"http,omitempty" doc:"A server with Presidio's /analyze."`
}

// HTTPDetector is a server that finds entities in a text: POST {text,
// language, entities} is answered by [{entity_type, start, end, score}], with
// places in code points, as Presidio's analyzer has it.
type HTTPDetector struct {
	URL         string             `json:"url" doc:"Address, e.g. http://127.0.0.1:5002/analyze. It gets the text in the clear."`
	Language    string             `json:"language,omitempty" doc:"Language that is told to it; default en."`
	Entities    []string           `json:"entities,omitempty" doc:"Entities that it is asked for; all that it knows where it is left out."`
	Token       *filters.SecretRef `json:"token,omitempty" doc:"Where a bearer token for it is: env or file."`
	Timeout     time.Duration      `json:"timeout,omitempty" doc:"The most that it may take for a body; default 2s."`
	Concurrency int                `json:"concurrency,omitempty" jsonschema:"minimum=1,maximum=64" doc:"Most calls at once, of all exchanges together; default 4."`
	Required    bool               `json:"required,omitempty" doc:"The step fails where the detector does. By default, what is found without it counts."`
}

const (
	detectorTimeout     = 2 * time.Second
	detectorConcurrency = 4
	// batchBytes is how much text is sent at once: short values together.
	batchBytes = 16 << 10
	// answerBytes is the longest answer.
	answerBytes = 4 << 20
	between     = "\n\n"
)

func (h *HTTPDetector) validate(path string) error {
	u, err := url.Parse(h.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil:
		return &filters.FieldError{Path: path + ".url", Msg: "is no http or https address", Hint: "a token goes into token"}
	case h.Timeout < 0:
		return &filters.FieldError{Path: path + ".timeout", Msg: "is negative", Hint: "0 is the default"}
	case h.Concurrency < 0 || h.Concurrency > 64:
		return &filters.FieldError{Path: path + ".concurrency", Msg: "is not between 1 and 64"}
	}
	for i, e := range h.Entities {
		if !isEntityName(e) {
			return &filters.FieldError{Path: fmt.Sprintf("%s.entities[%d]", path, i), Msg: fmt.Sprintf("%q is no name of an entity", e)}
		}
	}
	return nil
}

func isEntityName(s string) bool {
	return s != "" && len(s) <= 40 && label(s) == s
}

// outside is a detector outside of this process, ready to be asked.
type outside struct {
	HTTPDetector
	token  filters.Secret
	client *http.Client
	slots  chan struct{}
}

func newOutside(h HTTPDetector, env filters.Env) (*outside, error) {
	o := &outside{HTTPDetector: h}
	if o.Language == "" {
		o.Language = "en"
	}
	if o.Timeout == 0 {
		o.Timeout = detectorTimeout
	}
	if o.Concurrency == 0 {
		o.Concurrency = detectorConcurrency
	}
	if h.Token != nil {
		var err error
		if o.token, err = env.Secret(*h.Token); err != nil {
			return nil, err
		}
	}
	o.slots = make(chan struct{}, o.Concurrency)
	o.client = &http.Client{
		Transport: &http.Transport{MaxConnsPerHost: o.Concurrency, MaxIdleConnsPerHost: o.Concurrency, IdleConnTimeout: 30 * time.Second},
		// Text that goes to one server is not to be sent on to another.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return o, nil
}

// Calls implements filters.Sender.
func (f *filter) Calls() []string {
	var urls []string
	for _, o := range f.outside {
		urls = append(urls, o.URL)
	}
	return urls
}

// spans are what detectors outside found, by the text that it is in.
type spans map[string][]detect.Finding

// consult asks the detectors outside about every text of a body that the step
// is going to look at. A detector that fails and is not required is left out,
// which failed tells.
func (f *filter) consult(ctx context.Context, ex *filters.Exchange, d filters.Direction) (found spans, failed bool, err error) {
	msg := ex.Message(d)
	texts, err := f.texts(ctx, msg)
	if err != nil {
		return nil, false, fmt.Errorf("reading the texts of the body: %w", err)
	}
	found = spans{}
	for _, o := range f.outside {
		fs, err := o.ask(ctx, texts)
		switch {
		case err != nil && o.Required:
			return nil, true, &filters.Failure{Reason: "detector", Err: err}
		case err != nil:
			failed = true
			continue
		}
		for text, s := range fs {
			found[text] = append(found[text], s...)
		}
	}
	return found, failed, nil
}

// texts lists the texts of a body, each once: what the step would scan.
func (f *filter) texts(ctx context.Context, msg *filters.Message) ([]string, error) {
	c := &collector{seen: map[string]bool{}}
	g := *f
	g.scanner = c
	paths := f.paths
	if paths.NeedsDocument() {
		located, err := paths.Locate(msg.Body, body.Limits{})
		if err == nil { // it does not parse otherwise, and is looked at as text
			paths = located
		}
	}
	format, _ := body.FormatOf(msg.Headers.Get("content-type"))
	e := body.NewEditor(format, []body.Stage{{Stream: &stream{work{filter: &g}}, Paths: paths, Unparsed: f.cfg.Unparsed}}, body.Limits{})
	if _, err := e.Write(ctx, nil, msg.Body); err != nil {
		return nil, err
	}
	_, err := e.Close(ctx, nil)
	return c.texts, err
}

// collector is a scanner that finds nothing and keeps what it is shown.
type collector struct {
	seen  map[string]bool
	texts []string
}

// Scan implements scanner.
func (c *collector) Scan(dst []detect.Finding, ctx detect.Context, text []byte, more bool) ([]detect.Finding, int) {
	if more || len(ctx.Before) > 0 || c.seen[string(text)] || !bytes.ContainsFunc(text, isWord) || len(text) < 2 {
		return dst, len(text)
	}
	c.seen[string(text)] = true
	c.texts = append(c.texts, string(text))
	return dst, len(text)
}

func isWord(r rune) bool { return r >= 0x80 || isAlnum(byte(r)) }

// ask sends the texts in batches, so many at once, and returns what was found
// in each.
func (o *outside) ask(ctx context.Context, texts []string) (spans, error) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	var mu sync.Mutex
	var first error
	found := spans{}
	var wg sync.WaitGroup
	for _, b := range batches(texts) {
		if ctx.Err() != nil {
			break
		}
		select {
		case o.slots <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		wg.Go(func() {
			defer func() { <-o.slots }()
			fs, err := o.call(ctx, b)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				if first == nil {
					first = err
				}
				cancel()
				return
			}
			for text, s := range fs {
				found[text] = s
			}
		})
	}
	wg.Wait()
	if first == nil && ctx.Err() != nil {
		first = fmt.Errorf("asking the detector: %w", ctx.Err())
	}
	return found, first
}

// batches joins short texts.
func batches(texts []string) [][]string {
	var out [][]string
	size := batchBytes + 1
	for _, t := range texts {
		if size += len(t) + len(between); size > batchBytes {
			out, size = append(out, nil), len(t)
		}
		out[len(out)-1] = append(out[len(out)-1], t)
	}
	return out
}

type analyzeRequest struct {
	Text     string   `json:"text"`
	Language string   `json:"language"`
	Entities []string `json:"entities,omitempty"`
}

type analyzeResult struct {
	EntityType string   `json:"entity_type"`
	Start      *int     `json:"start"`
	End        *int     `json:"end"`
	Score      *float64 `json:"score"`
}

var errAnswer = errors.New("the detector's answer is not one")

func (o *outside) call(ctx context.Context, texts []string) (spans, error) {
	joined := strings.Join(texts, between)
	payload, err := json.Marshal(analyzeRequest{joined, o.Language, o.Entities})
	if err != nil {
		return nil, fmt.Errorf("asking the detector: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.URL, bytes.NewReader(payload))
	if err != nil {
		return nil, fmt.Errorf("asking the detector: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if !o.token.Empty() {
		req.Header.Set("Authorization", "Bearer "+o.token.Reveal())
	}
	res, err := o.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the detector: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the detector answered with status %d", res.StatusCode)
	}
	answer, err := io.ReadAll(io.LimitReader(res.Body, answerBytes+1))
	if err != nil {
		return nil, fmt.Errorf("reading the detector's answer: %w", err)
	}
	var results []analyzeResult
	if len(answer) > answerBytes || json.Unmarshal(answer, &results) != nil {
		return nil, errAnswer
	}
	return placed(texts, joined, results)
}

// placed leads results in the joined text back to the texts. One that lies
// outside of the text makes the answer none; one across two texts is of
// neither.
func placed(texts []string, joined string, results []analyzeResult) (spans, error) {
	starts := make([]int, 0, len(joined)+1) // of code points, in bytes
	for i := range joined {
		starts = append(starts, i)
	}
	starts = append(starts, len(joined))
	found := spans{}
	for _, r := range results {
		if r.Start == nil || r.End == nil || r.Score == nil || *r.Start < 0 || *r.End <= *r.Start || *r.End >= len(starts) ||
			*r.Score < 0 || *r.Score > 1 || !isEntityName(r.EntityType) {
			return nil, errAnswer
		}
		start, end, at := starts[*r.Start], starts[*r.End], 0
		for _, t := range texts {
			if start >= at && end <= at+len(t) {
				found[t] = append(found[t], detect.Finding{Start: start - at, End: end - at, Entity: detect.Entity(r.EntityType), Score: *r.Score})
				break
			}
			at += len(t) + len(between)
		}
	}
	return found, nil
}

// join adds to the findings in a text what was found outside, and keeps of
// those that overlap the one with the better score, then the longer one.
func (w *work) join(text []byte, own []detect.Finding) []detect.Finding {
	more := w.spans[string(text)]
	if len(more) == 0 {
		return own
	}
	for _, fd := range more {
		if len(w.cfg.Entities) == 0 || slices.Contains(w.cfg.Entities, string(fd.Entity)) {
			own = append(own, fd)
		}
	}
	slices.SortStableFunc(own, func(a, b detect.Finding) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(b.End-b.Start, a.End-a.Start))
	})
	kept := own[:0]
	for _, fd := range own {
		if fd.Score < w.cfg.threshold(fd.Entity) || slices.ContainsFunc(kept, func(k detect.Finding) bool { return k.Start < fd.End && fd.Start < k.End }) {
			continue
		}
		kept = append(kept, fd)
	}
	slices.SortFunc(kept, func(a, b detect.Finding) int { return cmp.Compare(a.Start, b.Start) })
	return kept
}
