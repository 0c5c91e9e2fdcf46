// Package detect finds personal data and secrets in text. A Scanner goes over
// the bytes once: anchors (a digit, @, :, =, >, -) lead to candidates; a
// candidate is validated (a checksum, a length, a number plan), and scored by
// what stands around it: the words before it and the name of the field it is
// in, be it given or read from JSON, a form, a log line, XML or a table.
//
// Recognisers are tables, a file a family: a shape, a check, hints, a score.
// What is not made of digits and letters in fixed places has code of its own.
// Custom recognisers come from outside.
//
// Text can come in pieces. Scan then says how much of it is settled: what
// comes behind may still decide on the rest, and has to be shown with more
// text. The findings do not depend on how a text is cut.
package detect
