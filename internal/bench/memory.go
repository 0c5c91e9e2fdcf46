package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	procmode "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extproc "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// resident are figures of a process's memory (proc(5), status), in bytes.
type resident struct{ now, peak int64 }

func (p *process) memory() (resident, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return resident{}, err
	}
	var r resident
	for line := range strings.Lines(string(b)) {
		name, rest, _ := strings.Cut(line, ":")
		kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
		switch name {
		case "VmRSS":
			r.now = kb << 10
		case "VmHWM":
			r.peak = kb << 10
		}
	}
	if r.now == 0 {
		return r, errors.New("reading /proc/PID/status")
	}
	return r, nil
}

const idleStreams = 10_000

// measureMemory prints the peak of a process that passes one large response
// beside that of one that passes a small one, and what so many idle exchanges
// take.
func (o *options) measureMemory(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	servers := []server{noopServer(), sluiceServer("sluice", o.sluice, maskPolicy)}
	// run starts a server afresh, does something with it, and returns its
	// memory.
	run := func(s server, do func(addr, admin string) error) (resident, error) {
		addrs, err := freeAddrs(2)
		if err != nil {
			return resident{}, err
		}
		p, err := s.begin(ctx, place{dir: dir, file: s.name, log: filepath.Join(dir, "log"), addr: addrs[0], admin: addrs[1]})
		if err != nil {
			return resident{}, err
		}
		defer p.stop()
		if err := await(ctx, addrs[0]); err != nil {
			return resident{}, err
		}
		var r resident
		err = do(addrs[0], addrs[1])
		if err == nil {
			r, err = p.memory()
		}
		return r, err
	}
	const mb = 1 << 20
	fmt.Printf("%-8s %16s %16s %16s %24s\n", "", "peak at 1 MB", "peak at 100 MB", "more", fmt.Sprintf("%d idle exchanges", idleStreams))
	small, large := records(4200), records(420_000)
	for _, s := range servers {
		var peaks [2]int64
		for i, body := range [][]byte{small, large} {
			ex := exchange{path: "/v1/customers", response: body, chunk: 32 << 10, fullDuplex: true}
			r, err := run(s, func(addr, _ string) error {
				conn, err := dial(addr)
				if err != nil {
					return err
				}
				defer func() { _ = conn.Close() }()
				return once(ctx, extproc.NewExternalProcessorClient(conn), ex)
			})
			if err != nil {
				return fmt.Errorf("%s, %d MB: %w", s.name, len(body)/mb, err)
			}
			peaks[i] = r.peak
		}
		idle, err := run(s, func(addr, admin string) error { return o.openIdle(ctx, addr, admin, s.name == "sluice") })
		if err != nil {
			return fmt.Errorf("%s, idle: %w", s.name, err)
		}
		fmt.Printf("%-8s %13.1f MB %13.1f MB %13.1f MB %21.1f MB\n", s.name, float64(peaks[0])/mb, float64(peaks[1])/mb, float64(peaks[1]-peaks[0])/mb, float64(idle.now)/mb)
	}
	fmt.Println("\nRSS of the process. An idle exchange has been answered its request's headers and waits for the response.")
	return nil
}

func dial(addr string) (*grpc.ClientConn, error) {
	return grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)))
}

// openIdle opens exchanges that get to where they wait for the backend, and
// leaves them open when it returns: the process ends them.
func (o *options) openIdle(ctx context.Context, addr, admin string, sluice bool) error {
	const perConn = 500
	errs := make(chan error, idleStreams)
	var all sync.WaitGroup
	for range idleStreams / perConn {
		conn, err := dial(addr)
		if err != nil {
			return err
		}
		client := extproc.NewExternalProcessorClient(conn)
		all.Go(func() {
			for range perConn {
				errs <- openOne(ctx, client)
			}
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	time.Sleep(2 * time.Second)
	if o.profile != "" && sluice {
		return fetch(ctx, "http://"+admin+"/debug/pprof/heap", o.profile)
	}
	return nil
}

func openOne(ctx context.Context, client extproc.ExternalProcessorClient) error {
	stream, err := client.Process(ctx)
	if err != nil {
		return err
	}
	mode := procmode.ProcessingMode_FULL_DUPLEX_STREAMED
	err = stream.Send(&extproc.ProcessingRequest{
		Request: &extproc.ProcessingRequest_RequestHeaders{RequestHeaders: &extproc.HttpHeaders{
			Headers: header(":method", "GET", ":path", "/v1/customers", ":authority", "api.example.com", ":scheme", "http",
				"accept", "application/json", "x-request-id", "3f2a6c1e-0000-4000-8000-000000000000", "user-agent", "bench"),
			EndOfStream: true,
		}},
		ProtocolConfig: &extproc.ProtocolConfiguration{RequestBodyMode: mode, ResponseBodyMode: mode},
	})
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}
