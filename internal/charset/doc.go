// Package charset turns a body in another charset than UTF-8 into UTF-8, and
// back, on the stream. What nobody edits comes back as it was, also bytes that
// the charset has no character for: lone surrogates travel as WTF-8, and
// anything else as three bytes that are no UTF-8.
//
// What a body is written in is told by its byte order mark, else by the
// zeros of an ASCII beginning in UTF-16 or UTF-32 (RFC 4627, section 3), else
// by what is declared: the charset of the content type, or the encoding of an
// XML declaration. A declaration that the first bytes belie does not count: a
// lie about the charset is no way around a filter.
package charset
