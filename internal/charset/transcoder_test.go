package charset

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

// there decodes a body and gives the text back unchanged.
func there(label string, c Content, chunks ...[]byte) (text, back string) {
	t := New(label, c)
	var all, out []byte
	step := func(chunk []byte, end bool) {
		mine := bytes.Clone(chunk)
		part := bytes.Clone(t.Decode(nil, mine, end))
		clear(mine)
		all = append(all, part...)
		out = append(out, t.Encode(nil, part, end)...)
	}
	for _, c := range chunks {
		step(c, false)
	}
	step(nil, true)
	return string(all), string(out)
}

func units(order string, text string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		if order == "le" {
			b = append(b, byte(u), byte(u>>8))
		} else {
			b = append(b, byte(u>>8), byte(u))
		}
	}
	return string(b)
}

func TestSniffing(t *testing.T) {
	wide32 := func(e utf32.Endianness, text string) string {
		s, err := utf32.UTF32(e, utf32.IgnoreBOM).NewEncoder().String(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	const doc, accents = `{"a":"é😀"}`, "Grüße"
	for _, tt := range []struct {
		name, label string
		content     Content
		body, want  string
	}{
		{"nothing declared", "", JSON, doc, doc},
		{"UTF-8", "UTF-8", JSON, doc, doc},
		{"UTF-8 with a mark", "", JSON, "\xef\xbb\xbf" + doc, "\xef\xbb\xbf" + doc},
		{"the mark before the declaration", "iso-8859-1", JSON, "\xef\xbb\xbf" + doc, "\xef\xbb\xbf" + doc},
		{"UTF-16LE", "utf-16le", JSON, units("le", doc), doc},
		{"UTF-16BE", "UTF-16BE", JSON, units("be", doc), doc},
		{"UTF-16 with a mark, LE", "utf-16", Plain, "\xff\xfe" + units("le", accents), "\ufeff" + accents},
		{"UTF-16 with a mark, BE", "utf-16", Plain, "\xfe\xff" + units("be", accents), "\ufeff" + accents},
		{"UTF-16 with a mark, undeclared", "", Plain, "\xff\xfe" + units("le", accents), "\ufeff" + accents},
		{"UTF-16 that nobody declares", "", JSON, units("le", doc), doc},
		{"the same, BE", "", JSON, units("be", doc), doc},
		{"UTF-16 that is declared as UTF-8", "utf-8", JSON, units("be", doc), doc},
		{"declared with the wrong order", "utf-16be", JSON, units("le", doc), doc},
		{"undeclared text", "", Plain, units("le", accents), accents},
		{"UTF-16 of no order is big-endian", "utf-16", Plain, units("be", "中文字中文字中文"), "中文字中文字中文"},
		{"unless the zeros say otherwise", "utf-16", Plain, units("le", "éab中cd"), "éab中cd"},
		{"XML in UTF-16", "", XML, units("be", `<a>é</a>`), `<a>é</a>`},
		{"UTF-32LE", "utf-32", JSON, wide32(utf32.LittleEndian, doc), doc},
		{"UTF-32BE, undeclared", "", JSON, wide32(utf32.BigEndian, doc), doc},
		{"UTF-32 with a mark", "", Plain, "\xff\xfe\x00\x00" + wide32(utf32.LittleEndian, accents), "\ufeff" + accents},
		{"UTF-8 that is declared as UTF-16", "utf-16", JSON, doc, doc},
		{"ASCII text that is declared as UTF-16", "utf-16le", Plain, "mail jane@example.com", "mail jane@example.com"},
		{"Latin-1", "ISO-8859-1", JSON, "{\"a\":\"\xe9\x80\"}", "{\"a\":\"é\u0080\"}"},
		{"windows-1252", "windows-1252", Plain, "\x80\xe9", "€é"},
		{"US-ASCII", "us-ascii", Plain, "a\xe9", "aé"},
		{"windows-1251", "cp1251", Plain, "\xcf\xf0", "Пр"},
		{"Latin-9", "iso-8859-15", Plain, "\xa4", "€"},
		{"an XML declaration", "", XML, "<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>", "<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>"},
		{"the content type before it", "utf-8", XML, "<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>", "<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>"},
		{"a declaration that cannot be", "", XML, "<?xml version='1.0' encoding='UTF-16'?><a>é</a>", "<?xml version='1.0' encoding='UTF-16'?><a>é</a>"},
		{"a label that is not known", "x-none", Plain, accents, accents},
		{"Shift_JIS", "Shift_JIS", JSON, "{\"\x83\x5c\":\"\xb1\x88\xea\"}", `{"ソ":"ｱ一"}`},
		{"Windows-31J", "windows-31j", Plain, "\x87\x40 \\~", "① \\~"},
		{"EUC-JP", "euc-jp", Plain, "\xc5\xec\xb5\xfe \x8e\xb1", "東京 ｱ"},
		{"EUC-JP, three bytes", "x-euc-jp", Plain, "\x8f\xb0\xa1!", "丂!"},
		{"GB 2312", "gb2312", Plain, "\xb1\xb1\xbe\xa9", "北京"},
		{"GB 18030, four bytes", "gb18030", XML, "<a>\x81\x30\x81\x30\x94\x39\xda\x33</a>", "<a>\u0080💩</a>"},
		{"Big5", "big5", Plain, "\xa5\x78\xa5\x5f a", "台北 a"},
		{"EUC-KR", "euc-kr", Plain, "\xbc\xad\xbf\xef \x81\x41", "서울 갂"},
		{"an XML declaration of EUC-KR", "", XML, "<?xml version='1.0' encoding='EUC-KR'?><a>\xbc\xad</a>", "<?xml version='1.0' encoding='EUC-KR'?><a>서</a>"},
		{"half a character, and ASCII", "shift_jis", Plain, "\x88 jane\x88", "\xfe\x88\x88 jane\xfe\x88\x88"},
		{"no character", "shift_jis", Plain, "\xa0\xfd\x85\x40", "\xfe\x8a\x80\xfe\x8f\x8d\xfe\x88\x85@"},
		{"the second way to write one", "shift_jis", Plain, "\xfa\x54\x81\xca", "\xfe\x8f\x8a\xfe\x85\x84￢"},
		{"two characters in one", "big5", Plain, "\x88\x62", "\xfe\x88\x88\xfe\x86\x82"},
		{"a part of four bytes", "gb18030", Plain, "\x81\x30\x81", "\xfe\x88\x810\xfe\x88\x81"},
		{"not UTF-8", "utf-8", Plain, "a\xff\xfe\x80", "a\xff\xfe\x80"},
		{"a lone surrogate", "utf-16le", Plain, "a\x00\x00\xd8b\x00\x00\xdc\x3d\xd8\x00\xde", "a\xed\xa0\x80b\xed\xb0\x80😀"},
		{"an odd byte", "utf-16le", Plain, "a\x00b\x00c", "ab\xfe\x86\x83"},
		{"not in UTF-32", "utf-32be", Plain, "\x00\x00\x00a\x00\x00\x00b\xff\xff\xff\xff", "ab" + strings.Repeat("\xfe\x8f\x8f", 4)},
		{"zeros in a binary body", "", Plain, "\x00\x00\x00\x20\x0a\x1ejane@example.com", "\x00\x00\x00\x20\x0a\x1ejane@example.com"},
		{"empty", "utf-16", Plain, "", ""},
		{"short", "", Plain, "a", "a"},
		{"short UTF-16", "", JSON, "1\x00", "1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, back := there(tt.label, tt.content, []byte(tt.body))
			if text != tt.want || back != tt.body {
				t.Errorf("the text is %q, want %q; %q came back as %q", text, tt.want, tt.body, back)
			}
			if cut, back := there(tt.label, tt.content, slices.Collect(slices.Chunk([]byte(tt.body), 1))...); cut != text || back != tt.body {
				t.Errorf("cut at every byte: %q, %q", cut, back)
			}
			for at := range len(tt.body) {
				if cut, back := there(tt.label, tt.content, []byte(tt.body[:at]), []byte(tt.body[at:])); cut != text || back != tt.body {
					t.Fatalf("cut at %d: %q, %q", at, cut, back)
				}
			}
		})
	}
}

func TestUnknownDeclaration(t *testing.T) {
	tr := New("", XML)
	doc := []byte("<?xml version='1.0' encoding='utf-7'?><a/>")
	if got := tr.Decode(nil, doc, true); !bytes.Equal(got, doc) || !tr.Unknown() {
		t.Errorf("%q, %v", got, tr.Unknown())
	}
	if Known("utf-7") || !Known("") || !Known("UTF-8") || !Known("Latin1") {
		t.Error("labels")
	}
}

// TestEveryByteComesBack: each charset of single bytes gives every byte back.
func TestEveryByteComesBack(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(255 - i) // a zero in front would be taken for UTF-16
	}
	for label, cs := range labels {
		if cs.table == nil {
			continue
		}
		if _, back := there(label, Plain, all); back != string(all) {
			t.Errorf("%s: got % x", label, back)
		}
	}
}

// TestEveryCharacterComesBack: so does each pair of bytes in the charsets of
// several bytes, and whatever is a character is the one that golang.org/x/text
// says.
func TestEveryCharacterComesBack(t *testing.T) {
	for label, cs := range map[string]charset{"shift_jis": shiftJIS, "euc-jp": eucJP, "gb18030": gb18030, "big5": big5, "euc-kr": eucKR} {
		decoder, characters := cs.multi.NewDecoder(), 0
		for lead := 0x80; lead < 0x100; lead++ {
			for trail := range 0x100 {
				body := string([]byte{'a', ' ', byte(lead), byte(trail), ' ', 'b'})
				text, back := there(label, Plain, []byte(body))
				if back != body {
					t.Fatalf("%s: % x came back as % x", label, body, back)
				}
				if !utf8.ValidString(text) {
					continue
				}
				if want, err := decoder.String(body); err != nil || text != want {
					t.Fatalf("%s: % x is %q, want %q (%v)", label, body, text, want, err)
				}
				characters++
			}
		}
		if characters < 7000 {
			t.Errorf("%s: only %d pairs are characters", label, characters)
		}
	}
}

// TestWhatCannotBeWritten: a character that the charset does not have.
func TestWhatCannotBeWritten(t *testing.T) {
	for _, tt := range []struct{ label, body, text, want string }{
		{"iso-8859-1", "abcd", "é€*\xff", "\xe9?*?"},
		{"shift_jis", "abcd", "ソé*\xff", "\x83\x5c?*?"},
		{"utf-16be", units("be", "éééé"), "€\xff\xe2\x82", "\x20\xac\x00?\x00?\x00?"},
	} {
		tr := New(tt.label, Plain)
		tr.Decode(nil, []byte(tt.body), true)
		var got []byte
		for i := range len(tt.text) {
			got = tr.Encode(got, []byte(tt.text[i:i+1]), i == len(tt.text)-1)
		}
		if string(got) != tt.want {
			t.Errorf("%s: got %q, want %q", tt.label, got, tt.want)
		}
	}
}

func FuzzCharset(f *testing.F) {
	names := []string{"", "utf-8", "utf-16", "utf-16le", "utf-16be", "utf-32", "iso-8859-1", "windows-1252", "windows-1255", "us-ascii",
		"shift_jis", "euc-jp", "gb18030", "big5", "euc-kr"}
	for i := range names {
		f.Add([]byte("a\x00\x3d\xd8\x00\xdeb\x00\xe9"), uint8(i), uint8(0), uint64(1))
		f.Add([]byte("<?xml encoding='latin1'?>\xe9"), uint8(i), uint8(2), uint64(2))
		f.Add([]byte("a\x83\x5c\x8f\xb0\xa1\x81\x30\x81\x30\xa5\x78\x88\x62\xfa\x54\x88"), uint8(i), uint8(0), uint64(3))
	}
	f.Fuzz(func(t *testing.T, doc []byte, which, content uint8, seed uint64) {
		label, c := names[int(which)%len(names)], Content(content%3)
		text, back := there(label, c, doc)
		if back != string(doc) {
			t.Fatalf("%q came back as %q", doc, back)
		}
		var chunks [][]byte
		for rest := doc; len(rest) > 0; {
			seed = seed*6364136223846793005 + 1442695040888963407
			n := min(1+int(seed>>33)%5, len(rest))
			chunks, rest = append(chunks, rest[:n]), rest[n:]
		}
		if cut, back := there(label, c, chunks...); cut != text || back != string(doc) {
			t.Fatalf("cut: %q, %q\nwhole: %q", cut, back, text)
		}
		// The text is what golang.org/x/text makes of it.
		tr := New(label, c)
		tr.Decode(nil, doc, true)
		if tr.is.unit == 2 && utf8.ValidString(text) && len(doc)%2 == 0 {
			order := unicode.BigEndian
			if tr.is.little {
				order = unicode.LittleEndian
			}
			want, err := unicode.UTF16(order, unicode.IgnoreBOM).NewDecoder().Bytes(doc)
			if err != nil || string(want) != text {
				t.Fatalf("%q, want %q (%v)", text, want, err)
			}
		}
		if tr.is.multi != nil && utf8.ValidString(text) {
			want, err := tr.is.multi.NewDecoder().Bytes(doc)
			if err != nil || string(want) != text {
				t.Fatalf("%q, want %q (%v)", text, want, err)
			}
		}
		if tr.is.table != nil && utf8.ValidString(text) {
			want, err := tr.is.table.NewDecoder().Bytes(doc)
			if err != nil || string(want) != text {
				t.Fatalf("%q, want %q (%v)", text, want, err)
			}
		}
	})
}
