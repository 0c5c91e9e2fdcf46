package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// FindRedis returns the path of the Redis, or Valkey, to test with.
func FindRedis() (string, error) { return find("SLUICE_REDIS", "redis-server", "redis") }

// Redis is a server that runs, on a Unix socket, with nothing in it.
type Redis struct {
	// Address is the socket.
	Address string
	path    string
	dir     string
	cmd     *exec.Cmd
}

// StartRedis starts a server.
func StartRedis(ctx context.Context) (*Redis, error) {
	path, err := FindRedis()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		return nil, fmt.Errorf("making a folder for Redis: %w", err)
	}
	r := &Redis{Address: filepath.Join(dir, "s"), path: path, dir: dir}
	if err := r.Run(ctx); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return r, nil
}

// Run starts the server again after Kill. What was in it is gone.
func (r *Redis) Run(ctx context.Context) error {
	_ = os.Remove(r.Address)
	r.cmd = exec.Command(r.path, "--port", "0", "--unixsocket", r.Address, "--save", "", "--appendonly", "no", "--dir", r.dir)
	if err := r.cmd.Start(); err != nil {
		return fmt.Errorf("starting Redis: %w", err)
	}
	for range 500 {
		if c, err := (&net.Dialer{}).DialContext(ctx, "unix", r.Address); err == nil {
			return c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.Kill()
	return errors.New("Redis did not open its socket")
}

// Signal sends the server a signal: SIGSTOP has it hang until SIGCONT.
func (r *Redis) Signal(s syscall.Signal) error { return r.cmd.Process.Signal(s) }

// Kill ends the server at once.
func (r *Redis) Kill() {
	_ = r.Signal(syscall.SIGKILL)
	_ = r.cmd.Wait()
}

// Stop ends the server and removes its folder.
func (r *Redis) Stop() {
	r.Kill()
	_ = os.RemoveAll(r.dir)
}
