// Package filtertest is the conformance kit that every filter passes, and the
// runner of the scenarios beside it.
//
// A scenario is a txtar file in a filter's testdata folder that reads like
// documentation: what it shows as its comment, then the parts
//
//	-- policy.yaml --     the policy; any other file it refers to may follow
//	-- include --         or the path of a policy file to take
//	-- env --             NAME=value lines for the environment
//	-- request --         a message, as internal/replay reads it
//	-- response --        the backend's answer; may be left out
//	-- want.request --    what the backend gets; left out where it is unchanged
//	-- want.response --   what the client gets; left out where it is unchanged
//	-- want.denial --     status and problem document, where Sluice answers
//	-- want.decisions --  a line a decision: step phase mode verdict reason counts
//	-- never --           strings that must not be in any decision or log line
//
// Every scenario is played whole, cut at every byte, cut in two at every
// place, and with each way a body can end; the answer must be the same. With
// go test -update the want parts are written anew, for a person to review.
package filtertest
