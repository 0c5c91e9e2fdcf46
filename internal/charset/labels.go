package charset

import (
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// charset is one way to write text in bytes.
type charset struct {
	table  *charmap.Charmap // of a single-byte charset
	multi  encoding.Encoding
	unit   int // bytes of a unit: 2 for UTF-16, 4 for UTF-32, 0 for others
	little bool
	either bool // the byte order is not told
}

var utf8Charset = charset{}

func (c charset) isUTF8() bool { return c.table == nil && c.multi == nil && c.unit == 0 }

// Those of East Asia in which a character is of several bytes.
var (
	shiftJIS = charset{multi: japanese.ShiftJIS}
	eucJP    = charset{multi: japanese.EUCJP}
	gb18030  = charset{multi: simplifiedchinese.GB18030}
	big5     = charset{multi: traditionalchinese.Big5}
	eucKR    = charset{multi: korean.EUCKR}
)

// labels are the names of charsets, in lower case and without - and _.
var labels = map[string]charset{
	"utf8": utf8Charset, "unicode11utf8": utf8Charset,
	"utf16": {unit: 2, either: true}, "utf16le": {unit: 2, little: true}, "utf16be": {unit: 2},
	"ucs2": {unit: 2, either: true}, "iso10646ucs2": {unit: 2, either: true}, "csunicode": {unit: 2, either: true}, "unicode": {unit: 2, either: true},
	"utf32": {unit: 4, either: true}, "utf32le": {unit: 4, little: true}, "utf32be": {unit: 4},
	"ucs4": {unit: 4, either: true}, "iso10646ucs4": {unit: 4, either: true},

	// As the Encoding Standard of WHATWG has it, US-ASCII is read as what it
	// is the lower half of.
	"usascii": {table: charmap.Windows1252}, "ascii": {table: charmap.Windows1252}, "ansix3.41968": {table: charmap.Windows1252}, "iso646us": {table: charmap.Windows1252},
	"windows1252": {table: charmap.Windows1252}, "cp1252": {table: charmap.Windows1252}, "xcp1252": {table: charmap.Windows1252},
	"iso88591": {table: charmap.ISO8859_1}, "latin1": {table: charmap.ISO8859_1}, "l1": {table: charmap.ISO8859_1}, "cp819": {table: charmap.ISO8859_1}, "ibm819": {table: charmap.ISO8859_1}, "isoir100": {table: charmap.ISO8859_1},
	"iso88592": {table: charmap.ISO8859_2}, "latin2": {table: charmap.ISO8859_2}, "l2": {table: charmap.ISO8859_2},
	"iso88593": {table: charmap.ISO8859_3}, "latin3": {table: charmap.ISO8859_3},
	"iso88594": {table: charmap.ISO8859_4}, "latin4": {table: charmap.ISO8859_4},
	"iso88595": {table: charmap.ISO8859_5}, "cyrillic": {table: charmap.ISO8859_5},
	"iso88596": {table: charmap.ISO8859_6}, "arabic": {table: charmap.ISO8859_6},
	"iso88597": {table: charmap.ISO8859_7}, "greek": {table: charmap.ISO8859_7},
	"iso88598": {table: charmap.ISO8859_8}, "hebrew": {table: charmap.ISO8859_8},
	"iso88599": {table: charmap.ISO8859_9}, "latin5": {table: charmap.ISO8859_9}, "l5": {table: charmap.ISO8859_9},
	"iso885910": {table: charmap.ISO8859_10}, "iso885913": {table: charmap.ISO8859_13}, "iso885914": {table: charmap.ISO8859_14},
	"iso885915": {table: charmap.ISO8859_15}, "latin9": {table: charmap.ISO8859_15}, "l9": {table: charmap.ISO8859_15},
	"iso885916":   {table: charmap.ISO8859_16},
	"windows1250": {table: charmap.Windows1250}, "cp1250": {table: charmap.Windows1250},
	"windows1251": {table: charmap.Windows1251}, "cp1251": {table: charmap.Windows1251},
	"windows1253": {table: charmap.Windows1253}, "cp1253": {table: charmap.Windows1253},
	"windows1254": {table: charmap.Windows1254}, "cp1254": {table: charmap.Windows1254},
	"windows1255": {table: charmap.Windows1255}, "cp1255": {table: charmap.Windows1255},
	"windows1256": {table: charmap.Windows1256}, "cp1256": {table: charmap.Windows1256},
	"windows1257": {table: charmap.Windows1257}, "cp1257": {table: charmap.Windows1257},
	"windows1258": {table: charmap.Windows1258}, "cp1258": {table: charmap.Windows1258},
	"windows874": {table: charmap.Windows874}, "tis620": {table: charmap.Windows874},
	"koi8r": {table: charmap.KOI8R}, "koi8u": {table: charmap.KOI8U},
	"macintosh": {table: charmap.Macintosh}, "ibm866": {table: charmap.CodePage866}, "cp866": {table: charmap.CodePage866},
	"ibm437": {table: charmap.CodePage437}, "cp437": {table: charmap.CodePage437},
	"ibm850": {table: charmap.CodePage850}, "cp850": {table: charmap.CodePage850},

	"shiftjis": shiftJIS, "sjis": shiftJIS, "xsjis": shiftJIS, "csshiftjis": shiftJIS, "mskanji": shiftJIS, "windows31j": shiftJIS, "cswindows31j": shiftJIS, "cp932": shiftJIS, "ms932": shiftJIS,
	"eucjp": eucJP, "xeucjp": eucJP, "cseucpkdfmtjapanese": eucJP,
	// GB 18030 has GBK in it, and that GB 2312.
	"gb18030": gb18030, "gbk": gb18030, "xgbk": gb18030, "cp936": gb18030, "ms936": gb18030, "windows936": gb18030,
	"gb2312": gb18030, "csgb2312": gb18030, "gb231280": gb18030, "euccn": gb18030, "chinese": gb18030, "isoir58": gb18030, "csiso58gb231280": gb18030,
	"big5": big5, "big5hkscs": big5, "cnbig5": big5, "xxbig5": big5, "csbig5": big5, "cp950": big5,
	"euckr": eucKR, "cseuckr": eucKR, "korean": eucKR, "ksc5601": eucKR, "ksc56011987": eucKR, "ksc56011989": eucKR, "csksc56011987": eucKR, "isoir149": eucKR, "windows949": eucKR, "cp949": eucKR, "ms949": eucKR, "uhc": eucKR,
}

var squeeze = strings.NewReplacer("-", "", "_", "", ":", "")

func lookup(label string) (charset, bool) {
	c, ok := labels[squeeze.Replace(strings.ToLower(strings.Trim(label, " \t\"'")))]
	return c, ok
}

// Known reports whether a charset can be read. "" is none, and known.
func Known(label string) bool {
	if label == "" {
		return true
	}
	_, ok := lookup(label)
	return ok
}

// MultiByte reports whether this is a charset in which a byte of ASCII can be
// a part of a character. Of a text that is read otherwise than it is declared,
// such a charset would hide characters.
func MultiByte(label string) bool {
	c, _ := lookup(label)
	return c.multi != nil
}
