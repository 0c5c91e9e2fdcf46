package filters

// Decided is a decision with where it was made.
type Decided struct {
	Policy, Step, Filter string
	Phase                Phase
	// Mode is the step's: enforce, observe or shadow.
	Mode     string
	Decision Decision
	// OnError is what followed a failure.
	OnError OnError
}
