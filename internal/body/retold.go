package body

// Retells reports whether a member of this name tells a text of its document
// again, token by token and in bytes: the log probabilities of OpenAI's models
// and what is compatible, of Gemini's, and of a prompt. What is spread over
// tokens is not found in them, so a step that looks at what is around them is
// shown the objects there as a whole, and can take them away.
func Retells(name string) bool {
	switch name {
	case "logprobs", "logprobsResult", "prompt_logprobs":
		return true
	}
	return false
}
