package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// server is a processor that a case loads.
type server struct {
	name string
	// begin starts it, at a place.
	begin func(ctx context.Context, at place) (*process, error)
	// cpus, where set, are those that it runs on (taskset's list), and load
	// those of what loads it.
	cpus, load string
}

// place is what a server gets to run with.
type place struct {
	// dir is the case's folder, and file the start of a name in it that is the
	// server's own.
	dir, file string
	// log is the file for its errors.
	log         string
	addr, admin string
	cpus        string
}

func noopServer() server {
	return server{name: "no-op", begin: func(ctx context.Context, at place) (*process, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		return start(ctx, at, self, "noop", at.addr)
	}}
}

// sluiceServer is a binary with policies. {audit} in them is a file for the
// audit log: in a folder of its own, since that of the policies is watched and
// they would be loaded anew all the time.
func sluiceServer(name, bin, policies string) server {
	return server{name: name, begin: func(ctx context.Context, at place) (*process, error) {
		base := filepath.Join(at.dir, at.file)
		if err := os.MkdirAll(base+"-audit", 0o700); err != nil {
			return nil, err
		}
		text := strings.ReplaceAll(policies, "{audit}", filepath.Join(base+"-audit", "log.jsonl"))
		if err := os.WriteFile(base+".yaml", []byte(text), 0o600); err != nil {
			return nil, err
		}
		return start(ctx, at, bin, "serve", "--policies", base+".yaml", "--listen", at.addr, "--admin", at.admin, "--pprof")
	}}
}

// process is a server at work.
type process struct {
	cmd *exec.Cmd
	// beside are processes that it needs: they end with it, and what they cost
	// is its cost.
	beside []*process
}

// start starts a program in a process group of its own, which ends with ctx.
func start(ctx context.Context, at place, bin string, args ...string) (*process, error) {
	if at.cpus != "" {
		args = append([]string{"-c", at.cpus, bin}, args...)
		bin = "taskset"
	}
	cmd := exec.CommandContext(ctx, bin, args...)
	f, err := os.OpenFile(at.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	cmd.Stderr = f
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", bin, err)
	}
	return &process{cmd: cmd}, nil
}

func (p *process) stop() {
	_ = p.cmd.Cancel()
	_ = p.cmd.Wait()
	for _, other := range p.beside {
		other.stop()
	}
}

// cpu returns the time that the process, its children and those beside it have
// used: the kernel's own count, to the nanosecond, where proc(5) has ticks of
// 10 ms.
func (p *process) cpu() (time.Duration, error) {
	sum, err := cpuOf(p.cmd.Process.Pid)
	for _, other := range p.beside {
		c, oerr := other.cpu()
		sum, err = sum+c, errors.Join(err, oerr)
	}
	return sum, err
}

func cpuOf(pid int) (time.Duration, error) {
	// The clock of another process (clock_getcpuclockid(3)): its number is made
	// of the process's, and 2 is for what the scheduler counts.
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &t); err != nil {
		return 0, fmt.Errorf("reading the CPU clock of process %d: %w", pid, err)
	}
	sum := time.Duration(t.Nano())
	for _, child := range childrenOf(pid) {
		c, err := cpuOf(child)
		if err != nil {
			return 0, err
		}
		sum += c
	}
	return sum, nil
}

// childrenOf are the processes that a process has started (proc(5), stat).
func childrenOf(pid int) []int {
	var all []int
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		text, _ := os.ReadFile(name) // which may have ended meanwhile
		_, rest, _ := strings.Cut(string(text), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			all = append(all, child)
		}
	}
	return all
}

// ownCPUs are those that this process may run on.
func ownCPUs() ([]int, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
			return parseCPUs(strings.TrimSpace(list))
		}
	}
	return nil, errors.New("reading the CPUs of /proc/self/status")
}

// parseCPUs reads a list like 0-2,5.
func parseCPUs(list string) ([]int, error) {
	var all []int
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, err1 := strconv.Atoi(first)
		b, err2 := strconv.Atoi(last)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("reading the list of CPUs %q: %w", list, err)
		}
		for ; a <= b; a++ {
			all = append(all, a)
		}
	}
	return all, nil
}

// pinSelf keeps this process, which is what loads, on some CPUs.
func pinSelf(ctx context.Context, cpus string) error {
	all, err := parseCPUs(cpus)
	if err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "taskset", "-a", "-c", "-p", cpus, strconv.Itoa(os.Getpid())).CombinedOutput(); err != nil {
		return fmt.Errorf("taskset: %w\n%s", err, out)
	}
	runtime.GOMAXPROCS(len(all))
	return nil
}

func freeAddrs(n int) ([]string, error) {
	var addrs []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// await waits until addr takes connections.
func await(ctx context.Context, addr string) error {
	for range 200 {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return fmt.Errorf("nothing listens on %s", addr)
}
