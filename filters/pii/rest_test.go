package pii_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/pipeline"
)

// TestBodiesAtRest: a body that waits for its next chunk takes no more than its
// exchange. A model's answer may take minutes, and there may be thousands.
func TestBodiesAtRest(t *testing.T) {
	const bodies, most = 200, 24 << 10
	store := openPolicy(t, "apiVersion: sluice/v1\nkind: Policy\nmetadata: {name: p}\nspec:\n  response:\n    - filter: pii\n")
	event := []byte(`data: {"choices":[{"index":0,"delta":{"content":"Write to Anna Schmidt at anna@exam"}}]}` + "\n\n")
	runs := make([]*pipeline.Run, bodies)
	open := func(i int) {
		ex := &filters.Exchange{}
		ex.Response.Headers = filters.NewHeaders(filters.Field{Name: ":status", Value: "200"}, filters.Field{Name: "content-type", Value: "text/event-stream"})
		chains, _ := store.Begin(context.Background(), ex)
		runs[i] = pipeline.NewRun(ex, chains, pipeline.Options{})
		runs[i].Headers(t.Context(), filters.Response, pipeline.Caps{Body: true, HeadersAfterBody: true, HoldTail: true}, false)
		runs[i].Body(t.Context(), filters.Response, event, false)
	}
	open(0)
	before := heap()
	for i := range runs[1:] {
		open(1 + i)
	}
	if each := (heap() - before) / (bodies - 1); each > most {
		t.Errorf("a body at rest takes %d bytes, of at most %d", each, most)
	} else {
		t.Logf("%d bytes", each)
	}
	for _, r := range runs {
		if out := string(r.Body(t.Context(), filters.Response, []byte(`data: {"choices":[{"index":0,"delta":{"content":"ple.org"}}]}`+"\n\n"), true).Body); len(out) == 0 {
			t.Fatal("nothing comes of the rest")
		}
		r.Finish(t.Context())
	}
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
