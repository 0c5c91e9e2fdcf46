package extproc

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"runtime"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sluice-proxy/sluice/filters"
)

const (
	maxHeaderValue = 60 << 10 // Envoy answers 500 to 64 KiB and more
	maxMutations   = 100
)

// mutation turns changes into what the data plane is told: the net effect for
// each name, as the view h has it. An error is a name, value or number that
// the data plane would answer with 500.
func mutation(changes []filters.Change, h *filters.Headers) (*extprocv3.HeaderMutation, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	m := &extprocv3.HeaderMutation{}
	for i, c := range changes {
		if ignored(c.Name) || mentioned(changes[:i], c.Name) {
			continue
		}
		if !validName(c.Name) {
			return nil, fmt.Errorf("a header name is not valid")
		}
		if !h.Has(c.Name) {
			if c.Name[0] == ':' {
				continue // no message is without it
			}
			m.RemoveHeaders = append(m.RemoveHeaders, c.Name)
			continue
		}
		for j, v := range h.Values(c.Name) {
			if !validValue(v) {
				return nil, fmt.Errorf("a header value is not valid")
			}
			o := &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: c.Name, RawValue: []byte(v)}}
			if j > 0 {
				// Every append_action overwrites; only this one appends.
				//lint:ignore SA1019 it is the field that Envoy reads
				o.Append = wrapperspb.Bool(true)
			}
			m.SetHeaders = append(m.SetHeaders, o)
		}
	}
	if len(m.SetHeaders)+len(m.RemoveHeaders) > maxMutations {
		return nil, fmt.Errorf("more than %d headers are changed", maxMutations)
	}
	if len(m.SetHeaders)+len(m.RemoveHeaders) == 0 {
		return nil, nil
	}
	return m, nil
}

func mentioned(changes []filters.Change, name string) bool {
	for i := range changes {
		if changes[i].Name == name {
			return true
		}
	}
	return false
}

// ignored are headers whose change no configuration of the data plane allows.
func ignored(name string) bool { return strings.HasPrefix(name, "x-envoy-") }

func validName(s string) bool {
	switch s {
	case ":path", ":status", ":authority", ":method", ":scheme":
		return true
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

func validValue(s string) bool {
	if len(s) > maxHeaderValue {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// dynamicMetadata is what the data plane is given back: a struct for each
// namespace.
func dynamicMetadata(m map[string]map[string]any) (*structpb.Struct, error) {
	if len(m) == 0 {
		return nil, nil
	}
	out := make(map[string]any, len(m))
	for ns, kv := range m {
		out[ns] = kv
	}
	s, err := structpb.NewStruct(out)
	if err != nil {
		return nil, fmt.Errorf("writing dynamic metadata: %w", err)
	}
	return s, nil
}

// declared reads what the data plane's configuration says of itself in the
// stream's gRPC metadata.
func declared(header func(name string) string, d DataPlane) DataPlane {
	if v := header("sluice-mode-override"); v != "" {
		d.ModeOverride = v == "true"
	}
	if v, err := time.ParseDuration(header("sluice-message-timeout")); err == nil && v > 0 {
		d.MessageTimeout = v
	}
	if v, err := time.ParseDuration(header("sluice-max-message-timeout")); err == nil && v > 0 {
		d.MaxMessageTimeout = v
	}
	return d
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
