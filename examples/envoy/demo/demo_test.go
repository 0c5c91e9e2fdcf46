package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestBeside(t *testing.T) {
	var b bytes.Buffer
	beside(&b, "raw", "masked", "{\n\"email\": \"jane@example.com\"\n}\n", "{\n\"email\": \"****@*******.***\"\n}\nmore\n")
	lines := strings.Split(b.String(), "\n")
	for i, want := range []string{"raw", "---", "{", `"email": "jane@example.com"`, "}", ""} {
		if got := strings.TrimLeft(lines[i], " "); !strings.HasPrefix(got, want) {
			t.Errorf("line %d is %q", i, lines[i])
		}
	}
	if strings.Contains(lines[2], "#") || !strings.Contains(lines[3], "#") {
		t.Error("the lines that differ are not the ones that are marked")
	}
	b.Reset()
	beside(&b, "raw", "masked", strings.Repeat("x", column+1)+"\nnext", "short\nnext")
	if lines := strings.Split(b.String(), "\n"); !strings.HasPrefix(lines[4], "   next") || !strings.HasSuffix(lines[4], "| next") {
		t.Errorf("a long line pushes the ones after it apart:\n%s", b.String())
	}
	for _, l := range fold(strings.Repeat("ü", 200)) {
		if n := len([]rune(l)); n > column {
			t.Errorf("a line has %d characters", n)
		}
	}
}

func TestPortsThatAreTakenAreNotUsed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(envoyPort))
	if err == nil { // else somebody else has it, which is as good
		defer func() { _ = l.Close() }()
	}
	p, err := choosePorts()
	if err != nil {
		t.Fatal(err)
	}
	if p[envoyPort] == envoyPort {
		t.Error("a port that is taken was chosen")
	}
	seen := map[int]bool{}
	for _, port := range p {
		if seen[port] {
			t.Error("a port was chosen twice")
		}
		seen[port] = true
	}
}

func TestTheConfigurationGetsThePorts(t *testing.T) {
	to := filepath.Join(t.TempDir(), "envoy.yaml")
	p := ports{envoyPort: 20001, envoyAdminPort: 20002, sluicePort: 20003, sluiceAdminPort: 20004, backendPort: 20005}
	if err := p.writeConfig("../envoy.yaml", to); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	for usual, port := range p {
		if strings.Contains(string(text), "port_value: "+strconv.Itoa(usual)+"\n") {
			t.Errorf("port %d is still there", usual)
		}
		if usual != sluiceAdminPort && !strings.Contains(string(text), "port_value: "+strconv.Itoa(port)+"\n") {
			t.Errorf("port %d did not become %d", usual, port)
		}
	}
	if err := (ports{7: 8}).writeConfig("../envoy.yaml", to); err == nil {
		t.Error("a port that the configuration does not have was replaced in silence")
	}
}

// TestTheShowTellsWhatIsWrong plays the calls against the backend itself,
// with nothing between: what must not come through does, and is told.
func TestTheShowTellsWhatIsWrong(t *testing.T) {
	addr := "127.0.0.1:0"
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	_ = l.Close()
	b, err := startBackend(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer b.stop()
	var out bytes.Buffer
	s := &show{out: &out, backend: b, direct: "http://" + addr, through: "http://" + addr}
	if wrong := s.all(context.Background()); wrong != len(calls) {
		t.Errorf("%d of %d calls were found wrong:\n%s", wrong, len(calls), out.String())
	}
	for _, want := range []string{`"jane.roe@example.com" came through`, "status 204 and not 403", "the backend got the request"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q", want)
		}
	}
}

func TestAProcessThatEndsIsToldOf(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	p, err := startProcess("short", log, "sh", "-c", "echo no such luck; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	if err := p.await(context.Background(), "http://127.0.0.1:1/"); err == nil || !strings.Contains(err.Error(), "no such luck") {
		t.Errorf("error %v", err)
	}
	if !p.ended() {
		t.Error("it has not ended")
	}
	if _, err := startProcess("none", log, filepath.Join(t.TempDir(), "no-such-program")); err == nil {
		t.Error("a program that is not there was started")
	}
}

func TestStopEndsAProcess(t *testing.T) {
	p, err := startProcess("long", filepath.Join(t.TempDir(), "log"), "sleep", "600")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	p.stop()
	if !p.ended() || time.Since(start) > 4*time.Second {
		t.Error("it did not end when asked")
	}
}
