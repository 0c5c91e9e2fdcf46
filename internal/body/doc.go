// Package body rewrites message bodies on the stream: JSON, newline-delimited
// JSON, Server-Sent Events, forms, multipart bodies, XML and text. An Editor is
// fed chunks of any size, shows the values that the stages' paths select to the
// stages, and gives back what is settled. docs/bodies.md tells what each format
// is to the paths.
//
// What it guarantees:
//
//   - The result depends on the body alone, never on how it was cut.
//   - Bytes that no stage edits come out as they went in: number precision, key
//     order, white space, escapes. Of an edited value only the edited ranges
//     change.
//   - It holds no more than the value it is inside of (a long value in pieces),
//     with its name and separator.
//   - A string that a stream of events spreads over many of them is one value,
//     and no event waits for another: what of it is not settled moves on.
//   - Every member of an object is visited, also where a name stands twice.
//   - A body that stops being of its format is shown as text from the byte on
//     that is not settled yet, or treated as the stage asks.
package body
