// Package audit writes one line of JSON for every decision of a step.
//
// A line says where and when a decision was made, under which version of the
// policies, and what it came to: names from the policy, names from fixed
// sets, counts and a duration. It never holds message content, and nothing
// of the caller's identity; the exchange's correlation id (the x-request-id)
// joins it to the access log of the data plane.
//
//	{"time":"2026-11-02T10:00:00.000001Z","exchange":"…","set":"4f1c…",
//	 "policy":"customer-api","step":"mask","filter":"pii","phase":"response_body",
//	 "mode":"enforce","verdict":"changed","findings":{"EMAIL_ADDRESS":3},
//	 "actions":{"mask":3},"duration_us":212}
//
// What a filter says of an exchange after its decisions, a summary or an
// explanation, is a line too. Its text has no personal data in it, for which
// the filter answers; one about several exchanges names none of them:
//
//	{"time":"2026-11-02T10:00:01Z","exchange":"…","set":"4f1c…",
//	 "policy":"invoices","step":"sum-up","note":"summary",
//	 "text":"User updated invoice INV-1001 to 'paid'","details":{"answer":"model"}}
//
// An exchange never waits for the log: lines go through a bounded queue, and
// where it is full, because the disk or the reader of the standard output is
// slower than the traffic, lines are dropped and counted (Dropped).
package audit
