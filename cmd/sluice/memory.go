package main

import (
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// maxReserve is the most that is reserved, and the share of the memory there
	// is that it may be.
	maxReserve   = 32 << 20
	reserveShare = 16
)

// memory holds what the garbage collector is told of the memory there is.
type memory struct{ reserve []byte }

// arrange sets the garbage collector's limit where the container has one and
// the environment (GOMEMLIMIT) says nothing, and makes it run less often: what
// is alive is so little that it would run for every few thousand exchanges.
// The reserve counts as alive, and as nothing is ever written to it, it takes
// address space and no memory.
func (m *memory) arrange(getenv func(string) string, container int64) {
	limit := debug.SetMemoryLimit(-1)
	if getenv("GOMEMLIMIT") == "" && container > 0 {
		limit = container - container/10
		debug.SetMemoryLimit(limit)
	}
	if getenv("GOGC") == "" {
		m.reserve = make([]byte, reserved(limit))
	}
}

// reserved is the size of the reserve under a limit.
func reserved(limit int64) int64 { return min(maxReserve, limit/reserveShare) }

// containerMemory returns how much memory the container may have, by cgroup
// v2 or v1; 0 where there is no limit, or none can be read.
func containerMemory(read func(string) ([]byte, error)) int64 {
	for _, file := range [...]string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := read(file)
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		// "max" is no number, and v1 has one close to the largest there is.
		if err != nil || n <= 0 || n > math.MaxInt64/2 {
			return 0
		}
		return n
	}
	return 0
}

// arrangeMemory arranges the memory of this process.
func (d *daemon) arrangeMemory() { d.memory.arrange(os.Getenv, containerMemory(os.ReadFile)) }
