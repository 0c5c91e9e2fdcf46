// Eval measures detection on labelled texts: overlap and exact F1 an entity,
// how much of what is personal is left unmasked (leak), how much of what is
// not is masked (over), and how many texts without personal data stay as they
// are.
//
//	go run ./internal/eval -data DIR            every DIR/dev/*.jsonl
//	go run ./internal/eval -data DIR wnut17_dev  one of them
//
// A file holds a JSON object a line: {"id", "text", "spans": [{"start",
// "end", "type"}]}, positions in code points, end exclusive. DIR/canon.json
// maps the names of types to one another and says which are not scored. Each
// text goes through the body editor as a message of its kind would, so that
// JSON is looked at value by value, with the names of its fields.
package main
