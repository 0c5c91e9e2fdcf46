package filters_test

import (
	"runtime"
	"strings"
	"testing"
	"unsafe"
	"weak"

	"github.com/sluice-proxy/sluice/filters"
)

// TestACallerIsKeptWithoutTheHeaders: who it was is a part of one text, that of
// all headers, which is not to be kept with it.
func TestACallerIsKeptWithoutTheHeaders(t *testing.T) {
	text := strings.Repeat("consumer tenant route ", 4<<10)
	held := weak.Make(unsafe.StringData(text))
	ex := &filters.Exchange{Consumer: filters.Consumer{Username: text[:8], Tenant: text[9:15]}, Route: filters.Route{Name: text[16:21]}}
	c := filters.CallerOf(ex)
	text, ex = "", nil
	runtime.GC()
	if held.Value() != nil {
		t.Error("the headers are kept")
	}
	if c != (filters.Caller{Consumer: "consumer", Tenant: "tenant", Route: "route"}) || text != "" || ex != nil {
		t.Errorf("%+v", c)
	}
}
