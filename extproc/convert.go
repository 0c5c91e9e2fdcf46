package extproc

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/sluice-proxy/sluice/filters"
)

// declared reads what the data plane's configuration says of itself in the
// stream's gRPC metadata.
func declared(header func(name string) string, d DataPlane) DataPlane {
	if v := header("sluice-mode-override"); v != "" {
		d.ModeOverride = v == "true"
	}
	declareTime(&d.MessageTimeout, header("sluice-message-timeout"))
	declareTime(&d.MaxMessageTimeout, header("sluice-max-message-timeout"))
	return d
}

func declareTime(into *time.Duration, text string) {
	if text == "" {
		return
	}
	if v, err := time.ParseDuration(text); err == nil && v > 0 {
		*into = v
	}
}

// exchangeID is the request's x-request-id where that is fit for a log line,
// and otherwise made here.
func exchangeID(h *filters.Headers) string {
	id := h.Get("x-request-id")
	fit := id != "" && len(id) <= 128
	for i := 0; fit && i < len(id); i++ {
		fit = id[i] > ' ' && id[i] < 0x7f
	}
	if fit {
		return id
	}
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// panicSite names the function that panicked. The panic's own text may quote
// the exchange, and stays out of the log.
func panicSite() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs[:])])
	for {
		f, more := frames.Next()
		if !strings.HasPrefix(f.Function, "runtime.") {
			return fmt.Sprintf("%s:%d", f.Function, f.Line)
		}
		if !more {
			return "unknown"
		}
	}
}
