package telemetry

import (
	"go.opentelemetry.io/otel/trace"
)

// parseTraceparent reads a W3C Trace Context traceparent field
// (https://www.w3.org/TR/trace-context/#traceparent-header). ok is false for
// anything that is not one; the trace then starts anew, as the
// recommendation asks.
func parseTraceparent(v string) (sc trace.SpanContext, ok bool) {
	// version "-" trace-id "-" parent-id "-" flags; a version above 00 may
	// have more behind another "-".
	if len(v) < 55 || v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return sc, false
	}
	version, ok := hexByte(v[0:2])
	if !ok || version == 0xff || version == 0 && len(v) != 55 || len(v) > 55 && v[55] != '-' {
		return sc, false
	}
	var cfg trace.SpanContextConfig
	if !hexBytes(cfg.TraceID[:], v[3:35]) || !hexBytes(cfg.SpanID[:], v[36:52]) {
		return sc, false
	}
	flags, ok := hexByte(v[53:55])
	if !ok || !cfg.TraceID.IsValid() || !cfg.SpanID.IsValid() {
		return sc, false
	}
	cfg.TraceFlags = trace.TraceFlags(flags) & trace.FlagsSampled
	cfg.Remote = true
	return trace.NewSpanContext(cfg), true
}

func hexBytes(dst []byte, s string) bool {
	for i := range dst {
		b, ok := hexByte(s[2*i : 2*i+2])
		if !ok {
			return false
		}
		dst[i] = b
	}
	return true
}

func hexByte(s string) (byte, bool) {
	h, ok := hexDigit(s[0])
	l, ok2 := hexDigit(s[1])
	return h<<4 | l, ok && ok2
}

// hexDigit takes lower case only: upper case is not valid in a traceparent.
func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}
