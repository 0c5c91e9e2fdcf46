package policies

import (
	"fmt"
	"strings"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// Mode is a body mode of Envoy's ext_proc filter.
type Mode string

// The body modes.
const (
	ModeNone            Mode = "NONE"
	ModeBuffered        Mode = "BUFFERED"
	ModeBufferedPartial Mode = "BUFFERED_PARTIAL"
	ModeStreamed        Mode = "STREAMED"
	ModeFullDuplex      Mode = "FULL_DUPLEX_STREAMED"
)

// Modes are the body modes of the two directions.
type Modes [2]Mode

// ParseModes reads one mode for both directions, or
// "request=MODE,response=MODE".
func ParseModes(s string) (Modes, error) {
	var m Modes
	if !strings.Contains(s, "=") {
		mode, err := parseMode(s)
		return Modes{mode, mode}, err
	}
	for part := range strings.SplitSeq(s, ",") {
		name, text, _ := strings.Cut(part, "=")
		mode, err := parseMode(text)
		if err != nil {
			return m, err
		}
		switch strings.TrimSpace(name) {
		case "request":
			m[filters.Request] = mode
		case "response":
			m[filters.Response] = mode
		default:
			return m, fmt.Errorf("%q is neither request nor response", name)
		}
	}
	for d, mode := range m {
		if mode == "" {
			return m, fmt.Errorf("the mode of the %s is missing", filters.Direction(d))
		}
	}
	return m, nil
}

func parseMode(s string) (Mode, error) {
	switch m := Mode(strings.ToUpper(strings.TrimSpace(s))); m {
	case ModeNone, ModeBuffered, ModeBufferedPartial, ModeStreamed, ModeFullDuplex:
		return m, nil
	}
	return "", fmt.Errorf("%q is no body mode: NONE, BUFFERED, BUFFERED_PARTIAL, STREAMED or FULL_DUPLEX_STREAMED", s)
}

// Check returns a problem for every step that asks for what the data plane's
// body modes cannot do.
func (s *Set) Check(modes Modes) []Problem {
	var out []Problem
	for _, p := range s.policies {
		for _, steps := range [][]*pipeline.Step{p.Request, p.Response} {
			for _, step := range steps {
				if msg, hint := s.obstacle(step, modes[step.Direction]); msg != "" {
					at := p.lines[step]
					at.Msg, at.Hint = fmt.Sprintf("step %s: %s", step.Name, msg), hint
					out = append(out, at)
				}
			}
		}
	}
	sortProblems(out)
	return out
}

func (s *Set) obstacle(step *pipeline.Step, mode Mode) (msg, hint string) {
	if !step.ReadsBody() {
		return "", ""
	}
	const better = "use FULL_DUPLEX_STREAMED"
	switch mode {
	case ModeNone:
		if s.settings.DataPlane.ModeOverride {
			return "", ""
		}
		return "it reads the body, and in NONE none is sent", better + ", or allow mode_override and say so in dataPlane.modeOverride"
	case ModeBufferedPartial:
		return "it reads the body, and in BUFFERED_PARTIAL what exceeds the data plane's buffer bypasses Sluice", better + " or BUFFERED"
	case ModeStreamed:
		if s.settings.DataPlane.ModeOverride {
			return "", ""
		}
		if step.Collects() {
			return "it needs the whole body, and in STREAMED the headers do not wait for it: a change of them is lost, and a denial cuts the response off", better + " or BUFFERED"
		}
		return "it holds back what may go on, and in STREAMED nothing can be sent once trailers have come", better + " or BUFFERED"
	}
	return "", ""
}
