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
	HTTP     *HTTPDetector     `json:"http,omitempty" doc:"A server with Presidio's /analyze."`
	Provider *ProviderDetector `json:"provider,omitempty" doc:"A model of one of the providers."`
}

func (d *Detector) validate(path string, errs *filters.FieldErrors) {
	switch {
	case d.HTTP != nil && d.Provider != nil:
		errs.Add(path, "names two detectors", "give each its own entry")
	case d.HTTP != nil:
		d.HTTP.validate(path+".http", errs)
	case d.Provider != nil:
		d.Provider.validate(path+".provider", errs)
	default:
		errs.Add(path, "names no detector", "http: {url: …} or provider: {name: …, entities: […]}")
	}
}

// entities are those that it may find, as far as it is known.
func (d *Detector) entities() []string {
	switch {
	case d.Provider != nil:
		return d.Provider.Entities
	case d.HTTP != nil:
		return d.HTTP.Entities
	}
	return nil
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

func (h *HTTPDetector) validate(path string, errs *filters.FieldErrors) {
	u, err := url.Parse(h.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		errs.Add(path+".url", "is no http or https address", "a token goes into token")
	}
	validateUse(path, h.Timeout, h.Concurrency, h.Entities, errs)
}

// validateUse checks what all detectors have.
func validateUse(path string, timeout time.Duration, concurrency int, entities []string, errs *filters.FieldErrors) {
	if timeout < 0 {
		errs.Add(path+".timeout", "is negative", "0 is the default")
	}
	if concurrency < 0 || concurrency > 64 {
		errs.Add(path+".concurrency", "is not between 1 and 64", "")
	}
	for i, e := range entities {
		if !isEntityName(e) {
			errs.Add(fmt.Sprintf("%s.entities[%d]", path, i), fmt.Sprintf("%q is no name of an entity", e), "")
		}
	}
}

func isEntityName(s string) bool {
	return s != "" && len(s) <= 40 && label(s) == s
}

// finder finds entities in a few texts, somewhere else.
type finder interface {
	find(ctx context.Context, who filters.Caller, texts []string) (spans, error)
}

// outside is a detector outside of this process, ready to be asked.
type outside struct {
	finder
	timeout  time.Duration
	required bool
	// maxBytes is how much text of a body it is asked about; 0 is all.
	maxBytes int
	slots    chan struct{}
}

func newOutside(f finder, timeout time.Duration, concurrency int, required bool) *outside {
	return &outside{
		finder: f, required: required,
		timeout: cmp.Or(timeout, detectorTimeout),
		slots:   make(chan struct{}, cmp.Or(concurrency, detectorConcurrency)),
	}
}

// ready makes a detector ready. Its errors have their path.
func (d *Detector) ready(path string, env filters.Env) (*outside, error) {
	if p := d.Provider; p != nil {
		m, err := newModel(*p, path+".provider", env)
		if err != nil {
			return nil, err
		}
		o := newOutside(m, p.Timeout, p.Concurrency, p.Required)
		o.maxBytes = cmp.Or(p.MaxBytes, detectorMaxBytes)
		return o, nil
	}
	h := d.HTTP
	s, err := newServer(*h, env)
	if err != nil {
		return nil, &filters.FieldError{Path: path + ".http.token", Msg: err.Error()}
	}
	return newOutside(s, h.Timeout, h.Concurrency, h.Required), nil
}

// server is the finder over HTTP.
type server struct {
	url, language string
	entities      []string
	token         filters.Secret
	client        *http.Client
}

func newServer(h HTTPDetector, env filters.Env) (*server, error) {
	s := &server{url: h.URL, language: cmp.Or(h.Language, "en"), entities: h.Entities}
	if h.Token != nil {
		var err error
		if s.token, err = env.Secret(*h.Token); err != nil {
			return nil, err
		}
	}
	conns := cmp.Or(h.Concurrency, detectorConcurrency)
	s.client = &http.Client{
		Transport: &http.Transport{MaxConnsPerHost: conns, MaxIdleConnsPerHost: conns, IdleConnTimeout: 30 * time.Second},
		// Text that goes to one server is not to be sent on to another.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s, nil
}

// Calls implements filters.Sender. Where a provider is, and whether it may be
// called, its own document says.
func (f *filter) Calls() []string {
	var urls []string
	for _, d := range f.cfg.Detectors {
		if d.HTTP != nil {
			urls = append(urls, d.HTTP.URL)
		}
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
		fs, err := o.ask(ctx, filters.CallerOf(ex), texts)
		switch {
		case err != nil && o.required:
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
	g.open = func() scanner { return c }
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
func (c *collector) Scan(dst []detect.Finding, ctx *detect.Context, text []byte, more bool) ([]detect.Finding, int) {
	if more || len(ctx.Before) > 0 || c.seen[string(text)] || !bytes.ContainsFunc(text, isWord) || len(text) < 2 {
		return dst, len(text)
	}
	c.seen[string(text)] = true
	c.texts = append(c.texts, string(text))
	return dst, len(text)
}

// Close implements scanner.
func (*collector) Close() {}

func isWord(r rune) bool { return r >= 0x80 || isAlnum(byte(r)) }

// ask sends the texts in batches, so many at once, and returns what was found
// in each.
func (o *outside) ask(ctx context.Context, who filters.Caller, texts []string) (spans, error) {
	if o.maxBytes > 0 && size(texts) > o.maxBytes {
		return nil, errTooMuch
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
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
			fs, err := o.find(ctx, who, b)
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

func size(texts []string) (n int) {
	for _, t := range texts {
		n += len(t)
	}
	return n
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

var (
	errAnswer  = errors.New("the detector's answer is not one")
	errTooMuch = errors.New("there is more text than the detector is asked about")
)

func (s *server) find(ctx context.Context, _ filters.Caller, texts []string) (spans, error) {
	joined := strings.Join(texts, between)
	payload, err := json.Marshal(analyzeRequest{joined, s.language, s.entities})
	if err != nil {
		return nil, fmt.Errorf("asking the detector: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(payload))
	if err != nil {
		return nil, fmt.Errorf("asking the detector: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if !s.token.Empty() {
		req.Header.Set("Authorization", "Bearer "+s.token.Reveal())
	}
	res, err := s.client.Do(req)
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
