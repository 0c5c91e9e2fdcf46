#!/bin/sh
# Runs every fuzz target of every package for the given time each (default
# 20s), and fails at the end where one has found something.
set -eu
cd "$(dirname "$0")/.."
time="${1:-20s}"
found=0
failed=""
for file in $(grep -rl --include='*_test.go' '^func Fuzz' .); do
	dir="$(dirname "$file")"
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		found=1
		echo "== $dir $target"
		# The default would spend a minute on making one input smaller.
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5s "$dir" || failed="$failed $dir:$target"
	done
done
test "$found" = 1 || { echo "no fuzz target found" >&2; exit 1; }
test -z "$failed" || { echo "something was found by:$failed" >&2; exit 1; }
