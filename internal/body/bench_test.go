package body_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluice-proxy/sluice/filters"
	"github.com/sluice-proxy/sluice/internal/body"
)

// records is a document of n customers, about 230 bytes each.
func records(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"page":1,"total":` + fmt.Sprint(n) + `,"customers":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"email":"customer%d@example.com","phone":"+1 202 555 0%03d","card":"4111 1111 1111 1111","ssn":"078-05-%04d","ip":"192.0.2.%d","tier":"gold","active":true,"balance":1024.50,"notes":"Prefers letters, renewed in spring, order A-%d."}`,
			i, i, i%1000, 1000+i%9000, i%250, i)
	}
	b.WriteString("]}")
	return []byte(b.String())
}

// prose is a document of n long texts, with escapes in them.
func prose(n int) []byte {
	text := strings.Repeat(`The committee met in spring, and \"nothing\" was decided.\n`+strings.Repeat("It was put off until the next meeting, which took place a year later. ", 4), 6)
	return []byte(`{"articles":[` + strings.Repeat(`{"title":"Minutes","text":"`+text+`"},`, n) + `null]}`)
}

// nested is n towers of objects and arrays, 60 deep.
func nested(n int) []byte {
	tower := strings.Repeat(`{"a":[`, 30) + `"leaf",1` + strings.Repeat(`]}`, 30)
	return []byte(`[` + strings.Repeat(tower+",", n) + `0]`)
}

// long is one text of n paragraphs.
func long(n int) []byte {
	return []byte(`{"title":"Minutes","articles":"` + strings.Repeat(`The committee met in spring, and \"nothing\" was decided.\n`+strings.Repeat("It was put off until the next meeting. ", 8), n) + `"}`)
}

// spaced is the records, indented.
func spaced(n int) []byte {
	var b bytes.Buffer
	_ = json.Indent(&b, records(n), "", "  ")
	return b.Bytes()
}

// documents are what the walker is measured by.
var documents = []struct {
	name   string
	chunks [][]byte
}{
	{"record", [][]byte{records(7)}},
	{"dense", inChunks(records(4200))},
	{"prose", inChunks(prose(530))},
	{"nested", inChunks(nested(1000))},
	{"long", inChunks(long(2700))},
	{"spaced", inChunks(spaced(2800))},
}

func inChunks(doc []byte) (chunks [][]byte) {
	for len(doc) > 0 {
		n := min(32<<10, len(doc))
		chunks, doc = append(chunks, doc[:n]), doc[n:]
	}
	return chunks
}

var aside = streamFunc(func(*filters.Value) error { return nil })

// second replaces every second value.
func second() streamFunc {
	n, with := 0, []byte("[REPLACED]")
	return func(v *filters.Value) error {
		if v.Kind != filters.String && v.Kind != filters.Number {
			return nil
		}
		if n++; n%2 == 0 {
			v.Edit(0, len(v.Text), with)
		}
		return nil
	}
}

// BenchmarkDocument passes documents through stages that cost next to
// nothing: what is left is the walker.
func BenchmarkDocument(b *testing.B) {
	for _, doc := range documents {
		for _, st := range []struct {
			name  string
			stage body.Stage
		}{
			{"none", body.Stage{Stream: aside, Paths: paths(b, "$.none")}},
			{"sought", body.Stage{Stream: aside, Paths: paths(b, "$..none", "$..nowhere")}},
			{"some", body.Stage{Stream: aside, Paths: paths(b, "$.customers[*].email", "$..notes", "$..ssn", "$.articles[*].title")}},
			{"all", body.Stage{Stream: aside}},
			{"once", body.Stage{Stream: aside, SameNames: true, Ignores: body.KindsOf(filters.Bool, filters.Null)}},
			{"second", body.Stage{Stream: second()}},
		} {
			b.Run(doc.name+"/"+st.name, func(b *testing.B) {
				size := len(bytes.Join(doc.chunks, nil))
				b.SetBytes(int64(size))
				b.ReportAllocs()
				out := make([]byte, 0, 256<<10)
				ctx := context.Background()
				begun := cpu()
				for b.Loop() {
					e := body.NewEditor(body.JSON, []body.Stage{st.stage}, body.Limits{})
					for _, c := range doc.chunks {
						out, _ = e.Write(ctx, out[:0], c)
					}
					_, _ = e.Close(ctx, out[:0])
				}
				b.ReportMetric(float64(size)*float64(b.N)/1e6/(cpu()-begun).Seconds(), "cpu-MB/s")
			})
		}
	}
}

// cpu is the process's CPU time, which others on the machine disturb less than
// they do the clock.
func cpu() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
