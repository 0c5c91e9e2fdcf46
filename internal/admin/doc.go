// Package admin serves Sluice's own HTTP endpoints: health, readiness,
// metrics, versions and the policies in force. They are for the operator and
// have no authentication: the listener belongs on the loopback or on a port
// that only the platform reaches.
//
//	GET /healthz   200 as long as the process runs
//	GET /readyz    200 when exchanges are taken; 503 before and while draining
//	GET /metrics   Prometheus, OpenMetrics where asked for
//	GET /version   the build and the version of the policy set
//	GET /policies  the policies in force, and how the last load went
//	GET /debug/pprof/  where asked for
//
// Errors are RFC 9457 problem documents. Nothing here shows message content
// or a secret: of a step's configuration only the filter's name is told.
package admin
