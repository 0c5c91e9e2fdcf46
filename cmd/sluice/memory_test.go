package main

import (
	"errors"
	"math"
	"os"
	"runtime/debug"
	"testing"
)

func TestContainerMemory(t *testing.T) {
	const v2, v1 = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"no cgroup", nil, 0},
		{"v2", map[string]string{v2: "268435456\n"}, 256 << 20},
		{"v2 without a limit", map[string]string{v2: "max\n", v1: "1024"}, 0},
		{"v1", map[string]string{v1: "1073741824\n"}, 1 << 30},
		{"v1 without a limit", map[string]string{v1: "9223372036854771712\n"}, 0},
		{"nonsense", map[string]string{v2: "-5"}, 0},
	} {
		got := containerMemory(func(name string) ([]byte, error) {
			if text, ok := c.files[name]; ok {
				return []byte(text), nil
			}
			return nil, os.ErrNotExist
		})
		if got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
	if got := containerMemory(func(string) ([]byte, error) { return nil, errors.New("denied") }); got != 0 {
		t.Errorf("what cannot be read is %d", got)
	}
}

func TestArrangeMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	for _, c := range []struct {
		name           string
		env            map[string]string
		container      int64
		limit, reserve int64
	}{
		{"a container", nil, 200 << 20, 180 << 20, 180 << 20 / 16},
		{"a large one", nil, 4 << 30, 4<<30 - 4<<30/10, maxReserve},
		{"GOMEMLIMIT is the operator's", map[string]string{"GOMEMLIMIT": "1GiB"}, 200 << 20, math.MaxInt64, maxReserve},
		{"so is GOGC", map[string]string{"GOGC": "50"}, 200 << 20, 180 << 20, 0},
		{"no limit", nil, 0, math.MaxInt64, maxReserve},
	} {
		debug.SetMemoryLimit(math.MaxInt64)
		var m memory
		m.arrange(func(name string) string { return c.env[name] }, c.container)
		if got := debug.SetMemoryLimit(-1); got != c.limit {
			t.Errorf("%s: the limit is %d, want %d", c.name, got, c.limit)
		}
		if got := int64(len(m.reserve)); got != c.reserve {
			t.Errorf("%s: the reserve is %d, want %d", c.name, got, c.reserve)
		}
	}
}
