package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	extproc "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
)

// shim is an external processor as one would build it on Presidio: it gathers
// a body, has the analyzer say what is personal in it, and masks that. One
// call takes the whole text, which is the cheapest for the analyzer: what
// comes with every call is paid once. Masking happens here, without a call of
// the anonymizer.
type shim struct {
	extproc.UnimplementedExternalProcessorServer
	url      string
	entities []string // all where empty
	client   *http.Client
}

// serveShim serves at addr, with the analyzer at url.
func serveShim(addr, url, entities string) error {
	lis, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s := &shim{url: url, client: &http.Client{
		Timeout:   time.Minute,
		Transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256},
	}}
	if entities != "" {
		s.entities = strings.Split(entities, ",")
	}
	srv := grpc.NewServer(grpc.MaxRecvMsgSize(16 << 20))
	extproc.RegisterExternalProcessorServer(srv, s)
	return srv.Serve(lis)
}

// Process implements the service, for FULL_DUPLEX_STREAMED.
func (s *shim) Process(stream extproc.ExternalProcessor_ProcessServer) error {
	var body []byte
	for {
		req, err := stream.Recv()
		if err != nil {
			return nil
		}
		var b *extproc.HttpBody
		switch m := req.Request.(type) {
		case *extproc.ProcessingRequest_RequestBody:
			b = m.RequestBody
		case *extproc.ProcessingRequest_ResponseBody:
			b = m.ResponseBody
		}
		if b != nil {
			body = append(body, b.Body...)
			if !b.EndOfStream {
				continue
			}
			if b.Body, err = s.mask(stream.Context(), body); err != nil {
				return err
			}
			body = nil
		}
		if err := stream.Send(noopReply(req)); err != nil {
			return nil
		}
	}
}

// finding is what the analyzer says: places count characters.
type finding struct {
	Start int `json:"start"`
	End   int `json:"end"`
}

// mask writes asterisks over the letters and digits of what is personal.
func (s *shim) mask(ctx context.Context, body []byte) ([]byte, error) {
	text := []rune(string(body))
	found, err := s.analyze(ctx, string(body))
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		for i := max(f.Start, 0); i < min(f.End, len(text)); i++ {
			if unicode.IsLetter(text[i]) || unicode.IsDigit(text[i]) {
				text[i] = '*'
			}
		}
	}
	return []byte(string(text)), nil
}

func (s *shim) analyze(ctx context.Context, text string) ([]finding, error) {
	asked := map[string]any{"text": text, "language": "en"}
	if len(s.entities) > 0 {
		asked["entities"] = s.entities
	}
	question, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking the analyzer: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the analyzer's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the analyzer answered %d", resp.StatusCode)
	}
	var found []finding
	if err := json.Unmarshal(answer, &found); err != nil {
		return nil, fmt.Errorf("reading the analyzer's answer: %w", err)
	}
	return slices.DeleteFunc(found, func(f finding) bool { return f.Start >= f.End }), nil
}
