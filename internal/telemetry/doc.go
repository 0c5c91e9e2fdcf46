// Package telemetry turns what the pipeline records into Prometheus metrics
// and OpenTelemetry spans.
//
// Neither ever holds message content or personal data: their labels and
// attributes are names that stand in policies, names from fixed sets, counts
// and times. The one value that comes from outside is the exchange's
// correlation id, on spans only.
//
// Both are pipeline.Recorders, called on the exchanges' own goroutines: they
// take no lock that all streams share once a step has been seen, and they do
// not wait for anything.
package telemetry
