package extproc

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/sluice-proxy/sluice/filters"
)

// appendChunk appends a ProcessingResponse that is a chunk of a full-duplex
// body: {request_body or response_body: {response: {body_mutation:
// {streamed_response: {body, end_of_stream}}}}}. There is no other reply of
// which there are so many.
func appendChunk(dst []byte, d filters.Direction, body []byte, end bool) []byte {
	const tag = protowire.BytesType
	chunk := 0
	if len(body) > 0 {
		chunk += 1 + protowire.SizeBytes(len(body))
	}
	if end {
		chunk += 2
	}
	mutation := 1 + protowire.SizeBytes(chunk)
	common := 1 + protowire.SizeBytes(mutation)
	reply := 1 + protowire.SizeBytes(common)

	field := protowire.Number(3)
	if d == filters.Response {
		field = 4
	}
	for _, part := range []struct {
		number protowire.Number
		size   int
	}{{field, reply}, {1, common}, {3, mutation}, {3, chunk}} {
		dst = protowire.AppendTag(dst, part.number, tag)
		dst = protowire.AppendVarint(dst, uint64(part.size))
	}
	if len(body) > 0 {
		dst = protowire.AppendTag(dst, 1, tag)
		dst = protowire.AppendBytes(dst, body)
	}
	if end {
		dst = append(protowire.AppendTag(dst, 2, protowire.VarintType), 1)
	}
	return dst
}
