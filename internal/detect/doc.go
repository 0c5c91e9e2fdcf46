// Package detect finds personal data and secrets in text. A Scanner goes over
// the bytes once: anchors (a digit, an @, the beginning of a word that could
// open something) lead to candidates; a candidate is validated (checksum,
// length, a number plan), and scored by what stands around it: the words
// before it and the name of the field it is in.
//
// Text can come in pieces. Scan then says how much of it is settled: what
// comes behind may still decide on the rest, and has to be shown with more
// text. The findings do not depend on how a text is cut.
package detect
