package vendors

import (
	"fmt"

	"github.com/sluice-proxy/sluice/internal/ai/wire"
)

// Dial returns the transport to an endpoint of a kind: openai, azure,
// anthropic or compatible. It calls nobody yet.
func Dial(kind string, e wire.Endpoint) (wire.Transport, error) {
	switch kind {
	case "openai":
		return NewOpenAI(e)
	case "azure":
		return NewAzure(e)
	case "anthropic":
		return NewAnthropic(e)
	case "compatible":
		return NewCompatible(e)
	}
	return nil, fmt.Errorf("%q is no vendor", kind)
}
