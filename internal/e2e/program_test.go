package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/internal/e2e"
)

// folder is where the program is built; run makes and removes it.
var folder string

// built builds the program once.
var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(folder, "sluice")
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/sluice").CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the program: %w\n%s", err, out)
	}
	return path, nil
})

// program is `sluice serve` as it ships, with an Envoy of its own in front and
// the tests' backend behind.
type program struct {
	dir   string // of the policies
	admin string // address of the admin port
	audit string // file of the audit log
	envoy *e2e.Envoy
}

// serve starts the program with policies in which DIR stands for their folder.
func serve(t *testing.T, policies string, files map[string]string, listeners ...e2e.Listener) *program {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{dir: t.TempDir()}
	p.audit = filepath.Join(p.dir, "audit.jsonl")
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(strings.ReplaceAll(text, "DIR", p.dir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		write(name, text)
	}
	write("policies.yaml", policies)
	cmd := exec.Command(path, "serve", "--policies", filepath.Join(p.dir, "policies.yaml"), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--drain-timeout", "1s")
	lines, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	type served struct{ at, admin string }
	up := make(chan served, 1)
	ended := make(chan string, 1)
	go func() {
		var all bytes.Buffer
		for s := bufio.NewScanner(lines); s.Scan(); {
			all.Write(append(s.Bytes(), '\n'))
			var line struct {
				Msg   string
				At    []string
				Admin string
			}
			if json.Unmarshal(s.Bytes(), &line) == nil && line.Msg == "serving" {
				up <- served{line.At[0], line.Admin}
			}
		}
		_ = cmd.Wait()
		ended <- all.String()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case log := <-ended:
			if strings.Contains(log, "jane@") {
				t.Error("personal data is in the program's log")
			}
		case <-time.After(20 * time.Second):
			_ = cmd.Process.Kill()
			t.Error("the program does not end")
		}
	})
	select {
	case s := <-up:
		p.admin = s.admin
		addr, err := net.ResolveTCPAddr("tcp", s.at)
		if err != nil {
			t.Fatal(err)
		}
		if p.envoy, err = e2e.Start(t.Context(), backend.Addr(), addr, listeners...); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.envoy.Stop)
	case log := <-ended:
		ended <- log
		t.Fatalf("the program ended:\n%s", log)
	case <-time.After(60 * time.Second):
		t.Fatal("the program does not serve")
	}
	return p
}

// run runs another command of the program.
func (p *program) run(t *testing.T, args ...string) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("sluice %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// noted waits for a line of the audit log that has all the texts.
func (p *program) noted(t *testing.T, texts ...string) string {
	t.Helper()
	var all []byte
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		all, _ = os.ReadFile(p.audit)
	lines:
		for line := range strings.Lines(string(all)) {
			for _, text := range texts {
				if !strings.Contains(line, text) {
					continue lines
				}
			}
			return line
		}
	}
	t.Fatalf("the audit log has no line with %q:\n%s", texts, all)
	return ""
}
