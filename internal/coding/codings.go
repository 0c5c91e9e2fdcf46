package coding

import (
	"errors"
	"fmt"
	"strings"
)

// Coding is a content coding's name, in lower case.
type Coding string

// The codings.
const (
	Gzip    Coding = "gzip"
	Deflate Coding = "deflate"
	Brotli  Coding = "br"
	Zstd    Coding = "zstd"
)

// maxStack is how many codings may be stacked. More than two is only seen in
// attacks.
const maxStack = 3

// ErrUnknown is the error for a coding that cannot be read, or too many.
var ErrUnknown = errors.New("unknown content coding")

// Parse reads the values of a message's Content-Encoding fields. The codings
// are in the order in which they were applied; identity is left out.
func Parse(values []string) ([]Coding, error) {
	var cs []Coding
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			switch name := strings.ToLower(strings.TrimSpace(part)); name {
			case "", "identity":
			case "gzip", "x-gzip":
				cs = append(cs, Gzip)
			case "deflate":
				cs = append(cs, Deflate)
			case "br":
				cs = append(cs, Brotli)
			case "zstd":
				cs = append(cs, Zstd)
			default:
				return nil, ErrUnknown
			}
		}
	}
	if len(cs) > maxStack {
		return nil, fmt.Errorf("%w: %d of them stacked", ErrUnknown, len(cs))
	}
	return cs, nil
}
