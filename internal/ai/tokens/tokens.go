// Package tokens counts the tokens of a text where a provider does not say.
package tokens

import (
	"fmt"
	"sync"

	"github.com/tiktoken-go/tokenizer"
)

// Estimate is a quick upper bound for prose and JSON in most scripts: a token
// for every three bytes, and one more.
func Estimate(n int) int { return n/3 + 1 }

var codec = sync.OnceValues(func() (tokenizer.Codec, error) { return tokenizer.Get(tokenizer.O200kBase) })

// Count counts with the vocabulary o200k_base, that of OpenAI's models since
// gpt-4o. For other models it is an approximation.
func Count(text string) (int, error) {
	c, err := codec()
	if err != nil {
		return 0, fmt.Errorf("loading the vocabulary: %w", err)
	}
	n, err := c.Count(text)
	if err != nil {
		return 0, fmt.Errorf("counting tokens: %w", err)
	}
	return n, nil
}
