package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/redis/go-redis/v9"
	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sluice-proxy/sluice/internal/e2e"
)

// What scripts have started, by the variable that has its address.
var servers, models sync.Map

// startRedis NAME starts a Redis and sets the variable to its socket. redis
// kill NAME ends it.
func startRedis(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 2 && args[0] == "kill" {
		r, _ := servers.Load(ts.Getenv(args[1]))
		r.(*e2e.Redis).Kill()
		return
	}
	if neg || len(args) != 1 {
		ts.Fatalf("usage: redis [kill] NAME")
	}
	r, err := e2e.StartRedis(context.Background())
	ts.Check(err)
	ts.Defer(r.Stop)
	servers.Store(r.Address, r)
	ts.Setenv(args[0], r.Address)
}

// expand FILE puts the variables that it names into it.
func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: expand FILE")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}

// inRedis ADDRESS TEXT wants the text to be in a key or a value, within a
// minute; ! inredis wants it to be in none.
func inRedis(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] inredis ADDRESS TEXT")
	}
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: args[0]})
	defer func() { _ = c.Close() }()
	ctx := context.Background()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		keys, err := c.Keys(ctx, "*").Result()
		ts.Check(err)
		for _, k := range keys {
			if strings.Contains(k+c.Get(ctx, k).Val(), args[1]) {
				if neg {
					ts.Fatalf("%s is in the store", args[1])
				}
				return
			}
		}
		if neg && len(keys) > 0 {
			return
		}
	}
	ts.Fatalf("%s does not come to be in the store", args[1])
}

// startModel NAME starts an endpoint that speaks OpenAI's chat completions and
// sets the variable to its address. Every answer is {"team":"planted-answer"}.
func startModel(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: model NAME")
	}
	calls := new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("content-type", "application/json")
		_, _ = io.WriteString(w, `{"model":"m","choices":[{"message":{"content":"{\"team\":\"planted-answer\"}"}}],"usage":{"prompt_tokens":100,"completion_tokens":10}}`)
	}))
	ts.Defer(server.Close)
	models.Store(server.URL, calls)
	ts.Setenv(args[0], server.URL)
}

// asked N ADDRESS wants the model to have been asked so often.
func asked(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: asked N ADDRESS")
	}
	calls, ok := models.Load(args[1])
	if !ok {
		ts.Fatalf("there is no model at %s", args[1])
	}
	if n := calls.(*atomic.Int64).Load(); strconv.FormatInt(n, 10) != args[0] {
		ts.Fatalf("it was asked %d times, not %s", n, args[0])
	}
}

// exchange ADDRESS PATH [HEADER=VALUE] plays the headers of an exchange and
// wants the request's reply to set the header so. ! exchange wants that it
// does not.
func exchange(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: [!] exchange ADDRESS PATH HEADER=VALUE")
	}
	got, err := played(args[0], args[1])
	ts.Check(err)
	if strings.Contains(got, args[2]) == neg {
		ts.Fatalf("the reply sets %q", got)
	}
}

// played returns the headers that the reply to a request sets.
func played(address, path string) (string, error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	stream, err := extprocv3.NewExternalProcessorClient(conn).Process(ctx)
	if err != nil {
		return "", err
	}
	header := func(end bool, pairs ...string) *extprocv3.HttpHeaders {
		m := &corev3.HeaderMap{}
		for i := 0; i < len(pairs); i += 2 {
			m.Headers = append(m.Headers, &corev3.HeaderValue{Key: pairs[i], RawValue: []byte(pairs[i+1])})
		}
		return &extprocv3.HttpHeaders{Headers: m, EndOfStream: end}
	}
	if err := stream.Send(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestHeaders{
		RequestHeaders: header(true, ":method", "GET", ":path", path, ":authority", "api.example.com", ":scheme", "http")}}); err != nil {
		return "", err
	}
	reply, err := stream.Recv()
	if err != nil {
		return "", err
	}
	var set []string
	for _, h := range reply.GetRequestHeaders().GetResponse().GetHeaderMutation().GetSetHeaders() {
		set = append(set, fmt.Sprintf("%s=%s%s", h.GetHeader().GetKey(), h.GetHeader().GetValue(), h.GetHeader().GetRawValue()))
	}
	if err := stream.Send(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: header(true, ":status", "200")}}); err != nil {
		return "", err
	}
	if _, err := stream.Recv(); err != nil && err != io.EOF {
		return "", err
	}
	return strings.Join(set, "\n"), stream.CloseSend()
}
