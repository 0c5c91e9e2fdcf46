package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sluice-proxy/sluice/internal/realtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sluice": func() { os.Exit(run()) }})
}

// TestScripts runs testdata/*.txtar: each is a session at the shell with the
// real program. With UPDATE_SCRIPTS set the expected outputs are
// written anew.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"freeport":   freePort,
			"httpget":    httpGet,
			"eventually": eventually,
			"signal":     sendSignal,
			"expand":     expand,
			"redis":      startRedis,
			"inredis":    inRedis,
			"model":      startModel,
			"asked":      asked,
			"exchange":   exchange,
		},
		Condition: func(name string) (bool, error) {
			if name == "redis" {
				return os.Getenv("SLUICE_REDIS") != "", nil
			}
			return false, fmt.Errorf("there is no condition %q", name)
		},
	})
}

// sendSignal TERM|HUP sends a signal to the program in the background.
func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	known := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}
	background := ts.BackgroundCmds()
	if neg || len(args) != 1 || known[args[0]] == 0 || len(background) != 1 {
		ts.Fatalf("usage: signal TERM|HUP, with one program in the background")
	}
	ts.Check(background[0].Process.Signal(known[args[0]]))
}

// freePort NAME... sets each variable to a port that nobody listens on.
func freePort(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: freeport NAME...")
	}
	for _, name := range args {
		port, err := realtest.FreePort()
		ts.Check(err)
		ts.Setenv(name, strconv.Itoa(port))
	}
}

func get(url string) (int, string, error) {
	client := &http.Client{Timeout: 5 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// httpGet STATUS URL FILE waits, up to a minute, for the status and writes
// the body into the file. ! httpget URL wants no answer at all.
func httpGet(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		if status, _, err := get(args[0]); err == nil {
			ts.Fatalf("%s still answers, with %d", args[0], status)
		}
		return
	}
	if len(args) != 3 {
		ts.Fatalf("usage: httpget STATUS URL FILE")
	}
	last := ""
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		status, body, err := get(args[1])
		if err == nil && strconv.Itoa(status) == args[0] {
			ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(body), 0o600))
			return
		}
		last = fmt.Sprint(status, " ", err)
	}
	ts.Fatalf("%s does not answer with %s: %s", args[1], args[0], last)
}

// eventually TEXT URL waits, up to a minute, for the body to hold the text.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: eventually TEXT URL")
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if _, body, err := get(args[1]); err == nil && strings.Contains(body, args[0]) {
			return
		}
	}
	ts.Fatalf("%s does not come to hold %q", args[1], args[0])
}
