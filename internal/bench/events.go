package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

// eventCount is how many streams are read a server; eventPause is between two
// events of one.
const (
	eventCount = 400
	eventPause = 2 * time.Millisecond
)

// serveEvents is a model's stream of tokens.
func serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w).Flush
	for _, word := range strings.SplitAfter("The address is jane@example.com and nothing else. ", " ") {
		_, _ = fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":%q}}]}\n\n", word)
		if flush() != nil || r.Context().Err() != nil {
			return
		}
		time.Sleep(eventPause)
	}
	_, _ = fmt.Fprint(w, "data: [DONE]\n\n")
}

// measureEvents prints by how much the first event of a stream comes later
// than through the no-op, behind the real Envoy.
func (o *options) measureEvents(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	m, err := o.begin(ctx, dir, o.againstNoop(testCase{name: "events", behindEnvoy: true}, maskPolicy))
	if err != nil {
		return err
	}
	defer m.stop()
	client := &http.Client{Timeout: 10 * time.Second}
	took := make([][]time.Duration, len(m.front.addrs))
	for i := range eventCount + 20 {
		for which, addr := range m.front.addrs {
			d, err := firstEvent(ctx, client, "http://"+addr+"/v1/events")
			if err != nil {
				return err
			}
			if i >= 20 { // warm
				took[which] = append(took[which], d)
			}
		}
	}
	for i := range took {
		slices.Sort(took[i])
	}
	at := func(which, percent int) time.Duration { return took[which][len(took[which])*percent/100] }
	fmt.Printf("first event of %d streams   no-op     sluice    later\n", eventCount)
	for _, p := range []int{50, 90, 99} {
		fmt.Printf("p%-25d %9s %9s %9s\n", p, at(0, p).Round(time.Microsecond), at(1, p).Round(time.Microsecond), (at(1, p) - at(0, p)).Round(time.Microsecond))
	}
	return nil
}

// firstEvent returns how long the first event of a stream takes, and reads
// the rest.
func firstEvent(ctx context.Context, client *http.Client, url string) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	r := bufio.NewReader(resp.Body)
	if _, err := r.ReadString('\n'); err != nil {
		return 0, err
	}
	took := time.Since(begin)
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("status %d", resp.StatusCode)
	}
	_, err = r.WriteTo(io.Discard)
	return took, err
}
