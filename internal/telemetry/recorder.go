package telemetry

import "github.com/sluice-proxy/sluice/internal/pipeline"

// Fanout hands every record to each of its recorders, in order.
type Fanout []pipeline.Recorder

// NewFanout returns a recorder over those of rs that are not nil.
func NewFanout(rs ...pipeline.Recorder) Fanout {
	var f Fanout
	for _, r := range rs {
		if r != nil {
			f = append(f, r)
		}
	}
	return f
}

// Decision implements pipeline.Recorder.
func (f Fanout) Decision(r *pipeline.Record) {
	for _, to := range f {
		to.Decision(r)
	}
}

// Exchange implements pipeline.Recorder.
func (f Fanout) Exchange(s *pipeline.Summary) {
	for _, to := range f {
		to.Exchange(s)
	}
}
