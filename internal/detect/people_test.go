package detect_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/sluice-proxy/sluice/internal/detect"
)

// TestMemory: a family name is found again alone in the texts of a document,
// and how each text is cut makes no difference.
func TestMemory(t *testing.T) {
	s := scanner(t, detect.Options{})
	texts := []string{
		"Please call Ingrid Halvorsen back; she lives in Trondheim.",
		"so halvorsen left, and OKONKWO came",
		"Dear Chinedu Okonkwo,\n" + strings.Repeat("nothing of note. ", 20) + "\nOkonkwo and HALVORSEN met at noon",
		"okonkwo",
	}
	read := func(cut int) (out []string) {
		var memory detect.Memory
		for _, text := range texts {
			at := min(cut, len(text))
			var before []byte
			carry := []byte(text[:at])
			for k := range 2 {
				fs, settled := s.Scan(nil, detect.Context{Before: before, Memory: &memory}, carry, k == 0)
				for _, f := range fs {
					out = append(out, string(f.Entity)+":"+string(carry[f.Start:f.End]))
				}
				before = append([]byte(nil), carry[:settled]...)
				carry = append(append([]byte(nil), carry[settled:]...), text[at:]...)
			}
		}
		return out
	}
	whole := read(1 << 20)
	for _, want := range []string{"PERSON:halvorsen", "PERSON:HALVORSEN", "PERSON:okonkwo"} {
		if !strings.Contains(strings.Join(whole, " "), want) {
			t.Errorf("%s is not in %q", want, whole)
		}
	}
	for cut := range len(texts[2]) {
		if got := read(cut); !reflect.DeepEqual(got, whole) {
			t.Fatalf("cut at %d: %q, want %q", cut, got, whole)
		}
	}
	if got := found(s, "", "so halvorsen left"); len(got) > 0 && !strings.HasPrefix(got[0], "PERSON") {
		t.Errorf("without a memory: %q", got)
	}
}

// TestNameOfField: no people are looked for in the name of a field.
func TestNameOfField(t *testing.T) {
	s := scanner(t, detect.Options{})
	if fs, _ := s.Scan(nil, detect.Context{Name: true}, []byte("Ingrid Halvorsen joe@example.org"), false); len(fs) != 1 || fs[0].Entity != detect.Email {
		t.Errorf("%v", fs)
	}
}

func TestNameBias(t *testing.T) {
	if _, err := detect.New(detect.Options{NameBias: 1.5}); err == nil {
		t.Error("a bias of 1.5 is taken")
	}
	const text = "The Harlow thing went well. Baxter too! maybe ask lindqvist? CARTER RULES; Same in Corsham: Pemberton"
	few, many := scanner(t, detect.Options{NameBias: -1}), scanner(t, detect.Options{NameBias: 1})
	if a, b := found(few, "", text), found(many, "", text); len(a) >= len(b) {
		t.Errorf("%q and %q", a, b)
	}
}

// TestWithin: the digits of a telephone number are no postcode.
func TestWithin(t *testing.T) {
	s := scanner(t, detect.Options{})
	for _, text := range []string{"Ruf mich an: Telefon 030 90182820 in Berlin", "Storgata 12, tel. +47 22 86 44 00, 7011 Trondheim"} {
		fs, _ := s.Scan(nil, detect.Context{}, []byte(text), false)
		phones := 0
		for i, f := range fs {
			if f.Entity == detect.Phone {
				phones++
			}
			if i > 0 && f.Start < fs[i-1].End {
				t.Errorf("%q: findings overlap: %v", text, fs)
			}
		}
		if phones != 1 {
			t.Errorf("%q: %v", text, fs)
		}
	}
}
