package filters

// Verdict is what a step came to in one phase.
type Verdict uint8

// The verdicts.
const (
	// Passed: the step looked and had nothing to do.
	Passed Verdict = iota
	// Changed: the step changed the message, or would have.
	Changed
	// Denied: the step ended the exchange, or would have.
	Denied
	// Skipped: the step did not run; the reason says why (when, rollout, no
	// body, upgrade).
	Skipped
	// Failed: the step could not do its work; its onError was followed.
	Failed
)

var verdictNames = [...]string{"passed", "changed", "denied", "skipped", "failed"}

// String returns the verdict's name in lower case.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return "unknown"
}

// Decision is what a step concluded and why. It is the unit of audit, of
// shadow comparison and of explanation, and it never holds message content:
// what was found is told by kind and count.
type Decision struct {
	Verdict Verdict
	// Reason is a short text from a fixed set: no content, no key, no value.
	Reason string
	// Findings counts what was found, by entity ("EMAIL_ADDRESS": 3).
	Findings Counts
	// Actions counts what was done, by action ("mask": 3).
	Actions Counts
	// Details holds further labels and numbers that are not content.
	Details map[string]any
}

// Failure is an error with a reason that may be shown: a short text from a
// fixed set, free of content. Other errors are recorded as "error" only,
// because their text may quote the message.
type Failure struct {
	Reason string
	Err    error
}

// Error implements error.
func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Reason
	}
	return f.Reason + ": " + f.Err.Error()
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }
