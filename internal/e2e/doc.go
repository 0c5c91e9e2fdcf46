// Package e2e is what tests behind a real Envoy need: an Envoy with a
// listener for each way of configuring its ext_proc filter, and a backend
// that a test scripts request by request. Envoy is the one that SLUICE_ENVOY
// names, or on PATH, or that `make envoy` got.
package e2e
