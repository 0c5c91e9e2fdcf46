// Package builtin is the provider that ships in the binary: small models of
// our own, without a network.
//
// What it is: four linear classifiers over hashed words and pairs of words
// (intent, risk, complexity, prompt injection), trained by the program in
// train/ from the texts in data/; an extractive summary, which picks sentences
// and writes none; and values of an enum that are mentioned in the text. It is
// in English.
//
// What it is not: a language model. It does not read the prompt. It answers a
// schema property by property, each by the one of its models that the
// property's name or its "x-builtin" keyword stands for, and a schema with a
// required property that none stands for is refused when the policy is
// loaded. Its scores are probabilities of a model that has seen some hundred
// sentences; data/*.test.tsv, which it has not seen, say how good they are
// (TestHeldOut has the figures).
//
// The same text has the same answer, always.
package builtin
