// Package realtest starts the servers of others that the tests run against.
package realtest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Tool returns the path that an environment variable names. Where it is not
// set the test is skipped; where it is set and there is nothing, it fails: the
// Makefile sets it.
func Tool(t testing.TB, env string) string {
	t.Helper()
	path := os.Getenv(env)
	if path == "" {
		t.Skipf("%s is not set; make sets it", env)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s: %v", env, err)
	}
	return path
}

// Port returns a port that is free.
func Port(t testing.TB) int {
	t.Helper()
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// The ports that FreePort takes: below those that outgoing connections get. One
// of these may be gone before somebody listens on it; and whoever dials it
// until then may be given it at the other end, too, and talk to himself.
const (
	firstPort, lastPort = 10_000, 32_000
	portsEach           = 100 // for a process that tests
)

// ownPorts is the first of the ports of this process. Packages are tested at
// once: each listens on the first of its ports for as long as it is there.
var ownPorts = sync.OnceValues(func() (int, error) {
	const blocks = (lastPort - firstPort) / portsEach
	for i := range blocks {
		first := firstPort + (os.Getpid()+i)%blocks*portsEach
		if _, err := listen(first); err == nil {
			return first, nil
		}
	}
	return 0, fmt.Errorf("all ports from %d to %d are taken", firstPort, lastPort)
})

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

var taken atomic.Int64

// FreePort returns a port of the loopback that nobody listens on, and none
// again before all the others.
func FreePort() (int, error) {
	first, err := ownPorts()
	if err != nil {
		return 0, err
	}
	for range portsEach {
		port := first + 1 + int(taken.Add(1)-1)%(portsEach-1)
		if l, err := listen(port); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no port from %d to %d is free", first+1, first+portsEach-1)
}

// output keeps the end of what a process says.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buf.Len() > 64<<10 {
		o.buf.Reset()
	}
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Start starts a process that ends with the test, and waits until url answers.
func Start(t testing.TB, url string, within time.Duration, env []string, name string, args ...string) {
	t.Helper()
	out := &output{}
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = t.TempDir()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-ended
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for {
		select {
		case <-ended:
			t.Fatalf("%s ended:\n%s", name, out)
		case <-ctx.Done():
			t.Fatalf("%s is not up after %s:\n%s", name, within, out)
		case <-time.After(50 * time.Millisecond):
		}
		if up(ctx, url) == nil {
			return
		}
	}
}

func up(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode >= 500 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}
